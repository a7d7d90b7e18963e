"""The merges of a BPE model as a perfect hash table: each look-up reads one entry, whether the pair has a merge or not.

A table with linear probing took twice the time. The processor could not predict where its searches end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner_always
from model2vec_numba.jit.simd import leading_zeros

__all__ = ["MAX_MERGES", "NO_RANK", "NO_TOKEN", "MergeTable", "build_merge_table", "find_merge", "find_place"]

# A key is ``left id << 21 | right id``. An entry is ``key << 22 | rank``.
_ID_BITS = np.uint64(21)
_RANK_BITS = np.uint64(22)
_RANK_MASK = np.uint64((1 << 22) - 1)
# No token has this id, so that no pair with it has a merge.
NO_TOKEN = (1 << 21) - 1
MAX_MERGES = 1 << 22
# The rank of a pair that has no merge, or of a token that is not made by a merge. It must be below all ranks.
NO_RANK = -1
# This entry has a key that no merge has.
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_MIX = 0x9E3779B97F4A7C15
# At most this share of the slots is used. With more, it takes long to find the displacements.
_MAX_LOAD = 0.9
_MIN_SLOTS = 16
_SLOTS_PER_BUCKET = 4
_MAX_DISPLACEMENTS = 1 << 16
# The number of multipliers that are tried before the table is made larger. One in three works for 50,000 merges.
_MULTIPLIERS = 16

# The entries, the displacements, the new ids and the multiplier.
MergeTable = tuple[NDArray[np.uint64], NDArray[np.uint16], NDArray[np.int32], np.uint64]


def build_merge_table(merge_list: NDArray[np.int64]) -> MergeTable:
    """Return the table of merges, as arguments for compiled code.

    It has four parts. `entries`, uint64 of shape (a power of two,): an entry is ``left << 43 | right << 22 | rank``. `displacements`, uint16 of shape
    (a power of two,), one for each bucket: the upper bits of the hash choose the bucket, and the sum of the bits below them and of the displacement
    chooses the slot. `new_ids`, int32 of shape (merges,): the id of the token that each merge makes, by its rank. And the multiplier of the hash, an
    odd number.

    Args:
        merge_list: int64, shape (merges, 3): left id, right id and new id, in the order of their ranks. There are at most `MAX_MERGES`, and all ids
            are below `NO_TOKEN`. If a pair is listed twice, the last rank counts.
    """
    slots = _MIN_SLOTS
    while slots * _MAX_LOAD < len(merge_list):
        slots *= 2
    while True:
        for number in range(_MULTIPLIERS):
            multiplier = np.uint64(_MIX * (2 * number + 1) % (1 << 64))
            entries, displacements = np.full(slots, _EMPTY, np.uint64), np.zeros(slots // _SLOTS_PER_BUCKET, np.uint16)
            if _fill(merge_list, multiplier, entries, displacements):
                return entries, displacements, merge_list[:, 2].astype(np.int32), multiplier
        slots *= 2


@inner_always
def _bucket(hash_value: np.uint64, displacements: NDArray[np.uint16]) -> np.uint64:
    """Return the bucket of a hash."""
    return hash_value >> leading_zeros(np.uint64(len(displacements) - 1))


@inner_always
def _slot(hash_value: np.uint64, displacement: np.uint64, entries: NDArray[np.uint64], displacements: NDArray[np.uint16]) -> np.uint64:
    """Return the slot of a hash whose bucket has this displacement."""
    bits = hash_value >> leading_zeros(np.uint64(len(entries) * len(displacements) - 1))
    return (bits + displacement) & np.uint64(len(entries) - 1)


@inner_always
def _find_entry(merges: MergeTable, left: np.uint64, right: np.uint64) -> tuple[np.uint64, bool]:
    """Return the entry where a pair of ids would be, and whether it is there."""
    entries, displacements, _, multiplier = merges
    key = left << _ID_BITS | right
    hash_value = key * multiplier
    entry = entries[_slot(hash_value, np.uint64(displacements[_bucket(hash_value, displacements)]), entries, displacements)]
    return entry, entry >> _RANK_BITS == key


@inner_always
def find_merge(merges: MergeTable, left: int, right: int) -> int:
    """Return the rank of the merge of two tokens; `NO_RANK` if there is none."""
    entry, found = _find_entry(merges, np.uint64(left), np.uint64(right))
    return np.int64(entry & _RANK_MASK) if found else np.int64(NO_RANK)


@inner_always
def find_place(merges: MergeTable, left: np.uint32, right: np.uint32, position: np.uint64) -> np.uint32:
    """Return ``rank << 5 | position`` with the rank of the merge of two tokens; the largest uint32 if there is none."""
    entry, found = _find_entry(merges, np.uint64(left), np.uint64(right))
    return np.uint32((entry & _RANK_MASK) << np.uint64(5) | position) if found else np.uint32(0xFFFFFFFF)


@compiled()
def _fill(merge_list: NDArray[np.int64], multiplier: np.uint64, entries: NDArray[np.uint64], displacements: NDArray[np.uint16]) -> bool:
    """Fill an empty table. Return whether there is a displacement for each bucket.

    The largest buckets come first, when most slots are free.
    """
    buckets = len(displacements)
    begins = np.zeros(buckets + 1, np.int64)
    for rank in range(len(merge_list)):
        key = np.uint64(merge_list[rank, 0]) << _ID_BITS | np.uint64(merge_list[rank, 1])
        begins[np.int64(_bucket(key * multiplier, displacements)) + 1] += 1
    largest = 0
    for bucket in range(buckets):
        largest = max(largest, begins[bucket + 1])
        begins[bucket + 1] += begins[bucket]
    # The entries of each bucket, one bucket after the other.
    sorted_entries = np.empty(len(merge_list), np.uint64)
    ends = begins[:buckets].copy()
    for rank in range(len(merge_list)):
        key = np.uint64(merge_list[rank, 0]) << _ID_BITS | np.uint64(merge_list[rank, 1])
        bucket = np.int64(_bucket(key * multiplier, displacements))
        at = begins[bucket]
        while at < ends[bucket] and sorted_entries[at] >> _RANK_BITS != key:
            # No displacement can part two keys that have the same slot.
            if _slot((sorted_entries[at] >> _RANK_BITS) * multiplier ^ key * multiplier, np.uint64(0), entries, displacements) == np.uint64(0):
                return False
            at += 1
        # If a pair is listed twice, the last rank counts.
        sorted_entries[at] = key << _RANK_BITS | np.uint64(rank)
        ends[bucket] = max(ends[bucket], at + 1)
    places = np.zeros(largest + 2, np.int64)
    for bucket in range(buckets):
        places[largest - (ends[bucket] - begins[bucket]) + 1] += 1
    for size in range(largest + 1):
        places[size + 1] += places[size]
    order = np.empty(buckets, np.int64)
    for bucket in range(buckets):
        size = largest - (ends[bucket] - begins[bucket])
        order[places[size]] = bucket
        places[size] += 1
    for k in range(buckets):
        bucket = order[k]
        first, last = begins[bucket], ends[bucket]
        displacement = 0
        placed = first
        while placed < last and displacement < _MAX_DISPLACEMENTS:
            placed = first
            while placed < last:
                slot = _slot((sorted_entries[placed] >> _RANK_BITS) * multiplier, np.uint64(displacement), entries, displacements)
                if entries[slot] != _EMPTY:
                    break
                entries[slot] = sorted_entries[placed]
                placed += 1
            if placed < last:
                for other in range(first, placed):
                    slot = _slot((sorted_entries[other] >> _RANK_BITS) * multiplier, np.uint64(displacement), entries, displacements)
                    entries[slot] = _EMPTY
                displacement += 1
        if placed < last:
            return False
        displacements[bucket] = displacement
    return True
