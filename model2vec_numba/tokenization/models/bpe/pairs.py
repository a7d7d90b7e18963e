"""What is known about tokens, and whether two tokens that meet stay as they are.

A token is *reachable* if merging its own text, as a word of its own, gives exactly this token. (Models with affixes do without this.) The parts of
its last merge are reachable too, because they are merged in it as they are alone. A reachable token is *in order* if it needs no merge; or if both
parts are in order, and their own last merges have lower ranks. Then its merges happen in the order of their ranks. (A merge of lower rank than the
one before it would use what that one made, so it would make a token that is not in order.)

A pair of reachable tokens is *stable* if merging the text of both gives just these two tokens.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner
from model2vec_numba.tokenization.lookup.hashing import first_slot
from model2vec_numba.tokenization.models.bpe.merging import NO_RANK, find_merge, merge_symbols

__all__ = ["IN_ORDER", "LEFT", "LENGTH", "PREFIX", "RANK", "RIGHT", "is_stable_pair", "stays_apart"]

# The columns of `BpeVocabulary.token_rows`.
LEFT, RIGHT, RANK, PREFIX, LENGTH, IN_ORDER = range(6)
_NO_LIMIT = np.int64(1) << 40


@inner
def is_stable_pair(
    left: int,
    right: int,
    merges: NDArray[np.int64],
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
    merges: NDArray[np.int64],
    token_rows: NDArray[np.int32],
    symbols: NDArray[np.int32],
    links: NDArray[np.int32],
    heap: NDArray[np.int64],
) -> bool:
    """Return whether a pair of reachable tokens is stable, by merging their text."""
    # The number of bytes decides where the right part of a token is written. When `i` comes there, it is split too.
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
    return merge_symbols(symbols, count, merges, links, heap) == 2 and symbols[0] == left and symbols[1] == right


@inner
def stays_apart(left: int, right: int, limit: int, merges: NDArray[np.int64], token_rows: NDArray[np.int32]) -> bool:
    """Return whether nothing joins two tokens that meet, before a merge of rank `limit` or later does. Both tokens must be in order.

    Undo the merges of the two tokens, the last merge first. After each step, two parts meet at the boundary. They would have been joined if they have
    a merge that comes before the merge that was undone: one of lower rank, or one of the same rank more to the left.
    """
    while True:
        found = find_merge(merges, left, right)
        if found >= 0 and found >> 32 < limit:
            return False
        left_rank, right_rank = np.int64(token_rows[left, RANK]), np.int64(token_rows[right, RANK])
        if left_rank > right_rank:
            limit = left_rank
            left = token_rows[left, RIGHT]
        elif right_rank != NO_RANK:
            # A merge of the same rank on the right comes later.
            limit = right_rank + 1
            right = token_rows[right, LEFT]
        else:
            return True
