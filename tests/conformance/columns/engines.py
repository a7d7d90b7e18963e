"""Engines that read and write Parquet files with vectors. Each is imported only when it is used."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["ENGINES", "Engine", "spark"]

COLUMN = "vector"
Rows = list[Any]


@dataclass(frozen=True)
class Engine:
    """An engine.

    Attributes:
        name: its name on the page.
        packages: the packages that it needs, as they are called in the index of packages. The first one's version is the engine's.
        read: takes a Parquet file, and returns the type of the column in the engine's words, and its rows.
        copy: reads a Parquet file and writes another one.
    """

    name: str
    packages: tuple[str, ...]
    read: Callable[[Path], tuple[str, Rows]]
    copy: Callable[[Path, Path], None]

    def versions(self) -> dict[str, str] | None:
        """Return the versions of its packages, or ``None`` if one is not installed."""
        try:
            return {package: importlib.metadata.version(package) for package in self.packages}
        except importlib.metadata.PackageNotFoundError:
            return None


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _read_pyarrow(path: Path) -> tuple[str, Rows]:
    column = _module("pyarrow.parquet").read_table(path)[COLUMN]
    return str(column.type).replace("halffloat", "float16").replace("element: ", "").replace("item: ", ""), column.to_pylist()


def _copy_pyarrow(path: Path, target: Path) -> None:
    parquet = _module("pyarrow.parquet")
    parquet.write_table(parquet.read_table(path), target)


def _object_type(values: Any) -> str:
    """Return what the elements of a column of Python objects are."""
    kinds = sorted({f"{value.dtype} arrays" if hasattr(value, "dtype") else type(value).__name__ for value in values if value is not None})
    return f"object: {', '.join(kinds)}"


def _read_pandas(path: Path) -> tuple[str, Rows]:
    column = _module("pandas").read_parquet(path)[COLUMN]
    return _object_type(column) if column.dtype == object else str(column.dtype), list(column)


def _copy_pandas(path: Path, target: Path) -> None:
    _module("pandas").read_parquet(path).to_parquet(target)


def _read_polars(path: Path) -> tuple[str, Rows]:
    column = _module("polars").read_parquet(path)[COLUMN]
    return str(column.dtype), column.to_list()


def _copy_polars(path: Path, target: Path) -> None:
    _module("polars").read_parquet(path).write_parquet(target)


def _read_duckdb(path: Path) -> tuple[str, Rows]:
    rows = _module("duckdb").sql(f"SELECT typeof({COLUMN}), {COLUMN} FROM '{path}'").fetchall()
    return rows[0][0], [row[1] for row in rows]


def _copy_duckdb(path: Path, target: Path) -> None:
    _module("duckdb").sql(f"COPY (FROM '{path}') TO '{target}' (FORMAT parquet)")


def _copy_duckdb_array(path: Path, target: Path) -> None:
    """Write the column as an ARRAY, the type with a fixed size, which the functions for vectors ask for."""
    duckdb = _module("duckdb")
    kind, rows = _read_duckdb(path)
    size = next(len(row) for row in rows if row is not None)
    duckdb.sql(f"COPY (SELECT {COLUMN}::{kind.removesuffix('[]')}[{size}] AS {COLUMN} FROM '{path}') TO '{target}' (FORMAT parquet)")


def _read_dask(path: Path) -> tuple[str, Rows]:
    frame = _module("dask.dataframe").read_parquet(path)
    column = frame.compute(scheduler="synchronous")[COLUMN]
    return _object_type(column) if column.dtype == object else str(column.dtype), list(column)


def _copy_dask(path: Path, target: Path) -> None:
    """Write a folder of files, as Dask does, and move its only file."""
    folder = target.with_suffix(".dask")
    _module("dask.dataframe").read_parquet(path).to_parquet(folder, compute_kwargs={"scheduler": "synchronous"})
    _move_part(folder, target)


@cache
def spark() -> Any:
    """Return a session of Spark in this process."""
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    session = _module("pyspark.sql").SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def _read_spark(path: Path) -> tuple[str, Rows]:
    frame = spark().read.parquet(str(path))
    return frame.schema[COLUMN].dataType.simpleString(), [row[0] for row in frame.select(COLUMN).collect()]


def _copy_spark(path: Path, target: Path) -> None:
    folder = target.with_suffix(".spark")
    spark().read.parquet(str(path)).coalesce(1).write.parquet(str(folder))
    _move_part(folder, target)


def _move_part(folder: Path, target: Path) -> None:
    (part,) = folder.glob("part*.parquet")
    shutil.move(part, target)


def _read_lance(path: Path) -> tuple[str, Rows]:
    """Read what Lance keeps of a table: it has a format of its own."""
    column = _lance_table(path)[COLUMN]
    return str(column.type).replace("halffloat", "float16").replace("item: ", "").replace("element: ", ""), column.to_pylist()


def _lance_table(path: Path) -> Any:
    lance = _module("lance")
    dataset = path.with_suffix(".lance")
    return lance.write_dataset(_module("pyarrow.parquet").read_table(path), dataset, mode="overwrite").to_table()


def _copy_lance(path: Path, target: Path) -> None:
    _module("pyarrow.parquet").write_table(_lance_table(path), target)


ENGINES = (
    Engine("pyarrow", ("pyarrow",), _read_pyarrow, _copy_pyarrow),
    Engine("pandas", ("pandas", "pyarrow"), _read_pandas, _copy_pandas),
    Engine("Polars", ("polars",), _read_polars, _copy_polars),
    Engine("DuckDB", ("duckdb",), _read_duckdb, _copy_duckdb),
    Engine("DuckDB's ARRAY", ("duckdb",), _read_duckdb, _copy_duckdb_array),
    Engine("Dask", ("dask", "pandas", "pyarrow"), _read_dask, _copy_dask),
    Engine("Spark", ("pyspark",), _read_spark, _copy_spark),
    Engine("Lance", ("pylance", "pyarrow"), _read_lance, _copy_lance),
)
"""All engines. "DuckDB's ARRAY" differs from "DuckDB" only in what it writes."""
