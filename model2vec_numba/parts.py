"""The parts of a model: make its table from a caller's arrays, and replace some of its parts by others that fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.pooling.table import EmbeddingTable, make_table
from model2vec_numba.starting.roads import CompiledTokenizer, Roads
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

__all__ = ["mapping_of", "matrix_of", "roads_with", "table_of"]


def matrix_of(vectors: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return an embedding matrix as a table keeps it, and the name of its type."""
    matrix = np.asarray(vectors)
    return matrix.view(np.uint16) if matrix.dtype.name == "bfloat16" else matrix, matrix.dtype.name


def mapping_of(table: EmbeddingTable) -> NDArray[np.int32] | None:
    return table.mapping if len(table.mapping) else None


def roads_with(roads: Roads, source: str, vectors: NDArray[Any] | None = None, spec: TokenizerSpec | None = None, **arrays: Any) -> Roads:
    """Return the roads of a model with other parts.

    Args:
        roads: those of the model.
        source: what to call the new part in errors.
        vectors: the embedding matrix. ``None``: the model's.
        spec: the tokenizer. ``None``: the model's.
        **arrays: `weights` and `mapping`. Not given: the model's.

    Raises:
        ModelFormatError: the parts do not match.
    """
    arrays = {"weights": roads.table.all_weights, "mapping": mapping_of(roads.table), **arrays}
    matrix, dtype = (roads.table.matrix, roads.table.dtype) if vectors is None else matrix_of(vectors)
    tokenizer = roads.tokenizer if spec is None else CompiledTokenizer(spec)
    return Roads(tokenizer, table_of(matrix, dtype, spec=tokenizer.spec, source=source, **arrays))


def table_of(
    matrix: NDArray[Any], dtype: str, weights: NDArray[Any] | None, mapping: NDArray[Any] | None, spec: TokenizerSpec, source: str
) -> EmbeddingTable:
    """Return the table made from arrays of a caller. `source`: what to call them in errors.

    Raises:
        ModelFormatError: they do not match each other or the tokenizer.
    """
    weights, mapping = (None if array is None else np.asarray(array) for array in (weights, mapping))
    return make_table(matrix, dtype, weights, mapping, size=spec.required_rows, source=source)
