"""Import optional packages, which come with the extras of this package."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["require"]


def require(module: str, user: str, extra: str) -> Any:
    """Import and return a module of an optional package.

    Args:
        module: the name of the module.
        user: the part of this package that needs it, for the error.
        extra: the extra that installs it.

    Raises:
        ImportError: the package is not installed. The message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        # If the package is installed but one of its own imports fails, its error says more.
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(f"{user} needs {package}: pip install 'model2vec-numba[{extra}]'", name=package) from None
