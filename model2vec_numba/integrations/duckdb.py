"""DuckDB: a scalar function for SQL that gets and gives whole vectors of Arrow, not single values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import require

if TYPE_CHECKING:
    import duckdb

    from model2vec_numba.model import StaticModel

__all__ = ["register"]


def register(connection: duckdb.DuckDBPyConnection, model: StaticModel, name: str = "embed", **options: Any) -> None:
    """Add a function to a connection: ``embed(text)`` of a VARCHAR is a ``FLOAT[dim]``, NULL of NULL.

    Args:
        connection: the connection.
        model: what encodes.
        name: the function's name in SQL.
        **options: `max_length`, `normalize` and `batch_size`, as for `StaticModel.encode_arrow`.
    """
    require("duckdb", "model2vec_numba.integrations.duckdb", "duckdb")
    require("pyarrow", "model2vec_numba.integrations.duckdb", "duckdb")

    # Not a `def`: DuckDB evaluates annotations, which name types that are not imported here. It keeps NULLs to itself.
    connection.create_function(name, lambda texts: model.encode_arrow(texts, **options), ["VARCHAR"], f"FLOAT[{model.dim}]", type="arrow")
