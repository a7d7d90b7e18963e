"""Vectors in other forms, compared with float32 vectors of all dimensions, and exact search, compared with NumPy's multiplication and partition."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.corpora import Corpus
from benchmarks.pairs import PairTimer
from model2vec_numba import StaticModel, quantization_ranges, semantic_search

# With few texts, the memory of the last result is used again. With many, each result is new memory.
_FEW, _MANY = 5_000, 100_000
_FORMS: dict[str, dict[str, Any]] = {
    "float16": {"precision": "float16"},
    "int8": {"precision": "int8"},
    "uint8": {"precision": "uint8"},
    "binary": {"precision": "binary"},
    "ubinary": {"precision": "ubinary"},
    "64 dimensions": {"dimensionality": 64},
    "64 dimensions, int8": {"dimensionality": 64, "precision": "int8"},
}
_VECTORS, _DIM = 100_000, 256


def repeated(corpus: Corpus, count: int) -> list[str]:
    """Return a number of texts of a corpus, some of them several times."""
    return (corpus.texts * (count // len(corpus.texts) + 1))[:count]


@pytest.mark.parametrize("count", [_FEW, _MANY])
@pytest.mark.parametrize("name", _FORMS)
def test_form(name: str, count: int, corpus: Corpus, ours: StaticModel, pair: PairTimer) -> None:
    form = dict(_FORMS[name])
    if form.get("dimensionality", 0) > ours.dim:
        pytest.skip("the model has fewer dimensions")
    texts = repeated(corpus, count)
    if "int8" in form.get("precision", ""):
        form["ranges"] = quantization_ranges(ours.encode(texts[:2000], dimensionality=form.get("dimensionality")))
    size = sum(len(text.encode()) for text in texts)
    pair(partial(ours.encode, texts, **form), partial(ours.encode, texts), peer="float32, all dimensions", texts=count, size=size)


def sort_all(queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the scores and positions of the best vectors, by one multiplication of matrices and one partition."""
    scores = queries @ vectors.T
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    found = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(best, order, axis=1)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "ubinary"])
@pytest.mark.parametrize(("queries", "k"), [(1, 10), (10, 10), (100, 10), (100, 100)])
def test_search(queries: int, k: int, precision: str, pair: PairTimer) -> None:
    """The peer always searches float32 vectors. Its products are rounded, and it does not keep the order of equal scores."""
    vectors = np.random.default_rng(1).normal(size=(_VECTORS, _DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    searched: NDArray[Any] = vectors
    if precision == "float16":
        searched = vectors.astype(np.float16)
    elif precision == "int8":
        searched = np.clip(vectors * 500, -128, 127).astype(np.int8)
    elif precision == "ubinary":
        searched = np.packbits(vectors > 0, axis=1)
    given = None if precision.startswith("float") else precision
    pair(
        partial(semantic_search, searched[:queries], searched, k, precision=given),
        partial(sort_all, vectors[:queries], vectors, k),
        peer="NumPy, float32",
        texts=queries,
        size=searched.nbytes,
    )
