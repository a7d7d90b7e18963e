"""Exact search for the most similar vectors.

Scores of many vectors with some queries are computed by one multiplication of matrices, a block of vectors at a time. float32 products have errors,
so they only choose candidates, with the bound of their error. The scores of candidates are computed again, in float64. If many vectors are wanted,
all products are computed in float64 at once. Integers are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model2vec_numba.checks import checked_count
from model2vec_numba.vectors.arrow import as_vectors
from model2vec_numba.vectors.best import BestVectors, best_first
from model2vec_numba.vectors.form import PRECISIONS, make_form
from model2vec_numba.vectors.products import BitScores, FloatScores, IntegerScores, Scores, WideScores

__all__ = ["SearchResult", "semantic_search"]

# The numbers of queries and vectors whose scores are in memory at once, 2 MB. If there are fewer queries, there are more vectors.
_QUERIES = 128
_VECTORS = 4096
# A multiplication has at most this many vectors, and 4 MB of them.
_BLOCK = 4096
_BLOCK_BYTES = 1 << 22
# If many vectors are wanted, there are scores of this many times their number, because the first ones choose at least as many candidates as are
# wanted. Then fewer queries are searched at a time, so that their scores take 16 MB.
_WANTED_AT_ONCE = 8
_SCORES = 1 << 22
# With up to this many vectors, all scores of a query may be in memory at once.
_ALL_AT_ONCE = 1 << 19
# If this times the number of wanted vectors is more than the number of vectors, ordering all takes less time; see `_wants_many`.
_MANY_INTEGERS, _MANY_FLOATS = 32, 20
_FLOATS = ("float32", "float16")
# The integers of eight bits, and the first step of each.
_INTEGERS = {"int8": -128, "uint8": 0}
# Every number of half precision as float32. NumPy's own conversion takes 1.6 times as long as looking it up.
_HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


class SearchResult(NamedTuple):
    """The result of `semantic_search`.

    Attributes:
        scores: shape (queries, k), or (k,) for one query: the inner products, float32 or int64, the highest first. For the binary types, the numbers
            of different bits, int64, the lowest first.
        indices: int64, of the same shape: the positions of the vectors.
    """

    scores: NDArray[Any]
    indices: NDArray[np.int64]


def semantic_search(
    queries: ArrayLike, vectors: ArrayLike, top_k: int = 10, *, precision: str | None = None, ranges: ArrayLike | None = None
) -> SearchResult:
    """Return the vectors that are most similar to each query, by comparing each query with all vectors.

    The similarity of two vectors is their inner product, which is the cosine if both are normalised. Vectors of bits are most similar if the fewest
    bits are different. Vectors with equal scores come in the order of their positions.

    A million vectors of 256 dimensions take about 0.1 seconds for one query. For more vectors, use an index such as those of usearch or faiss.

    Args:
        queries: shape (queries, dim), or one query, shape (dim,).
        vectors: shape (vectors, dim). It may be a memory map. It is read in blocks, which need little memory. Vectors and queries may be
            Arrow columns too, such as those of `StaticModel.encode_arrow` and `encode_table`. A column with one chunk is not copied.
        top_k: the number of vectors to return for each query.
        precision: the precision with which `StaticModel.encode` wrote both. It is needed for arrays of int8 (``"int8"`` or ``"binary"``) and of uint8
            (``"uint8"`` or ``"ubinary"``), because these types alone do not tell whether their elements are numbers or bits.
        ranges: the ranges with which `StaticModel.encode` wrote ``"int8"`` or ``"uint8"``. Each integer then stands for the middle of its step, and
            the similarities are those of these numbers. The queries may also be floating point, which loses less. Without ranges, the integers of
            ``"int8"`` are multiplied as they are: this is faster and finds fewer of the right vectors. ``"uint8"`` needs them.

    Returns:
        The scores and the indices, each of shape (queries, k) with the smaller of `top_k` and the number of vectors as ``k``; for one query, (k,).
        A zero vector in floating point, such as that of an empty text, has no direction: it comes last, with the score minus infinity. A vector with
        NaN and a vector that is null in Arrow come last too. Integers and bits cannot tell that a vector was zero: leave empty texts out. A query
        that is zero is equally similar to all.

    Raises:
        TypeError: the type of an array is wrong, or the precision is needed.
        ValueError: the shapes do not match, `top_k` is less than 1, the precision is not known, or the ranges are wrong or missing. Or a query is
            null, or a vector that is not floating point.
    """
    asked, searched = as_vectors(queries, "queries", nulls=False), as_vectors(vectors, "vectors", nulls=True)
    form = _find_precision(asked, searched, precision, with_ranges=ranges is not None)
    if searched.ndim != 2 or asked.ndim not in {1, 2} or asked.shape[-1] != searched.shape[1] or not searched.shape[1]:
        raise ValueError(f"queries must have shape (queries, dim) or (dim,) and vectors (vectors, dim), not {asked.shape} and {searched.shape}")
    k = min(checked_count(top_k, "top_k", "an integer of 1 or more"), len(searched))
    rows = np.atleast_2d(asked)
    is_float, is_binary = form in _FLOATS or ranges is not None, form in {"binary", "ubinary"}
    scores = np.empty((len(rows), k), np.float32 if is_float else np.int64)
    indices = np.empty((len(rows), k), np.int64)
    widen = _as_float32 if ranges is None else _middles(searched.shape[1], form, ranges)
    # Scores of fewer vectors than `k` would not tell which ones are too low.
    at_once = max(_VECTORS, _WANTED_AT_ONCE * k)
    order_all = len(searched) <= max(at_once, _ALL_AT_ONCE) and _wants_many(k, len(rows), len(searched), is_float=is_float)
    at_once = len(searched) if order_all else min(at_once, max(_VECTORS, len(searched)))
    make: Callable[[NDArray[Any]], Scores] = BitScores if is_binary else IntegerScores
    if is_float:
        make = partial(WideScores if order_all else FloatScores, widen)
    together = min(_QUERIES, max(1, _SCORES // at_once))
    for first in range(0, len(rows) if k else 0, together):
        part = slice(first, first + together)
        source = make(rows[part])
        if order_all:
            _order_all(source, searched, scores[part], indices[part])
        else:
            _choose(source, searched, scores[part], indices[part], at_once)
    if is_binary:
        scores = -scores
    return SearchResult(scores, indices) if asked.ndim == 2 else SearchResult(scores[0], indices[0])


def _find_precision(queries: NDArray[Any], vectors: NDArray[Any], precision: str | None, *, with_ranges: bool) -> str:
    """Return the precision of two arrays."""
    if precision is not None and precision not in tuple(PRECISIONS):
        raise ValueError(f"precision must be None or one of {', '.join(map(repr, PRECISIONS))}, not {precision!r:.80}")
    found = f"queries of {queries.dtype} and vectors of {vectors.dtype}"
    if with_ranges:
        name = vectors.dtype.name
        if name not in _INTEGERS or precision not in {None, name} or (queries.dtype.name != name and queries.dtype.kind != "f"):
            with_precision = "" if precision is None else f" with precision={precision!r}"
            raise TypeError(f"{found} cannot be compared with ranges{with_precision}: they are for vectors of int8 or uint8")
        return str(name)
    if precision == "uint8":
        raise ValueError("precision='uint8' needs ranges=, those with which the vectors were written")
    if queries.dtype.kind == "f" and vectors.dtype.kind == "f" and precision in {None, *_FLOATS}:
        return "float32"
    kinds = [name for name, dtype in PRECISIONS.items() if name not in _FLOATS and queries.dtype == vectors.dtype == dtype]
    if precision in kinds:
        return precision
    if precision is None and kinds:
        raise TypeError(f"{found} need precision={' or '.join(map(repr, kinds))}")
    raise TypeError(f"{found} cannot be compared{'' if precision is None else f' with precision={precision!r}'}: both must be of the same precision")


def _middles(dim: int, precision: str, ranges: ArrayLike) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """Return the function that turns integers of eight bits into the middles of their steps, float32. It leaves floating point as it is."""
    form = make_form(dim, None, precision, ranges)
    first = np.float32(_INTEGERS[precision])

    def widen(vectors: NDArray[Any]) -> NDArray[np.float32]:
        if vectors.dtype.kind == "f":
            return _as_float32(vectors)
        numbers = vectors.astype(np.float32, order="C")
        numbers += np.float32(0.5) - first
        numbers *= form.steps
        numbers += form.starts
        return numbers

    return widen


def _as_float32(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return vectors in floating point as float32, C-contiguous. A float32 array is not copied if it is so already."""
    if vectors.dtype == np.float16:
        return np.take(_HALVES, np.ascontiguousarray(vectors).view(np.uint16), mode="clip")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(vectors, dtype=np.float32)


