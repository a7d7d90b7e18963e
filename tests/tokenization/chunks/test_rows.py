"""The rows of the cache of chunks: a dict with limits, which several threads fill at the same time."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from model2vec_numba.tokenization.chunks import rows
from model2vec_numba.tokenization.chunks.rows import (
    CHUNK_HASH,
    CHUNK_HEAD,
    CHUNK_LENGTH,
    CHUNK_TAIL,
    CHUNK_WIDTH,
    MAX_CHUNK_BYTES,
    MAX_IDS,
    SMALL_BYTES,
    copy_large_chunk,
    copy_rows,
    copy_small_chunks,
    insert_chunk,
    is_full,
    layout_of,
    load_chunk,
    make_rows,
)
from model2vec_numba.tokenization.lookup.hashing import hash_key

# The ids that a look-up must not change.
UNTOUCHED = -7


@njit(nogil=True)
def insert_all(
    cache: NDArray[np.uint64], data: NDArray[np.uint8], offsets: NDArray[np.int64], ids: NDArray[np.int32], id_offsets: NDArray[np.int64]
) -> None:
    layout = layout_of(cache)
    for chunk in range(len(offsets) - 1):
        length = offsets[chunk + 1] - offsets[chunk]
        key = load_chunk(data, offsets[chunk], length)
        insert_chunk(cache, layout, hash_key(key), key, length, ids, id_offsets[chunk], id_offsets[chunk + 1] - id_offsets[chunk])


@njit(nogil=True)
def look_up_one(cache: NDArray[np.uint64], data: NDArray[np.uint8], ids: NDArray[np.int32]) -> int:
    """Return the number of ids of a chunk, or -1."""
    length = len(data)
    key = load_chunk(data, 0, length)
    if length > SMALL_BYTES:
        return copy_large_chunk(cache, layout_of(cache), hash_key(key), key, length, ids, 0)
    chunks = np.empty(CHUNK_WIDTH, np.uint64)
    chunks[CHUNK_HEAD], chunks[CHUNK_TAIL], chunks[CHUNK_LENGTH], chunks[CHUNK_HASH] = key[0], key[1], length, hash_key(key)
    found, at = copy_small_chunks(cache, layout_of(cache), chunks, np.uint64(0), np.uint64(1), ids, 0, 1)
    return at if found == np.uint64(1) else -1


def look_up(cache: NDArray[np.uint64], chunk: bytes) -> list[int] | None:
    """Return the ids of a chunk. No more elements than promised may be overwritten."""
    ids = np.full(MAX_IDS + 1, UNTOUCHED, np.int32)
    count = look_up_one(cache, np.frombuffer(chunk, np.uint8), ids)
    assert ids[MAX_IDS] == UNTOUCHED
    return None if count < 0 else ids[:count].tolist()


def fill(cache: NDArray[np.uint64], known: dict[bytes, list[int]]) -> None:
    chunks, lists = list(known), list(known.values())
    offsets, id_offsets = (np.cumsum([0, *map(len, parts)]) for parts in (chunks, lists))
    # No byte follows the last chunk.
    ids = np.array([number for numbers in lists for number in numbers], np.int32)
    insert_all(cache, np.frombuffer(b"".join(chunks), np.uint8), offsets, ids, id_offsets)


def random_chunks(draw: random.Random, count: int, max_ids: int = MAX_IDS) -> dict[bytes, list[int]]:
    lengths = [*range(1, MAX_CHUNK_BYTES + 1)]
    return {draw.randbytes(draw.choice(lengths)): [draw.randrange(1 << 31) for _ in range(draw.randrange(max_ids + 1))] for _ in range(count)}


@pytest.mark.parametrize("seed", range(3))
def test_the_cache_is_a_dict(seed: int) -> None:
    draw = random.Random(seed)
    known = random_chunks(draw, 5_000)
    cache = make_rows()
    fill(cache, known)
    assert all(look_up(cache, chunk) == ids for chunk, ids in known.items())
    assert not is_full(cache)
    others = random_chunks(draw, 2_000)
    # Chunks that differ in one byte, or only in their length.
    others |= {chunk + b"\0": [] for chunk in known if len(chunk) < MAX_CHUNK_BYTES}
    others |= {bytes([chunk[0] ^ 1]) + chunk[1:]: [] for chunk in known}
    assert all(look_up(cache, chunk) is None for chunk in others if chunk not in known)


def test_a_chunk_with_too_many_ids_is_left_out() -> None:
    cache = make_rows()
    fill(cache, {b"many": list(range(MAX_IDS + 1)), b"most": list(range(MAX_IDS))})
    assert look_up(cache, b"many") is None
    assert look_up(cache, b"most") == list(range(MAX_IDS))


@pytest.mark.parametrize(("length", "count"), [(8, 1), (24, 1), (8, 20)], ids=["small rows", "large rows", "arena"])
def test_a_full_cache_says_so_and_stays_right(length: int, count: int) -> None:
    draw = random.Random(length + count)
    cache = make_rows()
    known: dict[bytes, list[int]] = {}
    while not is_full(cache):
        more = {draw.randbytes(length): [draw.randrange(1 << 31) for _ in range(count)] for _ in range(2_000)}
        fill(cache, more)
        known |= more
        assert len(known) < 1 << 17
    # It can be filled further until it is replaced. Then some chunks are left out.
    for _ in range(60):
        more = {draw.randbytes(length): [draw.randrange(1 << 31) for _ in range(count)] for _ in range(2_000)}
        fill(cache, more)
        known |= more
    found = {chunk: look_up(cache, chunk) for chunk in known}
    assert all(ids is None or ids == known[chunk] for chunk, ids in found.items())
    assert 1_000 < sum(ids is None for ids in found.values()) < len(known) - 1_000


@pytest.mark.parametrize("small_rows", [1 << 12, 1 << 14, 1 << 16])
def test_a_copy_has_the_same_chunks(small_rows: int) -> None:
    """A row that is being filled is left out."""
    draw = random.Random(small_rows)
    known = random_chunks(draw, 500)
    cache, larger = make_rows(small_rows), make_rows(4 * small_rows)
    fill(cache, known)
    found = {chunk: look_up(cache, chunk) for chunk in known}
    empty = int((cache[rows._SMALL_HEADER : small_rows * rows._SMALL_WIDTH : rows._SMALL_WIDTH] == 0).nonzero()[0][0])
    cache[empty * rows._SMALL_WIDTH + rows._SMALL_HEADER] = rows._CLAIMED
    copy_rows(cache, larger)
    assert {chunk: look_up(larger, chunk) for chunk in known} == found
    assert sum(ids is not None for ids in found.values()) > 250
    assert sum(larger[-rows._TAIL :][:2]) == sum(ids is not None for ids in found.values())


def test_a_row_that_is_claimed_is_passed_over() -> None:
    cache = make_rows()
    fill(cache, {b"first": [1]})
    row = int(cache.nonzero()[0][0])
    header = row + rows._SMALL_HEADER
    cache[header] = rows._CLAIMED
    assert look_up(cache, b"first") is None
    fill(cache, {b"first": [2]})
    assert look_up(cache, b"first") == [2]


def test_threads_fill_the_cache_together() -> None:
    draw = random.Random(5)
    known = random_chunks(draw, 20_000, max_ids=9)
    cache = make_rows(1 << 18)
    chunks = list(known)
    parts = [{chunk: known[chunk] for chunk in draw.sample(chunks, 2_500)} for _ in range(8)]

    def work(part: dict[bytes, list[int]]) -> bool:
        fill(cache, part)
        return all(look_up(cache, chunk) in (None, known[chunk]) for chunk in chunks)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, parts))
    inserted = set().union(*parts)
    assert sum(look_up(cache, chunk) is None for chunk in inserted) < len(inserted) // 100
