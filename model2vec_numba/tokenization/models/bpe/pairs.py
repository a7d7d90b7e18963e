"""Properties of tokens, and a test whether two tokens next to each other stay as they are.

A token is *reachable* if merging its text as a word gives exactly this token. (For models with affixes, this is not used.) The two parts of its last
merge are reachable too, because inside the token they are merged in the same way as alone.

A reachable token is *in order* if it needs no merge. It is also in order if both parts of its last merge are in order, and their own last merges have
lower ranks than this one. Then its merges happen in the order of their ranks. (A merge of a lower rank than the merge before it would have to use the
result of that merge. The token that it makes would not be in order.)

A pair of reachable tokens is *stable* if merging the text of both gives just these two tokens.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner
from model2vec_numba.tokenization.lookup.hashing import first_slot
from model2vec_numba.tokenization.models.bpe.merge_table import NO_RANK, MergeTable, find_merge
from model2vec_numba.tokenization.models.bpe.merging import merge_by_heap

__all__ = ["IN_ORDER", "LEFT", "LENGTH", "PREFIX", "RANK", "RIGHT", "is_stable_pair", "stays_apart"]

# The columns of `BpeVocabulary.token_rows`.
LEFT, RIGHT, RANK, PREFIX, LENGTH, IN_ORDER = range(6)
_NO_LIMIT = np.int64(1) << 40


@inner
def is_stable_pair(
    left: int,
    right: int,
    merges: MergeTable,
    token_rows: NDArray[np.int32],
    pair_cache: NDArray[np.uint64],
    symbols: NDArray[np.int32],
    links: NDArray[np.int32],
    heap: NDArray[np.int64],
) -> bool:
    """Return whether a pair of reachable tokens is stable, from the cache if possible.

    An entry of the cache is one more than ``left << 32 | right << 1 | answer``. An empty entry is 0.
    """
    key = np.uint64(left) << np.uint64(32) | np.uint64(right) << np.uint64(1)
    slot = first_slot(key, np.uint64(0), len(pair_cache))
    entry = pair_cache[slot] - np.uint64(1)
    if entry >> np.uint64(1) != key >> np.uint64(1):
        if token_rows[left, IN_ORDER] == 1 and token_rows[right, IN_ORDER] == 1:
            stable = stays_apart(left, right, _NO_LIMIT, merges, token_rows)
        else:
            stable = _is_merged_to_pair(left, right, merges, token_rows, symbols, links, heap)
        entry = key | np.uint64(stable)
        pair_cache[slot] = entry + np.uint64(1)
    return entry & np.uint64(1) != np.uint64(0)


@inner
def _is_merged_to_pair(
    left: int,
    right: int,
    merges: MergeTable,
    token_rows: NDArray[np.int32],
    symbols: NDArray[np.int32],
    links: NDArray[np.int32],
    heap: NDArray[np.int64],
) -> bool:
    """Merge the text of a pair of reachable tokens, and return whether the pair is stable."""
    # A token is written to the element of `symbols` with the number of its first byte. The right part of a token is split when `i` reaches it.
    symbols[0], symbols[token_rows[left, LENGTH]] = left, right
    end = token_rows[left, LENGTH] + token_rows[right, LENGTH]
    i = 0
    count = 0
    while i < end:
        token = symbols[i]
        while token_rows[token, RANK] != NO_RANK:
            first = token_rows[token, LEFT]
            symbols[i + token_rows[first, LENGTH]] = token_rows[token, RIGHT]
            token = first
        symbols[count] = token
        count += 1
        i += token_rows[token, LENGTH]
    count, _, _, _ = merge_by_heap(symbols, count, merges, links, heap)
    return count == 2 and symbols[0] == left and symbols[1] == right


@inner
def stays_apart(left: int, right: int, limit: int, merges: MergeTable, token_rows: NDArray[np.int32]) -> bool:
    """Return whether no merge of a rank below `limit` joins two tokens next to each other. Both tokens must be in order.

    The function undoes the merges of the two tokens, the last merge first. After each step, two parts meet at the boundary. If there is a merge of
    these parts that comes before the merge that was undone, it would have joined them. A merge comes before another one if it has a lower rank, or if
    it has the same rank and is more to the left.
    """
    while True:
        rank = find_merge(merges, left, right)
        if rank != NO_RANK and rank < limit:
            return False
        left_rank, right_rank = np.int64(token_rows[left, RANK]), np.int64(token_rows[right, RANK])
        if left_rank > right_rank:
            limit = left_rank
            left = token_rows[left, RIGHT]
        elif right_rank != NO_RANK:
            # A merge of this rank at the boundary is more to the left, so it comes before the one that was undone.
            limit = right_rank + 1
            right = token_rows[right, LEFT]
        else:
            return True
