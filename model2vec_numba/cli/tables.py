"""Tables to read: Parquet, CSV, JSON lines and Arrow, and lines of text as a table of one column, each in batches that memory holds."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO

from model2vec_numba.cli.texts import checked

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "STANDARD_INPUT", "TEXT_COLUMN", "Table", "format_of", "open_table", "table_of_texts"]

FORMATS = ("parquet", "csv", "jsonl", "arrow", "lines")
_SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}

STANDARD_INPUT = "-"
TEXT_COLUMN = "text"
"""The name of the only column of lines."""

# Rows that a reader hands over at a time, at most, and about how many bytes they are to have.
_ROWS = 32768
_BYTES = 8 << 20

Columns = Callable[[Sequence[str]], list[str]]
"""The columns to read, of those that there are. Raises a `ValueError` where one that is wanted is not there."""


@dataclass
class Table:
    """An input that is open.

    Attributes:
        schema: of the columns that are read.
        rows: their number, where the file tells without being read.
        batches: reads the rows; where their number is known, from that of a given number on.
        position: how many bytes have been read.
        close: closes the file.
    """

    schema: pa.Schema
    rows: int | None
    batches: Callable[[int], Iterator[pa.RecordBatch]]
    position: Callable[[], int]
    close: Callable[[], None] = lambda: None


def format_of(name: str) -> str | None:
    """The format of a file by its suffix; ``None`` for what has none of a table's."""
    return _SUFFIXES.get(PurePath(name).suffix.lower())


def open_table(name: str, kind: str, columns: Columns) -> Table:
    """Open a file, or standard input for ``-``.

    Args:
        name: its path.
        kind: one of `FORMATS`.
        columns: chooses the columns.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what its format asks for; the message names it.
    """
    if name == STANDARD_INPUT and sys.stdin is None:
        raise OSError("standard input: closed")
    shown = "standard input" if name == STANDARD_INPUT else name
    import pyarrow as pa

    with ExitStack() as files:
        try:
            table = _OPENERS[kind](name, columns, files)
        except (pa.ArrowException, ValueError) as error:
            raise _named(error, shown) from None
        table.close = files.pop_all().close
    read = table.batches

    def batches(skip: int) -> Iterator[pa.RecordBatch]:
        try:
            yield from read(skip)
        except (pa.ArrowException, ValueError) as error:
            raise _named(error, shown) from None

    table.batches = batches
    return table


def table_of_texts(texts: Sequence[str]) -> Table:
    """Texts that are in memory."""
    import pyarrow as pa

    batch = pa.record_batch({TEXT_COLUMN: pa.array(texts, pa.string())})
    return Table(batch.schema, len(batch), lambda skip: iter([batch.slice(skip)]), lambda: 0)


def _named(error: Exception, name: str) -> Exception:
    if isinstance(error, OSError):
        return error
    return ValueError(f"{name}: {error}")


def _binary(name: str) -> BinaryIO:
    return io.BufferedReader(io.FileIO(sys.stdin.fileno() if name == STANDARD_INPUT else name, closefd=name != STANDARD_INPUT), 1 << 20)


def _skipping(batches: Iterator[pa.RecordBatch], skip: int) -> Iterator[pa.RecordBatch]:
    """The batches without the first `skip` rows."""
    for batch in batches:
        if skip >= batch.num_rows:
            skip -= batch.num_rows
            continue
        yield batch.slice(skip)
        skip = 0


