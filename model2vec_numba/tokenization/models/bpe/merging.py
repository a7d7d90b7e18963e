"""Merge a word by BPE, as the Hugging Face `tokenizers` library ("the library" in this folder) does.

Among all adjacent pairs of symbols, merge the pair with the lowest rank. If ranks are equal, merge the leftmost pair. Repeat this until no pair has
a merge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner
from model2vec_numba.tokenization.lookup.double_array import ROOT, descend
from model2vec_numba.tokenization.models.bpe.merge_table import NO_RANK, MergeTable, find_merge

__all__ = ["HEAP_FACTOR", "find_symbol", "merge_by_heap", "merge_word", "next_character"]

# A merge removes one pair and adds two, so the heap gets fewer than 3 n entries in all for a word of n symbols.
HEAP_FACTOR = 3

# The columns of `links`, which has a row for each symbol: the positions of the next and the previous symbol that are left, and the rank of the merge
# of the symbol and the next one (`NO_RANK`: they have no merge).
_NEXT, _PREVIOUS, _RANK = 0, 1, 2


@inner
def merge_word(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    is_first: bool,
    is_last: bool,
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    merges: MergeTable,
    from_bytes: bool,
    prefix: NDArray[np.uint8],
    suffix: NDArray[np.uint8],
    fallback_ids: NDArray[np.int32],
    unknown_id: int,
    fuses_unknown: bool,
    symbols: NDArray[np.int32],
    links: NDArray[np.int32],
    heap: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Split a word, or a segment of a word, into symbols and merge them as the library does. Write the ids to ``ids[at:]`` and return where they end.

    Args:
        data, begin, end: the segment is ``data[begin:end]``.
        is_first, is_last: whether the word begins with the segment, and whether it ends with it.
        symbols, links, heap: memory to work in; see `merge_by_heap`.

    The other arguments are those of `tokenize_pre_tokens`.
    """
    count = 0
    pending = False
    i = begin
    while i < end:
        following = next_character(data, i, end, from_bytes)
        token = find_symbol(data, i, following, is_first and i == begin, is_last and following == end, units, node_ids, prefix, suffix)
        if token >= 0:
            if pending:
                symbols[count] = unknown_id
                count += 1
                pending = False
            symbols[count] = token
            count += 1
        elif _has_fallback_ids(data, i, following, fallback_ids):
            # If an unknown character before this one is pending, its id is written later, as in the library.
            for k in range(i, following):
                symbols[count] = fallback_ids[data[k]]
                count += 1
        elif unknown_id >= 0:
            if pending and not fuses_unknown:
                symbols[count] = unknown_id
                count += 1
            pending = True
        i = following
    if pending:
        symbols[count] = unknown_id
        count += 1
    count, _, _, _ = merge_by_heap(symbols, count, merges, links, heap)
    for k in range(count):
        ids[at + k] = symbols[k]
    return at + count


@inner
def next_character(data: NDArray[np.uint8], i: int, end: int, from_bytes: bool) -> int:
    """Return where the character at `i` ends, or the byte at `i` if `from_bytes`. Nothing is read from `end` on."""
    i += 1
    while not from_bytes and i < end and (data[i] & 0xC0) == 0x80:
        i += 1
    return i


@inner
def find_symbol(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    is_first: bool,
    is_last: bool,
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    prefix: NDArray[np.uint8],
    suffix: NDArray[np.uint8],
) -> int:
    """Return the id of the symbol of the character ``data[begin:end]``; -1 if it is no token.

    A symbol has the prefix before the character unless it is the first one of a word, and the suffix after it if it is the last one.
    """
    node = ROOT
    if not is_first and len(prefix) > 0:
        node = descend(units, node, prefix, 0, len(prefix))
        if node == ROOT:
            return -1
    node = descend(units, node, data, begin, end)
    if is_last and len(suffix) > 0 and node != ROOT:
        node = descend(units, node, suffix, 0, len(suffix))
    return np.int64(node_ids[node])


