"""Pool: compute the mean of the rows of each text's tokens.

The rows of a text are added in blocks of `BLOCK` tokens, in the order that `sum_columns` describes. A block is summed in the smallest type that is
exact enough: int16 for int8 rows, because a block of them cannot overflow it, else float32. The sums of blocks are added in float64, first within a
chunk of `CHUNK` tokens and then over the chunks. This order depends only on the text itself. So the vector of a text is always the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import prange, types
from numba.extending import overload
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from model2vec_numba.batches import TokenBatch
from model2vec_numba.jit.atomics import fetch_and_increment
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.pointers import address_of, call_address
from model2vec_numba.jit.simd import CACHE_LINE
from model2vec_numba.jit.stack import stack_array
from model2vec_numba.parallel.workers import parallel_for_each
from model2vec_numba.pooling.half import to_float
from model2vec_numba.pooling.row_sums import (
    AHEAD,
    FLOAT_TILES,
    INTEGER_TILES,
    MEDIUM_TILE,
    NARROW_FLOAT_TILES,
    PREFETCHED_TILES,
    SINGLE_COLUMN,
    SMALL_TILE,
    columns_before,
    sum_columns,
    sum_of_squares,
)
from model2vec_numba.pooling.table import EmbeddingTable

__all__ = [
    "BLOCK",
    "CHUNK",
    "PARALLEL_TOKENS",
    "gather_rows",
    "make_sum_rows",
    "pool",
    "pool_address",
    "pool_long_text",
    "pool_texts",
    "pool_through",
    "rows",
]

# The sum of 64 rows of int8 is at most 64 * 128 = 8,192 in magnitude. 64 float32 additions, four at a time, have an error of less than 1e-6 of the
# sum of magnitudes. With blocks, the mean of 512 repeats of one token has an error of 2e-7. In one long float32 sum it is 1.3e-6.
BLOCK = 64

# The number of tokens of a chunk, a multiple of `BLOCK`. Several threads sum the chunks of a long text.
CHUNK = 4096

# Numba's threads pool a text of at least this many tokens, where they are as fast as the package's threads. libgomp's threads spin: beside other
# processes, a text of 131,072 tokens took 26 ms with them and 2.6 ms with the package's.
PARALLEL_TOKENS = 1 << 20

# The number of chunks that one of the package's threads takes at once: a millisecond of work.
_CHUNKS_AT_ONCE = 8

# The number of chunks that numba's threads get at once: a tenth of a second. Ctrl-C is noticed in between.
_PARALLEL_CHUNKS_AT_ONCE = 2048

# With fewer dimensions than this, the norm of a mean can be much smaller than the norms of the rows, and normalising then magnifies the rounding
# errors of float32 sums: 3e-6 on one line of War and Peace with two dimensions. So such rows are summed in float64, which takes little time, because
# they have few elements.
_FEW_DIMENSIONS = 32

# The row of each token of a block, and the rows after it to prefetch.
_BLOCK_ROWS = BLOCK + AHEAD

# Sums of at most this many columns are on the stack, where they have at most 2.3 kB.
_STACK_COLUMNS = 288


def pool(table: EmbeddingTable, tokens: TokenBatch, normalize: bool, out: NDArray[np.float32]) -> None:
    """Write the vector of each text of `tokens` to its row of `out`, float32 of shape (texts, dim).

    If `out` has fewer columns than the table, the vectors are those of a table that has only these columns, to the bit.
    """
    arrays = (table.elements, table.factors, table.mapping, table.scale, tokens.ids, tokens.offsets)
    pool_texts(*arrays, normalize, 0, len(tokens), out, _NO_SUMS, 0, 0)


def pool_through(table: EmbeddingTable, tokens: TokenBatch, normalize: bool, dim: int, writer: int, form: int) -> None:
    """Pool the texts of `tokens` as `pool` does, with a function that writes the vectors; see `pool_texts`. `dim`: the number of dimensions."""
    arrays = (table.elements, table.factors, table.mapping, table.scale, tokens.ids, tokens.offsets)
    pool_texts(*arrays, normalize, 0, len(tokens), np.empty((0, dim), np.float32), _NO_SUMS, writer, form)


def pool_address(table: EmbeddingTable) -> int | None:
    """Return the address of `pool_texts` for a table. ``None`` if this version of numba has no way to get it."""
    arrays = (table.elements, table.factors, table.mapping, table.scale, np.empty(0, np.int32), np.zeros(1, np.int64))
    return address_of(pool_texts, (*arrays, False, 0, 0, _NO_VECTORS, _NO_SUMS, 0, 0))


def pool_long_text(table: EmbeddingTable, ids: NDArray[np.int32], normalize: bool, vector: NDArray[np.float32], threads: int) -> None:
    """Write the vector of a text with the token ids `ids` to `vector`, float32 of shape (dim,) or shorter. `threads` threads work on it.

    Only one thread of the process may call this with several `threads` at a time. The result equals the result of `pool` to the bit.
    """
    offsets = np.append(np.arange(0, max(len(ids), 1), CHUNK), len(ids))
    sums = np.empty((len(offsets) - 1, len(vector)), np.float64)
    arrays = (table.factors, table.mapping, table.scale, ids, offsets)
    address = None
    if len(ids) >= PARALLEL_TOKENS and threads > 1:
        address = pool_address(table)
    if address is None:

        def sum_some(first: int) -> None:
            pool_texts(table.elements, *arrays, False, first, min(first + _CHUNKS_AT_ONCE, len(sums)), _NO_VECTORS, sums, 0, 0)

        parallel_for_each(sum_some, range(0, len(sums), _CHUNKS_AT_ONCE), threads)
    else:
        # The same memory as an array of bytes, so that the parallel kernel is compiled once and not for each storage type.
        elements = table.elements
        as_bytes = as_strided(elements.view(np.int8), elements.shape, elements.strides, writeable=False)
        before = numba.get_num_threads()
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        try:
            for first in range(0, len(sums), _PARALLEL_CHUNKS_AT_ONCE):
                last = first + _PARALLEL_CHUNKS_AT_ONCE
                sum_chunks(address, as_bytes, *arrays[:-1], offsets[first : last + 1], _NO_VECTORS, threads, sums[first:last])
        finally:
            numba.set_num_threads(before)
    finish_sums(sums, len(ids), normalize, table.scale, vector)


def rows(table: EmbeddingTable, ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the weighted row of each of `ids`, float32 of shape (ids, dim)."""
    out = np.empty((len(ids), table.dim), np.float32)
    gather_rows(table.elements, table.factors, table.mapping, table.scale, ids, out)
    return out


