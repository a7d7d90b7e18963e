"""Cut texts into chunks at white space, a window of chunks at a time.

First, texts are cut into chunks, 64 bytes at a time. Then the bytes of all chunks of the window are loaded and hashed, and their rows in the cache
are prefetched. The caller then looks them up. The look-ups do not depend on each other, so the processor waits for several rows at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner, inner_always
from model2vec_numba.jit.simd import BLOCK, bytes_between, count_ones, load_word, trailing_zeros, word_masks
from model2vec_numba.tokenization.chunks.rows import (
    CHUNK_HASH,
    CHUNK_HEAD,
    CHUNK_LENGTH,
    CHUNK_TAIL,
    CHUNK_WIDTH,
    MAX_CHUNK_BYTES,
    SMALL_BYTES,
    Layout,
    load_chunk,
    prefetch_large,
    prefetch_small,
)
from model2vec_numba.tokenization.lookup.hashing import hash_key, word_key

__all__ = ["BEGINS_END", "CHUNKS_END", "TEXTS_END", "WINDOW_END", "fill_window", "make_window"]

# A window has about this many chunks, of at most this many texts. With twice as many chunks, a look-up took the same time.
_WINDOW_CHUNKS = 100
WINDOW_TEXTS = 64
# The length of the arrays of a window. The chunks of a last block may be added to a window that is nearly full.
WINDOW_SIZE = _WINDOW_CHUNKS + 2 * BLOCK
# The arrays of a window are parts of one array of uint64: these are their ends. Making four arrays took longer than cutting a sentence.
BEGINS_END = WINDOW_SIZE
CHUNKS_END = BEGINS_END + CHUNK_WIDTH * WINDOW_SIZE
TEXTS_END = CHUNKS_END + WINDOW_TEXTS
WINDOW_END = TEXTS_END + BLOCK // 8
# Most blocks have no more chunks than this.
_EXPECTED_CHUNKS = 12
_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def make_window() -> NDArray[np.uint64]:
    """Return memory for the window of a call. No two calls may use the same memory at once."""
    return np.zeros(WINDOW_END, np.uint64)


@inner
def fill_window(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    text: int,
    position: int,
    trims: bool,
    after_newline: bool,
    drops_space: bool,
    cache: NDArray[np.uint64],
    layout: Layout,
    edge: NDArray[np.uint8],
    text_chunks: NDArray[np.int64],
    begins: NDArray[np.int64],
    chunks: NDArray[np.uint64],
) -> tuple[int, int, bool]:
    """Cut and load chunks until the window is full.

    Args:
        data, offsets: the texts; see `TextBatch`.
        text, position: the number of the first text, and the position in it at which to begin.
        trims, after_newline, drops_space: how texts are cut; see `ChunkRule`.
        cache, layout: see `make_rows` and `layout_of`.
        edge: uint8, shape (BLOCK,): memory for a copy of the last bytes of `data`.
        text_chunks: int64, shape (WINDOW_TEXTS,), output: for each text of the window, the number of the window's chunks up to the end of the text.
        begins: int64, shape (WINDOW_SIZE,), output: where the chunks begin.
        chunks: uint64, shape (CHUNK_WIDTH * WINDOW_SIZE,), output: the length of each chunk, and the bytes and the hash of each chunk of at most
            `MAX_CHUNK_BYTES` bytes; see `CHUNK_WIDTH`.

    Returns:
        The number of texts, the position at which the next window begins, and whether the last text is complete.
    """
    window = count = loaded = np.int64(0)
    is_complete = True
    at_text = text
    while at_text < len(offsets) - 1 and window < WINDOW_TEXTS and count <= _WINDOW_CHUNKS and is_complete:
        stop = offsets[at_text + 1]
        count, is_complete, is_single = _cut(data, position, stop, trims, after_newline, edge, begins, count)
        if not is_complete:
            # The last chunk may go on. The next window begins with it.
            count -= 1
            stop = begins[count]
        _load(data, begins, loaded, count, offsets[at_text], stop, trims, is_single, drops_space, cache, layout, chunks)
        position, loaded = stop, count
        text_chunks[window] = count
        window += 1
        at_text += 1
    return window, position, is_complete


@inner_always
def _cut(
    data: NDArray[np.uint8],
    begin: int,
    stop: int,
    trims: bool,
    after_newline: bool,
    edge: NDArray[np.uint8],
    begins: NDArray[np.int64],
    count: int,
) -> tuple[int, bool, bool]:
    """Cut ``data[begin:stop]`` into chunks, until there are more than `_WINDOW_CHUNKS` of them. A chunk begins at `begin`, if it is not white space.

    Args:
        data, trims, after_newline: see `fill_window`.
        edge: uint8, shape (BLOCK,): memory for a copy of the last bytes of `data`.
        begins: int64, output: where chunks begin, from number `count` on.

    Returns:
        The number of chunks; whether all of the text was cut; and whether there is never more than one byte of white space in a row, if `trims`.
    """
    i = begin
    doubles = np.uint64(0)
    # Whether the byte before the block is white space, and whether the block begins after a single newline.
    after_space, after_line = _ONE, np.uint64(not trims)
    while i < stop and count <= _WINDOW_CHUNKS:
        if i + BLOCK <= len(data):
            block, at = data, i
        else:
            for k in range(len(data) - i):
                edge[k] = data[i + k]
            block, at = edge, 0
        inside = _ALL >> np.uint64(BLOCK - min(stop - i, BLOCK))
        spaces = bytes_between(block, at, 0x20, 0x20)
        if trims:
            spaces |= bytes_between(block, at, 0x09, 0x0A) | bytes_between(block, at, 0x0D, 0x0D)
            follows_space = spaces << _ONE | after_space
            doubles |= spaces & follows_space & inside
            first_bytes = ~spaces & follows_space & inside
            after_space = spaces >> np.uint64(63)
        else:
            # All bytes up to 0x20 count as white space around a space, and so does the end of the text.
            low = bytes_between(block, at, 0, 0x20) | ~inside
            next_low = np.uint64(1) if i + BLOCK >= stop else np.uint64(data[i + BLOCK] <= 0x20)
            alone = ~(low << _ONE | after_space) & ~(low >> _ONE | next_low << np.uint64(63))
            lines = bytes_between(block, at, 0x0A, 0x0A) & alone if after_newline else np.uint64(0)
            first_bytes = (spaces & alone | lines << _ONE | after_line) & inside
            after_space, after_line = low >> np.uint64(63), lines >> np.uint64(63)
        count = _write_places(first_bytes, i, begins, count)
        i += BLOCK
    return count, i >= stop, doubles == np.uint64(0)


@inner_always
def _write_places(bits: np.uint64, i: int, places: NDArray[np.int64], found: int) -> int:
    """Write ``i + k`` to ``places[found:]`` for each bit ``k`` of `bits` that is set, and return where they end."""
    count = count_ones(bits)
    # The number of steps is the same for most blocks, so that the branch is predicted. Places after the last bit are overwritten later.
    for k in range(_EXPECTED_CHUNKS):
        places[found + k] = i + trailing_zeros(bits)
        bits &= bits - _ONE
    for k in range(_EXPECTED_CHUNKS, count):
        places[found + k] = i + trailing_zeros(bits)
        bits &= bits - _ONE
    return found + count


@inner_always
def _load(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    first: int,
    last: int,
    text_begin: int,
    stop: int,
    trims: bool,
    is_single: bool,
    drops_space: bool,
    cache: NDArray[np.uint64],
    layout: Layout,
    chunks: NDArray[np.uint64],
) -> None:
    """Hash the chunks `first` to ``last - 1`` of a text, and prefetch their rows.

    Args:
        data, trims, drops_space, cache, layout: see `fill_window`.
        begins: int64, input and output: where the chunks begin, at their single spaces. The spaces are left out if `drops_space`. Element `last` is
            overwritten.
        text_begin: where the text begins. A chunk that begins there keeps its space.
        stop: where the last chunk ends.
        is_single: see `_cut`.
        chunks: uint64, output: see `fill_window`.
    """
    # Indices are unsigned, because numba then omits the check for negative indices.
    chunk = np.uint64(first)
    if trims and first < last:
        while _is_white_space(data[np.uint64(stop - 1)]):
            stop -= 1
    # The last chunk ends as if there were another one after it. So the loop has the same steps for all chunks.
    begins[last] = stop + np.int64(trims)
    is_inside = stop + SMALL_BYTES <= len(data)
    while chunk < np.uint64(last):
        begin = begins[chunk]
        end = begins[chunk + np.uint64(1)] - np.int64(trims)
        if trims and not is_single:
            while _is_white_space(data[np.uint64(end - 1)]):
                end -= 1
        if drops_space and data[np.uint64(begin)] == 0x20 and begin != text_begin:
            begin += 1
            begins[chunk] = begin
        length = end - begin
        row = chunk * np.uint64(CHUNK_WIDTH)
        chunks[row + np.uint64(CHUNK_LENGTH)] = np.uint64(length)
        if length <= SMALL_BYTES and is_inside:
            head_mask, tail_mask = word_masks(length)
            head, tail = load_word(data, begin) & head_mask, load_word(data, begin + 8) & tail_mask
            hash_value = hash_key(word_key(head, tail))
            chunks[row + np.uint64(CHUNK_HEAD)], chunks[row + np.uint64(CHUNK_TAIL)], chunks[row + np.uint64(CHUNK_HASH)] = head, tail, hash_value
            prefetch_small(cache, layout, hash_value)
        elif length <= MAX_CHUNK_BYTES:
            key = load_chunk(data, begin, length)
            hash_value = hash_key(key)
            chunks[row + np.uint64(CHUNK_HEAD)], chunks[row + np.uint64(CHUNK_TAIL)], chunks[row + np.uint64(CHUNK_HASH)] = key[0], key[1], hash_value
            prefetch_large(cache, layout, hash_value)
        chunk += np.uint64(1)


@inner_always
def _is_white_space(byte: np.uint8) -> bool:
    """Return whether a byte is one of ASCII's space, tab, line feed and carriage return."""
    return bool(byte <= 0x20 and (byte == 0x20 or byte == 0x0A or byte == 0x09 or byte == 0x0D))
