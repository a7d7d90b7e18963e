"""A quick benchmark of this installation. It needs only the package and the standard library."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from model2vec_numba.cli.timing import time_in_turns, timed
from model2vec_numba.model import StaticModel
from model2vec_numba.parallel.threads import get_num_threads
from model2vec_numba.tables.lines import read_texts
from model2vec_numba.tables.sources import Input

__all__ = ["bench"]

_OURS = "model2vec-numba"
_PEER = "model2vec"


def bench(model: StaticModel, folder: Path, files: list[str], seconds: float) -> Iterator[str]:
    """Measure encoding on one thread, on all threads, and with Python model2vec if it is installed. Yield the lines of a report.

    Args:
        model: the model.
        folder: the folder of the model.
        files: files of UTF-8 text, one text on each line. If empty: paragraphs of Python's documentation.
        seconds: about how long to measure.

    Raises:
        ValueError: the files have no text.
    """
    texts = [line for line in read_texts(Input(name, "lines") for name in files) if line.strip()] if files else _documentation()
    if not texts:
        raise ValueError("the files have no text")
    size = sum(len(text.encode()) for text in texts)
    threads = get_num_threads()
    yield f"{_OURS} {version(_OURS)}, numba {version('numba')}, Python {platform.python_version()}, {platform.machine()}, {threads} threads\n"
    yield f"{model!r}\n"
    yield f"{len(texts):,} texts of {size / len(texts):,.0f} bytes on average\n\n"
    ours = f"{_OURS}, one thread"
    candidates = {ours: timed(partial(model.encode, texts, num_threads=1))}
    if threads > 1:
        candidates[f"{_OURS}, {threads} threads"] = timed(partial(model.encode, texts))
    peer = _peer(model, folder, texts)
    peer_name = None
    if not isinstance(peer, str):
        peer_name = f"{_PEER} {version(_PEER)}, one thread"
        candidates[peer_name] = peer
    timings = time_in_turns(candidates, seconds=seconds)
    width = max(map(len, candidates))
    for name in candidates:
        median, taken = timings.median(name), timings.seconds[name]
        spread = f"{len(texts) / max(taken):,.0f} to {len(texts) / min(taken):,.0f}"
        yield f"{name:{width}}  {len(texts) / median:>11,.0f} texts/s  {size / median / 1e6:>7.1f} MB/s  ({spread})\n"
    if peer_name is None:
        yield f"\n{_PEER}: {peer}\n"
    else:
        yield f"\n{ours} is {timings.ratio(peer_name, ours):.1f} times as fast as {peer_name}\n"


def _documentation() -> list[str]:
    """Return paragraphs of Python's documentation, which comes with the interpreter."""
    from pydoc_data.topics import topics

    return [paragraph.strip() for name in sorted(topics) for paragraph in topics[name].split("\n\n") if paragraph.strip()]


def _peer(model: StaticModel, folder: Path, texts: list[str]) -> Callable[[], float] | str:
    """Return a function that times Python model2vec with the same model and texts, or the reason why that is not possible."""
    try:
        from model2vec import StaticModel as Peer
    except ImportError:
        return "not installed, so there is no comparison"
    try:
        peer = Peer.from_pretrained(folder)
    except Exception as error:
        # model2vec raises errors of many types if it does not support a model.
        return f"does not load the model: {type(error).__name__}: {error}"
    # One thread. The tokenizers library reads this variable at each call.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    work = partial(peer.encode, texts, use_multiprocessing=False)
    # Only compare if the vectors are equal. model2vec averages float16 in float16, which gives three correct digits.
    vectors = model.encode(texts)
    difference = float(np.abs(work().astype(np.float32) - vectors).max() / max(1.0, float(np.abs(vectors).max())))
    return timed(work) if difference < 5e-3 else f"gives other vectors, with differences up to {difference:.1g}"
