"""Dask: add a column of vectors to each partition of a data frame. pandas stores the vectors as an Arrow array."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import require
from model2vec_numba.integrations.model_reference import ModelReference
from model2vec_numba.integrations.options import one_thread

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
    """Return a data frame with a column of vectors after the others.

    Args:
        frame: the data frame.
        column: the column of texts. Missing values of any kind are nulls.
        model: a folder that the workers can read, or the name of a Hub repository. ``None``: the bundled model. A `StaticModel` is sent to the
            workers.
        output: the name of the column of vectors, of pandas' type ``ArrowDtype(FixedSizeList<float32>[dim])``, or what `precision` and
            `dimensionality` make of it. A null text has a null vector.
        **options: the options of `StaticModel.encode_arrow`. `num_threads` is 1 by default.
    """
    delayed = require("dask", "model2vec_numba.integrations.dask", "dask").delayed
    reference = ModelReference(model)
    meta = _with_vectors(frame._meta, reference, column, output, options)
    # The model is a task of its own, so that the graph holds it once, not once for each partition.
    return frame.map_partitions(_with_vectors, delayed(reference), column, output, options, meta=meta)


def _with_vectors(frame: pd.DataFrame, reference: ModelReference, column: str, output: str, options: dict[str, Any]) -> pd.DataFrame:
    """Return one partition with the column of vectors."""
    import pandas as pd
    import pyarrow as pa

    vectors = reference.load().encode_arrow(pa.Array.from_pandas(frame[column]), **one_thread(options))
    return frame.assign(**{output: pd.arrays.ArrowExtensionArray(vectors)})
