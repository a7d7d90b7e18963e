"""The safetensors format: read a file without copying it, so that the tensors are views of the mapped file, and make a header for a new file.

Format: https://huggingface.co/docs/safetensors (eight bytes with the length of the header, a JSON header, the bytes of the tensors). The
`safetensors` library copies each tensor for NumPy, so this module reads the header itself. It checks everything in the header against the size of
the file before it uses any tensor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.errors import ModelFormatError, ModelNotFoundError
from model2vec_numba.files.mapped import map_file

__all__ = ["Tensor", "make_header", "map_tensors", "parse_tensors"]

_LENGTH_BYTES = 8
# The limit of the format.
_MAX_HEADER_BYTES = 100_000_000
# The tensors begin at a multiple of this many bytes, which is a cache line of the processor. The `safetensors` library uses 8: then each row of a
# matrix may touch one more line than its size needs, and pooling int8 rows of 256 dimensions from a mapped file takes a tenth longer.
_ALIGNMENT = 64
# The maximum number of dimensions. It limits the size of the numbers in this module, so that they can be printed.
_MAX_RANK = 8

# NumPy has no bfloat16. Its bits are kept as uint16.
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
        dtype: the name of the type in the format, such as ``"F16"``.
        array: the values, read-only, in the byte order of the machine. ``BF16`` is stored as uint16.
    """

    dtype: str
    array: NDArray[Any]


def map_tensors(path: Path, names: Collection[str], required: Collection[str] = ()) -> dict[str, Tensor]:
    """Map a safetensors file into memory and return the tensors whose names are in `names`. Only the header is read.

    Raises:
        ModelNotFoundError: the file cannot be opened.
        ModelFormatError: the file is truncated, or not a safetensors file, or has none of the `required` tensors.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < _LENGTH_BYTES:
                raise ModelFormatError(f"{path}: {size} bytes, expected a safetensors file of more than {_LENGTH_BYTES} bytes")
            buffer = map_file(file.fileno())
    except OSError as error:
        raise ModelNotFoundError(f"{path}: cannot be opened: {error.strerror or error}") from error
    return parse_tensors(buffer, names, str(path), required)


def parse_tensors(buffer: NDArray[np.uint8], names: Collection[str], source: str, required: Collection[str] = ()) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file in memory, by their names. They are views of `buffer`.

    Args:
        buffer: uint8, the bytes of the file.
        names: the names of the tensors to return, if the file has them.
        source: the name of the file, for errors.
        required: the file must have at least one tensor with one of these names. Empty: no tensor is required.

    Raises:
        ModelFormatError: the file is not valid. The message says what is wrong.
    """
    if len(buffer) < _LENGTH_BYTES:
        raise ModelFormatError(f"{source}: {len(buffer)} bytes, expected a safetensors file of more than {_LENGTH_BYTES} bytes")
    header_length = int.from_bytes(buffer[:_LENGTH_BYTES].tobytes(), "little")
    start = _LENGTH_BYTES + header_length
    if header_length > _MAX_HEADER_BYTES or start > len(buffer):
        raise ModelFormatError(
            f"{source}: the header has {header_length} bytes but the file has {len(buffer)}: the file is truncated, or not a safetensors file"
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


def make_header(entries: Mapping[str, Any]) -> bytes:
    """Return the bytes of a safetensors file before its tensors.

    The format allows spaces after the header. Their number is chosen so that the first tensor is aligned; see `_ALIGNMENT`.

    Args:
        entries: the dtype, shape and data_offsets of each tensor, by its name.
    """
    text = json.dumps(entries).encode()
    text += b" " * (-(_LENGTH_BYTES + len(text)) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def _view(body: NDArray[np.uint8], name: str, entry: Any, source: str) -> Tensor:
    """Return a tensor. `body`: the bytes after the header. `entry`: the tensor's entry in the header."""
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
    except ValueError as error:  # a dimension is too large for NumPy, and another one is zero
        raise ModelFormatError(f"{where}: shape {shape}: {error}") from None
    # Compiled code needs aligned data in the byte order of the machine. Only files of old writers, which do not align the data, are copied.
    array = np.require(array, numpy_dtype.newbyteorder("="), ["C", "A"])
    array.flags.writeable = False
    return Tensor(dtype, array)
