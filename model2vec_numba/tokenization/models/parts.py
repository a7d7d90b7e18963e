"""Where a long piece can be cut: its parts become the same tokens one by one as together, and are short enough to be remembered.

No token reaches across two neighbouring characters that are neighbours in none. Unigram's best path therefore has an end there, and BPE's merges on
one side know nothing of the other. That makes Chinese and Japanese, which has no spaces, a row of parts of two characters, most of them met before.

A part that is still too long is cut where two characters are neighbours in tokens, but in none that fits: a token that reaches across begins with
the two or has the character before them as well, and it ends with them or has the one after them. Of 1,380 parts of more than 32 bytes, in
STSbenchmark in Japanese with 24,000 tokens, that made 5,334, of which 1,441 were different.
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

# Bits for each that is entered, so that few others share one; and the least and the most bits.
_BITS_EACH = 16
_LEAST_BITS, _MOST_BITS = 1 << 12, 1 << 25
# What is read of a token goes on for so many bytes.
_SLACK = 8
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_THIRD = np.uint64(0xC2B2AE3D27D4EB4F)
# In place of the third character of `contexts`, which no character is.
_BEGINS, _ENDS = np.uint64(1) << np.uint64(32), np.uint64(2) << np.uint64(32)
_WORD_BITS, _IN_WORD = np.uint64(6), np.uint64(63)
_THREE_BYTES = np.uint64(0xFFFFFF)


class Neighbours(NamedTuple):
    """What stands side by side in tokens.

    Attributes:
        pairs: uint64, a bit for each pair of neighbouring characters; others may share it. The length is a power of two.
        bigrams: uint64, shape (1024,), a bit for each two bytes, ``first << 8 | second``, that are the end of one character and the beginning of
            another where the token, made of bytes, does not hold both characters whole.
        contexts: uint64, a bit for each three neighbouring characters, for each two that have no whole one before them in a token, and for each two
            that have none after them; others may share it. The length is a power of two.
    """

    pairs: NDArray[np.uint64]
    bigrams: NDArray[np.uint64]
    contexts: NDArray[np.uint64]


def find_neighbours(tokens: TextBatch) -> Neighbours:
    """The neighbours in tokens, which may be any bytes."""
    data = np.concatenate([tokens.data, np.zeros(_SLACK, np.uint8)])
    bigrams = np.zeros(1024, np.uint64)
    # Most pairs are in many tokens: how many there are shows only when they are entered.
    counts = _enter(data, tokens.offsets, _bits(_MOST_BITS), bigrams, _bits(_MOST_BITS))
    pairs, contexts = (_bits(min(max(_LEAST_BITS, 1 << (_BITS_EACH * count).bit_length()), _MOST_BITS)) for count in counts)
    _enter(data, tokens.offsets, pairs, bigrams, contexts)
    return Neighbours(pairs, bigrams, contexts)


def _bits(count: int) -> NDArray[np.uint64]:
    return np.zeros(count // 64, np.uint64)


@inner
def cut_into_parts(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    pairs: NDArray[np.uint64],
    bigrams: NDArray[np.uint64],
    contexts: NDArray[np.uint64],
    most_bytes: int,
    rough_ends: NDArray[np.int64],
    part_ends: NDArray[np.int64],
) -> int:
    """Write where the parts of the piece ``data[begin:end]``, valid UTF-8 and not empty, end, and return how many there are.

    Args:
        data: goes on for 8 bytes.
        pairs, bigrams, contexts: see `Neighbours`.
        most_bytes: longer parts are cut further, where that can be.
        rough_ends: room for one more number than there are bytes.
        part_ends: written, with as much room.
    """
    count = 0
    i = begin
    for part in range(_cut_between_strangers(data, begin, end, pairs, bigrams, rough_ends)):
        part_end = rough_ends[part]
        if part_end - i > most_bytes:
            i = _next_cut(data, i, part_end, bigrams, contexts)
            while i < part_end:
                part_ends[count] = i
                count += 1
                i = _next_cut(data, i, part_end, bigrams, contexts)
        i = part_end
        part_ends[count] = i
        count += 1
    return count


@inner
def _cut_between_strangers(
    data: NDArray[np.uint8], begin: int, end: int, pairs: NDArray[np.uint64], bigrams: NDArray[np.uint64], part_ends: NDArray[np.int64]
) -> int:
    """What `cut_into_parts` does, but for what is cut further."""
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
def _next_cut(data: NDArray[np.uint8], begin: int, end: int, bigrams: NDArray[np.uint64], contexts: NDArray[np.uint64]) -> int:
    """Where the text ``data[begin:end]``, across whose ends no token reaches, can be cut first; `end` if that is nowhere else.

    The data goes on for 8 bytes.
    """
    first, size = _character(data, begin)
    i = begin + size
    before, has_before = first, False
    while i < end:
        second, second_size = _character(data, i)
        following = i + second_size
        if not _has(bigrams, _bigram(first, 8 * size, second)):
            reaches_left = _has(contexts, _context_place(first, second, _BEGINS, contexts))
            reaches_left |= has_before and _has(contexts, _context_place(before, first, second, contexts))
            reaches_right = _has(contexts, _context_place(first, second, _ENDS, contexts))
            if following < end:
                after, _ = _character(data, following)
                reaches_right |= _has(contexts, _context_place(first, second, after, contexts))
            if not (reaches_left and reaches_right):
                return i
        before, has_before = first, True
        first, size = second, second_size
        i = following
    return end


@inner
def _are_apart(first: np.uint64, first_bits: int, second: np.uint64, pairs: NDArray[np.uint64], bigrams: NDArray[np.uint64]) -> np.uint64:
    """1 if two neighbouring characters, the first of so many bits, are neighbours in no token, else 0."""
    place = _pair_place(first, second, pairs)
    bigram = _bigram(first, first_bits, second)
    together = pairs[place >> _WORD_BITS] >> (place & _IN_WORD) | bigrams[bigram >> _WORD_BITS] >> (bigram & _IN_WORD)
    return ~together & np.uint64(1)


@inner
def _bigram(first: np.uint64, first_bits: int, second: np.uint64) -> np.uint64:
    """The last byte of a character of so many bits and the first byte of the next."""
    return first >> np.uint64(first_bits - 8) << np.uint64(8) | (second & np.uint64(0xFF))


@inner
def _has(bits: NDArray[np.uint64], place: np.uint64) -> bool:
    return bits[place >> _WORD_BITS] >> (place & _IN_WORD) & np.uint64(1) != np.uint64(0)


@inner
def _enter_bit(bits: NDArray[np.uint64], place: np.uint64) -> int:
    """Set a bit, and return 1 if it was not set."""
    word, bit = place >> _WORD_BITS, np.uint64(1) << (place & _IN_WORD)
    new = np.int64(bits[word] & bit == np.uint64(0))
    bits[word] |= bit
    return new


@inner
def _character(data: NDArray[np.uint8], i: int) -> tuple[np.uint64, int]:
    """The bytes of the character at `i`, the first lowest, and how many they should be, by the first."""
    lead = data[i]
    size = 1 + np.int64(lead >= 0xC0) + np.int64(lead >= 0xE0) + np.int64(lead >= 0xF0)
    return load_word(data, i) & (np.uint64(0xFFFFFFFF) >> np.uint64(32 - 8 * size)), size


@inner
def _pair_place(first: np.uint64, second: np.uint64, pairs: NDArray[np.uint64]) -> np.uint64:
    """The number of the bit of `pairs` that is for two neighbouring characters."""
    return _place((first << np.uint64(32) | second) * _MIX, pairs)


@inner
def _context_place(first: np.uint64, second: np.uint64, third: np.uint64, contexts: NDArray[np.uint64]) -> np.uint64:
    """The number of the bit of `contexts` that is for three neighbouring characters, or for two and what is in place of the third."""
    return _place(((first << np.uint64(32) | second) * _MIX ^ third) * _MIX_THIRD, contexts)


@inner
def _place(product: np.uint64, bits: NDArray[np.uint64]) -> np.uint64:
    """The number of a bit, from the highest bits of a product: the lower ones do not depend on all bits of the factors."""
    return (product >> np.uint64(32)) * np.uint64(64 * len(bits)) >> np.uint64(32)


@compiled()
def _enter(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], pairs: NDArray[np.uint64], bigrams: NDArray[np.uint64], contexts: NDArray[np.uint64]
) -> tuple[int, int]:
    """Enter the neighbours that tokens have; returns how many bits of `pairs` and of `contexts` are set anew."""
    pair_count = context_count = 0
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
            if not (_is_whole(data, first, i, previous_size) and i + size <= end and _is_whole(data, i, i + size, size)):
                _enter_bit(bigrams, np.uint64(data[i - 1]) << np.uint64(8) | np.uint64(data[i]))
                continue
            pair_count += _enter_bit(pairs, _pair_place(previous, character, pairs))
            before = _BEGINS
            if first > begin:
                k = first - 1
                while k > begin and data[k] & 0xC0 == 0x80:
                    k -= 1
                earlier, earlier_size = _character(data, k)
                if _is_whole(data, k, first, earlier_size):
                    before = earlier
            if before == _BEGINS:
                context_count += _enter_bit(contexts, _context_place(previous, character, _BEGINS, contexts))
            else:
                context_count += _enter_bit(contexts, _context_place(before, previous, character, contexts))
            after = i + size
            _, after_size = _character(data, after)
            if after + after_size > end or not _is_whole(data, after, after + after_size, after_size):
                context_count += _enter_bit(contexts, _context_place(previous, character, _ENDS, contexts))
    return pair_count, context_count


@inner
def _is_whole(data: NDArray[np.uint8], begin: int, end: int, size: int) -> bool:
    """Whether bytes, the first of which is that of a character of so many bytes, are one."""
    whole = end - begin == size and data[begin] & 0xC0 != 0x80
    for i in range(begin + 1, end):
        whole &= data[i] & 0xC0 == 0x80
    return whole
