"""Packages that only some uses of this one need: the extras of `pyproject.toml`."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["require"]


def require(module: str, user: str, extra: str) -> Any:
    """Import a module of a package that comes with an extra.

    Args:
        module: the module's name.
        user: what needs it, for the error message.
        extra: the extra that installs it.

    Raises:
        ImportError: it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        # A package that is there and lacks something itself tells that best.
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(f"{user} needs {package}: pip install 'model2vec-numba[{extra}]'", name=package) from None
