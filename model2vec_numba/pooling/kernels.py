"""Pool: the mean of the rows of each text's tokens.

The rows of a text are added in blocks of `BLOCK` tokens, and within a block as `sum_columns` does. A block is summed in the narrowest type that
is exact enough (int16 for int8 rows, which cannot overflow in a block; float32 otherwise), the blocks of a part of `PART` tokens in float64, and so
the parts. The order is that of the tokens and depends on nothing else, so a text's vector is the same to the bit wherever it is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange, types
from numba.extending import overload
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.pooling.sums import (
    FETCHED,
    FLOAT_STRETCHES,
    INTEGER_STRETCHES,
    MEDIUM,
    NARROW,
    SINGLE,
    columns_before,
    sum_columns,
    sum_of_squares,
)
from model2vec_numba.pooling.widen import widen
from model2vec_numba.threads import claim
from model2vec_numba.words import CACHE_LINE

__all__ = ["BLOCK", "PART", "gather_rows", "make_sum_rows", "pool_parallel", "pool_texts"]

# 64 rows of int8 reach at most 64 * 128 = 8,192 in magnitude, and 64 float32 additions, four at a time, err by less than 1e-6 of the sum of
# magnitudes: 512 repeats of one token come out within 2e-7, where one long float32 sum is 1.3e-6 off.
BLOCK = 64

# Parts of a long text are summed by several threads. A multiple of `BLOCK`.
PART = 4096

# How many tokens ahead rows are fetched, so that they are there when their turn comes. 16 to 32 are alike, with 64 they are pushed out again.
_AHEAD = 24

# With fewer dimensions than this a mean can come out far shorter than the rows, and what float32 sums lose then shows after normalising: 3e-6
# on one line of War and Peace with two dimensions. The rows are so short that summing them in float64 costs little.
_FEW_DIMENSIONS = 32


def sum_dtype(matrix, factors):  # type: ignore[no-untyped-def]
    """The type in which rows of `matrix` times `factors`, which may be ``None``, are summed within a block. For use in compiled code only."""
    raise NotImplementedError("sum_dtype is for compiled code")


@overload(sum_dtype)
def _sum_dtype(matrix, factors):  # type: ignore[no-untyped-def]
    dtype: type[np.number[Any]] = np.float64 if matrix.dtype == types.float64 else np.float32
    if matrix.dtype == types.int8 and not isinstance(factors, types.Array):
        dtype = np.int16
    return lambda matrix, factors: dtype


@compiled()
def pool_texts(
    matrix: NDArray[Any],
    weights: NDArray[np.float32] | None,
    mapping: NDArray[np.int32],
    scale: float,
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    normalize: bool,
    first: int,
    last: int,
    longest: int,
    out: NDArray[np.float32],
) -> None:
    """Write the vectors of texts ``first`` to ``last - 1`` to their rows of `out`, float32 of shape (texts, dim).

    A vector is the mean over the tokens of ``scale * weights[id] * matrix[mapping[id]]`` (no `weights` stand for ones, an empty `mapping` for the
    identity; `scale` is positive), divided by its L2 norm if `normalize`. No tokens, or a zero mean, give zeros. Texts of more than `longest`
    tokens are passed over.
    """
    dim = matrix.shape[1]
    # What is behind the last text's is not worth fetching.
    ids = ids[: offsets[len(offsets) - 1]]
    around = _columns_around(matrix)
    block = np.empty(around[0] + dim + around[1], sum_dtype(matrix, weights))[around[0] : around[0] + dim]
    part = np.empty(dim, np.float64)
    total = np.empty(dim, np.float64)
    rows = np.empty(BLOCK, np.int64)
    ahead = np.empty(BLOCK, np.int64)
    factors = np.empty(BLOCK, np.float32)
    for text in range(first, last):
        begin, end = offsets[text], offsets[text + 1]
        if end - begin > longest:
            continue
        if weights is None and 0 < end - begin <= BLOCK and dim >= _FEW_DIMENSIONS:
            # Most texts are one block, which needs no total.
            _find_rows(ids, begin, end - begin, mapping, rows, ahead)
            _sum_rows(matrix, rows, ahead, end - begin, None, around, block)
            _finish(block, end - begin, normalize, scale, out[text])
            continue
        total[:] = 0
        for at in range(begin, end, PART):
            _sum_part(matrix, weights, mapping, ids, at, min(at + PART, end), around, block, rows, ahead, factors, part)
            for d in range(dim):
                total[d] += part[d]
        _finish(total, end - begin, normalize, scale, out[text])


@compiled()
def sum_part(
    matrix: NDArray[Any],
    weights: NDArray[np.float32] | None,
    mapping: NDArray[np.int32],
    ids: NDArray[np.int32],
    begin: int,
    end: int,
    part: NDArray[np.float64],
) -> None:
    """Write the sum of the rows of ``ids[begin:end]``, at most `PART`, to `part`, float64 of shape (dim,)."""
    dim = matrix.shape[1]
    around = _columns_around(matrix)
    block = np.empty(around[0] + dim + around[1], sum_dtype(matrix, weights))[around[0] : around[0] + dim]
    rows = np.empty(BLOCK, np.int64)
    ahead = np.empty(BLOCK, np.int64)
    factors = np.empty(BLOCK, np.float32)
    _sum_part(matrix, weights, mapping, ids, begin, end, around, block, rows, ahead, factors, part)


@inner
def _sum_part(
    matrix: NDArray[Any],
    weights: NDArray[np.float32] | None,
    mapping: NDArray[np.int32],
    ids: NDArray[np.int32],
    begin: int,
    end: int,
    around: tuple[int, int],
    block: NDArray[Any],
    rows: NDArray[np.int64],
    ahead: NDArray[np.int64],
    factors: NDArray[np.float32],
    part: NDArray[np.float64],
) -> None:
    """What `sum_part` does, with room for a block's sums, rows and factors."""
    part[:] = 0
    for at in range(begin, end, BLOCK):
        count = min(BLOCK, end - at)
        _find_rows(ids, at, count, mapping, rows, ahead)
        for k in range(count):
            factors[k] = _weight(weights, ids[at + k])
        if len(part) < _FEW_DIMENSIONS:
            _add_exactly(matrix, rows, count, factors, part)
            continue
        if weights is None:
            _sum_rows(matrix, rows, ahead, count, None, around, block)
        else:
            _sum_rows(matrix, rows, ahead, count, factors, around, block)
        for d in range(len(part)):
            part[d] += block[d]


