"""ByteLevel: GPT-2's split, and bytes that stand for the characters of its alphabet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled
from model2vec_numba.tokenization.byte_level import spelled_out
from model2vec_numba.tokenization.pre_tokenizers.cutting import cut
from model2vec_numba.tokenization.pre_tokenizers.patterns import cut_gpt2, general_categories
from model2vec_numba.tokenization.stages import PieceBatch

__all__ = ["ByteLevel", "make_byte_level"]


class ByteLevel:
    """`ByteLevel` of the library, but that the bytes stay bytes: see `PieceBatch.byte_level`."""

    def __init__(self, *, add_prefix_space: bool, use_regex: bool) -> None:
        self._adds_space = add_prefix_space
        self._splits = use_regex

    def split(self, pieces: PieceBatch, status: NDArray[np.uint8]) -> PieceBatch:
        """See `PreTokenizer.split`."""
        pieces = spelled_out(pieces)
        if self._adds_space:
            data = np.empty(pieces.size + len(pieces.begins), np.uint8)
            begins, ends = np.empty_like(pieces.begins), np.empty_like(pieces.ends)
            end = _prefix_spaces(pieces.data, pieces.begins, pieces.ends, data, begins, ends)
            pieces = PieceBatch(data[:end], begins, ends, pieces.offsets)
        if self._splits:
            return cut(cut_gpt2, general_categories(), pieces, status, byte_level=True)
        return PieceBatch(pieces.data, pieces.begins, pieces.ends, pieces.offsets, byte_level=True)


def make_byte_level(part: dict[str, Any]) -> ByteLevel | None:
    """`trim_offsets` has to do with offsets only, of which there are none here."""
    settings = {"use_regex": True, **part}
    if settings.keys() != {"type", "add_prefix_space", "trim_offsets", "use_regex"}:
        return None
    if not all(isinstance(settings[name], bool) for name in ("add_prefix_space", "trim_offsets", "use_regex")):
        return None
    return ByteLevel(add_prefix_space=settings["add_prefix_space"], use_regex=settings["use_regex"])


@compiled()
def _prefix_spaces(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    new_data: NDArray[np.uint8],
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
) -> int:
    """Copy the pieces with a space before each that does not begin with one (other white space does not count) and return where they end."""
    at = 0
    for piece in range(len(begins)):
        new_begins[piece] = at
        begin = begins[piece]
        length = ends[piece] - begin
        if length > 0 and data[begin] != 0x20:
            new_data[at] = 0x20
            at += 1
        for k in range(length):
            new_data[at + k] = data[begin + k]
        at += length
        new_ends[piece] = at
    return at
