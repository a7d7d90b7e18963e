"""The alphabet of `ByteLevel`: a printable character for each of the 256 bytes. It comes from the tokenizer of GPT-2.

A byte that is a printable character in Latin-1 has this character. The other bytes have the characters from U+0100 on, in ascending order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled
from model2vec_numba.tokenization.stages import PreTokenBatch

__all__ = ["BYTE_TO_CHARACTER", "CHARACTER_TO_BYTE", "spelled_out"]

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_NOT_PRINTABLE = [byte for byte in range(256) if byte not in _PRINTABLE]

CHARACTER_TO_BYTE: dict[str, int] = {
    **{chr(byte): byte for byte in _PRINTABLE},
    **{chr(0x100 + number): byte for number, byte in enumerate(_NOT_PRINTABLE)},
}
BYTE_TO_CHARACTER: dict[int, str] = {byte: character for character, byte in CHARACTER_TO_BYTE.items()}

_CODE_POINTS = np.array([ord(BYTE_TO_CHARACTER[byte]) for byte in range(256)], np.int64)


def spelled_out(pre_tokens: PreTokenBatch) -> PreTokenBatch:
    """Return the pre-tokens as UTF-8. The bytes of a `byte_level` batch are replaced by the characters that stand for them."""
    if not pre_tokens.byte_level:
        return pre_tokens
    data = np.empty(2 * pre_tokens.size, np.uint8)
    begins, ends = np.empty_like(pre_tokens.begins), np.empty_like(pre_tokens.ends)
    end = _spell(pre_tokens.data, pre_tokens.begins, pre_tokens.ends, _CODE_POINTS, data, begins, ends)
    return PreTokenBatch(data[:end], begins, ends, pre_tokens.offsets)


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
    """Write the pre-tokens to `new_data`, with each byte as its character from `code_points`. Return the number of bytes that were written."""
    at = 0
    for pre_token in range(len(begins)):
        new_begins[pre_token] = at
        for i in range(begins[pre_token], ends[pre_token]):
            code_point = code_points[data[i]]
            if code_point < 0x80:
                new_data[at] = code_point
                at += 1
            else:
                new_data[at] = 0xC0 | code_point >> 6
                new_data[at + 1] = 0x80 | (code_point & 0x3F)
                at += 2
        new_ends[pre_token] = at
    return at
