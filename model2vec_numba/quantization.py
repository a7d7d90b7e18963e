"""Shrink an embedding table: another storage type, fewer dimensions.

The conversion goes by blocks of rows, so that the matrix never exists a second time in full but for the result; memory of a mapped file that has
been read is given back.
"""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.files.mapped import release
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.storage import INT8_SCALES, STORAGE_DTYPES, Int8Scales

__all__ = ["check_quantization", "quantize_table", "to_bfloat16"]

_BLOCK_ROWS = 4096
_LARGEST_INT8 = 127
# A matrix's largest magnitude whose scale float16 has with all its digits: NumPy before 2 divides by the scale in float16.
_LEAST_FOR_HALF = 2.0**-6


def quantize_table(
    table: EmbeddingTable, quantize_to: str | None, dimensionality: int | None = None, int8_scales: Int8Scales = "matrix"
) -> EmbeddingTable:
    """The table with its matrix in another storage type, or cut to its first dimensions, or both; as it is when neither is asked for.

    To int8 the matrix is divided by a scale and rounded. For ``"matrix"`` there is one scale, that which makes the largest magnitude 127:
    model2vec's scheme, with the same integers. For ``"row"`` each row has one of its own, which becomes part of its tokens' weights. From int8
    to floating point the values are multiplied by the scale, if the table has one.

    Raises:
        ValueError: an argument is out of range, or the matrix holds what the type has no room for, or int8 of what is not finite.
    """
    check_quantization(table, quantize_to, dimensionality, int8_scales)
    # The check accepts model2vec's DType, an enumeration whose members equal these strings.
    dtype = table.dtype if quantize_to is None else STORAGE_DTYPES[STORAGE_DTYPES.index(quantize_to)]
    dim = table.dim if dimensionality is None else int(dimensionality)
    if dtype == table.dtype:
        return table if dim == table.dim else _converted(table, dtype, table.matrix.dtype, dim)
    if dtype == "int8":
        return _with_scale_of_rows(table, dim) if int8_scales == "row" else _with_one_scale(table, dim)
    return _converted(table, dtype, np.dtype(np.uint16 if dtype == "bfloat16" else dtype), dim)


def check_quantization(table: EmbeddingTable, quantize_to: str | None, dimensionality: int | None, int8_scales: str) -> None:
    """Check the arguments of `quantize_table`.

    Raises:
        ValueError: naming one that is out of range.
    """
    if quantize_to is not None and quantize_to not in STORAGE_DTYPES:
        raise ValueError(f"quantize_to must be one of {', '.join(STORAGE_DTYPES)}, not {quantize_to!r}")
    if int8_scales not in INT8_SCALES:
        raise ValueError(f"int8_scales must be one of {', '.join(INT8_SCALES)}, not {int8_scales!r}")
    if dimensionality is not None:
        is_integer = isinstance(dimensionality, Integral) and not isinstance(dimensionality, bool)
        if not is_integer or not 1 <= dimensionality <= table.dim:
            raise ValueError(f"dimensionality must be an integer from 1 to {table.dim}, not {dimensionality!r}")


def _converted(table: EmbeddingTable, dtype: str, stored: np.dtype[Any], dim: int) -> EmbeddingTable:
    """The table cut to `dim` dimensions, and in another floating-point type if `dtype` is another."""
    matrix = np.empty((len(table.matrix), dim), stored)
    scale = 1.0 if dtype == table.dtype or table.dtype != "int8" else table.scale
    for block in _blocks(table):
        if dtype == table.dtype:
            matrix[block] = table.matrix[block, :dim]
        else:
            values = _as_float(table, block)[:, :dim]
            if scale != 1:
                values = values * np.float32(scale)
            with np.errstate(over="ignore"):
                matrix[block] = to_bfloat16(values) if dtype == "bfloat16" else values
            _check_range(values, matrix[block], dtype, block.start)
        release(table.matrix[block])
    return replace(table, matrix=matrix, dtype=dtype, scale=table.scale / scale)


