"""Write tables batch by batch. A file can be saved at any batch, and a later run can continue it from there."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol

from model2vec_numba.files.atomic import Output
from model2vec_numba.files.partial import successor
from model2vec_numba.tables.parquet import ParquetWriter
from model2vec_numba.tables.plain_types import as_text, cannot_hold
from model2vec_numba.tables.vector_files import json_rows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TABLE_SUFFIXES", "Writer", "find_writer", "open_text_writer"]


class Writer(Protocol):
    """Writes a table whose last column holds the vectors."""

    path: Path
    """The file to which rows are written. It can differ from the file that is continued."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch."""

    def checkpoint(self) -> int:
        """Hand all data to the operating system. Return the length of the file: a later run can continue a file of this length."""

    def close(self) -> None:
        """Complete the file."""

    def abandon(self) -> None:
        """Close the file as it is, after an error."""


Opener = Callable[[Path, "pa.Schema", int, int, str], Writer]
"""Opens an existing file for a table with a schema. Then come the numbers of rows and of bytes to keep. Bytes after them are dropped. Both are 0 for
a new file. The last argument is the compression of a Parquet file."""


def find_writer(target: str) -> Opener | None:
    """Return the function that opens a table file for writing, by the suffix of the file. ``None`` if it is not the suffix of a table."""
    return _OPENERS.get(PurePath(target).suffix.lower())


def open_text_writer(target: str, output: Output, schema: pa.Schema) -> Writer:
    """Return a writer of text to a stream such as standard output: CSV if `target` ends in ``.csv``, else JSON lines."""
    return _TextStream((_Csv if PurePath(target).suffix.lower() == ".csv" else _JsonLines)(schema, True), output)


class _ArrowFile:
    """Writes Arrow's file format. pyarrow cannot continue such a file, so the batches to keep are copied to a new one."""

    def __init__(self, path: Path, schema: pa.Schema, rows: int, size: int, _compression: str) -> None:
        import pyarrow as pa

        # The old file stays as it is until the new one has a checkpoint.
        self.path = successor(path) if size else path
        self._file = pa.OSFile(os.fspath(self.path), "wb")
        self._writer = pa.ipc.new_file(self._file, schema)
        if size:
            with pa.OSFile(os.fspath(path)) as source:
                # After its first eight bytes, an Arrow file is like an Arrow stream.
                source.seek(8)
                reader = pa.ipc.open_stream(source)
                while rows > 0:
                    batch = reader.read_next_batch()
                    self._writer.write_batch(batch)
                    rows -= batch.num_rows

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def checkpoint(self) -> int:
        self._file.flush()
        return int(self._file.tell())

    def close(self) -> None:
        self._writer.close()
        self._file.close()

    def abandon(self) -> None:
        self._file.close()


class _TextFile:
    """Writes a text file, with one or more lines for each row."""

    def __init__(self, lines: _Lines, path: Path, size: int) -> None:
        self._lines = lines
        self.path = path
        self._file = io.FileIO(path, "a")
        self._file.truncate(size)

    def write(self, batch: pa.RecordBatch) -> None:
        rest = memoryview(self._lines(batch))
        while rest:
            rest = rest[self._file.write(rest) or 0 :]

    def checkpoint(self) -> int:
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        if not self.checkpoint():
            self._file.write(self._lines.opening())
        self._file.close()

    def abandon(self) -> None:
        self._file.close()


class _TextStream:
    """Writes text to a stream, which cannot be continued."""

    def __init__(self, lines: _Lines, output: Output) -> None:
        self.path = Path()
        self._lines = lines
        self._output = output
        self._written = False

    def write(self, batch: pa.RecordBatch) -> None:
        self._written = True
        self._output.write(self._lines(batch))

    def checkpoint(self) -> int:
        return 0

    def close(self) -> None:
        if not self._written:
            self._output.write(self._lines.opening())

    def abandon(self) -> None:
        pass


class _Lines(Protocol):
    """Converts batches to text."""

    def opening(self) -> bytes:
        """Return the text that comes before the first row of a file."""

    def __call__(self, batch: pa.RecordBatch) -> bytes:
        """Return the lines of a batch. The first batch of a new file includes the opening."""