def _open_parquet(name: str, columns: Columns, files: ExitStack) -> Table:
    import pyarrow.parquet as pq

    if name == STANDARD_INPUT:
        raise ValueError("Parquet is read from its end, which standard input does not show: give a file")
    # A buffer to a column: without one, a whole row group is read at once.
    file = files.enter_context(pq.ParquetFile(name, buffer_size=1 << 20, pre_buffer=False))
    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    wanted = columns(file.schema_arrow.names)
    rows = file.metadata.num_rows
    size = sum(group.total_byte_size for group in groups) // max(rows, 1)
    schema = file.schema_arrow
    read = 0

    def batches(skip: int) -> Iterator[pa.RecordBatch]:
        nonlocal read
        first = 0
        while first < len(groups) and skip >= groups[first].num_rows:
            skip -= groups[first].num_rows
            first += 1
        step = max(1, min(_ROWS, _BYTES // max(size, 1)))
        for batch in _skipping(file.iter_batches(step, row_groups=list(range(first, len(groups))), columns=wanted), skip):
            read += batch.num_rows
            yield batch.select(wanted)

    return Table(_selected(schema, wanted), rows, batches, lambda: read * size)


def _open_arrow(name: str, columns: Columns, files: ExitStack) -> Table:
    import pyarrow as pa

    if name == STANDARD_INPUT:
        return _arrow_stream(pa.PythonFile(files.enter_context(_binary(name)), "r"), columns)
    # Mapped, because a batch of it may be larger than memory.
    source = files.enter_context(pa.memory_map(name))
    try:
        reader = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return _arrow_stream(source, columns)
    wanted = columns(reader.schema.names)
    position = 0

    def every() -> Iterator[pa.RecordBatch]:
        nonlocal position
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i).select(wanted)
            position = source.size() * (i + 1) // reader.num_record_batches

    rows = sum(reader.get_batch(i).num_rows for i in range(reader.num_record_batches))
    return Table(_selected(reader.schema, wanted), rows, lambda skip: _skipping(every(), skip), lambda: position)


def _arrow_stream(source: Any, columns: Columns) -> Table:
    import pyarrow as pa

    reader = pa.ipc.open_stream(source)
    wanted = columns(reader.schema.names)
    selected = (batch.select(wanted) for batch in reader)
    return Table(_selected(reader.schema, wanted), None, lambda _: selected, source.tell)


def _open_csv(name: str, columns: Columns, files: ExitStack) -> Table:
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    file = files.enter_context(_binary(name))
    # The header alone is read here: pyarrow wants the names of columns before it is told their types.
    header = next(csv.reader(line.decode("utf-8-sig") for line in file), [])
    if len(set(header)) < len(header):
        raise ValueError("the header has a name twice")
    wanted = columns(header)
    # A type guessed from the first rows would not hold for all: every value stays the text that it is.
    schema = pa.schema([(column, pa.string()) for column in wanted])

    def every() -> Iterator[pa.RecordBatch]:
        if file.peek(1):  # type: ignore[attr-defined]  # pyarrow refuses to read nothing
            yield from pa_csv.open_csv(
                pa.PythonFile(file, "r"),
                read_options=pa_csv.ReadOptions(column_names=header, block_size=_BYTES),
                parse_options=pa_csv.ParseOptions(newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types={column: pa.string() for column in header}, include_columns=wanted, strings_can_be_null=False
                ),
            )

    return Table(schema, None, lambda _: every(), _teller(file))


def _open_jsonl(name: str, columns: Columns, files: ExitStack) -> Table:
    import pyarrow as pa
    from pyarrow import json as pa_json

    file = files.enter_context(_binary(name))
    # Whole lines, from which the columns and their types are taken.
    head = file.read(_BYTES // 8)
    head += file.readline()
    found = pa_json.read_json(io.BytesIO(head)).schema if head.strip() else pa.schema([])
    wanted = columns(found.names)
    schema = pa.schema([pa.field(column, _without_guesses(found.field(column).type)) for column in wanted])
    whole = io.BufferedReader(_Joined(head, file), 1 << 20)

    def every() -> Iterator[pa.RecordBatch]:
        batches = pa_json.open_json(
            pa.PythonFile(whole, "r"),
            read_options=pa_json.ReadOptions(block_size=_BYTES),
            parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
        yield from (batch.select(wanted) for batch in batches)

    return Table(schema, None, lambda _: every(), _teller(file))


def _without_guesses(kind: Any) -> Any:
    """A type that pyarrow found in JSON, with strings that look like times left strings, and nulls taken for missing strings."""
    import pyarrow as pa

    if pa.types.is_temporal(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_guesses(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _without_guesses(field.type)) for field in kind])
    return kind


class _Joined(io.RawIOBase):
    """What was read of a file already, and then the rest of it."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            return self._rest.readinto(buffer)  # type: ignore[attr-defined, no-any-return]
        count = min(len(self._head), len(buffer))
        buffer[:count] = self._head[:count]
        self._head = self._head[count:]
        return count


def _open_lines(name: str, columns: Columns, files: ExitStack) -> Table:
    import pyarrow as pa

    columns([TEXT_COLUMN])
    file = files.enter_context(_binary(name))
    # What is not UTF-8 is let through as lone surrogates, which `checked` finds, and knows the line of.
    lines = files.enter_context(io.TextIOWrapper(file, "utf-8", "surrogateescape"))
    schema = pa.schema([(TEXT_COLUMN, pa.string())])

    def every() -> Iterator[pa.RecordBatch]:
        held: list[str] = []
        size = 0
        for number, line in enumerate(lines, 1):
            held.append(checked(line.removesuffix("\n"), f"line {number}"))
            size += len(line)
            if size >= _BYTES or len(held) >= _ROWS:
                yield pa.record_batch({TEXT_COLUMN: pa.array(held, pa.string())}, schema=schema)
                held, size = [], 0
        yield pa.record_batch({TEXT_COLUMN: pa.array(held, pa.string())}, schema=schema)

    return Table(schema, None, lambda _: every(), _teller(file))


def _teller(file: BinaryIO) -> Callable[[], int]:
    """How far a file has been read; no one knows of a pipe, and nothing more once it is closed."""

    def position() -> int:
        return 0 if file.closed or not file.seekable() else file.tell()

    return position


def _selected(schema: pa.Schema, wanted: list[str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in wanted])


_OPENERS: dict[str, Callable[[str, Columns, ExitStack], Table]] = {
    "parquet": _open_parquet,
    "arrow": _open_arrow,
    "csv": _open_csv,
    "jsonl": _open_jsonl,
    "lines": _open_lines,
}
