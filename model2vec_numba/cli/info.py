"""What a model is, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from model2vec_numba.files.hub import fetch
from model2vec_numba.files.layouts import require_layout
from model2vec_numba.files.origin import DEFAULT_MODEL
from model2vec_numba.model import StaticModel

__all__ = ["FileSizes", "describe", "file_sizes", "model_folder"]


class FileSizes(NamedTuple):
    """Bytes on disk: of the file of tensors, and of a model's three files together."""

    tensors: int
    all: int


def file_sizes(folder: Path) -> FileSizes:
    """How large the files of the model in `folder` are."""
    layout = require_layout(folder)
    tensors, *others = ((folder / name).stat().st_size for name in (layout.tensors, layout.tokenizer, layout.config))
    return FileSizes(tensors, tensors + sum(others))


def describe(model: StaticModel, folder: Path, as_json: bool) -> str:
    """Facts of a model that was loaded from `folder`, as aligned lines or as a JSON object."""
    facts = _facts(model, folder)
    if as_json:
        return json.dumps(facts, indent=2) + "\n"
    width = max(map(len, facts)) + 2
    return "".join(f"{name.replace('_', ' ') + ':':{width}}{_readable(name, value)}\n" for name, value in facts.items())


def _facts(model: StaticModel, folder: Path) -> dict[str, Any]:
    arrays = (model.embedding, model.weights, model.token_mapping)
    return {
        "folder": str(folder),
        "dimensions": model.dim,
        "vocabulary": len(model.tokens),
        "rows": len(model.embedding),
        "storage_dtype": model.embedding_dtype,
        "weights": model.weights is not None,
        "mapping": model.token_mapping is not None,
        "bytes_on_disk": file_sizes(folder).all,
        "bytes_in_memory": sum(array.nbytes for array in arrays if array is not None),
        "normalize": model.normalize,
        "max_length": model.max_length,
        "median_token_length": model.median_token_length,
        "unknown_id": model.unk_token_id,
        "tokenizer_backend": model.tokenizer_backend,
    }


def _readable(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.startswith("bytes"):
        return f"{value:,} ({value / 2**20:.1f} MiB)"
    return str(value)


def model_folder(model: str | None, *, subfolder: str | None, revision: str | None, cache_dir: str | None, **_: Any) -> Path:
    """The folder with the files of a model that has just been loaded under this name, so that those of the Hub are in its cache."""
    folder = DEFAULT_MODEL if model is None else Path(model).expanduser()
    if model is not None and not folder.is_dir():
        cache = None if cache_dir is None else Path(cache_dir)
        folder = fetch(model, revision=revision, cache_dir=cache, subfolder=subfolder, local_files_only=True)
    return folder / (subfolder or "")
