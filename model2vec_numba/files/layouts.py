"""Where a model's three files lie: the folder layouts, as data, and the walk over them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from model2vec_numba.errors import ModelNotFoundError

__all__ = ["LAYOUTS", "Layout", "find_layout", "hub_path", "hub_patterns", "require_layout"]


class Layout(NamedTuple):
    """A model's files, each relative to the model's folder.

    Attributes:
        config, tokenizer, tensors: the three files that a model needs.
        modules: sentence-transformers' list of modules, which may be absent.
        sentence_transformers: whether sentence-transformers wrote it (it decides the default of `normalize`).
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
    """The first layout whose three files are all in `folder`, or ``None``."""
    for layout in LAYOUTS:
        if all((folder / name).is_file() for name in (layout.config, layout.tokenizer, layout.tensors)):
            return layout
    return None


def require_layout(folder: Path) -> Layout:
    """The first layout whose three files are all in `folder`.

    Raises:
        ModelNotFoundError: listing what each layout lacks.
    """
    layout = find_layout(folder)
    if layout is None:
        tried = "; ".join(
            f"{', '.join(name for name in candidate[:3] if not (folder / name).is_file())} missing of {' + '.join(candidate[:3])}"
            for candidate in LAYOUTS
        )
        raise ModelNotFoundError(f"{folder}: no model here. Layouts tried: {tried}")
    return layout


def hub_path(name: str, subfolder: str | None) -> str | None:
    """The path inside a Hub repository of a layout's file `name`, the model being in `subfolder`; ``None`` if it would lie outside."""
    base = [part for part in PurePosixPath(subfolder or "").parts if part not in (".", "/")]
    if not name.startswith("../"):
        return "/".join([*base, name])
    return "/".join([*base[:-1], name.removeprefix("../")]) if base else None


def hub_patterns(subfolder: str | None) -> list[str]:
    """The files of all layouts under `subfolder` of a Hub repository, and the model card, as `allow_patterns` for a download."""
    names = {"README.md"}.union(*((layout.config, layout.tokenizer, layout.tensors, layout.modules) for layout in LAYOUTS))
    return sorted(path for path in (hub_path(name, subfolder) for name in names) if path is not None)
