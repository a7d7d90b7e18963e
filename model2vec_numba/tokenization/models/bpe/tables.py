"""BPE's vocabulary as arrays: hash tables of short words and of merges, a trie of the tokens, and the last merge of each token."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import load_word, word_mask
from model2vec_numba.tokenization.lookup.double_array import ROOT, build_double_array, descend, step
from model2vec_numba.tokenization.lookup.hashing import first_slot, next_slot, slots_for
from model2vec_numba.tokenization.models.bpe.merging import HEAP_FACTOR, NO_RANK, merge_by_heap

__all__ = ["LEFT", "LENGTH", "PREFIX", "RANK", "RIGHT", "BpeVocabulary", "build_bpe_vocabulary", "find_short_word"]

# The columns of `BpeVocabulary.token_rows`.
LEFT, RIGHT, RANK, PREFIX, LENGTH = range(5)

_KEY_BYTES = 16


class BpeVocabulary(NamedTuple):
    """Arrays for compiled code. Hash tables use open addressing with linear probing, and their lengths are powers of two.

    A token is *reachable* if merging its own text, as a word of its own, gives exactly this token.

    Attributes:
        words: uint64, shape (slots, 3), a hash table of the words of at most 16 bytes that are a single token after merging. A row is the bytes,
            padded with NULs, as two uint64, then ``length << 32 | id + 1`` (0 in an empty slot).
        units: a trie of all tokens; see `DoubleArray`.
        node_ids: int32, shape (nodes,): the id of the token that ends at a node, or -1.
        node_reachable_ids: int32, shape (nodes,): the id of the reachable token that ends at a node, or -1.
        merges: int64, shape (slots, 2), a hash table of the merges. A row is ``left << 32 | right`` plus 1 (0 in an empty slot), then
            ``rank << 32 | id``.
        token_rows: int32, shape (size, 8), a row for each id. The columns of a reachable token are: `LEFT` and `RIGHT`, the ids of the two tokens of
            its last merge; `RANK`, the rank of that merge (`NO_RANK` if the token needs no merge); `PREFIX`, the id of the longest reachable token
            that is a proper prefix of it (-1: none); and `LENGTH`, its number of bytes. The other columns fill up half a cache line.
    """

    words: NDArray[np.uint64]
    units: NDArray[np.uint64]
    node_ids: NDArray[np.int32]
    node_reachable_ids: NDArray[np.int32]
    merges: NDArray[np.int64]
    token_rows: NDArray[np.int32]


def build_bpe_vocabulary(
    texts: TextBatch, ids: NDArray[np.int32], merge_list: NDArray[np.int64], size: int, *, from_bytes: bool, ignore_merges: bool
) -> tuple[BpeVocabulary, bool]:
    """Build the arrays for a vocabulary.

    Args:
        texts: the tokens.
        ids: int32, their ids, all different.
        merge_list: int64, shape (merges, 3): left id, right id and new id, in the order of their ranks.
        size: one more than the largest id.
        from_bytes: whether merging starts from the bytes of a word. Otherwise it starts from the characters.
        ignore_merges: whether a word that is a token becomes that token, even if merging gives something else.

    Returns:
        The arrays, and whether the merges are *in order*: every reachable token is made by a later merge, which is one of higher rank, than the two
        tokens that this merge joins.
    """
    merges = np.zeros((slots_for(len(merge_list)), 2), np.int64)
    _fill_merges(merge_list, merges)
    token_rows = np.full((size, 8), -1, np.int32)
    data = np.concatenate([texts.data, np.zeros(_KEY_BYTES, np.uint8)])
    units, places = build_double_array(texts)
    node_ids = np.where(places >= 0, ids[places], -1).astype(np.int32)
    node_reachable_ids = np.full(len(places), -1, np.int32)
    reachable, ordered = _find_reachable(data, texts.offsets, ids, from_bytes, merges, units, node_ids, node_reachable_ids, token_rows)
    short = np.diff(texts.offsets) <= _KEY_BYTES
    words = np.zeros((slots_for(int(np.count_nonzero(short & (reachable | ignore_merges)))), 3), np.uint64)
    _fill_words(data, texts.offsets, ids, short & (reachable | ignore_merges), words)
    return BpeVocabulary(words, units, node_ids, node_reachable_ids, merges, token_rows), bool(ordered)


@inner
def find_short_word(words: NDArray[np.uint64], head: np.uint64, tail: np.uint64, length: int) -> int:
    """Look up a word of at most 16 bytes in `BpeVocabulary.words`. Return the id of the single token that it becomes; -1 if it is not in the table.

    `head`, `tail`: the bytes of the word, padded with NULs. `length`: their number.
    """
    slot = first_slot(head, tail, len(words))
    while words[slot, 2] != 0 and (words[slot, 0] != head or words[slot, 1] != tail or np.int64(words[slot, 2] >> np.uint64(32)) != length):
        slot = next_slot(slot, len(words))
    return np.int64(words[slot, 2] & np.uint64(0xFFFFFFFF)) - 1


@compiled()
def _fill_merges(merge_list: NDArray[np.int64], merges: NDArray[np.int64]) -> None:
    """Insert the merges into an empty hash table."""
    for rank in range(len(merge_list)):
        key = (merge_list[rank, 0] << 32 | merge_list[rank, 1]) + 1
        slot = first_slot(np.uint64(key), np.uint64(0), len(merges))
        while merges[slot, 0] != 0 and merges[slot, 0] != key:
            slot = next_slot(slot, len(merges))
        # If a pair is listed twice, the last rank counts.
        merges[slot, 0], merges[slot, 1] = key, rank << 32 | merge_list[rank, 2]


@compiled()
def _find_reachable(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
    from_bytes: bool,
    merges: NDArray[np.int64],
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    node_reachable_ids: NDArray[np.int32],
    token_rows: NDArray[np.int32],
) -> tuple[NDArray[np.bool_], bool]:
    """Merge the text of each token to find the reachable tokens, and fill `node_reachable_ids` and `token_rows`.

    `ids` has the id of each token, and `token_rows` has a row for each id; see `BpeVocabulary`.

    Returns:
        For each token whether it is reachable, bool of shape (tokens,); and whether the merges are in order; see `build_bpe_vocabulary`.
    """
    reachable = np.zeros(len(ids), np.bool_)
    longest = 0
    for index in range(len(ids)):
        longest = max(longest, offsets[index + 1] - offsets[index])
    symbols = np.empty(longest + 1, np.int32)
    links = np.empty((longest + 1, 3), np.int32)
    heap = np.empty(HEAP_FACTOR * (longest + 1), np.int64)
    for index in range(len(ids)):
        begin, end = offsets[index], offsets[index + 1]
        count = 0
        first = begin
        for i in range(begin + 1, end + 1):
            if from_bytes or i == end or (data[i] & 0xC0) != 0x80:
                symbol = node_ids[descend(units, ROOT, data, first, i)]
                if symbol < 0:
                    break
                symbols[count] = symbol
                count += 1
                first = i
        if first < end or count == 0:
            continue
        # The last merge: of the tokens `left` and `right`, with rank `rank`.
        count, left, right, rank = merge_by_heap(symbols, count, merges, links, heap)
        if count == 1 and symbols[0] == ids[index]:
            reachable[index] = True
            row = token_rows[ids[index]]
            row[LEFT], row[RIGHT], row[RANK], row[LENGTH] = left, right, rank, end - begin
    ordered = True
    for index in range(len(ids)):
        if not reachable[index]:
            continue
        row = token_rows[ids[index]]
        # The rank of a token that needs no merge is below all others, because `NO_RANK` is.
        if row[RANK] != NO_RANK and (token_rows[row[LEFT], RANK] >= row[RANK] or token_rows[row[RIGHT], RANK] >= row[RANK]):
            ordered = False
        node_reachable_ids[descend(units, ROOT, data, offsets[index], offsets[index + 1])] = ids[index]
    # `PREFIX`: go through all proper prefixes of a token, from the shortest to the longest. The last reachable one counts.
    for index in range(len(ids)):
        node, unit = ROOT, units[ROOT]
        for at in range(offsets[index], offsets[index + 1] - 1):
            node, unit = step(units, node, unit, data[at])
            if node_reachable_ids[node] >= 0:
                token_rows[ids[index], PREFIX] = node_reachable_ids[node]
    return reachable, ordered


@compiled()
def _fill_words(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], ids: NDArray[np.int32], chosen: NDArray[np.bool_], words: NDArray[np.uint64]
) -> None:
    """Insert the chosen tokens into an empty hash table."""
    for index in range(len(ids)):
        begin, length = offsets[index], offsets[index + 1] - offsets[index]
        if not chosen[index] or length == 0:
            continue
        head = load_word(data, begin) & word_mask(length)
        tail = load_word(data, begin + 8) & word_mask(max(length - 8, 0))
        slot = first_slot(head, tail, len(words))
        while words[slot, 2] != 0:
            slot = next_slot(slot, len(words))
        words[slot, 0], words[slot, 1], words[slot, 2] = head, tail, np.uint64(length) << np.uint64(32) | np.uint64(ids[index] + 1)
