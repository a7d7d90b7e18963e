"""The columns of vectors that all engines get, as this package makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["COLUMNS", "EXPECTED", "WIDE", "write_columns"]

WIDE = 100_001
_FEW = [[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.5, 2.0], None, [0.0, 0.0, 0.0, 0.0]]
_INTEGERS = [[127, 0, 0, 0], [-3, 5, 0, 100], None, [0, 0, 0, 0]]
_WIDE_ROWS = [[float(number % 1000) for number in range(WIDE)], None]

COLUMNS = {
    "float32": "float32, 4 dimensions, with a null and a vector of zeros",
    "float32, no null": "the same without the null",
    "float16": "float16, otherwise the same",
    "int8": "int8, otherwise the same",
    "wide": f"float32, {WIDE:,} dimensions, with a null",
}
"""What the columns are, by their names."""

EXPECTED: dict[str, list[Any]] = {
    "float32": _FEW,
    "float32, no null": [row for row in _FEW if row is not None],
    "float16": _FEW,
    "int8": _INTEGERS,
    "wide": _WIDE_ROWS,
}
"""The rows of the columns."""


def column_path(folder: Path, name: str) -> Path:
    """Return the path of a column's file."""
    return folder / f"{name.replace(', ', '-').replace(' ', '-')}.parquet"


def write_columns(folder: Path) -> dict[str, Path]:
    """Write each column to a Parquet file. A column of this package is a `FixedSizeList`, whose rows are null where the text is null."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet

    makers: dict[str, Callable[[Any], Any]] = {"float16": np.float16, "int8": int}
    kinds = {"float16": pa.float16(), "int8": pa.int8()}
    paths = {}
    for name, rows in EXPECTED.items():
        make = makers.get(name, float)
        values = [None if row is None else [make(number) for number in row] for row in rows]
        size = next(len(row) for row in rows if row is not None)
        array = pa.array(values, pa.list_(kinds.get(name, pa.float32()), size))
        paths[name] = column_path(folder, name)
        pyarrow.parquet.write_table(pa.table({"vector": array}), paths[name])
    return paths
