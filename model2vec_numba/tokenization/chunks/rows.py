"""The rows of a cache from chunks of text to their token ids, which several threads read and fill at the same time.

The cache is an array of uint64 with two kinds of rows. A small row has 32 bytes: two uint64 for the bytes of the chunk, padded with NULs; the header
and the first id in one uint64; and two more ids in the last one. A large row has 64 bytes, a cache line: four uint64 for the bytes, the header and
the first id, and six more ids. If a chunk has more ids than fit into its row, they are in the arena after the rows, and the place of the first id in
the row has their position. The header is 32 bits: the length of the chunk and the number of ids. It is 0 in an empty row.

A row is filled once and never changed. A thread first claims it, by writing a length to the header that no chunk has. It writes the true header last,
so a thread that sees it sees the whole row. A chunk can be in any of a few rows that follow each other. A search ends at the first empty row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.atomics import add_relaxed, claim_zero, load_acquire, store_release
from model2vec_numba.jit.decorators import compiled, inner, inner_always
from model2vec_numba.jit.simd import load_padded_word, prefetch, store_pair
from model2vec_numba.tokenization.lookup.hashing import hash_key

__all__ = [
    "CHUNK_HASH",
    "CHUNK_HEAD",
    "CHUNK_LENGTH",
    "CHUNK_TAIL",
    "CHUNK_WIDTH",
    "FIRST_SMALL_ROWS",
    "MAX_CHUNK_BYTES",
    "MAX_IDS",
    "MOST_SMALL_ROWS",
    "SMALL_BYTES",
    "Layout",
    "copy_large_chunk",
    "copy_rows",
    "copy_small_chunks",
    "count_small_rows",
    "insert_chunk",
    "is_full",
    "is_full_cache",
    "layout_of",
    "load_chunk",
    "make_rows",
    "prefetch_large",
    "prefetch_small",
]

# Longer chunks are not cached, nor are chunks with more ids.
MAX_CHUNK_BYTES = 32
MAX_IDS = 32
# Chunks of at most this many bytes are in small rows.
SMALL_BYTES = 16
# The chunks to look up are in one array of uint64. For each there are its first eight bytes and the next eight, padded with NULs; its length; and its
# `hash_key`. With four arrays, a look-up took 1.05 times as long, because numba passes an array as seven arguments.
CHUNK_WIDTH = 4
CHUNK_HEAD, CHUNK_TAIL, CHUNK_LENGTH, CHUNK_HASH = 0, 1, 2, 3
# The number of uint64 in a row, the index of its header, and the number of ids that fit into it.
_SMALL_WIDTH, _SMALL_HEADER, _SMALL_IDS = 4, 2, 3
_LARGE_WIDTH, _LARGE_HEADER, _LARGE_IDS = 8, 4, 7
# For each large row there are this many small rows, and this many uint64 of the arena. A cache has 3.75 megabytes at first, and 15 at most. With
# 3.75, new English took 1.4 times as long, because the rows were replaced again and again.
_SMALL_PER_LARGE, _ARENA_PER_LARGE = 4, 6
FIRST_SMALL_ROWS, MOST_SMALL_ROWS = 1 << 16, 1 << 18
# The last elements of a cache: the numbers of small rows and of large rows that are filled, the number of uint64 of the arena that are used, 1 if the
# cache is full, and the number of small rows.
_SMALL_USED, _LARGE_USED, _ARENA_USED, _FULL, _SMALL_ROWS = 0, 1, 2, 3, 4
_TAIL = 8
# The cache is full when more than this many eighths of the rows of a kind, or seven eighths of the arena, are filled.
_FULL_EIGHTHS = 5
# Rows are prefetched this many rows ahead when a cache is copied.
_AHEAD = 16
# The number of rows in which a chunk can be.
_MAX_TRIES = 8
_COUNT_SHIFT = 8
_ID_SHIFT = 32
_BYTE_MASK = np.uint64(0xFF)
# The header of a row that a thread is filling. No chunk has the length 0, so a search that meets it goes on with the next row.
_CLAIMED = np.uint64(1 << _COUNT_SHIFT)

Key = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


# Where the rows are, for compiled code: the number of small rows less one, where the large rows begin, their number less one, where the arena begins,
# and where the last elements begin.
Layout = tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]


def make_rows(small_rows: int = FIRST_SMALL_ROWS) -> NDArray[np.uint64]:
    """Return an empty cache: the small rows, the large rows, the arena, and the last elements. The system provides only the memory that is used.

    `small_rows`: a power of two.
    """
    size = small_rows * _SMALL_WIDTH + small_rows // _SMALL_PER_LARGE * (_LARGE_WIDTH + _ARENA_PER_LARGE) + _TAIL
    memory = np.zeros(size + _LARGE_WIDTH, np.uint64)
    # Rows begin where cache lines begin.
    skipped = (-memory.ctypes.data // 8) % _LARGE_WIDTH
    cache = memory[skipped : skipped + size]
    cache[_SMALL_ROWS - _TAIL] = small_rows
    return cache


def is_full(cache: NDArray[np.uint64]) -> bool:
    """Return whether a cache is so full that another one should take its place."""
    return bool(cache[_FULL - _TAIL])


@inner
def is_full_cache(cache: NDArray[np.uint64]) -> bool:
    """Return what `is_full` returns, in compiled code."""
    return cache[len(cache) + (_FULL - _TAIL)] != 0


def count_small_rows(cache: NDArray[np.uint64]) -> int:
    """Return the number of small rows of a cache."""
    return int(cache[_SMALL_ROWS - _TAIL])


@inner_always
def layout_of(cache: NDArray[np.uint64]) -> Layout:
    """Return where the rows of a cache are."""
    tail = np.uint64(len(cache) - _TAIL)
    small_rows = cache[tail + np.uint64(_SMALL_ROWS)]
    large_begin = small_rows * np.uint64(_SMALL_WIDTH)
    large_rows = small_rows // np.uint64(_SMALL_PER_LARGE)
    return small_rows - np.uint64(1), large_begin, large_rows - np.uint64(1), tail - large_rows * np.uint64(_ARENA_PER_LARGE), tail


@inner_always
def load_chunk(data: NDArray[np.uint8], begin: int, length: int) -> Key:
    """Return the bytes of the chunk ``data[begin:begin + length]`` as four uint64, padded with NULs. `length`: at most `MAX_CHUNK_BYTES`."""
    return (
        load_padded_word(data, begin, length),
        load_padded_word(data, begin + 8, length - 8),
        load_padded_word(data, begin + 16, length - 16),
        load_padded_word(data, begin + 24, length - 24),
    )


@inner_always
def _small_row(layout: Layout, hash_value: np.uint64) -> np.uint64:
    return (hash_value & layout[0]) * np.uint64(_SMALL_WIDTH)


@inner_always
def _large_row(layout: Layout, hash_value: np.uint64) -> np.uint64:
    return layout[1] + (hash_value & layout[2]) * np.uint64(_LARGE_WIDTH)


@inner_always
def prefetch_small(cache: NDArray[np.uint64], layout: Layout, hash_value: np.uint64) -> None:
    """Prefetch the first small row in which a chunk can be."""
    prefetch(cache, np.int64(_small_row(layout, hash_value)))


@inner_always
def prefetch_large(cache: NDArray[np.uint64], layout: Layout, hash_value: np.uint64) -> None:
    """Prefetch the first large row in which a chunk can be."""
    prefetch(cache, np.int64(_large_row(layout, hash_value)))


@inner
def copy_small_chunks(
    cache: NDArray[np.uint64],
    layout: Layout,
    chunks: NDArray[np.uint64],
    first: np.uint64,
    last: np.uint64,
    ids: NDArray[np.int32],
    at: int,
    stop_at: int,
) -> tuple[np.uint64, int]:
    """Write the ids of the chunks from `first` on to ``ids[at:]``, before `stop_at`. Stop at a chunk that is not in a small row, or at `last`.

    The caller handles that chunk: in this loop, the code for it would use up registers.

    Args:
        cache, layout: see `make_rows` and `layout_of`.
        chunks: the chunks; see `CHUNK_WIDTH`.
        ids: `_SMALL_IDS` elements may be overwritten from any place on before `stop_at`.

    Returns:
        The number of the first chunk whose ids are not written, and where the ids end.
    """
    chunk = first
    while chunk < last and at < stop_at:
        given = chunk * np.uint64(CHUNK_WIDTH)
        head, tail, length = chunks[given + np.uint64(CHUNK_HEAD)], chunks[given + np.uint64(CHUNK_TAIL)], chunks[given + np.uint64(CHUNK_LENGTH)]
        hash_value = chunks[given + np.uint64(CHUNK_HASH)]
        row = _small_row(layout, hash_value)
        header = load_acquire(cache, row + np.uint64(_SMALL_HEADER))
        if (cache[row] ^ head) | (cache[row + np.uint64(1)] ^ tail) | ((header & _BYTE_MASK) ^ length) != np.uint64(0):
            row, header = _find_small(cache, layout, hash_value, head, tail, length)
            if header == np.uint64(0):
                break
        count = header >> np.uint64(_COUNT_SHIFT) & _BYTE_MASK
        if count <= np.uint64(_SMALL_IDS):
            ids[np.uint64(at)] = np.int32(header >> np.uint64(_ID_SHIFT))
            store_pair(ids, at + 1, cache[row + np.uint64(_SMALL_HEADER + 1)])
        else:
            _copy_pairs(cache, header >> np.uint64(_ID_SHIFT), np.int64(count), ids, at)
        at += np.int64(count)
        chunk += np.uint64(1)
    return chunk, at


@inner_always
def _copy_pairs(cache: NDArray[np.uint64], begin: np.uint64, count: int, ids: NDArray[np.int32], at: int) -> None:
    """Write `count` ids, which are in pairs in ``cache[begin:]``, to ``ids[at:]``. One more element may be overwritten."""
    for k in range((count + 1) // 2):
        store_pair(ids, at + 2 * k, cache[begin + np.uint64(k)])


@inner
def _find_small(
    cache: NDArray[np.uint64], layout: Layout, hash_value: np.uint64, head: np.uint64, tail: np.uint64, length: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Return the small row of a chunk in any of its rows, and the uint64 with its header; any row and 0 if there is none."""
    for step in range(_MAX_TRIES):
        row = _small_row(layout, hash_value + np.uint64(step))
        header = load_acquire(cache, row + np.uint64(_SMALL_HEADER))
        if (cache[row] ^ head) | (cache[row + np.uint64(1)] ^ tail) | ((header & _BYTE_MASK) ^ length) == np.uint64(0):
            return row, header
        if header == np.uint64(0):
            break
    return np.uint64(0), np.uint64(0)


