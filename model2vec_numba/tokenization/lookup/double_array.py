"""A trie over bytes, stored as a double array. Finding the child of a node takes one load from memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.jit.decorators import compiled, inner, inner_always
from model2vec_numba.jit.simd import trailing_zeros

__all__ = [
    "BASE_SHIFT",
    "BYTE_MASK",
    "ID_MASK",
    "ID_SHIFT",
    "LARGEST_TRIE_ID",
    "ROOT",
    "TERMINAL",
    "DoubleArray",
    "build_double_array",
    "build_units",
    "descend",
    "step",
    "unit_of",
]

# Nodes are unsigned, because numba then omits the check for negative indices.
ROOT = np.uint64(0)
# The parts of a unit; see `DoubleArray`. The byte comes first, because processors compare the lowest byte in one step.
BYTE_MASK = np.uint64(0xFF)
TERMINAL = np.uint64(0x100)
ID_SHIFT, ID_MASK = np.uint64(9), np.uint64((1 << 26) - 1)
BASE_SHIFT = np.uint64(35)
LARGEST_TRIE_ID = (1 << 26) - 1
# No node has a child at place 0, the root's: the base 0 means that a node has no children, and this is not the byte 0.
_ROOT_BYTE = np.uint64(0xFF)
# A base or a place is a bit of an array of uint64. Bases are searched in blocks of 64. If a search looked at more blocks than this, later searches
# begin at a later block: with 8, building took a sixth longer and saved a thousandth of the memory.
_MAX_BLOCKS = 2
# The children of the last base of a block are in the block and in these further ones.
_BLOCKS_OF_CHILDREN = 5
# At most this many strings are sorted by insertion; more are sorted by counting.
_INSERTION_SORT_MAX = 12
_KEY_BYTES = 8
_ONE, _ALL = np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)


class DoubleArray(NamedTuple):
    """A map from strings of bytes to ids.

    Attributes:
        units: uint64, shape (nodes,): ``base << 35 | id << 9 | ends << 8 | byte`` for each node. `base` is at most ``nodes - 256``. It is 0 if the
            node has no children, and no two other nodes have the same base. `ends` is 1 if a string ends at the node (`TERMINAL`), and `id` is its
            id. `byte` leads to the node from its parent. The child of a node with base ``n`` for byte ``b`` is node ``n + b``, if ``b`` is the byte
            of that node. A place without a node is 0. So a node may have a child for byte 0 to which no string leads.
        ids: int32, shape (nodes,): the id of the string that ends at a node, or -1.
    """

    units: NDArray[np.uint64]
    ids: NDArray[np.int32]


def build_double_array(tokens: TextBatch) -> DoubleArray:
    """Return the trie of tokens. The id of a token is its index. If tokens are equal, the last index counts. Empty tokens are left out."""
    units = build_units(tokens, np.arange(len(tokens), dtype=np.int32))
    return DoubleArray(units, np.where(units & TERMINAL != 0, (units >> ID_SHIFT & ID_MASK).astype(np.int32), np.int32(-1)))


def build_units(tokens: TextBatch, ids: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Return `DoubleArray.units` for tokens with these ids, from 0 to `LARGEST_TRIE_ID`. If tokens are equal, the id of the last one counts."""
    # Tokens share about half of their nodes, and nearly all places are used.
    capacity = len(tokens.data) // 2 + 4096
    while True:
        units = np.empty(capacity, np.uint64)
        size = fill_double_array(tokens.data, tokens.offsets, ids, units)
        if size >= 0:
            return units[:size].copy()
        capacity *= 2


def unit_of(units: NDArray[np.uint64], text: bytes) -> np.uint64:
    """Return the unit of the node where a text ends. If there is none, return a unit without children."""
    unit = units[ROOT]
    for byte in text:
        unit = units[(unit >> BASE_SHIFT) + np.uint64(byte)]
        if unit & BYTE_MASK != byte:
            return np.uint64(0)
    return unit


@inner
def step(units: NDArray[np.uint64], unit: np.uint64, byte: np.uint8) -> tuple[np.uint64, np.uint64]:
    """Return the child of a node for a byte, and the child's unit. The child is `ROOT` if there is none. `unit`: the unit of the node."""
    child = (unit >> BASE_SHIFT) + np.uint64(byte)
    child_unit = units[child]
    if child_unit & BYTE_MASK == np.uint64(byte):
        return child, child_unit
    return ROOT, child_unit


