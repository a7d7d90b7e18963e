"""The border to Arrow: a column of strings in, as portions of texts over its own buffers, and a column of vectors out, over the matrix's memory.

pyarrow, which is optional, takes part for its arrays' metadata and its checks; the texts themselves go to compiled code as they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.extras import require
from model2vec_numba.text import BatchLimits, Portion, column_portions

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["StringColumn", "column_of_strings", "find_string_column", "holds_strings"]

# Rows that are checked, and where their type needs it converted, at a time: they are still in the cache when they are tokenised.
_BLOCK = 8192

Encoder = Callable[[Iterator[Portion], NDArray[Any]], None]
"""Writes the vectors of the texts of all portions to the rows of an array."""


class StringColumn:
    """A column of strings.

    Args:
        array: an array of strings, of a dictionary of strings, or of nulls.

    Raises:
        ValueError: its buffers are too small, or an index into a dictionary is out of range. Offsets and UTF-8 are checked block by block.
    """

    def __init__(self, array: pa.Array | pa.ChunkedArray) -> None:
        self._array = array
        self._chunks: list[pa.Array] = getattr(array, "chunks", [array])
        for number, chunk in enumerate(self._chunks):
            _validate(chunk, f"chunk {number}", full=_dictionary(chunk) is not None)

    def __len__(self) -> int:
        return len(self._array)

    def refuse_nulls(self) -> None:
        """Raise a `TypeError` that names the first null, if there is one."""
        first = 0
        for chunk in self._chunks:
            valid = _valid(chunk)
            if valid is not None and not valid.all():
                raise TypeError(f"sentences[{first + int(valid.argmin())}] must be a str, not null")
            first += len(chunk)

    def encode(self, encoder: Encoder, max_chars: int | None, limits: BatchLimits, advance: Callable[[int], object], out: NDArray[Any]) -> None:
        """Have the column encoded into `out`, shape (texts, dim), with zeros in the rows of nulls.

        Args:
            encoder: what encodes.
            max_chars: number of code points to keep of each text; ``None`` keeps all.
            limits: of a batch.
            advance: is told of the number of rows that have just been done.
            out: written to.

        Raises:
            ValueError: the array's buffers are not what Arrow promises.
        """
        first = 0
        for chunks in _groups(self._chunks):
            rows = out[first : first + sum(map(len, chunks))]
            if _dictionary(chunks[0]) is None:
                encoder(_portions(chunks, max_chars, limits, advance, first), rows)
            else:
                _encode_dictionary(chunks, encoder, max_chars, limits, rows)
                advance(len(rows))
            first += len(rows)

    def lists(self, matrix: NDArray[Any]) -> pa.Array | pa.ChunkedArray:
        """The rows of a matrix, shape (texts, dim), as an array of lists: chunked, and null, where this column is. They share its memory."""
        import pyarrow as pa

        elements = pa.from_numpy_dtype(matrix.dtype)
        dim = matrix.shape[1]
        values = pa.Array.from_buffers(elements, matrix.size, [None, pa.py_buffer(matrix)])
        arrays = []
        first = 0
        for chunk in self._chunks:
            valid = _valid(chunk)
            mask = None if valid is None else pa.array(~valid)
            arrays.append(pa.FixedSizeListArray.from_arrays(values.slice(first * dim, len(chunk) * dim), dim, mask=mask))
            first += len(chunk)
        if isinstance(self._array, pa.ChunkedArray):
            return pa.chunked_array(arrays, type=pa.list_(elements, dim))
        return arrays[0]


def column_of_strings(array: Any) -> StringColumn:
    """The column that `array` is, or gives through Arrow's PyCapsule interface.

    Raises:
        TypeError: it is no column of strings.
        ValueError: its buffers are not what Arrow promises.
        ImportError: pyarrow is not installed.
    """
    return StringColumn(_imported(array))


def find_string_column(sentences: Any) -> StringColumn | None:
    """The column of strings behind what a caller holds; ``None`` if there is none that pyarrow can read, or no pyarrow.

    Raises:
        ValueError: its buffers are not what Arrow promises.
    """
    if not (hasattr(sentences, "__arrow_c_stream__") or hasattr(sentences, "__arrow_c_array__")):
        return None
    try:
        imported = _imported(sentences)
    except (ImportError, TypeError, ValueError, NotImplementedError):
        # A pandas series of any objects, for one. Its elements, looked at one by one, tell which of them is wrong.
        return None
    return StringColumn(imported)


def _imported(array: Any) -> pa.Array | pa.ChunkedArray:
    pa = require("pyarrow", "encode_arrow", "arrow")
    if isinstance(array, (pa.Array, pa.ChunkedArray)):
        imported = array
    elif hasattr(array, "__arrow_c_stream__"):
        imported = pa.chunked_array(array)
    elif hasattr(array, "__arrow_c_array__"):
        imported = pa.array(array)
    else:
        raise TypeError(f"array must be an Arrow array, or have __arrow_c_stream__ or __arrow_c_array__, not {type(array).__name__}")
    if not holds_strings(imported.type):
        hint = ": give one of its columns" if pa.types.is_struct(imported.type) else ""
        raise TypeError(f"array must be a column of strings, not of Arrow's type {imported.type}{hint}")
    return imported


def holds_strings(kind: pa.DataType) -> bool:
    """Whether a column of this Arrow type can be encoded."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(holds(kind) for holds in (types.is_string, types.is_large_string, types.is_string_view, types.is_null))


