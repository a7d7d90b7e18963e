"""The safetensors format: read the tensors of a file, or view those of bytes in memory, and make a header for a new file.

Format: https://huggingface.co/docs/safetensors (eight bytes with the length of the header, a JSON header, the bytes of the tensors). The
`safetensors` library copies each tensor for NumPy, so this module reads the header itself. It checks everything in the header against the size of
the file before it uses any tensor.

A file is read and not mapped into memory. If another program changes a mapped file, the values change with it, and if the file becomes shorter, the
operating system ends the process. Some file systems cannot map files at all.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.errors import ModelError, ModelFormatError, ModelNotFoundError
from model2vec_numba.pooling.table import empty_matrix

__all__ = ["Tensor", "make_header", "parse_tensors", "read_tensors"]

_LENGTH_BYTES = 8
# The limit of the format.
_MAX_HEADER_BYTES = 100_000_000
# In files that `make_header` begins, the first tensor is at a multiple of this many bytes, a cache line. The `safetensors` library uses 8.
_ALIGNMENT = 64
# The maximum number of dimensions. It limits the size of the numbers in this module, so that they can be printed.
_MAX_RANK = 8
# The number of offsets of a tensor.
_OFFSETS = 2

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


def read_tensors(path: Path, names: Collection[str], required: Collection[str] = ()) -> dict[str, Tensor]:
    """Read tensors of a safetensors file, see `parse_tensors`. Other tensors are not read. Each tensor begins at a cache line.

    Raises:
        ModelNotFoundError: the file cannot be opened or read.
        ModelFormatError: the file is truncated, or not a safetensors file, or has none of the `required` tensors, or changes while it is read.
        ModelError: there is not enough memory.
    """
    try:
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            start = _header_end(_read(file, min(_LENGTH_BYTES, before.st_size), path), before.st_size, str(path))
            header = _read(file, start - _LENGTH_BYTES, path).tobytes()
            entries = _entries(header, before.st_size - start, names, str(path), required)
            tensors = {}
            for name, entry in entries.items():
                file.seek(start + entry.begin)
                tensors[name] = _tensor(_read(file, entry.end - entry.begin, path), name, entry, str(path))
            after = os.fstat(file.fileno())
    except OSError as error:
        raise ModelNotFoundError(f"{path}: cannot be read: {error.strerror or error}") from error
    except MemoryError:
        raise ModelError(f"{path}: has {before.st_size} bytes, for which there is not enough memory") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ModelFormatError(f"{path}: another program changed the file while it was read")
    return tensors


def _read(file: io.FileIO, size: int, path: Path) -> NDArray[np.uint8]:
    """Return the next bytes of a file, which begin at a cache line."""
    memory = empty_matrix(1, size, np.dtype(np.uint8)).reshape(-1)
    rest = memory.data
    while rest:
        count = file.readinto(rest)
        if not count:
            raise ModelFormatError(f"{path}: another program truncated the file while it was read")
        rest = rest[count:]
    return memory


def parse_tensors(buffer: NDArray[np.uint8], names: Collection[str], source: str, required: Collection[str] = ()) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file in memory, by their names. They are views of `buffer`.

    Args:
        buffer: uint8, the bytes of the file.
        names: the names of the tensors to return, if the file has them.
        source: the name of the file, for errors.
        required: the file must have at least one tensor with one of these names. The first one that it has is returned too. Empty: no tensor is
            required.

    Raises:
        ModelFormatError: the file is not valid. The message says what is wrong.
    """
    start = _header_end(buffer[:_LENGTH_BYTES], len(buffer), source)
    entries = _entries(buffer[_LENGTH_BYTES:start].tobytes(), len(buffer) - start, names, source, required)
    return {name: _tensor(buffer[start + entry.begin : start + entry.end], name, entry, source) for name, entry in entries.items()}