@inner
def copy_large_chunk(cache: NDArray[np.uint64], layout: Layout, hash_value: np.uint64, key: Key, length: int, ids: NDArray[np.int32], at: int) -> int:
    """Write the ids of a chunk that has a large row to ``ids[at:]``. Return where they end, or -1 if the chunk is not in the cache.

    Args:
        cache, layout: see `make_rows` and `layout_of`.
        hash_value: the `hash_key` of the chunk.
        key: the bytes of the chunk; see `load_chunk`.
        length: the length of the chunk.
        ids: `MAX_IDS` elements may be overwritten.
    """
    for step in range(_MAX_TRIES):
        row = _large_row(layout, hash_value + np.uint64(step))
        header = load_acquire(cache, row + np.uint64(_LARGE_HEADER))
        different = (cache[row] ^ key[0]) | (cache[row + np.uint64(1)] ^ key[1])
        different |= (cache[row + np.uint64(2)] ^ key[2]) | (cache[row + np.uint64(3)] ^ key[3])
        if different | ((header & _BYTE_MASK) ^ np.uint64(length)) == np.uint64(0):
            count = np.int64(header >> np.uint64(_COUNT_SHIFT) & _BYTE_MASK)
            if count <= _LARGE_IDS:
                ids[np.uint64(at)] = np.int32(header >> np.uint64(_ID_SHIFT))
                _copy_pairs(cache, row + np.uint64(_LARGE_HEADER + 1), count - 1, ids, at + 1)
            else:
                _copy_pairs(cache, header >> np.uint64(_ID_SHIFT), count, ids, at)
            return at + count
        if header == np.uint64(0):
            break
    return -1