_NO_SUMS = np.empty((0, 0), np.float64)
_NO_VECTORS = np.empty((0, 0), np.float32)


def sum_dtype(matrix, factors):  # type: ignore[no-untyped-def]
    """Return the type in which a block of rows is summed. `factors`: the weights, or ``None`` for ones. Only for compiled code."""
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
    out: NDArray[np.float32],
    sums: NDArray[np.float64],
    writer: int,
    form: int,
) -> None:
    """Write the vectors of texts ``first`` to ``last - 1`` to their rows of `out`, float32 of shape (texts, dim).

    A vector is the mean over the tokens of ``scale * weights[id] * matrix[mapping[id]]``, divided by its L2 norm if `normalize`. A text without
    tokens, or with a zero mean, has the zero vector. If `dim` is smaller than the number of columns of the matrix, the other columns do not count.

    Args:
        matrix: shape (rows, dim or more), C-contiguous, read-only; see `EmbeddingTable.elements`.
        weights: float32, shape (tokens,), or ``None`` for ones.
        mapping: int32, shape (tokens,), or empty for the identity.
        scale: a positive factor of all rows.
        ids, offsets: see `TokenBatch`. Every id must have a weight and a row.
        normalize: whether to divide by the norm.
        first, last: the numbers of the first text and of the text after the last one.
        out: float32, shape (texts, dim), output, unless `sums` has rows. With a `writer`, shape (0, dim).
        sums: float64, shape (texts, dim) or (0, dim), output. If it has rows, the sums of the texts, without the scale, are written to it, and
            nothing is written to `out`. The texts must then have at most `CHUNK` tokens.
        writer: 0, or the address of a kernel that writes each vector in another form. It gets the address of the sum of the rows, the size of an
            element of the sum (2 for int16, 4 for float32, 8 for float64), the factor that makes the vector of the sum, `form`, and the number of
            the text. All are numbers, because passing arrays takes as long as the writing.
        form: a number for the writer.
    """
    dim = sums.shape[1] if len(sums) > 0 else out.shape[1]
    # There may be more ids after the ids of the last text, which have no meaning.
    ids = ids[: offsets[len(offsets) - 1]]
    margins = _margins(matrix, dim)
    # Making these arrays, and the next two, with `np.empty` took longer than adding the rows of a short text.
    width = margins[0] + dim + margins[1]
    whole_block = stack_array(_STACK_COLUMNS, sum_dtype(matrix, weights))
    if width > _STACK_COLUMNS:
        whole_block = np.empty(width, sum_dtype(matrix, weights))
    block = whole_block[margins[0] : margins[0] + dim]
    rows, factors = stack_array(_BLOCK_ROWS, np.int32), stack_array(BLOCK, np.float32)
    # Only texts of more than a block need these.
    chunk = total = stack_array(0, np.float64)
    for text in range(first, last):
        begin, end = offsets[text], offsets[text + 1]
        if 0 < end - begin <= BLOCK and dim >= _FEW_DIMENSIONS and len(sums) == 0:
            # Most texts have one block, so no total is needed.
            _sum_block(matrix, weights, mapping, ids, begin, end - begin, margins, rows, factors, block)
            _write(block, end - begin, normalize, scale, out, writer, form, text)
            continue
        if len(total) != dim:
            chunk, total = np.empty(dim, np.float64), np.empty(dim, np.float64)
        total[:] = 0
        for at in range(begin, end, CHUNK):
            _sum_chunk(matrix, weights, mapping, ids, at, min(at + CHUNK, end), margins, block, rows, factors, chunk)
            for d in range(dim):
                total[d] += chunk[d]
        if len(sums) > 0:
            # A loop, because numba compiles an assignment of arrays with the text of an error message, which takes three seconds.
            for d in range(dim):
                sums[text, d] = total[d]
        else:
            _write(total, end - begin, normalize, scale, out, writer, form, text)


