"""WordPiece's vocabulary as arrays: a hash table of whole words, and a trie for the pieces of those that are not in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.text import TextBatch
from model2vec_numba.tokenization.memo import memo_hash, word_key
from model2vec_numba.words import load_word, prefetch, word_mask

__all__ = [
    "ABSENT",
    "CONTINUING",
    "INITIAL",
    "WordPieceVocabulary",
    "build_vocabulary",
    "find_child",
    "find_hashed_word",
    "find_word",
    "first_slot",
    "next_slot",
    "prefetch_word",
    "slots_for",
]

ABSENT = np.int64(-1)
# The trie's roots: of tokens as they are, for the beginning of a word, and of those that continue one, less the prefix.
INITIAL = 1
CONTINUING = 2

_KEY_BYTES = 16


class WordPieceVocabulary(NamedTuple):
    """Arrays that compiled code searches; both are open-addressing hash tables with linear probing, their lengths powers of two.

    Attributes:
        words: uint64, shape (slots, 3): the tokens of at most 16 bytes. A row is the bytes, padded with NULs, as two words, then one more than
            the id (0: an empty slot).
        trie: int64, shape (slots, 2): the edges of a trie over the bytes of all tokens. A row is ``node << 8 | byte`` (0: an empty slot), then
            ``child << 32 | id + 1``, the id being that of the token that ends at the child (0 + what: none does).
    """

    words: NDArray[np.uint64]
    trie: NDArray[np.int64]


def build_vocabulary(tokens: TextBatch, ids: NDArray[np.int32], prefix: bytes, prefix_begins_words: bool) -> WordPieceVocabulary:
    """Build the arrays for tokens, without NULs, with their ids; those that begin with `prefix` continue a word.

    `prefix_begins_words`: whether a word of the text can begin with the first character of the prefix and go on.
    """
    data = np.concatenate([tokens.data, np.zeros(_KEY_BYTES, np.uint8)])
    short = int(np.count_nonzero(np.diff(tokens.offsets) <= _KEY_BYTES))
    words = np.zeros((slots_for(short), 3), np.uint64)
    _fill_words(data, tokens.offsets, ids, words)
    prefix_bytes = np.frombuffer(prefix + b"\0", np.uint8)

    def make_trie(slots: int) -> tuple[NDArray[np.int64], int]:
        trie = np.zeros((slots, 2), np.int64)
        return trie, _fill_trie(data, tokens.offsets, ids, prefix_bytes, len(prefix), prefix_begins_words, trie)

    # A smaller table stays in the caches. Tokens share half of their bytes' nodes with others; if these share less, or far more, a larger or
    # a smaller try is cheap.
    slots = slots_for(len(tokens.data) // 4)
    trie, nodes = make_trie(slots)
    while nodes < 0:
        slots *= 2
        trie, nodes = make_trie(slots)
    if _fits.py_func(nodes, slots // 2):  # type: ignore[attr-defined]
        trie, _ = make_trie(slots // 2)
    return WordPieceVocabulary(words, trie)


@inner
def _fits(nodes: int, slots: int) -> bool:
    """Whether a trie of so many nodes leaves enough slots empty."""
    return 10 * nodes <= 7 * slots


def slots_for(entries: int) -> int:
    """A power of two that leaves at least half of the slots empty."""
    return 1 << max(4, (2 * entries).bit_length())


@inner
def first_slot(first: np.uint64, rest: np.uint64, slots: int) -> np.uint64:
    """Where in a table of `slots` rows, a power of two, to look first for a key of two words."""
    # Unsigned, here and below: numba then spares the look whether an index counts from the end.
    return memo_hash(word_key(first, rest)) & np.uint64(slots - 1)


@inner
def next_slot(slot: np.uint64, slots: int) -> np.uint64:
    """Where to look next."""
    return (slot + np.uint64(1)) & np.uint64(slots - 1)


@inner
def find_word(words: NDArray[np.uint64], first: np.uint64, rest: np.uint64) -> int:
    """The id of the token whose bytes, padded with NULs, are these two words; `ABSENT` if there is none."""
    return find_hashed_word(words, memo_hash(word_key(first, rest)), first, rest)


@inner
def prefetch_word(words: NDArray[np.uint64], hashed: np.uint64) -> None:
    """Ask for the row in which `find_hashed_word` looks first to be at hand."""
    prefetch(words, np.int64(hashed & np.uint64(len(words) - 1)) * words.shape[1])


@inner
def find_hashed_word(words: NDArray[np.uint64], hashed: np.uint64, first: np.uint64, rest: np.uint64) -> int:
    """What `find_word` does, where `memo_hash` is known."""
    slot = hashed & np.uint64(len(words) - 1)
    # Most are found at once, with one branch. What is looked for is never all NULs, as an empty slot is.
    while (words[slot, 0] ^ first) | (words[slot, 1] ^ rest) != 0:
        if words[slot, 2] == 0:
            return ABSENT
        slot = next_slot(slot, len(words))
    return np.int64(words[slot, 2]) - np.int64(1)


@inner
def find_child(trie: NDArray[np.int64], node: int, byte: int) -> int:
    """``child << 32 | id + 1`` for the edge of `byte` from `node`; 0 if there is none."""
    key = node << 8 | byte
    slot = first_slot(np.uint64(key), np.uint64(0), len(trie))
    while trie[slot, 0] != key:
        if trie[slot, 0] == 0:
            return 0
        slot = next_slot(slot, len(trie))
    return trie[slot, 1]


@compiled()
def _fill_words(data: NDArray[np.uint8], offsets: NDArray[np.int64], ids: NDArray[np.int32], words: NDArray[np.uint64]) -> None:
    for token in range(len(ids)):
        begin, length = offsets[token], offsets[token + 1] - offsets[token]
        if length > _KEY_BYTES:
            continue
        first = load_word(data, begin) & word_mask(length)
        rest = load_word(data, begin + 8) & word_mask(max(length - 8, 0))
        slot = first_slot(first, rest, len(words))
        while words[slot, 2] != 0:
            slot = next_slot(slot, len(words))
        words[slot, 0], words[slot, 1], words[slot, 2] = first, rest, np.uint64(ids[token]) + np.uint64(1)


@compiled()
def _fill_trie(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
    prefix: NDArray[np.uint8],
    prefix_length: int,
    prefix_begins_words: bool,
    trie: NDArray[np.int64],
) -> int:
    """Fill the empty trie, and return the number of its nodes; -1 if it would be too full."""
    nodes = CONTINUING
    for token in range(len(ids)):
        continues = offsets[token + 1] - offsets[token] >= prefix_length
        for k in range(prefix_length):
            if not continues or data[offsets[token] + k] != prefix[k]:
                continues = False
                break
        for continuing in range(0 if prefix_begins_words or not continues else 1, 1 + continues):
            node = CONTINUING if continuing else INITIAL
            begin = offsets[token] + (prefix_length if continuing else 0)
            for at in range(begin, offsets[token + 1]):
                key = node << 8 | data[at]
                slot = first_slot(np.uint64(key), np.uint64(0), len(trie))
                while trie[slot, 0] != 0 and trie[slot, 0] != key:
                    slot = next_slot(slot, len(trie))
                if trie[slot, 0] == 0:
                    nodes += 1
                    if not _fits(nodes, len(trie)):
                        return -1
                    trie[slot, 0], trie[slot, 1] = key, nodes << 32
                if at + 1 == offsets[token + 1]:
                    trie[slot, 1] |= np.int64(ids[token]) + 1
                node = trie[slot, 1] >> 32
    return nodes
