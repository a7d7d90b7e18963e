"""The characters by which `ByteLevel` stands for bytes (GPT-2's): the table, and the way from a batch of bytes to these characters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled
from model2vec_numba.tokenization.stages import PieceBatch

__all__ = ["BYTE_TO_CHARACTER", "CHARACTER_TO_BYTE", "spelled_out"]

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
CHARACTER_TO_BYTE: dict[str, int] = {
    **{chr(byte): byte for byte in _PRINTABLE},
    **{chr(0x100 + number): byte for number, byte in enumerate(_OTHERS)},
}
BYTE_TO_CHARACTER: dict[int, str] = {byte: character for character, byte in CHARACTER_TO_BYTE.items()}

_CODE_POINTS = np.array([ord(BYTE_TO_CHARACTER[byte]) for byte in range(256)], np.int64)


def spelled_out(pieces: PieceBatch) -> PieceBatch:
    """The same pieces as UTF-8: those of a `byte_level` batch in the characters that stand for their bytes."""
    if not pieces.byte_level:
        return pieces
    data = np.empty(2 * pieces.size, np.uint8)
    begins, ends = np.empty_like(pieces.begins), np.empty_like(pieces.ends)
    end = _spell(pieces.data, pieces.begins, pieces.ends, _CODE_POINTS, data, begins, ends)
    return PieceBatch(data[:end], begins, ends, pieces.offsets)


@compiled()
def _spell(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    code_points: NDArray[np.int64],
    new_data: NDArray[np.uint8],
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
) -> int:
    at = 0
    for piece in range(len(begins)):
        new_begins[piece] = at
        for i in range(begins[piece], ends[piece]):
            code_point = code_points[data[i]]
            if code_point < 0x80:
                new_data[at] = code_point
                at += 1
            else:
                new_data[at] = 0xC0 | code_point >> 6
                new_data[at + 1] = 0x80 | (code_point & 0x3F)
                at += 2
        new_ends[piece] = at
    return at