class _JsonLines:
    """Writes each row as a JSON object on its own line."""

    def __init__(self, schema: pa.Schema, _new: bool) -> None:
        self._vectors = json.dumps(schema.names[-1], ensure_ascii=False)

    def opening(self) -> bytes:
        return b""

    def __call__(self, batch: pa.RecordBatch) -> bytes:
        names = batch.schema.names[:-1]
        values = [self._values(batch.column(i), name) for i, name in enumerate(names)]
        rows: Iterable[tuple[Any, ...]] = zip(*values, strict=True) if names else [()] * batch.num_rows
        lines = []
        for row, vector in zip(rows, _json_vectors(batch), strict=True):
            start = self._encode(dict(zip(names, row, strict=True)))[:-1]
            lines.append(f"{start}{', ' if row else ''}{self._vectors}: {vector}}}\n")
        return "".join(lines).encode()

    def _values(self, column: pa.Array, name: str) -> list[Any]:
        """Return the values of a column as objects of Python."""
        texts = as_text(column, "JSON", name)
        try:
            return texts.to_pylist()  # type: ignore[no-any-return]
        except (NotImplementedError, ValueError) as error:  # pyarrow's errors are such
            raise cannot_hold("JSON", name, f"of type {column.type} ({error})") from error

    def _encode(self, row: dict[str, Any]) -> str:
        """Return a row as JSON."""
        try:
            return _encode_json(row)
        except ValueError:
            for name, value in row.items():
                try:
                    _encode_json(value)
                except ValueError as error:  # noqa: PERF203 - only after an error
                    found = "with bytes that are not UTF-8" if isinstance(error, UnicodeDecodeError) else f"with the value {value!s:.40}"
                    raise cannot_hold("JSON", name, found, "write .parquet or .arrow, or do not copy this column (keep)") from None
            raise


def _json_default(value: Any) -> str:
    """Return the text of a value that JSON has no type for, such as a date."""
    return value.decode() if isinstance(value, bytes) else str(value)


_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_json_default).encode


class _Csv:
    """Writes each row as values between commas. A vector is one value: a JSON list."""

    def __init__(self, schema: pa.Schema, new: bool) -> None:
        import pyarrow as pa
        from pyarrow import csv

        for field in list(schema)[:-1]:
            try:
                empty = as_text(pa.nulls(1, field.type), "CSV", field.name)
                csv.write_csv(pa.record_batch([empty], names=["x"]), pa.BufferOutputStream())
            except (pa.ArrowException, NotImplementedError):  # noqa: PERF203 - names the column
                raise cannot_hold("CSV", field.name, f"of type {field.type}") from None
        self._schema = schema
        self._header = new

    def opening(self) -> bytes:
        import pyarrow as pa

        return self(pa.RecordBatch.from_pylist([], self._schema))

    def __call__(self, batch: pa.RecordBatch) -> bytes:
        import pyarrow as pa
        from pyarrow import csv

        vectors = pa.array([None if vector == "null" else vector for vector in _json_vectors(batch)], pa.string())
        names = batch.schema.names
        texts = [as_text(batch.column(i), "CSV", name) for i, name in enumerate(names[:-1])]
        buffer = pa.BufferOutputStream()
        csv.write_csv(pa.record_batch([*texts, vectors], names=names), buffer, csv.WriteOptions(include_header=self._header))
        self._header = False
        content: bytes = buffer.getvalue().to_pybytes()
        return content


def _json_vectors(batch: pa.RecordBatch) -> list[str]:
    """Return each vector of a batch as a JSON list, or ``null``."""
    vectors = batch.column(batch.num_columns - 1)
    dim = vectors.type.list_size
    values = vectors.values.to_numpy()[vectors.offset * dim : (vectors.offset + len(vectors)) * dim]
    rows = json_rows(values.reshape(len(vectors), dim))
    return [row if valid else "null" for row, valid in zip(rows, vectors.is_valid().to_pylist(), strict=True)]


_OPENERS: dict[str, Opener] = {
    ".parquet": lambda path, schema, _rows, size, compression: ParquetWriter(path, schema, size, compression),
    ".arrow": _ArrowFile,
    ".feather": _ArrowFile,
    ".ipc": _ArrowFile,
    ".csv": lambda path, schema, _rows, size, _compression: _TextFile(_Csv(schema, size == 0), path, size),
    ".jsonl": lambda path, schema, _rows, size, _compression: _TextFile(_JsonLines(schema, size == 0), path, size),
}

TABLE_SUFFIXES = tuple(_OPENERS)
"""The suffixes of the files that can be written."""
