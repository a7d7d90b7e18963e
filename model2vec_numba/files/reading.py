"""Read a model: its files become a configuration, a tokenizer and an embedding table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model2vec_numba.errors import ModelFormatError, ModelNotFoundError
from model2vec_numba.files.layouts import require_layout
from model2vec_numba.files.tensors import Tensor, map_tensors, parse_tensors
from model2vec_numba.pooling.table import EmbeddingTable, make_table
from model2vec_numba.tokenization.spec.spec import TokenizerSpec, parse_tokenizer

__all__ = ["ModelFiles", "read_bytes", "read_folder"]

# The names of the embedding matrix, in the order in which they are tried.
_MATRIX_NAMES = ("embeddings", "0", "embedding.weight")
_TENSOR_NAMES = (*_MATRIX_NAMES, "weights", "mapping")
_DTYPE_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I8": "int8"}
# Types that `tensors` reads as NumPy integers, but that are not integers.
_NOT_INTEGERS = ("BF16", "BOOL")


class ModelFiles(NamedTuple):
    """The content of a model's files.

    Attributes:
        config: the JSON object of the configuration file.
        tokenizer: the tokenizer.
        table: the embedding matrix, with the weights and the mapping if the file has them.
        normalize: whether the files ask for normalised vectors.
        folder: the folder of the files. ``None``: they were given as bytes.
    """

    config: dict[str, Any]
    tokenizer: TokenizerSpec
    table: EmbeddingTable
    normalize: bool
    folder: Path | None


def read_folder(folder: Path) -> ModelFiles:
    """Read the model in `folder`. The matrix stays in its file, which is mapped into memory.

    Raises:
        ModelNotFoundError: the files of a model are not in the folder, or a file cannot be opened.
        ModelFormatError: the content of a file is not as expected.
    """
    layout = require_layout(folder)
    config = _parse_config(_read_text(folder / layout.config), str(folder / layout.config))
    normalize = _flag(config, "normalize", str(folder / layout.config))
    if normalize is None:
        normalize = _lists_normalize(folder / layout.modules) if layout.sentence_transformers else True
    tokenizer = parse_tokenizer(_read_text(folder / layout.tokenizer), str(folder / layout.tokenizer))
    path = folder / layout.tensors
    return ModelFiles(config, tokenizer, _table(map_tensors(path, _TENSOR_NAMES, _MATRIX_NAMES), tokenizer, str(path)), normalize, folder)


def read_bytes(tokenizer: bytes, model: bytes, config: bytes) -> ModelFiles:
    """Read a model from the contents of its three files. The matrix is a view of `model`.

    Raises:
        ModelFormatError: the content of a file is not as expected.
    """
    parsed_config = _parse_config(_decode(config, "config"), "config")
    normalize = _flag(parsed_config, "normalize", "config")
    parsed_tokenizer = parse_tokenizer(_decode(tokenizer, "tokenizer"), "tokenizer")
    tensors = parse_tensors(np.frombuffer(model, np.uint8), _TENSOR_NAMES, "model", _MATRIX_NAMES)
    return ModelFiles(parsed_config, parsed_tokenizer, _table(tensors, parsed_tokenizer, "model"), normalize is not False, None)


def _table(tensors: dict[str, Tensor], tokenizer: TokenizerSpec, source: str) -> EmbeddingTable:
    """Return the embedding table made from the tensors of a file."""
    matrix = next(tensors[name] for name in _MATRIX_NAMES if name in tensors)
    for name, expected in (("weights", "float64, float32 or float16"), ("mapping", "integers")):
        if name in tensors and tensors[name].dtype in _NOT_INTEGERS:
            raise ModelFormatError(f"{source}: {name} is {_DTYPE_NAMES.get(tensors[name].dtype, 'bool')}, expected {expected}")
    weights, mapping = (tensors[name].array if name in tensors else None for name in ("weights", "mapping"))
    return make_table(matrix.array, _DTYPE_NAMES.get(matrix.dtype, matrix.dtype), weights, mapping, size=tokenizer.required_rows, source=source)


def _lists_normalize(modules: Path) -> bool:
    """Return whether the list of modules of sentence-transformers contains a Normalize module. False if there is no such file."""
    if not modules.is_file():
        return False
    entries = _parse(_read_text(modules), str(modules))
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ModelFormatError(f"{modules}: not a list of modules, expected a JSON list of objects")
    return any(str(entry.get("type", "")).rpartition(".")[2] == "Normalize" for entry in entries)


def _flag(config: dict[str, Any], key: str, source: str) -> bool | None:
    """Return a Boolean of the configuration. ``None`` if it is not there."""
    value = config.get(key)
    if value is not None and not isinstance(value, bool):
        raise ModelFormatError(f"{source}: {key!r} is {value!r:.80}, expected true or false")
    return value


def _read_text(path: Path) -> str:
    """Return the text of a file in UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelNotFoundError(f"{path}: cannot be read: {error.strerror or error}") from error
    return _decode(content, str(path))


def _decode(content: bytes, source: str) -> str:
    """Return UTF-8 as a string."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{source}: not UTF-8 at byte {error.start}") from None


def _parse(text: str, source: str) -> Any:
    """Return the value of a JSON text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{source}: not JSON: {error}") from None


def _parse_config(text: str, source: str) -> dict[str, Any]:
    """Return the JSON object of a configuration. Its `max_length` is checked."""
    config = _parse(text, source)
    if not isinstance(config, dict):
        raise ModelFormatError(f"{source}: found a JSON {type(config).__name__}, expected an object")
    max_length = config.get("max_length")
    if max_length is not None and (type(max_length) is not int or max_length < 1):
        raise ModelFormatError(f"{source}: 'max_length' is {max_length!r:.80}, expected null or an integer of 1 or more")
    return config
