"""Two threads beside one, to be run where two cores are idle: texts as they are, and with a document of 5 MB among them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numba
import numpy as np
import pytest

from benchmarks.corpora import Corpus
from benchmarks.pairs import PairTimer
from model2vec_numba import StaticModel

_DOCUMENT_BYTES = 5_000_000
# Repeated until they are so many bytes: of less work, a millisecond that starting threads takes is a share to be seen.
_BYTES = 10_000_000


@pytest.fixture(autouse=True)
def all_threads(one_thread: None) -> Iterator[None]:
    """The call says how many threads it uses, not numba's setting."""
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    yield
    numba.set_num_threads(1)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="there is one core")
@pytest.mark.parametrize("document", [False, True], ids=["as-given", "document"])
def test_two_threads(document: bool, corpus: Corpus, ours: StaticModel, pair: PairTimer) -> None:
    texts = list(corpus.texts) * (_BYTES // corpus.size + 1)
    if document:
        prose = " ".join(texts)
        texts.insert(len(texts) // 2, (prose * (_DOCUMENT_BYTES // len(prose) + 1))[:_DOCUMENT_BYTES])
    one = partial(ours.encode, texts, max_length=None, num_threads=1)
    two = partial(ours.encode, texts, max_length=None, num_threads=2)
    assert np.array_equal(one(), two())
    pair(two, one, peer="one thread", texts=len(texts), size=sum(len(text.encode()) for text in texts))
