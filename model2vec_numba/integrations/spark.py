"""Spark: `mapInArrow` with a model that each Python worker loads once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from model2vec_numba.extras import require
from model2vec_numba.integrations.shipping import ModelReference, one_thread

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from model2vec_numba.model import StaticModel

__all__ = ["encode"]


def encode(
    frame: DataFrame,
    column: str,
    model: StaticModel | str | os.PathLike[str] | None = None,
    *,
    output: str = "embedding",
    **options: Any,
) -> DataFrame:
    """A data frame with a column of vectors behind the others.

    Args:
        frame: the data frame.
        column: the column of texts.
        model: a folder that workers see too, or the name of a Hub repository; ``None``: the bundled model. Or a model, which goes by value.
        output: the name of the column of vectors, of type ``ARRAY<FLOAT>``, null where the text is.
        **options: `max_length` and `normalize`, as for `StaticModel.encode_arrow`.
    """
    types = require("pyspark.sql.types", "model2vec_numba.integrations.spark", "spark")
    vectors = types.StructField(output, types.ArrayType(types.FloatType(), containsNull=True), nullable=True)
    schema = types.StructType([*frame.schema.fields, vectors])
    return frame.mapInArrow(_Encoder(ModelReference(model), column, output, options), schema)


class _Encoder:
    """What a Python worker runs: batches of Arrow in, the same with a column of vectors out."""

    def __init__(self, reference: ModelReference, column: str, output: str, options: dict[str, Any]) -> None:
        self._reference = reference
        self._column = column
        self._output = output
        self._options = options

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        model = self._reference.load()
        for batch in batches:
            with one_thread():
                vectors = model.encode_arrow(batch[self._column], **self._options)
            yield batch.append_column(self._output, _lists(vectors))


def _lists(vectors: pa.FixedSizeListArray) -> pa.ListArray:
    """Lists with offsets, which are all that Spark reads, over the same values."""
    import pyarrow as pa

    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * np.int32(vectors.type.list_size)
    return pa.ListArray.from_arrays(pa.array(offsets), vectors.values, mask=vectors.is_null())
