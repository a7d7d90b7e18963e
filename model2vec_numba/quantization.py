"""Shrink an embedding table: another storage type, fewer dimensions."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.pooling.table import EmbeddingTable

__all__ = ["quantize_table"]

_QUANTIZE_TO = ("float32", "float16", "float64", "int8")
_BLOCK_ROWS = 4096


def quantize_table(table: EmbeddingTable, quantize_to: str | None, dimensionality: int | None) -> EmbeddingTable:
    """The table with its matrix in another storage type, or cut to its first dimensions, or both; as it is when neither is asked for.

    The conversion goes by blocks of rows, so that the matrix never exists a second time in full but for the result. To int8 the matrix is
    scaled so that its largest magnitude becomes 127 (model2vec's scheme; the integers are the same, and as there the scale is not kept).

    Raises:
        ValueError: `quantize_to` is not a storage type that can be converted to, or `dimensionality` is not between 1 and the matrix's.
    """
    if quantize_to is not None and quantize_to not in _QUANTIZE_TO:
        raise ValueError(f"quantize_to must be one of {', '.join(_QUANTIZE_TO)}, not {quantize_to!r}")
    if dimensionality is not None:
        is_integer = isinstance(dimensionality, Integral) and not isinstance(dimensionality, bool)
        if not is_integer or not 1 <= dimensionality <= table.dim:
            raise ValueError(f"dimensionality must be an integer from 1 to {table.dim}, not {dimensionality!r}")
    # The comparison above also accepts model2vec's DType, an enumeration whose members equal these strings.
    dtype = table.dtype if quantize_to is None else _QUANTIZE_TO[_QUANTIZE_TO.index(quantize_to)]
    dim = table.dim if dimensionality is None else int(dimensionality)
    if (dtype, dim) == (table.dtype, table.dim):
        return table
    rows = len(table.matrix)
    matrix = np.empty((rows, dim), table.matrix.dtype if dtype == table.dtype else np.dtype(dtype))
    blocks = [slice(first, first + _BLOCK_ROWS) for first in range(0, rows, _BLOCK_ROWS)]
    if dtype == table.dtype:
        matrix[:] = table.matrix[:, :dim]
    elif dtype == "int8":
        # The scale is that of the whole matrix: model2vec quantises before it cuts dimensions.
        scale = max(np.abs(_as_float(table, block)).max() for block in blocks) / 127.0
        for block in blocks:
            matrix[block] = _to_int8(_as_float(table, block)[:, :dim], scale)
    else:
        for block in blocks:
            matrix[block] = _as_float(table, block)[:, :dim]
    return replace(table, matrix=matrix, dtype=dtype)


def _as_float(table: EmbeddingTable, block: slice) -> NDArray[Any]:
    """A block of rows as NumPy can calculate with them."""
    rows = table.matrix[block]
    return (rows.astype(np.uint32) << 16).view(np.float32) if table.dtype == "bfloat16" else rows


def _to_int8(values: NDArray[Any], scale: Any) -> NDArray[np.int8]:
    """The values in units of the scale, rounded and clipped; through float16, as model2vec does it, for the same integers."""
    half = values.astype(np.float16)
    if scale > 0:
        np.divide(half, scale, out=half)
    return np.clip(np.rint(half), -127, 127).astype(np.int8)