@inner
def _weight(weights: NDArray[np.float32] | None, token: int) -> np.float32:
    """The factor of a token's row."""
    return np.float32(1) if weights is None else weights[token]


@inner
def _find_rows(ids: NDArray[np.int32], first: int, count: int, mapping: NDArray[np.int32], rows: NDArray[np.int64], ahead: NDArray[np.int64]) -> None:
    """Write the rows of ``ids[first:first + count]`` to `rows`, and those of the ids `_AHEAD` later to `ahead`."""
    for k in range(count):
        token, later = ids[first + k], ids[min(first + k + _AHEAD, len(ids) - 1)]
        rows[k] = mapping[token] if len(mapping) else token
        ahead[k] = mapping[later] if len(mapping) else later


@inner
def _columns_around(matrix: NDArray[Any]) -> tuple[int, int]:
    """How many elements stand before a row in its first cache line, as `columns_before` says, and behind it in its last; none if none before."""
    before = columns_before(matrix)
    line = CACHE_LINE // matrix.itemsize
    return before, (line - (before + matrix.shape[1]) % line) % line if before else 0


def _sum_rows(matrix, rows, ahead, count, factors, around, block):  # type: ignore[no-untyped-def]
    """Write the sum of ``factors[k] * matrix[rows[k]]`` over ``k < count`` to `block`; `factors` may be ``None`` for ones.

    In the memory before `block` and behind it, `around` says how many elements, sums of what stands around the rows are written. For use in
    compiled code only.
    """
    raise NotImplementedError("_sum_rows is for compiled code")


@overload(_sum_rows)
def _overload_sum_rows(matrix, rows, ahead, count, factors, around, block):  # type: ignore[no-untyped-def]
    sum_floats = _sum_wide_floats if isinstance(matrix.dtype, types.Float) else _sum_floats
    sum_rows = _sum_integers if isinstance(block.dtype, types.Integer) else sum_floats
    return lambda matrix, rows, ahead, count, factors, around, block: sum_rows(matrix, rows, ahead, count, factors, around, block)


