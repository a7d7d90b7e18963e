"""Pool without compiled code: the vectors of `pooling/kernels.py`, to the bit.

Every sum has the order of the kernels, which `pooling/kernels.py` and `pooling/row_sums.py` describe. NumPy adds the rows of many texts at once:
first the first rows of all texts, then the second rows, and so on. The constants are repeated here, because the files of the kernels import numba,
which takes as long as everything else before the first vector. A test compares them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TokenBatch
from model2vec_numba.pooling.table import EmbeddingTable

__all__ = ["pool_plainly", "rows_plainly"]

# The constants of the kernels: the tokens of a block and of a chunk, and the dimensions below which rows are summed in float64.
BLOCK, CHUNK, FEW_DIMENSIONS = 64, 4096, 32
# Squares are summed in four registers of eight float64 numbers.
REGISTERS, LANES = 4, 8
# About how many numbers are summed at a time, so that they stay in the caches of the processor.
_NUMBERS_AT_ONCE = 1 << 19


def pool_plainly(table: EmbeddingTable, tokens: TokenBatch, normalize: bool, out: NDArray[np.float32]) -> None:
    """Write the vector of each text of `tokens` to its row of `out`, float32 of shape (texts, dim).

    If `out` has fewer columns than the table, the vectors are those of a table that has only these columns.
    """
    most = max(BLOCK, _NUMBERS_AT_ONCE // out.shape[1])
    offsets = tokens.offsets
    # NaN and infinity are values like others.
    with np.errstate(all="ignore"):
        first = 0
        while first < len(tokens):
            last = max(first + 1, int(offsets.searchsorted(offsets[first] + most, side="right")) - 1)
            last = min(last, first + most, len(tokens))
            _pool(table, tokens.ids, offsets[first : last + 1], normalize, out[first:last])
            first = last


def rows_plainly(table: EmbeddingTable, ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the weighted row of each of `ids`, float32 of shape (ids, dim)."""
    with np.errstate(all="ignore"):
        factors = np.float32(table.scale) * (np.float32(1) if table.factors is None else table.factors[ids])[..., None]
        return (factors * _widened(table, table.dim, _rows(table, ids))).astype(np.float32)  # type: ignore[no-any-return]


