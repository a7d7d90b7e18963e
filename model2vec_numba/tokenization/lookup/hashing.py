"""Hash functions and open addressing for the tables that kernels search."""

from __future__ import annotations

import numpy as np

from model2vec_numba.jit.decorators import inner, inner_always

__all__ = ["first_slot", "hash_key", "next_slot", "slots_for", "word_key"]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_MIX_THIRD = np.uint64(0x165667B19E3779F9)
_MIX_FOURTH = np.uint64(0x27D4EB2F165667C5)


def slots_for(entries: int) -> int:
    """Return a number of slots, a power of two, of which at least half stay empty."""
    return 1 << max(4, (2 * entries).bit_length())


@inner
def first_slot(first: np.uint64, second: np.uint64, slots: int) -> np.uint64:
    """Return the slot where the search for a key of 16 bytes, two uint64, begins. `slots`: the length of the table, a power of two."""
    # Slots are unsigned, here and below, because numba then omits the check for negative indices.
    return hash_key(word_key(first, second)) & np.uint64(slots - 1)


@inner
def next_slot(slot: np.uint64, slots: int) -> np.uint64:
    """Return the slot to look at after `slot`."""
    return (slot + np.uint64(1)) & np.uint64(slots - 1)


@inner_always
def word_key(head: np.uint64, tail: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return the key of a text of at most 16 bytes, given as two uint64 padded with NULs. `load_key` returns the key of a longer text."""
    return head, tail, np.uint64(0), np.uint64(0)


@inner_always
def hash_key(key: tuple[np.uint64, np.uint64, np.uint64, np.uint64]) -> np.uint64:
    """Return the hash of a key of 32 bytes: 32 bits."""
    mixed = key[0] ^ (key[1] * _MIX_SECOND) ^ (key[2] * _MIX_THIRD) ^ (key[3] * _MIX_FOURTH)
    # Without this shift, the last of eight bytes would not change the lower bits of the hash, which choose the slot.
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX
    return mixed >> np.uint64(32)
