"""WordPiece's vocabulary as a trie, and how words are found in it and split into tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.jit.decorators import inner, inner_always
from model2vec_numba.tokenization.lookup.double_array import BASE_SHIFT, BYTE_MASK, ID_MASK, ID_SHIFT, ROOT, TERMINAL, build_units, descend, unit_of

__all__ = ["ABSENT", "build_vocabulary", "find_word", "holds_nul", "split_word"]

ABSENT = np.int64(-1)


def holds_nul(tokens: TextBatch) -> bool:
    """Return whether a token holds a NUL."""
    return not np.all(tokens.data[: tokens.offsets[-1]])


def build_vocabulary(tokens: TextBatch, ids: NDArray[np.int32], prefix: bytes) -> NDArray[np.uint64]:
    """Return the units of a trie of tokens, and the unit of the prefix after them; see `DoubleArray`.

    Args:
        tokens: the tokens, none of which holds a NUL.
        ids: their ids, at most `LARGEST_TRIE_ID`.
        prefix: tokens that begin with it continue a word.
    """
    units = build_units(tokens, ids)
    return np.append(units, unit_of(units, prefix))


@inner
def find_word(trie: NDArray[np.uint64], data: NDArray[np.uint8], begin: int, end: int) -> int:
    """Return the id of the token ``data[begin:end]``; `ABSENT` if there is none. `trie`: see `build_vocabulary`."""
    unit = trie[descend(trie, ROOT, data, begin, end)]
    return np.int64(unit >> ID_SHIFT & ID_MASK) if unit & TERMINAL != 0 else ABSENT


@inner_always
def split_word(
    data: NDArray[np.uint8], first: int, last: int, case: np.uint64, trie: NDArray[np.uint64], unknown_id: int, ids: NDArray[np.int32], at: int
) -> int:
    """Split the word ``data[first:last]`` into tokens, write their ids to ``ids[at:]`` and return where the ids end.

    From left to right, each token is the longest that fits. If no token fits, the whole word is unknown and has no ids.

    Args:
        data, first, last: the word.
        case: bits to set in each byte of the word.
        trie: see `build_vocabulary`. A word's first token is searched from the first unit on, the others from the last unit on.
        unknown_id: an id that is not written, except where the next id will be written.
        ids, at: where to write.
    """
    first_id = at
    begin, end = np.uint64(first), np.uint64(last)
    unit = trie[0]
    while begin < end:
        longest, longest_end = np.uint64(0), begin
        i = begin
        while i < end:
            byte = np.uint64(data[i]) | case
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
