"""Make text batches from Arrow columns, and Arrow columns from vectors.

pyarrow is optional. It gives access to the buffers of an array and checks them. Compiled code then reads the texts in place.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import BatchLimits, LazyBatch, TextBatch, read_only, split_by_bytes
from model2vec_numba.extras import OLDEST_FOR_COLUMNS, require

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DictionaryRows", "StringColumn", "column_batches", "column_of_strings", "find_string_column", "holds_strings"]

# Rows are validated and, if their type needs it, converted this many at a time: they are still in the processor's caches when they are tokenised.
_BLOCK_ROWS = 8192


class StringColumn:
    """A column of strings.

    Args:
        array: an array of strings, of a dictionary of strings, or of nulls.

    Raises:
        ValueError: a buffer is too small, or an index into a dictionary is out of range. Offsets and UTF-8 are checked later, block by block.
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
        first_row = 0
        for chunk in self._chunks:
            valid = _validity(chunk)
            if valid is not None and not valid.all():
                raise TypeError(f"sentences[{first_row + int(valid.argmin())}] must be a str, not null")
            first_row += len(chunk)

    def few_strings(self, max_rows: int, max_bytes: int) -> tuple[str, ...] | None:
        """Return the texts as Python strings, if there are few. A null is an empty text.

        ``None`` if there are more than `max_rows` or `max_bytes`, the column has a dictionary, or its data is not valid.
        """
        if len(self._array) > max_rows or len(self._chunks) != 1:
            return None
        chunk = self._chunks[0]
        if _dictionary(chunk) is not None or not _fits(chunk, max_bytes):
            return None
        try:
            _validate(chunk, "few rows")
        except ValueError:
            return None
        return tuple([text or "" for text in chunk.to_pylist()])

    def groups(self) -> Iterator[ChunkGroup]:
        """Yield groups of consecutive chunks: chunks with the same Arrow dictionary, or chunks without a dictionary."""
        chunks: list[pa.Array] = []
        first_row = 0
        for chunk in self._chunks:
            if chunks and not _same_dictionary(chunks[0], chunk):
                yield ChunkGroup(chunks, first_row)
                first_row += sum(map(len, chunks))
                chunks = []
            chunks.append(chunk)
        if chunks:
            yield ChunkGroup(chunks, first_row)

    def lists(self, matrix: NDArray[Any]) -> pa.Array | pa.ChunkedArray:
        """Return the rows of a matrix, C-contiguous of shape (texts, dim), as an array of lists that shares its memory.

        It has the chunks and the nulls of this column. The rows of nulls become zeros.
        """
        import pyarrow as pa

        elements = pa.from_numpy_dtype(matrix.dtype)
        dim = matrix.shape[1]
        values = pa.Array.from_buffers(elements, matrix.size, [None, pa.py_buffer(matrix)])
        arrays = []
        first = 0
        for chunk in self._chunks:
            valid = _validity(chunk)
            mask = None
            if valid is not None:
                mask = pa.array(~valid)
                matrix[first : first + len(chunk)][~valid] = 0
            arrays.append(pa.FixedSizeListArray.from_arrays(values.slice(first * dim, len(chunk) * dim), dim, mask=mask))
            first += len(chunk)
        if isinstance(self._array, pa.ChunkedArray):
            return pa.chunked_array(arrays, type=pa.list_(elements, dim))
        return arrays[0]