@inner
def _sum_chunk(
    matrix: NDArray[Any],
    weights: NDArray[np.float32] | None,
    mapping: NDArray[np.int32],
    ids: NDArray[np.int32],
    begin: int,
    end: int,
    margins: tuple[int, int],
    block: NDArray[Any],
    rows: NDArray[np.int32],
    factors: NDArray[np.float32],
    chunk: NDArray[np.float64],
) -> None:
    """Write the sum of the weighted rows of ``ids[begin:end]`` to `chunk`, float64 of shape (dim,). The other arrays are memory to work in."""
    chunk[:] = 0
    for at in range(begin, end, BLOCK):
        count = min(BLOCK, end - at)
        if len(chunk) < _FEW_DIMENSIONS:
            _add_exactly(matrix, weights, mapping, ids, at, count, chunk)
            continue
        _sum_block(matrix, weights, mapping, ids, at, count, margins, rows, factors, block)
        for d in range(len(chunk)):
            chunk[d] += block[d]


@inner
def _weight(weights: NDArray[np.float32] | None, token: int) -> np.float32:
    """Return the factor of a token's row."""
    return np.float32(1) if weights is None else weights[token]


@inner
def _sum_block(
    matrix: NDArray[Any],
    weights: NDArray[np.float32] | None,
    mapping: NDArray[np.int32],
    ids: NDArray[np.int32],
    first: int,
    count: int,
    margins: tuple[int, int],
    rows: NDArray[np.int32],
    factors: NDArray[np.float32],
    block: NDArray[Any],
) -> None:
    """Write the sum of the weighted rows of ``ids[first:first + count]`` to `block`; see `_sum_rows`. `rows` and `factors` are memory to work in."""
    at = first
    if len(mapping) == 0 and first + count + AHEAD <= len(ids):
        rows = ids
    else:
        at = 0
        _find_rows(mapping, ids, first, count + AHEAD, rows)
    if weights is None:
        _sum_rows(matrix, rows, at, count, None, margins, block)
    else:
        for k in range(count):
            factors[k] = weights[ids[first + k]]
        _sum_rows(matrix, rows, at, count, factors, margins, block)


@inner
def _find_rows(mapping: NDArray[np.int32], ids: NDArray[np.int32], first: int, count: int, rows: NDArray[np.int32]) -> None:
    """Write the rows of ``ids[first:first + count]`` to `rows`. The last id stands for those after it."""
    for k in range(count):
        token = ids[min(first + k, len(ids) - 1)]
        rows[k] = mapping[token] if len(mapping) else token


