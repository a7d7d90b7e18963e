"""BPE's vocabulary as arrays: a hash table of short words, the merges, a trie of the tokens, and the last merge of each token."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import load_word, prefetch, word_mask
from model2vec_numba.tokenization.lookup.double_array import ROOT, build_double_array, descend, step
from model2vec_numba.tokenization.lookup.hashing import first_slot, hash_key, next_slot, slots_for, word_key
from model2vec_numba.tokenization.models.bpe.merge_table import MergeTable, build_merge_table, find_merge
from model2vec_numba.tokenization.models.bpe.merging import HEAP_FACTOR, merge_by_heap, next_character
from model2vec_numba.tokenization.models.bpe.pairs import IN_ORDER, LEFT, LENGTH, PREFIX, RANK, RIGHT, stays_apart

__all__ = ["BpeVocabulary", "build_bpe_vocabulary", "find_hashed_word", "find_short_word", "prefetch_word"]

_KEY_BYTES = 16


class BpeVocabulary(NamedTuple):
    """Arrays for compiled code.

    The module `pairs` says which tokens are *reachable* and *in order*.

    Attributes:
        words: uint64, shape (slots, 3), a hash table of the words of at most 16 bytes that become a single token. It uses open addressing with linear
            probing, and its length is a power of two. A row is the bytes, padded with NULs, as two uint64, then ``length << 32 | id + 1`` (0 in an
            empty slot).
        units: a trie of all tokens; see `DoubleArray`.
        node_ids: int32, shape (nodes,): the id of the token that ends at a node, or -1.
        node_reachable_ids: int32, shape (nodes,): the id of the reachable token that ends at a node, or -1.
        merges: see `build_merge_table`.
        token_rows: int32, shape (size, 8), a row for each id. The columns of a reachable token are: `LEFT` and `RIGHT`, the ids of the two tokens of
            its last merge; `RANK`, the rank of that merge (`NO_RANK` if the token needs no merge); `PREFIX`, the id of the longest reachable token
            that is a proper prefix of it (-1: none); `LENGTH`, its number of bytes; and `IN_ORDER`, 1 if it is in order, else 0. The other columns
            are not used. They make a row as long as half a cache line.
    """

    words: NDArray[np.uint64]
    units: NDArray[np.uint64]
    node_ids: NDArray[np.int32]
    node_reachable_ids: NDArray[np.int32]
    merges: MergeTable
    token_rows: NDArray[np.int32]


def build_bpe_vocabulary(
    texts: TextBatch,
    ids: NDArray[np.int32],
    merge_list: NDArray[np.int64],
    size: int,
    *,
    from_bytes: bool,
    ignore_merges: bool,
    has_affixes: bool,
) -> BpeVocabulary:
    """Return the arrays for a vocabulary.

    If the model has affixes, no token counts as reachable, and `words` is empty unless `ignore_merges` is set. So each word is merged until it is in
    the cache. Finding the reachable tokens would take more time than it saves in a million characters of text.

    Args:
        texts: the tokens.
        ids: int32, their ids, all different.
        merge_list: int64, shape (merges, 3): left id, right id and new id, in the order of their ranks.
        size: one more than the largest id.
        from_bytes: whether merging starts from the bytes of a word. Otherwise it starts from the characters.
        ignore_merges: whether a word that is a token becomes that token, even if merging gives something else.
        has_affixes: whether the model has a `continuing_subword_prefix` or an `end_of_word_suffix`.
    """
    merges = build_merge_table(merge_list)
    token_rows = np.full((size, 8), -1, np.int32)
    data = np.concatenate([texts.data, np.zeros(_KEY_BYTES, np.uint8)])
    units, places = build_double_array(texts)
    node_ids = np.where(places >= 0, ids[places], -1).astype(np.int32)
    node_reachable_ids = np.full(len(places), -1, np.int32)
    if not has_affixes:
        _find_ordered(data, texts.offsets, ids, from_bytes, merge_list, merges, token_rows)
        _find_reachable(data, texts.offsets, ids, from_bytes, merges, units, node_ids, token_rows)
        _fill_prefixes(data, texts.offsets, ids, units, node_ids, node_reachable_ids, token_rows)
    lengths = np.diff(texts.offsets) if ignore_merges else token_rows[ids, LENGTH].astype(np.int64)
    words = np.zeros((slots_for(int(np.count_nonzero((lengths > 0) & (lengths <= _KEY_BYTES)))), 3), np.uint64)
    _fill_words(data, texts.offsets, ids, lengths, words)
    return BpeVocabulary(words, units, node_ids, node_reachable_ids, merges, token_rows)


@inner
def find_short_word(words: NDArray[np.uint64], head: np.uint64, tail: np.uint64, length: int) -> int:
    """Look up a word of at most 16 bytes in `BpeVocabulary.words`. Return the id of the single token that it becomes; -1 if it is not in the table.

    `head`, `tail`: the bytes of the word, padded with NULs. `length`: their number.
    """
    return find_hashed_word(words, hash_key(word_key(head, tail)), head, tail, length)


@inner
def find_hashed_word(words: NDArray[np.uint64], hash_value: np.uint64, head: np.uint64, tail: np.uint64, length: int) -> int:
    """Return the id of a word like `find_short_word`, when the hash is known already."""
    slot = hash_value & np.uint64(len(words) - 1)
    while words[slot, 2] != 0 and (words[slot, 0] != head or words[slot, 1] != tail or np.int64(words[slot, 2] >> np.uint64(32)) != length):
        slot = next_slot(slot, len(words))
    return np.int64(words[slot, 2] & np.uint64(0xFFFFFFFF)) - 1


@inner
def prefetch_word(words: NDArray[np.uint64], hash_value: np.uint64) -> None:
    """Prefetch the row at which `find_hashed_word` looks first."""
    prefetch(words, np.int64(hash_value & np.uint64(len(words) - 1)) * words.shape[1])


@compiled()
def _find_ordered(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
    from_bytes: bool,
    merge_list: NDArray[np.int64],
    merges: MergeTable,
    token_rows: NDArray[np.int32],
) -> None:
    """Find the tokens that are in order, and fill their `token_rows`.

    This looks only at the parts of each merge, which takes a third of the time of `_find_reachable`. Nearly all tokens are in order.
    """
    for index in range(len(ids)):
        begin, end = offsets[index], offsets[index + 1]
        if begin < end and next_character(data, begin, end, from_bytes) == end:
            row = token_rows[ids[index]]
            row[LENGTH], row[IN_ORDER] = end - begin, 1
    for rank in range(len(merge_list)):
        left, right, merged = merge_list[rank, 0], merge_list[rank, 1], merge_list[rank, 2]
        row = token_rows[merged]
        # The ranks ascend, so parts that are in order are known already.
        if row[IN_ORDER] == 1 or token_rows[left, IN_ORDER] != 1 or token_rows[right, IN_ORDER] != 1:
            continue
        # If a pair is listed twice, the last rank counts.
        if find_merge(merges, left, right) == rank and stays_apart(left, right, rank, merges, token_rows):
            row[LEFT], row[RIGHT], row[RANK], row[IN_ORDER] = left, right, rank, 1
            row[LENGTH] = token_rows[left, LENGTH] + token_rows[right, LENGTH]


@compiled()
def _find_reachable(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
    from_bytes: bool,
    merges: MergeTable,
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    token_rows: NDArray[np.int32],
) -> None:
    """Merge the text of each token that is not known to be in order. Fill the `token_rows` of those that are reachable."""
    longest = 0
    for index in range(len(ids)):
        longest = max(longest, offsets[index + 1] - offsets[index])
    symbols = np.empty(longest + 1, np.int32)
    links = np.empty((longest + 1, 3), np.int32)
    heap = np.empty(HEAP_FACTOR * (longest + 1), np.int64)
    for index in range(len(ids)):
        row = token_rows[ids[index]]
        if row[IN_ORDER] == 1:
            continue
        begin = i = offsets[index]
        end = offsets[index + 1]
        count = 0
        while i < end:
            following = next_character(data, i, end, from_bytes)
            symbol = node_ids[descend(units, ROOT, data, i, following)]
            if symbol < 0:
                break
            symbols[count] = symbol
            count += 1
            i = following
        if i < end or count == 0:
            continue
        # The last merge joined the tokens `left` and `right` and had the rank `rank`.
        count, left, right, rank = merge_by_heap(symbols, count, merges, links, heap)
        if count == 1 and symbols[0] == ids[index]:
            row[LEFT], row[RIGHT], row[RANK], row[LENGTH], row[IN_ORDER] = left, right, rank, end - begin, 0


@compiled()
def _fill_prefixes(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    node_reachable_ids: NDArray[np.int32],
    token_rows: NDArray[np.int32],
) -> None:
    """Fill `node_reachable_ids`, and the column `PREFIX` of the reachable tokens in `token_rows`."""
    nodes = np.zeros(len(token_rows), np.uint64)
    for place in range(len(node_ids)):
        token = node_ids[place]
        if token >= 0 and token_rows[token, LENGTH] > 0:
            node_reachable_ids[place] = token
            nodes[token] = place
    for index in range(len(ids)):
        token = ids[index]
        if token_rows[token, LENGTH] <= 0:
            continue
        # The left part of the last merge is a reachable proper prefix. Only longer ones are searched.
        node, begin, prefix = ROOT, offsets[index], token_rows[token, LEFT]
        if prefix >= 0:
            node, begin = nodes[prefix], begin + token_rows[prefix, LENGTH]
        unit = units[node]
        # The proper prefixes come from the shortest to the longest, so the last reachable one counts.
        for at in range(begin, offsets[index + 1] - 1):
            node, unit = step(units, unit, data[at])
            if node_reachable_ids[node] >= 0:
                prefix = node_reachable_ids[node]
        token_rows[token, PREFIX] = prefix


@compiled()
def _fill_words(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], ids: NDArray[np.int32], lengths: NDArray[np.int64], words: NDArray[np.uint64]
) -> None:
    """Insert the tokens whose element of `lengths` is 1 to 16 into an empty hash table."""
    for index in range(len(ids)):
        begin, length = offsets[index], lengths[index]
        if not 0 < length <= _KEY_BYTES:
            continue
        head = load_word(data, begin) & word_mask(length)
        tail = load_word(data, begin + 8) & word_mask(max(length - 8, 0))
        slot = first_slot(head, tail, len(words))
        while words[slot, 2] != 0:
            slot = next_slot(slot, len(words))
        words[slot, 0], words[slot, 1], words[slot, 2] = head, tail, np.uint64(length) << np.uint64(32) | np.uint64(ids[index] + 1)
