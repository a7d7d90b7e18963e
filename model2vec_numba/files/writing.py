"""Write a model: the files of Model2Vec's layout, so that model2vec, sentence-transformers and this package can read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.files.layouts import LAYOUTS
from model2vec_numba.files.mapped import release
from model2vec_numba.files.whole_file import Output, whole_files
from model2vec_numba.pooling.table import EmbeddingTable

__all__ = ["write_folder"]

# As many bytes of a matrix are written at a time.
_BLOCK_BYTES = 1 << 23
# The format asks for 8; a matrix that begins with a line of a processor's cache is read faster.
_ALIGNMENT = 64
_DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int8": "I8", "int32": "I32"}
_LAYOUT = LAYOUTS[0]


def write_folder(folder: Path, tokenizer: str, table: EmbeddingTable, config: Mapping[str, Any], card: str) -> None:
    """Write a model's files into a folder, which is made if need be.

    All of them are on the disk before the first gets its name, the configuration last: it is what makes the folder a model. What had those names
    is replaced, not written over, so that models which have it mapped are not harmed. Whoever reads, or writes, the same folder at the very moment
    may still get files of two models.

    Args:
        folder: where to.
        tokenizer: the text of `tokenizer.json`.
        table: the matrix, weights and mapping.
        config: the contents of `config.json`, to which what follows from the table is added.
        card: the text of `README.md`.

    Raises:
        OSError: naming what cannot be written.
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
    with whole_files([str(folder / name) for name in (_LAYOUT.tensors, *texts)]) as (tensors, *others):
        _write_tensors(tensors, table)
        for file, text in zip(others, texts.values(), strict=True):
            # The name of a folder, which is in the card, need not be UTF-8.
            file.write(text.encode(errors="replace"))


def _modules(normalize: bool) -> list[dict[str, Any]]:
    """The list of modules that tells sentence-transformers what the folder is."""
    kinds = {"StaticEmbedding": "."} | ({"Normalize": "1_Normalize"} if normalize else {})
    return [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"} for i, (kind, path) in enumerate(kinds.items())]


def _write_tensors(file: Output, table: EmbeddingTable) -> None:
    """Write a table in the safetensors format.

    Not by the `safetensors` package, which knows no bfloat16 without another package, and before version 0.8 makes a copy of the matrix.
    """
    tensors: dict[str, tuple[str, NDArray[Any]]] = {"embeddings": (table.dtype, table.matrix)}
    weights = table.all_weights
    if weights is not None:
        tensors["weights"] = ("float32", weights)
    if len(table.mapping):
        tensors["mapping"] = ("int32", table.mapping)
    # Wide elements first, so that all are aligned.
    ordered = sorted(tensors.items(), key=lambda item: -item[1][1].itemsize)
    header: dict[str, Any] = {}
    at = 0
    for name, (dtype, array) in ordered:
        header[name] = {"dtype": _DTYPES[dtype], "shape": array.shape, "data_offsets": (at, at + array.nbytes)}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, (_, array) in ordered:
        rows = max(1, _BLOCK_BYTES // max(1, array[:1].nbytes))
        for first in range(0, len(array), rows):
            block = array[first : first + rows]
            file.write(np.ascontiguousarray(block, block.dtype.newbyteorder("<")).data)
            release(block)
