"""Fast, exact inference for Model2Vec static text embeddings."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from model2vec_numba.errors import ModelError, ModelFormatError, ModelNotFoundError, TokenizationError

if TYPE_CHECKING:
    from model2vec_numba.model import StaticModel
    from model2vec_numba.parallel.threads import get_num_threads, set_num_threads
    from model2vec_numba.quantization.models import quantize_model
    from model2vec_numba.tables.encode_table import EncodedTable, encode_table
    from model2vec_numba.vectors.form import quantization_ranges
    from model2vec_numba.vectors.search import semantic_search

__all__ = [
    "EncodedTable",
    "ModelError",
    "ModelFormatError",
    "ModelNotFoundError",
    "StaticModel",
    "TokenizationError",
    "__version__",
    "encode_table",
    "get_num_threads",
    "quantization_ranges",
    "quantize_model",
    "semantic_search",
    "set_num_threads",
]


def _refuse_subinterpreters() -> None:
    """Raise an error in an interpreter that is not the main one of the process.

    Raises:
        ImportError: this is a subinterpreter. The import of numba would never end there.
    """
    try:
        interpreters = importlib.import_module("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    except ImportError:
        return
    if interpreters.get_current() != interpreters.get_main():
        raise ImportError("model2vec_numba cannot be imported in a subinterpreter, because numba does not support them: use threads or processes")


_refuse_subinterpreters()

_LAZY = {
    "EncodedTable": "model2vec_numba.tables.encode_table",
    "StaticModel": "model2vec_numba.model",
    "encode_table": "model2vec_numba.tables.encode_table",
    "get_num_threads": "model2vec_numba.parallel.threads",
    "quantization_ranges": "model2vec_numba.vectors.form",
    "quantize_model": "model2vec_numba.quantization.models",
    "semantic_search": "model2vec_numba.vectors.search",
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