def _columns_per_line(matrix):  # type: ignore[no-untyped-def]
    """Return the number of elements of a matrix in a cache line. Only for compiled code."""
    raise NotImplementedError("_columns_per_line is for compiled code")


@overload(_columns_per_line)
def _overload_columns_per_line(matrix):  # type: ignore[no-untyped-def]
    # The width comes from the type, and not from `matrix.itemsize`, which is wrong for the array that `sum_chunks` passes.
    columns = 8 * CACHE_LINE // matrix.dtype.bitwidth
    return lambda matrix: columns


@inner
def _margins(matrix: NDArray[Any], dim: int) -> tuple[int, int]:
    """Return the numbers of elements before and after the first `dim` elements of a row that are summed together with them.

    So whole cache lines are read, which takes less time; see `columns_before`.
    """
    before = columns_before(matrix)
    line = _columns_per_line(matrix)
    return before, (line - (before + dim) % line) % line if before else 0


def _sum_rows(matrix, rows, at, count, factors, margins, block):  # type: ignore[no-untyped-def]
    """Write the sum of ``factors[k] * matrix[rows[at + k]]`` over ``k < count`` to `block`. `factors` may be ``None`` for ones.

    `margins` are the numbers of elements before and after `block` that are overwritten. `rows` has `AHEAD` more elements, which are the rows to
    prefetch. Only for compiled code.
    """
    raise NotImplementedError("_sum_rows is for compiled code")


@overload(_sum_rows)
def _overload_sum_rows(matrix, rows, at, count, factors, margins, block):  # type: ignore[no-untyped-def]
    sum_floats = _sum_float_rows if isinstance(matrix.dtype, types.Float) else _sum_narrow_float_rows
    sum_rows = _sum_integer_rows if isinstance(block.dtype, types.Integer) else sum_floats
    return lambda matrix, rows, at, count, factors, margins, block: sum_rows(matrix, rows, at, count, factors, margins, block)