class ChunkGroup:
    """Consecutive chunks of a column, with the same Arrow dictionary or without a dictionary.

    Args:
        chunks: arrays, at least one.
        first_row: the number of their first row in the column, for error messages.
    """

    def __init__(self, chunks: list[pa.Array], first_row: int) -> None:
        self._chunks = chunks
        self._first_row = first_row

    def __len__(self) -> int:
        return sum(map(len, self._chunks))

    def batches(self, max_chars: int | None, limits: BatchLimits) -> Iterator[LazyBatch]:
        """Yield the texts in batches. The chunks must not have a dictionary. A null is an empty text.

        Args:
            max_chars: the number of code points to keep of each text. ``None`` keeps all.
            limits: the largest size of a batch.

        Raises:
            ValueError: the buffers are not valid Arrow data. The message gives the rows.
        """
        first_row = self._first_row
        later = len(self)
        for chunk in self._chunks:
            for begin in range(0, len(chunk), _BLOCK_ROWS):
                block = chunk.slice(begin, _BLOCK_ROWS)
                later -= len(block)
                _validate(block, f"rows {first_row} to {first_row + len(block) - 1}")
                yield from column_batches(*_arrays(block), max_chars, limits, later)
                first_row += len(block)

    def blocks(self) -> Iterator[ChunkGroup]:
        """Yield the rows in groups of at most some thousand rows of one chunk."""
        first_row = self._first_row
        for chunk in self._chunks:
            for begin in range(0, len(chunk), _BLOCK_ROWS):
                block = chunk.slice(begin, _BLOCK_ROWS)
                yield ChunkGroup([block], first_row)
                first_row += len(block)

    def strings(self) -> tuple[str, ...]:
        """Return the texts as Python strings. The chunks must not have a dictionary. A null is an empty text.

        Raises:
            ValueError: the buffers are not valid Arrow data. The message gives the rows.
        """
        texts: list[str | None] = []
        for chunk in self._chunks:
            first_row = self._first_row + len(texts)
            _validate(chunk, f"rows {first_row} to {first_row + len(chunk) - 1}")
            texts += chunk.to_pylist()
        return tuple(text or "" for text in texts)

    def dictionary_rows(self) -> DictionaryRows | None:
        """Return the used values of the dictionary, and the value of each row. ``None`` if the chunks have no dictionary."""
        import pyarrow as pa

        dictionary = _dictionary(self._chunks[0])
        if dictionary is None:
            return None
        codes = np.concatenate([_codes(chunk) for chunk in self._chunks])
        valid = np.ones(len(codes), bool)
        first = 0
        for chunk in self._chunks:
            chunk_valid = _validity(chunk)
            if chunk_valid is not None:
                valid[first : first + len(chunk)] = chunk_valid
            first += len(chunk)
        used = np.zeros(len(dictionary), bool)
        used[codes[valid]] = True
        # pyarrow cannot filter every type of string, but it can filter large_string.
        values = dictionary.cast(pa.large_string()).filter(pa.array(used))
        return DictionaryRows(ChunkGroup([values], 0), np.cumsum(used) - 1, codes, valid)


class DictionaryRows(NamedTuple):
    """The rows of a column that has a dictionary.

    Attributes:
        values: the values of the dictionary that at least one row uses.
        positions: int64, shape (dictionary,): the position in `values` of each used value of the dictionary.
        codes: int64, shape (rows,): each row's index into the dictionary. The index of a null row has no meaning.
        valid: bool, shape (rows,): whether a row is not null.
    """

    values: ChunkGroup
    positions: NDArray[np.int64]
    codes: NDArray[np.int64]
    valid: NDArray[np.bool_]

    def take(self, vectors: NDArray[Any], out: NDArray[Any]) -> None:
        """Write the vector of each row's value to `out`, shape (rows, dim). A null has zeros."""
        for first in range(0, len(out), _BLOCK_ROWS):
            rows, valid = out[first : first + _BLOCK_ROWS], self.valid[first : first + _BLOCK_ROWS]
            rows[~valid] = 0
            rows[valid] = vectors[self.positions[self.codes[first : first + _BLOCK_ROWS][valid]]]


def column_of_strings(array: Any) -> StringColumn:
    """Return an object as a column. It must be a pyarrow array, or export one through Arrow's PyCapsule interface.

    Raises:
        TypeError: it is not a column of strings.
        ValueError: its buffers are not valid Arrow data.
        ImportError: pyarrow is not installed, or too old.
    """
    return StringColumn(_import_array(array))


