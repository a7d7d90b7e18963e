"""Pool: the mean of the rows of each text's tokens.

The rows of a text are added in blocks of `BLOCK` tokens, four at a time within a block. A block is summed in the narrowest type that is exact
enough (int16 for int8 rows, which cannot overflow in a block; float32 otherwise), the blocks in float64. The order is that of the tokens and
depends on nothing else, so a text's vector is the same to the bit wherever it is computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange, types
from numba.extending import overload
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled
from model2vec_numba.pooling.prefetch import prefetch_row
from model2vec_numba.pooling.widen import widen

__all__ = ["BLOCK", "gather_rows", "pool_parallel", "pool_texts"]

# 64 rows of int8 reach at most 64 * 128 = 8,192 in magnitude, and 64 float32 additions, four at a time, err by less than 1e-6 of the sum of
# magnitudes: 512 repeats of one token come out within 2e-7, where one long float32 sum is 1.3e-6 off.
BLOCK = 64

# With fewer dimensions than this a mean can come out far shorter than the rows, and what float32 sums lose then shows after normalising: 3e-6
# on one line of War and Peace with two dimensions. The rows are so short that summing them in float64 costs little.
_FEW_DIMENSIONS = 32


def sum_dtype(matrix):  # type: ignore[no-untyped-def]
    """The type in which rows of `matrix`, unweighted, are summed within a block. For use in compiled code only."""
    raise NotImplementedError("sum_dtype is for compiled code")


@overload(sum_dtype)
def _sum_dtype(matrix):  # type: ignore[no-untyped-def]
    dtype = {types.int8: np.int16, types.float64: np.float64}.get(matrix.dtype, np.float32)
    return lambda matrix: dtype


def narrow(element):  # type: ignore[no-untyped-def]
    """An element of a matrix in the type of `sum_dtype`. For use in compiled code only."""
    raise NotImplementedError("narrow is for compiled code")


@overload(narrow, inline="always")
def _narrow(element):  # type: ignore[no-untyped-def]
    if element == types.int8:
        return lambda element: np.int16(element)
    return lambda element: widen(element)


@compiled()
def pool_texts(
    matrix: NDArray[Any],
    weights: NDArray[np.float32],
    mapping: NDArray[np.int32],
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    normalize: bool,
    first: int,
    last: int,
    out: NDArray[np.float32],
) -> None:
    """Write the vectors of texts ``first`` to ``last - 1`` to their rows of `out`, float32 of shape (texts, dim).

    A vector is the mean over the tokens of ``weights[id] * matrix[mapping[id]]`` (empty `weights` and `mapping` stand for ones and the
    identity), divided by its L2 norm if `normalize`. No tokens, or a zero mean, give zeros.
    """
    dim = matrix.shape[1]
    block = np.empty(dim, sum_dtype(matrix))
    weighted_block = np.empty(dim if len(weights) else 0, np.float32)
    total = np.empty(dim, np.float64)
    rows = np.empty(BLOCK, np.int64)
    for text in range(first, last):
        begin, end = offsets[text], offsets[text + 1]
        if 0 < end - begin <= BLOCK and len(weights) == 0 and dim >= _FEW_DIMENSIONS:
            # Most texts are one block, which needs no total.
            count = end - begin
            for k in range(count):
                rows[k] = mapping[ids[begin + k]] if len(mapping) else ids[begin + k]
            _sum_rows(matrix, rows, count, block)
            _finish(block, count, normalize, out[text])
            continue
        total[:] = 0
        for at in range(begin, end, BLOCK):
            count = min(BLOCK, end - at)
            for k in range(count):
                rows[k] = mapping[ids[at + k]] if len(mapping) else ids[at + k]
            if dim < _FEW_DIMENSIONS:
                _add_exactly(matrix, rows, count, weights, ids[at : at + count], total)
            elif len(weights):
                _sum_weighted(matrix, rows, count, weights, ids[at : at + count], weighted_block)
                for d in range(dim):
                    total[d] += weighted_block[d]
            else:
                _sum_rows(matrix, rows, count, block)
                for d in range(dim):
                    total[d] += block[d]
        _finish(total, end - begin, normalize, out[text])


@njit(error_model="numpy")
def _sum_rows(matrix: NDArray[Any], rows: NDArray[np.int64], count: int, block: NDArray[Any]) -> None:
    """Write the sum of ``matrix[rows[:count]]`` to `block`."""
    # Four rows a pass: the block is read and written a quarter as often as with one.
    fours = count & ~3
    for d in range(len(block)):
        block[d] = 0
    for k in range(0, fours, 4):
        a, b, c, e = matrix[rows[k]], matrix[rows[k + 1]], matrix[rows[k + 2]], matrix[rows[k + 3]]
        for ahead in range(k + 4, min(k + 8, count)):
            prefetch_row(matrix, rows[ahead])
        for d in range(len(block)):
            block[d] += (narrow(a[d]) + narrow(b[d])) + (narrow(c[d]) + narrow(e[d]))
    for k in range(fours, count):
        a = matrix[rows[k]]
        for d in range(len(block)):
            block[d] += narrow(a[d])


@njit(error_model="numpy")
def _sum_weighted(
    matrix: NDArray[Any],
    rows: NDArray[np.int64],
    count: int,
    weights: NDArray[np.float32],
    ids: NDArray[np.int32],
    block: NDArray[np.float32],
) -> None:
    """Write the sum of ``weights[ids[k]] * matrix[rows[k]]`` over ``k < count`` to `block`."""
    fours = count & ~3
    for d in range(len(block)):
        block[d] = 0
    for k in range(0, fours, 4):
        a, b, c, e = matrix[rows[k]], matrix[rows[k + 1]], matrix[rows[k + 2]], matrix[rows[k + 3]]
        u, v, w, x = weights[ids[k]], weights[ids[k + 1]], weights[ids[k + 2]], weights[ids[k + 3]]
        for d in range(len(block)):
            block[d] += np.float32((u * widen(a[d]) + v * widen(b[d])) + (w * widen(c[d]) + x * widen(e[d])))
    for k in range(fours, count):
        a = matrix[rows[k]]
        u = weights[ids[k]]
        for d in range(len(block)):
            block[d] += np.float32(u * widen(a[d]))


@njit(error_model="numpy")
def _add_exactly(
    matrix: NDArray[Any],
    rows: NDArray[np.int64],
    count: int,
    weights: NDArray[np.float32],
    ids: NDArray[np.int32],
    total: NDArray[np.float64],
) -> None:
    """Add ``weights[ids[k]] * matrix[rows[k]]`` for each ``k < count`` to `total`, in float64."""
    for k in range(count):
        weight = np.float64(weights[ids[k]]) if len(weights) else np.float64(1)
        for d in range(len(total)):
            total[d] += weight * np.float64(widen(matrix[rows[k], d]))


@njit(error_model="numpy")
def _finish(total: NDArray[Any], count: int, normalize: bool, vector: NDArray[np.float32]) -> None:
    """Write the mean of `count` rows that sum to `total`, divided by its norm if asked for, to `vector`."""
    divisor = np.float64(max(count, 1))
    if normalize:
        square = _sum_of_squares(total)
        # The norm of the sum serves: the count cancels out.
        divisor = np.sqrt(square) if square > 0 else np.float64(1)
    scale = 1 / divisor
    for d in range(len(total)):
        vector[d] = np.float32(total[d] * scale)


@njit(error_model="numpy")
def _sum_of_squares(values: NDArray[Any]) -> float:
    """The sum of the squares, in float64."""
    # Eight sums side by side, for the compiler to keep in vectors: it may not reorder one sum, which takes four times as long.
    a = b = c = e = f = g = h = i = np.float64(0)
    eights = len(values) & ~7
    for d in range(0, eights, 8):
        a += np.float64(values[d]) * np.float64(values[d])
        b += np.float64(values[d + 1]) * np.float64(values[d + 1])
        c += np.float64(values[d + 2]) * np.float64(values[d + 2])
        e += np.float64(values[d + 3]) * np.float64(values[d + 3])
        f += np.float64(values[d + 4]) * np.float64(values[d + 4])
        g += np.float64(values[d + 5]) * np.float64(values[d + 5])
        h += np.float64(values[d + 6]) * np.float64(values[d + 6])
        i += np.float64(values[d + 7]) * np.float64(values[d + 7])
    for d in range(eights, len(values)):
        a += np.float64(values[d]) * np.float64(values[d])
    return ((a + b) + (c + e)) + ((f + g) + (h + i))


@compiled(parallel=True)
def pool_parallel(
    matrix: NDArray[Any],
    weights: NDArray[np.float32],
    mapping: NDArray[np.int32],
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    normalize: bool,
    segments: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """`pool_texts` in parallel: segment ``s`` is texts ``segments[s]`` to ``segments[s + 1] - 1``."""
    for segment in prange(len(segments) - 1):
        pool_texts(matrix, weights, mapping, ids, offsets, normalize, segments[segment], segments[segment + 1], out)


@compiled()
def gather_rows(
    matrix: NDArray[Any],
    weights: NDArray[np.float32],
    mapping: NDArray[np.int32],
    ids: NDArray[np.int32],
    out: NDArray[np.float32],
) -> None:
    """Write ``weights[id] * matrix[mapping[id]]`` for each of `ids` to its row of `out`, float32 of shape (ids, dim)."""
    for at in range(len(ids)):
        token = ids[at]
        row = matrix[mapping[token] if len(mapping) else token]
        weight = weights[token] if len(weights) else np.float32(1)
        for d in range(out.shape[1]):
            out[at, d] = weight * widen(row[d])
