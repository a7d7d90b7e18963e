"""A trie over bytes, stored as a double array. Finding the child of a node takes one load from memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.jit.decorators import compiled, inner

__all__ = ["ROOT", "TERMINAL", "DoubleArray", "build_double_array", "descend", "step"]

# Nodes are unsigned, because numba then omits the check for negative indices.
ROOT = np.uint64(0)
# The bit of a unit that is set if a string ends at the node.
TERMINAL = np.uint64(1 << 32)
# If a node with several children had to try more free places than this, the searches for later nodes begin at a later place.
_MAX_TRIES = 16
# At most this many strings are sorted by insertion; more are sorted by counting.
_INSERTION_SORT_MAX = 12


class DoubleArray(NamedTuple):
    """A map from strings of bytes to ids.

    Attributes:
        units: uint64, shape (nodes,): ``base << 33 | ends << 32 | parent + 1`` for each node. `base` is at most ``nodes - 256``. `ends` is 1 if a
            string ends at the node (`TERMINAL`). `parent` is the number of the node's parent. The child of node ``n`` for byte ``b`` is node
            ``base(n) + b``, if the parent of that node is ``n``.
        ids: int32, shape (nodes,): the id of the string that ends at a node, or -1.
    """

    units: NDArray[np.uint64]
    ids: NDArray[np.int32]


def build_double_array(tokens: TextBatch) -> DoubleArray:
    """Return the trie of tokens. The id of a token is its index. If tokens are equal, the last index counts. Empty tokens are left out."""
    nodes = len(tokens.data) + 1
    # Most nodes have one child. They fill the gaps that nodes with several children leave.
    capacity = nodes + nodes // 4 + 1024
    while True:
        units, ids = np.zeros(capacity, np.uint64), np.full(capacity, -1, np.int32)
        size = fill_double_array(tokens.data, tokens.offsets, units, ids)
        if size >= 0:
            return DoubleArray(units[:size].copy(), ids[:size].copy())
        capacity *= 2


@inner
def step(units: NDArray[np.uint64], node: np.uint64, unit: np.uint64, byte: np.uint8) -> tuple[np.uint64, np.uint64]:
    """Return the child of a node for a byte, and the child's unit. The child is `ROOT` if there is none. `unit`: the unit of the node."""
    child = (unit >> np.uint64(33)) + np.uint64(byte)
    child_unit = units[child]
    if (child_unit & np.uint64(0xFFFFFFFF)) == node + np.uint64(1):
        return child, child_unit
    return ROOT, child_unit


