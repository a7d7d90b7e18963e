"""The folder layouts of a model: where its three files are, and the search for them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from model2vec_numba.errors import ModelNotFoundError

__all__ = ["DEFAULT_MODEL", "LAYOUTS", "Layout", "find_layout", "hub_path", "hub_patterns", "is_file", "require_layout"]


DEFAULT_MODEL = Path(__file__).parents[1] / "default_model"
"""The folder of the model that comes with this package."""


class Layout(NamedTuple):
    """The paths of a model's files, relative to the folder of the model.

    Attributes:
        config, tokenizer, tensors: the three files that a model needs.
        modules: the list of modules of sentence-transformers. This file may be missing.
        sentence_transformers: whether the layout comes from sentence-transformers. This decides the default of `normalize`.
    """

    config: str
    tokenizer: str
    tensors: str
    modules: str
    sentence_transformers: bool


LAYOUTS = (
    Layout("config.json", "tokenizer.json", "model.safetensors", "modules.json", False),
    Layout("config_sentence_transformers.json", "tokenizer.json", "model.safetensors", "modules.json", True),
    Layout(
        "config_sentence_transformers.json",
        "0_StaticEmbedding/tokenizer.json",
        "0_StaticEmbedding/model.safetensors",
        "modules.json",
        True,
    ),
    # The folder is itself the 0_StaticEmbedding.
    Layout("../config_sentence_transformers.json", "tokenizer.json", "model.safetensors", "../modules.json", True),
)


def find_layout(folder: Path) -> Layout | None:
    """Return the first layout whose three files are all in `folder`. ``None``: there is none.

    Raises:
        ModelNotFoundError: a folder cannot be entered.
    """
    for layout in LAYOUTS:
        if all(is_file(folder / name) for name in (layout.config, layout.tokenizer, layout.tensors)):
            return layout
    return None


def is_file(path: Path) -> bool:
    """Return whether a path is a file.

    Raises:
        ModelNotFoundError: a folder cannot be entered.
    """
    try:
        return path.is_file()
    except OSError as error:
        raise ModelNotFoundError(f"{path}: cannot be looked up: {error.strerror or error}") from error


def require_layout(folder: Path) -> Layout:
    """Return the first layout whose three files are all in `folder`.

    Raises:
        ModelNotFoundError: there is none. The message says which files are missing for each layout.
    """
    layout = find_layout(folder)
    if layout is None:
        missing = ", or ".join(" + ".join(name for name in candidate[:3] if not is_file(folder / name)) for candidate in LAYOUTS)
        raise ModelNotFoundError(f"{folder}: no model in this folder. Missing: {missing}")
    return layout


def hub_path(name: str, subfolder: str | None) -> str | None:
    """Return the path of a layout's file in a Hub repository. ``None``: the path would be outside the repository.

    Args:
        name: the path of the file, relative to the model.
        subfolder: the folder of the model in the repository. ``None``: its root.
    """
    base = [part for part in PurePosixPath(subfolder or "").parts if part not in (".", "/")]
    if not name.startswith("../"):
        return "/".join([*base, name])
    return "/".join([*base[:-1], name.removeprefix("../")]) if base else None


def hub_patterns(subfolder: str | None) -> list[str]:
    """Return the files to download, as `allow_patterns`: the files of all layouts under `subfolder`, and the model card."""
    names = {"README.md"}.union(*((layout.config, layout.tokenizer, layout.tensors, layout.modules) for layout in LAYOUTS))
    return sorted(path for path in (hub_path(name, subfolder) for name in names) if path is not None)
