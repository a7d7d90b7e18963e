"""Read tables in batches: Parquet, CSV, JSON lines and Arrow, and the lines of a text file as a table with one column."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO

from model2vec_numba.tables.columns import Columns
from model2vec_numba.tables.lines import check_utf8

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "STANDARD_INPUT", "TEXT_COLUMN", "TableReader", "format_of", "open_table", "table_of_texts"]

FORMATS = ("parquet", "csv", "jsonl", "arrow", "lines")
_SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}

STANDARD_INPUT = "-"
TEXT_COLUMN = "text"
"""The name of the only column of the format ``lines``."""

# The maximum number of rows of a batch, and about the maximum number of bytes. pyarrow calls such a part of a file a block.
_BLOCK_ROWS = 32768
_BLOCK_BYTES = 8 << 20


@dataclass
class TableReader:
    """An open input.

    Attributes:
        schema: the columns that are read.
        rows: the number of rows. ``None``: the format does not say it.
        batches: a function that yields the rows in batches. Its argument is the number of rows to skip, which is ignored if `rows` is ``None``.
        position: a function that returns the number of bytes read so far.
        close: a function that closes the file.
    """

    schema: pa.Schema
    rows: int | None
    batches: Callable[[int], Iterator[pa.RecordBatch]]
    position: Callable[[], int]
    close: Callable[[], None] = lambda: None


def format_of(name: str) -> str | None:
    """Return the table format of a file by its suffix, one of `FORMATS`. ``None`` if the suffix is not one of a table."""
    return _SUFFIXES.get(PurePath(name).suffix.lower())


def open_table(name: str, kind: str, columns: Columns) -> TableReader:
    """Open a file, or standard input for ``-``.

    Args:
        name: the path.
        kind: the format, one of `FORMATS`.
        columns: the names of the columns to read.

    Raises:
        OSError: the file cannot be read.
        ValueError: the content is not in this format, or a column is missing. The message names the file.
    """
    if name == STANDARD_INPUT and sys.stdin is None:
        raise OSError("standard input: closed")
    shown = "standard input" if name == STANDARD_INPUT else name
    import pyarrow as pa

    with ExitStack() as open_files:
        try:
            reader = _OPENERS[kind](name, columns, open_files)
        except (pa.ArrowException, ValueError) as error:
            raise _with_name(error, shown) from None
        reader.close = open_files.pop_all().close
    read = reader.batches

    def batches(skip: int) -> Iterator[pa.RecordBatch]:
        try:
            yield from read(skip)
        except (pa.ArrowException, ValueError) as error:
            raise _with_name(error, shown) from None

    reader.batches = batches
    return reader


def table_of_texts(texts: Sequence[str]) -> TableReader:
    """Return a reader of texts in memory."""
    import pyarrow as pa

    batch = pa.record_batch({TEXT_COLUMN: pa.array(texts, pa.string())})
    return TableReader(batch.schema, rows=len(batch), batches=lambda skip: iter([batch.slice(skip)]), position=lambda: 0)


def _with_name(error: Exception, name: str) -> Exception:
    """Return an error whose message names the file."""
    if isinstance(error, OSError):
        return error
    return ValueError(f"{name}: {error}")


def _open_binary(name: str) -> BinaryIO:
    """Open a file, or standard input, to read bytes."""
    return io.BufferedReader(io.FileIO(sys.stdin.fileno() if name == STANDARD_INPUT else name, closefd=name != STANDARD_INPUT), 1 << 20)


def _skip_rows(batches: Iterator[pa.RecordBatch], skip: int) -> Iterator[pa.RecordBatch]:
    """Yield the batches without the first `skip` rows."""
    for batch in batches:
        if skip >= batch.num_rows:
            skip -= batch.num_rows
            continue
        yield batch.slice(skip)
        skip = 0


def _open_parquet(name: str, columns: Columns, open_files: ExitStack) -> TableReader:
    """Open a Parquet file. `open_files` will close it, as in the functions below."""
    import pyarrow.parquet as pq

    if name == STANDARD_INPUT:
        raise ValueError("Parquet cannot be read from standard input, because its index is at the end of the file: give a file")
    # A buffer for each column. Without `buffer_size`, pyarrow reads a whole row group at once.
    file = open_files.enter_context(pq.ParquetFile(name, buffer_size=1 << 20, pre_buffer=False))
    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    wanted = columns.choose(file.schema_arrow.names)
    rows = file.metadata.num_rows
    row_bytes = sum(group.total_byte_size for group in groups) // max(rows, 1)
    schema = file.schema_arrow
    read = 0

    def batches(skip: int) -> Iterator[pa.RecordBatch]:
        nonlocal read
        first = 0
        while first < len(groups) and skip >= groups[first].num_rows:
            skip -= groups[first].num_rows
            first += 1
        step = max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // max(row_bytes, 1)))
        for batch in _skip_rows(file.iter_batches(step, row_groups=list(range(first, len(groups))), columns=wanted), skip):
            read += batch.num_rows
            yield batch.select(wanted)

    return TableReader(_select(schema, wanted), rows, batches, position=lambda: read * row_bytes)


def _open_arrow(name: str, columns: Columns, open_files: ExitStack) -> TableReader:
    """Open an Arrow IPC file, or a stream."""
    import pyarrow as pa

    if name == STANDARD_INPUT:
        return _open_arrow_stream(pa.PythonFile(open_files.enter_context(_open_binary(name)), "r"), columns)
    # The file is mapped into memory, because one of its batches may be larger than the memory.
    source = open_files.enter_context(pa.memory_map(name))
    try:
        reader = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return _open_arrow_stream(source, columns)
    wanted = columns.choose(reader.schema.names)
    position = 0

    def all_batches() -> Iterator[pa.RecordBatch]:
        nonlocal position
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i).select(wanted)
            position = source.size() * (i + 1) // reader.num_record_batches

    rows = sum(reader.get_batch(i).num_rows for i in range(reader.num_record_batches))
    return TableReader(_select(reader.schema, wanted), rows, batches=lambda skip: _skip_rows(all_batches(), skip), position=lambda: position)


def _open_arrow_stream(source: Any, columns: Columns) -> TableReader:
    """Open an Arrow IPC stream, which does not say its number of rows."""
    import pyarrow as pa

    reader = pa.ipc.open_stream(source)
    wanted = columns.choose(reader.schema.names)
    selected = (batch.select(wanted) for batch in reader)
    return TableReader(_select(reader.schema, wanted), rows=None, batches=lambda _skip: selected, position=source.tell)


def _open_csv(name: str, columns: Columns, open_files: ExitStack) -> TableReader:
    """Open a CSV file whose first row is the header. All values are read as strings. The number of rows is not known."""
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    file = open_files.enter_context(_open_binary(name))
    # pyarrow takes the types by column name, so the names must be known first.
    header = next(csv.reader(line.decode("utf-8-sig") for line in file), [])
    if len(set(header)) < len(header):
        raise ValueError("two columns in the header have the same name")
    wanted = columns.choose(header)
    # A type guessed from the first rows might not fit the later ones.
    schema = pa.schema([(column, pa.string()) for column in wanted])

    def all_batches() -> Iterator[pa.RecordBatch]:
        if file.peek(1):  # type: ignore[attr-defined]  # pyarrow refuses to read an empty file
            yield from pa_csv.open_csv(
                pa.PythonFile(file, "r"),
                read_options=pa_csv.ReadOptions(column_names=header, block_size=_BLOCK_BYTES),
                parse_options=pa_csv.ParseOptions(newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types={column: pa.string() for column in header}, include_columns=wanted, strings_can_be_null=False
                ),
            )

    return TableReader(schema, rows=None, batches=lambda _skip: all_batches(), position=_byte_counter(file))


def _open_jsonl(name: str, columns: Columns, open_files: ExitStack) -> TableReader:
    """Open a file with a JSON object in each line. The number of rows is not known."""
    import pyarrow as pa
    from pyarrow import json as pa_json

    file = open_files.enter_context(_open_binary(name))
    # The columns and their types are those of the first lines. `readline` completes the last of these.
    head = file.read(_BLOCK_BYTES // 8)
    head += file.readline()
    found = pa_json.read_json(io.BytesIO(head)).schema if head.strip() else pa.schema([])
    wanted = columns.choose(found.names)
    schema = pa.schema([pa.field(column, _without_guesses(found.field(column).type)) for column in wanted])
    rejoined = io.BufferedReader(_Rejoined(head, file), 1 << 20)

    def all_batches() -> Iterator[pa.RecordBatch]:
        batches = pa_json.open_json(
            pa.PythonFile(rejoined, "r"),
            read_options=pa_json.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
        yield from (batch.select(wanted) for batch in batches)

    return TableReader(schema, rows=None, batches=lambda _skip: all_batches(), position=_byte_counter(file))


def _without_guesses(kind: Any) -> Any:
    """Return a type that pyarrow found in JSON, but strings in place of times, which pyarrow only guessed, and in place of nulls."""
    import pyarrow as pa

    if pa.types.is_temporal(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_guesses(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _without_guesses(field.type)) for field in kind])
    return kind


class _Rejoined(io.RawIOBase):
    """A file from its beginning, made from the first bytes, which were read already, and the rest of the file."""

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


def _open_lines(name: str, columns: Columns, open_files: ExitStack) -> TableReader:
    """Open a text file as a table with the column `TEXT_COLUMN` and a row for each line. The number of rows is not known."""
    import pyarrow as pa

    columns.choose([TEXT_COLUMN])
    file = open_files.enter_context(_open_binary(name))
    # Bytes that are not UTF-8 become lone surrogates, which `check_utf8` finds. The decoder's own error would not name the line.
    lines = open_files.enter_context(io.TextIOWrapper(file, "utf-8", "surrogateescape"))
    schema = pa.schema([(TEXT_COLUMN, pa.string())])

    def all_batches() -> Iterator[pa.RecordBatch]:
        held: list[str] = []
        size = 0
        for number, line in enumerate(lines, 1):
            held.append(check_utf8(line.removesuffix("\n"), f"line {number}"))
            size += len(line)
            if size >= _BLOCK_BYTES or len(held) >= _BLOCK_ROWS:
                yield pa.record_batch({TEXT_COLUMN: pa.array(held, pa.string())}, schema=schema)
                held, size = [], 0
        yield pa.record_batch({TEXT_COLUMN: pa.array(held, pa.string())}, schema=schema)

    return TableReader(schema, rows=None, batches=lambda _skip: all_batches(), position=_byte_counter(file))


def _byte_counter(file: BinaryIO) -> Callable[[], int]:
    """Return a function that returns the number of bytes read from a file. It returns 0 for a pipe and for a closed file."""

    def position() -> int:
        return 0 if file.closed or not file.seekable() else file.tell()

    return position


def _select(schema: pa.Schema, wanted: list[str]) -> pa.Schema:
    """Return the schema of the columns `wanted`, in this order."""
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in wanted])


_OPENERS: dict[str, Callable[[str, Columns, ExitStack], TableReader]] = {
    "parquet": _open_parquet,
    "arrow": _open_arrow,
    "csv": _open_csv,
    "jsonl": _open_jsonl,
    "lines": _open_lines,
}
