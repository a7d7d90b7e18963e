"""What engines write for a vector in a text format: CSV and JSON."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["TEXT_FORMATS"]


def _duckdb(suffix: str) -> Callable[[Path], str]:
    def write(path: Path) -> str:
        target = path.with_suffix(suffix)
        importlib.import_module("duckdb").sql(f"COPY (FROM '{path}') TO '{target}'")
        return target.read_text(encoding="utf-8")

    return write


def _pyarrow_csv(path: Path) -> str:
    sink = io.BytesIO()
    importlib.import_module("pyarrow.csv").write_csv(importlib.import_module("pyarrow.parquet").read_table(path), sink)
    return sink.getvalue().decode()


def _pandas(method: str, **options: Any) -> Callable[[Path], str]:
    return lambda path: str(getattr(importlib.import_module("pandas").read_parquet(path), method)(**options))


def _polars(method: str) -> Callable[[Path], str]:
    return lambda path: str(getattr(importlib.import_module("polars").read_parquet(path), method)())


def _dask_frame(path: Path) -> str:
    """Return what a vector becomes on the way from pandas to Dask, before anything is written."""
    frame = importlib.import_module("pandas").read_parquet(path)
    column = importlib.import_module("dask.dataframe").from_pandas(frame, npartitions=1).compute(scheduler="synchronous")["vector"]
    return "".join(value if isinstance(value, str) else str(list(value)) for value in column)


TEXT_FORMATS: tuple[tuple[str, str, Callable[[Path], str]], ...] = (
    ("pyarrow", "csv.write_csv", _pyarrow_csv),
    ("pandas", "to_csv", _pandas("to_csv", index=False)),
    ("pandas", "to_json(orient='records', lines=True)", _pandas("to_json", orient="records", lines=True)),
    ("Polars", "write_csv", _polars("write_csv")),
    ("Polars", "write_ndjson", _polars("write_ndjson")),
    ("DuckDB", "COPY … TO 'file.csv'", _duckdb(".csv")),
    ("DuckDB", "COPY … TO 'file.json'", _duckdb(".json")),
    ("Dask", "dd.from_pandas(frame), which is no file", _dask_frame),
)
"""The engine, how it is asked, and the function that returns the text."""