@inner_always
def insert_chunk(
    cache: NDArray[np.uint64], layout: Layout, hash_value: np.uint64, key: Key, length: int, ids: NDArray[np.int32], first: int, count: int
) -> None:
    """Insert a chunk that is not in the cache. Several threads may do this at the same time, and others may look up chunks meanwhile.

    If the chunk has more than `MAX_IDS` ids, or there is no space, it is left out. Two threads that insert the same chunk at the same time fill two
    rows. That does no harm.

    Args:
        cache, layout, hash_value, key, length: see `copy_large_chunk`.
        ids, first, count: the ids of the chunk are ``ids[first:first + count]``.
    """
    if count > MAX_IDS:
        return
    small = length <= SMALL_BYTES
    row = _claim_row(cache, layout, hash_value, small)
    if row < 0:
        return
    begin = np.uint64(row)
    cache[begin], cache[begin + np.uint64(1)] = key[0], key[1]
    header_at = begin + np.uint64(_SMALL_HEADER)
    if not small:
        cache[begin + np.uint64(2)], cache[begin + np.uint64(3)] = key[2], key[3]
        header_at = begin + np.uint64(_LARGE_HEADER)
    header = np.uint64(count) << np.uint64(_COUNT_SHIFT) | np.uint64(length)
    if count > (_SMALL_IDS if small else _LARGE_IDS):
        position = layout[3] + add_relaxed(cache, layout[4] + np.uint64(_ARENA_USED), np.uint64((count + 1) // 2))
        if position + np.uint64(MAX_IDS) > layout[4]:
            # The row stays claimed. The cache is full and will soon be replaced.
            return
        _write_pairs(cache, position, ids, first, count)
        header |= position << np.uint64(_ID_SHIFT)
    elif count > 0:
        _write_pairs(cache, header_at + np.uint64(1), ids, first + 1, count - 1)
        header |= np.uint64(ids[first]) << np.uint64(_ID_SHIFT)
    store_release(cache, header_at, header)


@inner
def _claim_row(cache: NDArray[np.uint64], layout: Layout, hash_value: np.uint64, small: bool) -> int:
    """Claim an empty row for a chunk and return it. Return -1 if all its rows are filled."""
    for step in range(_MAX_TRIES):
        tried = hash_value + np.uint64(step)
        row = _small_row(layout, tried) if small else _large_row(layout, tried)
        if claim_zero(cache, row + np.uint64(_SMALL_HEADER if small else _LARGE_HEADER), _CLAIMED):
            tail = layout[4]
            filled = np.uint64(8) * add_relaxed(cache, tail + np.uint64(_SMALL_USED if small else _LARGE_USED), np.uint64(1))
            is_full = filled > np.uint64(_FULL_EIGHTHS) * (layout[0] if small else layout[2])
            if is_full or np.uint64(8) * cache[tail + np.uint64(_ARENA_USED)] > np.uint64(7) * (tail - layout[3]):
                cache[tail + np.uint64(_FULL)] = np.uint64(1)
            return np.int64(row)
    return -1


@inner_always
def _write_pairs(cache: NDArray[np.uint64], begin: np.uint64, ids: NDArray[np.int32], first: int, count: int) -> None:
    """Write ``ids[first:first + count]`` to ``cache[begin:]``, two ids to a uint64."""
    for k in range(0, count, 2):
        second = np.uint64(ids[first + k + 1]) if k + 1 < count else np.uint64(0)
        cache[begin + np.uint64(k // 2)] = np.uint64(ids[first + k]) | second << np.uint64(_ID_SHIFT)


@compiled()
def copy_rows(source: NDArray[np.uint64], target: NDArray[np.uint64]) -> None:
    """Insert the chunks of a cache into another one, which only this thread uses. Other threads may use `source` meanwhile."""
    layout, new_layout = layout_of(source), layout_of(target)
    ids = np.empty(MAX_IDS + 1, np.int32)
    small_rows, large_rows = np.int64(layout[0]) + 1, np.int64(layout[2]) + 1
    for number in range(small_rows + large_rows):
        # The rows of the target are prefetched. Without this, copying 100,000 chunks took 70 ms.
        ahead = min(number + _AHEAD, small_rows + large_rows - 1)
        _, later_key = _key_of_row(source, layout, ahead, small_rows)
        if ahead < small_rows:
            prefetch_small(target, new_layout, hash_key(later_key))
        else:
            prefetch_large(target, new_layout, hash_key(later_key))
        header_at, _ = _key_of_row(source, layout, number, small_rows)
        header = load_acquire(source, header_at)
        length = np.int64(header & _BYTE_MASK)
        # No chunk has the length 0: the row is empty, or a thread is filling it.
        if length == 0:
            continue
        # The key is read after the header, when the row is complete.
        _, key = _key_of_row(source, layout, number, small_rows)
        count = np.int64(header >> np.uint64(_COUNT_SHIFT) & _BYTE_MASK)
        if count > (_SMALL_IDS if number < small_rows else _LARGE_IDS):
            _copy_pairs(source, header >> np.uint64(_ID_SHIFT), count, ids, 0)
        else:
            ids[0] = np.int32(header >> np.uint64(_ID_SHIFT))
            _copy_pairs(source, header_at + np.uint64(1), count - 1, ids, 1)
        insert_chunk(target, new_layout, hash_key(key), key, length, ids, 0, count)


@inner_always
def _key_of_row(cache: NDArray[np.uint64], layout: Layout, number: int, small_rows: int) -> tuple[np.uint64, Key]:
    """Return the index of a row's header, and the bytes of its chunk. Large rows are numbered after the small ones."""
    if number < small_rows:
        row = np.uint64(number * _SMALL_WIDTH)
        return row + np.uint64(_SMALL_HEADER), (cache[row], cache[row + np.uint64(1)], np.uint64(0), np.uint64(0))
    row = layout[1] + np.uint64((number - small_rows) * _LARGE_WIDTH)
    key = (cache[row], cache[row + np.uint64(1)], cache[row + np.uint64(2)], cache[row + np.uint64(3)])
    return row + np.uint64(_LARGE_HEADER), key
