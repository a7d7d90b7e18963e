"""Fast, exact inference for Model2Vec static text embeddings."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from model2vec_numba.errors import ModelError, ModelFormatError, ModelNotFoundError, TokenizationError

if TYPE_CHECKING:
    from model2vec_numba.model import StaticModel, quantize_model
    from model2vec_numba.parallel.threads import get_num_threads, set_num_threads

__all__ = [
    "ModelError",
    "ModelFormatError",
    "ModelNotFoundError",
    "StaticModel",
    "TokenizationError",
    "__version__",
    "get_num_threads",
    "quantize_model",
    "set_num_threads",
]

_LAZY = {
    "StaticModel": "model2vec_numba.model",
    "get_num_threads": "model2vec_numba.parallel.threads",
    "quantize_model": "model2vec_numba.model",
    "set_num_threads": "model2vec_numba.parallel.threads",
}


def __getattr__(name: str) -> Any:
    # Importing numba takes half a second, so these names are imported when they are first used.
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("model2vec-numba")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
