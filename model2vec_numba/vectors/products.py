"""The scores of some queries with a block of vectors: inner products, or numbers of equal bits.

Inner products come from NumPy's matrix multiplication. Its rounding depends on the place of a vector in the block, so equal vectors get scores that
differ a little. `FloatScores` therefore tells the bound of this error, and computes the scores of chosen vectors again. The exact score of a pair is
the sum of its products in float64, in NumPy's order, rounded to float32. All other classes write exact scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["BitScores", "FloatScores", "IntegerScores", "Scores", "WideScores"]

# A sum of this many products of bytes is below 2 ** 24, so it is exact in float32.
_EXACT_COLUMNS = 256
# The number of products that are computed again at once. With more, they do not stay in the processor's cache.
_PRODUCTS = 1 << 17
# If these products are those of more queries than this, a multiplication for each query would take longer than multiplying row by row.
_RUNS = 8
# The relative errors of an addition or multiplication in float32 and float64.
_ROUNDING, _WIDE_ROUNDING = 2.0**-24, 2.0**-53
# The absolute error of products that are too small for float32, and a number that sums of products must be below.
_TINY, _OVERFLOW = 2.0**-126, 1e38
_ONES = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)


class Scores(Protocol):
    """What computes the scores of some queries.

    Attributes:
        dtype: the type of the scores that `fill` writes.
        itemsize: the bytes that `fill` needs for each number of a vector.
    """

    dtype: type[np.number[Any]]
    itemsize: int

    def fill(self, vectors: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.float64]:
        """Write the scores of a block, and return the bound of their error for each query.

        Args:
            vectors: shape (vectors, dim).
            scores: the output, shape (queries, vectors). A zero vector in floating point gets minus infinity. No score is NaN.
        """


class FloatScores:
    """The inner products with vectors in floating point, with errors.

    Args:
        widen: makes vectors and queries float32, C-contiguous.
        queries: shape (queries, dim).
    """

    dtype: type[np.number[Any]] = np.float32
    itemsize = 4

    def __init__(self, widen: Callable[[NDArray[Any]], NDArray[np.float32]], queries: NDArray[Any]) -> None:
        self._widen = widen
        self._queries = widen(queries)
        self._wide = self._queries.astype(np.float64)
        self._norms = np.sqrt(np.einsum("ij,ij->i", self._wide, self._wide))

    def fill(self, vectors: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.float64]:
        """Write the scores of a block; see `Scores`."""
        matrix = self._widen(vectors)
        with np.errstate(all="ignore"):
            np.matmul(self._queries, matrix.T, out=scores)
            # The norm of the whole block is a bound for those of its vectors, and computing all norms would take twice as long.
            products = self._norms * np.sqrt(float(np.vdot(matrix, matrix)) + matrix.size * _TINY)
            errors: NDArray[np.float64] = 2 * (matrix.shape[1] + 16) * _ROUNDING * products + matrix.shape[1] * _TINY * (self._norms > 0)
        zero = _find_zero(matrix, scores)
        # After an overflow, a score may be wrong in any way. NaN and infinity are such numbers too.
        unknown = np.flatnonzero(~(products < _OVERFLOW))
        if len(unknown):
            exact = np.empty((len(unknown), len(matrix)), np.float32)
            _multiply_exactly(self._wide[unknown], matrix.astype(np.float64), self._norms[unknown], exact)
            exact[np.isnan(exact)] = -np.inf
            scores[unknown], errors[unknown] = exact, 0
        scores[:, zero] = -np.inf
        return errors

    def exactly(self, vectors: NDArray[Any], queries: NDArray[np.uint8], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the exact scores of pairs of a query and a vector, which may be NaN. It is fast if pairs with the same query follow each other.

        Args:
            vectors: shape (vectors, dim), all of them.
            queries: the query of each pair.
            positions: the vector of each pair.
        """
        dim = vectors.shape[1]
        scores = np.empty(len(queries), np.float32)
        step = max(1, _PRODUCTS // dim)
        memory = np.empty((min(step, len(queries)), dim))
        for first in range(0, len(queries), step):
            part = slice(first, first + step)
            asked = queries[part].astype(np.intp)
            matrix = memory[: len(asked)]
            matrix[...] = self._widen(vectors[positions[part]])
            begins = np.append(0, np.flatnonzero(asked[1:] != asked[:-1]) + 1)
            if len(begins) > _RUNS:
                scores[part] = _sum_products(self._wide[asked], matrix)
                continue
            for begin, end in zip(begins, np.append(begins[1:], len(asked)), strict=True):
                query = slice(asked[begin], asked[begin] + 1)
                _multiply_exactly(self._wide[query], matrix[begin:end], self._norms[query], scores[None, first + begin : first + end])
        return scores


class WideScores(FloatScores):
    """The exact inner products with vectors in floating point. They take twice as long as those with errors."""

    itemsize = 8

    def fill(self, vectors: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.float64]:
        """Write the scores of a block; see `Scores`."""
        matrix = self._widen(vectors).astype(np.float64)
        _multiply_exactly(self._wide, matrix, self._norms, scores)
        zero = _find_zero(matrix, scores)
        scores[np.isnan(scores)] = -np.inf
        scores[:, zero] = -np.inf
        return np.zeros(len(scores))


def _multiply_exactly(queries: NDArray[np.float64], matrix: NDArray[np.float64], norms: NDArray[np.float64], scores: NDArray[np.float32]) -> None:
    """Write the exact inner products of queries with the vectors of a matrix, all of them float32 numbers, to `scores`.

    A multiplication of matrices adds in another order than NumPy's sum. If its result plus and minus the bound of both errors is rounded to the same
    float32 number, so is every number between the two, such as NumPy's sum. Other products are computed again, less than one in a hundred.

    Args:
        queries: shape (queries, dim).
        matrix: shape (vectors, dim).
        norms: the norm of each query.
        scores: the output, shape (queries, vectors). It may have NaN.
    """
    step = max(1, _PRODUCTS // matrix.shape[1])
    with np.errstate(all="ignore"):
        squares = np.vdot(matrix, matrix)
        used, others = matrix, np.empty(0, np.intp)
        if not np.isfinite(squares):
            others = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
            used = matrix.copy()
            used[others] = 0
            squares = np.vdot(used, used)
        sums = queries @ used.T
        errors = (2 * (matrix.shape[1] + 16) * _WIDE_ROUNDING * np.sqrt(squares) * norms + _TINY)[:, None]
        np.subtract(sums, errors, out=scores, casting="same_kind")
        sums += errors
        # Zeros are among them, because of their signs. All products of a query with infinity or NaN are, because the bound is not finite.
        unsure: NDArray[Any] = np.asarray(scores != sums.astype(np.float32))
        unsure[:, others] = True
        pairs = np.flatnonzero(unsure)
        for begin in range(0, len(pairs), step):
            rows, columns = np.divmod(pairs[begin : begin + step], len(matrix))
            scores[rows, columns] = _sum_products(queries[rows], matrix[columns])


def _sum_products(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the exact inner product of each row of an array with the same row of another. The first array is overwritten."""
    with np.errstate(all="ignore"):
        first *= second
        sums: NDArray[np.float32] = first.sum(axis=1).astype(np.float32)
    return sums


def _find_zero(matrix: NDArray[Any], scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the positions of the zero vectors of a block."""
    maybe = np.flatnonzero((scores[0] == 0) | np.isnan(scores[0]))
    return maybe[~matrix[maybe].any(axis=1)]


class IntegerScores:
    """The inner products with vectors of int8."""

    itemsize = 4

    def __init__(self, queries: NDArray[Any]) -> None:
        self._queries = queries.astype(np.float32)
        self.dtype: type[np.number[Any]] = np.float32 if queries.shape[1] <= _EXACT_COLUMNS else np.float64

    def fill(self, vectors: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.float64]:
        """Write the scores of a block; see `Scores`."""
        matrix = vectors.astype(np.float32, order="C")
        first, *others = (slice(begin, begin + _EXACT_COLUMNS) for begin in range(0, matrix.shape[1], _EXACT_COLUMNS))
        np.matmul(self._queries[:, first], matrix[:, first].T, out=scores)
        for part in others:
            scores += self._queries[:, part] @ matrix[:, part].T
        return np.zeros(len(scores))


class BitScores:
    """The numbers of different bits, times -1."""

    dtype: type[np.number[Any]] = np.int32
    itemsize = 1

    def __init__(self, queries: NDArray[Any]) -> None:
        self._queries = _as_words(queries)

    def fill(self, vectors: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.float64]:
        """Write the scores of a block; see `Scores`."""
        # One word of all vectors after the other: adding the counts takes a fifth of the time.
        words = np.ascontiguousarray(_as_words(vectors).T)
        for row, query in zip(scores, self._queries, strict=True):
            np.negative(_count_ones(words ^ query[:, None]).sum(axis=0, dtype=np.int32), out=row)
        return np.zeros(len(scores))


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
