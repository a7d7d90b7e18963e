"""Write a Parquet file with a column of vectors. The file can be saved at any row group, and a later run can continue it.

pyarrow writes the schema and the other columns. This module writes the column of vectors, which is most of the file, directly from the memory
that holds the vectors. pyarrow computes two levels for every number of a list. For vectors of 256 numbers it took 3.3 to 4.3 us a vector, as long
as encoding the text. This writer takes 0.8 to 1.0 us, almost all of it in the operating system (two cores of an EPYC, a file in memory).

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

__all__ = ["ParquetWriter"]

_MAGIC = b"PAR1"
# The number of bytes of vectors in a page. Other writers use the same.
_PAGE_BYTES = 1 << 20

# The numbers of the fields of Parquet's structures: FileMetaData,
_SCHEMA, _ROWS, _GROUPS = 2, 3, 4
# SchemaElement,
_TYPE, _NAME = 1, 4
# RowGroup,
_COLUMNS, _GROUP_SIZE, _GROUP_ROWS, _GROUP_OFFSET, _GROUP_COMPRESSED_SIZE = 1, 2, 3, 5, 6
# ColumnChunk,
_CHUNK_OFFSET, _METADATA = 2, 3
# ColumnMetaData (its field 1 is the type, `_TYPE`),
_ENCODINGS, _PATH, _CODEC, _VALUE_COUNT, _SIZE, _COMPRESSED_SIZE, _DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE = 2, 3, 4, 5, 6, 7, 9, 10, 11
# PageHeader,
_PAGE_TYPE, _PAGE_SIZE, _PAGE_COMPRESSED_SIZE, _PAGE_INFO = 1, 2, 3, 5
# and DataPageHeader.
_PAGE_VALUE_COUNT, _PAGE_ENCODING, _DEFINITION_ENCODING, _REPETITION_ENCODING = 1, 2, 3, 4

# Values of Parquet's enumerations: encodings, the codec for no compression, and the type of a data page.
_PLAIN, _RLE = 0, 3
_UNCOMPRESSED = 0
_DATA_PAGE_TYPE = 0


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
        schema: the columns of the batches. The last one holds the vectors, ``FixedSizeList<float32 or float16>``.
        size: the length of the file to continue, at the end of a part. 0 for a new file.
    """

    def __init__(self, path: Path, schema: pa.Schema, size: int) -> None:
        import pyarrow as pa

        self.path = path
        os.truncate(path, size)
        # The columns that pyarrow writes: all except the vectors, which are the last column.
        self._other_columns = _parquet_schema(schema.remove(len(schema) - 1))
        schema = self._other_columns.append(schema.field(len(schema) - 1))
        with path.open("rb") if size else pa.BufferReader(_write_with_pyarrow(schema, [])) as file:
            self._metadata = _read_metadata(file)
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
        content = _write_with_pyarrow(self._other_columns, [pa.RecordBatch.from_arrays(arrays, schema=self._other_columns)])
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
        value_count = 0
        rows = max(1, _PAGE_BYTES // (dim * width))
        for first in range(0, len(vectors), rows):
            page = vectors.slice(first, rows)
            # `flatten` leaves out the elements of nulls, because Parquet stores none for a null.
            values = page.flatten()
            data = memoryview(values.buffers()[1])[values.offset * width :][: len(values) * width]
            count = len(values) + page.null_count
            page_levels = _levels(page, dim, self._max_level)
            size = len(page_levels) + len(data)
            header: ThriftStruct = {
                _PAGE_TYPE: Field(I32, _DATA_PAGE_TYPE),
                _PAGE_SIZE: Field(I32, size),
                _PAGE_COMPRESSED_SIZE: Field(I32, size),
                _PAGE_INFO: Field(
                    STRUCT,
                    {
                        _PAGE_VALUE_COUNT: Field(I32, count),
                        _PAGE_ENCODING: Field(I32, _PLAIN),
                        _DEFINITION_ENCODING: Field(I32, _RLE),
                        _REPETITION_ENCODING: Field(I32, _RLE),
                    },
                ),
            }
            self._file.write(write_struct(header) + page_levels)
            self._file.write(data)
            value_count += count
        size = self._file.tell() - begin
        metadata: ThriftStruct = {
            _TYPE: self._vectors_type,
            _ENCODINGS: Field(LIST, Items(I32, [_PLAIN, _RLE])),
            _PATH: Field(LIST, self._vectors_path),
            _CODEC: Field(I32, _UNCOMPRESSED),
            _VALUE_COUNT: Field(I64, value_count),
            _SIZE: Field(I64, size),
            _COMPRESSED_SIZE: Field(I64, size),
            _DATA_PAGE: Field(I64, begin),
        }
        return _Chunk({_CHUNK_OFFSET: Field(I64, 0), _METADATA: Field(STRUCT, metadata)}, size)


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


def _write_with_pyarrow(schema: pa.Schema, batches: list[pa.RecordBatch]) -> pa.Buffer:
    """Return the bytes of a Parquet file with these batches. Each batch is a row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = pa.BufferOutputStream()
    with pq.ParquetWriter(out, schema) as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=batch.num_rows)
    return out.getvalue()


def _read_metadata(file: BinaryIO) -> ThriftStruct:
    """Return the metadata of a Parquet file. Its last eight bytes are the length of the metadata before them, and `_MAGIC`."""
    file.seek(-8, os.SEEK_END)
    length = int.from_bytes(file.read(4), "little")
    file.seek(-8 - length, os.SEEK_END)
    return read_struct(file.read(length))
