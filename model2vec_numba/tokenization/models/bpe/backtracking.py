"""Tokenise a word by BPE without merging it: search for the only sequence of tokens that merging can give.

This is the algorithm of GitHub's Rust crate `bpe`. Tokens are *reachable* and merges *in order* as `tables` defines them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner
from model2vec_numba.tokenization.lookup.double_array import ROOT, TERMINAL, step
from model2vec_numba.tokenization.lookup.hashing import first_slot
from model2vec_numba.tokenization.models.bpe.merging import NO_RANK, find_merge
from model2vec_numba.tokenization.models.bpe.tables import LEFT, LENGTH, PREFIX, RANK, RIGHT

__all__ = ["backtrack"]


@inner
def backtrack(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_reachable_ids: NDArray[np.int32],
    merges: NDArray[np.int64],
    token_rows: NDArray[np.int32],
    pair_cache: NDArray[np.uint64],
    dead: NDArray[np.uint8],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the ids of the word ``data[begin:end]`` to ``ids[at:]`` and return where they end; -1 if the word has an unknown character.

    Merging gives a sequence of tokens if each token is reachable, and if merging the text of any two neighbours gives just these two tokens.
    (Otherwise the first merge across a boundary would also occur in the text of the two tokens there.) Only one sequence is like this. The search
    goes from left to right, tries the longest token first, and goes back if no token fits. A position from which the search failed is marked as a
    dead end, because the sequence of tokens up to a position is unique too. So the time grows with the length of the word, not with its square.

    Args:
        units, node_reachable_ids, merges, token_rows: see `BpeVocabulary`. The merges must be in order.
        pair_cache: uint64, shape (a power of two,): a cache of the answers for pairs of tokens. It begins as zeros, and this function fills it.
        dead: uint8, zeros, one more element than the word has bytes: memory for the dead ends. It is all zeros again after the call.
    """
    i = begin
    n = at
    marked = False
    token = _longest_token(data, i, end, units, node_reachable_ids)
    while token >= 0:
        stop = i + token_rows[token, LENGTH]
        while dead[stop - begin] or (n > at and not _is_stable_pair(ids[n - 1], token, merges, token_rows, pair_cache)):
            token = token_rows[token, PREFIX]
            if token < 0:
                break
            stop = i + token_rows[token, LENGTH]
        if token >= 0:
            ids[n] = token
            n += 1
            i = stop
            if i == end:
                break
            token = _longest_token(data, i, end, units, node_reachable_ids)
        elif n > at:
            dead[i - begin] = 1
            marked = True
            n -= 1
            token = ids[n]
            i -= token_rows[token, LENGTH]
    if marked:
        for k in range(end - begin):
            dead[k] = 0
    return n if i == end else -1


@inner
def _longest_token(data: NDArray[np.uint8], i: int, end: int, units: NDArray[np.uint64], node_reachable_ids: NDArray[np.int32]) -> int:
    """Return the longest reachable token with which ``data[i:end]`` begins; -1 if there is none."""
    longest = -1
    node, unit = ROOT, units[ROOT]
    while i < end:
        node, unit = step(units, node, unit, data[i])
        if node == ROOT:
            break
        if unit & TERMINAL:
            token = np.int64(node_reachable_ids[node])
            longest = token if token >= 0 else longest
        i += 1
    return longest


@inner
def _is_stable_pair(left: int, right: int, merges: NDArray[np.int64], token_rows: NDArray[np.int32], pair_cache: NDArray[np.uint64]) -> bool:
    """Return whether a pair of tokens is stable, from the cache if possible; see `_compute_stable_pair`.

    An entry of the cache is one more than ``left << 32 | right << 1 | answer``. An empty entry is 0.
    """
    key = np.uint64(left) << np.uint64(32) | np.uint64(right) << np.uint64(1)
    slot = first_slot(key, np.uint64(0), len(pair_cache))
    entry = pair_cache[slot] - np.uint64(1)
    if entry >> np.uint64(1) != key >> np.uint64(1):
        entry = key | np.uint64(_compute_stable_pair(left, right, merges, token_rows))
        pair_cache[slot] = entry + np.uint64(1)
    return entry & np.uint64(1) != np.uint64(0)


@inner
def _compute_stable_pair(left: int, right: int, merges: NDArray[np.int64], token_rows: NDArray[np.int32]) -> bool:
    """Return whether merging the text of two reachable tokens gives just these two tokens.

    Undo the merges of the two tokens, the last merge first. After each step, two parts meet at the boundary. The pair is not stable if these parts
    would have been merged before the merge that was undone. This is right if the merges are in order: then merges of lower rank come first, and
    of two merges of the same rank the left one.
    """
    before = np.int64(1) << 40
    stable = True
    while True:
        found = find_merge(merges, left, right)
        if found >= 0 and found >> 32 < before:
            stable = False
            break
        left_rank, right_rank = np.int64(token_rows[left, RANK]), np.int64(token_rows[right, RANK])
        if left_rank > right_rank:
            before = left_rank
            left = token_rows[left, RIGHT]
        elif right_rank != NO_RANK:
            # A merge of the same rank on the right comes later.
            before = right_rank + 1
            right = token_rows[right, LEFT]
        else:
            break
    return stable
