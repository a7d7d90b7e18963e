"""The product of an int8 vector with itself in each engine. It is 127 * 127 = 16,129."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["PRODUCTS", "write_product"]


def write_product(path: Path) -> None:
    """Write a Parquet file with the vector ``[127, 0]`` in int8."""
    import pyarrow as pa
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.table({"vector": pa.array([[127, 0]], pa.list_(pa.int8(), 2))}), path)


def _polars(make: Callable[[Any], Any]) -> Callable[[Path], Any]:
    def ask(path: Path) -> Any:
        pl = importlib.import_module("polars")
        return pl.read_parquet(path).select(make(pl.col("vector"))).item()

    return ask


def _duckdb(expression: str) -> Callable[[Path], Any]:
    return lambda path: importlib.import_module("duckdb").sql(f"SELECT {expression} FROM '{path}'").fetchall()[0][0]


def _numpy(make: Callable[[Any], Any]) -> Callable[[Path], Any]:
    def ask(path: Path) -> Any:
        np = importlib.import_module("numpy")
        return make(np.stack(importlib.import_module("pyarrow.parquet").read_table(path)["vector"].to_numpy())[0])

    return ask


def _spark(path: Path) -> Any:
    from engines import spark

    return spark().sql(f"SELECT vector_inner_product(vector, vector) FROM parquet.`{path}`").collect()[0][0]


PRODUCTS: tuple[tuple[str, str, Callable[[Path], Any]], ...] = (
    ("NumPy", "vector @ vector", _numpy(lambda vector: vector @ vector)),
    ("NumPy", "(vector * vector).sum()", _numpy(lambda vector: (vector * vector).sum())),
    ("NumPy", "np.linalg.norm(vector) ** 2", _numpy(lambda vector: importlib.import_module("numpy").linalg.norm(vector) ** 2)),
    ("Polars", "vector.arr.dot(vector)", _polars(lambda vector: vector.arr.dot(vector))),
    ("Polars", "(vector * vector).arr.sum()", _polars(lambda vector: (vector * vector).arr.sum())),
    ("DuckDB", "list_dot_product(vector, vector)", _duckdb("list_dot_product(vector, vector)")),
    ("DuckDB", "array_inner_product(vector::TINYINT[2], …)", _duckdb("array_inner_product(vector::TINYINT[2], vector::TINYINT[2])")),
    ("Spark", "vector_inner_product(vector, vector)", _spark),
)
"""The engine, how it is asked, and the function that asks it."""
