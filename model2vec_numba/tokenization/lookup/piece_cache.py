"""A cache from short texts to their token ids, so that a repeated word costs one look-up.

The cache is an array of uint64 with two kinds of rows. A small row has 32 bytes, which is enough for most words and for nearly all segments of
Japanese. A large row has 64 bytes, a cache line. Small rows exist because the more rows fit into the processor's caches, the less often a kernel
waits for memory: waiting was a quarter of Unigram's time for Japanese.

A small row is four uint64: two for the bytes of the text, padded with NULs; the header; and the first three ids. A large row is eight uint64: four
for the bytes, the header, and three for the ids. The header holds the length of the text (0 in an empty row), the number of ids, the flags that the
model (BPE or Unigram) gave the text, and in a small row also the last two ids. If a text of at most 16 bytes has more than five ids, its small row
has none, and says that they are in a large row. A text can be in any of a few rows that follow each other. So two
texts with the same hash do not displace each other when they alternate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner, inner_always
from model2vec_numba.jit.simd import load_word, prefetch, word_mask, word_masks
from model2vec_numba.tokenization.lookup.hashing import hash_key

__all__ = [
    "LARGEST_CACHED_ID",
    "MAX_CACHED_BYTES",
    "MAX_IDS_PER_ROW",
    "NO_FLAGS",
    "PREFETCHED_COLUMNS",
    "PREFETCHED_HASH",
    "PREFETCHED_LENGTH",
    "copy_cached",
    "copy_ids",
    "find_row",
    "insert",
    "load_key",
    "make_piece_cache",
    "prefetch_pre_tokens",
    "prefetch_row",
    "prefetch_segments",
    "row_flags",
    "set_length_tag",
]

MAX_CACHED_BYTES = 32
# The number of ids that fit into a large row.
MAX_IDS_PER_ROW = 9
# Larger ids do not fit into a row.
LARGEST_CACHED_ID = (1 << 21) - 1
# The number of ids that fit into a small row.
_SMALL_IDS = 5
# The number of uint64 in a row, and the index of its header.
_SMALL_WIDTH, _SMALL_HEADER = 4, 2
_LARGE_WIDTH, _LARGE_HEADER = 8, 4
# There are half as many large rows as small rows. A cache has four megabytes, and the system provides only the memory that is used.
_SMALL_ROWS = 1 << 16
# The number of rows of each kind in which a text can be.
_MAX_TRIES = 8
# The header: bits 0 to 7 are the length of the text, bits 8 to 15 the number of ids, and bits 16 to 21 the model's flags. In a small row, bits 22 to
# 63 are two ids of 21 bits each.
_COUNT_SHIFT = 8
# In place of the number of ids in a small row: the ids are in a large row, because there are too many.
_IN_LARGE_ROW = 255
_FLAGS_SHIFT = 16
_IDS_SHIFT = 22
_BYTE_MASK = np.uint64(0xFF)
_FLAGS_MASK = np.uint64(0x3F)
_ID_MASK = np.uint64(LARGEST_CACHED_ID)
_ID_BITS = 21

# The columns of an array of prefetched texts: the key (4 columns), its hash, and the length. See `prefetch_segments`.
PREFETCHED_COLUMNS = 6
PREFETCHED_HASH, PREFETCHED_LENGTH = 4, 5
# The flags of a text that has none set, and the mask that ignores all flags. `_INDEPENDENT` in Unigram is a flag.
NO_FLAGS = np.uint64(0)


def make_piece_cache() -> NDArray[np.uint64]:
    """Return an empty cache: the small rows, then the large rows. It may be used by one thread at a time, and for one vocabulary."""
    size = _SMALL_ROWS * _SMALL_WIDTH + _SMALL_ROWS // 2 * _LARGE_WIDTH
    memory = np.zeros(size + _LARGE_WIDTH, np.uint64)
    # Rows begin where cache lines begin.
    skipped = (-memory.ctypes.data // 8) % _LARGE_WIDTH
    return memory[skipped : skipped + size]


@inner_always
def load_key(data: NDArray[np.uint8], begin: int, length: int) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return the bytes of the text ``data[begin:begin + length]`` as a key: four uint64, padded with NULs.

    `length`: 1 to `MAX_CACHED_BYTES`. The data must have `MAX_CACHED_BYTES` bytes from `begin` on.
    """
    first_mask, second_mask = word_masks(min(length, 16))
    third = fourth = np.uint64(0)
    if length > 16:
        third = load_word(data, begin + 16) & word_mask(length - 16)
        fourth = load_word(data, begin + 24) & word_mask(max(length - 24, 0))
    return load_word(data, begin) & first_mask, load_word(data, begin + 8) & second_mask, third, fourth


