"""Where pre-tokens may be cut into segments: at no place that a token could span."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.tokenization.byte_alphabet import BYTE_TO_CHARACTER
from model2vec_numba.tokenization.lookup.boundaries import cut_into_segments, find_adjacent_characters
from tokenization.cases import Comparison
from tokenization.configs import PRE_TOKENIZERS, bpe_model, config_of, random_merges

LETTERS = "\u3042\u3044\u4e00a \u00e9\u0436\U0001f600"
# Bytes that must follow a text, for loads beyond its end.
PADDING = bytes(32)


@njit
def cut(data: NDArray[np.uint8], size: int, pairs: NDArray[np.uint64], bigrams: NDArray[np.uint64]) -> NDArray[np.int64]:
    ends = np.empty(size + 1, np.int64)
    return ends[: cut_into_segments(data, 0, size, pairs, bigrams, ends)].copy()


def segment_ends(text: str, tokens: list[bytes]) -> list[int]:
    """Return where the segments of a text end, for a vocabulary of these tokens."""
    offsets = np.cumsum([0, *map(len, tokens)]).astype(np.int64)
    adjacent = find_adjacent_characters(TextBatch(np.frombuffer(b"".join(tokens) + b"\0", np.uint8)[:-1], offsets))
    return cut(np.frombuffer(text.encode() + PADDING, np.uint8), len(text.encode()), *adjacent).tolist()


@given(
    st.lists(st.tuples(st.text(LETTERS, min_size=1, max_size=5), st.integers(0, 3), st.integers(0, 3)), max_size=12),
    st.text(LETTERS, min_size=1, max_size=40),
)
@example([("\u3042\u3044\u4e00", 2, 2)], "\u3044\u3042\u3044\u4e00\u3042")
@example([("\u3042\u3044", 2, 0), ("\u4e00a", 0, 1)], "\u3042\u3044\u4e00a")
@example([("\0\u3042\u3044", 0, 0)], "\0\u3042\u3044")
def test_no_token_spans_a_boundary(tokens: list[tuple[str, int, int]], text: str) -> None:
    """Tokens lose bytes at their ends, so that some begin or end inside characters."""
    encoded = [token.encode()[before : len(token.encode()) - behind] for token, before, behind in tokens]
    encoded = [token for token in encoded if token]
    data = text.encode()
    ends = segment_ends(text, encoded)
    assert ends == sorted(set(ends)) and ends[-1] == len(data)
    character_ends = np.cumsum([len(character.encode()) for character in text]).tolist()
    assert set(ends) <= set(character_ends)
    spanned = {
        at
        for token in encoded
        for first in range(len(data))
        if data.startswith(token, first)
        for at in character_ends
        if first < at < first + len(token)
    }
    assert not spanned & set(ends)
    # Without tokens, every character is a segment, but letters stay together.
    if not encoded:
        assert ends == [end for end in character_ends if data[end - 1 : end + 1] != b"aa"]


@pytest.mark.parametrize("count", [1, 40, 85])
def test_most_boundaries_are_found(count: int) -> None:
    """Characters that differ only in their last byte are told apart, whatever the number of bits."""
    kana = [chr(code_point) for code_point in range(0x3041, 0x3097)]
    tokens = ["".join(pair) for pair in itertools.islice(itertools.pairwise(kana), count)]
    offsets = np.arange(0, 6 * count + 1, 6)
    adjacent = find_adjacent_characters(TextBatch(np.frombuffer("".join(tokens).encode() + b"\0", np.uint8)[:-1], offsets))
    other_pairs = {first + second for first in kana for second in kana} - {*tokens}
    found = sum(len(cut(np.frombuffer(pair.encode() + PADDING, np.uint8), 6, *adjacent)) == 2 for pair in other_pairs)
    # There are at least sixteen bits for each bit that is set.
    assert found > 0.9 * len(other_pairs)


def check_merges_of_bytes(draw: random.Random, pre_tokenizer: str, ignore_merges: bool) -> None:
    """Compare a model with tokens that begin and end anywhere inside characters, also for texts whose segments are in the cache."""
    alphabet = "".join(dict.fromkeys(BYTE_TO_CHARACTER[byte] for byte in "\u3042\u3044\u4e00a".encode()))
    merges = random_merges(draw, alphabet, draw.randint(0, 60))
    known = draw.sample(alphabet, k=draw.choice([len(alphabet), len(alphabet), len(alphabet) - 1]))
    unknown = draw.choice([None, "[UNK]"])
    case = Comparison(config_of(bpe_model(merges, known, ignore_merges=ignore_merges, unk_token=unknown), PRE_TOKENIZERS[pre_tokenizer]))
    texts = ["".join(draw.choices("\u3042\u3044\u4e00a", k=length)) for length in (1, 2, 3, 4, 6, 7, 8, 9, 12, 15, 20, 40, 90) for _ in "ab"]
    case.check(texts)
    case.check([*texts[::-1], "".join(texts)])


BYTE_LEVELS = ["byte-level-bare", "byte-level", "llama3-bytes"]


@pytest.mark.parametrize("seed", range(10))
def test_merges_of_bytes(seed: int) -> None:
    check_merges_of_bytes(random.Random(seed), BYTE_LEVELS[seed % 3], seed % 2 == 0)


@pytest.mark.exhaustive
@given(st.randoms(use_true_random=False), st.sampled_from(BYTE_LEVELS), st.booleans())
def test_random_merges_of_bytes(draw: random.Random, pre_tokenizer: str, ignore_merges: bool) -> None:
    check_merges_of_bytes(draw, pre_tokenizer, ignore_merges)


def test_the_unknown_token_in_segments() -> None:
    """The unknown token is dropped from a text of several segments, and from a text that is only this token."""
    model = bpe_model([("\u3042", "\u3044")], ["a", "b", "\u3042", "\u3044"], unk_token="b")
    case = Comparison(config_of(model, PRE_TOKENIZERS["whitespace"]))
    case.check(["ab\u3042\u3044b\u3042\u3042\u3044\u3044ba"])
    case.check(["b", "ab", "b a b", "bb"])
