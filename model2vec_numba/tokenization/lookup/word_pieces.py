"""WordPiece's vocabulary as arrays: a hash table of the tokens for whole words, and a trie to split other words into tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.jit.decorators import compiled, inner, inner_always
from model2vec_numba.jit.simd import load_word, word_mask
from model2vec_numba.tokenization.lookup.double_array import BASE_SHIFT, BYTE_MASK, ID_MASK, ID_SHIFT, TERMINAL, build_units, unit_of
from model2vec_numba.tokenization.lookup.hashing import first_slot, hash_key, next_slot, slots_for, word_key

__all__ = [
    "ABSENT",
    "WordPieceVocabulary",
    "build_vocabulary",
    "find_word",
    "split_word",
]

ABSENT = np.int64(-1)
# The hash table has only tokens of at most this many bytes.
_KEY_BYTES = 16


class WordPieceVocabulary(NamedTuple):
    """The arrays for compiled code.

    Attributes:
        words: uint64, shape (slots, 3): a hash table of the tokens of at most 16 bytes. It uses open addressing with linear probing, and its length
            is a power of two. A row is the bytes, padded with NULs, as two uint64, then one more than the id. An empty slot has 0 there.
        trie: uint64, shape (nodes + 1,): the units of a trie of all tokens; see `DoubleArray`. A word's first token is searched from the first unit
            on. The other tokens are searched from the last unit on, which stands for the node of the prefix.
    """

    words: NDArray[np.uint64]
    trie: NDArray[np.uint64]


def build_vocabulary(tokens: TextBatch, ids: NDArray[np.int32], prefix: bytes) -> WordPieceVocabulary:
    """Return the arrays for a vocabulary.

    Args:
        tokens: the tokens, none of which holds a NUL.
        ids: their ids, at most `LARGEST_TRIE_ID`.
        prefix: tokens that begin with it continue a word.
    """
    data = np.concatenate([tokens.data, np.zeros(_KEY_BYTES, np.uint8)])
    short = int(np.count_nonzero(np.diff(tokens.offsets) <= _KEY_BYTES))
    words = np.zeros((slots_for(short), 3), np.uint64)
    _fill_words(data, tokens.offsets, ids, words)
    units = build_units(tokens, ids)
    return WordPieceVocabulary(words, np.append(units, unit_of(units, prefix)))


@inner
def find_word(words: NDArray[np.uint64], head: np.uint64, tail: np.uint64) -> int:
    """Return the id of the token whose bytes, padded with NULs, are these two uint64; `ABSENT` if there is none."""
    slot = hash_key(word_key(head, tail)) & np.uint64(len(words) - 1)
    # Most words are found at once, with one branch. An empty slot is all NULs, and no word is.
    while (words[slot, 0] ^ head) | (words[slot, 1] ^ tail) != 0:
        if words[slot, 2] == 0:
            return ABSENT
        slot = next_slot(slot, len(words))
    return np.int64(words[slot, 2]) - np.int64(1)


@inner_always
def split_word(word: NDArray[np.uint8], length: int, trie: NDArray[np.uint64], unknown_id: int, ids: NDArray[np.int32], at: int) -> int:
    """Split ``word[:length]`` into tokens, write their ids to ``ids[at:]`` and return where the ids end.

    From left to right, each token is the longest that fits. If no token fits, the whole word is unknown and has no ids. `unknown_id`: an id that is
    not written, except where the next id will be written.
    """
    first_id = at
    begin, end = np.uint64(0), np.uint64(length)
    unit = trie[0]
    while begin < end:
        longest, longest_end = np.uint64(0), begin
        i = begin
        while i < end:
            byte = np.uint64(word[i])
            unit = trie[(unit >> BASE_SHIFT) + byte]
            if unit & BYTE_MASK != byte:
                break
            i += np.uint64(1)
            # A branch on whether a token ends here could not be predicted. It took a quarter longer.
            is_token = np.uint64(0) - np.uint64(unit & TERMINAL != np.uint64(0))
            longest = unit & is_token | longest & ~is_token
            longest_end = i & is_token | longest_end & ~is_token
        if longest == np.uint64(0):
            return first_id
        ids[at] = np.int64(longest >> ID_SHIFT & ID_MASK)
        at += ids[at] != unknown_id
        begin = longest_end
        unit = trie[len(trie) - 1]
    return at


@compiled()
def _fill_words(data: NDArray[np.uint8], offsets: NDArray[np.int64], ids: NDArray[np.int32], words: NDArray[np.uint64]) -> None:
    """Insert the tokens of at most `_KEY_BYTES` bytes into the empty hash table."""
    for token in range(len(ids)):
        begin, length = offsets[token], offsets[token + 1] - offsets[token]
        if length > _KEY_BYTES:
            continue
        head = load_word(data, begin) & word_mask(length)
        tail = load_word(data, begin + 8) & word_mask(max(length - 8, 0))
        slot = first_slot(head, tail, len(words))
        while words[slot, 2] != 0:
            slot = next_slot(slot, len(words))
        words[slot, 0], words[slot, 1], words[slot, 2] = head, tail, np.uint64(ids[token]) + np.uint64(1)
