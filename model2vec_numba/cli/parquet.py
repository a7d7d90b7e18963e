"""A Parquet file with a column of vectors, written in parts that can be gone on from.

pyarrow writes the schema and the other columns. The vectors' column, most of the file, is written here, from the memory that they were computed in.
pyarrow makes two levels for every number of a list: for vectors of 256 it took 3.3 to 4.3 us each, as long as to encode their texts, this writer
0.8 to 1.0, nearly all of it the system's. (On two cores of an EPYC, into a file in memory.)

https://github.com/apache/parquet-format has the format: `README.md` and `Encodings.md` say how pages look, `parquet.thrift` what the numbers of
fields mean.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from model2vec_numba.cli.thrift import BINARY, I32, I64, LIST, STRUCT, Field, Items, Struct, read_struct, varint, write_struct

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetSink"]

_MAGIC = b"PAR1"
# As many bytes of vectors to a page as other writers have.
_PAGE_BYTES = 1 << 20

# Fields of FileMetaData, SchemaElement, RowGroup, ColumnChunk and ColumnMetaData.
_SCHEMA, _ROWS, _GROUPS = 2, 3, 4
_TYPE, _NAME = 1, 4
_METADATA = 3
_TOTAL_COMPRESSED, _DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE = 7, 9, 10, 11

_PLAIN, _RLE = 0, 3
_UNCOMPRESSED = 0


class _Chunk(NamedTuple):
    """A column of a row group: its description, a ColumnChunk, and its bytes before compression."""

    description: Struct
    size: int


class ParquetSink:
    """A Parquet file in parts, each a run of row groups.

    The metadata that a reader needs is at a Parquet file's end and gives the places of row groups in it. Each part is followed by the metadata of
    all parts so far, so that the file cut off behind any part is whole. The metadata in between, a hundred bytes for a column of a row group, is
    what this costs: nothing refers to it. (Put together from files, the parts would all have to be read and written again.)

    Args:
        path: the file.
        schema: of the batches, whose last column is that of the vectors, ``FixedSizeList<float32 or float16>``.
        size: the length of the file to go on from, where a part ends; 0 for a new file.
    """

    def __init__(self, path: Path, schema: pa.Schema, size: int) -> None:
        import pyarrow as pa

        self.path = path
        os.truncate(path, size)
        self._others = schema.remove(len(schema) - 1)
        with path.open("rb") if size else pa.BufferReader(_written_by_pyarrow(schema, [])) as file:
            self._metadata = _metadata_of(file)
        elements = self._metadata[_SCHEMA].value.values[-3:]
        self._vectors_type: Field = elements[-1][_TYPE]
        # A level for the repeated group, and one for each of the two that may be null.
        vectors = schema.field(len(schema) - 1)
        self._defined = 1 + vectors.nullable + vectors.type.value_field.nullable
        self._vectors_path = Items(BINARY, [element[_NAME].value for element in elements])
        # As bytes, so that the metadata of many parts is not made again for each.
        self._groups = [write_struct(group) for group in self._metadata[_GROUPS].value.values]
        # Large blocks of data go through its buffer without being copied.
        self._file = path.open("ab")
        self._whole = size > 0
        if not size:
            self._file.write(_MAGIC)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch as a row group, if it has rows."""
        if not batch.num_rows:
            return
        begin = self._file.tell()
        chunks = [*self._write_others(batch.select(self._others.names)), self._write_vectors(batch.column(batch.num_columns - 1))]
        self._groups.append(
            write_struct(
                {
                    1: Field(LIST, Items(STRUCT, [chunk.description for chunk in chunks])),
                    2: Field(I64, sum(chunk.size for chunk in chunks)),  # before compression
                    3: Field(I64, batch.num_rows),
                    5: Field(I64, begin),
                    6: Field(I64, self._file.tell() - begin),
                }
            )
        )
        self._metadata[_ROWS] = Field(I64, self._metadata[_ROWS].value + batch.num_rows)
        self._whole = False

    def checkpoint(self) -> int:
        """Write the metadata of all so far, and give the length of the file, which is whole."""
        if not self._whole:
            self._metadata[_GROUPS] = Field(LIST, Items(STRUCT, self._groups))
            footer = write_struct(self._metadata)
            self._file.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)
            self._whole = True
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """Complete the file."""
        self.checkpoint()
        self._file.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        # What is in the buffer need not be written, and perhaps cannot be.
        with suppress(OSError):
            self._file.close()

    def _write_others(self, batch: pa.RecordBatch) -> list[_Chunk]:
        """Write the columns that pyarrow writes."""
        import pyarrow as pa

        if not batch.num_columns:
            return []
        written = _written_by_pyarrow(self._others, [batch])
        (group,) = _metadata_of(pa.BufferReader(written))[_GROUPS].value.values
        # Behind the first magic are the columns, one after the other.
        shift = self._file.tell() - len(_MAGIC)
        chunks = []
        end = len(_MAGIC)
        for chunk in group[1].value.values:
            about: Struct = chunk[_METADATA].value
            end += about[_TOTAL_COMPRESSED].value
            for place in (_DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE):
                if place in about:
                    about[place] = Field(I64, about[place].value + shift)
            chunks.append(_Chunk(chunk, about[6].value))
        self._file.write(memoryview(written)[len(_MAGIC) : end])
        return chunks

    def _write_vectors(self, vectors: pa.FixedSizeListArray) -> _Chunk:
        """Write the column of vectors, in pages."""
        dim, width = vectors.type.list_size, vectors.type.value_type.byte_width
        begin = self._file.tell()
        levels = 0
        rows = max(1, _PAGE_BYTES // (dim * width))
        for first in range(0, len(vectors), rows):
            page = vectors.slice(first, rows)
            # Without those of nulls, which have none in Parquet.
            values = page.flatten()
            data = memoryview(values.buffers()[1])[values.offset * width :][: len(values) * width]
            count = len(values) + page.null_count
            heading = _levels(page, dim, self._defined)
            size = len(heading) + len(data)
            header: Struct = {
                1: Field(I32, 0),  # a page of data
                2: Field(I32, size),
                3: Field(I32, size),
                5: Field(STRUCT, {1: Field(I32, count), 2: Field(I32, _PLAIN), 3: Field(I32, _RLE), 4: Field(I32, _RLE)}),
            }
            self._file.write(write_struct(header) + heading)
            self._file.write(data)
            levels += count
        size = self._file.tell() - begin
        about: Struct = {
            _TYPE: self._vectors_type,
            2: Field(LIST, Items(I32, [_PLAIN, _RLE])),
            3: Field(LIST, self._vectors_path),
            4: Field(I32, _UNCOMPRESSED),
            5: Field(I64, levels),
            6: Field(I64, size),
            _TOTAL_COMPRESSED: Field(I64, size),
            _DATA_PAGE: Field(I64, begin),
        }
        return _Chunk({2: Field(I64, 0), _METADATA: Field(STRUCT, about)}, size)


def _levels(vectors: pa.FixedSizeListArray, dim: int, defined: int) -> bytes:
    """The levels of vectors: of repetition, 0 where a list begins, else 1, and then of definition, `defined`, or 0 for a null in a list's place."""
    begins = _run(1, 0)
    lists = (begins + (_run(dim - 1, 1) if dim > 1 else b""), _run(dim, defined))
    if not vectors.null_count:
        return _measured(lists[0] * len(vectors)) + _measured(_run(dim * len(vectors), defined))
    valid = vectors.is_valid().to_pylist()
    nulls = (begins, _run(1, 0))
    repetition, definition = (b"".join([of_list if there else of_null for there in valid]) for of_list, of_null in zip(lists, nulls, strict=True))
    return _measured(repetition) + _measured(definition)


def _run(count: int, level: int) -> bytes:
    """The same level several times, in Parquet's RLE."""
    return varint(count << 1) + bytes([level])


def _measured(levels: bytes) -> bytes:
    """Levels behind their length, as pages of the first version have them."""
    return len(levels).to_bytes(4, "little") + levels


def _written_by_pyarrow(schema: pa.Schema, batches: list[pa.RecordBatch]) -> pa.Buffer:
    """A file of these batches, each a row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = pa.BufferOutputStream()
    with pq.ParquetWriter(out, schema) as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=batch.num_rows)
    return out.getvalue()


def _metadata_of(file: BinaryIO) -> Struct:
    """The metadata at the end of a file."""
    file.seek(-8, os.SEEK_END)
    length = int.from_bytes(file.read(4), "little")
    file.seek(-8 - length, os.SEEK_END)
    return read_struct(file.read(length))
