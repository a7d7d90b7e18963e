"""WordPiece's vocabulary as arrays: a hash table of the tokens for whole words, and a trie to split other words into tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import load_word, prefetch, word_mask
from model2vec_numba.tokenization.lookup.hashing import first_slot, hash_key, next_slot, slots_for, word_key

__all__ = [
    "ABSENT",
    "CONTINUING",
    "INITIAL",
    "WordPieceVocabulary",
    "build_vocabulary",
    "find_child",
    "find_hashed_word",
    "find_word",
    "prefetch_word",
    "split_word",
]

ABSENT = np.int64(-1)
# The two roots of the trie: of the tokens that can begin a word, and of the tokens that continue a word, without their prefix.
INITIAL = 1
CONTINUING = 2

# The hash table has only tokens of at most this many bytes.
_KEY_BYTES = 16


class WordPieceVocabulary(NamedTuple):
    """Two hash tables for compiled code. Both use open addressing with linear probing, and their lengths are powers of two.

    Attributes:
        words: uint64, shape (slots, 3): the tokens of at most 16 bytes. A row is the bytes, padded with NULs, as two uint64, then one more than the
            id. An empty slot has 0 there.
        trie: int64, shape (slots, 2): the edges of a trie over the bytes of all tokens. A row is ``node << 8 | byte``, then ``child << 32 | id + 1``
            with the id of the token that ends at the child, or ``child << 32`` if no token ends there. An empty slot has 0 first.
    """

    words: NDArray[np.uint64]
    trie: NDArray[np.int64]


def build_vocabulary(tokens: TextBatch, ids: NDArray[np.int32], prefix: bytes, prefix_begins_words: bool) -> WordPieceVocabulary:
    """Return the arrays for a vocabulary.

    Args:
        tokens: the tokens, none of which holds a NUL.
        ids: their ids.
        prefix: tokens that begin with it continue a word.
        prefix_begins_words: whether a word of a text can begin with the first character of the prefix and have more characters after it. If so,
            tokens that begin with the prefix can begin a word too.
    """
    data = np.concatenate([tokens.data, np.zeros(_KEY_BYTES, np.uint8)])
    short = int(np.count_nonzero(np.diff(tokens.offsets) <= _KEY_BYTES))
    words = np.zeros((slots_for(short), 3), np.uint64)
    _fill_words(data, tokens.offsets, ids, words)
    prefix_bytes = np.frombuffer(prefix + b"\0", np.uint8)

    def make_trie(slots: int) -> tuple[NDArray[np.int64], int]:
        trie = np.zeros((slots, 2), np.int64)
        return trie, _fill_trie(data, tokens.offsets, ids, prefix_bytes, len(prefix), prefix_begins_words, trie)

    # A small table stays in the processor's caches. Usually tokens share half of their nodes, so begin with that size. If they share less, or
    # far more, building the trie again with another size is cheap.
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
    """Return whether a trie with this number of nodes leaves enough slots empty."""
    return 10 * nodes <= 7 * slots


@inner
def find_word(words: NDArray[np.uint64], head: np.uint64, tail: np.uint64) -> int:
    """Return the id of the token whose bytes, padded with NULs, are these two uint64; `ABSENT` if there is none."""
    return find_hashed_word(words, hash_key(word_key(head, tail)), head, tail)


@inner
def prefetch_word(words: NDArray[np.uint64], hash_value: np.uint64) -> None:
    """Prefetch the row at which `find_hashed_word` looks first."""
    prefetch(words, np.int64(hash_value & np.uint64(len(words) - 1)) * words.shape[1])


@inner
def find_hashed_word(words: NDArray[np.uint64], hash_value: np.uint64, head: np.uint64, tail: np.uint64) -> int:
    """Return the id of a token like `find_word`, when the hash is known already."""
    slot = hash_value & np.uint64(len(words) - 1)
    # Most words are found at once, with one branch. An empty slot is all NULs, and no word is.
    while (words[slot, 0] ^ head) | (words[slot, 1] ^ tail) != 0:
        if words[slot, 2] == 0:
            return ABSENT
        slot = next_slot(slot, len(words))
    return np.int64(words[slot, 2]) - np.int64(1)


@inner
def find_child(trie: NDArray[np.int64], node: int, byte: int) -> int:
    """Return ``child << 32 | id + 1`` for the edge of `byte` from `node`; see `WordPieceVocabulary.trie`. Return 0 if there is no edge."""
    key = node << 8 | byte
    slot = first_slot(np.uint64(key), np.uint64(0), len(trie))
    while trie[slot, 0] != key:
        if trie[slot, 0] == 0:
            return 0
        slot = next_slot(slot, len(trie))
    return trie[slot, 1]


@inner
def split_word(word: NDArray[np.uint8], length: int, trie: NDArray[np.int64], unknown_id: int, ids: NDArray[np.int32], at: int) -> int:
    """Split ``word[:length]`` into tokens, write their ids to ``ids[at:]`` and return where the ids end.

    From left to right, each token is the longest that fits. If no token fits, the whole word is unknown and has no ids. `unknown_id`: an id that is
    not written.
    """
    first_id = at
    start = 0
    node = INITIAL
    while start < length:
        token = np.int64(ABSENT)
        next_start = start
        i = start
        while i < length:
            edge = find_child(trie, node, np.int64(word[i]))
            if edge == 0:
                break
            i += 1
            node = edge >> 32
            if edge & 0xFFFFFFFF:
                token = (edge & 0xFFFFFFFF) - 1
                next_start = i
        if token == ABSENT:
            return first_id
        if token != unknown_id:
            ids[at] = token
            at += 1
        start = next_start
        node = CONTINUING
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
    """Insert the tokens into the empty trie and return the number of its nodes; -1 if it would be too full."""
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
