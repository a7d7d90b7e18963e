"""Exact search for the most similar vectors.

Inner products come from NumPy's matrix multiplication, a block of vectors at a time. Its rounding depends on the place of a vector in the block. So
float32 products only choose candidates, with the bound of their error. The scores of candidates are computed again, in float64. Integers are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model2vec_numba.checks import checked_count
from model2vec_numba.vectors.arrow import as_vectors
from model2vec_numba.vectors.form import PRECISIONS, make_form

__all__ = ["SearchResult", "semantic_search"]

# The numbers of vectors and queries whose scores are in memory at once: 2 MB, and 4 MB of vectors of 256 dimensions.
_BLOCK = 4096
_QUERIES = 128
# If many vectors are wanted, a block has this many times their number, because the first block chooses at least as many candidates as are wanted.
# Then fewer queries are searched at a time, so that their scores take 16 MB.
_WANTED_IN_BLOCK = 8
_SCORES = 1 << 22
# With more entries for each query than this, ordering one query after the other takes less time than ordering all at once.
_MANY_ENTRIES = 64
# A sum of this many products of bytes is below 2 ** 24, so it is exact in float32.
_EXACT_COLUMNS = 256
# The number of products that are computed again at once. With more, the memory for them is new each time, and they take four times as long.
_PRODUCTS = 1 << 16
# The relative error of an addition or multiplication in float32.
_ROUNDING = 2.0**-24
# The absolute error of products that are too small for float32, and a number that sums of products must be below.
_TINY, _OVERFLOW = 1e-40, 1e38
_FLOATS = ("float32", "float16")
# The integers of eight bits, and the first step of each.
_INTEGERS = {"int8": -128, "uint8": 0}
# Every number of half precision as float32. NumPy's own conversion takes 1.6 times as long as looking it up.
_HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
_ONES = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)


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
        vectors: shape (vectors, dim). It may be a memory map. It is read in blocks, so little memory is needed besides. Vectors and queries may be
            Arrow columns too, such as those of `StaticModel.encode_arrow` and `encode_table`. A column with one chunk is not copied.
        top_k: the number of vectors to return for each query.
        precision: the precision with which `StaticModel.encode` wrote both. It is needed for arrays of int8 (``"int8"`` or ``"binary"``) and of uint8
            (``"uint8"`` or ``"ubinary"``), because these types alone do not tell whether their elements are numbers or bits.
        ranges: the ranges with which `StaticModel.encode` wrote ``"int8"`` or ``"uint8"``. Each integer then stands for the middle of its step, and
            the similarities are those of these numbers. The queries may also be floating point, which loses less. Without ranges, the integers of
            ``"int8"`` are multiplied as they are: this is faster and finds fewer of the right vectors. ``"uint8"`` needs them.

    Returns:
        The scores and the indices, each of shape (queries, k) with the smaller of `top_k` and the number of vectors as ``k``; for one query, (k,).
        A zero vector in floating point, such as that of an empty text, has no direction: it comes last, with the score minus infinity. So does a
        vector with NaN, or one that is null in Arrow. Integers and bits cannot tell that a vector was zero: leave empty texts out. A query that is
        zero is equally similar to all.

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
    make = partial(_FloatScores, widen) if is_float else _BitScores if is_binary else _IntegerScores
    # A block of fewer vectors than `k` would not tell which scores are too low.
    block = min(max(_BLOCK, _WANTED_IN_BLOCK * k), max(_BLOCK, len(searched)))
    together = min(_QUERIES, max(1, _SCORES // block))
    for first in range(0, len(rows) if k else 0, together):
        part = slice(first, first + together)
        best = _Best(len(rows[part]), k, scores.dtype.type)
        _search(make(rows[part]), searched, best, block)
        best.write(scores[part], indices[part])
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


class _FloatScores:
    """The inner products of some queries with blocks of vectors. `widen` makes both float32, C-contiguous."""

    def __init__(self, widen: Callable[[NDArray[Any]], NDArray[np.float32]], queries: NDArray[Any]) -> None:
        self._widen = widen
        self._queries = widen(queries)
        self._wide = self._queries.astype(np.float64)
        self._norms = np.sqrt(np.einsum("ij,ij->i", self._wide, self._wide))

    def block(self, vectors: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64], Callable[..., NDArray[Any]]]:
        """Return the scores of a block, shape (queries, vectors), the bound of the error for each query, and what computes some scores exactly."""
        matrix = self._widen(vectors)
        with np.errstate(all="ignore"):
            scores = self._queries @ matrix.T
            # The norm of the whole block is a bound for those of its vectors, and computing all norms would take twice as long.
            products = self._norms * np.sqrt(np.float64(np.vdot(matrix, matrix)))
            errors = 2 * (matrix.shape[1] + 16) * _ROUNDING * products + _TINY * (self._norms > 0)
        maybe_zero = np.flatnonzero((scores[0] == 0) | np.isnan(scores[0]))
        # After an overflow, a score may be wrong in any way. NaN is always a candidate.
        unknown = ~(products < _OVERFLOW)
        scores[unknown] = np.nan
        errors[unknown] = 0
        scores[:, maybe_zero[~matrix[maybe_zero].any(axis=1)]] = -np.inf
        return scores, errors, lambda *pairs: self._exactly(matrix, *pairs)

    def _exactly(self, matrix: NDArray[np.float32], queries: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the inner products of pairs of a query and a vector, rounded from float64."""
        scores = np.empty(len(queries), np.float32)
        step = max(1, _PRODUCTS // matrix.shape[1])
        with np.errstate(all="ignore"):
            for begin in range(0, len(queries), step):
                part = slice(begin, begin + step)
                products = matrix[columns[part]].astype(np.float64)
                products *= self._wide[queries[part]]
                scores[part] = products.sum(axis=1)
        return scores


class _IntegerScores:
    """The inner products of some queries with blocks of vectors of int8."""

    def __init__(self, queries: NDArray[Any]) -> None:
        self._queries = queries.astype(np.float32)

    def block(self, vectors: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64], Callable[..., NDArray[Any]]]:
        """Return the scores of a block, as `_FloatScores` does. They are exact."""
        matrix = vectors.astype(np.float32, order="C")
        parts = [slice(begin, begin + _EXACT_COLUMNS) for begin in range(0, matrix.shape[1], _EXACT_COLUMNS)]
        products = (self._queries[:, part] @ matrix[:, part].T for part in parts)
        scores: NDArray[Any] = next(products)
        for product in products:
            scores = np.add(scores, product, dtype=np.float64)
        return scores, np.zeros(len(scores)), lambda queries, columns: scores[queries, columns].astype(np.int64)


