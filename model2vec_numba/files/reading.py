"""Read a model: its files become a configuration, a tokenizer and an embedding table."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model2vec_numba.errors import ModelFormatError, ModelNotFoundError
from model2vec_numba.files.finite import count_not_finite
from model2vec_numba.files.layouts import is_file, require_layout
from model2vec_numba.files.tensors import Tensor, parse_tensors, read_tensors
from model2vec_numba.pooling.table import EmbeddingTable, make_table
from model2vec_numba.tokenization.spec.spec import TokenizerSpec, parse_tokenizer

__all__ = ["ModelFiles", "read_bytes", "read_folder"]

# The names of the embedding matrix, in the order in which they are tried.
_MATRIX_NAMES = ("embeddings", "0", "embedding.weight")
_OTHER_NAMES = ("weights", "mapping")
_DTYPE_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I8": "int8"}
# The modules of sentence-transformers that this package applies.
_MODULES = ("StaticEmbedding", "Normalize")
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
    """Read the model in `folder`. Later changes of the files have no effect on it.

    Raises:
        ModelNotFoundError: the files of a model are not in the folder, or a file cannot be opened.
        ModelFormatError: the content of a file is not as expected.
    """
    layout = require_layout(folder)
    config = _parse_config(_read_text(folder / layout.config), str(folder / layout.config))
    normalize = _flag(config, "normalize", str(folder / layout.config))
    if layout.sentence_transformers:
        _check_prompt(config, str(folder / layout.config))
        lists_normalize = _lists_normalize(folder / layout.modules)
        normalize = lists_normalize if normalize is None else normalize
    tokenizer = parse_tokenizer(_read_text(folder / layout.tokenizer), str(folder / layout.tokenizer))
    path = folder / layout.tensors
    return ModelFiles(config, tokenizer, _table(read_tensors(path, _OTHER_NAMES, _MATRIX_NAMES), tokenizer, str(path)), bool(normalize), folder)


def read_bytes(tokenizer: bytes, model: bytes, config: bytes) -> ModelFiles:
    """Read a model from the contents of its three files. The matrix is a view of `model`.

    Raises:
        ModelFormatError: the content of a file is not as expected.
    """
    parsed_config = _parse_config(_decode(config, "config"), "config")
    normalize = _flag(parsed_config, "normalize", "config")
    parsed_tokenizer = parse_tokenizer(_decode(tokenizer, "tokenizer"), "tokenizer")
    tensors = parse_tensors(np.frombuffer(model, np.uint8), _OTHER_NAMES, "model", _MATRIX_NAMES)
    return ModelFiles(parsed_config, parsed_tokenizer, _table(tensors, parsed_tokenizer, "model"), bool(normalize), None)


def _table(tensors: dict[str, Tensor], tokenizer: TokenizerSpec, source: str) -> EmbeddingTable:
    """Return the embedding table made from the tensors of a file."""
    matrix = next(tensors[name] for name in _MATRIX_NAMES if name in tensors)
    for name, expected in (("weights", "float64, float32 or float16"), ("mapping", "integers")):
        if name in tensors and tensors[name].dtype in _NOT_INTEGERS:
            raise ModelFormatError(f"{source}: {name} is {_DTYPE_NAMES.get(tensors[name].dtype, 'bool')}, expected {expected}")
    weights, mapping = (tensors[name].array if name in tensors else None for name in ("weights", "mapping"))
    table = make_table(matrix.array, _DTYPE_NAMES.get(matrix.dtype, matrix.dtype), weights, mapping, size=tokenizer.required_rows, source=source)
    for name, array, dtype in (("rows of the embedding matrix", table.matrix, table.dtype), ("weights", table.weights[:, None], "float32")):
        bad = count_not_finite(array, dtype)
        if bad:
            message = f"{source}: {bad} of {len(array)} {name} hold NaN or infinity; texts with such tokens can have vectors with NaN"
            # The warning is about the file. No line of a program is more to blame than another.
            warnings.warn(message, RuntimeWarning, stacklevel=2)
    return table


def _lists_normalize(modules: Path) -> bool:
    """Return whether the list of modules of sentence-transformers contains a Normalize module. False if there is no such file.

    Raises:
        ModelFormatError: the file is not a list of modules, or lists a module that changes the vectors in another way.
    """
    if not is_file(modules):
        return False
    entries = _parse(_read_text(modules), str(modules))
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ModelFormatError(f"{modules}: not a list of modules, expected a JSON list of objects")
    kinds = [entry.get("type") for entry in entries]
    # The names have changed between versions: `sentence_transformers.models.Normalize`, `sentence_transformers.models.normalize.Normalize`, …
    names = [kind.rpartition(".")[2] if isinstance(kind, str) else None for kind in kinds]
    for kind, name in zip(kinds, names, strict=True):
        if name not in _MODULES:
            raise ModelFormatError(f"{modules}: lists a module of type {kind!r:.200}, expected only {' and '.join(_MODULES)}")
    return "Normalize" in names


def _check_prompt(config: dict[str, Any], source: str) -> None:
    """Check that sentence-transformers puts no prompt before each text.

    Raises:
        ModelFormatError: it does. Without the prompt, all vectors would be different.
    """
    name, prompts = config.get("default_prompt_name"), config.get("prompts")
    prompt = prompts.get(name) if isinstance(name, str) and isinstance(prompts, dict) else None
    if prompt:
        raise ModelFormatError(
            f"{source}: default_prompt_name is {name!r:.80}, so sentence-transformers puts {prompt!r:.80} before each text. This package applies no "
            "prompts, expected default_prompt_name to be null"
        )


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
