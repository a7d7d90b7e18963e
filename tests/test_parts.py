"""Parts of pieces, and what is remembered of them: by their definitions, and through models against the `tokenizers` library."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray
from stage_cases import PRE_TOKENIZERS, PipelineCase, bpe_model, parts_of, random_merges

from model2vec_numba.text import TextBatch
from model2vec_numba.tokenization import memo
from model2vec_numba.tokenization.byte_level import CHARACTER_TO_BYTE
from model2vec_numba.tokenization.memo import (
    MEMO_BYTES,
    MEMO_IDS,
    MOST_MEMO_ID,
    SOUGHT_COLUMNS,
    Memos,
    copy_ids,
    copy_ids_only,
    copy_known,
    find_row,
    memo_hash,
    memo_key,
    remember,
    row_flags,
    seek_parts,
    seek_pieces,
)
from model2vec_numba.tokenization.models.parts import cut_into_parts, find_neighbours

_BYTE_TO_CHARACTER = {byte: character for character, byte in CHARACTER_TO_BYTE.items()}
LETTERS = "\u3042\u3044\u4e00a \u00e9\u0436\U0001f600"


@njit
def cut(data: NDArray[np.uint8], size: int, pairs: NDArray[np.uint64], bigrams: NDArray[np.uint64]) -> NDArray[np.int64]:
    ends = np.empty(size + 1, np.int64)
    return ends[: cut_into_parts(data, 0, size, pairs, bigrams, ends)].copy()


@given(
    st.lists(st.tuples(st.text(LETTERS, min_size=1, max_size=5), st.integers(0, 3), st.integers(0, 3)), max_size=12),
    st.text(LETTERS, min_size=1, max_size=40),
)
@example([("\u3042\u3044\u4e00", 2, 2)], "\u3044\u3042\u3044\u4e00\u3042")
@example([("\u3042\u3044", 2, 0), ("\u4e00a", 0, 1)], "\u3042\u3044\u4e00a")
@example([("\0\u3042\u3044", 0, 0)], "\0\u3042\u3044")
def test_no_token_reaches_over_a_cut(tokens: list[tuple[str, int, int]], text: str) -> None:
    """Tokens lose bytes at their ends, so that some begin and end within characters."""
    encoded = [token.encode()[before : len(token.encode()) - behind] for token, before, behind in tokens]
    encoded = [token for token in encoded if token]
    data = text.encode()
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    neighbours = find_neighbours(TextBatch(np.frombuffer(b"".join(encoded) + b"\0", np.uint8)[:-1], offsets))
    ends = cut(np.frombuffer(data + bytes(MEMO_BYTES), np.uint8), len(data), *neighbours).tolist()
    assert ends == sorted(set(ends)) and ends[-1] == len(data)
    boundaries = np.cumsum([len(character.encode()) for character in text]).tolist()
    assert set(ends) <= set(boundaries)
    spanned = {
        at for token in encoded for first in range(len(data)) if data.startswith(token, first) for at in boundaries if first < at < first + len(token)
    }
    assert not spanned & set(ends)
    # And of the other boundaries not many are left out for nothing: none where no two characters or bytes meet as they do in a token.
    if not encoded:
        assert ends == boundaries


def test_neighbours_are_told_apart() -> None:
    """Also characters that differ in their last byte alone, and whatever the number of bits."""
    kana = [chr(code_point) for code_point in range(0x3041, 0x3097)]
    for count in (1, 40, 85):
        tokens = ["".join(pair) for pair in itertools.islice(itertools.pairwise(kana), count)]
        offsets = np.arange(0, 6 * count + 1, 6)
        neighbours = find_neighbours(TextBatch(np.frombuffer("".join(tokens).encode() + b"\0", np.uint8)[:-1], offsets))
        strangers = {first + second for first in kana for second in kana} - {*tokens}
        parted = sum(len(cut(np.frombuffer(pair.encode() + bytes(MEMO_BYTES), np.uint8), 6, *neighbours)) == 2 for pair in strangers)
        # There are at least sixteen bits for each that is set.
        assert parted > 0.9 * len(strangers)


@njit
def look_up(rows: NDArray[np.uint64], data: NDArray[np.uint8], length: int, ids: NDArray[np.int32]) -> tuple[int, np.uint64]:
    key = memo_key(data, 0, length)
    row = find_row(rows, memo_hash(key), key, length)
    return (copy_ids(rows, row, ids, 0), row_flags(rows, row)) if row >= 0 else (-1, np.uint64(0))


@njit
def look_up_exactly(rows: NDArray[np.uint64], data: NDArray[np.uint8], length: int, ids: NDArray[np.int32]) -> int:
    key = memo_key(data, 0, length)
    row = find_row(rows, memo_hash(key), key, length)
    return copy_ids_only(rows, row, ids, 0) if row >= 0 else -1


@njit
def look_up_ahead(
    rows: NDArray[np.uint64], data: NDArray[np.uint8], length: int, flags: np.uint64, ids: NDArray[np.int32]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """As a piece, and as its only part."""
    sought = np.empty((1, SOUGHT_COLUMNS), np.uint64)
    ends = np.full(1, length)
    seek_pieces(data, np.zeros(1, np.int64), ends, 0, rows, sought)
    piece = copy_known(sought, 0, 1, rows, np.uint64(1), flags, ids, 0)
    seek_parts(data, 0, ends, 1, 0, rows, sought)
    return piece, copy_known(sought, 0, 1, rows, np.uint64(1), flags, ids, 0)


@njit
def enter(rows: NDArray[np.uint64], data: NDArray[np.uint8], length: int, ids: NDArray[np.int32]) -> None:
    key = memo_key(data, 0, length)
    remember(rows, memo_hash(key), key, length, np.uint64(3), ids, 0, len(ids))


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=MEMO_BYTES), st.lists(st.integers(0, MOST_MEMO_ID), max_size=MEMO_IDS + 1))), st.data())
def test_memo(entries: list[tuple[bytes, list[int]]], data: Any) -> None:
    """What is found is what was entered; what is not entered is not found, whatever NULs it ends in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memo, "_ROWS", data.draw(st.sampled_from([8, 16, 1024])))
        rows, _ = Memos().take()
    assert rows.ctypes.data % 64 == 0
    entered: dict[bytes, list[int]] = {}
    ids = np.empty(2 * MEMO_IDS, np.int32)

    def found(text: bytes) -> list[int] | None:
        data = np.frombuffer(text + b"\xff" * MEMO_BYTES, np.uint8)
        count, flags = look_up(rows, data, len(text), ids)
        result = None if count < 0 else ids[:count].tolist()
        assert flags == (0 if result is None else 3)
        # The other ways to the same.
        ids[:] = -1
        assert look_up_exactly(rows, data, len(text), ids) == count
        assert (ids[: max(count, 0)].tolist() or None) == (result or None) and set(ids[max(count, 0) :].tolist()) == {-1}
        assert look_up_ahead(rows, data, len(text), np.uint64(0), ids) == ((0, 0), (0, 0))
        assert look_up_ahead(rows, data, len(text), np.uint64(1), ids) == (((0, 0),) * 2 if result is None else ((1, count),) * 2)
        assert result is None or ids[:count].tolist() == result
        return result

    for text, becomes in entries:
        if found(text) is not None:
            continue
        # Where there is room enough nothing is forgotten.
        assert len(rows) < 8192 or text not in entered or len(entered[text]) > MEMO_IDS
        enter(rows, np.frombuffer(text + b"\xff" * MEMO_BYTES, np.uint8), len(text), np.array(becomes, np.int32))
        entered[text] = becomes
        assert found(text) == (becomes if len(becomes) <= MEMO_IDS else None)
    for text, becomes in entered.items():
        assert found(text) in (becomes, None)
        for other in (text + b"\0", text[:-1], text[1:]):
            if 0 < len(other) <= MEMO_BYTES:
                assert found(other) in (entered.get(other), None)


