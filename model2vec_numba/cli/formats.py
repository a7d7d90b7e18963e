"""The formats of output: each writes vectors block by block as they come, and holds no more than one block."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from model2vec_numba.cli.output import is_stream
from model2vec_numba.files.whole_file import Output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Block", "Format", "find_format", "json_rows"]

Block = tuple[list[str], "NDArray[np.float32]"]
"""Texts and their vectors, float32 of shape (texts, dimensions)."""

Format = Callable[[Output, tuple[int, ...], Iterable[Block]], None]
"""Writes all of the blocks. The shape is (texts, dimensions) of them together, or (dimensions,) where the one text's vector is wanted."""


def find_format(target: str) -> Format:
    """The format of what is written to a file, by its suffix; JSON for standard output and the like, whose names have no suffix.

    Raises:
        ValueError: the suffix is unknown.
    """
    suffix = PurePath(target).suffix
    known = _FORMATS.get(suffix.lower(), _write_json if is_stream(target) else None)
    if known is None:
        raise ValueError(f"{target}: the suffix {suffix!r} is no format, expected one of {', '.join(_FORMATS)}")
    return known


def _write_npy(file: Output, shape: tuple[int, ...], blocks: Iterable[Block]) -> None:
    from numpy.lib.format import write_array_header_1_0

    write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    _write_values(file, blocks)


def _write_safetensors(file: Output, shape: tuple[int, ...], blocks: Iterable[Block]) -> None:
    header = json.dumps({"embeddings": {"dtype": "F32", "shape": shape, "data_offsets": (0, 4 * math.prod(shape))}})
    header += " " * (-len(header) % 8)  # the format asks for spaces up to a multiple of eight bytes
    file.write(len(header).to_bytes(8, "little") + header.encode())
    _write_values(file, blocks)


def _write_values(file: Output, blocks: Iterable[Block]) -> None:
    for _, vectors in blocks:
        file.write(vectors.astype("<f4", copy=False).data)


def _write_json(file: Output, shape: tuple[int, ...], blocks: Iterable[Block]) -> None:
    opening, closing = (b"[", b"]\n") if len(shape) == 2 else (b"", b"\n")
    file.write(opening)
    separator = ""
    for _, vectors in blocks:
        file.write((separator + ",\n".join(json_rows(vectors))).encode())
        separator = ",\n"
    file.write(closing)


def _write_jsonl(file: Output, _shape: tuple[int, ...], blocks: Iterable[Block]) -> None:
    for texts, vectors in blocks:
        rows = zip(map(_json_text, texts), json_rows(vectors), strict=True)
        file.write("".join(f'{{"text": {text}, "embedding": {row}}}\n' for text, row in rows).encode())


_json_text = json.JSONEncoder(ensure_ascii=False).encode


def json_rows(vectors: NDArray[Any]) -> Iterator[str]:
    """Each vector as a list in JSON, its numbers with the fewest digits that read back to the same float32.

    Raises:
        ValueError: a number is not finite, so JSON has no way to write it.
    """
    import numpy as np

    if not np.isfinite(vectors).all():
        raise ValueError("a vector holds a value that is not finite, which JSON cannot write; .npy and .safetensors can")
    # 0.5 µs a number. Also tried: astype("U") 0.9, json.dumps of the row as Python floats 0.6 (and nearly twice the digits), "%.9g" 0.2
    # (but it writes -0.0 so that JSON readers make an integer of it, and 10 % more digits).
    return (f"[{', '.join(map(str, row))}]" for row in vectors)


_FORMATS: dict[str, Format] = {".npy": _write_npy, ".safetensors": _write_safetensors, ".json": _write_json, ".jsonl": _write_jsonl}
