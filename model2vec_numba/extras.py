"""Import optional packages, which come with the extras of this package."""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["OLDEST_FOR_COLUMNS", "OLDEST_FOR_TABLES", "require"]

# The oldest versions of pyarrow that are tested with columns of texts, and with whole tables.
OLDEST_FOR_COLUMNS, OLDEST_FOR_TABLES = 18, 25


def require(module: str, user: str, extra: str, oldest: int = 0) -> Any:
    """Import and return a module of an optional package.

    Args:
        module: the name of the module.
        user: the part of this package that needs it, for the error.
        extra: the extra that installs it.
        oldest: the first number of the oldest version that is supported.

    Raises:
        ImportError: the package is not installed, or too old. The message names the extra.
    """
    package = module.partition(".")[0]
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # If the package is installed but one of its own imports fails, its error says more.
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(f"{user} needs {package}: pip install 'model2vec-numba[{extra}]'", name=package) from None
    version = str(getattr(sys.modules[package], "__version__", ""))
    if oldest and int(version.partition(".")[0]) < oldest:
        message = f"{user} needs {package} {oldest} or newer, found {version}: pip install --upgrade 'model2vec-numba[{extra}]'"
        raise ImportError(message, name=package)
    return imported
