"""The tables that compiled code searches for added tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled
from model2vec_numba.jit.simd import load_padded_word, trailing_zeros
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.added_tokens.reading import AddedTokens
from model2vec_numba.tokenization.added_tokens.search import (
    GRAM,
    LONG,
    LONG_AFTER_1,
    LONG_AFTER_2,
    LONG_AFTER_3,
    LONG_AFTER_4,
    MIDDLE,
    MIDDLE_AFTER_2,
    SHORT,
    hash_gram,
    hash_head,
    hash_prefix,
)
from model2vec_numba.tokenization.lookup.double_array import build_double_array

__all__ = ["Finder", "make_finder"]

# If the tokens begin with more different bytes than this, the longer ones are found by hashes; see `search`.
_MAX_FIRST_BYTES = 8
# Tokens with fewer bytes are always found by their first bytes.
_MIN_HASHED_BYTES = 3


class Finder(NamedTuple):
    """The added tokens to search for, as arrays for compiled code.

    Attributes:
        first_bytes: uint8, shape (n, 3), for tokens that are not found by hashes. A row is a byte with which tokens begin, and the lowest and the
            highest byte that may follow it.
        grams: uint8, shape (a power of two,) or (0,): for each hash of four bytes, the bits `LONG` and so on of `search`.
        lengths: uint8, as long as `grams`: for each hash of four bytes, the length of the shortest token that begins with them, at most 8. 0 if no
            token does.
        longer: uint8, shape (a power of two,) or (0,): the same for each hash of as many bytes as `lengths` says, at most 16.
        prefixes: uint8, shape (a power of two,) or (0,): a bit for each hash of as many bytes as `longer` says, 1 if a token begins with them.
        units: uint64, the trie of the tokens; see `DoubleArray`.
        tokens: int32, shape (nodes,): the number of the token that ends at a node of the trie, or -1.
        ids: int32, shape (tokens,): the id of each token, or -1 if it is the unknown id.
        flags: uint8, shape (tokens,): `SINGLE_WORD`, `LSTRIP` and `RSTRIP`.
    """

    first_bytes: NDArray[np.uint8]
    grams: NDArray[np.uint8]
    lengths: NDArray[np.uint8]
    longer: NDArray[np.uint8]
    prefixes: NDArray[np.uint8]
    units: NDArray[np.uint64]
    tokens: NDArray[np.int32]
    ids: NDArray[np.int32]
    flags: NDArray[np.uint8]

    @property
    def tables(
        self,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint64]]:
        """The arrays that `holds_token` needs."""
        return self[:6]


def make_finder(tokens: AddedTokens, unknown_id: int | None) -> Finder:
    """Return the tables for tokens whose contents are all different and not empty."""
    if not tokens.contents:
        no_bytes, no_numbers = np.empty(0, np.uint8), np.empty(0, np.int32)
        return Finder(np.empty((0, 3), np.uint8), no_bytes, no_bytes, no_bytes, no_bytes, np.empty(0, np.uint64), no_numbers, no_numbers, no_bytes)
    texts = flatten(tokens.contents)
    sizes = np.diff(texts.offsets)
    is_hashed = np.zeros(len(sizes), np.bool_)
    if len(np.unique(texts.data[texts.offsets[:-1]])) > _MAX_FIRST_BYTES:
        is_hashed = sizes >= _MIN_HASHED_BYTES
    grams = lengths = longer = prefixes = np.empty(0, np.uint8)
    if is_hashed.any():
        bits = len(sizes).bit_length()
        slots = 1 << min(max(bits + 2, 12), 18)
        grams, lengths = np.zeros(slots, np.uint8), np.full(slots, 255, np.uint8)
        longer, prefixes = np.full(1 << max(bits + 2, 12), 255, np.uint8), np.zeros(1 << max(bits + 1, 9), np.uint8)
        fill_hashes(texts.data, texts.offsets, is_hashed, grams, lengths, longer, prefixes)
    trie = build_double_array(texts)
    ids = np.array(tokens.ids, np.int32)
    if unknown_id is not None:
        ids[ids == unknown_id] = -1
    first_bytes = _first_bytes(texts.data, texts.offsets[:-1][~is_hashed], sizes[~is_hashed])
    return Finder(first_bytes, grams, lengths, longer, prefixes, trie.units, trie.ids, ids, np.array(tokens.flags, np.uint8))


def _first_bytes(data: NDArray[np.uint8], begins: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return `Finder.first_bytes` for tokens."""
    rows = []
    for first in np.unique(data[begins]):
        chosen = data[begins] == first
        seconds = data[begins[chosen] + 1]
        rows.append((first, 0, 255) if (sizes[chosen] == 1).any() else (first, seconds.min(), seconds.max()))
    return np.array(rows, np.uint8).reshape(-1, 3)


@compiled()
def fill_hashes(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    is_hashed: NDArray[np.bool_],
    grams: NDArray[np.uint8],
    lengths: NDArray[np.uint8],
    longer: NDArray[np.uint8],
    prefixes: NDArray[np.uint8],
) -> None:
    """Fill `grams` and `prefixes` of a `Finder`, which must be all 0, and `lengths` and `longer`, which must be all 255.

    `is_hashed`: bool, shape (tokens,): the tokens to put in.
    """
    shift = np.uint32(32 - trailing_zeros(np.uint64(len(lengths))))
    shift_longer = np.uint64(64 - trailing_zeros(np.uint64(len(longer))))
    shift_prefixes = np.uint64(61 - trailing_zeros(np.uint64(len(prefixes))))
    for token in range(len(is_hashed)):
        if is_hashed[token]:
            size = offsets[token + 1] - offsets[token]
            head = load_padded_word(data, offsets[token], size)
            # Any byte may follow a token of three bytes.
            for byte in range(256 if size < GRAM else 1):
                slot = hash_gram(head | np.uint64(byte) << np.uint64(24), shift)
                lengths[slot] = min(lengths[slot], size, 8)
                grams[slot] |= LONG if size >= 8 else MIDDLE if size >= 6 else SHORT
            if size >= 6:
                after_2 = hash_gram(head >> np.uint64(16), shift)
                grams[after_2] |= LONG_AFTER_2 if size >= 8 else MIDDLE_AFTER_2
            if size >= 8:
                grams[hash_gram(head >> np.uint64(8), shift)] |= LONG_AFTER_1
                grams[hash_gram(head >> np.uint64(24), shift)] |= LONG_AFTER_3
                grams[hash_gram(head >> np.uint64(32), shift)] |= LONG_AFTER_4
    for token in range(len(is_hashed)):
        if is_hashed[token]:
            size = offsets[token + 1] - offsets[token]
            head = load_padded_word(data, offsets[token], size)
            hashed = hash_head(head, np.int64(lengths[hash_gram(head, shift)]), shift_longer)
            longer[hashed] = min(longer[hashed], size, 16)
    for token in range(len(is_hashed)):
        if is_hashed[token]:
            size = offsets[token + 1] - offsets[token]
            head, tail = load_padded_word(data, offsets[token], size), load_padded_word(data, offsets[token] + 8, size - 8)
            hashed = hash_head(head, np.int64(lengths[hash_gram(head, shift)]), shift_longer)
            hashed = hash_prefix(head, tail, np.int64(longer[hashed]), shift_prefixes)
            prefixes[hashed >> np.uint64(3)] |= np.uint8(1) << np.uint8(hashed & np.uint64(7))
    for table in (lengths, longer):
        for k in range(len(table)):
            if table[k] == 255:
                table[k] = 0
