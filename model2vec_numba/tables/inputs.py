"""Several inputs that are read one after the other, like one table."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model2vec_numba.tables.columns import Columns, cast_batch
from model2vec_numba.tables.readers import STANDARD_INPUT, TEXT_COLUMN, TableReader, open_table, table_of_texts

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Input", "InputTables"]


@dataclass(frozen=True)
class Input:
    """A file, standard input or a text.

    Attributes:
        name: the path of a file, ``-`` for standard input, or a text.
        kind: the format, one of `readers.FORMATS`. ``None`` for a text.
    """

    name: str
    kind: str | None

    @property
    def is_file(self) -> bool:
        """Whether the input is a file with a path."""
        return self.kind is not None and self.name != STANDARD_INPUT


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
        self._reader = _open(inputs[0], columns)
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
                self._reader = _open(given, self.columns)
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
                    yield cast_batch(rest, self.schema, given.name)
            self._read_files += 1


def _open(given: Input, columns: Columns) -> TableReader:
    """Open an input. Check that its column of texts holds strings."""
    from model2vec_numba.text.columns import holds_strings

    if given.kind is None:
        columns.choose([TEXT_COLUMN])
        return table_of_texts([given.name])
    reader = open_table(given.name, given.kind, columns)
    kind = reader.schema.field(columns.text).type
    if not holds_strings(kind):
        reader.close()
        raise ValueError(f"{given.name}: column {columns.text!r} is of type {kind}, expected strings")
    return reader
