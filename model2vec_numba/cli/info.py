"""A report on the properties of a model, as text or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from model2vec_numba.files.hub import fetch
from model2vec_numba.files.layouts import DEFAULT_MODEL, require_layout
from model2vec_numba.model import StaticModel

__all__ = ["FileSizes", "describe", "file_sizes", "model_folder"]


class FileSizes(NamedTuple):
    """The sizes of the files of a model.

    Attributes:
        tensors: the number of bytes of the tensor file.
        all: the number of bytes of the three files of the model.
    """

    tensors: int
    all: int


def file_sizes(folder: Path) -> FileSizes:
    """Return the sizes of the files of the model in `folder`."""
    layout = require_layout(folder)
    tensors, *rest = ((folder / name).stat().st_size for name in (layout.tensors, layout.tokenizer, layout.config))
    return FileSizes(tensors, tensors + sum(rest))


def describe(model: StaticModel, folder: Path, as_json: bool) -> str:
    """Return the properties of a model that was loaded from `folder`, as aligned lines or as a JSON object."""
    properties = _properties(model, folder)
    if as_json:
        return json.dumps(properties, indent=2) + "\n"
    # A name has a colon and at least one space after it.
    width = max(map(len, properties)) + 2
    lines = []
    for name, value in properties.items():
        label = name.replace("_", " ") + ":"
        lines.append(label.ljust(width) + _format_value(name, value) + "\n")
    return "".join(lines)


def _properties(model: StaticModel, folder: Path) -> dict[str, Any]:
    """Return the properties of a model by their names in the JSON report."""
    table = model._table
    arrays = (table.matrix, table.mapping, table.factors, table.given)
    # float32 weights are the same memory as those that were given.
    sizes = {array.ctypes.data: array.nbytes for array in arrays if array is not None}
    return {
        "folder": str(folder),
        "dimensions": model.dim,
        "vocabulary": len(model.tokens),
        "rows": len(model.embedding),
        "storage_dtype": model.embedding_dtype,
        "weights": model.weights is not None,
        "mapping": model.token_mapping is not None,
        "bytes_on_disk": file_sizes(folder).all,
        "bytes_in_memory": sum(sizes.values()),
        "normalize": model.normalize,
        "max_length": model.max_length,
        "median_token_length": model.median_token_length,
        "unknown_id": model.unk_token_id,
        "tokenizer_backend": model.tokenizer_backend,
        "uncompiled_part": model.uncompiled_part,
    }


def _format_value(name: str, value: Any) -> str:
    """Return the value of a property as text for people."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.startswith("bytes"):
        return f"{value:,} ({value / 2**20:.1f} MiB)"
    return str(value)


def model_folder(model: str | None, *, subfolder: str | None, revision: str | None, cache_dir: str | None, **_: Any) -> Path:
    """Return the folder of a model that was just loaded by this name. If it came from the Hub, this is a folder in the Hub's cache."""
    folder = DEFAULT_MODEL if model is None else Path(model).expanduser()
    if model is not None and not folder.is_dir():
        cache = None if cache_dir is None else Path(cache_dir)
        folder = fetch(model, revision=revision, cache_dir=cache, subfolder=subfolder, local_files_only=True)
    return folder / (subfolder or "")