@inner
def descend(units: NDArray[np.uint64], node: np.uint64, data: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    """Follow the bytes ``data[begin:end]`` from a node, and return the node where they end; `ROOT` if there is none."""
    unit = units[node]
    for i in range(begin, end):
        node, unit = step(units, unit, data[i])
        if node == ROOT:
            break
    return node


@compiled()
def fill_double_array(data: NDArray[np.uint8], offsets: NDArray[np.int64], ids: NDArray[np.int32], units: NDArray[np.uint64]) -> int:
    """Build the trie of strings. Return the number of units that it needs, or -1 if the array is too short.

    Nodes are placed level by level. So the nodes near the root, which every look-up visits, are close together in memory. The nodes that belong to
    a single string are placed as a chain, one after the other.

    Args:
        data, offsets: string ``i`` is ``data[offsets[i]:offsets[i + 1]]``. Empty strings are left out.
        ids: the id of each string. If strings are equal, the last one counts.
        units: uint64, output: see `DoubleArray`.
    """
    units[:] = 0
    units[0] = _ROOT_BYTE
    # Bit ``k`` is set if place or base ``k`` is free. Place 0 is the root's, and base 0 means that a node has no children.
    blocks = max(len(units) // 64 - _BLOCKS_OF_CHILDREN, 0)
    free_places, free_bases = np.zeros(len(units) // 64 + 1, np.uint64), np.zeros(len(units) // 64 + 1, np.uint64)
    free_places[: blocks + _BLOCKS_OF_CHILDREN] = _ALL
    free_bases[:blocks] = _ALL
    free_places[0], free_bases[0] = free_places[0] & ~_ONE, free_bases[0] & ~_ONE
    # Where the searches for the bases of nodes with one string and of other nodes begin.
    chain_block = block = np.int64(0)
    size = 256
    # The strings that are not empty, their lengths, and the eight bytes of each that are being sorted. The first byte is the highest. Reading
    # the bytes of the strings for each level took longer.
    count = len(offsets) - 1
    order, lengths, keys = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.uint64)
    strings = 0
    for string in range(count):
        if offsets[string + 1] > offsets[string]:
            order[strings], lengths[strings] = string, offsets[string + 1] - offsets[string]
            strings += 1
    other_order, other_lengths, other_keys = np.empty(strings, np.int32), np.empty(strings, np.int32), np.empty(strings, np.uint64)
    # A queue of nodes whose children have no places yet. The strings of a node are ``order[low:high]``, and they share their first `depth` bytes.
    # No string belongs to two nodes of the queue, so the queue is never longer than the number of strings.
    queue_size = strings + 1
    lows, highs = np.empty(queue_size, np.int32), np.empty(queue_size, np.int32)
    depths, nodes = np.empty(queue_size, np.int32), np.empty(queue_size, np.int32)
    lows[0], highs[0], depths[0], nodes[0] = 0, strings, 0, 0
    head, tail, queued = 0, 1 % queue_size, 1
    firsts, child_bytes = np.empty(257, np.int64), np.empty(256, np.int64)
    while queued > 0:
        low, high, depth, node = np.int64(lows[head]), np.int64(highs[head]), np.int64(depths[head]), np.int64(nodes[head])
        head = head + 1 if head + 1 < queue_size else 0
        queued -= 1
        # Remove the strings that end at this node.
        kept = low
        for k in range(low, high):
            if lengths[k] == depth:
                units[node] = units[node] & BYTE_MASK | _terminal(ids[order[k]])
            else:
                order[kept], lengths[kept], keys[kept] = order[k], lengths[k], keys[k]
                kept += 1
        high = kept
        if low == high:
            continue
        if high - low == 1:
            # Only one string is left: each further node has one child.
            string = np.int64(order[low])
            for at in range(offsets[string] + depth, offsets[string + 1]):
                byte = np.int64(data[at])
                base, last_block = _find_base_of_one(free_places, free_bases, byte, chain_block, blocks)
                if base < 0:
                    return -1
                chain_block += last_block - chain_block >= _MAX_BLOCKS
                size = max(size, base + 256)
                _clear_bit(free_bases, base)
                units[node] |= np.uint64(base) << BASE_SHIFT
                node = base + byte
                _clear_bit(free_places, node)
                units[node] = np.uint64(byte)
            units[node] |= _terminal(ids[string])
            continue
        if depth % _KEY_BYTES == 0:
            for k in range(low, high):
                begin = offsets[order[k]] + depth
                keys[k] = _load_key(data, begin, min(begin + _KEY_BYTES, offsets[order[k] + 1]))
        shift = np.uint64(8 * (_KEY_BYTES - 1 - depth % _KEY_BYTES))
        if high - low <= _INSERTION_SORT_MAX:
            _sort_by_insertion(order, lengths, keys, low, high)
        else:
            _sort_by_counting(order, lengths, keys, low, high, shift, firsts, other_order, other_lengths, other_keys)
        children = 0
        previous = np.int64(-1)
        for k in range(low, high):
            byte = np.int64(keys[k] >> shift & BYTE_MASK)
            if byte != previous:
                child_bytes[children], firsts[children] = byte, k
                children += 1
                previous = byte
        firsts[children] = high
        if children == 1:
            base, last_block = _find_base_of_one(free_places, free_bases, previous, block, blocks)
        else:
            base, last_block = _find_base(free_places, free_bases, child_bytes, children, block, blocks)
        if base < 0:
            return -1
        block += last_block - block >= _MAX_BLOCKS
        size = max(size, base + 256)
        _clear_bit(free_bases, base)
        units[node] |= np.uint64(base) << BASE_SHIFT
        for child in range(children):
            place = base + child_bytes[child]
            _clear_bit(free_places, place)
            units[place] = np.uint64(child_bytes[child])
            lows[tail], highs[tail], depths[tail], nodes[tail] = firsts[child], firsts[child + 1], depth + 1, place
            tail = tail + 1 if tail + 1 < queue_size else 0
        queued += children
    return size


@inner_always
def _terminal(string_id: int) -> np.uint64:
    """Return the bits of a unit that say that the string with this id ends at the node."""
    return np.uint64(string_id) << ID_SHIFT | TERMINAL


@inner
def _load_key(data: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    """Return the bytes ``data[begin:end]``, at most 8, as a uint64. The first byte is the highest, and bytes that are missing are NULs."""
    key = np.uint64(0)
    shift = np.uint64(64)
    for at in range(begin, end):
        shift -= np.uint64(8)
        key |= np.uint64(data[at]) << shift
    return key


@inner
def _sort_by_insertion(order: NDArray[np.int32], lengths: NDArray[np.int32], keys: NDArray[np.uint64], low: int, high: int) -> None:
    """Sort the strings `low` to ``high - 1`` by their keys. Strings with equal keys stay in their order."""
    for k in range(low + 1, high):
        string, length, key = order[k], lengths[k], keys[k]
        j = k
        while j > low and keys[j - 1] > key:
            order[j], lengths[j], keys[j] = order[j - 1], lengths[j - 1], keys[j - 1]
            j -= 1
        order[j], lengths[j], keys[j] = string, length, key


@inner
def _sort_by_counting(
    order: NDArray[np.int32],
    lengths: NDArray[np.int32],
    keys: NDArray[np.uint64],
    low: int,
    high: int,
    shift: np.uint64,
    places: NDArray[np.int64],
    other_order: NDArray[np.int32],
    other_lengths: NDArray[np.int32],
    other_keys: NDArray[np.uint64],
) -> None:
    """Sort the strings `low` to ``high - 1`` by the byte ``key >> shift & 0xFF``. Strings with equal bytes stay in their order.

    `places` has at least 256 elements. It and the other arrays are memory to work in.
    """
    for byte in range(256):
        places[byte] = 0
    for k in range(low, high):
        places[keys[k] >> shift & BYTE_MASK] += 1
    place = low
    for byte in range(256):
        count = places[byte]
        places[byte] = place
        place += count
    for k in range(low, high):
        byte_of_key = keys[k] >> shift & BYTE_MASK
        place = places[byte_of_key]
        other_order[place], other_lengths[place], other_keys[place] = order[k], lengths[k], keys[k]
        places[byte_of_key] = place + 1
    for k in range(low, high):
        order[k], lengths[k], keys[k] = other_order[k], other_lengths[k], other_keys[k]


@inner
def _clear_bit(bits: NDArray[np.uint64], index: int) -> None:
    """Clear a bit of an array of uint64."""
    bits[index >> 6] &= ~(_ONE << np.uint64(index & 63))


@inner_always
def _free_children(free_places: NDArray[np.uint64], block: int, byte: int) -> np.uint64:
    """Return a mask: bit ``k`` is set if the child for `byte` of base ``64 * block + k`` is free."""
    word, shift = np.uint64(block) + (np.uint64(byte) >> np.uint64(6)), np.uint64(byte) & np.uint64(63)
    return free_places[word] >> shift | free_places[word + _ONE] << _ONE << (np.uint64(63) - shift)


@inner_always
def _find_base_of_one(free_places: NDArray[np.uint64], free_bases: NDArray[np.uint64], byte: int, first_block: int, blocks: int) -> tuple[int, int]:
    """Return a base like `_find_base`, for a node with one child."""
    for block in range(first_block, blocks):
        found = free_bases[np.uint64(block)] & _free_children(free_places, block, byte)
        if found != 0:
            return 64 * block + trailing_zeros(found), block
    return -1, blocks


@inner
def _find_base(
    free_places: NDArray[np.uint64], free_bases: NDArray[np.uint64], child_bytes: NDArray[np.int64], children: int, first_block: int, blocks: int
) -> tuple[int, int]:
    """Return a free base for which the places of all children are free, and its block. The base is -1 if there is none.

    The search goes through the blocks from `first_block` on. `child_bytes` holds the bytes of the `children` children.
    """
    for block in range(first_block, blocks):
        found = free_bases[np.uint64(block)]
        child = 0
        while child < children and found != 0:
            found &= _free_children(free_places, block, child_bytes[child])
            child += 1
        if found != 0:
            return 64 * block + trailing_zeros(found), block
    return -1, blocks
