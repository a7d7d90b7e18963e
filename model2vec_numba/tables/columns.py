"""The columns of a table: which ones are read and kept, and batches of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Columns", "append_vectors", "cast_batch", "output_schema", "regroup"]

# The maximum size of a batch, which becomes a row group of a Parquet file. The rows are 32 MB of vectors of 256 dimensions. The bytes are those of
# the other columns.
_ROWS = 32768
_BYTES = 32 << 20


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read, to keep and to write.

    Attributes:
        text: the column of texts.
        keep: the columns to copy, in this order. ``None``: all columns, in the order of the input.
        vectors: the new column of vectors.
    """

    text: str
    keep: tuple[str, ...] | None
    vectors: str

    def choose(self, names: Sequence[str]) -> list[str]:
        """Return the columns to read: the columns to keep, and after them the column of texts if it is not one of them.

        Args:
            names: the columns of an input.

        Raises:
            ValueError: a column is not in the input or is there twice, or a kept column has the name of the column of vectors.
        """
        keep = names if self.keep is None else self.keep
        wanted = [*keep, *([] if self.text in keep else [self.text])]
        counts = Counter(names)
        for name in wanted:
            if not counts[name]:
                raise ValueError(f"no column {name!r}: there are {', '.join(map(repr, names)) or 'none'}")
            if counts[name] > 1:
                raise ValueError(f"{counts[name]} columns have the name {name!r}: choose columns with other names (keep)")
        if self.vectors in keep:
            raise ValueError(
                f"there is a column {self.vectors!r} already: choose another name for the column of vectors (vectors), "
                "or do not copy this column (keep)"
            )
        return wanted


def output_schema(schema: pa.Schema, columns: Columns, vectors: pa.DataType) -> pa.Schema:
    """Return the schema of the output: the kept columns, and after them the column of vectors.

    Args:
        schema: the columns that are read.
        columns: the names of the columns.
        vectors: the type of the column of vectors.
    """
    import pyarrow as pa

    kept = [field for field in schema if columns.keep is None or field.name in columns.keep]
    return pa.schema([*kept, pa.field(columns.vectors, vectors)])


def append_vectors(batch: pa.RecordBatch, vectors: pa.Array, schema: pa.Schema) -> pa.RecordBatch:
    """Return the kept columns of a batch, and after them the vectors. `schema` is the schema of the output."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([*(batch[name] for name in schema.names[:-1]), vectors], schema=schema)


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema, source: str) -> pa.RecordBatch:
    """Return a batch with the columns and types of the first input. Columns that the first input does not have are dropped.

    Args:
        batch: a batch of a later input.
        schema: the schema of the first input.
        source: the name of the later input, for the error.

    Raises:
        ValueError: a column is missing, or cannot be converted.
    """
    import pyarrow as pa

    if batch.schema.equals(schema):
        return batch
    try:
        return pa.RecordBatch.from_arrays([batch[field.name].cast(field.type) for field in schema], schema=schema)
    except (KeyError, pa.ArrowException) as error:
        # The message of the KeyError names the missing column.
        raise ValueError(f"{source}: its columns differ from those of the first input: {error}") from None


def regroup(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows in batches of a good size for a row group: small batches are joined, and large batches are divided."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = size = 0
    for given in batches:
        batch = given
        while batch.num_rows:
            part = batch.slice(0, _ROWS - rows)
            while part.nbytes > _BYTES - size and part.num_rows > 1:
                part = part.slice(0, part.num_rows // 2)
            if held and size + part.nbytes > _BYTES:
                yield pa.concat_batches(held)
                held, rows, size = [], 0, 0
            held.append(part)
            rows += part.num_rows
            size += part.nbytes
            batch = batch.slice(part.num_rows)
            if rows == _ROWS:
                yield pa.concat_batches(held)
                held, rows, size = [], 0, 0
    if held:
        yield pa.concat_batches(held)
