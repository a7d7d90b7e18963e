"""Search for added tokens in compiled code: at each place, the longest token that begins there.

A filter finds the few places where a token may begin, and a trie decides whether a token does. The filter reads blocks of 64 bytes. If the tokens
begin with only a few different bytes, the filter compares each byte of a block, and the byte after it, with the first two bytes of the tokens. This
takes hardly any time.

Thousands of tokens begin with nearly all letters. For them, the filter hashes the four bytes at each place. The hash leads to bits, which say whether
a token begins with such bytes, or has them one to four bytes after its beginning. A token of eight bytes or more begins at a place only if the hashes
there and at the next four places all have the right bits. At the places that pass, the filter hashes more bytes: first up to 8, then up to 16. The
hashes of four bytes do not depend on each other, so the processor works on several at a time. They alone are not enough: at every fourth place,
English text has the first four bytes of one of 20,000 English words and phrases.

For a text of n bytes, the number of steps is at most n times the number of bytes of the longest token.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner, inner_always
from model2vec_numba.jit.simd import BLOCK, bytes_between, bytes_with, length_before, load_word, trailing_zeros
from model2vec_numba.tokenization.lookup.double_array import ROOT, TERMINAL, step

__all__ = [
    "GRAM",
    "LONG",
    "LONG_AFTER_1",
    "LONG_AFTER_2",
    "LONG_AFTER_3",
    "LONG_AFTER_4",
    "LSTRIP",
    "MIDDLE",
    "MIDDLE_AFTER_2",
    "RSTRIP",
    "SHORT",
    "SINGLE_WORD",
    "SPACE",
    "SPECIAL",
    "WORD",
    "WORK_BYTES",
    "find_candidates",
    "find_holders",
    "hash_gram",
    "hash_head",
    "hash_prefix",
    "holds_token",
    "longest_token",
    "may_hold_token",
]

# The classes of characters next to a token; see `boundaries`.
WORD = 1
SPACE = 2

# The flags of a token. `SPECIAL` only decides which of two tokens with the same normalised content is found.
SINGLE_WORD = 1
LSTRIP = 2
RSTRIP = 4
SPECIAL = 8

# The number of bytes of the first hash. These bytes are called a gram.
GRAM = 4
# The bits of a gram. A long token (8 bytes or more), a middle one (6 or 7 bytes) or a short one begins with it. Or such a token has it one to four
# bytes after its beginning, as the number in the name says.
LONG = 1
MIDDLE = 2
SHORT = 4
MIDDLE_AFTER_2 = 8
LONG_AFTER_2 = 16
LONG_AFTER_4 = 32
LONG_AFTER_1 = 64
LONG_AFTER_3 = 128
# The size of the memory that a search works in: a copy of the last bytes of a text, and the result of the first hash for each byte of a block.
WORK_BYTES = 160
# The search reads this many bytes to find the tokens that begin in a block.
_READ_BYTES = BLOCK + 16

_MIX_GRAM = np.uint32(0x9E3779B1)
_MIX_HEAD = np.uint64(0x9E3779B97F4A7C15)
_MIX_TAIL = np.uint64(0xC2B2AE3D27D4EB4F)
_ONE = np.uint64(1)
_LAST = np.uint64(1 << 63)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@inner
def hash_gram(word: np.uint64, shift: np.uint32) -> np.uint32:
    """Return the hash of the first four bytes of a word, a number of ``32 - shift`` bits."""
    return np.uint32(np.uint32(word) * _MIX_GRAM) >> shift


@inner
def hash_head(head: np.uint64, length: int, shift: np.uint64) -> np.uint64:
    """Return the hash of the first `length` bytes of a word, a number of ``64 - shift`` bits. `length`: 1 to 8."""
    return (head << np.uint64(-8 * length & 63)) * _MIX_HEAD >> shift


@inner
def hash_prefix(head: np.uint64, tail: np.uint64, length: int, shift: np.uint64) -> np.uint64:
    """Return the hash of the first `length` bytes of two words, a number of ``64 - shift`` bits. `length`: 1 to 16."""
    mixed = (head << np.uint64(64 - 8 * min(length, 8))) * _MIX_HEAD
    if length > 8:
        mixed ^= (tail << np.uint64(128 - 8 * length)) * _MIX_TAIL
    return mixed >> shift


@inner
def find_candidates(
    data: NDArray[np.uint8],
    i: int,
    end: int,
    first_bytes: NDArray[np.uint8],
    grams: NDArray[np.uint8],
    lengths: NDArray[np.uint8],
    longer: NDArray[np.uint8],
    prefixes: NDArray[np.uint8],
    work: NDArray[np.uint8],
) -> np.uint64:
    """Return a mask: bit ``k`` is set if a token may begin at ``i + k`` in ``data[i:end]``. No token begins at the other places.

    `first_bytes`, `grams`, `lengths`, `longer`, `prefixes`: see `Finder`. `work`: uint8, shape (WORK_BYTES,), memory to work in.
    """
    inside = _ALL >> np.uint64(BLOCK - min(end - i, BLOCK))
    if i + _READ_BYTES <= len(data):
        block, at = data, i
    else:
        # The bytes after the copy do not matter, because all bytes of a token are before `end`.
        for k in range(len(data) - i):
            work[k] = data[i + k]
        block, at = work, 0
    found = np.uint64(0)
    for row in range(len(first_bytes)):
        first = first_bytes[row, 0]
        # The byte after the block is not looked at.
        follows = bytes_between(block, at, first_bytes[row, 1], first_bytes[row, 2]) >> _ONE | _LAST
        found |= bytes_between(block, at, first, first) & follows
    if len(grams) == 0:
        return found & inside
    shift = np.uint32(32 - trailing_zeros(np.uint64(len(grams))))
    for k in range(BLOCK + 4):
        work[_READ_BYTES + k] = grams[hash_gram(load_word(block, at + k), shift)]
    begins = bytes_with(work, _READ_BYTES, LONG) & bytes_with(work, _READ_BYTES + 2, LONG_AFTER_2) & bytes_with(work, _READ_BYTES + 4, LONG_AFTER_4)
    begins &= bytes_with(work, _READ_BYTES + 1, LONG_AFTER_1) & bytes_with(work, _READ_BYTES + 3, LONG_AFTER_3)
    begins |= bytes_with(work, _READ_BYTES, MIDDLE) & bytes_with(work, _READ_BYTES + 2, MIDDLE_AFTER_2) | bytes_with(work, _READ_BYTES, SHORT)
    begins &= inside
    shift_longer = np.uint64(64 - trailing_zeros(np.uint64(len(longer))))
    likely = np.uint64(0)
    while begins != 0:
        k = trailing_zeros(begins)
        begins &= begins - _ONE
        head = load_word(block, at + k)
        length = longer[hash_head(head, np.int64(lengths[hash_gram(head, shift)]), shift_longer)]
        work[_READ_BYTES + k] = length
        likely |= np.uint64(length != 0) << np.uint64(k)
    shift_prefixes = np.uint64(61 - trailing_zeros(np.uint64(len(prefixes))))
    while likely != 0:
        k = trailing_zeros(likely)
        likely &= likely - _ONE
        head, tail = load_word(block, at + k), load_word(block, at + k + 8)
        hashed = hash_prefix(head, tail, np.int64(work[_READ_BYTES + k]), shift_prefixes)
        found |= (np.uint64(prefixes[hashed >> np.uint64(3)]) >> (hashed & np.uint64(7)) & _ONE) << np.uint64(k)
    return found & inside


@inner
def longest_token(units: NDArray[np.uint64], tokens: NDArray[np.int32], data: NDArray[np.uint8], i: int, end: int) -> tuple[int, int]:
    """Return the number of the longest token that begins at `i` in ``data[:end]``, and where it ends. The number is -1 if there is none.

    `units`, `tokens`: see `Finder`.
    """
    node, unit = ROOT, units[0]
    token, stop = np.int64(-1), i
    while i < end:
        node, unit = step(units, unit, data[i])
        if node == ROOT:
            break
        i += 1
        if unit & TERMINAL:
            token, stop = np.int64(tokens[node]), i
    return token, stop


@inner_always
def may_hold_token(head: np.uint64, tail: np.uint64, first_bytes: NDArray[np.uint8], grams: NDArray[np.uint8]) -> bool:
    """Return False if a text of at most 16 bytes, two uint64 padded with NULs, certainly holds no token. It takes less time than `holds_token`.

    `first_bytes`, `grams`: see `Finder`.
    """
    found = len(grams) > 0
    for row in range(len(first_bytes)):
        found |= length_before(head, first_bytes[row, 0]) < 8 or length_before(tail, first_bytes[row, 0]) < 8
    return found


@inner
def holds_token(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    first_bytes: NDArray[np.uint8],
    grams: NDArray[np.uint8],
    lengths: NDArray[np.uint8],
    longer: NDArray[np.uint8],
    prefixes: NDArray[np.uint8],
    units: NDArray[np.uint64],
    work: NDArray[np.uint8],
) -> bool:
    """Return whether ``data[begin:end]`` holds the content of a token. `work`: see `find_candidates`. The other arrays: see `Finder`."""
    if len(first_bytes) == 0 and len(grams) == 0:
        return False
    for i in range(begin, end, BLOCK):
        candidates = find_candidates(data, i, end, first_bytes, grams, lengths, longer, prefixes, work)
        while candidates != 0:
            at = i + trailing_zeros(candidates)
            candidates &= candidates - _ONE
            node, unit = ROOT, units[0]
            while at < end:
                node, unit = step(units, unit, data[at])
                if node == ROOT:
                    break
                if unit & TERMINAL:
                    return True
                at += 1
    return False


@compiled()
def find_holders(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    first_bytes: NDArray[np.uint8],
    grams: NDArray[np.uint8],
    lengths: NDArray[np.uint8],
    longer: NDArray[np.uint8],
    prefixes: NDArray[np.uint8],
    units: NDArray[np.uint64],
    holds: NDArray[np.uint8],
) -> int:
    """Write 1 to `holds` for each text that holds the content of a token, else 0. Return the number of texts that hold one.

    `holds`: uint8, shape (texts,), output. The other arrays: see `TextBatch` and `Finder`.
    """
    work = np.zeros(WORK_BYTES, np.uint8)
    count = 0
    first, last = offsets[0], offsets[len(holds)]
    # Short texts are searched all at once: one by one, they take several times as long. A token that is found may be a part of two texts.
    if last - first < BLOCK * len(holds) and not holds_token(data, first, last, first_bytes, grams, lengths, longer, prefixes, units, work):
        holds[:] = 0
        return 0
    for text in range(len(holds)):
        found = holds_token(data, offsets[text], offsets[text + 1], first_bytes, grams, lengths, longer, prefixes, units, work)
        holds[text] = found
        count += found
    return count