@inner
def prefetch_segments(
    data: NDArray[np.uint8],
    begin: int,
    segment_ends: NDArray[np.int64],
    segments: int,
    length_tag: int,
    cache: NDArray[np.uint64],
    prefetched: NDArray[np.uint64],
) -> None:
    """Prefetch the rows of the segments of a pre-token that begins at `begin`, and write what `copy_cached` needs to `prefetched`.

    Args:
        data, begin, segment_ends, segments: segment ``k`` ends at ``segment_ends[k]``, where the next one begins. The first begins at `begin`.
        length_tag: a number that is added to the length of each segment. It tells a segment from a whole text with the same bytes; see `find_row`.
        prefetched: uint64, shape (at least segments, PREFETCHED_COLUMNS), output: for each segment its key, its hash and its length. If a segment
            has more than `MAX_CACHED_BYTES` bytes, its length is written as 0.
    """
    i = begin
    for segment in range(segments):
        j = segment_ends[segment]
        _prefetch_text(data, i, j, length_tag, cache, prefetched, segment)
        i = j


@inner
def prefetch_pre_tokens(
    data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64], first: int, cache: NDArray[np.uint64], prefetched: NDArray[np.uint64]
) -> int:
    """Prefetch the rows of the pre-tokens from number `first` on, until `prefetched` is full; see `prefetch_segments`.

    Return the number of the first pre-token that was not prefetched.
    """
    last = min(first + len(prefetched), len(begins))
    for pre_token in range(first, last):
        _prefetch_text(data, begins[pre_token], ends[pre_token], 0, cache, prefetched, pre_token - first)
    return last


@inner
def set_length_tag(prefetched: NDArray[np.uint64], index: int, length: int, length_tag: int) -> None:
    """Give the text of row `index` of `prefetched`, which has `length` bytes, another length tag; see `prefetch_segments`."""
    if length <= MAX_CACHED_BYTES:
        prefetched[index, PREFETCHED_LENGTH] = np.uint64(length + length_tag)


@inner_always
def _prefetch_text(
    data: NDArray[np.uint8], begin: int, end: int, length_tag: int, cache: NDArray[np.uint64], prefetched: NDArray[np.uint64], index: int
) -> None:
    """Prefetch the row of the text ``data[begin:end]``, and write row `index` of `prefetched`."""
    length = end - begin
    key = load_key(data, begin, min(length, MAX_CACHED_BYTES))
    hash_value = hash_key(key)
    prefetch_row(cache, hash_value, key)
    row = np.uint64(index)
    prefetched[row, 0], prefetched[row, 1], prefetched[row, 2], prefetched[row, 3] = key
    prefetched[row, PREFETCHED_HASH] = hash_value
    prefetched[row, PREFETCHED_LENGTH] = np.uint64(length + length_tag) if length <= MAX_CACHED_BYTES else np.uint64(0)


@inner
def copy_cached(
    prefetched: NDArray[np.uint64],
    first: int,
    last: int,
    cache: NDArray[np.uint64],
    flag_mask: np.uint64,
    flags: np.uint64,
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, int]:
    """Write the ids of the texts `first` to ``last - 1`` of `prefetched` to ``ids[at:]``.

    Stop at the first text that is not in the cache, or whose flags, masked with `flag_mask`, are not `flags`. The caller handles that text: in this
    loop, the code for it would use up registers.

    Returns:
        The number of the first text whose ids are not written, and where the ids end.
    """
    text = np.uint64(first)
    while text < np.uint64(last):
        key = (prefetched[text, 0], prefetched[text, 1], prefetched[text, 2], prefetched[text, 3])
        length = np.int64(prefetched[text, PREFETCHED_LENGTH])
        row = find_row(cache, prefetched[text, PREFETCHED_HASH], key, length) if length != 0 else -1
        if row < 0 or row_flags(cache, row) & flag_mask != flags:
            break
        at = copy_ids(cache, row, ids, at)
        text += np.uint64(1)
    return np.int64(text), at


@inner_always
def prefetch_row(cache: NDArray[np.uint64], hash_value: np.uint64, key: tuple[np.uint64, np.uint64, np.uint64, np.uint64]) -> None:
    """Prefetch the first row in which a text can be. Without this, waiting for memory takes 100 ns."""
    small, large = _small_row(cache, hash_value), _large_row(cache, hash_value)
    prefetch(cache, np.int64(small if _fits_small(key) else large))


@inner_always
def _fits_small(key: tuple[np.uint64, np.uint64, np.uint64, np.uint64]) -> bool:
    """Return whether a text fits into a small row: all its bytes after the 16th are NULs. (The header has the length, so final NULs are not lost.)"""
    return key[2] | key[3] == np.uint64(0)