def find_string_column(sentences: Any) -> StringColumn | None:
    """Return the column of strings that an object exports. ``None`` if it exports none, or pyarrow is not installed or too old.

    Raises:
        ValueError: its buffers are not valid Arrow data.
    """
    # Asking a list for attributes that it does not have takes a tenth of the time of a short call.
    if isinstance(sentences, (list, tuple)) or not (hasattr(sentences, "__arrow_c_stream__") or hasattr(sentences, "__arrow_c_array__")):
        return None
    try:
        imported = _import_array(sentences)
    except (ImportError, TypeError, ValueError, NotImplementedError):
        # For example a pandas series of arbitrary objects. The caller then checks its elements one by one, and names the wrong one.
        return None
    return StringColumn(imported)


# The module that was checked. Checking it takes five times as long as finding it.
_checked_pyarrow: list[Any] = [None]


def _pyarrow() -> Any:
    """Return pyarrow. Raise an ImportError if it is not installed or too old."""
    if sys.modules.get("pyarrow") is None or sys.modules["pyarrow"] is not _checked_pyarrow[0]:
        _checked_pyarrow[0] = require("pyarrow", "encode_arrow", "arrow", OLDEST_FOR_COLUMNS)
    return _checked_pyarrow[0]


def _import_array(array: Any) -> pa.Array | pa.ChunkedArray:
    """Return an object as a pyarrow array of strings. Raise a TypeError if it is not one."""
    pa = _pyarrow()
    if isinstance(array, (pa.Array, pa.ChunkedArray)):
        imported = array
    elif hasattr(array, "__arrow_c_stream__"):
        imported = pa.chunked_array(array)
    elif hasattr(array, "__arrow_c_array__"):
        imported = pa.array(array)
    else:
        raise TypeError(f"array must be an Arrow array, or have __arrow_c_stream__ or __arrow_c_array__, not {type(array).__name__}")
    # Most columns have one of these types. All checks together take as long as a short text.
    if imported.type.id in (pa.lib.Type_STRING, pa.lib.Type_LARGE_STRING):
        return imported
    if not holds_strings(imported.type):
        hint = ": give one of its columns" if pa.types.is_struct(imported.type) else ""
        raise TypeError(f"array must be a column of strings, not of Arrow's type {imported.type}{hint}")
    return imported


def holds_strings(kind: pa.DataType) -> bool:
    """Return whether a column of this Arrow type can be encoded."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind)  # type: ignore[no-any-return]


def _dictionary(array: pa.Array) -> pa.Array | None:
    """Return the values of an array with a dictionary. ``None`` for any other array."""
    return getattr(array, "dictionary", None)


def _same_dictionary(one: pa.Array, other: pa.Array) -> bool:
    """Return whether two chunks of a column have equal dictionaries, or both have no dictionary."""
    values = _dictionary(one)
    return values is None or bool(values.equals(_dictionary(other)))


def _codes(array: pa.Array) -> NDArray[np.int64]:
    """Return the indices of an array's elements in its dictionary. The index of a null is 0."""
    return array.indices.fill_null(0).to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _fits(array: pa.Array, max_bytes: int) -> bool:
    """Return whether the texts of an array take at most `max_bytes` bytes. The array has no dictionary."""
    # This is the size of whole buffers, which other rows may use too. Asking for less takes ten times as long.
    if array.get_total_buffer_size() <= max_bytes:
        return True
    if array.type.id == sys.modules["pyarrow"].lib.Type_STRING_VIEW:
        # `nbytes` counts the texts of all rows. A view has four integers of 32 bits, and the first is the length of the text.
        lengths = np.frombuffer(array.buffers()[1], np.int32)[4 * array.offset :: 4][: len(array)]
        return int(lengths.sum(dtype=np.int64)) <= max_bytes
    return bool(array.nbytes <= max_bytes)


def _validate(array: pa.Array, name: str, *, full: bool = True) -> None:
    """Check that an array is valid Arrow data, because compiled code relies on it.

    Args:
        array: the array.
        name: what to call it in an error.
        full: whether to check offsets, UTF-8 and indices too (about 8 GB/s of ASCII, 2.4 GB/s of Cyrillic). Otherwise only the sizes of buffers are
            checked.

    Raises:
        ValueError: the array is not valid.
    """
    import pyarrow as pa

    try:
        array.validate(full=full)
    except pa.ArrowException as error:
        raise ValueError(f"{name}: {error}") from None