def _wants_many(k: int, queries: int, vectors: int, *, is_float: bool) -> bool:
    """Return whether ordering all vectors by exact scores takes less time than choosing some first."""
    if not is_float:
        return _MANY_INTEGERS * k > vectors
    queries = min(queries, _QUERIES, max(1, _SCORES // max(1, vectors)))
    # For each vector, float64 products cost its conversion and as much again for ten queries. Without them, each candidate is multiplied alone.
    return _MANY_FLOATS * k * queries > vectors * (queries + 10)


def _order_all(source: Scores, vectors: NDArray[Any], scores: NDArray[Any], indices: NDArray[np.int64]) -> None:
    """Write the best vectors to the rows of `scores` and `indices`, each of shape (queries, k), by ordering all vectors. All scores must be exact."""
    products = np.empty((len(scores), len(vectors)), source.dtype)
    _fill(source, vectors, products)
    for row, best, order in zip(products, scores, indices, strict=True):
        order[:] = best_first(row, len(order))
        best[:] = row[order]


def _choose(source: Scores, vectors: NDArray[Any], scores: NDArray[Any], indices: NDArray[np.int64], at_once: int) -> None:
    """Write the best vectors to the rows of `scores` and `indices`, each of shape (queries, k), by dropping most vectors early.

    `at_once` is the number of vectors to compare at once. If there are few queries, more are.
    """
    at_once = max(at_once, _QUERIES * _VECTORS // len(scores) // _BLOCK * _BLOCK)
    products = np.empty((len(scores), min(at_once, len(vectors))), source.dtype)
    best = BestVectors(len(scores), scores.shape[1], scores.dtype, partial(source.exactly, vectors) if isinstance(source, FloatScores) else None)
    for first in range(0, len(vectors), at_once):
        part = products[:, : len(vectors) - first]
        best.add(first, part, _fill(source, vectors[first : first + at_once], part))
    best.write(scores, indices)


def _fill(source: Scores, vectors: NDArray[Any], products: NDArray[Any]) -> NDArray[np.float64]:
    """Write the scores of vectors, shape (queries, vectors), a block at a time, and return the bound of their error for each query."""
    errors = np.zeros(len(products))
    block = min(_BLOCK, max(1, _BLOCK_BYTES // (vectors.shape[1] * source.itemsize)))
    for begin in range(0, len(vectors), block):
        part = slice(begin, begin + block)
        errors = np.maximum(errors, source.fill(vectors[part], products[:, part]))
    return errors