def make_sum_rows(tile: int, other: int, prefetched: int) -> Callable[..., None]:
    """Return a function that sums rows as `_sum_rows` describes, in tiles of columns. The sums do not depend on the tiles.

    Args:
        tile: the number of columns of most tiles.
        other: the number of columns of another tile, which is used once if fewer columns then remain for the small tiles.
        prefetched: rows are prefetched this many columns at a time.
    """

    @inner
    def remainder(columns: int) -> int:
        """Return the number of columns that remain for the small tiles."""
        rest = columns % tile
        return rest - MEDIUM_TILE if rest >= MEDIUM_TILE else rest

    @inner
    def sum_rows(
        matrix: NDArray[Any],
        rows: NDArray[np.int32],
        at: int,
        count: int,
        factors: NDArray[np.float32] | None,
        margins: tuple[int, int],
        block: NDArray[Any],
    ) -> None:
        column, end = -margins[0], len(block) + margins[1]
        if end - column >= other and remainder(end - column - other) < remainder(end - column):
            sum_columns(matrix, rows, at, count, column, other, other, factors, block)
            column += other
        while end - column >= prefetched and not _is_two_medium_tiles(tile, end - column):
            sum_columns(matrix, rows, at, count, column, tile, prefetched, factors, block)
            column += tile
            for _ in range(prefetched // tile - 1):
                sum_columns(matrix, rows, at, count, column, tile, 0, factors, block)
                column += tile
        if prefetched > tile and end - column >= tile:
            sum_columns(matrix, rows, at, count, column, tile, tile, factors, block)
            column += tile
        while tile > MEDIUM_TILE and end - column >= MEDIUM_TILE:
            sum_columns(matrix, rows, at, count, column, MEDIUM_TILE, MEDIUM_TILE, factors, block)
            column += MEDIUM_TILE
        for _ in range((end - column) // SMALL_TILE):
            sum_columns(matrix, rows, at, count, column, SMALL_TILE, SMALL_TILE, factors, block)
            column += SMALL_TILE
        if column < end and end >= SMALL_TILE:
            # This tile repeats some columns, with the same result. It takes less time than single columns.
            sum_columns(matrix, rows, at, count, end - SMALL_TILE, SMALL_TILE, SMALL_TILE, factors, block)
            column = end
        for _ in range(end - column):
            sum_columns(matrix, rows, at, count, column, SINGLE_COLUMN, SINGLE_COLUMN, factors, block)
            column += SINGLE_COLUMN

    return sum_rows


@inner
def _is_two_medium_tiles(tile: int, columns: int) -> bool:
    """Return whether columns should be summed as two tiles of `MEDIUM_TILE` instead of one of `tile` and small ones."""
    return MEDIUM_TILE < tile < 2 * MEDIUM_TILE <= columns < 2 * MEDIUM_TILE + SMALL_TILE


_sum_narrow_float_rows = make_sum_rows(*NARROW_FLOAT_TILES, PREFETCHED_TILES * NARROW_FLOAT_TILES[0])
_sum_float_rows = make_sum_rows(*FLOAT_TILES, FLOAT_TILES[0])
_sum_integer_rows = make_sum_rows(*INTEGER_TILES, PREFETCHED_TILES * INTEGER_TILES[0])


@inner
def _add_exactly(
    matrix: NDArray[Any],
    weights: NDArray[np.float32] | None,
    mapping: NDArray[np.int32],
    ids: NDArray[np.int32],
    first: int,
    count: int,
    total: NDArray[np.float64],
) -> None:
    """Add the weighted rows of ``ids[first:first + count]`` to `total`, in float64."""
    for k in range(count):
        token = ids[first + k]
        row = mapping[token] if len(mapping) else token
        for d in range(len(total)):
            total[d] += np.float64(_weight(weights, token)) * np.float64(to_float(matrix[row, d]))


@inner
def _write(total: NDArray[Any], count: int, normalize: bool, scale: float, out: NDArray[np.float32], writer: int, form: int, text: int) -> None:
    """Write the vector of a text with `count` rows, whose sum is `total`, to ``out[text]``, or call the writer; see `pool_texts`."""
    factor = _factor(total, count, normalize, scale)
    if writer != 0:
        call_address(writer, total.ctypes.data, total.itemsize, factor, form, text)
    else:
        _scale(total, factor, out[text])


@inner
def _factor(total: NDArray[Any], count: int, normalize: bool, scale: float) -> float:
    """Return the factor that makes the vector of the sum of `count` rows: the mean, divided by its norm if `normalize`, else times `scale`."""
    if normalize:
        square = sum_of_squares(total)
        # The sum is divided by its own norm: the count and the scale cancel out.
        return 1 / np.sqrt(square) if square > 0 else np.float64(1)
    return scale / max(count, 1)


@inner
def _scale(total: NDArray[Any], factor: float, vector: NDArray[np.float32]) -> None:
    """Write ``total * factor`` to `vector`."""
    for d in range(len(total)):
        vector[d] = np.float32(total[d] * factor)


@compiled(parallel=True)
def sum_chunks(
    address: int,
    matrix: NDArray[np.int8],
    weights: NDArray[np.float32] | None,
    mapping: NDArray[np.int32],
    scale: float,
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    vectors: NDArray[np.float32],
    threads: int,
    sums: NDArray[np.float64],
) -> None:
    """Write the sums of the chunks of a text to `sums`, float64 of shape (chunks, dim). Numba's threads call `pool_texts` for the chunks.

    Args:
        address: the address of `pool_texts` for the matrix's type; see `address_of`.
        matrix: the memory of the matrix as bytes, with the matrix's shape and strides.
        weights, mapping, scale, ids: see `pool_texts`.
        offsets: int64, shape (chunks + 1,): chunk ``c`` is ``ids[offsets[c]:offsets[c + 1]]``.
        vectors: float32, shape (0, 0): an argument that `pool_texts` needs and does not use.
        threads: the number of threads.
        sums: output.
    """
    next_chunk = np.zeros(1, np.int64)
    for _ in prange(threads):
        chunk = fetch_and_increment(next_chunk)
        while chunk < len(sums):
            call_address(address, matrix, weights, mapping, scale, ids, offsets, False, chunk, chunk + 1, vectors, sums, 0, 0)
            chunk = fetch_and_increment(next_chunk)


@compiled()
def finish_sums(sums: NDArray[np.float64], count: int, normalize: bool, scale: float, vector: NDArray[np.float32]) -> None:
    """Add the sums of the chunks of a text, and write the mean of its `count` rows to `vector`, float32 of shape (dim,)."""
    total = np.zeros(len(vector), np.float64)
    for chunk in range(len(sums)):
        for d in range(len(vector)):
            total[d] += sums[chunk, d]
    _scale(total, _factor(total, count, normalize, scale), vector)


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
            out[at, d] = factor * to_float(row[d])
