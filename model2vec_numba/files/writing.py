"""Write a model in the layout of Model2Vec, which model2vec, sentence-transformers and this package can read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.files.atomic import atomic_files
from model2vec_numba.files.layouts import LAYOUTS
from model2vec_numba.pooling.table import EmbeddingTable

__all__ = ["write_folder"]

_LAYOUT = LAYOUTS[0]
# The number of bytes that hold the length of a safetensors header, which is a multiple of it.
_LENGTH = 8


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
        for part in _serialize(table):
            tensors.write(part)
        for file, text in zip(text_files, texts.values(), strict=True):
            # The card contains the name of the folder, which may be invalid UTF-8.
            file.write(text.encode(errors="replace"))


def _modules(normalize: bool) -> list[dict[str, Any]]:
    """Return the list of modules that sentence-transformers needs to load the model."""
    kinds = {"StaticEmbedding": "."} | ({"Normalize": "1_Normalize"} if normalize else {})
    return [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"} for i, (kind, path) in enumerate(kinds.items())]


def _serialize(table: EmbeddingTable) -> Iterator[bytes | memoryview]:
    """Yield the parts of a table in the safetensors format: the header, and the memory of each tensor.

    The library's `serialize` takes memory for two copies of the matrix, so it only gets tensors without rows. It chooses their order and the names of
    their types, and the numbers are filled in here. Its `serialize_file` is no better: it replaces the file by one that only the owner may read, and
    does not wait until that is on the disk.
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
    empty = {
        name: TensorSpec(dtype=dtype, shape=[0, *array.shape[1:]], data_ptr=array.ctypes.data, data_len=0) for name, (dtype, array) in tensors.items()
    }
    header = json.loads(serialize(empty)[_LENGTH:])
    end = 0
    for name, entry in header.items():
        array = tensors[name][1]
        entry["shape"], entry["data_offsets"] = list(array.shape), [end, end := end + array.nbytes]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)
    yield len(text).to_bytes(_LENGTH, "little") + text
    for name in header:
        array = tensors[name][1]
        yield np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data