def _arrays(array: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_] | None]:
    """Return the bytes, the offsets and the validity of an array of strings. They are arguments of `column_batches`."""
    import pyarrow as pa

    valid = _validity(array)
    if pa.types.is_null(array.type):
        return read_only(np.empty(0, np.uint8)), np.zeros(len(array) + 1, np.int64), valid
    if pa.types.is_string_view(array.type):
        # The texts of string views are in several places. The type `large_string` has them one after the other.
        array = array.cast(pa.large_string())
    _, offsets, data = array.buffers()
    width = np.dtype(np.int64 if pa.types.is_large_string(array.type) else np.int32)
    # NumPy makes no array of an empty buffer.
    texts = read_only(np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8))
    # A copy of the offsets even if they are int64: kernels are compiled for writeable offsets.
    return texts, np.frombuffer(offsets, width, len(array) + 1, array.offset * width.itemsize).astype(np.int64), valid


def _validity(array: pa.Array) -> NDArray[np.bool_] | None:
    """Return whether each element is not null, as bool of shape (n,). ``None`` if no element is null.

    An element of an array with a dictionary is also null if its value in the dictionary is null.
    """
    valid: NDArray[np.bool_] | None = None
    if array.null_count:
        valid = array.is_valid().to_numpy(zero_copy_only=False).copy()
    dictionary = _dictionary(array)
    valid_values = None if dictionary is None else _validity(dictionary)
    if valid_values is None:
        return valid
    result = np.ones(len(array), bool) if valid is None else valid
    result[result] = valid_values[_codes(array)[result]]
    return result


def column_batches(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    valid: NDArray[np.bool_] | None,
    max_chars: int | None,
    limits: BatchLimits,
    later: int = 0,
) -> Iterator[LazyBatch]:
    """Yield the texts of a column in Arrow's layout in batches.

    The texts are copied only if bytes between them are left out: bytes of nulls, and the ends of texts that are cut.

    Args:
        data: uint8, read-only.
        offsets: int64, shape (n + 1,). Text ``i`` is ``data[offsets[i]:offsets[i + 1]]``, which must be valid UTF-8 if text ``i`` is valid.
        valid: bool, shape (n,): whether each text is not null. ``None``: no text is null. A null becomes an empty text.
        max_chars: the number of code points to keep of each text. ``None`` keeps all.
        limits: the largest size of a batch.
        later: the number of texts that come after these in other batches.
    """
    stored = np.diff(offsets)
    kept = stored if valid is None else np.where(valid, stored, 0)
    # A text does not have more code points than bytes.
    if max_chars is not None and len(kept) and kept.max() > max_chars:
        from model2vec_numba.text.column_kernels import cut_lengths

        kept = kept.copy()
        cut_lengths(data, offsets, max_chars, kept)
    for first in range(0, len(kept), limits.texts):
        lengths = kept[first : first + limits.texts]
        for start, stop, size in split_by_bytes(limits, lengths, later + len(kept) - first - len(lengths)):
            begin, end = first + start, first + stop
            yield LazyBatch(end - begin, size, partial(_flatten_column, data, offsets[begin : end + 1], kept[begin:end]))


def _flatten_column(data: NDArray[np.uint8], offsets: NDArray[np.int64], kept: NDArray[np.int64]) -> TextBatch:
    """Make a batch of the first ``kept[i]`` bytes of each text ``data[offsets[i]:offsets[i + 1]]``."""
    ends = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(kept, out=ends[1:])
    begin = offsets[0]
    if ends[-1] == offsets[-1] - begin:
        return TextBatch(data[begin : begin + ends[-1]], ends)
    from model2vec_numba.text.column_kernels import gather_texts

    gathered = np.empty(ends[-1], np.uint8)
    gather_texts(data, offsets[:-1], ends, gathered)
    return TextBatch(read_only(gathered), ends)
