"""An open table that is read in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TableReader"]


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
