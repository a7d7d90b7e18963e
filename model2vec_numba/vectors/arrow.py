"""Read vectors from an Arrow column, which holds a list of numbers for each text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model2vec_numba.extras import OLDEST_FOR_COLUMNS, require

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["as_vectors"]

# By Arrow's names. pyarrow's `to_pandas_dtype` needs pandas in some versions.
_NUMBERS = {"float": np.float32, "double": np.float64, "halffloat": np.float16, "int8": np.int8, "uint8": np.uint8}


def as_vectors(values: ArrayLike | Any, name: str, *, nulls: bool) -> NDArray[Any]:
    """Return vectors as a NumPy array.

    Args:
        values: an array of any kind, or an Arrow column whose type is a list of fixed size, with one or several chunks. A column with one chunk is
            not copied, unless vectors that are null are not zero in memory.
        name: what to call them in errors.
        nulls: whether a vector in floating point may be null. It becomes a zero vector.

    Raises:
        ImportError: it is an Arrow column of another library, and pyarrow is not installed or too old.
        TypeError: it is an Arrow column of another type.
        ValueError: a vector is null, or a number inside a vector is null.
    """
    if not (hasattr(values, "__arrow_c_array__") or hasattr(values, "__arrow_c_stream__")):
        return np.asarray(values)
    pa = require("pyarrow", "reading vectors of an Arrow column", "arrow", OLDEST_FOR_COLUMNS)

    if isinstance(values, (pa.Table, pa.RecordBatch)):
        raise TypeError(f"{name} must be an array or one column, not a {type(values).__name__}: choose a column")
    column = pa.chunked_array(values if isinstance(values, pa.ChunkedArray) or hasattr(values, "__arrow_c_stream__") else [values])
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    kind = column.type
    if not pa.types.is_fixed_size_list(kind) or str(kind.value_type) not in _NUMBERS:
        raise TypeError(f"{name} is an Arrow column of {kind}, expected a list of fixed size of float16, float32, float64, int8 or uint8 numbers")
    if column.null_count and not (nulls and pa.types.is_floating(kind.value_type)):
        raise ValueError(f"{name}: {column.null_count} of {len(column)} vectors are null: leave them out")
    chunks = [_chunk_vectors(chunk, name) for chunk in column.chunks]
    if not chunks:
        return np.empty((0, kind.list_size), _NUMBERS[str(kind.value_type)])
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def _chunk_vectors(chunk: pa.FixedSizeListArray, name: str) -> NDArray[Any]:
    """Return the vectors of a chunk, shape (vectors, dim). Those that are null are zero."""
    dim = chunk.type.list_size
    # The values are those of the whole array of which the chunk may be a part.
    values = chunk.values[chunk.offset * dim : (chunk.offset + len(chunk)) * dim]
    dtype = np.dtype(_NUMBERS[str(chunk.type.value_type)])
    memory = values.buffers()[1]
    numbers = np.empty(0, dtype) if memory is None or not len(values) else np.frombuffer(memory, dtype, len(values), values.offset * dtype.itemsize)
    vectors = numbers.reshape(len(chunk), dim)
    absent = np.asarray(chunk.is_null())
    if values.null_count:
        with_null = np.asarray(values.is_null()).reshape(vectors.shape).any(axis=1) & ~absent
        if with_null.any():
            raise ValueError(f"{name}: {np.count_nonzero(with_null)} of {len(chunk)} vectors hold a null")
    if absent.any() and vectors[absent].any():
        vectors = np.where(absent[:, None], vectors.dtype.type(0), vectors)
    return vectors
