"""Find the local folder of a model. A name that is not a folder is downloaded from the Hugging Face Hub."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from model2vec_numba.errors import ModelNotFoundError
from model2vec_numba.files.hub import fetch
from model2vec_numba.files.layouts import DEFAULT_MODEL

__all__ = ["checked_subfolder", "locate_model"]


def locate_model(
    path: str | os.PathLike[str] | None,
    token: str | bool | None,
    subfolder: str | None,
    force_download: bool,
    revision: str | None,
    cache_dir: str | os.PathLike[str] | None,
    local_files_only: bool,
) -> Path:
    """Return the local folder of a model. The arguments are those of `StaticModel.from_pretrained`.

    Raises:
        ModelNotFoundError: there is no such folder, and no repository of this name can be downloaded.
    """
    if path is None:
        return DEFAULT_MODEL
    folder = Path(path).expanduser()
    try:
        is_folder, exists = folder.is_dir(), folder.exists()
    except OSError as error:
        raise ModelNotFoundError(f"{folder}: not a local folder: {error.strerror or error}") from error
    if is_folder:
        return folder
    if exists:
        raise ModelNotFoundError(f"{folder}: is a file, expected the folder of a model or the name of a Hub repository")
    if folder.is_absolute() or os.fspath(path).startswith((".", "~")):
        raise ModelNotFoundError(f"{folder}: no such folder")
    return fetch(
        # A path would make one slash of the two in `https://`.
        path if isinstance(path, str) else folder.as_posix(),
        token=token,
        revision=revision,
        cache_dir=None if cache_dir is None else Path(cache_dir),
        subfolder=subfolder,
        force_download=force_download,
        local_files_only=local_files_only,
    )


def checked_subfolder(subfolder: str | None) -> str:
    """Return the path of a subfolder, empty if there is none.

    Raises:
        ValueError: the path leads outside the folder that it is in.
    """
    path = PurePath(subfolder or "")
    if path.anchor or ".." in path.parts:
        raise ValueError(f"subfolder must be a relative path without '..', not {subfolder!r}")
    return subfolder or ""
