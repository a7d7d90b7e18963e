"""The cache from texts to ids: a dict with limits, and models whose cache is full."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from model2vec_numba.tokenization.byte_alphabet import CHARACTER_TO_BYTE
from model2vec_numba.tokenization.lookup import piece_cache
from model2vec_numba.tokenization.lookup.hashing import hash_key
from model2vec_numba.tokenization.lookup.piece_cache import (
    LARGEST_CACHED_ID,
    MAX_CACHED_BYTES,
    MAX_IDS_PER_ROW,
    PREFETCHED_COLUMNS,
    copy_cached,
    copy_ids,
    find_row,
    insert,
    load_key,
    make_piece_cache,
    prefetch_pre_tokens,
    prefetch_segments,
    row_flags,
)
from tokenization.cases import Comparison
from tokenization.configs import PRE_TOKENIZERS, Config, bpe_model, config_of, random_merges, small_model
from tokenization.texts import natural_texts

# The flags that the tests insert with each text.
FLAGS = 3


@njit
def look_up(cache: NDArray[np.uint64], data: NDArray[np.uint8], length: int, ids: NDArray[np.int32]) -> tuple[int, np.uint64]:
    key = load_key(data, 0, length)
    row = find_row(cache, hash_key(key), key, length)
    return (copy_ids(cache, row, ids, 0), row_flags(cache, row)) if row >= 0 else (-1, np.uint64(0))


@njit
def look_up_prefetched(
    cache: NDArray[np.uint64], data: NDArray[np.uint8], length: int, flags: np.uint64, ids: NDArray[np.int32]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Look a text up as a pre-token, and as its only segment."""
    prefetched = np.empty((1, PREFETCHED_COLUMNS), np.uint64)
    ends = np.full(1, length)
    prefetch_pre_tokens(data, np.zeros(1, np.int64), ends, 0, cache, prefetched)
    whole = copy_cached(prefetched, 0, 1, cache, np.uint64(1), flags, ids, 0)
    prefetch_segments(data, 0, ends, 1, 0, cache, prefetched)
    return whole, copy_cached(prefetched, 0, 1, cache, np.uint64(1), flags, ids, 0)


@njit
def enter(cache: NDArray[np.uint64], data: NDArray[np.uint8], length: int, ids: NDArray[np.int32]) -> None:
    key = load_key(data, 0, length)
    insert(cache, hash_key(key), key, length, np.uint64(FLAGS), ids, 0, len(ids))


def padded(text: bytes, byte: int = 0xFF) -> NDArray[np.uint8]:
    """Return a text with the bytes after it that the cache may read."""
    return np.frombuffer(text + bytes([byte]) * MAX_CACHED_BYTES, np.uint8)


def find(cache: NDArray[np.uint64], text: bytes) -> list[int] | None:
    """Return the ids of a text, ``None`` if the cache does not have it. All ways to look it up must agree."""
    data, ids = padded(text), np.empty(2 * MAX_IDS_PER_ROW, np.int32)
    count, flags = look_up(cache, data, len(text), ids)
    found = None if count < 0 else ids[:count].tolist()
    assert flags == (0 if found is None else FLAGS)
    # Bit 0 of the flags is compared: it is set in every row.
    assert look_up_prefetched(cache, data, len(text), np.uint64(0), ids) == ((0, 0), (0, 0))
    assert look_up_prefetched(cache, data, len(text), np.uint64(1), ids) == (((0, 0),) * 2 if found is None else ((1, count),) * 2)
    assert found is None or ids[:count].tolist() == found
    return found


IDS = st.lists(st.integers(0, LARGEST_CACHED_ID), max_size=MAX_IDS_PER_ROW + 1)
ENTRIES = st.lists(st.tuples(st.binary(min_size=1, max_size=MAX_CACHED_BYTES), IDS), max_size=20)


