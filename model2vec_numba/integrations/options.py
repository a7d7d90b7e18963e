"""The options of the integrations: those of `StaticModel.encode_arrow`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from model2vec_numba.vectors.form import make_form

if TYPE_CHECKING:
    import numpy as np

    from model2vec_numba.model import StaticModel

__all__ = ["one_thread", "vectors_type"]


def vectors_type(model: StaticModel, options: Mapping[str, Any]) -> tuple[int, np.dtype[Any]]:
    """Return the number of elements of the vectors that `encode_arrow` makes with some options, and their type.

    Raises:
        ValueError: an option is out of range.
    """
    precision = options.get("dtype") or options.get("precision", "float32")
    form = make_form(model.dim, options.get("dimensionality"), precision, options.get("ranges"))
    return form.columns, form.dtype


def one_thread(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with one thread by default, for engines that run many workers."""
    return {"num_threads": 1, **options}
