"""The order of nearest neighbours in each engine, as a user would ask for it. The query is ``[1, 0]``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["NEIGHBOURS", "write_neighbours"]

ROWS = {
    "opposite": [-1.0, 0.0],
    "zeros": [0.0, 0.0],
    "null": None,
    "near": [1.0, 0.5],
    "NaN": [float("nan"), 0.0],
    "right angle": [0.0, 1.0],
    "same": [1.0, 0.0],
}


def write_neighbours(path: Path) -> None:
    """Write a Parquet file with the vectors and their names."""
    import pyarrow as pa
    import pyarrow.parquet

    vectors = pa.array(list(ROWS.values()), pa.list_(pa.float32(), 2))
    pyarrow.parquet.write_table(pa.table({"name": list(ROWS), "vector": vectors}), path)


def _duckdb(order: str) -> Callable[[Path], list[str]]:
    def ask(path: Path) -> list[str]:
        duckdb = importlib.import_module("duckdb")
        return [row[0] for row in duckdb.sql(f"SELECT name FROM '{path}' ORDER BY {order}").fetchall()]

    return ask


def _polars_frame(path: Path) -> Any:
    pl = importlib.import_module("polars")
    vector = pl.col("vector")
    return pl.read_parquet(path).with_columns(score=vector.arr.get(0) / vector.arr.dot(vector).sqrt())


def _polars_sorted(path: Path) -> list[str]:
    return list(_polars_frame(path).sort("score", descending=True)["name"])


def _polars_top(path: Path) -> list[str]:
    return list(_polars_frame(path).top_k(7, by="score")["name"])


def _numpy_scores(path: Path) -> tuple[list[str], Any]:
    np = importlib.import_module("numpy")
    frame = importlib.import_module("pyarrow.parquet").read_table(path).drop_null()
    matrix = np.stack(frame["vector"].to_numpy())
    with np.errstate(invalid="ignore"):
        return frame["name"].to_pylist(), matrix[:, 0] / np.linalg.norm(matrix, axis=1)


def _pandas(path: Path) -> list[str]:
    names, scores = _numpy_scores(path)
    frame = importlib.import_module("pandas").DataFrame({"name": names, "score": scores})
    return list(frame.sort_values("score", ascending=False)["name"])


def _numpy_argsort(path: Path) -> list[str]:
    names, scores = _numpy_scores(path)
    return [names[i] for i in scores.argsort(stable=True)[::-1]]


def _lance(metric: str) -> Callable[[Path], list[str]]:
    def ask(path: Path) -> list[str]:
        lance, np = importlib.import_module("lance"), importlib.import_module("numpy")
        table = importlib.import_module("pyarrow.parquet").read_table(path)
        dataset = lance.write_dataset(table, path.with_suffix(".lance"), mode="overwrite")
        nearest = {"column": "vector", "q": np.array([1, 0], np.float32), "k": 7, "metric": metric}
        return list(dataset.to_table(columns=["name"], nearest=nearest)["name"].to_pylist())

    return ask


def _spark(path: Path) -> list[str]:
    from engines import spark

    score = "vector_cosine_similarity(vector, array(float(1), float(0)))"
    rows = spark().sql(f"SELECT name FROM parquet.`{path}` ORDER BY {score} DESC").collect()
    return [row[0] for row in rows]


_SIMILARITY = "array_cosine_similarity(vector::FLOAT[2], [1, 0]::FLOAT[2])"
_DISTANCE = "array_cosine_distance(vector::FLOAT[2], [1, 0]::FLOAT[2])"

NEIGHBOURS: tuple[tuple[str, str, Callable[[Path], list[str]]], ...] = (
    ("DuckDB", "ORDER BY array_cosine_similarity(…) DESC", _duckdb(f"{_SIMILARITY} DESC")),
    ("DuckDB", "ORDER BY array_cosine_distance(…)", _duckdb(_DISTANCE)),
    ("Polars", "sort(score, descending=True)", _polars_sorted),
    ("Polars", "top_k(7, by=score)", _polars_top),
    ("pandas", "sort_values(score, ascending=False), without the null", _pandas),
    ("pandas", "NumPy's argsort()[::-1], without the null", _numpy_argsort),
    ("Spark", "ORDER BY vector_cosine_similarity(…) DESC", _spark),
    ("Lance", "nearest, metric='cosine'", _lance("cosine")),
    ("Lance", "nearest, metric='l2'", _lance("l2")),
)
"""The engine, how it is asked, and the function that asks it."""
