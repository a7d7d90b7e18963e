"""BPE's vocabulary and merges as arrays: hash tables of words and of pairs, a trie of the tokens, and what merges each token is made by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.text import TextBatch
from model2vec_numba.tokenization.models.bpe_merging import HEAP_ROOM, NO_RANK, merge_symbols
from model2vec_numba.tokenization.models.byte_trie import ROOT, build_trie, descend, step
from model2vec_numba.tokenization.wordpiece_vocabulary import first_slot, next_slot, slots_for
from model2vec_numba.words import load_word, word_mask

__all__ = ["LEFT", "LENGTH", "PREFIX", "RANK", "RIGHT", "BpeVocabulary", "build_bpe_vocabulary", "find_short_word"]

# The columns of `BpeVocabulary.tokens`.
LEFT, RIGHT, RANK, PREFIX, LENGTH = range(5)

_KEY_BYTES = 16


class BpeVocabulary(NamedTuple):
    """Arrays that compiled code searches. Hash tables are of open addressing with linear probing, their lengths powers of two.

    A token is *formed* if its own text, as a word, becomes just this token.

    Attributes:
        words: uint64, shape (slots, 3), a hash table: words of at most 16 bytes that become a single token. A row is the bytes, padded with NULs,
            as two words, then ``length << 32 | id + 1`` (0: an empty slot).
        units: see `ByteTrie`; a trie of all tokens.
        node_tokens: int32, shape (nodes,): the id of the token that ends at a node, -1 for none.
        node_formed: int32, shape (nodes,): the same, if the token is formed.
        pairs: int64, shape (slots, 2), a hash table: the merges. A row is ``left << 32 | right`` plus 1 (0: an empty slot), then
            ``rank << 32 | id``.
        tokens: int32, shape (size, 8): for each id, the two tokens that the last merge makes it of, the rank of that merge (`NO_RANK` for one
            of a single character), the longest formed token that begins it (-1: none), and the number of its bytes. The rest is padding to half
            a cache line.
    """

    words: NDArray[np.uint64]
    units: NDArray[np.uint64]
    node_tokens: NDArray[np.int32]
    node_formed: NDArray[np.int32]
    pairs: NDArray[np.int64]
    tokens: NDArray[np.int32]


def build_bpe_vocabulary(
    texts: TextBatch, ids: NDArray[np.int32], merges: NDArray[np.int64], size: int, *, single_bytes: bool, whole_words: bool
) -> tuple[BpeVocabulary, bool]:
    """Build the arrays.

    Args:
        texts: the tokens.
        ids: their ids, no two the same.
        merges: shape (merges, 3): left, right and new id, in the order of their ranks.
        size: one more than the largest id.
        single_bytes: whether merging begins with the bytes of a word, else with its characters.
        whole_words: whether a word that is a token is that token, whatever the merges.

    Returns:
        The arrays, and whether the merges are *in order*: whether in the making of every formed token each merge has a higher rank than those
        that made its parts.
    """
    pairs = np.zeros((slots_for(len(merges)), 2), np.int64)
    _fill_pairs(merges, pairs)
    tokens = np.full((size, 8), -1, np.int32)
    data = np.concatenate([texts.data, np.zeros(_KEY_BYTES, np.uint8)])
    units, places = build_trie(texts)
    node_tokens = np.where(places >= 0, ids[places], -1).astype(np.int32)
    node_formed = np.full(len(places), -1, np.int32)
    formed, ordered = _find_formed(data, texts.offsets, ids, single_bytes, pairs, units, node_tokens, node_formed, tokens)
    short = np.diff(texts.offsets) <= _KEY_BYTES
    words = np.zeros((slots_for(int(np.count_nonzero(short & (formed | whole_words)))), 3), np.uint64)
    _fill_words(data, texts.offsets, ids, short & (formed | whole_words), words)
    return BpeVocabulary(words, units, node_tokens, node_formed, pairs, tokens), bool(ordered)


@inner
def find_short_word(words: NDArray[np.uint64], head: np.uint64, tail: np.uint64, length: int) -> int:
    """The id of the token that a word of at most 16 bytes becomes; -1 if it does not become a single one."""
    slot = first_slot(head, tail, len(words))
    while words[slot, 2] != 0 and (words[slot, 0] != head or words[slot, 1] != tail or np.int64(words[slot, 2] >> np.uint64(32)) != length):
        slot = next_slot(slot, len(words))
    return np.int64(words[slot, 2] & np.uint64(0xFFFFFFFF)) - 1


@compiled()
def _fill_pairs(merges: NDArray[np.int64], pairs: NDArray[np.int64]) -> None:
    for rank in range(len(merges)):
        key = (merges[rank, 0] << 32 | merges[rank, 1]) + 1
        slot = first_slot(np.uint64(key), np.uint64(0), len(pairs))
        while pairs[slot, 0] != 0 and pairs[slot, 0] != key:
            slot = next_slot(slot, len(pairs))
        # Of a pair that is there twice the last rank counts.
        pairs[slot, 0], pairs[slot, 1] = key, rank << 32 | merges[rank, 2]


@compiled()
def _find_formed(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
    single_bytes: bool,
    pairs: NDArray[np.int64],
    units: NDArray[np.uint64],
    node_tokens: NDArray[np.int32],
    node_formed: NDArray[np.int32],
    tokens: NDArray[np.int32],
) -> tuple[NDArray[np.bool_], bool]:
    """Merge each token's own text: mark those that are formed, at their nodes too, and fill their rows of `tokens`.

    Returns:
        Which are formed, and whether the merges are in order; see `build_bpe_vocabulary`.
    """
    formed = np.zeros(len(ids), np.bool_)
    longest = 0
    for token in range(len(ids)):
        longest = max(longest, offsets[token + 1] - offsets[token])
    symbols = np.empty(longest + 1, np.int32)
    links = np.empty((longest + 1, 3), np.int32)
    heap = np.empty(HEAP_ROOM * (longest + 1), np.int64)
    for token in range(len(ids)):
        begin, end = offsets[token], offsets[token + 1]
        count = 0
        first = begin
        for i in range(begin + 1, end + 1):
            if single_bytes or i == end or (data[i] & 0xC0) != 0x80:
                symbol = node_tokens[descend(units, ROOT, data, first, i)]
                if symbol < 0:
                    break
                symbols[count] = symbol
                count += 1
                first = i
        if first < end or count == 0:
            continue
        count, left, right, rank = merge_symbols(symbols, count, pairs, links, heap)
        if count == 1 and symbols[0] == ids[token]:
            formed[token] = True
            row = tokens[ids[token]]
            row[LEFT], row[RIGHT], row[RANK], row[LENGTH] = left, right, rank, end - begin
    ordered = True
    for token in range(len(ids)):
        if not formed[token]:
            continue
        row = tokens[ids[token]]
        if row[RANK] != NO_RANK and (tokens[row[LEFT], RANK] >= row[RANK] or tokens[row[RIGHT], RANK] >= row[RANK]):
            ordered = False
        node_formed[descend(units, ROOT, data, offsets[token], offsets[token + 1])] = ids[token]
    for token in range(len(ids)):
        node, unit = ROOT, units[ROOT]
        for at in range(offsets[token], offsets[token + 1] - 1):
            node, unit = step(units, node, unit, data[at])
            if node_formed[node] >= 0:
                tokens[ids[token], PREFIX] = node_formed[node]
    return formed, ordered


@compiled()
def _fill_words(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], ids: NDArray[np.int32], chosen: NDArray[np.bool_], words: NDArray[np.uint64]
) -> None:
    for token in range(len(ids)):
        begin, length = offsets[token], offsets[token + 1] - offsets[token]
        if not chosen[token] or length == 0:
            continue
        head = load_word(data, begin) & word_mask(length)
        tail = load_word(data, begin + 8) & word_mask(max(length - 8, 0))
        slot = first_slot(head, tail, len(words))
        while words[slot, 2] != 0:
            slot = next_slot(slot, len(words))
        words[slot, 0], words[slot, 1], words[slot, 2] = head, tail, np.uint64(length) << np.uint64(32) | np.uint64(ids[token] + 1)
