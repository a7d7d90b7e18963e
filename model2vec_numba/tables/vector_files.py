"""Files of vectors alone: .npy, .safetensors, .json and .jsonl. They are written block by block, with one block in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from model2vec_numba.files.atomic import Output
from model2vec_numba.files.output import is_stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Block", "Format", "find_format", "json_rows"]

Block = tuple[list[str], "NDArray[Any]"]
"""Texts and their vectors, shape (texts, dim)."""

Format = Callable[[Output, "np.dtype[Any]", tuple[int, ...], Iterable[Block]], None]
"""Writes all blocks to a file. The type and the shape are those of all vectors together, (texts, dim), or (dim,) for the vector of a single text."""

# The names of types in a safetensors file.
_TENSOR_TYPES = {"float32": "F32", "float16": "F16", "int8": "I8", "uint8": "U8"}


def find_format(target: str) -> Format:
    """Return the function that writes a file, by the suffix of the file. A stream without a known suffix gets JSON.

    Raises:
        ValueError: the suffix is unknown.
    """
    suffix = PurePath(target).suffix
    known = _FORMATS.get(suffix.lower(), _write_json if is_stream(target) else None)
    if known is None:
        raise ValueError(f"{target}: unknown suffix {suffix!r}, expected one of {', '.join(_FORMATS)}")
    return known


def _write_npy(file: Output, dtype: np.dtype[Any], shape: tuple[int, ...], blocks: Iterable[Block]) -> None:
    """Write NumPy's format."""
    from numpy.lib.format import write_array_header_1_0

    write_array_header_1_0(file, {"descr": dtype.newbyteorder("<").str, "fortran_order": False, "shape": shape})
    _write_values(file, blocks)


def _write_safetensors(file: Output, dtype: np.dtype[Any], shape: tuple[int, ...], blocks: Iterable[Block]) -> None:
    """Write a safetensors file with one tensor."""
    from model2vec_numba.files.tensors import make_header

    tensor = {"dtype": _TENSOR_TYPES[dtype.name], "shape": shape, "data_offsets": (0, dtype.itemsize * math.prod(shape))}
    file.write(make_header({"embeddings": tensor}))
    _write_values(file, blocks)


def _write_values(file: Output, blocks: Iterable[Block]) -> None:
    """Write the numbers of all vectors in little-endian order."""
    for _, vectors in blocks:
        # Not `.data`: a buffered file cannot write an array without elements.
        file.write(vectors.astype(vectors.dtype.newbyteorder("<"), copy=False).tobytes())


def _write_json(file: Output, _dtype: np.dtype[Any], shape: tuple[int, ...], blocks: Iterable[Block]) -> None:
    """Write a JSON list of vectors, or the list of one vector."""
    opening, closing = (b"[", b"]\n") if len(shape) == 2 else (b"", b"\n")
    file.write(opening)
    separator = ""
    for _, vectors in blocks:
        file.write((separator + ",\n".join(json_rows(vectors))).encode())
        separator = ",\n"
    file.write(closing)


def _write_jsonl(file: Output, _dtype: np.dtype[Any], _shape: tuple[int, ...], blocks: Iterable[Block]) -> None:
    """Write a JSON object with the text and its vector on each line."""
    for texts, vectors in blocks:
        rows = zip(map(_json_text, texts), json_rows(vectors), strict=True)
        file.write("".join(f'{{"text": {text}, "embedding": {row}}}\n' for text, row in rows).encode())


_json_text = json.JSONEncoder(ensure_ascii=False).encode


def json_rows(vectors: NDArray[Any]) -> Iterator[str]:
    """Yield each vector as a JSON list. Each number has the fewest digits that read back to the same float32.

    Raises:
        ValueError: a number is not finite. JSON cannot write such numbers.
    """
    import numpy as np

    if not np.isfinite(vectors).all():
        raise ValueError("a vector has a value that is not finite. JSON cannot hold it; use .npy or .safetensors")
    if vectors.dtype == np.float16:
        vectors = vectors.astype(np.float32)
    # 0.5 us a number. Also tried: astype("U") 0.9, json.dumps of the row as Python floats 0.6 (with nearly twice the digits), "%.9g" 0.2
    # (with 10 % more digits, and it writes -0.0 in a form that JSON readers take for an integer).
    return (f"[{', '.join(map(str, row))}]" for row in vectors)


_FORMATS: dict[str, Format] = {".npy": _write_npy, ".safetensors": _write_safetensors, ".json": _write_json, ".jsonl": _write_jsonl}
