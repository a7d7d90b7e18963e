"""DuckDB: a scalar function for SQL. It works on whole Arrow arrays, not on single values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import OLDEST_FOR_COLUMNS, require
from model2vec_numba.integrations.options import vectors_type

if TYPE_CHECKING:
    import duckdb

    from model2vec_numba.model import StaticModel

__all__ = ["register"]

_ELEMENTS = {"float32": "FLOAT", "int8": "TINYINT", "uint8": "UTINYINT"}


def register(connection: duckdb.DuckDBPyConnection, model: StaticModel, name: str = "embed", **options: Any) -> None:
    """Add a function to a connection: ``embed(text)`` turns a VARCHAR into a ``FLOAT[dim]``, and NULL into NULL.

    With another `precision` or `dimensionality`, the array has the width of the vectors of `StaticModel.encode`, and its elements are ``TINYINT`` for
    ``"int8"`` and ``"binary"``, and ``UTINYINT`` for ``"uint8"`` and ``"ubinary"``.

    An empty text has the zero vector, whose cosine is NaN. DuckDB orders NaN first among descending values, so order by ``array_inner_product``.

    Args:
        connection: the connection.
        model: the model.
        name: the name of the function in SQL.
        **options: the options of `StaticModel.encode_arrow`.

    Raises:
        ValueError: an option is out of range, or `precision` is ``"float16"``, for which DuckDB has no type.
    """
    require("duckdb", "model2vec_numba.integrations.duckdb", "duckdb")
    require("pyarrow", "model2vec_numba.integrations.duckdb", "duckdb", OLDEST_FOR_COLUMNS)

    columns, dtype = vectors_type(model, options)
    if dtype.name not in _ELEMENTS:
        raise ValueError(f"precision={dtype.name!r} is not possible: DuckDB has no type for it")
    # DuckDB evaluates the annotations of a function, and their types are not imported here. A lambda has none. DuckDB itself handles NULLs.
    kind = f"{_ELEMENTS[dtype.name]}[{columns}]"
    connection.create_function(name, lambda texts: model.encode_arrow(texts, **options), ["VARCHAR"], kind, type="arrow")
