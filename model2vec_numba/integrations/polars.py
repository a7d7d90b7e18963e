"""Polars: ``pl.col("text").model2vec.encode(model)`` in eager, lazy and streaming queries. Importing this module registers the namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import OLDEST_FOR_COLUMNS, require
from model2vec_numba.integrations.options import vectors_type

if TYPE_CHECKING:
    import polars as pl

    from model2vec_numba.model import StaticModel
else:
    pl = require("polars", "model2vec_numba.integrations.polars", "polars")
    require("pyarrow", "model2vec_numba.integrations.polars", "polars", OLDEST_FOR_COLUMNS)

__all__ = ["encode"]

_ELEMENTS = {"float32": "Float32", "float16": "Float16", "int8": "Int8", "uint8": "UInt8"}


def encode(expression: pl.Expr, model: StaticModel, **options: Any) -> pl.Expr:
    """Return an expression for the vectors of an expression's strings.

    Args:
        expression: an expression of type String, Categorical, Enum or Null.
        model: the model.
        **options: the options of `StaticModel.encode_arrow`. In the streaming engine, ``num_threads=1`` leaves the other threads to Polars.

    Returns:
        An expression of type ``Array(Float32, dim)``. With another `precision` or `dimensionality`, the array has the width and the type (Float16,
        Int8 or UInt8) of the vectors of `StaticModel.encode`. A null string has a null vector. The expression is elementwise, so that the streaming
        engine can encode a column in parts.

    Raises:
        TypeError, ValueError: an option is wrong.
    """
    columns, dtype = vectors_type(model, options)
    # Older versions of Polars have no Float16.
    elements = getattr(pl, _ELEMENTS[dtype.name])

    def vectors(texts: pl.Series) -> pl.Series:
        return pl.Series(texts.name, model.encode_arrow(texts, **options))

    return expression.map_batches(vectors, return_dtype=pl.Array(elements, columns), is_elementwise=True)


@pl.api.register_expr_namespace("model2vec")
class _Expressions:
    """The namespace ``.model2vec`` of expressions."""

    def __init__(self, expression: pl.Expr) -> None:
        self._expression = expression

    def encode(self, model: StaticModel, **options: Any) -> pl.Expr:
        """Return an expression for the vectors of this expression's strings, as the function `encode` does."""
        return encode(self._expression, model, **options)