@pytest.mark.parametrize("gap", [8, 15])
@pytest.mark.parametrize("begin", [0, 8, 16])
def test_memo_of_texts_that_differ_behind_nuls(begin: int, gap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are so few rows, all of them full, that each is looked at for every text."""
    monkeypatch.setattr(memo, "_ROWS", 8)
    rows, _ = Memos().take()
    ids = np.empty(2 * MEMO_IDS, np.int32)

    def padded(text: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(text + bytes(MEMO_BYTES), np.uint8)

    for number in range(200):
        filler = b"%d" % number * (1 + number % 2 * 8)
        enter(rows, padded(filler), len(filler), np.array([number], np.int32))
    texts = [b"a" * begin + bytes(gap) + last for last in (b"x", b"y", b"")]
    for text in texts:
        assert look_up(rows, padded(text), len(text), ids)[0] == -1
        enter(rows, padded(text), len(text), np.array([len(text)], np.int32))
        assert look_up(rows, padded(text), len(text), ids)[0] == 1
        assert ids[0] == len(text)


@pytest.mark.exhaustive
@given(st.randoms(use_true_random=False), st.sampled_from(["byte-level-bare", "byte-level", "llama3-bytes"]), st.booleans())
def test_merges_of_bytes_of_characters(draw: random.Random, pre_tokenizer: str, whole_words: bool) -> None:
    """Tokens that begin and end anywhere in characters; the same texts again, once their parts are remembered."""
    alphabet = "".join(dict.fromkeys(_BYTE_TO_CHARACTER[byte] for byte in "\u3042\u3044\u4e00a".encode()))
    merges = random_merges(draw, alphabet, draw.randint(0, 60))
    known = draw.sample(alphabet, k=draw.choice([len(alphabet), len(alphabet), len(alphabet) - 1]))
    unknown = draw.choice([None, "[UNK]"])
    case = PipelineCase(parts_of(PRE_TOKENIZERS[pre_tokenizer], bpe_model(merges, known, ignore_merges=whole_words, unk_token=unknown)))
    texts = ["".join(draw.choices("\u3042\u3044\u4e00a", k=length)) for length in (1, 2, 3, 4, 6, 7, 8, 9, 12, 15, 20, 40, 90) for _ in "ab"]
    case.check(texts)
    case.check([*texts[::-1], "".join(texts)])


@pytest.mark.parametrize("pre_tokenizer", ["byte-level", "llama3-bytes"])
def test_a_memo_that_is_full(pre_tokenizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_ROWS", 16)
    draw = random.Random(8)
    characters = [*CHARACTER_TO_BYTE]
    case = PipelineCase(parts_of(PRE_TOKENIZERS[pre_tokenizer], bpe_model(random_merges(draw, "".join(characters), 400), characters)))
    texts = ["".join(draw.choices("ab\u3042\u3044\u4e00 \u00e9", k=30)) for _ in range(300)]
    for _ in range(2):
        case.check(texts)


def test_the_unknown_token_as_a_part() -> None:
    """A text that holds the unknown token is remembered part by part, and then the token alone: it is dropped from both."""
    letters = ["a", "b", "\u3042", "\u3044"]
    model = bpe_model([("\u3042", "\u3044")], letters, unk_token="b")
    case = PipelineCase(parts_of(PRE_TOKENIZERS["whitespace"], model))
    case.check(["ab\u3042\u3044b\u3042\u3042\u3044\u3044ba"])
    case.check(["b", "ab", "b a b", "bb"])