def _dictionary(array: pa.Array) -> pa.Array | None:
    """The values of an array that has a dictionary."""
    return getattr(array, "dictionary", None)


def _groups(chunks: list[pa.Array]) -> Iterator[list[pa.Array]]:
    """Neighbouring chunks that have equal dictionaries, or none, together."""
    group: list[pa.Array] = []
    for chunk in chunks:
        if group and not _same_dictionary(group[0], chunk):
            yield group
            group = []
        group.append(chunk)
    if group:
        yield group


def _same_dictionary(one: pa.Array, other: pa.Array) -> bool:
    """Whether two chunks of a column have equal dictionaries, or none."""
    values = _dictionary(one)
    return values is None or bool(values.equals(_dictionary(other)))


def _encode_dictionary(chunks: list[pa.Array], encoder: Encoder, max_chars: int | None, limits: BatchLimits, out: NDArray[Any]) -> None:
    """Encode those values that chunks of one dictionary use, and give each row its value's vector."""
    import pyarrow as pa

    dictionary = chunks[0].dictionary
    codes = np.concatenate([_codes(chunk) for chunk in chunks])
    valid = np.ones(len(codes), bool)
    first = 0
    for chunk in chunks:
        part = _valid(chunk)
        if part is not None:
            valid[first : first + len(chunk)] = part
        first += len(chunk)
    used = np.zeros(len(dictionary), bool)
    used[codes[valid]] = True
    # pyarrow cannot filter every type of string.
    values = dictionary.cast(pa.large_string()).filter(pa.array(used))
    vectors = np.empty((len(values), out.shape[1]), out.dtype)
    encoder(_portions([values], max_chars, limits, lambda _: None, 0), vectors)
    places = np.cumsum(used) - 1
    for first in range(0, len(out), _BLOCK):
        rows, here = out[first : first + _BLOCK], valid[first : first + _BLOCK]
        rows[~here] = 0
        rows[here] = vectors[places[codes[first : first + _BLOCK][here]]]


def _codes(array: pa.Array) -> NDArray[np.int64]:
    """The indices into the dictionary of an array that has one, anything where there is a null."""
    return array.indices.fill_null(0).to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _portions(chunks: list[pa.Array], max_chars: int | None, limits: BatchLimits, advance: Callable[[int], object], first: int) -> Iterator[Portion]:
    """The texts of arrays of strings, in portions that each lie within a block of one array; `first` is the number of the first row."""
    behind = sum(map(len, chunks))
    for chunk in chunks:
        for begin in range(0, len(chunk), _BLOCK):
            block = chunk.slice(begin, _BLOCK)
            behind -= len(block)
            _validate(block, f"rows {first} to {first + len(block) - 1}")
            for portion in column_portions(*_parts(block), max_chars, limits, behind):
                yield portion
                advance(len(portion))
            first += len(block)


def _validate(array: pa.Array, what: str, *, full: bool = True) -> None:
    """Check what Arrow promises of an array: compiled code reads where the offsets say, and takes UTF-8 for granted.

    In `full` that includes offsets, UTF-8 and indices, at some 8 GB/s of ASCII and 2.4 GB/s of Cyrillic; otherwise the sizes of buffers.

    Raises:
        ValueError: naming `what` it is in.
    """
    import pyarrow as pa

    try:
        array.validate(full=full)
    except pa.ArrowException as error:
        raise ValueError(f"{what}: {error}") from None


def _parts(array: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_] | None]:
    """The bytes, the offsets and the validity of an array of strings, as `column_batches` takes them."""
    import pyarrow as pa

    valid = _valid(array)
    if pa.types.is_null(array.type):
        return _bytes(None), np.zeros(len(array) + 1, np.int64), valid
    if pa.types.is_string_view(array.type):
        # Its texts lie anywhere; side by side is how they are needed.
        array = array.cast(pa.large_string())
    _, offsets, data = array.buffers()
    width = np.dtype(np.int64 if pa.types.is_large_string(array.type) else np.int32)
    # Not a view, even of 64 bits: kernels are compiled for offsets that can be written to.
    return _bytes(data), np.frombuffer(offsets, width, len(array) + 1, array.offset * width.itemsize).astype(np.int64), valid


def _bytes(buffer: pa.Buffer | None) -> NDArray[np.uint8]:
    """A buffer as NumPy sees it, read-only: kernels are compiled for that."""
    # NumPy makes no array of an empty buffer.
    array = np.frombuffer(buffer, np.uint8) if buffer else np.empty(0, np.uint8)
    array.flags.writeable = False
    return array


def _valid(array: pa.Array) -> NDArray[np.bool_] | None:
    """Which elements are not null, bool of shape (n,); ``None`` if none is. An index to a null in a dictionary is a null."""
    valid: NDArray[np.bool_] | None = None
    if array.null_count:
        valid = array.is_valid().to_numpy(zero_copy_only=False).copy()
    dictionary = _dictionary(array)
    known = None if dictionary is None else _valid(dictionary)
    if known is None:
        return valid
    there = np.ones(len(array), bool) if valid is None else valid
    there[there] = known[_codes(array)[there]]
    return there