def make_sum_rows(wider: int, wide: int, fetched: int) -> Callable[..., None]:
    """What `_sum_rows` does, so many columns at a time, with the memory of so many fetched together. The sums do not depend on how many."""

    @inner
    def sum_rows(
        matrix: NDArray[Any],
        rows: NDArray[np.int64],
        ahead: NDArray[np.int64],
        count: int,
        factors: NDArray[np.float32] | None,
        around: tuple[int, int],
        block: NDArray[Any],
    ) -> None:
        column, end = -around[0], len(block) + around[1]
        if end - column >= wide and (end - column) % wide >= wider - wide:
            sum_columns(matrix, rows, ahead, count, column, wider, wider, factors, block)
            column += wider
        while end - column >= fetched:
            sum_columns(matrix, rows, ahead, count, column, wide, fetched, factors, block)
            column += wide
            for _ in range(fetched // wide - 1):
                sum_columns(matrix, rows, ahead, count, column, wide, 0, factors, block)
                column += wide
        if end - column >= wide:
            sum_columns(matrix, rows, ahead, count, column, wide, wide, factors, block)
            column += wide
        if end - column >= MEDIUM:
            sum_columns(matrix, rows, ahead, count, column, MEDIUM, MEDIUM, factors, block)
            column += MEDIUM
        for _ in range((end - column) // NARROW):
            sum_columns(matrix, rows, ahead, count, column, NARROW, NARROW, factors, block)
            column += NARROW
        if column < end and end >= NARROW:
            # Some columns again, with the same result: still less than singly.
            sum_columns(matrix, rows, ahead, count, end - NARROW, NARROW, NARROW, factors, block)
            column = end
        for _ in range(end - column):
            sum_columns(matrix, rows, ahead, count, column, SINGLE, SINGLE, factors, block)
            column += SINGLE

    return sum_rows


_sum_floats = make_sum_rows(*FLOAT_STRETCHES, FETCHED * FLOAT_STRETCHES[1])
_sum_wide_floats = make_sum_rows(*FLOAT_STRETCHES, FLOAT_STRETCHES[1])
_sum_integers = make_sum_rows(*INTEGER_STRETCHES, FETCHED * INTEGER_STRETCHES[1])


@inner
def _add_exactly(matrix: NDArray[Any], rows: NDArray[np.int64], count: int, factors: NDArray[np.float32], total: NDArray[np.float64]) -> None:
    """Add ``factors[k] * matrix[rows[k]]`` for each ``k < count`` to `total`, in float64."""
    for k in range(count):
        for d in range(len(total)):
            total[d] += np.float64(factors[k]) * np.float64(widen(matrix[rows[k], d]))


@inner
def _finish(total: NDArray[Any], count: int, normalize: bool, scale: float, vector: NDArray[np.float32]) -> None:
    """Write the mean of `count` rows that sum to `total`, times `scale`, or if asked for divided by its norm, to `vector`."""
    factor = scale / max(count, 1)
    if normalize:
        square = sum_of_squares(total)
        # The norm of the sum serves: the count and the scale cancel out.
        factor = 1 / np.sqrt(square) if square > 0 else np.float64(1)
    for d in range(len(total)):
        vector[d] = np.float32(total[d] * factor)


@compiled(parallel=True)
def pool_parallel(
    matrix: NDArray[Any],
    weights: NDArray[np.float32] | None,
    mapping: NDArray[np.int32],
    scale: float,
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    normalize: bool,
    segments: NDArray[np.int64],
    long_texts: NDArray[np.int64],
    workers: int,
    out: NDArray[np.float32],
) -> None:
    """`pool_texts` by `workers` threads: segment ``s`` is texts ``segments[s]`` to ``segments[s + 1] - 1``.

    `long_texts` are those of more than `PART` tokens, which all threads work on together.
    """
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        segment = claim(counter)
        while segment < len(segments) - 1:
            pool_texts(matrix, weights, mapping, scale, ids, offsets, normalize, segments[segment], segments[segment + 1], PART, out)
            segment = claim(counter)
    for text in long_texts:
        begin, end = offsets[text], offsets[text + 1]
        parts = np.empty(((end - begin + PART - 1) // PART, matrix.shape[1]), np.float64)
        counter[0] = 0
        for _ in prange(workers):
            part = claim(counter)
            while part < len(parts):
                at = begin + part * PART
                sum_part(matrix, weights, mapping, ids, at, min(at + PART, end), parts[part])
                part = claim(counter)
        total = np.zeros(matrix.shape[1], np.float64)
        for part in range(len(parts)):
            for d in range(len(total)):
                total[d] += parts[part, d]
        _finish(total, end - begin, normalize, scale, out[text])


@compiled()
def gather_rows(
    matrix: NDArray[Any],
    weights: NDArray[np.float32] | None,
    mapping: NDArray[np.int32],
    scale: float,
    ids: NDArray[np.int32],
    out: NDArray[np.float32],
) -> None:
    """Write ``scale * weights[id] * matrix[mapping[id]]`` for each of `ids` to its row of `out`, float32 of shape (ids, dim)."""
    for at in range(len(ids)):
        token = ids[at]
        row = matrix[mapping[token] if len(mapping) else token]
        factor = np.float32(scale) * _weight(weights, token)
        for d in range(out.shape[1]):
            out[at, d] = factor * widen(row[d])
