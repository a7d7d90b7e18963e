"""A trie over bytes as a double array: from a node to its child for a byte in one load."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.text import TextBatch

__all__ = ["ENDS", "ROOT", "ByteTrie", "build_trie", "descend", "step"]

# Unsigned: numba then spares the look whether an index counts from the end.
ROOT = np.uint64(0)
# The bit of a unit that says that a string ends there.
ENDS = np.uint64(1 << 32)
# Where a branching node has looked at more free places than this, those that come after it look at fewer of the first ones.
_TRIES = 16
_FEW = 12


class ByteTrie(NamedTuple):
    """Strings with ids.

    Attributes:
        units: uint64, shape (nodes,). The child of node ``n`` for byte ``b`` is node ``base(n) + b``, if that has ``n + 1`` in its bits 0 to 31.
            Bits 33 to 63 of a unit are its base, at most ``nodes - 256``; bit 32 says whether a string ends there.
        ids: int32, shape (nodes,): the id of the string that ends at a node, or -1.
    """

    units: NDArray[np.uint64]
    ids: NDArray[np.int32]


def build_trie(tokens: TextBatch) -> ByteTrie:
    """The trie of tokens, the id of each its place; of equal ones the last counts. Empty tokens are not in it."""
    nodes = len(tokens.data) + 1
    # Most nodes have one child, and those fill the places that the others leave.
    capacity = nodes + nodes // 4 + 1024
    while True:
        units, ids = np.zeros(capacity, np.uint64), np.full(capacity, -1, np.int32)
        size = fill_trie(tokens.data, tokens.offsets, units, ids)
        if size >= 0:
            return ByteTrie(units[:size].copy(), ids[:size].copy())
        capacity *= 2


@inner
def step(units: NDArray[np.uint64], node: np.uint64, unit: np.uint64, byte: np.uint8) -> tuple[np.uint64, np.uint64]:
    """The child of a node, of which `unit` is the unit, for a byte, and its unit; the child is `ROOT` if there is none."""
    child = (unit >> np.uint64(33)) + np.uint64(byte)
    child_unit = units[child]
    if (child_unit & np.uint64(0xFFFFFFFF)) == node + np.uint64(1):
        return child, child_unit
    return ROOT, child_unit


@inner
def descend(units: NDArray[np.uint64], node: np.uint64, data: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    """The node that ``data[begin:end]`` leads to from a node; `ROOT` if there is none."""
    unit = units[node]
    for i in range(begin, end):
        node, unit = step(units, node, unit, data[i])
        if node == ROOT:
            break
    return node


@compiled()
def fill_trie(data: NDArray[np.uint8], offsets: NDArray[np.int64], units: NDArray[np.uint64], ids: NDArray[np.int32]) -> int:
    """Fill the empty arrays of a trie; returns their length, or -1 if they are too short.

    Nodes are placed level by level, so that those near the root, which every word passes, lie together; what hangs on one string alone is placed
    in a row.
    """
    capacity = len(units)
    count = len(offsets) - 1
    order = np.empty(count, np.int32)
    filled = 0
    for token in range(count):
        if offsets[token + 1] > offsets[token]:
            order[filled] = token
            filled += 1
    scratch = np.empty(filled, np.int32)
    # The free places, in a ring through place 0, which is the root's.
    following = np.empty(capacity + 1, np.int32)
    previous = np.empty(capacity + 1, np.int32)
    for place in range(capacity):
        following[place] = place + 1
        previous[place + 1] = place
    following[capacity - 1] = 0
    previous[0] = capacity - 1
    end = 256
    cursor = np.int64(1)  # where branching nodes begin to look
    # What is to be placed: a node, and the strings that pass it, with the length of what they share.
    # No string passes two of the nodes that wait, so there are no more of these than strings.
    most = filled + 1
    lows, highs = np.empty(most, np.int32), np.empty(most, np.int32)
    depths, nodes = np.empty(most, np.int32), np.empty(most, np.int32)
    lows[0], highs[0], depths[0], nodes[0] = 0, filled, 0, 0
    head, tail, waiting = 0, 1 % most, 1
    counts = np.zeros(257, np.int64)
    labels = np.empty(256, np.int64)
    while waiting > 0:
        low, high, depth, node = np.int64(lows[head]), np.int64(highs[head]), np.int64(depths[head]), np.int64(nodes[head])
        head = (head + 1) % most
        waiting -= 1
        # Strings that end here.
        kept = low
        for k in range(low, high):
            token = order[k]
            if offsets[token + 1] - offsets[token] == depth:
                ids[node] = max(ids[node], token)
                units[node] |= ENDS
            else:
                order[kept] = token
                kept += 1
        high = kept
        if low == high:
            continue
        if high - low == 1:
            # A chain: one child each.
            token = order[low]
            for at in range(offsets[token] + depth, offsets[token + 1]):
                byte = np.int64(data[at])
                place = np.int64(following[0])
                while place != 0 and place < byte:
                    place = np.int64(following[place])
                if place == 0 or place - byte + 256 > capacity:
                    return -1
                end = max(end, place - byte + 256)
                if place == cursor:
                    cursor = np.int64(following[place])
                _take(following, previous, place)
                units[node] |= np.uint64(place - byte) << np.uint64(33)
                units[place] = np.uint64(node + 1)
                node = place
            ids[node] = token
            units[node] |= ENDS
            continue
        # Sort by the next byte.
        if high - low <= _FEW:
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
            if children == 0 or labels[children - 1] != byte:
                labels[children] = byte
                children += 1
        base, cursor = _find_base(units, following, labels, children, capacity, cursor)
        if base < 0:
            return -1
        end = max(end, base + 256)
        units[node] |= np.uint64(base) << np.uint64(33)
        k = low
        for child in range(children):
            place = base + labels[child]
            if place == cursor:
                cursor = np.int64(following[place])
            _take(following, previous, place)
            units[place] = np.uint64(node + 1)
            first = k
            while k < high and np.int64(data[offsets[order[k]] + depth]) == labels[child]:
                k += 1
            lows[tail], highs[tail], depths[tail], nodes[tail] = first, k, depth + 1, place
            tail = (tail + 1) % most
            waiting += 1
    return end


@inner
def _take(following: NDArray[np.int32], previous: NDArray[np.int32], place: int) -> None:
    following[previous[place]] = following[place]
    previous[following[place]] = previous[place]


@inner
def _find_base(
    units: NDArray[np.uint64], following: NDArray[np.int32], labels: NDArray[np.int64], children: int, capacity: int, cursor: int
) -> tuple[int, int]:
    """A base at which the places of all children are free, -1 if there is no room, and where to begin to look the next time."""
    place = cursor
    tries = 0
    base = -1
    while place != 0 and base < 0:
        base = place - labels[0]
        if base + 256 > capacity:
            return -1, cursor
        for child in range(1, children):
            if base < 0 or units[base + labels[child]] != 0:
                base = -1
                break
        tries += 1
        if tries > _TRIES:
            cursor = np.int64(following[cursor])
        place = np.int64(following[place])
    return base, cursor
