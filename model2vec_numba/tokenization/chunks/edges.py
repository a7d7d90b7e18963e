"""Find the chunks whose ends may act on the text next to them, by a table of what each code point does at the end of a chunk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.tokenization.unicode.classes import ClassTable, Probe, class_at

__all__ = ["AFTER_NOTHING", "AFTER_SPACE", "BEFORE_END", "EXTENDS", "GLUES", "PASSES", "Edges"]

# The places where a code point is unsafe: first after the space of a chunk, first in a chunk without a space, or last in a chunk.
AFTER_SPACE = 1
AFTER_NOTHING = 2
BEFORE_END = 4
# The code point is in one grapheme cluster with the code point before it, or with the one after it.
EXTENDS = 8
GLUES = 16
# The code point does not count at the beginning of a chunk: the next one does.
PASSES = 32


class Edges:
    """Says which chunks are unsafe.

    Args:
        probe: returns the flags of each code point of a list.
        trims: whether chunks have no white space at their ends; see `ChunkRule`.
        cluster_bytes: two code points at an end that are in one grapheme cluster are unsafe if they have fewer bytes than this. 0: clusters do not
            matter.
    """

    def __init__(self, probe: Probe, *, trims: bool, cluster_bytes: int) -> None:
        self._flags = ClassTable(probe)
        self._settings = trims, cluster_bytes

    def unsafe(self, chunks: TextBatch) -> NDArray[np.uint8]:
        """Return which chunks may act on the text next to them: uint8, shape (chunks,), 1 if a chunk may do so, else 0."""
        found = np.empty(len(chunks), np.uint8)
        for missing in self._flags.filler.rounds():
            find_unsafe(chunks.data, chunks.offsets, self._flags.classes, *self._settings, missing, found)
        return found

    def flags(self, character: str) -> int:
        """Return the flags of a code point."""
        self._flags.filler.fill_code_points(np.array([ord(character)]))
        return int(self._flags.classes[ord(character)])


@compiled()
def find_unsafe(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    flags: NDArray[np.uint8],
    trims: bool,
    cluster_bytes: int,
    missing: NDArray[np.int32],
    found: NDArray[np.uint8],
) -> None:
    """Write to `found` whether each chunk is unsafe.

    A chunk that is not trimmed, and that begins with white space other than a single space before a solid byte, is the beginning of a text. So its
    beginning is safe. The same is true for the ends.

    Args:
        data, offsets: the chunks; see `TextBatch`.
        flags: uint8, shape (0x110000,): the flags of each code point; see `ClassTable`.
        trims, cluster_bytes: see `Edges`.
        missing: int32, output: which of `flags` are needed and not filled; see `nothing_missing`.
        found: uint8, shape (chunks,), output: 1 if a chunk is unsafe, else 0.
    """
    for chunk in range(len(found)):
        i, end = offsets[chunk], offsets[chunk + 1]
        found[chunk] = 0
        if i == end:
            continue
        unsafe = 0
        first_flag, last_flag = AFTER_NOTHING, BEFORE_END
        if not trims:
            if data[i] == 0x20 and i + 1 < end and data[i + 1] > 0x20:
                i += 1
                first_flag = AFTER_SPACE
            elif data[i] <= 0x20:
                first_flag = 0
            if data[end - 1] == 0x0A and end - 1 > i and data[end - 2] > 0x20:
                end -= 1
            elif data[end - 1] <= 0x20:
                last_flag = 0
        first, size = class_at(data, i, flags, missing)
        if first_flag != 0:
            unsafe |= first & first_flag
            if cluster_bytes > 0 and i + size < end:
                unsafe |= _in_short_cluster(data, i, i + size, cluster_bytes, flags, missing)
            if first & PASSES:
                unsafe |= _first_that_counts(data, i + size, end, flags, missing) & first_flag
        if last_flag != 0:
            j = end - 1
            while data[j] & 0xC0 == 0x80:
                j -= 1
            last, size = class_at(data, j, flags, missing)
            unsafe |= last & last_flag
            if cluster_bytes > 0 and j > i:
                k = j - 1
                while data[k] & 0xC0 == 0x80:
                    k -= 1
                unsafe |= _in_short_cluster(data, k, j, cluster_bytes, flags, missing)
        found[chunk] = unsafe != 0


@inner
def _in_short_cluster(data: NDArray[np.uint8], i: int, j: int, cluster_bytes: int, flags: NDArray[np.uint8], missing: NDArray[np.int32]) -> int:
    """Return 1 if the neighbours at `i` and `j` may be in one grapheme cluster and have fewer than `cluster_bytes` bytes, else 0.

    `flags`, `missing`: see `find_unsafe`.
    """
    former, size = class_at(data, i, flags, missing)
    latter, latter_size = class_at(data, j, flags, missing)
    return np.int64((former & GLUES != 0 or latter & EXTENDS != 0) and size + latter_size < cluster_bytes)


@inner
def _first_that_counts(data: NDArray[np.uint8], i: int, end: int, flags: NDArray[np.uint8], missing: NDArray[np.int32]) -> int:
    """Return the flags of the first code point in ``data[i:end]`` that does not pass. 0 if there is none."""
    while i < end:
        kind, size = class_at(data, i, flags, missing)
        if kind & PASSES == 0:
            return kind
        i += size
    return 0