@inner
def _has_fallback_ids(data: NDArray[np.uint8], begin: int, end: int, fallback_ids: NDArray[np.int32]) -> bool:
    """Return whether each byte of a character has a fallback id."""
    for i in range(begin, end):
        if fallback_ids[data[i]] < 0:
            return False
    return True


@inner
def merge_by_heap(
    symbols: NDArray[np.int32], count: int, merges: MergeTable, links: NDArray[np.int32], heap: NDArray[np.int64]
) -> tuple[int, int, int, int]:
    """Merge ``symbols[:count]`` in place, with a heap of the pairs that have a merge.

    An entry of the heap has the rank of a merge in the upper 32 bits, and the position of its left symbol in the lower 32 bits. So the smallest entry
    is the next merge.

    Args:
        symbols: int32, the ids of the symbols.
        count: the number of symbols.
        merges: see `build_merge_table`.
        links: int32, shape (count, 3) at least: memory to work in. `_NEXT`, `_PREVIOUS` and `_RANK` are its columns.
        heap: int64, shape (HEAP_FACTOR * count,) at least: memory to work in.

    Returns:
        The number of symbols after merging, and the last merge, from which the tables of a vocabulary are built: its left id, its right id and its
        rank, or three times `NO_RANK` if nothing was merged.
    """
    _, _, new_ids, _ = merges
    heap_size = 0
    for i in range(count):
        links[i, _NEXT] = i + 1
        links[i, _PREVIOUS] = i - 1
        heap_size = _push_merge(symbols, i, i + 1, count, merges, links, heap, heap_size)
    left = right = rank = NO_RANK
    while heap_size > 0:
        top = heap[0]
        heap_size -= 1
        _sift_down(heap, heap_size, heap[heap_size])
        i = top & 0xFFFFFFFF
        # Skip an entry whose pair no longer exists. The library would still use it if the pair that is now at this place made the same token. This
        # cannot happen: that pair has more bytes, because no token is empty, and ids are unique, so it makes another token.
        if links[i, _RANK] != top >> 32:
            continue
        k = links[i, _NEXT]
        left, right, rank = symbols[i], symbols[k], links[i, _RANK]
        symbols[i] = new_ids[rank]
        links[k, _RANK] = NO_RANK
        after = links[k, _NEXT]
        links[i, _NEXT] = after
        if after < count:
            links[after, _PREVIOUS] = i
        heap_size = _push_merge(symbols, i, after, count, merges, links, heap, heap_size)
        before = links[i, _PREVIOUS]
        if before >= 0:
            heap_size = _push_merge(symbols, before, i, count, merges, links, heap, heap_size)
    kept = 0
    i = 0
    while i < count:
        symbols[kept] = symbols[i]
        kept += 1
        i = links[i, _NEXT]
    return kept, left, right, rank


@inner
def _push_merge(
    symbols: NDArray[np.int32],
    i: int,
    k: int,
    count: int,
    merges: MergeTable,
    links: NDArray[np.int32],
    heap: NDArray[np.int64],
    heap_size: int,
) -> int:
    """Write the rank of the pair of the symbols at `i` and `k`, its right neighbour, to `links`. If the pair has a merge, push it onto the heap.

    Return the number of entries of the heap.
    """
    rank = np.int64(NO_RANK)
    if k < count:
        rank = find_merge(merges, symbols[i], symbols[k])
    links[i, _RANK] = rank
    if rank != NO_RANK:
        entry = rank << 32 | i
        hole = heap_size
        while hole > 0 and heap[(hole - 1) >> 1] > entry:
            heap[hole] = heap[(hole - 1) >> 1]
            hole = (hole - 1) >> 1
        heap[hole] = entry
        heap_size += 1
    return heap_size


@inner
def _sift_down(heap: NDArray[np.int64], heap_size: int, entry: int) -> None:
    """Replace the top of a heap of `heap_size` entries by `entry`, and move it down to the right place."""
    hole = 0
    while 2 * hole + 1 < heap_size:
        child = 2 * hole + 1
        if child + 1 < heap_size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= entry:
            break
        heap[hole] = heap[child]
        hole = child
    heap[hole] = entry
