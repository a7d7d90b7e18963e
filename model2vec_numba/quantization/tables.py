"""Make an embedding table smaller: convert it to another storage type, or keep fewer dimensions.

Rows are converted block by block, so that no full copy of the matrix exists except the result.
"""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.dtypes import INT8_SCALES, STORAGE_DTYPES, Int8Scales
from model2vec_numba.pooling.table import EmbeddingTable, empty_matrix

__all__ = ["check_quantization", "quantize_table", "to_bfloat16"]

_BLOCK_ROWS = 4096
_MAX_INT8 = 127
# If the largest magnitude of a matrix is at least this, float16 holds the scale with full precision. NumPy before version 2 divides in float16.
_MIN_FOR_HALF = 2.0**-6


def quantize_table(
    table: EmbeddingTable, quantize_to: str | None, dimensionality: int | None = None, int8_scales: Int8Scales = "matrix"
) -> EmbeddingTable:
    """Return a table in another storage type, or with fewer dimensions, or both. If nothing changes, return the same table.

    For int8, the values are divided by a scale and rounded. With ``"matrix"`` there is one scale, with which the largest magnitude becomes 127.
    The integers are those of model2vec. With ``"row"`` each row has its own scale, which becomes part of the weights of its tokens. From int8 to
    floating point, the values are multiplied by the scale of the table.

    Args:
        table: the table.
        quantize_to: the storage type, one of `STORAGE_DTYPES`. ``None``: it stays the same.
        dimensionality: the number of dimensions to keep. The first ones are kept. ``None``: all of them.
        int8_scales: ``"matrix"`` or ``"row"``. It is used only for int8.

    Raises:
        ValueError: an argument is out of range, or a value is too large for the type, or a value is not finite and the type is int8.
    """
    check_quantization(table, quantize_to, dimensionality, int8_scales)
    # model2vec's DType is accepted too: it is an enumeration whose members equal these strings.
    dtype = table.dtype if quantize_to is None else STORAGE_DTYPES[STORAGE_DTYPES.index(quantize_to)]
    dim = table.dim if dimensionality is None else int(dimensionality)
    if dtype == table.dtype:
        return table if dim == table.dim else _convert(table, dtype, table.matrix.dtype, dim)
    if dtype == "int8":
        return _to_int8_with_row_scales(table, dim) if int8_scales == "row" else _to_int8_with_one_scale(table, dim)
    return _convert(table, dtype, np.dtype(np.uint16 if dtype == "bfloat16" else dtype), dim)


def check_quantization(table: EmbeddingTable, quantize_to: str | None, dimensionality: int | None, int8_scales: str) -> None:
    """Check the arguments of `quantize_table`.

    Raises:
        ValueError: an argument is out of range. The message names it.
    """
    if quantize_to is not None and quantize_to not in STORAGE_DTYPES:
        raise ValueError(f"quantize_to must be one of {', '.join(STORAGE_DTYPES)}, not {quantize_to!r}")
    if int8_scales not in INT8_SCALES:
        raise ValueError(f"int8_scales must be one of {', '.join(INT8_SCALES)}, not {int8_scales!r}")
    if dimensionality is not None:
        is_integer = isinstance(dimensionality, Integral) and not isinstance(dimensionality, bool)
        if not is_integer or not 1 <= dimensionality <= table.dim:
            raise ValueError(f"dimensionality must be an integer from 1 to {table.dim}, not {dimensionality!r}")


def _convert(table: EmbeddingTable, dtype: str, stored: np.dtype[Any], dim: int) -> EmbeddingTable:
    """Return the table with `dim` dimensions in a floating-point type, or in its own type.

    Args:
        table: the table.
        dtype: the name of the storage type.
        stored: NumPy's type for it. For bfloat16 this is uint16.
        dim: the number of dimensions.
    """
    matrix = empty_matrix(len(table.matrix), dim, stored)
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
    return replace(table, matrix=matrix, dtype=dtype, scale=table.scale / scale)


