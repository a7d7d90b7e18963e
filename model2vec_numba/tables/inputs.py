"""Several inputs that are read one after the other, like one table."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model2vec_numba.tables.columns import Columns, cast_batch
from model2vec_numba.tables.json_lines import json_schema
from model2vec_numba.tables.readers import open_table, table_of_texts
from model2vec_numba.tables.sources import TEXT_COLUMN, Input, name_errors, shown_name
from model2vec_numba.tables.table_reader import TableReader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["InputTables"]


class InputTables:
    """Several inputs, read one after the other like one table. It is a context manager that closes them.

    The first input is opened at once, and all inputs are converted to its schema. Every other input is opened when the inputs before it were read.

    Args:
        inputs: the inputs, at least one.
        columns: the names of the columns to read.

    Attributes:
        inputs: the inputs.
        columns: the names of the columns.
        schema: the columns that are read.

    Raises:
        OSError: the first input cannot be opened.
        ValueError: the first input is not in its format, or its columns are not as expected.
    """

    def __init__(self, inputs: Sequence[Input], columns: Columns) -> None:
        self.inputs = inputs
        self.columns = columns
        self._sizes = [Path(given.name).stat().st_size if given.is_file else 0 for given in inputs]
        self._read_rows = 0
        self._read_files = 0
        self._batches: Generator[pa.RecordBatch, None, None] | None = None
        self._json_schema = self._find_json_schema()
        self._reader = self._open(inputs[0])
        self.schema = self._reader.schema
        self.rows = self._reader.rows if len(inputs) == 1 else None
        """The number of all rows. ``None``: it is not known before all inputs were read."""

    def __enter__(self) -> InputTables:
        return self

    def __exit__(self, *_: object) -> None:
        # A thread may still be waiting for standard input. Closing the file would wait for the thread.
        if self._batches is None or inspect.getgeneratorstate(self._batches) != inspect.GEN_RUNNING:
            self._reader.close()

    def estimate_rows(self) -> int | None:
        """Return the number of all rows. If it is not known, return an estimate from the average size of the rows that were read so far.

        ``None`` if there is nothing to estimate from.
        """
        if self.rows is not None:
            return self.rows
        read = sum(self._sizes[: self._read_files]) + (self._reader.position() if self._read_files < len(self._sizes) else 0)
        return int(self._read_rows * sum(self._sizes) / read) if read and all(self._sizes) else None

    def batches(self, skip: int) -> Generator[pa.RecordBatch, None, None]:
        """Yield all rows except the first `skip` rows, in batches. Call this once.

        Raises:
            OSError: an input cannot be read.
            ValueError: an input is not in its format, or its columns differ from those of the first input.
        """
        self._batches = self._read(skip)
        return self._batches

    def _read(self, skip: int) -> Generator[pa.RecordBatch, None, None]:
        """Yield all rows except the first `skip` rows, in batches."""
        for number, given in enumerate(self.inputs):
            if number:
                self._reader.close()
                self._reader = self._open(given)
                self._check_columns(given)
            reader = self._reader
            if reader.rows is not None and skip >= reader.rows:
                skip -= reader.rows
            else:
                # If the number of rows is not known, the reader cannot skip them. They are read and dropped here.
                batches, skip = (reader.batches(0), skip) if reader.rows is None else (reader.batches(skip), 0)
                for batch in batches:
                    self._read_rows += batch.num_rows
                    rest = batch.slice(min(skip, batch.num_rows))
                    skip -= batch.num_rows - rest.num_rows
                    _check_texts(rest[self.columns.text], given.name, self._read_rows - rest.num_rows)
                    yield cast_batch(rest, self.schema, given.name)
            self._read_files += 1

    def _find_json_schema(self) -> pa.Schema | None:
        """Return the columns of all inputs, if they are several JSON files. A column may be missing in some of them."""
        if len(self.inputs) < 2 or not all(given.is_file and given.kind in {"json", "jsonl"} for given in self.inputs):
            return None
        return json_schema([given.name for given in self.inputs], array=any(given.kind == "json" for given in self.inputs))

    def _open(self, given: Input) -> TableReader:
        """Open an input. Check that its column of texts holds strings."""
        from model2vec_numba.text.columns import holds_strings

        text = self.columns.text
        if given.kind is None:
            self.columns.choose([TEXT_COLUMN])
            return table_of_texts([given.name])
        reader = open_table(given.name, given.kind, self.columns, self._json_schema)
        kind = reader.schema.field(text).type
        if not holds_strings(kind):
            reader.close()
            raise ValueError(f"{shown_name(given.name)}: column {text!r} is of type {kind}, expected strings")
        return reader

    def _check_columns(self, given: Input) -> None:
        """Raise a ValueError if an input has a column that would be lost."""
        name = shown_name(given.name)
        known = set(self.schema.names)
        for column in self._reader.schema.names:
            if column not in known:
                first = shown_name(self.inputs[0].name) if self.inputs[0].kind else "the first text"
                raise ValueError(
                    f"{name}: column {column!r} is not in {first}, which decides the columns: choose columns that all inputs have (keep)"
                )


def _check_texts(texts: pa.Array, name: str, first_row: int) -> None:
    """Raise a ValueError that names the file if texts are not valid UTF-8."""
    with name_errors(name):
        try:
            texts.validate(full=True)
        except ValueError as error:
            raise ValueError(f"rows {first_row + 1} to {first_row + len(texts)}, column of texts: {error}") from None
