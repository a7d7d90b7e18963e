"""Write a Parquet file with a column of vectors. The file can be saved at any row group, and a later run can continue it.

pyarrow writes the schema and the other columns, with their statistics. This module writes the column of vectors, which is most of the file, directly
from the memory that holds the vectors. pyarrow computes two levels for every number of a list.

Whole jobs in turns, 300,000 rows of 170 characters, vectors of 256 numbers, from Parquet to Parquet, two busy cores, on disk and in memory. The times
are relative to this writer's, of the same job:

    ======================================================  ==============  =========  ======
    writer                                                  processor time  wall time  size
    ======================================================  ==============  =========  ======
    float32: this one (vectors as they are)                 1.0             1.0        333 MB
    pyarrow, tuned (for vectors no dictionary, statistics
    or compression, and pages of 8 MB)                      1.4 - 1.9       1.2 - 1.9  333 MB
    the same, a folder of files                             1.8             1.6        333 MB
    pyarrow, vectors split into streams of bytes and zstd   2.3             2.2 - 2.4  284 MB
    Polars, nothing compressed, a folder of files           1.1 - 1.3       1.0        365 MB
    int8: this one (a dictionary of all integers)           1.0             1.0        103 MB
    pyarrow, tuned                                          2.0             2.3        333 MB
    pyarrow, a dictionary                                   2.6             2.9        103 MB
    pyarrow, a dictionary and zstd                          2.9             3.3        94 MB
    ======================================================  ==============  =========  ======

So vectors are not compressed. Half precision saves more space than compression, and time too: 180 MB in 0.9 times the processor time. For the other
columns, zstd makes the file smaller than snappy by 12 MB, in about the same time. Parquet stores integers of 8 bits in 32 bits, so they are written
as indices into a dictionary of all 256 values, which is one byte each.

The format: https://github.com/apache/parquet-format. `README.md` and `Encodings.md` describe the pages. `parquet.thrift` has the meanings of the
field numbers.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from model2vec_numba.tables.plain_types import cannot_hold, decoded, decoded_type
from model2vec_numba.tables.thrift import BINARY, I32, I64, LIST, STRUCT, Field, Items, ThriftStruct, read_struct, varint, write_struct

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COMPRESSIONS", "ParquetWriter"]

COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4", "none")
"""How columns can be compressed."""

_MAGIC = b"PAR1"
# The number of bytes of vectors in a page. Other writers use the same.
_PAGE_BYTES = 1 << 20

# The numbers of the fields of Parquet's structures: FileMetaData,
_SCHEMA, _ROWS, _GROUPS, _CREATED_BY = 2, 3, 4, 6
# SchemaElement,
_TYPE, _NAME = 1, 4
# RowGroup,
_COLUMNS, _GROUP_SIZE, _GROUP_ROWS, _GROUP_OFFSET, _GROUP_COMPRESSED_SIZE = 1, 2, 3, 5, 6
# ColumnChunk,
_CHUNK_OFFSET, _METADATA = 2, 3
# ColumnMetaData (its field 1 is the type, `_TYPE`),
_ENCODINGS, _PATH, _CODEC, _VALUE_COUNT, _SIZE, _COMPRESSED_SIZE, _DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE = 2, 3, 4, 5, 6, 7, 9, 10, 11
# PageHeader,
_PAGE_TYPE, _PAGE_SIZE, _PAGE_COMPRESSED_SIZE, _PAGE_INFO, _DICTIONARY_INFO = 1, 2, 3, 5, 7
# and DataPageHeader. DictionaryPageHeader begins with the first two of these.
_PAGE_VALUE_COUNT, _PAGE_ENCODING, _DEFINITION_ENCODING, _REPETITION_ENCODING = 1, 2, 3, 4

# Values of Parquet's enumerations: encodings, the codec for no compression, and the types of pages.
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_UNCOMPRESSED = 0
_DATA_PAGE_TYPE, _DICTIONARY_PAGE_TYPE = 0, 2

# The number of bits of an index into the dictionary of integers, and the number of indices that are packed together.
_INDEX_BITS = 8
_INDEX_GROUP = 8


class _Chunk(NamedTuple):
    """A column of a row group.

    Attributes:
        description: the column as a ColumnChunk.
        size: its number of bytes before compression.
    """

    description: ThriftStruct
    size: int


class ParquetWriter:
    """Writes a Parquet file of several parts. A part consists of one or more row groups.

    A reader needs the metadata at the end of the file, which says where the row groups are. Each part is followed by the metadata of all parts so
    far. So the file is complete if it is cut off after any part. The earlier metadata stays in the file, but no reader uses it: about a hundred
    bytes for each column of a row group. (If each part were a file of its own, all parts would have to be read and written again at the end.)

    Args:
        path: the file, which must exist.
        schema: the columns of the batches. The last one holds the vectors, ``FixedSizeList<float32, float16, int8 or uint8>``.
        size: the length of the file to continue, at the end of a part. 0 for a new file.
        compression: how the other columns are compressed, one of `COMPRESSIONS`.
    """

    def __init__(self, path: Path, schema: pa.Schema, size: int, compression: str = "zstd") -> None:
        import pyarrow as pa

        self.path = path
        self._compression = compression
        os.truncate(path, size)
        # The columns that pyarrow writes: all except the vectors, which are the last column.
        self._other_columns = _parquet_schema(schema.remove(len(schema) - 1))
        schema = self._other_columns.append(schema.field(len(schema) - 1))
        with path.open("rb") if size else pa.BufferReader(_write_with_pyarrow(schema, [])) as file:
            self._metadata = _read_metadata(file)
        if not size:
            self._metadata[_CREATED_BY] = Field(BINARY, _creator().encode())
        elements = self._metadata[_SCHEMA].value.values[-3:]
        self._vectors_type: Field = elements[-1][_TYPE]
        # The largest definition level: 1 for the repeated group, and 1 each if vectors or elements may be null.
        vectors = schema.field(len(schema) - 1)
        self._max_level = 1 + vectors.nullable + vectors.type.value_field.nullable
        self._vectors_path = Items(BINARY, [element[_NAME].value for element in elements])
        # Kept as bytes, so that the metadata of earlier row groups is not encoded again for each part.
        self._groups = [write_struct(group) for group in self._metadata[_GROUPS].value.values]
        # Large blocks of data bypass the buffer.
        self._file = path.open("ab")
        # Whether the file ends with the metadata of all its row groups.
        self._complete = size > 0
        if not size:
            self._file.write(_MAGIC)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch as a row group, if it has rows. The vectors are its last column."""
        if not batch.num_rows:
            return
        begin = self._file.tell()
        chunks = [*self._write_other_columns(batch.select(self._other_columns.names)), self._write_vectors(batch.column(batch.num_columns - 1))]
        self._groups.append(
            write_struct(
                {
                    _COLUMNS: Field(LIST, Items(STRUCT, [chunk.description for chunk in chunks])),
                    _GROUP_SIZE: Field(I64, sum(chunk.size for chunk in chunks)),
                    _GROUP_ROWS: Field(I64, batch.num_rows),
                    _GROUP_OFFSET: Field(I64, begin),
                    _GROUP_COMPRESSED_SIZE: Field(I64, self._file.tell() - begin),
                }
            )
        )
        self._metadata[_ROWS] = Field(I64, self._metadata[_ROWS].value + batch.num_rows)
        # The metadata in the file does not have this row group yet.
        self._complete = False

    def checkpoint(self) -> int:
        """Write the metadata of all row groups so far. Return the length of the file, which is now complete."""
        if not self._complete:
            self._metadata[_GROUPS] = Field(LIST, Items(STRUCT, self._groups))
            footer = write_struct(self._metadata)
            self._file.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)
            self._complete = True
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """Complete the file."""
        self.checkpoint()
        self._file.close()

    def abandon(self) -> None:
        """Close the file as it is, after an error."""
        # The content of the buffer is not needed, and perhaps it cannot be written.
        with suppress(OSError):
            self._file.close()

    def _write_other_columns(self, batch: pa.RecordBatch) -> list[_Chunk]:
        """Let pyarrow write all columns except the vectors. Return their chunks."""
        import pyarrow as pa

        if not batch.num_columns:
            return []
        arrays = [decoded(column) for column in batch.columns]
        content = _write_with_pyarrow(self._other_columns, [pa.RecordBatch.from_arrays(arrays, schema=self._other_columns)], self._compression)
        (group,) = _read_metadata(pa.BufferReader(content))[_GROUPS].value.values
        # After the four bytes at the beginning come the columns, one after the other. The offsets are moved to where the columns go in this file.
        shift = self._file.tell() - len(_MAGIC)
        chunks = []
        end = len(_MAGIC)
        for chunk in group[_COLUMNS].value.values:
            metadata: ThriftStruct = chunk[_METADATA].value
            end += metadata[_COMPRESSED_SIZE].value
            for offset in (_DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE):
                if offset in metadata:
                    metadata[offset] = Field(I64, metadata[offset].value + shift)
            chunks.append(_Chunk(chunk, metadata[_SIZE].value))
        self._file.write(memoryview(content)[len(_MAGIC) : end])
        return chunks

    def _write_vectors(self, vectors: pa.FixedSizeListArray) -> _Chunk:
        """Write the column of vectors in pages, and return its chunk."""
        dim, width = vectors.type.list_size, vectors.type.value_type.byte_width
        begin = self._file.tell()
        encodings = [_PLAIN, _RLE]
        offsets: ThriftStruct = {}
        if width == 1:
            encodings = [_PLAIN, _RLE, _RLE_DICTIONARY]
            offsets = {_DICTIONARY_PAGE: Field(I64, begin)}
            self._write_dictionary(signed=str(vectors.type.value_type) == "int8")
        offsets = {_DATA_PAGE: Field(I64, self._file.tell()), **offsets}
        value_count = 0
        rows = max(1, _PAGE_BYTES // (dim * width))
        for first in range(0, len(vectors), rows):
            page = vectors.slice(first, rows)
            # `flatten` leaves out the elements of nulls, because Parquet stores none for a null.
            values = page.flatten()
            data = memoryview(values.buffers()[1])[values.offset * width :][: len(values) * width]
            count = len(values) + page.null_count
            head, tail = _levels(page, dim, self._max_level), b""
            if width == 1:
                # The bytes of the integers are the indices. They come in groups, and the last group is filled up.
                groups = -(-len(values) // _INDEX_GROUP)
                head += bytes([_INDEX_BITS]) + varint(groups << 1 | 1)
                tail = bytes(groups * _INDEX_GROUP - len(values))
            info = {
                _PAGE_VALUE_COUNT: Field(I32, count),
                _PAGE_ENCODING: Field(I32, encodings[-1] if width == 1 else _PLAIN),
                _DEFINITION_ENCODING: Field(I32, _RLE),
                _REPETITION_ENCODING: Field(I32, _RLE),
            }
            self._file.write(_page_header(_DATA_PAGE_TYPE, len(head) + len(data) + len(tail), {_PAGE_INFO: Field(STRUCT, info)}) + head)
            self._file.write(data)
            self._file.write(tail)
            value_count += count
        size = self._file.tell() - begin
        metadata: ThriftStruct = {
            _TYPE: self._vectors_type,
            _ENCODINGS: Field(LIST, Items(I32, encodings)),
            _PATH: Field(LIST, self._vectors_path),
            _CODEC: Field(I32, _UNCOMPRESSED),
            _VALUE_COUNT: Field(I64, value_count),
            _SIZE: Field(I64, size),
            _COMPRESSED_SIZE: Field(I64, size),
            **offsets,
        }
        return _Chunk({_CHUNK_OFFSET: Field(I64, 0), _METADATA: Field(STRUCT, metadata)}, size)

    def _write_dictionary(self, *, signed: bool) -> None:
        """Write a page with the integer of each byte, in 32 bits, as Parquet stores integers of eight bits."""
        values = b"".join([int.from_bytes([byte], "little", signed=signed).to_bytes(4, "little", signed=True) for byte in range(256)])
        info = {_PAGE_VALUE_COUNT: Field(I32, 256), _PAGE_ENCODING: Field(I32, _PLAIN)}
        self._file.write(_page_header(_DICTIONARY_PAGE_TYPE, len(values), {_DICTIONARY_INFO: Field(STRUCT, info)}) + values)


def _creator() -> str:
    """Return who writes the file. Readers expect this form: a name, the word version, and a version."""
    from importlib.metadata import PackageNotFoundError, version

    import pyarrow as pa

    try:
        own = version("model2vec-numba")
    except PackageNotFoundError:  # the package was copied, not installed
        own = "0"
    return f"model2vec-numba version {own} (build pyarrow-{pa.__version__})"


def _page_header(kind: int, size: int, info: ThriftStruct) -> bytes:
    """Return the header of a page that is not compressed."""
    return write_struct({_PAGE_TYPE: Field(I32, kind), _PAGE_SIZE: Field(I32, size), _PAGE_COMPRESSED_SIZE: Field(I32, size), **info})


def _parquet_schema(schema: pa.Schema) -> pa.Schema:
    """Return the types of columns in a Parquet file.

    Raises:
        ValueError: Parquet cannot hold a column. The message names it.
    """
    import pyarrow as pa

    schema = pa.schema([field.with_type(decoded_type(field.type)) for field in schema], schema.metadata)
    for field in schema:
        try:
            _write_with_pyarrow(pa.schema([field]), [])
        except (pa.ArrowException, NotImplementedError):  # noqa: PERF203 - names the column
            raise cannot_hold("Parquet", field.name, f"of type {field.type}") from None
    return schema


def _levels(vectors: pa.FixedSizeListArray, dim: int, max_level: int) -> bytes:
    """Return the repetition and definition levels of vectors in Parquet's encoding.

    The repetition level is 0 at the beginning of a list and 1 in it. The definition level is `max_level` for an element, and 0 for a null vector.
    """
    begins = _run(1, 0)
    lists = (begins + (_run(dim - 1, 1) if dim > 1 else b""), _run(dim, max_level))
    if not vectors.null_count:
        return _with_length(lists[0] * len(vectors)) + _with_length(_run(dim * len(vectors), max_level))
    valid = vectors.is_valid().to_pylist()
    nulls = (begins, _run(1, 0))
    repetition, definition = (
        b"".join([of_list if is_valid else of_null for is_valid in valid]) for of_list, of_null in zip(lists, nulls, strict=True)
    )
    return _with_length(repetition) + _with_length(definition)


def _run(count: int, level: int) -> bytes:
    """Return one level, repeated `count` times, in Parquet's run-length encoding."""
    return varint(count << 1) + bytes([level])


def _with_length(levels: bytes) -> bytes:
    """Return levels with their length in front. Data pages of version 1 need this."""
    return len(levels).to_bytes(4, "little") + levels


def _write_with_pyarrow(schema: pa.Schema, batches: list[pa.RecordBatch], compression: str = "none") -> pa.Buffer:
    """Return the bytes of a Parquet file with these batches. Each batch is a row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = pa.BufferOutputStream()
    with pq.ParquetWriter(out, schema, compression=compression) as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=batch.num_rows)
    return out.getvalue()


def _read_metadata(file: BinaryIO) -> ThriftStruct:
    """Return the metadata of a Parquet file. Its last eight bytes are the length of the metadata before them, and `_MAGIC`."""
    file.seek(-8, os.SEEK_END)
    length = int.from_bytes(file.read(4), "little")
    file.seek(-8 - length, os.SEEK_END)
    return read_struct(file.read(length))
