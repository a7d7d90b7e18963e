"""The folders of compiled code, and whether they can be written to. This module does not import numba."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["is_writable", "package_folders", "writable_folder"]

_PACKAGE = Path(__file__).parents[1]


def package_folders() -> Iterator[Path]:
    """Yield the folders in which numba would keep the machine code of a source file in the package's folder; see `KernelCache`.

    numba may also read NUMBA_CACHE_DIR from a file of settings, which is not read here.
    """
    subfolder = f"{_PACKAGE.name}_{hashlib.sha1(str(_PACKAGE).encode()).hexdigest()}"
    if os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(os.environ["NUMBA_CACHE_DIR"]).absolute() / subfolder
    yield _PACKAGE / "__pycache__"
    yield _user_cache_folder() / "numba" / subfolder


def _user_cache_folder() -> Path:
    """Return the folder in which the programs of a user keep files that can be made again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path("~/Library/Caches").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute()


@functools.cache
def is_writable(folder: Path) -> bool:
    """Return whether files can be written to a folder. The folder is created if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def writable_folder() -> Path | None:
    """Return the first folder of `package_folders` that can be written to. ``None`` if there is none."""
    return next(filter(is_writable, package_folders()), None)
