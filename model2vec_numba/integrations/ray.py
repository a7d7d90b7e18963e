"""Ray Data: each worker process loads the model once and adds a column of vectors to Arrow batches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import require
from model2vec_numba.integrations.model_reference import ModelReference
from model2vec_numba.integrations.options import one_thread

if TYPE_CHECKING:
    import pyarrow as pa
    import ray.data

    from model2vec_numba.model import StaticModel

__all__ = ["Encoder", "encode"]

_BATCH_SIZE = 8192


class Encoder:
    """An actor that encodes batches, for the method `map_batches` of a dataset with ``batch_format="pyarrow"``.

    Args:
        reference: the model.
        column: the column of texts.
        output: the name of the column of vectors.
        options: the options of `StaticModel.encode_arrow`.
    """

    def __init__(self, reference: ModelReference, column: str, output: str, options: dict[str, Any]) -> None:
        self._model = reference.load()
        self._column = column
        self._output = output
        self._options = one_thread(options)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the batch with the column of vectors after the others."""
        return batch.append_column(self._output, self._model.encode_arrow(batch[self._column], **self._options))


def encode(
    dataset: ray.data.Dataset,
    column: str,
    model: StaticModel | str | os.PathLike[str] | None = None,
    *,
    output: str = "embedding",
    workers: int | tuple[int, int] = 1,
    batch_size: int = _BATCH_SIZE,
    **options: Any,
) -> ray.data.Dataset:
    """Return a dataset with a column of vectors after the others.

    Args:
        dataset: the dataset.
        column: the column of texts.
        model: a folder that the workers can read, or the name of a Hub repository. ``None``: the bundled model. A `StaticModel` is sent to the
            workers.
        output: the name of the column of vectors, of type ``FixedSizeList<float32>[dim]``, or what `precision` and `dimensionality` make of it. A
            null text has a null vector.
        workers: the number of worker processes, or the minimum and the maximum number. Each uses one CPU. If they use all CPUs of Ray, no
            CPU is left for the tasks that read data, and all wait for ever.
        batch_size: the number of rows of a batch.
        **options: the options of `StaticModel.encode_arrow`. `num_threads` is 1 by default.
    """
    compute = require("ray.data", "model2vec_numba.integrations.ray", "ray").ActorPoolStrategy
    sizes = {"size": workers} if isinstance(workers, int) else {"min_size": workers[0], "max_size": workers[1]}
    return dataset.map_batches(
        Encoder,
        fn_constructor_args=(ModelReference(model), column, output, options),
        batch_size=batch_size,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=compute(**sizes),
        num_cpus=1,
    )
