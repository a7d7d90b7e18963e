"""A quick look at how fast this installation is: no more than the package and the standard library are needed for it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from model2vec_numba.cli.texts import read_texts
from model2vec_numba.cli.turns import take_turns, timed
from model2vec_numba.model import StaticModel
from model2vec_numba.threads import get_num_threads

__all__ = ["bench"]

_OURS = "model2vec-numba"
_PEER = "model2vec"


def bench(model: StaticModel, folder: Path, files: list[str], seconds: float) -> Iterator[str]:
    """Encode texts on one thread and on all, in turns with Python model2vec if that is installed; a table, line by line.

    Args:
        model: the model.
        folder: where it was loaded from.
        files: files of UTF-8 text, one text a line; without any: paragraphs of Python's documentation.
        seconds: how long to time, about.
    """
    texts = [line for line in read_texts(files) if line.strip()] if files else _documentation()
    if not texts:
        raise ValueError("there is no text in the files")
    size = sum(len(text.encode()) for text in texts)
    threads = get_num_threads()
    yield f"{_OURS} {version(_OURS)}, numba {version('numba')}, Python {platform.python_version()}, {platform.machine()}, {threads} threads\n"
    yield f"{model!r}\n"
    yield f"{len(texts):,} texts of {size / len(texts):,.0f} bytes on average\n\n"
    first = f"{_OURS}, one thread"
    contestants = {first: timed(partial(model.encode, texts, num_threads=1))}
    if threads > 1:
        contestants[f"{_OURS}, {threads} threads"] = timed(partial(model.encode, texts))
    peer = _peer(model, folder, texts)
    if isinstance(peer, str):
        note = f"{_PEER}: {peer}"
    else:
        name = f"{_PEER} {version(_PEER)}, one thread"
        contestants[name] = peer
        note = f"{first} is {{:.1f}} times as fast as {name}"
    turns = take_turns(contestants, seconds=seconds)
    width = max(map(len, contestants))
    for contestant in contestants:
        taken = turns.median(contestant)
        spread = f"{len(texts) / max(turns.seconds[contestant]):,.0f} to {len(texts) / min(turns.seconds[contestant]):,.0f}"
        yield f"{contestant:{width}}  {len(texts) / taken:>11,.0f} texts/s  {size / taken / 1e6:>7.1f} MB/s  ({spread})\n"
    yield "\n" + (note if isinstance(peer, str) else note.format(turns.ratio(name, first))) + "\n"


def _documentation() -> list[str]:
    """Paragraphs of Python's documentation, which comes with the interpreter."""
    from pydoc_data.topics import topics

    return [paragraph.strip() for name in sorted(topics) for paragraph in topics[name].split("\n\n") if paragraph.strip()]


def _peer(model: StaticModel, folder: Path, texts: list[str]) -> Callable[[], float] | str:
    """Python model2vec on the same model and texts, or why there is none."""
    try:
        from model2vec import StaticModel as Peer
    except ImportError:
        return "not installed, so there is nothing to compare with"
    try:
        peer = Peer.from_pretrained(folder)
    except Exception as error:
        # Whatever it raises where it does not take a model.
        return f"does not load the model: {type(error).__name__}: {error}"
    # One thread: the library asks for this at each call.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    work = partial(peer.encode, texts, use_multiprocessing=False)
    # A wrong answer's time is of no interest. It averages half precision as it is, which gives three digits.
    vectors = model.encode(texts)
    apart = float(np.abs(work().astype(np.float32) - vectors).max() / max(1.0, float(np.abs(vectors).max())))
    return timed(work) if apart < 5e-3 else f"has other vectors, by up to {apart:.1g}"
