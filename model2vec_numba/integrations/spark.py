"""Spark: add a column of vectors to a data frame with `mapInArrow`. Each Python worker loads the model once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from model2vec_numba.extras import require
from model2vec_numba.integrations.model_reference import ModelReference
from model2vec_numba.integrations.options import one_thread

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from model2vec_numba.model import StaticModel

__all__ = ["encode"]

_ELEMENTS = {"float32": "FloatType", "int8": "ByteType", "binary": "ByteType"}


def encode(
    frame: DataFrame,
    column: str,
    model: StaticModel | str | os.PathLike[str] | None = None,
    *,
    output: str = "embedding",
    **options: Any,
) -> DataFrame:
    """Return a data frame with a column of vectors after the others.

    Args:
        frame: the data frame.
        column: the column of texts.
        model: a folder that the workers can read, or the name of a Hub repository. ``None``: the bundled model. A `StaticModel` is sent to the
            workers.
        output: the name of the column of vectors, of type ``ARRAY<FLOAT>``, or ``ARRAY<TINYINT>`` for the precisions ``"int8"`` and ``"binary"``. A
            null text has a null vector.
        **options: the options of `StaticModel.encode_arrow`. `num_threads` is 1 by default.

    Raises:
        ValueError: Spark has no type for the `precision`.
    """
    precision = options.get("dtype") or options.get("precision", "float32")
    if precision not in _ELEMENTS:
        raise ValueError(f"precision={precision!r} is not possible: Spark has no type for it; it has types for {', '.join(map(repr, _ELEMENTS))}")
    types = require("pyspark.sql.types", "model2vec_numba.integrations.spark", "spark")
    vectors = types.StructField(output, types.ArrayType(getattr(types, _ELEMENTS[precision])(), containsNull=True), nullable=True)
    schema = types.StructType([*frame.schema.fields, vectors])
    return frame.mapInArrow(_Encoder(ModelReference(model), column, output, options), schema)


class _Encoder:
    """The function that a Python worker calls with Arrow batches. It yields each batch with the column of vectors."""

    def __init__(self, reference: ModelReference, column: str, output: str, options: dict[str, Any]) -> None:
        self._reference = reference
        self._column = column
        self._output = output
        self._options = one_thread(options)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        model = self._reference.load()
        for batch in batches:
            vectors = model.encode_arrow(batch[self._column], **self._options)
            yield batch.append_column(self._output, _as_variable_lists(vectors))


def _as_variable_lists(vectors: pa.FixedSizeListArray) -> pa.ListArray:
    """Return vectors as lists with offsets, without copying the values. Spark does not read lists of fixed size."""
    import pyarrow as pa

    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * np.int32(vectors.type.list_size)
    return pa.ListArray.from_arrays(pa.array(offsets), vectors.values, mask=vectors.is_null())
