"""Two threads compared with one, on short texts, and on the same texts with a document of 5 MB among them. This needs two idle cores.

Two cores share caches, memory and, in a data centre, other tenants. Two independent processes show how much more two cores do than one on this
machine. Two threads cannot reach more.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.corpora import Corpus
from benchmarks.pairs import PairTimer
from model2vec_numba import StaticModel

_DOCUMENT_BYTES = 5_000_000
# The texts are repeated to this many bytes. With less work, the start of a thread, a millisecond, would be a visible share.
_BYTES = 10_000_000


@pytest.fixture(autouse=True)
def all_threads(one_thread: None) -> Iterator[None]:
    """Allow all threads, so that the argument of a call decides."""
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    yield
    numba.set_num_threads(1)


two_cores = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="there is one core")


@two_cores
@pytest.mark.parametrize("document", [False, True], ids=["as-given", "document"])
def test_two_threads(document: bool, corpus: Corpus, ours: StaticModel, pair: PairTimer) -> None:
    texts = _repeated(corpus)
    if document:
        prose = " ".join(texts)
        texts.insert(len(texts) // 2, (prose * (_DOCUMENT_BYTES // len(prose) + 1))[:_DOCUMENT_BYTES])
    one = partial(ours.encode, texts, max_length=None, num_threads=1)
    two = partial(ours.encode, texts, max_length=None, num_threads=2)
    assert np.array_equal(one(), two())
    pair(two, one, peer="one thread", texts=len(texts), size=sum(len(text.encode()) for text in texts))


@two_cores
def test_two_processes(corpus: Corpus, ours: StaticModel, pair: PairTimer) -> None:
    """Encode the same texts twice: by two processes at once, and by one process."""
    texts = _repeated(corpus)
    one = partial(ours.encode, texts, max_length=None, num_threads=1)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=_encode_when_told, args=(there, ours, texts), daemon=True)
    other.start()
    assert here.recv() == _digest(one())

    def at_once() -> None:
        here.send(True)
        one()
        here.recv()

    def in_turn() -> None:
        one()
        one()

    pair(at_once, in_turn, peer="one process", texts=2 * len(texts), size=2 * sum(len(text.encode()) for text in texts))
    here.send(False)
    other.join()


def _encode_when_told(told: Connection, model: StaticModel, texts: list[str]) -> None:
    told.send(_digest(model.encode(texts, max_length=None, num_threads=1)))
    while told.recv():
        model.encode(texts, max_length=None, num_threads=1)
        told.send(True)


def _digest(vectors: NDArray[np.float32]) -> bytes:
    return hashlib.sha256(vectors.data).digest()


def _repeated(corpus: Corpus) -> list[str]:
    return list(corpus.texts) * (_BYTES // corpus.size + 1)
