"""DuckDB: a scalar function for SQL. It works on whole Arrow arrays, not on single values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import require

if TYPE_CHECKING:
    import duckdb

    from model2vec_numba.model import StaticModel

__all__ = ["register"]


def register(connection: duckdb.DuckDBPyConnection, model: StaticModel, name: str = "embed", **options: Any) -> None:
    """Add a function to a connection: ``embed(text)`` turns a VARCHAR into a ``FLOAT[dim]``, and NULL into NULL.

    An empty text has the zero vector, whose cosine is NaN. DuckDB orders NaN first among descending values, so order by ``array_inner_product``.

    Args:
        connection: the connection.
        model: the model.
        name: the name of the function in SQL.
        **options: `max_length`, `normalize` and `batch_size` of `StaticModel.encode_arrow`.
    """
    require("duckdb", "model2vec_numba.integrations.duckdb", "duckdb")
    require("pyarrow", "model2vec_numba.integrations.duckdb", "duckdb")

    # DuckDB evaluates the annotations of a function, and their types are not imported here. A lambda has none. DuckDB itself handles NULLs.
    connection.create_function(name, lambda texts: model.encode_arrow(texts, **options), ["VARCHAR"], f"FLOAT[{model.dim}]", type="arrow")
