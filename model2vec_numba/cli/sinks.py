"""Tables to write, batch by batch: each format can say at which length its unfinished file holds all that was written, and go on from there."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Protocol

from model2vec_numba.cli.formats import json_rows
from model2vec_numba.cli.parquet import ParquetSink

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Sink", "find_sink", "open_text_sink"]

Write = Callable[[bytes], object]


class Sink(Protocol):
    """Where batches go."""

    path: Path
    """The file that is being written. It may be another than the one to go on from."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch; its last column is that of the vectors."""

    def checkpoint(self) -> int:
        """Hand all that was written to the system, and give the length of the file to go on from."""

    def close(self) -> None:
        """Complete the file."""

    def abandon(self) -> None:
        """Close the file as it is."""


Opener = Callable[[Path, "pa.Schema", int, int], Sink]
"""Opens a file to write a schema to: a new one, or one that holds a number of rows in a number of bytes, and perhaps something torn behind."""


def find_sink(target: str) -> Opener | None:
    """The format of a table by the suffix of its file, if it is one."""
    return _OPENERS.get(PurePath(target).suffix.lower())


class _Arrow:
    """Arrow's file format. Its index, at the end, is the writer's own, so what is there already is copied, batch by batch."""

    def __init__(self, path: Path, schema: pa.Schema, rows: int, size: int) -> None:
        import pyarrow as pa

        # The old file stays what it is until there is a checkpoint in the new one.
        self.path = path if not size else path.with_suffix("" if path.suffix == ".new" else f"{path.suffix}.new")
        self._file = pa.OSFile(os.fspath(self.path), "wb")
        self._writer = pa.ipc.new_file(self._file, schema)
        if size:
            with pa.OSFile(os.fspath(path)) as source:
                # Behind eight bytes, a file is a stream.
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


class _Text:
    """A file of lines, of which each batch makes some more."""

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


class _Lines(Protocol):
    """Batches as lines."""

    def opening(self) -> bytes:
        """What comes before the first row."""

    def __call__(self, batch: pa.RecordBatch) -> bytes:
        """The lines of a batch, the first with the opening."""


class _JsonLines:
    """An object on each line."""

    def __init__(self, _schema: pa.Schema, _new: bool) -> None:
        pass

    def opening(self) -> bytes:
        return b""

    def __call__(self, batch: pa.RecordBatch) -> bytes:
        vectors = json.dumps(batch.schema.names[-1], ensure_ascii=False)
        others = batch.select(batch.schema.names[:-1])
        lines = []
        # The other columns' dates and the like as text: JSON has no such values.
        rows = others.to_pylist() if others.num_columns else [{}] * batch.num_rows
        for row, vector in zip(rows, _json_vectors(batch), strict=True):
            start = json.dumps(row, ensure_ascii=False, default=str)[:-1]
            lines.append(f"{start}{', ' if row else ''}{vectors}: {vector}}}\n")
        return "".join(lines).encode()


class _Csv:
    """Values between commas, a vector as one value: a list in JSON."""

    def __init__(self, schema: pa.Schema, new: bool) -> None:
        import pyarrow as pa

        for field in schema:
            if pa.types.is_nested(field.type) and field.name != schema.names[-1]:
                raise ValueError(f"CSV has no place for column {field.name!r} of type {field.type}: leave it out with --keep")
        self._schema = schema
        self._header = new

    def opening(self) -> bytes:
        import pyarrow as pa

        return self(pa.RecordBatch.from_pylist([], self._schema))

    def __call__(self, batch: pa.RecordBatch) -> bytes:
        import pyarrow as pa
        from pyarrow import csv

        texts = pa.array([None if vector == "null" else vector for vector in _json_vectors(batch)], pa.string())
        table = pa.record_batch([*batch.columns[:-1], texts], names=batch.schema.names)
        buffer = pa.BufferOutputStream()
        csv.write_csv(table, buffer, csv.WriteOptions(include_header=self._header))
        self._header = False
        content: bytes = buffer.getvalue().to_pybytes()
        return content


def _json_vectors(batch: pa.RecordBatch) -> list[str]:
    """The vectors of a batch, in JSON."""
    import numpy as np

    vectors = batch.column(batch.num_columns - 1)
    dim = vectors.type.list_size
    values = vectors.values.to_numpy()[vectors.offset * dim : (vectors.offset + len(vectors)) * dim]
    rows = json_rows(values.reshape(len(vectors), dim).astype(np.float32))
    return [row if valid else "null" for row, valid in zip(rows, vectors.is_valid().to_pylist(), strict=True)]


class _TextStream:
    """Lines to a stream, from which there is no going on."""

    def __init__(self, lines: _Lines, write: Write) -> None:
        self.path = Path()
        self._lines = lines
        self._write = write
        self._written = False

    def write(self, batch: pa.RecordBatch) -> None:
        self._written = True
        self._write(self._lines(batch))

    def checkpoint(self) -> int:
        return 0

    def close(self) -> None:
        if not self._written:
            self._write(self._lines.opening())

    def abandon(self) -> None:
        pass


def open_text_sink(target: str, write: Write, schema: pa.Schema) -> Sink:
    """Lines to a stream, such as standard output: CSV where its name says so, else JSON lines."""
    return _TextStream((_Csv if PurePath(target).suffix.lower() == ".csv" else _JsonLines)(schema, True), write)


_OPENERS: dict[str, Opener] = {
    ".parquet": lambda path, schema, _rows, size: ParquetSink(path, schema, size),
    ".arrow": _Arrow,
    ".feather": _Arrow,
    ".ipc": _Arrow,
    ".csv": lambda path, schema, _rows, size: _Text(_Csv(schema, size == 0), path, size),
    ".jsonl": lambda path, schema, _rows, size: _Text(_JsonLines(schema, size == 0), path, size),
}
