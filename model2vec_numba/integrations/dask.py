"""Dask: each partition of a data frame gets a column of vectors, which pandas holds as Arrow does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import require
from model2vec_numba.integrations.shipping import ModelReference, one_thread

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

    from model2vec_numba.model import StaticModel

__all__ = ["encode"]


def encode(
    frame: dd.DataFrame,
    column: str,
    model: StaticModel | str | os.PathLike[str] | None = None,
    *,
    output: str = "embedding",
    **options: Any,
) -> dd.DataFrame:
    """A data frame with a column of vectors behind the others.

    Args:
        frame: the data frame.
        column: the column of texts; missing values of any kind are nulls.
        model: a folder that workers see too, or the name of a Hub repository; ``None``: the bundled model. Or a model, which goes by value.
        output: the name of the column of vectors, of pandas' type ``ArrowDtype(FixedSizeList<float32>[dim])``, null where the text is.
        **options: `max_length`, `normalize` and `dtype`, as for `StaticModel.encode_arrow`.
    """
    delayed = require("dask", "model2vec_numba.integrations.dask", "dask").delayed
    reference = ModelReference(model)
    meta = _with_vectors(frame._meta, reference, column, output, options)
    # As a task of its own the model is in the graph once, not in the task of each partition.
    return frame.map_partitions(_with_vectors, delayed(reference), column, output, options, meta=meta)


def _with_vectors(frame: pd.DataFrame, reference: ModelReference, column: str, output: str, options: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    with one_thread():
        vectors = reference.load().encode_arrow(pa.Array.from_pandas(frame[column]), **options)
    return frame.assign(**{output: pd.arrays.ArrowExtensionArray(vectors)})
