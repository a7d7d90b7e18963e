"""Fast, exact inference for Model2Vec static text embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model2vec_numba.errors import ModelError, ModelFormatError, ModelNotFoundError, TokenizationError

if TYPE_CHECKING:
    from model2vec_numba.model import StaticModel

__all__ = ["ModelError", "ModelFormatError", "ModelNotFoundError", "StaticModel", "TokenizationError", "__version__"]


def __getattr__(name: str) -> Any:
    # numba takes half a second to import, so what needs it is imported when it is first asked for.
    if name == "StaticModel":
        from model2vec_numba.model import StaticModel

        return StaticModel
    if name == "__version__":
        from importlib.metadata import version

        return version("model2vec-numba")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