def _check_range(values: NDArray[Any], converted: NDArray[Any], dtype: str, first: int) -> None:
    """Check that no finite value became infinite in a conversion.

    Raises:
        ValueError: a value became infinite. The message names its row.
    """
    floats = (converted.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else converted
    overflowed = np.isinf(floats).any(axis=1) & np.isfinite(values).all(axis=1)
    if overflowed.any():
        row = int(np.argmax(overflowed))
        raise ValueError(f"row {first + row} of the embedding matrix holds {np.abs(values[row]).max()}, which is too large for {dtype}")


def _to_int8_with_one_scale(table: EmbeddingTable, dim: int) -> EmbeddingTable:
    """Return the table in int8 with one scale. It is the scale of all dimensions, because model2vec quantises before it cuts dimensions."""
    largest = max((_largest(table, block).max() for block in _blocks(table)), default=np.float32(0))
    # model2vec calculates in float16. To get the same integers, this function does so too, unless the values are too large or too small for float16.
    in_half = _MIN_FOR_HALF <= largest <= np.finfo(np.float16).max
    dtype = np.dtype(np.float16) if in_half else np.result_type(largest, np.float32)
    scale = (largest if in_half else largest.astype(dtype)) / float(_MAX_INT8)
    matrix = empty_matrix(len(table.matrix), dim, np.dtype(np.int8))
    for block in _blocks(table):
        values = _as_float(table, block)[:, :dim].astype(dtype)
        if scale > 0:
            np.divide(values, scale, out=values)
        matrix[block] = _round_to_int8(values)
    return replace(table, matrix=matrix, dtype="int8", scale=table.scale * (float(scale) or 1.0))


def _to_int8_with_row_scales(table: EmbeddingTable, dim: int) -> EmbeddingTable:
    """Return the table in int8 with a scale for each row. The scales become weights."""
    matrix = empty_matrix(len(table.matrix), dim, np.dtype(np.int8))
    scales = np.empty(len(table.matrix), np.float32)
    for block in _blocks(table):
        scales[block] = _largest(table, block, dim).astype(np.float32) / _MAX_INT8
        # A row becomes zero if all its values are zero, or so small that their scale is zero.
        divisors = np.where(scales[block] > 0, scales[block], np.float32(np.inf))
        matrix[block] = _round_to_int8(_as_float(table, block)[:, :dim] / divisors[:, None])
    token_scales = scales[table.mapping] if len(table.mapping) else scales
    # There may be more rows than tokens, and more weights than rows.
    count = min(len(token_scales), len(table.weights))
    weights = token_scales[:count] * table.weights[:count] if count else token_scales
    return replace(table, matrix=matrix, dtype="int8", weights=weights)


def _blocks(table: EmbeddingTable) -> list[slice]:
    """Return slices that divide the rows of a table into blocks."""
    return [slice(first, first + _BLOCK_ROWS) for first in range(0, len(table.matrix), _BLOCK_ROWS)]


def _as_float(table: EmbeddingTable, block: slice) -> NDArray[Any]:
    """Return a block of rows in a type that NumPy can calculate with."""
    rows = table.matrix[block]
    return (rows.astype(np.uint32) << 16).view(np.float32) if table.dtype == "bfloat16" else rows


def _largest(table: EmbeddingTable, block: slice, dim: int | None = None) -> NDArray[Any]:
    """Return the largest magnitude of each row of a block, shape (rows,).

    Raises:
        ValueError: a value is not finite. The message names its row.
    """
    largest: NDArray[Any] = np.abs(_as_float(table, block)[:, :dim]).max(axis=1)
    if not np.isfinite(largest).all():
        row = int(np.argmin(np.isfinite(largest)))
        raise ValueError(f"row {block.start + row} of the embedding matrix holds {largest[row]}, expected finite values for int8")
    return largest


def _round_to_int8(values: NDArray[Any]) -> NDArray[np.int8]:
    """Return the nearest integers from -127 to 127."""
    rounded: NDArray[np.int8] = np.clip(np.rint(values), -_MAX_INT8, _MAX_INT8).astype(np.int8)
    return rounded


def to_bfloat16(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Return the bits of the nearest bfloat16 numbers. Ties go to the number whose last bit is 0, as in IEEE 754."""
    floats = np.ascontiguousarray(values, np.float32)
    bits = floats.view(np.uint32)
    # The addition carries into the upper half if the lower half is more than a half, or exactly a half and the last bit is 1.
    nearest = (bits + (np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1)))) >> np.uint32(16)
    # For a NaN the carry could give infinity.
    halves: NDArray[np.uint16] = np.where(np.isnan(floats), bits >> np.uint32(16) | np.uint32(0x40), nearest).astype(np.uint16)
    return halves