def _rows(table: EmbeddingTable, ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the number of the row of each id."""
    return np.take(table.mapping, ids) if len(table.mapping) else ids


def _widened(table: EmbeddingTable, dim: int, rows: NDArray[np.int32]) -> NDArray[Any]:
    """Return the first `dim` numbers of rows of the matrix as float32, or as float64 if the matrix is float64. int8 without weights becomes int16."""
    stored = table.matrix[:, :dim][rows]
    if table.dtype == "bfloat16":
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)  # type: ignore[no-any-return]
    if table.dtype == "int8" and table.factors is None:
        return stored.astype(np.int16)
    return stored if table.dtype == "float64" else stored.astype(np.float32, copy=False)


def _pool(table: EmbeddingTable, ids: NDArray[np.int32], offsets: NDArray[np.int64], normalize: bool, out: NDArray[np.float32]) -> None:
    """Write the vectors of consecutive texts, of which text ``i`` has ``ids[offsets[i]:offsets[i + 1]]``."""
    counts = np.diff(offsets)
    dim = out.shape[1]
    if int(counts.max(initial=0)) <= BLOCK and dim >= FEW_DIMENSIONS:
        _finish(_sum_blocks(table, dim, ids, offsets[:-1], counts), counts, normalize, table.scale, out)
        return
    # A long text is summed alone.
    for text, (begin, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        total = _sum_long(table, dim, ids[begin:end])
        _finish(total[None], counts[text : text + 1], normalize, table.scale, out[text : text + 1])


def _sum_long(table: EmbeddingTable, dim: int, ids: NDArray[np.int32]) -> NDArray[Any]:
    """Return the sum of the first `dim` numbers of the rows of any number of ids, shape (dim,)."""
    if len(ids) <= BLOCK and dim >= FEW_DIMENSIONS:
        return _sum_blocks(table, dim, ids, np.zeros(1, np.int64), np.full(1, len(ids)))[0]  # type: ignore[no-any-return]
    total = np.zeros(dim, np.float64)
    for begin in range(0, len(ids), CHUNK):
        some = ids[begin : begin + CHUNK]
        chunk = np.zeros(dim, np.float64)
        if dim < FEW_DIMENSIONS:
            parts = _widened(table, dim, _rows(table, some)).astype(np.float64)
            if table.factors is not None:
                parts = table.factors[some].astype(np.float64)[:, None] * parts
        else:
            begins = np.arange(0, len(some), BLOCK)
            parts = _sum_blocks(table, dim, some, begins, np.minimum(BLOCK, len(some) - begins))
        for part in parts:
            chunk += part
        total += chunk
    return total


def _sum_blocks(table: EmbeddingTable, dim: int, ids: NDArray[np.int32], begins: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[Any]:
    """Return the sums of the rows of blocks, cut to `dim` numbers, shape (blocks, dim).

    Block ``i`` has ``ids[begins[i]:begins[i] + counts[i]]``, at most `BLOCK` ids. The kernels add four rows at a time, as
    ``sum += (a + b) + (c + d)``, and the last ones singly.
    """
    if len(counts) == 1:
        return _sum_block(_weighted(table, dim, ids[int(begins[0]) : int(begins[0] + counts[0])]))[None]
    order = np.argsort(-counts, kind="stable")
    begins, counts = begins[order], counts[order]
    fours, singles = counts // 4, counts % 4
    sums = np.zeros((len(counts), dim), _sum_type(table))
    # The blocks are in the order of their lengths, so those that have one more group are always the first ones.
    for group in range(int(fours.max(initial=0))):
        blocks = int(np.count_nonzero(fours > group))
        at = begins[:blocks] + 4 * group
        a, b, c, d = (_weighted(table, dim, ids[at + k]) for k in range(4))
        a += b
        c += d
        a += c
        sums[:blocks] += a
    for single in range(3):
        blocks_with_one = np.flatnonzero(singles > single)
        if len(blocks_with_one):
            sums[blocks_with_one] += _weighted(table, dim, ids[begins[blocks_with_one] + 4 * fours[blocks_with_one] + single])
    result = np.empty_like(sums)
    result[order] = sums
    return result


def _sum_block(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of the rows of one block, shape (dim,), with few calls of NumPy. A single text takes half the time of `_sum_blocks`."""
    whole = len(rows) // 4 * 4
    fours = rows[:whole].reshape(-1, 4, rows.shape[1])
    parts = np.concatenate([(fours[:, 0] + fours[:, 1]) + (fours[:, 2] + fours[:, 3]), rows[whole:]])
    # `accumulate` adds one after the other. The kernels begin with 0, which makes a sum of negative zeros positive.
    return np.add.accumulate(parts)[-1] + parts.dtype.type(0) if len(parts) else np.zeros(rows.shape[1], rows.dtype)


def _sum_type(table: EmbeddingTable) -> type[np.number[Any]]:
    """Return the type in which a block is summed. int8 without weights is summed in int16, which is exact."""
    if table.dtype == "int8" and table.factors is None:
        return np.int16
    return np.float64 if table.dtype == "float64" else np.float32


def _weighted(table: EmbeddingTable, dim: int, ids: NDArray[np.int32]) -> NDArray[Any]:
    """Return the first `dim` numbers of each id's row, times its weight, in the type in which blocks are summed. It is a new array."""
    rows = _widened(table, dim, _rows(table, ids))
    if table.factors is not None:
        rows *= table.factors[ids].astype(rows.dtype)[:, None]
    return rows


def _finish(sums: NDArray[Any], counts: NDArray[np.int64], normalize: bool, scale: float, out: NDArray[np.float32]) -> None:
    """Write the mean of ``counts[i]`` rows, whose sum is ``sums[i]``, to ``out[i]``: divided by its norm if `normalize`, else times `scale`."""
    wide = sums.astype(np.float64)
    if normalize:
        squares = _sums_of_squares(wide)
        # The comparison is false for NaN, as in the kernels.
        factors = np.where(squares > 0, 1 / np.sqrt(squares), 1.0)
    else:
        factors = scale / np.maximum(counts, 1)
    wide *= factors[:, None]
    out[...] = wide


def _sums_of_squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of the squares of each row, in the order of the kernels' registers."""
    squares = values * values
    step = REGISTERS * LANES
    whole = squares.shape[1] // step * step
    steps = squares[:, :whole].reshape(len(squares), -1, REGISTERS, LANES)
    if len(squares) == 1 and whole:
        totals = np.add.accumulate(steps, axis=1)[:, -1]
    else:
        totals = np.zeros((len(squares), REGISTERS, LANES), np.float64)
        for k in range(steps.shape[1]):
            totals += steps[:, k]
    # The registers are added pairwise, and then the numbers of the last register.
    registers = totals.transpose(1, 0, 2)
    registers = registers[0::2] + registers[1::2]
    lanes = (registers[0] + registers[1]).T
    while len(lanes) > 1:
        lanes = lanes[0::2] + lanes[1::2]
    total: NDArray[np.float64] = lanes[0].copy()
    for column in range(whole, squares.shape[1]):
        total += squares[:, column]
    return total
