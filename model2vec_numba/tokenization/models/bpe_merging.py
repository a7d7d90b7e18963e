"""BPE's merges as the library does them: of all adjacent pairs the one of the lowest rank first, of equals the leftmost, until none is left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import inner
from model2vec_numba.tokenization.wordpiece_vocabulary import first_slot, next_slot

__all__ = ["HEAP_ROOM", "NO_RANK", "find_pair", "merge_few", "merge_symbols"]

NO_RANK = -1
# A merge removes one pair and makes two, so a word of n symbols has fewer than 3 n entries in the heap in all.
HEAP_ROOM = 3

_NEXT, _BEFORE, _RANK = 0, 1, 2
_NO_MERGE = np.iinfo(np.int64).max


@inner
def find_pair(pairs: NDArray[np.int64], left: int, right: int) -> int:
    """``rank << 32 | id`` of the merge of two tokens; -1 if there is none."""
    key = (np.int64(left) << 32 | np.int64(right)) + 1
    slot = first_slot(np.uint64(key), np.uint64(0), len(pairs))
    while pairs[slot, 0] != 0 and pairs[slot, 0] != key:
        slot = next_slot(slot, len(pairs))
    return pairs[slot, 1] if pairs[slot, 0] == key else -1


@inner
def merge_symbols(
    symbols: NDArray[np.int32], count: int, pairs: NDArray[np.int64], links: NDArray[np.int32], heap: NDArray[np.int64]
) -> tuple[int, int, int, int]:
    """Merge ``symbols[:count]``, in place.

    Args:
        symbols: the ids.
        count: their number.
        pairs: see `BpeVocabulary`.
        links: int32, shape (count, 3) at least, scratch.
        heap: int64, shape (HEAP_ROOM * count,) at least, scratch.

    Returns:
        How many are left, and the last merge: left id, right id and rank, each `NO_RANK` if nothing was merged.
    """
    size = 0
    for i in range(count):
        links[i, _NEXT] = i + 1
        links[i, _BEFORE] = i - 1
        size = _set_rank(symbols, i, i + 1, count, pairs, links, heap, size)
    left = right = rank = NO_RANK
    while size > 0:
        top = heap[0]
        size -= 1
        _sift_down(heap, size, heap[size])
        i = top & 0xFFFFFFFF
        # An entry of a pair that is no more. The library has an entry with a pair that makes the same token count too; but as long as an id is
        # one token's only, and no token is empty, a pair at the same place is longer once it is another.
        if links[i, _RANK] != top >> 32:
            continue
        k = links[i, _NEXT]
        left, right, rank = symbols[i], symbols[k], links[i, _RANK]
        symbols[i] = find_pair(pairs, left, right) & 0xFFFFFFFF
        links[k, _RANK] = NO_RANK
        after = links[k, _NEXT]
        links[i, _NEXT] = after
        if after < count:
            links[after, _BEFORE] = i
        size = _set_rank(symbols, i, after, count, pairs, links, heap, size)
        before = links[i, _BEFORE]
        if before >= 0:
            size = _set_rank(symbols, before, i, count, pairs, links, heap, size)
    kept = 0
    i = 0
    while i < count:
        symbols[kept] = symbols[i]
        kept += 1
        i = links[i, _NEXT]
    return kept, left, right, rank


@inner
def _set_rank(
    symbols: NDArray[np.int32], i: int, k: int, count: int, pairs: NDArray[np.int64], links: NDArray[np.int32], heap: NDArray[np.int64], size: int
) -> int:
    """Look up the pair of the symbols at `i` and `k`, its neighbour; a merge is put on the heap. Returns the heap's size."""
    found = -1
    if k < count:
        found = find_pair(pairs, symbols[i], symbols[k])
    # NO_RANK if there is none.
    links[i, _RANK] = found >> 32
    if found >= 0:
        entry = (found >> 32) << 32 | i
        hole = size
        while hole > 0 and heap[(hole - 1) >> 1] > entry:
            heap[hole] = heap[(hole - 1) >> 1]
            hole = (hole - 1) >> 1
        heap[hole] = entry
        size += 1
    return size


@inner
def _sift_down(heap: NDArray[np.int64], size: int, entry: int) -> None:
    """Put an entry at the top of a heap of `size` entries, and down to where it belongs."""
    hole = 0
    while 2 * hole + 1 < size:
        child = 2 * hole + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= entry:
            break
        heap[hole] = heap[child]
        hole = child
    heap[hole] = entry


@inner
def merge_few(symbols: NDArray[np.int32], count: int, pairs: NDArray[np.int64], found: NDArray[np.int64]) -> int:
    """Merge ``symbols[:count]``, in place, and return how many are left: like `merge_symbols`, but looks through all pairs for each merge.

    That is done in vectors. For a word of 40 symbols it takes half the time of the heap; but the time grows with the square of their number.

    Args:
        symbols: the ids.
        count: their number.
        pairs: see `BpeVocabulary`.
        found: int64, shape (count,) at least, scratch.
    """
    for i in range(count - 1):
        found[i] = _merge_of(symbols, i, pairs)
    while count > 1:
        best = np.int64(_NO_MERGE)
        for i in range(count - 1):
            best = min(best, found[i])
        if best == _NO_MERGE:
            break
        # Equal ones are the same merge, so this is the leftmost.
        i = 0
        while found[i] != best:
            i += 1
        symbols[i] = best & 0xFFFFFFFF
        count -= 1
        for k in range(i + 1, count):
            symbols[k] = symbols[k + 1]
        for k in range(i + 1, count - 1):
            found[k] = found[k + 1]
        if i > 0:
            found[i - 1] = _merge_of(symbols, i - 1, pairs)
        if i + 1 < count:
            found[i] = _merge_of(symbols, i, pairs)
    return count


@inner
def _merge_of(symbols: NDArray[np.int32], i: int, pairs: NDArray[np.int64]) -> int:
    """The merge of the symbols at `i` and after it, as from `find_pair`; `_NO_MERGE` if there is none."""
    found = find_pair(pairs, symbols[i], symbols[i + 1])
    return found if found >= 0 else np.int64(_NO_MERGE)
