"""Write a model in the layout of Model2Vec, which model2vec, sentence-transformers and this package can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.files.atomic import atomic_files
from model2vec_numba.files.layouts import LAYOUTS
from model2vec_numba.pooling.table import EmbeddingTable

__all__ = ["write_folder"]

_LAYOUT = LAYOUTS[0]


def write_folder(folder: Path, tokenizer: str, table: EmbeddingTable, config: Mapping[str, Any], card: str) -> None:
    """Write the files of a model into a folder. The folder is created if it does not exist.

    All files are on the disk under temporary names before the first gets its name. The configuration gets its name last, because it makes the folder
    a model. Existing files are replaced, not overwritten, so that a process that reads them gets their old content. Another process that reads or
    writes the same folder at the same time may still get files of two models.

    Args:
        folder: the folder.
        tokenizer: the text of `tokenizer.json`.
        table: the matrix, weights and mapping.
        config: the content of `config.json`. Settings that depend on the table are added.
        card: the text of `README.md`.

    Raises:
        OSError: a file cannot be written. The error names it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {name: value for name, value in config.items() if name != "vocabulary_quantization"} | {"embedding_dtype": table.dtype}
    if len(table.mapping):
        settings["vocabulary_quantization"] = len(table.matrix)
    texts = {
        _LAYOUT.tokenizer: tokenizer,
        _LAYOUT.modules: json.dumps(_modules(bool(config.get("normalize"))), indent=4),
        "README.md": card,
        _LAYOUT.config: json.dumps(settings, indent=4),
    }
    with atomic_files([str(folder / name) for name in (_LAYOUT.tensors, *texts)]) as (tensors, *text_files):
        tensors.write(_serialize(table))
        for file, text in zip(text_files, texts.values(), strict=True):
            # The card contains the name of the folder, which may be invalid UTF-8.
            file.write(text.encode(errors="replace"))


def _modules(normalize: bool) -> list[dict[str, Any]]:
    """Return the list of modules that sentence-transformers needs to load the model."""
    kinds = {"StaticEmbedding": "."} | ({"Normalize": "1_Normalize"} if normalize else {})
    return [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"} for i, (kind, path) in enumerate(kinds.items())]


def _serialize(table: EmbeddingTable) -> bytes:
    """Return a table in the safetensors format.

    The library's `serialize_file` is not used. It puts a file in place of the one that it is given, which only the owner may read, and does not wait
    until it is on the disk. This takes memory for two copies of the matrix meanwhile.
    """
    # Only saving needs the library, and importing it takes time.
    from safetensors import TensorSpec, serialize

    tensors: dict[str, tuple[str, NDArray[Any]]] = {"embeddings": (table.dtype, table.matrix)}
    weights = table.all_weights
    if weights is None and table.dtype == "int8":
        # sentence-transformers 6.2 cannot load int8 values without weights.
        weights = np.ones(len(table.mapping) or len(table.matrix), np.float32)
    if weights is not None:
        tensors["weights"] = (weights.dtype.name, weights)
    if len(table.mapping):
        tensors["mapping"] = ("int32", table.mapping)
    # The library reads memory in C order, whatever the strides of the array are. These copies live until it has returned.
    kept = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, (_, array) in tensors.items()}
    specs = {
        name: TensorSpec(dtype=tensors[name][0], shape=list(array.shape), data_ptr=array.ctypes.data, data_len=array.nbytes)
        for name, array in kept.items()
    }
    return serialize(specs)