@inner_always
def _small_row(cache: NDArray[np.uint64], hash_value: np.uint64) -> np.uint64:
    """Return where the small row of a hash begins."""
    return np.uint64(_SMALL_WIDTH) * hash_value & np.uint64(len(cache) // 2 - 1)


@inner_always
def _large_row(cache: NDArray[np.uint64], hash_value: np.uint64) -> np.uint64:
    """Return where the large row of a hash begins."""
    return np.uint64(len(cache) // 2) + (np.uint64(_LARGE_WIDTH) * hash_value & np.uint64(len(cache) // 2 - 1))


@inner_always
def _is_small(cache: NDArray[np.uint64], row: np.uint64) -> bool:
    """Return whether the row that begins at `row` is a small one."""
    return row < np.uint64(len(cache) // 2)


@inner_always
def find_row(cache: NDArray[np.uint64], hash_value: np.uint64, key: tuple[np.uint64, np.uint64, np.uint64, np.uint64], length: int) -> int:
    """Return where the row of a text begins; -1 if the text is not in the cache.

    `hash_value`: the `hash_key` of `key`. `length`: the length of the text, plus a tag if another text with the same bytes must not be found.
    """
    if _fits_small(key):
        small = _find_small_row(cache, hash_value, key, length)
        if small < 0 or cache[np.uint64(small) + np.uint64(_SMALL_HEADER)] >> np.uint64(_COUNT_SHIFT) & _BYTE_MASK != np.uint64(_IN_LARGE_ROW):
            return small
    for step in range(_MAX_TRIES):
        row = _large_row(cache, hash_value + np.uint64(step))
        header = cache[row + np.uint64(_LARGE_HEADER)]
        different = (cache[row] ^ key[0]) | (cache[row + np.uint64(1)] ^ key[1])
        different |= (cache[row + np.uint64(2)] ^ key[2]) | (cache[row + np.uint64(3)] ^ key[3])
        if different | ((header & _BYTE_MASK) ^ np.uint64(length)) == np.uint64(0):
            return np.int64(row)
        if header == np.uint64(0):
            break
    return -1


@inner_always
def _find_small_row(cache: NDArray[np.uint64], hash_value: np.uint64, key: tuple[np.uint64, np.uint64, np.uint64, np.uint64], length: int) -> int:
    """Return where the small row of a text begins; -1 if there is none. See `find_row`."""
    for step in range(_MAX_TRIES):
        row = _small_row(cache, hash_value + np.uint64(step))
        header = cache[row + np.uint64(_SMALL_HEADER)]
        # The differences are combined, so that there is one branch instead of three.
        different = (cache[row] ^ key[0]) | (cache[row + np.uint64(1)] ^ key[1])
        if different | ((header & _BYTE_MASK) ^ np.uint64(length)) == np.uint64(0):
            return np.int64(row)
        if header == np.uint64(0):
            break
    return -1


@inner_always
def row_flags(cache: NDArray[np.uint64], row: int) -> np.uint64:
    """Return the flags that the model gave the text of a row."""
    begin = np.uint64(row)
    header = cache[begin + np.uint64(_SMALL_HEADER if _is_small(cache, begin) else _LARGE_HEADER)]
    return header >> np.uint64(_FLAGS_SHIFT) & _FLAGS_MASK


@inner_always
def copy_ids(cache: NDArray[np.uint64], row: int, ids: NDArray[np.int32], at: int) -> int:
    """Write the ids of a row to ``ids[at:]`` and return where they end. Elements after them, up to ``at + MAX_IDS_PER_ROW``, are overwritten."""
    begin, first = np.uint64(row), np.uint64(at)
    if _is_small(cache, begin):
        return np.int64(_copy_small(cache, begin, cache[begin + np.uint64(_SMALL_HEADER)], ids, first))
    for k in range(MAX_IDS_PER_ROW // 3):
        _write_three_ids(cache[begin + np.uint64(_LARGE_HEADER + 1 + k)], ids, first + np.uint64(3 * k))
    return at + np.int64(cache[begin + np.uint64(_LARGE_HEADER)] >> np.uint64(_COUNT_SHIFT) & _BYTE_MASK)


@inner_always
def _copy_small(cache: NDArray[np.uint64], row: np.uint64, header: np.uint64, ids: NDArray[np.int32], at: np.uint64) -> np.uint64:
    """Write the ids of a small row to ``ids[at:]`` and return where they end."""
    _write_three_ids(cache[row + np.uint64(_SMALL_HEADER + 1)], ids, at)
    ids[at + np.uint64(3)] = np.int32(header >> np.uint64(_IDS_SHIFT) & _ID_MASK)
    ids[at + np.uint64(4)] = np.int32(header >> np.uint64(_IDS_SHIFT + _ID_BITS))
    return at + (header >> np.uint64(_COUNT_SHIFT) & _BYTE_MASK)


@inner_always
def _write_three_ids(three_ids: np.uint64, ids: NDArray[np.int32], at: np.uint64) -> None:
    """Write the three ids that are packed in a uint64 to ``ids[at:at + 3]``."""
    ids[at] = np.int32(three_ids & _ID_MASK)
    ids[at + np.uint64(1)] = np.int32(three_ids >> np.uint64(_ID_BITS) & _ID_MASK)
    ids[at + np.uint64(2)] = np.int32(three_ids >> np.uint64(2 * _ID_BITS))


@inner
def insert(
    cache: NDArray[np.uint64],
    hash_value: np.uint64,
    key: tuple[np.uint64, np.uint64, np.uint64, np.uint64],
    length: int,
    flags: np.uint64,
    ids: NDArray[np.int32],
    first: int,
    last: int,
) -> None:
    """Insert a text whose ids are ``ids[first:last]``. Do nothing if the ids do not fit into a row. If no row is empty, replace another text.

    The beginning of this file describes a row.

    Args:
        cache: see `make_piece_cache`.
        hash_value: the `hash_key` of `key`.
        key: the bytes of the text; see `load_key`.
        length: the length of the text, plus a tag; see `find_row`.
        flags: flags of the model, at most six bits, which `row_flags` will return.
        ids, first, last: the ids.
    """
    count = last - first
    if count > MAX_IDS_PER_ROW:
        return
    for k in range(first, last):
        if ids[k] > LARGEST_CACHED_ID:
            return
    small = _fits_small(key) and count <= _SMALL_IDS
    if _fits_small(key) and not small and _find_small_row(cache, hash_value, key, length) < 0:
        # A text that is not in the cache is then found missing in the small rows alone, which are prefetched.
        stub = _row_for_insert(cache, hash_value, True, np.uint64(_SMALL_HEADER))
        cache[stub], cache[stub + np.uint64(1)] = key[0], key[1]
        cache[stub + np.uint64(_SMALL_HEADER)] = np.uint64(_IN_LARGE_ROW) << np.uint64(_COUNT_SHIFT) | np.uint64(length)
    header_at = np.uint64(_SMALL_HEADER if small else _LARGE_HEADER)
    row = _row_for_insert(cache, hash_value, small, header_at)
    header = flags << np.uint64(_FLAGS_SHIFT) | np.uint64(count) << np.uint64(_COUNT_SHIFT) | np.uint64(length)
    cache[row], cache[row + np.uint64(1)] = key[0], key[1]
    if small:
        cache[row + header_at] = header | _pack_two_ids(ids, first + 3, last) << np.uint64(_IDS_SHIFT)
        cache[row + header_at + np.uint64(1)] = _pack_three_ids(ids, first, last)
    else:
        cache[row + np.uint64(2)], cache[row + np.uint64(3)] = key[2], key[3]
        cache[row + header_at] = header
        for k in range(MAX_IDS_PER_ROW // 3):
            cache[row + header_at + np.uint64(1 + k)] = _pack_three_ids(ids, first + 3 * k, last)


@inner
def _row_for_insert(cache: NDArray[np.uint64], hash_value: np.uint64, small: bool, header_at: np.uint64) -> np.uint64:
    """Return the first empty row in which a text can be. If none is empty, return one of them, chosen by the hash."""
    for step in range(_MAX_TRIES):
        tried = hash_value + np.uint64(step)
        row = _small_row(cache, tried) if small else _large_row(cache, tried)
        if cache[row + header_at] == np.uint64(0):
            return row
    tried = hash_value + (hash_value >> np.uint64(24)) % np.uint64(_MAX_TRIES)
    return _small_row(cache, tried) if small else _large_row(cache, tried)


@inner
def _pack_two_ids(ids: NDArray[np.int32], first: int, last: int) -> np.uint64:
    """Pack the first two of ``ids[first:last]``, or all if there are fewer, into a uint64. The first id is in the lowest bits."""
    packed = np.uint64(0)
    for k in range(2):
        if first + k < last:
            packed |= np.uint64(ids[first + k]) << np.uint64(_ID_BITS * k)
    return packed


@inner
def _pack_three_ids(ids: NDArray[np.int32], first: int, last: int) -> np.uint64:
    """Pack the first three of ``ids[first:last]``, or all if there are fewer, into a uint64. The first id is in the lowest bits."""
    third = np.uint64(ids[first + 2]) << np.uint64(2 * _ID_BITS) if first + 2 < last else np.uint64(0)
    return _pack_two_ids(ids, first, last) | third