def check_like_a_dict(rows: int, entries: list[tuple[bytes, list[int]]]) -> None:
    """Every text that is found has the ids that were inserted. Texts that only look like it are not found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(piece_cache, "_SMALL_ROWS", rows)
        cache = make_piece_cache()
    # Rows begin where cache lines begin.
    assert cache.ctypes.data % 64 == 0
    inserted: dict[bytes, list[int]] = {}
    for text, ids in entries:
        if find(cache, text) is not None:
            continue
        # If there are enough rows, no text is replaced.
        assert rows < 1024 or text not in inserted or len(inserted[text]) > MAX_IDS_PER_ROW
        enter(cache, padded(text), len(text), np.array(ids, np.int32))
        inserted[text] = ids
        assert find(cache, text) == (ids if len(ids) <= MAX_IDS_PER_ROW else None)
    for text, ids in inserted.items():
        assert find(cache, text) in (ids, None)
        for other in (text + b"\0", text[:-1], text[1:]):
            if 0 < len(other) <= MAX_CACHED_BYTES:
                assert find(cache, other) in (inserted.get(other), None)


@settings(max_examples=40)
@given(st.sampled_from([8, 16, 1024]), ENTRIES)
def test_like_a_dict(rows: int, entries: list[tuple[bytes, list[int]]]) -> None:
    check_like_a_dict(rows, entries)


@pytest.mark.exhaustive
@settings(max_examples=500)
@given(st.sampled_from([8, 16, 1024]), ENTRIES)
def test_like_a_dict_for_long(rows: int, entries: list[tuple[bytes, list[int]]]) -> None:
    check_like_a_dict(rows, entries)


@pytest.mark.parametrize("count", range(MAX_IDS_PER_ROW + 2))
@pytest.mark.parametrize("length", [1, 15, 16, 17, 24, 25, MAX_CACHED_BYTES])
def test_sizes_of_rows(length: int, count: int) -> None:
    """Every number of ids up to the largest fits, with the largest id; more ids or a larger id do not."""
    cache = make_piece_cache()
    text = bytes(range(1, length + 1))
    enter(cache, padded(text), length, np.full(count, LARGEST_CACHED_ID, np.int32))
    assert find(cache, text) == ([LARGEST_CACHED_ID] * count if count <= MAX_IDS_PER_ROW else None)
    enter(cache, padded(text[::-1]), length, np.array([1, LARGEST_CACHED_ID + 1], np.int32))
    assert find(cache, text[::-1]) in (None, [LARGEST_CACHED_ID] * count if length == 1 else None)


@pytest.mark.parametrize("gap", [8, 15])
@pytest.mark.parametrize("begin", [0, 8, 16])
def test_texts_that_differ_after_nuls(begin: int, gap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are so few rows, and all are full, that each of them is looked at for every text."""
    monkeypatch.setattr(piece_cache, "_SMALL_ROWS", 8)
    cache = make_piece_cache()
    for number in range(200):
        filler = b"%d" % number * (1 + number % 2 * 8)
        enter(cache, padded(filler, 0), len(filler), np.array([number], np.int32))
    for text in [b"a" * begin + bytes(gap) + last for last in (b"x", b"y", b"")]:
        assert find(cache, text) is None
        enter(cache, padded(text, 0), len(text), np.array([len(text)], np.int32))
        assert find(cache, text) == [len(text)]


# Models with a cache that is full.


def bytes_model() -> Config:
    """Return a BPE model with random merges of bytes."""
    characters = [*CHARACTER_TO_BYTE]
    return bpe_model(random_merges(random.Random(8), "".join(characters), 400), characters)


@pytest.mark.parametrize("pre_tokenizer", ["byte-level", "llama3-bytes", "spaces-metaspace-always-\u2581", "metaspace-always-whole-\u2581"])
def test_full_cache(pre_tokenizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More words than there are rows, in one call and in several."""
    monkeypatch.setattr(piece_cache, "_SMALL_ROWS", 16)
    model = small_model("unigram") if "metaspace" in pre_tokenizer else bytes_model()
    case = Comparison(config_of(model, PRE_TOKENIZERS[pre_tokenizer]))
    draw = random.Random(8)
    texts = [*("".join(draw.choices("ab\u3042\u3044\u4e00 \u00e9", k=30)) for _ in range(200)), *natural_texts()[::100]]
    for _ in range(2):
        case.check([" ".join(texts), *texts])


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.exhaustive)])
def test_more_words_than_rows(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many distinct words of several tokens each, twice. There are fewer rows, so that few words are enough; or as many as in the package."""
    if count < 1000:
        monkeypatch.setattr(piece_cache, "_SMALL_ROWS", 1 << 10)
    draw = random.Random(3)
    texts = [" ".join("".join(draw.choices("etaoinshrdlu\u0436\u4e00", k=draw.randint(1, 12))) for _ in range(20)) for _ in range(count)]
    case = Comparison(config_of(small_model("bpe-bytes"), PRE_TOKENIZERS["byte-level"]))
    case.check(texts)
    case.check(texts[::-1])
