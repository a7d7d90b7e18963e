"""Cut a long pre-token at boundaries that no token crosses, into segments that are short enough for a cache.

If two characters are never adjacent in a token, then no token crosses the boundary between them. So Unigram's best path has a token end there, and
BPE's merges on one side do not depend on the other side (see `bpe.cuts`). So the segments, tokenised one by one, give the same tokens as the whole
pre-token. Chinese and Japanese text has no spaces. It is cut into segments of about two characters, and most of them are in the cache already.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import letters_length, load_word
from model2vec_numba.tokenization.unicode.utf8 import begins_with_two_of_three_bytes, to_bits

__all__ = ["AdjacentCharacters", "cut_into_segments", "find_adjacent_characters"]

# The number of bits for each pair of characters, so that few pairs share a bit; and the smallest and the largest number of bits of a table.
_BITS_PER_PAIR = 16
_MIN_BITS, _MAX_BITS = 1 << 12, 1 << 25
# Kernels may read this many bytes after the end of a token.
_PADDING = 8
_MIX = np.uint64(0x9E3779B97F4A7C15)
_BIT_SHIFT, _BIT_MASK = np.uint64(6), np.uint64(63)
# The bits that show whether a word of valid UTF-8 begins with two characters of two bytes each, and how they are set then.
_LEADS_OF_TWO, _TWO_OF_TWO = np.uint64(0xE000E0), np.uint64(0xC000C0)


class AdjacentCharacters(NamedTuple):
    """The pairs of characters that are adjacent in some token.

    Attributes:
        character_pairs: uint64, shape (a power of two,): bits. The bit of each such pair is set. Several pairs may share a bit.
        byte_pairs: uint64, shape (1024,): bit ``first << 8 | second`` is for two bytes. It is set if, in some token, they are the end of a character
            and the beginning of the next, and the token does not hold both characters completely. Tokens made of bytes can be like this.
    """

    character_pairs: NDArray[np.uint64]
    byte_pairs: NDArray[np.uint64]


def find_adjacent_characters(tokens: TextBatch) -> AdjacentCharacters:
    """Find the adjacent characters of tokens. Tokens may be any bytes."""
    data = np.concatenate([tokens.data, np.zeros(_PADDING, np.uint8)])
    byte_pairs, found = np.zeros(1024, np.uint64), np.empty(len(data), np.uint32)
    bits = _MAX_BITS
    count = _insert_pairs(data, tokens.offsets, np.zeros(bits // 64, np.uint64), byte_pairs, found)
    while bits > _MIN_BITS and bits >= 2 * _BITS_PER_PAIR * count:
        bits //= 2
    # In a smaller table, the number of a pair's bit is the upper part of its number in the largest table.
    is_set = np.zeros(bits, np.bool_)
    is_set[found[:count] // (_MAX_BITS // bits)] = True
    return AdjacentCharacters(to_bits(is_set), byte_pairs)


@inner
def cut_into_segments(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    character_pairs: NDArray[np.uint64],
    byte_pairs: NDArray[np.uint64],
    segment_ends: NDArray[np.int64],
) -> int:
    """Cut the pre-token ``data[begin:end]``, valid UTF-8 and not empty, into segments. Write where each ends, and return their number.

    A run of ASCII letters is not cut: it is a word or a part of one, so it is in the cache as a whole, and reading it eight bytes at a time takes a
    third of the time.

    The data must have 8 more bytes after `end`. `segment_ends` must have space for one more number than there are bytes.
    """
    count = np.uint64(0)
    # The first character is after no other one, so nothing is written for it.
    previous, size, letters = np.uint64(0), 1, 8
    i = begin
    while i < end:
        word = load_word(data, i)
        of_three_bytes = begins_with_two_of_three_bytes(word)
        if i + 8 <= end and (of_three_bytes or word & _LEADS_OF_TWO == _TWO_OF_TWO):
            width = 3 if of_three_bytes else 2
            bits = np.uint64(8 * width)
            mask = (np.uint64(1) << bits) - np.uint64(1)
            former, latter = word & mask, word >> bits & mask
            segment_ends[count] = i
            count += _is_boundary(previous, 8 * size, former, character_pairs, byte_pairs) & np.uint64(i > begin)
            segment_ends[count] = i + width
            count += _is_boundary(former, 8 * width, latter, character_pairs, byte_pairs)
            previous, size, letters = latter, width, 0
            i += 2 * width
            continue
        # There is no branch, because the processor could not predict it.
        character, character_size = _character(data, i)
        previous_letters, letters = letters, letters_length(word)
        is_cut = np.uint64(i > begin) & np.uint64(min(previous_letters, letters) == 0)
        segment_ends[count] = i
        count += _is_boundary(previous, 8 * size, character, character_pairs, byte_pairs) & is_cut
        last_letter = word >> np.uint64(8 * letters - 8 & 63) & np.uint64(0xFF)
        previous = last_letter if letters > 0 else character
        size = character_size
        i += max(letters, character_size)
    segment_ends[count] = end
    return np.int64(count) + 1


@inner
def _is_boundary(
    first: np.uint64, first_bits: int, second: np.uint64, character_pairs: NDArray[np.uint64], byte_pairs: NDArray[np.uint64]
) -> np.uint64:
    """Return 1 if two characters are adjacent in no token, else 0. `first_bits`: the number of bits of the first character."""
    bit = _pair_bit(first, second, character_pairs)
    byte_pair = first >> np.uint64(first_bits - 8) << np.uint64(8) | (second & np.uint64(0xFF))
    adjacent = character_pairs[bit >> _BIT_SHIFT] >> (bit & _BIT_MASK) | byte_pairs[byte_pair >> _BIT_SHIFT] >> (byte_pair & _BIT_MASK)
    return ~adjacent & np.uint64(1)


@inner
def _character(data: NDArray[np.uint8], i: int) -> tuple[np.uint64, int]:
    """Return the bytes of the character at `i` as a uint64, of which the first byte is the lowest, and their number.

    The first byte gives the number, even if the data is not valid UTF-8.
    """
    lead = data[i]
    size = 1 + np.int64(lead >= 0xC0) + np.int64(lead >= 0xE0) + np.int64(lead >= 0xF0)
    return load_word(data, i) & (np.uint64(0xFFFFFFFF) >> np.uint64(32 - 8 * size)), size


@inner
def _pair_bit(first: np.uint64, second: np.uint64, character_pairs: NDArray[np.uint64]) -> np.uint64:
    """Return the number of the bit of `character_pairs` that belongs to two characters."""
    # Take the highest bits of the product: its lower bits do not depend on all bits of both characters.
    product = (first << np.uint64(32) | second) * _MIX
    return (product >> np.uint64(32)) * np.uint64(64 * len(character_pairs)) >> np.uint64(32)


@compiled()
def _insert_pairs(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    character_pairs: NDArray[np.uint64],
    byte_pairs: NDArray[np.uint64],
    found: NDArray[np.uint32],
) -> int:
    """Insert the adjacent characters of all tokens.

    Write the number of each bit of `character_pairs` that was not set before to `found`, and return how many there are: fewer than bytes.
    """
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
            if _is_character(data, first, i, previous_size) and i + size <= end and _is_character(data, i, i + size, size):
                bit = _pair_bit(previous, character, character_pairs)
                index, mask = bit >> _BIT_SHIFT, np.uint64(1) << (bit & _BIT_MASK)
                found[count] = bit
                count += (character_pairs[index] & mask) == 0
                character_pairs[index] |= mask
            else:
                byte_pair = np.int64(data[i - 1]) << 8 | np.int64(data[i])
                byte_pairs[byte_pair >> 6] |= np.uint64(1) << np.uint64(byte_pair & 63)
    return count


@inner
def _is_character(data: NDArray[np.uint8], begin: int, end: int, size: int) -> bool:
    """Return whether ``data[begin:end]`` is a complete character. `size`: its number of bytes according to its first byte."""
    complete = end - begin == size and data[begin] & 0xC0 != 0x80
    for i in range(begin + 1, end):
        complete &= data[i] & 0xC0 == 0x80
    return complete
