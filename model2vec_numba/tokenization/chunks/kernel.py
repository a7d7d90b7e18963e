"""Copy the ids of the chunks of texts that are in the cache, and insert the others.

A chunk that is not in the cache leaves a gap. When the core has found the ids of these chunks, `fill_gaps` puts them into their places.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.pointers import call_address_for_int, unpack
from model2vec_numba.jit.simd import BLOCK, copy_bytes
from model2vec_numba.tokenization.chunks.rows import (
    CHUNK_HASH,
    CHUNK_LENGTH,
    CHUNK_WIDTH,
    MAX_CHUNK_BYTES,
    MAX_IDS,
    SMALL_BYTES,
    copy_large_chunk,
    copy_small_chunks,
    insert_chunk,
    layout_of,
    load_chunk,
    prefetch_large,
    prefetch_small,
)
from model2vec_numba.tokenization.chunks.windows import BEGINS_END, CHUNKS_END, TEXTS_END, WINDOW_END, fill_window
from model2vec_numba.tokenization.lookup.hashing import hash_key

__all__ = ["LONG_CHUNKS", "MAX_GAPS", "NO_GAPS", "SLOTS", "State", "fill_gaps", "gather_chunks", "insert_chunks", "look_up_chunks", "look_up_packed"]

# The ids of this many missing chunks are found at a time. On an empty cache, the chunks of the first texts are then soon known.
MAX_GAPS = 4096
# The number of slots of the hash table of missing chunks.
SLOTS = 4 * MAX_GAPS
# `look_up_chunks` returns this if all texts are done and there are no gaps.
NO_GAPS = -1
# `look_up_chunks` returns this if most bytes at the beginning of the batch are in chunks that are too long for the cache. Without this, Japanese,
# whose chunks are whole sentences, took up to a third longer. The beginning is half of the batch, or this many bytes if that is less.
LONG_CHUNKS = -2
_BEGINNING = 8192
# The number of chunks whose rows `insert_chunks` prefetches at a time.
_AHEAD = 16


class State:
    """The elements of the array `state`.

    The first four say where `look_up_chunks` goes on: the number of a text, the position of a chunk in it, where the ids of the text begin, and where
    they end so far. The others are the number of missing chunks and the number of their bytes.
    """

    TEXT, POSITION, TEXT_AT, AT, MISSING, MISSING_BYTES = range(6)
    SIZE = 6


_TEXT, _POSITION, _TEXT_AT, _AT = State.TEXT, State.POSITION, State.TEXT_AT, State.AT
_MISSING, _MISSING_BYTES = State.MISSING, State.MISSING_BYTES


@compiled()
def look_up_chunks(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    trims: bool,
    after_newline: bool,
    drops_space: bool,
    looks_further: bool,
    max_tokens: int,
    cache: NDArray[np.uint64],
    goes_on: bool,
    state: NDArray[np.int64],
    gaps: NDArray[np.int64],
    missing: NDArray[np.int64],
    slots: NDArray[np.int32],
    window_memory: NDArray[np.uint64],
    id_offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
) -> int:
    """Copy the ids of the chunks of texts. Stop before a chunk for which no gap is left, or no space in `ids`.

    Args:
        data, offsets: the texts; see `TextBatch`.
        trims, after_newline, drops_space: how texts are cut; see `ChunkRule`.
        looks_further: whether to look up one chunk more than `max_tokens` needs.
        max_tokens: the number of ids to keep of each text.
        cache: see `make_rows`.
        goes_on: whether to go on where `state` says. Otherwise, begin with the first text.
        state: int64, shape (State.SIZE,), input and output; see `State`.
        gaps: int64, shape (MAX_GAPS, 3), output. A row has the place in `ids`, the number of the missing chunk, and the number of the text.
        missing: int64, shape (MAX_GAPS, 3), output: the different chunks that are not in the cache. A row has the begin and the end of a chunk, and
            its slot; -1 if it is too long for the cache.
        slots: int32, shape (SLOTS,): a hash table of the missing chunks. A slot has one more than the number of a chunk. It is all zeros before;
            `gather_chunks` makes it all zeros again.
        window_memory: memory to work in; see `make_window`.
        id_offsets: int64, shape (texts + 1,), output: where the ids of each text begin. The last element is where all ids end.
        ids: int32, output: the ids, one text after the other. Elements after the last id may be overwritten.

    Returns:
        The number of gaps, `NO_GAPS` or `LONG_CHUNKS`. All texts are done if the number of the text in `state` is the number of texts. If the result
        is `LONG_CHUNKS`, the outputs have no meaning.
    """
    text = position = text_at = at = np.int64(0)
    texts = len(offsets) - 1
    position = offsets[0]
    if goes_on:
        text, position, text_at, at = state[_TEXT], state[_POSITION], state[_TEXT_AT], state[_AT]
    id_offsets[text] = text_at
    begins, chunks = window_memory[:BEGINS_END].view(np.int64), window_memory[BEGINS_END:CHUNKS_END]
    text_chunks, edge = window_memory[CHUNKS_END:TEXTS_END].view(np.int64), window_memory[TEXTS_END:WINDOW_END].view(np.uint8)
    layout = layout_of(cache)
    room = len(ids) - MAX_IDS
    # The ids of a text after `limit_at` do not count.
    limit_at, looked_further = text_at + min(max_tokens, len(ids)), not looks_further
    gap = missing_chunks = missing_bytes = long_bytes = np.int64(0)
    # The place where the beginning of the batch ends. After it, nothing is checked.
    checked_to = offsets[0] + min(_BEGINNING, (offsets[texts] - offsets[0]) // 2)
    is_checked = goes_on
    while text < texts:
        window, position, is_complete = fill_window(
            data, offsets, text, position, trims, after_newline, drops_space, cache, layout, edge, text_chunks, begins, chunks
        )
        chunk = np.uint64(0)
        for k in range(window):
            last = np.uint64(text_chunks[k])
            while True:
                chunk, at = copy_small_chunks(cache, layout, chunks, chunk, last, ids, at, min(room, limit_at))
                if chunk == last or at >= room:
                    break
                if at >= limit_at:
                    if looked_further:
                        break
                    # The next chunk might change the ids of the last one, if it is not safe to cut before it. So look it up too.
                    looked_further, limit_at = True, at + 1
                    continue
                given = chunk * np.uint64(CHUNK_WIDTH)
                length, hash_value = np.int64(chunks[given + np.uint64(CHUNK_LENGTH)]), chunks[given + np.uint64(CHUNK_HASH)]
                if SMALL_BYTES < length <= MAX_CHUNK_BYTES:
                    found = copy_large_chunk(cache, layout, hash_value, load_chunk(data, begins[chunk], length), length, ids, at)
                    if found >= 0:
                        at = found
                        chunk += np.uint64(1)
                        continue
                if gap == len(gaps):
                    break
                if length > MAX_CHUNK_BYTES and not is_checked:
                    long_bytes += length
                    if begins[chunk] + length > checked_to:
                        is_checked = True
                        if 2 * long_bytes > begins[chunk] + length - offsets[0]:
                            _clear_slots(missing, missing_chunks, slots)
                            return LONG_CHUNKS
                number = _find_missing(data, begins[chunk], length, hash_value, missing, missing_chunks, slots)
                if number == missing_chunks:
                    missing_chunks += 1
                    missing_bytes += length
                gaps[gap, 0], gaps[gap, 1], gaps[gap, 2] = at, number, text
                gap += 1
                chunk += np.uint64(1)
            is_finished = at >= limit_at and looked_further
            if chunk < last and not is_finished:
                # There is no gap left, or no space.
                state[_TEXT], state[_POSITION], state[_TEXT_AT], state[_AT] = text, begins[chunk], text_at, at
                state[_MISSING], state[_MISSING_BYTES] = missing_chunks, missing_bytes
                return gap
            if k + 1 < window or is_complete or is_finished:
                at = text_at + min(at - text_at, max_tokens)
                text += 1
                id_offsets[text] = text_at = at
                position = offsets[text] if k + 1 == window else position
                limit_at, looked_further = text_at + min(max_tokens, len(ids)), not looks_further
            chunk = last
    state[_TEXT], state[_TEXT_AT], state[_AT] = text, text_at, at
    state[_MISSING], state[_MISSING_BYTES] = missing_chunks, missing_bytes
    return gap if gap > 0 else NO_GAPS


@compiled()
def look_up_packed(
    packed: NDArray[np.int64],
    max_tokens: int,
    cache: NDArray[np.uint64],
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    id_offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
) -> int:
    """Tokenise a few texts whose chunks are all in the cache, as `PackedCore` describes.

    `packed`: the address of `look_up_chunks`, its four settings, and its arrays `state`, `gaps`, `missing` and `slots`, and a window; see `pack`.
    """
    trims, after_newline, drops_space, looks_further = packed[1] != 0, packed[2] != 0, packed[3] != 0, packed[4] != 0
    state, slots = unpack(packed, 5, np.int64), unpack(packed, 11, np.int32)
    gaps, missing = unpack(packed, 7, np.int64).reshape(-1, 3), unpack(packed, 9, np.int64).reshape(-1, 3)
    memory = state, gaps, missing, slots, unpack(packed, 13, np.uint64), id_offsets, ids
    found = call_address_for_int(packed[0], data, offsets, trims, after_newline, drops_space, looks_further, max_tokens, cache, False, *memory)
    if found >= 0:
        _clear_slots(missing, state[_MISSING], slots)
    return found - NO_GAPS


@inner
def _find_missing(
    data: NDArray[np.uint8], begin: int, length: int, hash_value: np.uint64, missing: NDArray[np.int64], count: int, slots: NDArray[np.int32]
) -> int:
    """Return the number of a missing chunk. If it is not one of the first `count`, make it number `count`."""
    missing[count, 0], missing[count, 1], missing[count, 2] = begin, begin + length, -1
    if length > MAX_CHUNK_BYTES:
        return count
    slot = np.int64(hash_value & np.uint64(len(slots) - 1))
    while slots[slot] != 0:
        other = slots[slot] - 1
        k = 0
        while k < length and missing[other, 0] + k < missing[other, 1] and data[missing[other, 0] + k] == data[begin + k]:
            k += 1
        if k == length and missing[other, 0] + k == missing[other, 1]:
            return np.int64(other)
        slot = (slot + 1) & (len(slots) - 1)
    slots[slot] = count + 1
    missing[count, 2] = slot
    return count


@inner
def _clear_slots(missing: NDArray[np.int64], count: int, slots: NDArray[np.int32]) -> None:
    """Clear the hash table of the first `count` missing chunks."""
    for chunk in range(count):
        if missing[chunk, 2] >= 0:
            slots[missing[chunk, 2]] = 0


@compiled()
def gather_chunks(
    data: NDArray[np.uint8],
    missing: NDArray[np.int64],
    slots: NDArray[np.int32],
    out: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    short: NDArray[np.uint8],
) -> None:
    """Make a batch of the missing chunks, and clear the hash table of `look_up_chunks`.

    Args:
        data, missing, slots: see `look_up_chunks`. The first ``len(short)`` rows of `missing` are used.
        out: uint8, output: the bytes of the chunks, then zeros. There must be space for `BLOCK` more bytes.
        offsets: int64, shape (chunks + 1,), output.
        short: uint8, shape (chunks,), output: 1 for the chunks that may be inserted into the cache.
    """
    at = np.int64(0)
    offsets[0] = 0
    for chunk in range(len(short)):
        at = copy_bytes(data, missing[chunk, 0], missing[chunk, 1], out, at)
        offsets[chunk + 1] = at
        short[chunk] = missing[chunk, 2] >= 0
    _clear_slots(missing, len(short), slots)
    out[at : at + BLOCK] = 0


@compiled()
def insert_chunks(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    kept: NDArray[np.uint8],
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
    cache: NDArray[np.uint64],
) -> None:
    """Insert chunks that are not in the cache.

    Args:
        data, offsets: the bytes of the chunks; see `TextBatch`.
        kept: uint8, shape (chunks,): 1 for the chunks to insert. They have at most `MAX_CHUNK_BYTES` bytes.
        ids, id_offsets: the ids of the chunks; see `TokenBatch`.
        cache: see `make_rows`.
    """
    layout = layout_of(cache)
    hashes = np.empty(_AHEAD, np.uint64)
    for block in range(0, len(kept), _AHEAD):
        count = min(_AHEAD, len(kept) - block)
        for k in range(count):
            begin, length = offsets[block + k], offsets[block + k + 1] - offsets[block + k]
            if kept[block + k]:
                hashes[k] = hash_key(load_chunk(data, begin, length))
                if length <= SMALL_BYTES:
                    prefetch_small(cache, layout, hashes[k])
                else:
                    prefetch_large(cache, layout, hashes[k])
        for k in range(count):
            begin, length = offsets[block + k], offsets[block + k + 1] - offsets[block + k]
            first, last = id_offsets[block + k], id_offsets[block + k + 1]
            if kept[block + k]:
                insert_chunk(cache, layout, hashes[k], load_chunk(data, begin, length), length, ids, first, last - first)


@compiled()
def fill_gaps(
    gaps: NDArray[np.int64],
    count: int,
    chunk_offsets: NDArray[np.int64],
    chunk_ids: NDArray[np.int32],
    max_tokens: int,
    state: NDArray[np.int64],
    id_offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
) -> int:
    """Insert the ids of missing chunks into the ids of the texts, and keep the first `max_tokens` ids of each text.

    Args:
        gaps, count: the gaps; see `look_up_chunks`. There is at least one.
        chunk_offsets, chunk_ids: the ids of the missing chunks; see `TokenBatch`.
        state, id_offsets, ids: see `look_up_chunks`. Input and output.

    Returns:
        The number of elements that `ids` needs. If it has fewer, nothing is done.
    """
    last_text = min(state[_TEXT], len(id_offsets) - 2)
    # The text that is not complete ends here for now.
    if state[_TEXT] == last_text:
        id_offsets[last_text + 1] = state[_AT]
    inserted = np.int64(0)
    gap = 0
    while gap < count:
        text = gaps[gap, 2]
        new = np.int64(0)
        while gap < count and gaps[gap, 2] == text:
            new += chunk_offsets[gaps[gap, 1] + 1] - chunk_offsets[gaps[gap, 1]]
            gap += 1
        inserted += min(new, max(max_tokens - (id_offsets[text + 1] - id_offsets[text]), 0))
    needed = id_offsets[last_text + 1] + inserted
    if needed > len(ids):
        return needed
    # From the last text to the first, and within a text from its end to its beginning, so that no id is overwritten before it is moved.
    gap = count
    for text in range(last_text, gaps[0, 2] - 1, -1):
        begin, end = id_offsets[text], id_offsets[text + 1]
        first_gap = gap
        new = np.int64(0)
        while first_gap > 0 and gaps[first_gap - 1, 2] == text:
            first_gap -= 1
            new += chunk_offsets[gaps[first_gap, 1] + 1] - chunk_offsets[gaps[first_gap, 1]]
        kept = min(new, max(max_tokens - (end - begin), 0))
        # Ids at or after this place are cut off.
        stop = end + inserted
        id_offsets[text + 1] = stop
        at = stop + new - kept
        while gap > first_gap:
            gap -= 1
            at = _move(ids, gaps[gap, 0], end, ids, at, stop)
            end = gaps[gap, 0]
            at = _move(chunk_ids, chunk_offsets[gaps[gap, 1]], chunk_offsets[gaps[gap, 1] + 1], ids, at, stop)
        inserted -= kept
        if inserted > 0:
            _move(ids, begin, end, ids, end + inserted, stop)
    if state[_TEXT] == last_text:
        state[_AT] = id_offsets[last_text + 1]
        state[_TEXT_AT] = id_offsets[last_text]
    else:
        state[_TEXT_AT] = state[_AT] = id_offsets[last_text + 1]
    return needed


@inner
def _move(source: NDArray[np.int32], first: int, last: int, ids: NDArray[np.int32], end: int, stop: int) -> int:
    """Copy ``source[first:last]`` to the elements of `ids` before `end`, but not to `stop` or after it. Return where the copy begins."""
    begin = end - (last - first)
    # Indices are unsigned, because numba then omits the check for negative indices.
    target, count = np.uint64(begin), np.uint64(max(min(end, stop) - begin, 0))
    while count > np.uint64(0):
        count -= np.uint64(1)
        ids[target + count] = source[np.uint64(first) + count]
    return begin
