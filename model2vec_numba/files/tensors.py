"""Read a safetensors file without copying it: the tensors are views of the mapped file.

Format: https://huggingface.co/docs/safetensors (eight bytes with the header's length, a JSON header, the tensors' bytes). The `safetensors`
library copies every tensor that it gives to NumPy, so the header is read here; everything it says is checked against the bytes that are
there before any of them is touched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.errors import ModelFormatError, ModelNotFoundError
from model2vec_numba.files.mapped import map_file

__all__ = ["Tensor", "map_tensors", "parse_tensors"]

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_MAX_RANK = 8  # of the tensors that are looked at; keeps every number below of a size that can be printed

# NumPy has no bfloat16: its bits are kept as uint16.
_NUMPY_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|u1",
}


class Tensor(NamedTuple):
    """A tensor of a file.

    Attributes:
        dtype: the format's name of the type, such as ``"F16"``.
        array: the values, read-only, in the machine's byte order; ``BF16`` as the uint16 of its bits.
    """

    dtype: str
    array: NDArray[Any]


def map_tensors(path: Path, names: Collection[str], required: Collection[str] = ()) -> dict[str, Tensor]:
    """Map a safetensors file into memory and return those of its tensors that are among `names`. Nothing but the header is read.

    Raises:
        ModelNotFoundError: the file cannot be opened.
        ModelFormatError: the file is not whole, or not a safetensors file, or has none of the `required` tensors.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < _LENGTH_BYTES:
                raise ModelFormatError(f"{path}: {size} bytes, expected a safetensors file, which has more than {_LENGTH_BYTES}")
            buffer = map_file(file.fileno())
    except OSError as error:
        raise ModelNotFoundError(f"{path}: cannot be opened: {error.strerror or error}") from error
    return parse_tensors(buffer, names, str(path), required)


def parse_tensors(buffer: NDArray[np.uint8], names: Collection[str], source: str, required: Collection[str] = ()) -> dict[str, Tensor]:
    """Those tensors of a safetensors file in memory that are among `names`, as views of `buffer`, by name.

    Args:
        buffer: uint8, the file's bytes.
        names: the tensors to return; one that the file lacks is left out.
        source: what to call the file in an error.
        required: names of which the file must have at least one; empty if it need not.

    Raises:
        ModelFormatError: naming what does not fit.
    """
    if len(buffer) < _LENGTH_BYTES:
        raise ModelFormatError(f"{source}: {len(buffer)} bytes, expected a safetensors file, which has more than {_LENGTH_BYTES}")
    header_length = int.from_bytes(buffer[:_LENGTH_BYTES].tobytes(), "little")
    start = _LENGTH_BYTES + header_length
    if header_length > _MAX_HEADER_BYTES or start > len(buffer):
        raise ModelFormatError(
            f"{source}: the header says that it has {header_length} bytes, the file has {len(buffer)}: truncated, or not a safetensors file"
        )
    try:
        header = json.loads(buffer[_LENGTH_BYTES:start].tobytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{source}: the safetensors header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise ModelFormatError(f"{source}: the safetensors header is a JSON {type(header).__name__}, expected an object")
    if required and not any(name in header for name in required):
        found = ", ".join(repr(name) for name in header if name != "__metadata__") or "no tensors"
        raise ModelFormatError(f"{source}: holds {found:.200}, expected a tensor named one of {', '.join(required)}")
    body = buffer[start:]
    return {name: _view(body, name, entry, source) for name, entry in header.items() if name in names}


def _view(body: NDArray[np.uint8], name: str, entry: Any, source: str) -> Tensor:
    where = f"{source}: tensor {name!r}"
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise ModelFormatError(f"{where}: header entry {entry!r:.200}, expected dtype, shape and two data_offsets") from None
    if not isinstance(dtype, str) or dtype not in _NUMPY_DTYPES:
        raise ModelFormatError(f"{where}: dtype {dtype!r:.80}, expected one of {', '.join(_NUMPY_DTYPES)}")
    numbers = [*shape, begin, end] if isinstance(shape, list) and len(shape) <= _MAX_RANK else [None]
    if not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        raise ModelFormatError(
            f"{where}: shape {shape!r:.200} and data_offsets {[begin, end]!r:.200}, expected integers that are not negative, "
            f"and at most {_MAX_RANK} dimensions"
        )
    numpy_dtype = np.dtype(_NUMPY_DTYPES[dtype])
    expected = math.prod(shape) * numpy_dtype.itemsize
    if end - begin != expected:
        raise ModelFormatError(f"{where}: {end - begin} bytes, expected {expected} for shape {shape} of {dtype}")
    if end > len(body):
        raise ModelFormatError(f"{where}: ends at byte {end} of {len(body)} bytes of data: the file is truncated")
    try:
        array = body[begin:end].view(numpy_dtype).reshape(shape)
    except ValueError as error:  # dimensions larger than NumPy has room for, beside one of zero
        raise ModelFormatError(f"{where}: shape {shape}: {error}") from None
    # Old writers do not align the data, and compiled code wants it aligned and in the machine's order. For every file of today no copy is made.
    array = np.require(array, numpy_dtype.newbyteorder("="), ["C", "A"])
    array.flags.writeable = False
    return Tensor(dtype, array)