@inner
def descend(units: NDArray[np.uint64], node: np.uint64, data: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    """Follow the bytes ``data[begin:end]`` from a node, and return the node where they end; `ROOT` if there is none."""
    unit = units[node]
    for i in range(begin, end):
        node, unit = step(units, node, unit, data[i])
        if node == ROOT:
            break
    return node


@compiled()
def fill_double_array(data: NDArray[np.uint8], offsets: NDArray[np.int64], units: NDArray[np.uint64], ids: NDArray[np.int32]) -> int:
    """Build the trie of strings. Return the number of nodes that the arrays need, or -1 if the arrays are too short.

    Nodes are placed level by level. So the nodes near the root, which every look-up visits, are close together in memory. The nodes that belong to
    a single string are placed as a chain, one after the other.

    Args:
        data, offsets: string ``i`` is ``data[offsets[i]:offsets[i + 1]]``. Its id is ``i``. Empty strings are left out.
        units: uint64, output: see `DoubleArray`. It must be all zeros. A place with a zero is free.
        ids: int32, as long as `units`, output: see `DoubleArray`. It must be all -1.
    """
    capacity = len(units)
    count = len(offsets) - 1
    order = np.empty(count, np.int32)
    non_empty = 0
    for token in range(count):
        if offsets[token + 1] > offsets[token]:
            order[non_empty] = token
            non_empty += 1
    scratch = np.empty(non_empty, np.int32)
    # A ring of the free places, in ascending order. It begins and ends at place 0, which is the root's and is never free.
    next_free = np.empty(capacity + 1, np.int32)
    previous_free = np.empty(capacity + 1, np.int32)
    for place in range(capacity):
        next_free[place] = place + 1
        previous_free[place + 1] = place
    next_free[capacity - 1] = 0
    previous_free[0] = capacity - 1
    # A base is followed by 256 places, one for each byte, so that `step` stays inside the arrays.
    end = 256
    cursor = np.int64(1)  # where the search for the places of several children begins
    # A queue of nodes whose children have no places yet. The strings of a node are ``order[low:high]``, and they share their first `depth` bytes.
    # No string belongs to two nodes of the queue, so the queue is never longer than the number of strings.
    queue_size = non_empty + 1
    lows, highs = np.empty(queue_size, np.int32), np.empty(queue_size, np.int32)
    depths, nodes = np.empty(queue_size, np.int32), np.empty(queue_size, np.int32)
    lows[0], highs[0], depths[0], nodes[0] = 0, non_empty, 0, 0
    head, tail, queued = 0, 1 % queue_size, 1
    counts = np.zeros(257, np.int64)
    child_bytes = np.empty(256, np.int64)
    while queued > 0:
        low, high, depth, node = np.int64(lows[head]), np.int64(highs[head]), np.int64(depths[head]), np.int64(nodes[head])
        head = (head + 1) % queue_size
        queued -= 1
        # Remove the strings that end at this node.
        kept_end = low
        for k in range(low, high):
            token = order[k]
            if offsets[token + 1] - offsets[token] == depth:
                # Of equal strings, the last one counts.
                ids[node] = max(ids[node], token)
                units[node] |= TERMINAL
            else:
                order[kept_end] = token
                kept_end += 1
        high = kept_end
        if low == high:
            continue
        if high - low == 1:
            # Only one string is left: each further node has one child.
            token = order[low]
            for at in range(offsets[token] + depth, offsets[token + 1]):
                byte = np.int64(data[at])
                place = np.int64(next_free[0])
                while place != 0 and place < byte:
                    place = np.int64(next_free[place])
                if place == 0 or place - byte + 256 > capacity:
                    return -1
                end = max(end, place - byte + 256)
                if place == cursor:
                    cursor = np.int64(next_free[place])
                _remove_free(next_free, previous_free, place)
                units[node] |= np.uint64(place - byte) << np.uint64(33)
                units[place] = np.uint64(node + 1)
                node = place
            ids[node] = token
            units[node] |= TERMINAL
            continue
        # Sort the strings by their next byte.
        if high - low <= _INSERTION_SORT_MAX:
            for k in range(low + 1, high):
                token = order[k]
                byte = data[offsets[token] + depth]
                j = k
                while j > low and data[offsets[order[j - 1]] + depth] > byte:
                    order[j] = order[j - 1]
                    j -= 1
                order[j] = token
        else:
            counts[:] = 0
            for k in range(low, high):
                counts[np.int64(data[offsets[order[k]] + depth]) + 1] += 1
            for byte in range(256):
                counts[byte + 1] += counts[byte]
            for k in range(low, high):
                token = order[k]
                byte = np.int64(data[offsets[token] + depth])
                scratch[low + counts[byte]] = token
                counts[byte] += 1
            for k in range(low, high):
                order[k] = scratch[k]
        children = 0
        for k in range(low, high):
            byte = np.int64(data[offsets[order[k]] + depth])
            if children == 0 or child_bytes[children - 1] != byte:
                child_bytes[children] = byte
                children += 1
        base, cursor = _find_base(units, next_free, child_bytes, children, capacity, cursor)
        if base < 0:
            return -1
        end = max(end, base + 256)
        units[node] |= np.uint64(base) << np.uint64(33)
        k = low
        for child in range(children):
            place = base + child_bytes[child]
            if place == cursor:
                cursor = np.int64(next_free[place])
            _remove_free(next_free, previous_free, place)
            units[place] = np.uint64(node + 1)
            first = k
            while k < high and np.int64(data[offsets[order[k]] + depth]) == child_bytes[child]:
                k += 1
            lows[tail], highs[tail], depths[tail], nodes[tail] = first, k, depth + 1, place
            tail = (tail + 1) % queue_size
            queued += 1
    return end


@inner
def _remove_free(next_free: NDArray[np.int32], previous_free: NDArray[np.int32], place: int) -> None:
    """Remove a place from the ring of free places."""
    next_free[previous_free[place]] = next_free[place]
    previous_free[next_free[place]] = previous_free[place]


@inner
def _find_base(
    units: NDArray[np.uint64], next_free: NDArray[np.int32], child_bytes: NDArray[np.int64], children: int, capacity: int, cursor: int
) -> tuple[int, int]:
    """Return a base for which the places of all children are free, and the place where the next search begins. -1 as base: the arrays are too short.

    `child_bytes` holds the bytes of the `children` children in ascending order. The search begins at the free place `cursor`.
    """
    place = cursor
    tries = 0
    base = -1
    while place != 0 and base < 0:
        base = place - child_bytes[0]
        if base + 256 > capacity:
            return -1, cursor
        for child in range(1, children):
            if base < 0 or units[base + child_bytes[child]] != 0:
                base = -1
                break
        tries += 1
        if tries > _MAX_TRIES:
            cursor = np.int64(next_free[cursor])
        place = np.int64(next_free[place])
    return base, cursor
