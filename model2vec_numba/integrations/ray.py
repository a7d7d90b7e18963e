"""Ray Data: each worker process loads the model once and appends vectors to batches of Arrow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import require
from model2vec_numba.integrations.shipping import ModelReference, one_thread

if TYPE_CHECKING:
    import pyarrow as pa
    import ray.data

    from model2vec_numba.model import StaticModel

__all__ = ["Encoder", "encode"]

_BATCH_SIZE = 8192


class Encoder:
    """The class of an actor, for a dataset's `map_batches` with ``batch_format="pyarrow"``.

    Args:
        reference: the model.
        column: the column of texts.
        output: the name of the column of vectors.
        options: as for `StaticModel.encode_arrow`.
    """

    def __init__(self, reference: ModelReference, column: str, output: str, options: dict[str, Any]) -> None:
        self._model = reference.load()
        self._column = column
        self._output = output
        self._options = options

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The batch with the column of vectors behind the others."""
        with one_thread():
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
    """A dataset with a column of vectors behind the others.

    Args:
        dataset: the dataset.
        column: the column of texts.
        model: a folder that workers see too, or the name of a Hub repository; ``None``: the bundled model. Or a model, which goes by value.
        output: the name of the column of vectors, ``FixedSizeList<float32>[dim]``, null where the text is.
        workers: the number of worker processes, each on one CPU, or the fewest and the most. Where they take all CPUs that Ray has, nothing
            is left for tasks that read, and all wait for ever.
        batch_size: the number of rows of a batch.
        **options: `max_length`, `normalize` and `dtype`, as for `StaticModel.encode_arrow`.
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
