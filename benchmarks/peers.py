"""The systems that people would otherwise use, each really run, on the same files and texts as this package.

None is handicapped: each is called as its documentation says, or faster where a larger batch or no progress bar makes it so. One that is not
installed, or that refuses a model, is named with the reason.
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
from model2vec_numba.cli.turns import timed
from model2vec_numba.text import flatten
from model2vec_numba.tokenization import choose_backend, parse_tokenizer
from model2vec_numba.tokenization.library import LibraryBackend

__all__ = ["OURS", "Contender", "encoders", "tokenizers"]

OURS = "model2vec-numba"

_BATCH = 1024  # with sentence-transformers' default of 32 it took 18 % longer


@dataclass
class Contender:
    """A system at work on some texts.

    Attributes:
        name: its name and version.
        run: does the work once, and says how many seconds it took.
        result: what it computes: vectors, float of shape (texts, dim), or each text's ids.
        unlike: of how many texts the result is not this package's, and why if that is known.
    """

    name: str
    run: Callable[[], float]
    result: Callable[[], Any]
    unlike: str = ""


@contextmanager
def encoders(
    folder: Path, texts: Sequence[str], threads: int | None, rust: Path | RustPeerError
) -> Iterator[tuple[dict[str, Contender], dict[str, str]]]:
    """The contenders that encode `texts` with the model in `folder`, this package the first, and the reasons why others do not.

    Args:
        folder: a model in Model2Vec's layout.
        texts: without line feeds.
        threads: 1, or ``None`` for all cores.
        rust: what `rust_peers.build` has made, or why it has not.
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
    """Add the contender that `make` makes to those found, or the reason why it cannot be made to those absent."""
    try:
        found[name] = make()
    except ImportError as error:
        absent[name] = f"not installed ({error})"
    except _CannotError as error:
        absent[name] = str(error)
    except Exception as error:
        # Whatever a peer raises where it does not take a model.
        absent[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _compare_vectors(vectors: NDArray[Any], expected: NDArray[np.float32]) -> str:
    difference = np.abs(vectors.astype(np.float32) - expected).max(axis=1)
    # Half precision, in which some average, has three digits.
    unlike = int((difference > 5e-3).sum())
    return f"{unlike:,} of {len(expected):,} vectors differ, by up to {difference.max():.1g}" if unlike else ""


def _ours(folder: Path, texts: Sequence[str], threads: int | None) -> Contender:
    model = StaticModel.from_pretrained(folder)
    given = list(texts)
    work = partial(model.encode, given, num_threads=threads or os.cpu_count())
    return Contender(f"{OURS} {version(OURS)}", timed(work), work)


def _model2vec(folder: Path, texts: Sequence[str], threads: int | None, processes: bool) -> Contender:
    model = model2vec.StaticModel.from_pretrained(folder)
    # Its processes start where there are more than 10,000 texts, unless it is told otherwise.
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
    """A contestant whose `tokenizers` uses one thread, or all: the library asks for the variable at each call."""
    run = timed(work)

    def limited() -> float:
        os.environ["TOKENIZERS_PARALLELISM"] = "false" if threads == 1 else "true"
        return run()

    return limited


def tokenizers(folder: Path, texts: Sequence[str]) -> tuple[dict[str, Contender], dict[str, str]]:
    """The contenders that tokenise `texts` on one thread, this package the first, and the reasons why others do not."""
    spec = parse_tokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"), str(folder))
    given, batch = list(texts), flatten(texts)
    backend, library = choose_backend(spec), spec.make_library()
    expected = backend.tokenize(batch, None)
    wanted = [expected.ids[first:last].tolist() for first, last in expected.bounds()]
    found = {
        OURS: Contender(f"{OURS} {version(OURS)}", timed(lambda: backend.tokenize(batch, None)), lambda: wanted),
        "tokenizers": Contender(
            f"tokenizers {version('tokenizers')}",
            _with_threads(lambda: library.encode_batch_fast(given, add_special_tokens=False), 1),
            lambda: _known(LibraryBackend(spec).tokenize(batch, None)),
        ),
    }
    absent: dict[str, str] = {}
    _add("flash-tokenizer", lambda: _flash_tokenizer(spec.parts, spec.tokens, given), found, absent)
    _add("BlingFire", lambda: _bling_fire(spec.parts, given), found, absent)
    for contender in found.values():
        ids = contender.result()
        unlike = sum(a != b for a, b in zip(ids, wanted, strict=True)) if ids is not None else None
        if unlike:
            contender.unlike = f"{unlike:,} of {len(wanted):,} texts have other ids"
        elif unlike is None:
            contender.unlike = "BERT's own vocabulary, not the model's"
    return found, absent


class _CannotError(Exception):
    """A peer has no means for a kind of tokenizer."""


def _known(tokens: Any) -> list[list[int]]:
    return [tokens.ids[first:last].tolist() for first, last in tokens.bounds()]


def _flash_tokenizer(parts: dict[str, Any], tokens: Sequence[str], texts: list[str]) -> Contender:
    from flash_tokenizer import BertTokenizerFlash

    if parts["model"]["type"] != "WordPiece":
        raise _CannotError("has WordPiece alone")
    with TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.txt"
        vocabulary.write_text("\n".join(tokens) + "\n", encoding="utf-8")
        # It asks for BERT's special tokens, and puts them around every text.
        tokenizer = BertTokenizerFlash(str(vocabulary), do_lower_case=True, model_max_length=1 << 20).tokenizer
    unknown = tokens.index(parts["model"]["unk_token"])

    def work() -> list[list[int]]:
        ids: list[list[int]] = tokenizer.batch_encode(texts, "longest", -1, False)
        return ids

    def result() -> list[list[int]]:
        return [[token for token in row[1:-1] if token != unknown] for row in work()]

    return Contender(f"flash-tokenizer {version('flash-tokenizer')}", timed(work), result)


def _bling_fire(parts: dict[str, Any], texts: list[str]) -> Contender:
    import blingfire

    if parts["model"]["type"] != "WordPiece":
        raise _CannotError("has vocabularies of its own alone, and none of this kind")
    handle = blingfire.load_model(str(Path(blingfire.__file__).parent / "bert_base_tok.bin"))
    longest = max(map(len, texts), default=1) + 8

    def work() -> None:
        for text in texts:
            blingfire.text_to_ids(handle, text, min(longest, len(text) + 8), 100, True)

    return Contender(f"BlingFire {version('blingfire')}", timed(work), lambda: None)
