"""Decode UTF-8 in compiled code, and test whether code points are in a set that is stored as bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner

__all__ = ["are_in", "begins_with_two_of_three_bytes", "decode", "mark", "to_bits", "to_words"]


# The bits of a code point that each byte after the first holds.
_LAST_BITS = np.uint64(0x3F)


@inner
def decode(data: NDArray[np.uint8], i: int) -> tuple[int, int]:
    """Return the code point at `i` in valid UTF-8, and its number of bytes."""
    code_point = np.int64(data[i])
    size = 1
    if code_point >= 0xF0:
        code_point = (code_point & 0x07) << 18 | (data[i + 1] & 0x3F) << 12 | (data[i + 2] & 0x3F) << 6 | (data[i + 3] & 0x3F)
        size = 4
    elif code_point >= 0xE0:
        code_point = (code_point & 0x0F) << 12 | (data[i + 1] & 0x3F) << 6 | (data[i + 2] & 0x3F)
        size = 3
    elif code_point >= 0x80:
        code_point = (code_point & 0x1F) << 6 | (data[i + 1] & 0x3F)
        size = 2
    return code_point, size


def to_bits(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return booleans as the bits of uint64: the lowest bit of the first uint64 is the first boolean. Their number must be a multiple of 64."""
    return np.packbits(flags, bitorder="little").view("<u8").astype(np.uint64)


def mark(bits: NDArray[np.uint64], table: NDArray[Any], value: int, code_points: NDArray[np.int64]) -> None:
    """Set the bit of each of some code points whose element of a table has a value.

    A signal handler that interrupts this may lose its own bits, so a bit that is not set must not change any result.

    Args:
        bits: shape (0x110000 / 64,): the bits, in the order of the code points.
        table: shape (0x110000,): the table.
        value: the value.
        code_points: the code points, in ascending order.
    """
    words = np.unique(code_points >> 6)
    bits[words] = to_bits(table.reshape(-1, 64)[words] == value)


def to_words(texts: list[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the first eight bytes of each text as a uint64, the first byte in its lowest bits, and the number of bytes of each text."""
    return np.array(texts, "S8").view("<u8").astype(np.uint64), np.fromiter(map(len, texts), np.uint64, len(texts))


@inner
def are_in(bits: NDArray[np.uint64], word: np.uint64) -> bool:
    """Return whether a word of valid UTF-8 begins with two characters of three bytes each that are both in a set.

    `bits` has a bit for each code point, 1 for the members of the set. Kana and ideographs often follow each other. Testing two at once, without
    waiting to know where the second begins, reduced the time to normalise Japanese to 0.63. The bits of all these characters fit into the
    first-level cache. The larger tables of code points do not.
    """
    former = bits[_block_of_three_bytes(word)] >> (word >> np.uint64(16) & _LAST_BITS)
    latter = bits[_block_of_three_bytes(word >> np.uint64(24))] >> (word >> np.uint64(40) & _LAST_BITS)
    return begins_with_two_of_three_bytes(word) and former & latter & np.uint64(1) != np.uint64(0)


@inner
def begins_with_two_of_three_bytes(word: np.uint64) -> bool:
    """Return whether a word of valid UTF-8 begins with two characters of three bytes each. A character must begin where the word begins."""
    return word & np.uint64(0xF00000F0) == np.uint64(0xE00000E0)


@inner
def _block_of_three_bytes(word: np.uint64) -> np.uint64:
    """Return ``code_point // 64`` for the code point whose three bytes are the lowest bytes of a word. The third byte does not change the result."""
    return (word & np.uint64(0x0F)) << np.uint64(6) | (word >> np.uint64(8) & _LAST_BITS)
