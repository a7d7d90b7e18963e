"""Where a long piece can be cut: its parts become the same tokens one by one as together, and are short enough to be remembered.

No token reaches across two neighbouring characters that are neighbours in none. Unigram's best path therefore has an end there, and BPE's merges on
one side know nothing of the other. That makes Chinese and Japanese, which has no spaces, a row of parts of two characters, most of them met before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.text import TextBatch
from model2vec_numba.tokenization.code_points import begins_with_two_of_three_bytes
from model2vec_numba.words import load_word

__all__ = ["Neighbours", "cut_into_parts", "find_neighbours"]

# Bits for each pair of neighbours, so that few others share one; and the least and the most bits.
_PAIR_BITS = 16
_LEAST_PAIRS, _MOST_PAIRS = 1 << 12, 1 << 25
# What is read of a token goes on for so many bytes.
_SLACK = 8
_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORD_BITS, _IN_WORD = np.uint64(6), np.uint64(63)
_THREE_BYTES = np.uint64(0xFFFFFF)


class Neighbours(NamedTuple):
    """What stands side by side in tokens.

    Attributes:
        pairs: uint64, a bit for each pair of neighbouring characters; others may share it. The length is a power of two.
        bigrams: uint64, shape (1024,), a bit for each two bytes, ``first << 8 | second``, that are the end of one character and the beginning of
            another where the token, made of bytes, does not hold both characters whole.
    """

    pairs: NDArray[np.uint64]
    bigrams: NDArray[np.uint64]


def find_neighbours(tokens: TextBatch) -> Neighbours:
    """The neighbours in tokens, which may be any bytes."""
    data = np.concatenate([tokens.data, np.zeros(_SLACK, np.uint8)])
    bigrams = np.zeros(1024, np.uint64)
    bits = _MOST_PAIRS
    # Most pairs are in many tokens: how many there are shows only when they are entered.
    count = _enter(data, tokens.offsets, np.zeros(bits // 64, np.uint64), bigrams)
    while bits > _LEAST_PAIRS and bits >= 2 * _PAIR_BITS * count:
        bits //= 2
    pairs = np.zeros(bits // 64, np.uint64)
    _enter(data, tokens.offsets, pairs, bigrams)
    return Neighbours(pairs, bigrams)


@inner
def cut_into_parts(
    data: NDArray[np.uint8], begin: int, end: int, pairs: NDArray[np.uint64], bigrams: NDArray[np.uint64], part_ends: NDArray[np.int64]
) -> int:
    """Write where the parts of the piece ``data[begin:end]``, valid UTF-8 and not empty, end, and return how many there are.

    The data goes on for 8 bytes. `part_ends` has room for one more than there are bytes.
    """
    count = np.uint64(0)
    previous, size = _character(data, begin)
    i = begin + size
    while i < end:
        word = load_word(data, i)
        if i + 8 <= end and begins_with_two_of_three_bytes(word):
            former, latter = word & _THREE_BYTES, word >> np.uint64(24) & _THREE_BYTES
            part_ends[count] = i
            count += _are_apart(previous, 8 * size, former, pairs, bigrams)
            part_ends[count] = i + 3
            count += _are_apart(former, 24, latter, pairs, bigrams)
            previous, size = latter, 3
            i += 6
            continue
        character, character_size = _character(data, i)
        # Without a branch, for there is nothing to predict.
        part_ends[count] = i
        count += _are_apart(previous, 8 * size, character, pairs, bigrams)
        previous, size = character, character_size
        i += size
    part_ends[count] = end
    return np.int64(count) + 1


@inner
def _are_apart(first: np.uint64, first_bits: int, second: np.uint64, pairs: NDArray[np.uint64], bigrams: NDArray[np.uint64]) -> np.uint64:
    """1 if two neighbouring characters, the first of so many bits, are neighbours in no token, else 0."""
    place = _pair_place(first, second, pairs)
    bigram = first >> np.uint64(first_bits - 8) << np.uint64(8) | (second & np.uint64(0xFF))
    together = pairs[place >> _WORD_BITS] >> (place & _IN_WORD) | bigrams[bigram >> _WORD_BITS] >> (bigram & _IN_WORD)
    return ~together & np.uint64(1)


@inner
def _character(data: NDArray[np.uint8], i: int) -> tuple[np.uint64, int]:
    """The bytes of the character at `i`, the first lowest, and how many they should be, by the first."""
    lead = data[i]
    size = 1 + np.int64(lead >= 0xC0) + np.int64(lead >= 0xE0) + np.int64(lead >= 0xF0)
    return load_word(data, i) & (np.uint64(0xFFFFFFFF) >> np.uint64(32 - 8 * size)), size


@inner
def _pair_place(first: np.uint64, second: np.uint64, pairs: NDArray[np.uint64]) -> np.uint64:
    """The number of the bit of `pairs` that is for two neighbouring characters."""
    # The highest bits of the product: on the lower ones not all bits of both have an influence.
    product = (first << np.uint64(32) | second) * _MIX
    return (product >> np.uint64(32)) * np.uint64(64 * len(pairs)) >> np.uint64(32)


@compiled()
def _enter(data: NDArray[np.uint8], offsets: NDArray[np.int64], pairs: NDArray[np.uint64], bigrams: NDArray[np.uint64]) -> int:
    """Enter the neighbours that tokens have; returns how many bits of `pairs` are set anew."""
    count = 0
    for token in range(len(offsets) - 1):
        begin, end = offsets[token], offsets[token + 1]
        for i in range(begin + 1, end):
            if data[i] & 0xC0 == 0x80:
                continue
            first = i - 1
            while first > begin and data[first] & 0xC0 == 0x80:
                first -= 1
            previous, previous_size = _character(data, first)
            character, size = _character(data, i)
            if _is_whole(data, first, i, previous_size) and i + size <= end and _is_whole(data, i, i + size, size):
                place = _pair_place(previous, character, pairs)
                word, bit = place >> _WORD_BITS, np.uint64(1) << (place & _IN_WORD)
                count += (pairs[word] & bit) == 0
                pairs[word] |= bit
            else:
                bigram = np.int64(data[i - 1]) << 8 | np.int64(data[i])
                bigrams[bigram >> 6] |= np.uint64(1) << np.uint64(bigram & 63)
    return count


@inner
def _is_whole(data: NDArray[np.uint8], begin: int, end: int, size: int) -> bool:
    """Whether bytes, the first of which is that of a character of so many bytes, are one."""
    whole = end - begin == size and data[begin] & 0xC0 != 0x80
    for i in range(begin + 1, end):
        whole &= data[i] & 0xC0 == 0x80
    return whole