class _BitScores:
    """The numbers of different bits between some queries and blocks of vectors, times -1."""

    def __init__(self, queries: NDArray[Any]) -> None:
        self._queries = _as_words(queries)

    def block(self, vectors: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64], Callable[..., NDArray[Any]]]:
        """Return the scores of a block, as `_FloatScores` does. They are exact."""
        # One word of all vectors after the other: adding the counts takes a fifth of the time.
        words = np.ascontiguousarray(_as_words(vectors).T)
        scores = np.empty((len(self._queries), len(vectors)), np.int32)
        for row, query in zip(scores, self._queries, strict=True):
            np.negative(_count_ones(words ^ query[:, None]).sum(axis=0, dtype=np.int32), out=row)
        return scores, np.zeros(len(scores)), lambda queries, columns: scores[queries, columns].astype(np.int64)


def _as_float32(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return vectors in floating point as float32, C-contiguous. A float32 array is not copied if it is so already."""
    if vectors.dtype == np.float16:
        return np.take(_HALVES, np.ascontiguousarray(vectors).view(np.uint16), mode="clip")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(vectors, dtype=np.float32)


def _as_words(vectors: NDArray[Any]) -> NDArray[Any]:
    """Return the bytes of vectors as the largest unsigned integers into which a vector can be divided."""
    size = next(size for size in (8, 4, 2, 1) if vectors.shape[1] % size == 0)
    return np.ascontiguousarray(vectors).view(f"u{size}")


def _count_ones(words: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the number of ones in the bits of each word."""
    counts: NDArray[np.uint8]
    if hasattr(np, "bitwise_count"):
        counts = np.bitwise_count(words)
    elif words.itemsize == 1:
        counts = _ONES[words]
    else:
        # NumPy before version 2.
        counts = _ONES[words.view(np.uint16).reshape(*words.shape, -1)].sum(axis=-1, dtype=np.uint8)
    return counts


def _search(source: _FloatScores | _IntegerScores | _BitScores, vectors: NDArray[Any], best: _Best, block: int) -> None:
    """Add the vectors with the highest scores for each query to `best`."""
    for first in range(0, len(vectors), block):
        scores, errors, exactly = source.block(vectors[first : first + block])
        best.raise_limits(scores, errors)
        rows, columns = best.candidates(scores, errors)
        if len(rows):
            best.add(rows, first + columns, exactly(rows, columns))


class _Best:
    """The `k` best vectors so far, for each of some queries.

    Args:
        queries: the number of queries.
        k: the number of vectors for each query.
        dtype: the type of exact scores.
    """

    def __init__(self, queries: int, k: int, dtype: type[np.number[Any]]) -> None:
        self._k = k
        # Only scores above the limit can be among the best ones. Minus infinity: there are fewer than `k` vectors yet.
        self._limits = np.full(queries, -np.inf)
        # One entry for each vector: the number of the query, the position, and the score. The first ones are ordered by queries, then by scores, and
        # then by positions, and have at most `k` for each query.
        self._entries: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]] = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, dtype)
        self._ordered = 0

    def raise_limits(self, scores: NDArray[Any], errors: NDArray[np.float64]) -> None:
        """Set the limits of queries that have none, from the scores of a block, if it has `k` vectors. `errors` are the bounds of their errors."""
        without = np.flatnonzero(np.isneginf(self._limits))
        if len(without) and scores.shape[1] >= self._k:
            known = scores[without]
            if known.dtype.kind == "f":
                known[np.isnan(known)] = -np.inf
            place = known.shape[1] - self._k
            known.partition(place, axis=1)
            # Without errors, scores that are equal to the last one of the best must be above the limit.
            self._limits[without] = known[:, place].astype(np.float64) - np.where(errors[without] > 0, errors[without], 1)

    def candidates(self, scores: NDArray[Any], errors: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows and columns of the scores of a block that may be among the best ones."""
        with np.errstate(over="ignore"):
            # The limits have the type of the scores, because a comparison would convert these.
            limits = (self._limits - errors).astype(np.float32 if scores.dtype == np.float32 else np.float64)
        # NaN is not below a limit.
        rows = np.flatnonzero(~(scores.max(axis=1) <= limits))
        found = np.flatnonzero(~(scores[rows] <= limits[rows, None]))
        return rows[found // scores.shape[1]], found % scores.shape[1]

    def add(self, rows: NDArray[np.intp], positions: NDArray[np.intp], scores: NDArray[Any]) -> None:
        """Add vectors with their exact scores. NaN and minus infinity do not count."""
        counting = scores > -np.inf
        known_rows, known_positions, known_scores = self._entries
        self._entries = (
            np.concatenate([known_rows, rows[counting]]),
            np.concatenate([known_positions, positions[counting]]),
            np.concatenate([known_scores, scores[counting]]),
        )
        # Ordering all entries after each block would take longer than the multiplication if `k` is large.
        if self._ordered == 0 or len(self._entries[0]) - self._ordered > self._ordered // 2:
            self._order()

    def _order(self) -> None:
        """Order the entries, drop those after the first `k` of each query, and raise the limits."""
        queries, positions, scores = self._entries
        if len(queries) < _MANY_ENTRIES * len(self._limits):
            order = np.lexsort((positions, -scores, queries))
            begins = np.searchsorted(queries[order], np.arange(len(self._limits)))
            order = order[np.arange(len(order)) - begins[queries[order]] < self._k]
        else:
            # The numbers of queries fit into a byte, for which NumPy has a fast sort. Both sorts keep the order of equal elements. The entries of
            # a query that have equal scores are in the order of their positions already.
            grouped = np.argsort(queries.astype(np.uint8), kind="stable")
            groups = np.split(grouped, np.cumsum(np.bincount(queries, minlength=len(self._limits)))[:-1])
            order = np.concatenate([group[np.argsort(-scores[group], kind="stable")[: self._k]] for group in groups])
        self._entries = queries, positions, scores = queries[order], positions[order], scores[order]
        self._ordered = len(queries)
        counts = np.bincount(queries, minlength=len(self._limits))
        full = counts == self._k
        self._limits[full] = np.maximum(self._limits[full], scores[np.cumsum(counts)[full] - 1])

    def write(self, scores: NDArray[Any], indices: NDArray[np.int64]) -> None:
        """Write the best vectors to the rows of `scores` and `indices`, each of shape (queries, k)."""
        self._order()
        queries, positions, found = self._entries
        begins = np.searchsorted(queries, np.arange(len(scores) + 1))
        columns = np.arange(len(queries)) - begins[queries]
        scores[queries, columns], indices[queries, columns] = found, positions
        for query in np.flatnonzero(np.diff(begins) < self._k):
            # All other vectors are zero or NaN.
            chosen = positions[begins[query] : begins[query + 1]]
            scores[query, len(chosen) :] = -np.inf
            indices[query, len(chosen) :] = np.setdiff1d(np.arange(self._k), chosen)[: self._k - len(chosen)]