def make_header(entries: Mapping[str, Any]) -> bytes:
    """Return the bytes of a safetensors file before its tensors.

    The format allows spaces after the header. Their number is chosen so that the first tensor is aligned; see `_ALIGNMENT`.

    Args:
        entries: the dtype, shape and data_offsets of each tensor, by its name.
    """
    text = json.dumps(entries).encode()
    text += b" " * (-(_LENGTH_BYTES + len(text)) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


class _Entry(NamedTuple):
    """The place and the type of a tensor.

    Attributes:
        dtype: the name of the type in the format.
        shape: the shape.
        begin, end: the bytes of the tensor, counted from the end of the header.
    """

    dtype: str
    shape: list[int]
    begin: int
    end: int


def _header_end(first_bytes: NDArray[np.uint8], size: int, source: str) -> int:
    """Return the position after the header.

    Args:
        first_bytes: the first eight bytes of the file.
        size: the number of bytes of the file.
        source: the name of the file, for errors.
    """
    if size < _LENGTH_BYTES:
        raise ModelFormatError(f"{source}: {size} bytes, expected a safetensors file of more than {_LENGTH_BYTES} bytes")
    header_length = int.from_bytes(first_bytes.tobytes(), "little")
    if header_length > _MAX_HEADER_BYTES or _LENGTH_BYTES + header_length > size:
        raise ModelFormatError(
            f"{source}: the header has {header_length} bytes but the file has {size}: the file is truncated, or not a safetensors file"
        )
    return _LENGTH_BYTES + header_length


def _entries(text: bytes, size: int, names: Collection[str], source: str, required: Collection[str]) -> dict[str, _Entry]:
    """Return the entries of the tensors in `names`, checked against the size.

    Args:
        text: the JSON of the header.
        size: the number of bytes after the header.
        names, source, required: the arguments of `parse_tensors`.
    """
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{source}: the safetensors header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise ModelFormatError(f"{source}: the safetensors header is a JSON {type(header).__name__}, expected an object")
    first = next((name for name in required if name in header), None)
    if required and first is None:
        found = ", ".join(repr(name) for name in header if name != "__metadata__") or "no tensors"
        raise ModelFormatError(f"{source}: holds {found:.200}, expected a tensor named one of {', '.join(required)}")
    entries = {name: _checked_entry(size, name, entry, source) for name, entry in header.items() if name in names or name == first}
    _check_layout(size, header, source)
    return entries


def _check_layout(size: int, header: Mapping[str, Any], source: str) -> None:
    """Check what the `safetensors` library checks of all tensors: they follow each other without gaps, to the end of the file.

    A test compares with the library. Opening each file with it too would map the file into memory.
    """
    metadata = header.get("__metadata__") or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ModelFormatError(f"{source}: __metadata__ is {metadata!r:.200}, expected an object with strings")
    places = []
    for name, entry in header.items():
        if name != "__metadata__":
            found = entry.get("data_offsets") if isinstance(entry, dict) else None
            if not (isinstance(found, list) and len(found) == _OFFSETS and all(type(offset) is int and 0 <= offset <= size for offset in found)):
                raise ModelFormatError(
                    f"{source}: tensor {name!r:.80}: header entry {entry!r:.200}, expected dtype, shape and two data_offsets from 0 to {size}"
                )
            places.append((*found, name))
    position = 0
    for begin, end, name in sorted(places):
        if begin != position or end < begin:
            raise ModelFormatError(
                f"{source}: tensor {name!r:.80}: data_offsets {[begin, end]!r:.200}, expected to begin at {position}, where the tensor before it ends"
            )
        position = end
    if position != size:
        raise ModelFormatError(f"{source}: the tensors have {position} bytes of {size} bytes of data")


def _checked_entry(size: int, name: str, entry: Any, source: str) -> _Entry:
    """Return an entry of the header, checked. `size`: the number of bytes after the header."""
    where = f"{source}: tensor {name!r:.80}"
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
    expected = math.prod(shape) * np.dtype(_NUMPY_DTYPES[dtype]).itemsize
    if end - begin != expected:
        raise ModelFormatError(f"{where}: {end - begin} bytes, expected {expected} for shape {shape} of {dtype}")
    if end > size:
        raise ModelFormatError(f"{where}: ends at byte {end} of {size} bytes of data: the file is truncated")
    return _Entry(dtype, shape, begin, end)


def _tensor(content: NDArray[np.uint8], name: str, entry: _Entry, source: str) -> Tensor:
    """Return the tensor whose bytes are `content`."""
    numpy_dtype = np.dtype(_NUMPY_DTYPES[entry.dtype])
    try:
        array = content.view(numpy_dtype).reshape(entry.shape)
    except ValueError as error:  # a dimension is too large for NumPy, and another one is zero
        raise ModelFormatError(f"{source}: tensor {name!r:.80}: shape {entry.shape}: {error}") from None
    # Compiled code needs aligned data in the byte order of the machine. This copies only the tensors of files in memory that do not align them.
    array = np.require(array, numpy_dtype.newbyteorder("="), ["C", "A"])
    array.flags.writeable = False
    return Tensor(entry.dtype, array)
