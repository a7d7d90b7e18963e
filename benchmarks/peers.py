"""The contenders: this package, and the systems that people would use instead. All of them run on the same files and texts.

Each is called as its documentation says, or in a faster way, with a larger batch or without a progress bar. A contender that is not installed, or
that refuses a model, is reported with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import model2vec
import numpy as np
from numpy.typing import NDArray

from benchmarks.rust_peers import CRATES, RustPeer, RustPeerError
from model2vec_numba import StaticModel
from model2vec_numba.cli.timing import timed
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.library import tokenize_with_library
from model2vec_numba.tokenization.spec.spec import parse_tokenizer
from model2vec_numba.tokenization.tokenizer import make_tokenizer

__all__ = ["OURS", "Contender", "encoders", "tokenizers"]

OURS = "model2vec-numba"

_BATCH = 1024  # sentence-transformers' default of 32 took 18 % longer


@dataclass
class Contender:
    """A system, ready to work on some texts.

    Attributes:
        name: its name and version.
        run: does the work once, and returns the seconds that it took.
        result: returns the result of the work: vectors, float of shape (texts, dim), or each text's ids.
        unlike: how many texts have another result than this package's, in words. "": none.
    """

    name: str
    run: Callable[[], float]
    result: Callable[[], Any]
    unlike: str = ""


@contextmanager
def encoders(
    folder: Path, texts: Sequence[str], threads: int | None, rust: Path | RustPeerError
) -> Iterator[tuple[dict[str, Contender], dict[str, str]]]:
    """Give the contenders that encode texts with a model, this package first, and the reason for each contender that cannot.

    Args:
        folder: the model, in Model2Vec's layout.
        texts: the texts, without line feeds.
        threads: 1, or ``None`` for all cores.
        rust: the executable that `rust_peers.build` returned, or the error that it raised.
    """
    found: dict[str, Contender] = {}
    absent: dict[str, str] = {}
    with ExitStack() as stack:

        def add(name: str, make: Callable[[], Contender]) -> None:
            _add(name, make, found, absent)
            if name in absent:
                absent[name] = absent[name].replace(str(folder), folder.name)

        add(OURS, lambda: _ours(folder, texts, threads))
        add("model2vec", lambda: _model2vec(folder, texts, threads, processes=False))
        if threads is None:
            add("model2vec, processes", lambda: _model2vec(folder, texts, threads, processes=True))
        add("sentence-transformers", lambda: _sentence_transformers(folder, texts, threads))
        for crate in CRATES:
            add(f"{crate} (Rust)", lambda crate=crate: _rust(stack, rust, crate, folder, texts, threads))  # type: ignore[misc]
        expected = found[OURS].result()
        for contender in found.values():
            contender.unlike = _compare_vectors(contender.result(), expected)
        yield found, absent


def _add(name: str, make: Callable[[], Contender], found: dict[str, Contender], absent: dict[str, str]) -> None:
    """Add the contender that `make` returns to `found`. If it raises an error, add the reason to `absent`."""
    try:
        found[name] = make()
    except ImportError as error:
        absent[name] = f"not installed ({error})"
    except _CannotError as error:
        absent[name] = str(error)
    except Exception as error:
        # A peer may raise anything if it does not support a model.
        absent[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _compare_vectors(vectors: NDArray[Any], expected: NDArray[np.float32]) -> str:
    """Return how many vectors differ, and by how much, in words. "": none."""
    difference = np.abs(vectors.astype(np.float32) - expected).max(axis=1)
    # Some contenders average in half precision, which has three digits.
    unlike = int((difference > 5e-3).sum())
    return f"{unlike:,} of {len(expected):,} vectors differ, by up to {difference.max():.1g}" if unlike else ""


def _ours(folder: Path, texts: Sequence[str], threads: int | None) -> Contender:
    model = StaticModel.from_pretrained(folder)
    given = list(texts)
    work = partial(model.encode, given, num_threads=threads or os.cpu_count())
    return Contender(f"{OURS} {version(OURS)}", timed(work), work)


def _model2vec(folder: Path, texts: Sequence[str], threads: int | None, processes: bool) -> Contender:
    model = model2vec.StaticModel.from_pretrained(folder)
    # By default it starts processes for more than 10,000 texts.
    work = partial(model.encode, list(texts), use_multiprocessing=processes, multiprocessing_threshold=0)
    name = f"model2vec {version('model2vec')}" + (", its processes" if processes else "")
    return Contender(name, _with_threads(work, threads), work)


def _sentence_transformers(folder: Path, texts: Sequence[str], threads: int | None) -> Contender:
    import sentence_transformers
    import torch

    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    cores = torch.get_num_threads()
    given = list(texts)

    def work() -> Any:
        torch.set_num_threads(threads or cores)
        return model.encode(given, batch_size=_BATCH, show_progress_bar=False)

    return Contender(f"sentence-transformers {version('sentence-transformers')}", _with_threads(work, threads), work)


def _rust(stack: ExitStack, rust: Path | RustPeerError, crate: str, folder: Path, texts: Sequence[str], threads: int | None) -> Contender:
    if isinstance(rust, RustPeerError):
        raise rust
    peer = stack.enter_context(RustPeer(rust, crate, folder, texts, threads))
    return Contender(f"{crate} {peer.version} (Rust)", peer.run, peer.vectors)


def _with_threads(work: Callable[[], object], threads: int | None) -> Callable[[], float]:
    """Return a function that does the work once with one thread of `tokenizers`, or with all, and returns the seconds that it took."""
    run = timed(work)

    def limited() -> float:
        # The library reads the variable at each call.
        os.environ["TOKENIZERS_PARALLELISM"] = "false" if threads == 1 else "true"
        return run()

    return limited


def tokenizers(folder: Path, texts: Sequence[str]) -> tuple[dict[str, Contender], dict[str, str]]:
    """Return the contenders that tokenise `texts` on one thread, this package first, and the reason for each contender that cannot."""
    spec = parse_tokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"), str(folder))
    given, batch = list(texts), flatten(texts)
    tokenizer, library = make_tokenizer(spec), spec.make_library()
    scratch = tokenizer.take_scratch()
    work = partial(tokenizer.tokenize, batch, None, scratch)
    tokens = work()
    expected = [tokens.ids[begin:end].tolist() for begin, end in tokens.bounds()]
    found = {
        OURS: Contender(f"{OURS} {version(OURS)}", timed(work), lambda: expected),
        "tokenizers": Contender(
            f"tokenizers {version('tokenizers')}",
            _with_threads(lambda: library.encode_batch_fast(given, add_special_tokens=False), 1),
            lambda: tokenize_with_library(spec, given, None),
        ),
    }
    absent: dict[str, str] = {}
    _add("flash-tokenizer", lambda: _flash_tokenizer(spec.config, spec.tokens, given), found, absent)
    _add("BlingFire", lambda: _bling_fire(spec.config, given), found, absent)
    for contender in found.values():
        ids = contender.result()
        if ids is None:
            contender.unlike = "uses BERT's vocabulary, not the model's"
        elif different := sum(a != b for a, b in zip(ids, expected, strict=True)):
            contender.unlike = f"{different:,} of {len(expected):,} texts have other ids"
    return found, absent


class _CannotError(Exception):
    """A peer does not support a kind of tokenizer."""


def _flash_tokenizer(config: dict[str, Any], tokens: Sequence[str], texts: list[str]) -> Contender:
    from flash_tokenizer import BertTokenizerFlash

    if config["model"]["type"] != "WordPiece":
        raise _CannotError("supports only WordPiece")
    with TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.txt"
        vocabulary.write_text("\n".join(tokens) + "\n", encoding="utf-8")
        # It needs BERT's special tokens in the vocabulary, and puts them around every text.
        tokenizer = BertTokenizerFlash(str(vocabulary), do_lower_case=True, model_max_length=1 << 20).tokenizer
    unknown = tokens.index(config["model"]["unk_token"])

    def work() -> list[list[int]]:
        ids: list[list[int]] = tokenizer.batch_encode(texts, "longest", -1, False)
        return ids

    def result() -> list[list[int]]:
        return [[token for token in row[1:-1] if token != unknown] for row in work()]

    return Contender(f"flash-tokenizer {version('flash-tokenizer')}", timed(work), result)


def _bling_fire(config: dict[str, Any], texts: list[str]) -> Contender:
    import blingfire

    if config["model"]["type"] != "WordPiece":
        raise _CannotError("has only its own vocabularies, and none of this kind")
    handle = blingfire.load_model(str(Path(blingfire.__file__).parent / "bert_base_tok.bin"))
    longest = max(map(len, texts), default=1) + 8

    def work() -> None:
        for text in texts:
            blingfire.text_to_ids(handle, text, min(longest, len(text) + 8), 100, True)

    return Contender(f"BlingFire {version('blingfire')}", timed(work), lambda: None)
