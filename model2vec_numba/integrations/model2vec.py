"""Use this package where a program expects a model of the package `model2vec`.

Some packages check that a model is a `model2vec.StaticModel`. Give them the `StaticModel` of this module, which is one. Others load their models with
model2vec themselves. Call `install` before you import them.
"""

from __future__ import annotations

import sys
from types import TracebackType

from model2vec.model import StaticModel as Original

from model2vec_numba.model import StaticModel as _StaticModel

__all__ = ["Installation", "StaticModel", "from_model2vec", "install"]


# The public methods and properties are those of this package. Private ones of model2vec are there too, and they work.
class StaticModel(_StaticModel, Original):  # type: ignore[misc,override]
    """A `model2vec_numba.StaticModel` that is a `model2vec.StaticModel` too.

    It has the same methods, and they take the same arguments. Models of both packages can be saved and loaded by each other.
    """


def from_model2vec(model: Original) -> StaticModel:
    """Return a model with the vectors, the tokenizer and the settings of a model of model2vec.

    The embedding matrix is not copied. The model has its own copy of everything else.

    Args:
        model: the model. It is not changed.

    Raises:
        TypeError: it is not a model of model2vec.
        ModelFormatError: its vectors, weights, mapping and tokenizer do not match, or `model2vec_numba` does not support them.
    """
    if not isinstance(model, Original):
        raise TypeError(f"model must be a model2vec.StaticModel, not {type(model).__name__}")
    return StaticModel(
        model.embedding,
        model.tokenizer,
        model.config,
        model.normalize,
        model.base_model_name,
        model.language,
        model.weights,
        model.token_mapping,
        model.max_length,
    )


class Installation:
    """The replacement of model2vec's class by the `StaticModel` of this module. `install` makes it.

    At the end of a ``with`` block it is undone.
    """

    def __init__(self) -> None:
        # `model2vec`, `model2vec.model`, and the other modules of the package that have imported the class.
        modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "model2vec"]
        self._modules = [module for module in modules if getattr(module, "StaticModel", None) is Original]
        for module in self._modules:
            module.StaticModel = StaticModel  # type: ignore[attr-defined]

    def undo(self) -> None:
        """Put model2vec's class back. Modules of other packages that have imported the class meanwhile keep the one that they have."""
        for module in self._modules:
            if getattr(module, "StaticModel", None) is StaticModel:
                module.StaticModel = Original  # type: ignore[attr-defined]
        self._modules = []

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.undo()


def install() -> Installation:
    """Make ``from model2vec import StaticModel`` give the `StaticModel` of this module, for packages that load their models with model2vec.

    Call it before you import such a package. A module that has imported model2vec's class already keeps it, except the modules of model2vec itself.

    Returns:
        An object whose method `undo` puts model2vec's class back. In a ``with`` statement, the end of the block does so.
    """
    return Installation()
