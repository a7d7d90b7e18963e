"""Read CSV and TSV. pyarrow parses the rows. This module finds the header, rows larger than a block, and a quote that is not closed."""

from __future__ import annotations

import csv
import io
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from model2vec_numba.tables.columns import Columns
from model2vec_numba.tables.sources import Source
from model2vec_numba.tables.table_reader import TableReader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["open_csv"]

_BLOCK_BYTES = 8 << 20
# A block for input that cannot be read again with larger blocks, and the maximum size of a block, which must hold the largest row.
_PIPE_BLOCK_BYTES = 64 << 20
_MAX_BLOCK_BYTES = 512 << 20
_GROWTH = 4


def open_csv(name: str, columns: Columns, open_files: ExitStack, delimiter: str = ",") -> TableReader:
    """Open a file whose first row is the header. All values are read as strings. The number of rows is not known.

    Args:
        name: the path, or ``-`` for standard input.
        columns: the names of the columns to read.
        open_files: it will close the file.
        delimiter: the character between values.
    """
    import pyarrow as pa

    source = open_files.enter_context(Source(name))
    # pyarrow takes the types by column name, so the names must be known first.
    header = _read_header(source, delimiter)
    wanted = columns.choose(header)
    # A type guessed from the first rows might not fit the later ones.
    schema = pa.schema([(column, pa.string()) for column in wanted])

    def batches() -> Iterator[pa.RecordBatch]:
        size = _BLOCK_BYTES if source.can_reopen else _PIPE_BLOCK_BYTES
        # pyarrow numbers the rows only if it uses one thread.
        threads = source.can_reopen
        done = 0
        with ExitStack() as reopened:
            current = source
            while True:
                skip = done
                try:
                    for batch in _Rows(current, header, wanted, delimiter, size, threads):
                        rest = batch.slice(min(skip, batch.num_rows))
                        skip -= batch.num_rows - rest.num_rows
                        yield rest
                        done += rest.num_rows
                    return
                except pa.ArrowInvalid as error:
                    if "straddling" in str(error):
                        size = _larger(size, done, source)
                    elif threads:
                        threads = False
                    else:
                        raise
                # The rows are read again, with larger blocks or with numbers of rows.
                current = reopened.enter_context(Source(name))
                _read_header(current, delimiter)

    return TableReader(schema, rows=None, batches=lambda _skip: batches(), position=source.position)


def _larger(size: int, row: int, source: Source) -> int:
    """Return a larger size of a block, or raise a ValueError. `row` is the number of rows that were read."""
    if size * _GROWTH <= _MAX_BLOCK_BYTES and source.can_reopen:
        return size * _GROWTH
    hint = "" if source.can_reopen else ", or give the file itself in place of a pipe"
    where = f"row {row + 1} after the header, or one soon after it,"
    raise ValueError(f"{where} is larger than {size >> 20} MB: close a quote that is open there{hint}")


def _read_header(source: Source, delimiter: str) -> list[str]:
    """Read the first row."""
    try:
        header = next(csv.reader((line.decode("utf-8-sig") for line in source.file), delimiter=delimiter), [])
    except csv.Error as error:
        raise ValueError(f"the header: {error}") from None
    if len(set(header)) < len(header):
        raise ValueError("two columns in the header have the same name")
    return header


class _Rows:
    """An iterable of batches of the rows after the header. Use it once.

    A row of marks follows the last row. If the last row that pyarrow finds is another one, then a quote was open at the end of the file.
    """

    def __init__(self, source: Source, header: list[str], wanted: list[str], delimiter: str, block_bytes: int, threads: bool) -> None:
        self._source = source
        self._header = header
        self._wanted = wanted
        self._delimiter = delimiter
        self._block_bytes = block_bytes
        self._threads = threads
        self._mark = secrets.token_hex(16)
        self._row = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyarrow import csv as pa_csv

        end = (self._delimiter.join([self._mark] * len(self._header)) + "\n").encode()
        options = {
            "read_options": pa_csv.ReadOptions(column_names=self._header, block_size=self._block_bytes, use_threads=self._threads),
            "parse_options": pa_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=self._note_row),
            "convert_options": pa_csv.ConvertOptions(
                column_types={column: pa.string() for column in self._header}, include_columns=self._wanted, strings_can_be_null=False
            ),
        }
        held: pa.RecordBatch | None = None
        rows = 0
        try:
            for batch in pa_csv.open_csv(pa.PythonFile(_Marked(self._source.file, end), "r"), **options):
                if batch.num_rows:
                    if held is not None:
                        yield held
                        rows += held.num_rows
                    held = batch
        except pa.ArrowInvalid as error:
            if not self._row:
                raise
            where = f"row {self._row} after the header"
            if self._mark in str(error):
                raise ValueError(f"{where}: a quote is opened and not closed") from None
            found = re.search(r"expected \d+ columns, got \d+", str(error), re.IGNORECASE)
            raise ValueError(f"{where}: {found[0].lower() if found else error}") from None
        if held is None or any(column[-1].as_py() != self._mark for column in held.columns):
            raise ValueError(f"row {rows + (0 if held is None else held.num_rows)} after the header: a quote is opened and not closed")
        yield held.slice(0, held.num_rows - 1)

    def _note_row(self, row: Any) -> str:
        """Keep the number of a row with too many or too few values. pyarrow's error does not have it."""
        self._row = row.number or 0
        return "error"


class _Marked(io.RawIOBase):
    """The rest of a file, and a last line after it."""

    def __init__(self, file: io.BufferedReader, last_line: bytes) -> None:
        self._file = file
        self._last_line = last_line
        self._rest = b""
        self._ended = False
        self._newline = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._ended:
            count = self._file.readinto(buffer)
            if count:
                self._newline = buffer[count - 1] in b"\r\n"
                return count
            self._ended = True
            self._rest = (b"" if self._newline else b"\n") + self._last_line
        count = min(len(self._rest), len(buffer))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
