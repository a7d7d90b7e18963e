"""Open tables: Parquet and Arrow, and the lines of a text file as a table with one column. CSV and JSON have modules of their own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model2vec_numba.tables.columns import Columns
from model2vec_numba.tables.csv_text import open_csv
from model2vec_numba.tables.json_lines import open_json
from model2vec_numba.tables.lines import check_utf8
from model2vec_numba.tables.sources import STANDARD_INPUT, TEXT_COLUMN, Source, name_errors, shown_name
from model2vec_numba.tables.table_reader import TableReader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["file_state", "open_table", "table_of_texts"]

# The maximum number of rows of a batch, and about the maximum number of bytes.
_BLOCK_ROWS = 32768
_BLOCK_BYTES = 8 << 20


def open_table(name: str, kind: str, columns: Columns, schema: pa.Schema | None = None) -> TableReader:
    """Open a file, or standard input for ``-``.

    Args:
        name: the path.
        kind: the format, one of `sources.FORMATS`.
        columns: the names of the columns to read.
        schema: for JSON, all columns of all inputs, if they are known.

    Raises:
        OSError: the file cannot be read. The message names it, as the next one.
        ValueError: the content is not in this format, or a column is missing, or the file changes while it is read.
    """
    with name_errors(shown_name(name)), ExitStack() as open_files:
        state = None if name == STANDARD_INPUT else file_state(name)
        opener = _OPENERS[kind] if schema is None else partial(_OPENERS[kind], schema=schema)
        reader = opener(name, columns, open_files)
        reader.close = open_files.pop_all().close
    read = reader.batches

    def batches(skip: int) -> Iterator[pa.RecordBatch]:
        with name_errors(shown_name(name)):
            yield from read(skip)
            if state is not None and file_state(name) != state:
                raise ValueError("the file was changed while it was read")

    reader.batches = batches
    return reader


def file_state(name: str) -> list[int]:
    """Return numbers that change when the contents of a file change."""
    status = Path(name).stat()
    # The time of the last change of state cannot be set, as the time of the last change of contents can.
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def table_of_texts(texts: Sequence[str]) -> TableReader:
    """Return a reader of texts in memory."""
    import pyarrow as pa

    batch = pa.record_batch({TEXT_COLUMN: pa.array(texts, pa.string())})
    return TableReader(batch.schema, rows=len(batch), batches=lambda skip: iter([batch.slice(skip)]), position=lambda: 0)


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
        return _open_arrow_stream(pa.PythonFile(open_files.enter_context(Source(name)).file, "r"), columns)
    # If a mapped file is cut off by another program, the process ends. So the file is read, and a batch must fit in memory.
    source = open_files.enter_context(pa.OSFile(name))
    try:
        reader = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return _open_arrow_stream(source, columns)
    wanted = columns.choose(reader.schema.names)
    count = reader.num_record_batches
    options = pa.ipc.IpcReadOptions(included_fields=[reader.schema.get_field_index(column) for column in wanted])
    reader = pa.ipc.open_file(source, options=options)
    position = 0

    def all_batches() -> Iterator[pa.RecordBatch]:
        nonlocal position
        for i in range(count):
            yield reader.get_batch(i).select(wanted)
            position = source.size() * (i + 1) // count

    # pyarrow 25 cannot count rows without reading them.
    rows = reader.count_rows() if hasattr(reader, "count_rows") else None
    return TableReader(_select(reader.schema, wanted), rows, lambda skip: _skip_rows(all_batches(), skip), lambda: position)


def _open_arrow_stream(source: Any, columns: Columns) -> TableReader:
    """Open an Arrow IPC stream, which does not say its number of rows."""
    import pyarrow as pa

    reader = pa.ipc.open_stream(source)
    wanted = columns.choose(reader.schema.names)
    selected = (batch.select(wanted) for batch in reader)
    return TableReader(_select(reader.schema, wanted), rows=None, batches=lambda _skip: selected, position=source.tell)


def _open_lines(name: str, columns: Columns, open_files: ExitStack) -> TableReader:
    """Open a text file as a table with the column `TEXT_COLUMN` and a row for each line. The number of rows is not known."""
    import pyarrow as pa

    columns.choose([TEXT_COLUMN])
    source = open_files.enter_context(Source(name))
    # Bytes that are not UTF-8 become lone surrogates, which `check_utf8` finds. The decoder's own error would not name the line.
    lines = open_files.enter_context(io.TextIOWrapper(source.file, "utf-8", "surrogateescape"))
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

    return TableReader(schema, rows=None, batches=lambda _skip: all_batches(), position=source.position)


def _select(schema: pa.Schema, wanted: list[str]) -> pa.Schema:
    """Return the schema of the columns `wanted`, in this order."""
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in wanted])


_OPENERS: dict[str, Callable[..., TableReader]] = {
    "parquet": _open_parquet,
    "arrow": _open_arrow,
    "csv": open_csv,
    "tsv": partial(open_csv, delimiter="\t"),
    "jsonl": open_json,
    "json": partial(open_json, array=True),
    "lines": _open_lines,
}