def _check_range(values: NDArray[Any], converted: NDArray[Any], dtype: str, first: int) -> None:
    """Refuse a conversion that has made infinities of finite values.

    Raises:
        ValueError: naming the row.
    """
    wide = (converted.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else converted
    overflowed = np.isinf(wide).any(axis=1) & np.isfinite(values).all(axis=1)
    if overflowed.any():
        row = int(np.argmax(overflowed))
        raise ValueError(f"row {first + row} of the embedding matrix holds {np.abs(values[row]).max()}, for which {dtype} has no room")


def _with_one_scale(table: EmbeddingTable, dim: int) -> EmbeddingTable:
    """The table in int8 with a scale for all: that of the whole matrix, as model2vec quantises before it cuts dimensions."""
    largest = max((_largest(table, block).max() for block in _blocks(table)), default=np.float32(0))
    # Through float16, as model2vec does it, for the same integers; but not where that has no room for the largest, or no digits for the small ones.
    in_half = _LEAST_FOR_HALF <= largest <= np.finfo(np.float16).max
    dtype = np.dtype(np.float16) if in_half else np.result_type(largest, np.float32)
    scale = (largest if in_half else largest.astype(dtype)) / float(_LARGEST_INT8)
    matrix = np.empty((len(table.matrix), dim), np.int8)
    for block in _blocks(table):
        values = _as_float(table, block)[:, :dim].astype(dtype)
        if scale > 0:
            np.divide(values, scale, out=values)
        matrix[block] = _rounded(values)
        release(table.matrix[block])
    return replace(table, matrix=matrix, dtype="int8", scale=table.scale * (float(scale) or 1.0))


def _with_scale_of_rows(table: EmbeddingTable, dim: int) -> EmbeddingTable:
    """The table in int8 with a scale for each row, as weights."""
    matrix = np.empty((len(table.matrix), dim), np.int8)
    scales = np.empty(len(table.matrix), np.float32)
    for block in _blocks(table):
        scales[block] = _largest(table, block, dim).astype(np.float32) / _LARGEST_INT8
        # A row of zeros, or of numbers so small that their scale is zero, becomes zeros.
        divisors = np.where(scales[block] > 0, scales[block], np.float32(np.inf))
        matrix[block] = _rounded(_as_float(table, block)[:, :dim] / divisors[:, None])
        release(table.matrix[block])
    of_tokens = scales[table.mapping] if len(table.mapping) else scales
    # There may be more rows than tokens, and more weights than either.
    count = min(len(of_tokens), len(table.weights))
    weights = of_tokens[:count] * table.weights[:count] if count else of_tokens
    return replace(table, matrix=matrix, dtype="int8", weights=weights)


def _blocks(table: EmbeddingTable) -> list[slice]:
    return [slice(first, first + _BLOCK_ROWS) for first in range(0, len(table.matrix), _BLOCK_ROWS)]


def _as_float(table: EmbeddingTable, block: slice) -> NDArray[Any]:
    """A block of rows as NumPy can calculate with them."""
    rows = table.matrix[block]
    return (rows.astype(np.uint32) << 16).view(np.float32) if table.dtype == "bfloat16" else rows


def _largest(table: EmbeddingTable, block: slice, dim: int | None = None) -> NDArray[Any]:
    """The largest magnitude of each row of a block.

    Raises:
        ValueError: one is not finite; its row is named.
    """
    largest: NDArray[Any] = np.abs(_as_float(table, block)[:, :dim]).max(axis=1)
    release(table.matrix[block])
    if not np.isfinite(largest).all():
        row = int(np.argmin(np.isfinite(largest)))
        raise ValueError(f"row {block.start + row} of the embedding matrix holds {largest[row]}, expected finite values to make int8 of")
    return largest


def _rounded(values: NDArray[Any]) -> NDArray[np.int8]:
    rounded: NDArray[np.int8] = np.clip(np.rint(values), -_LARGEST_INT8, _LARGEST_INT8).astype(np.int8)
    return rounded


def to_bfloat16(values: NDArray[Any]) -> NDArray[np.uint16]:
    """The bits of the nearest bfloat16 numbers, of two equally near ones that whose last bit is 0 (IEEE 754's rounding of float32)."""
    wide = np.ascontiguousarray(values, np.float32)
    bits = wide.view(np.uint32)
    # What is cut off is added to, so that it carries when it is more than half, or half and the last bit is 1.
    nearest = (bits + (np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1)))) >> np.uint32(16)
    # A NaN could carry into an infinity.
    halves: NDArray[np.uint16] = np.where(np.isnan(wide), bits >> np.uint32(16) | np.uint32(0x40), nearest).astype(np.uint16)
    return halves
