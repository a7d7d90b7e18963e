"""Tokenise a word by BPE without merging it: search for the only sequence of tokens that merging can give.

This is the algorithm of GitHub's Rust crate `bpe`, for merges in any order. The module `pairs` defines *reachable* tokens and *stable* pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner
from model2vec_numba.tokenization.lookup.double_array import ROOT, TERMINAL, step
from model2vec_numba.tokenization.models.bpe.merge_table import MergeTable
from model2vec_numba.tokenization.models.bpe.pairs import LENGTH, PREFIX, is_stable_pair

__all__ = ["backtrack"]


@inner
def backtrack(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_reachable_ids: NDArray[np.int32],
    merges: MergeTable,
    token_rows: NDArray[np.int32],
    pair_cache: NDArray[np.uint64],
    dead: NDArray[np.uint8],
    symbols: NDArray[np.int32],
    links: NDArray[np.int32],
    heap: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the ids of the word ``data[begin:end]`` to ``ids[at:]`` and return where they end; -1 if the word has an unknown character.

    A sequence of tokens is the result of merging if each token is reachable, and if any two neighbours are a stable pair. (Otherwise there would be a
    first merge across a boundary, and it would also occur in the text of the two tokens there.) There is only one such sequence. The search goes from
    left to right, tries the longest token first, and goes back if no token fits. The sequence of tokens up to a position is unique too. So a position
    from which the search failed once is marked as a dead end. The time grows with the length of the word, not with its square.

    Args:
        units, node_reachable_ids, token_rows: see `BpeVocabulary`.
        merges: see `build_merge_table`.
        pair_cache: uint64, shape (a power of two,): a cache of the answers for pairs of tokens. It begins as zeros, and this function fills it.
        dead: uint8, all zeros, one more element than the word has bytes: memory for the dead ends. It is all zeros again after the call.
        symbols, links, heap: memory to work in, for as many symbols as the word has bytes; see `merge_by_heap`.
    """
    i = begin
    n = at
    marked = False
    token = _longest_token(data, i, end, units, node_reachable_ids)
    while token >= 0:
        stop = i + token_rows[token, LENGTH]
        while dead[stop - begin] or (n > at and not is_stable_pair(ids[n - 1], token, merges, token_rows, pair_cache, symbols, links, heap)):
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
        node, unit = step(units, unit, data[i])
        if node == ROOT:
            break
        if unit & TERMINAL:
            token = np.int64(node_reachable_ids[node])
            longest = token if token >= 0 else longest
        i += 1
    return longest
