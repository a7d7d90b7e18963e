"""Polars: ``pl.col("text").model2vec.encode(model)`` in eager, lazy and streaming queries. Importing this module registers the namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import require

if TYPE_CHECKING:
    import polars as pl

    from model2vec_numba.model import StaticModel
else:
    pl = require("polars", "model2vec_numba.integrations.polars", "polars")
    require("pyarrow", "model2vec_numba.integrations.polars", "polars")

__all__ = ["encode"]


def encode(expression: pl.Expr, model: StaticModel, **options: Any) -> pl.Expr:
    """Return an expression for the vectors of an expression's strings.

    Args:
        expression: an expression of type String, Categorical, Enum or Null.
        model: the model.
        **options: the options of `StaticModel.encode_arrow`.

    Returns:
        An expression of type ``Array(Float32, dim)``, or ``Array(Float16, dim)`` with ``dtype="float16"``. A null string has a null vector. The
        expression is elementwise, so that the streaming engine can encode a column in parts.
    """
    elements = pl.Float16 if options.get("dtype") == "float16" else pl.Float32

    def vectors(texts: pl.Series) -> pl.Series:
        return pl.Series(texts.name, model.encode_arrow(texts, **options))

    return expression.map_batches(vectors, return_dtype=pl.Array(elements, model.dim), is_elementwise=True)


@pl.api.register_expr_namespace("model2vec")
class _Expressions:
    """The namespace ``.model2vec`` of expressions."""

    def __init__(self, expression: pl.Expr) -> None:
        self._expression = expression

    def encode(self, model: StaticModel, **options: Any) -> pl.Expr:
        """Return an expression for the vectors of this expression's strings, as the function `encode` does."""
        return encode(self._expression, model, **options)
