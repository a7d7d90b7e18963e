"""BPE: merging by its definition, random models against the library, and the files that the package does not take."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import EDGE_TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.errors import ModelFormatError
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.models.bpe.merging import HEAP_FACTOR, merge_by_heap, merge_by_scanning
from model2vec_numba.tokenization.models.bpe.tables import build_bpe_vocabulary
from tokenization.cases import CASES, Comparison, check, comparison, spec_of
from tokenization.configs import (
    PRE_TOKENIZERS,
    SMALL,
    Config,
    bpe_model,
    byte_level,
    config_of,
    random_bpe_model,
    random_merges,
    sequence,
    small_config,
    small_model,
    with_added_tokens,
    with_model,
    with_tokens,
)
from tokenization.texts import mixed_texts, natural_texts, words

# The cases of the table with this model.
BPE_CASES = [name for name, case in CASES.items() if case.cores and case.make()["model"].get("type") == "BPE"]


# Merging.


def merge_by_definition(symbols: list[int], merges: dict[tuple[int, int], tuple[int, int]]) -> list[int]:
    """Merge the adjacent pair of the lowest rank, of equal ones the leftmost, until no pair has a merge."""
    while True:
        found = [(merges[pair][0], i) for i, pair in enumerate(itertools.pairwise(symbols)) if pair in merges]
        if not found:
            return symbols
        _, i = min(found)
        symbols = [*symbols[:i], merges[symbols[i], symbols[i + 1]][1], *symbols[i + 2 :]]


@njit
def scan(symbols: NDArray[np.int32], count: int, merges: NDArray[np.int64]) -> int:
    return merge_by_scanning(symbols, count, merges, np.empty(count + 1, np.int64))


@njit
def use_heap(symbols: NDArray[np.int32], count: int, merges: NDArray[np.int64]) -> tuple[int, int, int, int]:
    return merge_by_heap(symbols, count, merges, np.empty((count + 1, 3), np.int32), np.empty(HEAP_FACTOR * (count + 1), np.int64))


def ordered_tables(config: Config, merges: NDArray[np.int64], *, from_bytes: bool = False) -> tuple[Any, bool]:
    """Return the arrays of a BPE vocabulary, and whether its merges are in order."""
    vocabulary = config["model"]["vocab"]
    ids = np.fromiter(vocabulary.values(), np.int32)
    return build_bpe_vocabulary(flatten([*vocabulary]), ids, merges, int(ids.max()) + 1, from_bytes=from_bytes, ignore_merges=False)


@given(st.randoms(use_true_random=False), st.integers(0, 60), st.integers(0, 70))
def test_merging(draw: random.Random, count: int, length: int) -> None:
    """Both ways to merge give what the definition gives."""
    config = config_of(bpe_model(random_merges(draw, "abc", count), "abc"))
    merges = spec_of(config).merges
    assert merges is not None
    by_pair = {(left, right): (rank, merged) for rank, (left, right, merged) in enumerate(merges.tolist())}
    tables, _ = ordered_tables(config, merges)
    symbols = [config["model"]["vocab"][draw.choice("abc")] for _ in range(length)]
    expected = merge_by_definition(symbols, by_pair)
    scanned: NDArray[np.int32] = np.array([*symbols, 0], np.int32)
    assert scanned[: scan(scanned, length, tables.merges)].tolist() == expected
    heaped: NDArray[np.int32] = np.array([*symbols, 0], np.int32)
    kept, *last = use_heap(heaped, length, tables.merges)
    assert heaped[:kept].tolist() == expected
    assert (last == [-1, -1, -1]) == (kept == length)


def test_order_of_merges() -> None:
    """Trained merges are in order. Reversed ones are not."""
    for name in ("bpe", "bpe-bytes"):
        config = small_config(name)
        merges = spec_of(config).merges
        assert merges is not None
        assert ordered_tables(config, merges)[1]
        assert not ordered_tables(config, merges[::-1].copy())[1]


# Models.


def check_random_model(draw: random.Random, pre_tokenizer: str) -> None:
    """Compare a model with any merges, in order or not, on short and long words."""
    case = Comparison(config_of(random_bpe_model(draw), PRE_TOKENIZERS[pre_tokenizer]))
    lengths = (1, 2, 3, 5, 9, 15, 17, 20, 40, 70, 90, 200)
    case.check(["".join(draw.choices("aab\u00e9\u4e00cd ", k=length)) for length in lengths])
    case.check([*("".join(draw.choices("ab", k=length)) for length in lengths), *("a" * length for length in (2, 3, 17, 33, 80))])


SOME_PRE_TOKENIZERS = ["none", "byte-level-bare", "whitespace", "byte-level", "llama3-bytes"]


@pytest.mark.parametrize("pre_tokenizer", SOME_PRE_TOKENIZERS)
@settings(max_examples=8)
@given(st.randoms(use_true_random=False))
def test_random_models(pre_tokenizer: str, draw: random.Random) -> None:
    check_random_model(draw, pre_tokenizer)


@pytest.mark.exhaustive
@settings(max_examples=500)
@given(st.randoms(use_true_random=False), st.sampled_from(SOME_PRE_TOKENIZERS))
def test_many_random_models(draw: random.Random, pre_tokenizer: str) -> None:
    check_random_model(draw, pre_tokenizer)


def check_random_pipeline(draw: random.Random, names: list[str], kind: str, texts: list[str]) -> None:
    """Compare a model of any kind after any pre-tokenisers."""
    model = random_bpe_model(draw) if draw.random() < 0.5 else small_model(kind)
    case = Comparison(config_of(model, sequence(*(PRE_TOKENIZERS[name] for name in names))))
    case.check([*texts, *draw.choices(natural_texts(), k=3), *draw.choices(EDGE_TEXTS, k=2)])


PIPELINES = (
    st.randoms(use_true_random=False),
    # Metaspaces that ask for the beginning of a text cannot follow another pre-tokeniser.
    st.lists(st.sampled_from([name for name, config in PRE_TOKENIZERS.items() if config is not None and "first" not in name]), max_size=3),
    st.sampled_from([name for name in SMALL if "unigram" not in name]),
    st.lists(st.text(alphabet=" 'sthe1.\u00e9\u6f22\n", max_size=50), max_size=5),
)


@settings(max_examples=30)
@given(*PIPELINES)
def test_random_pipelines(draw: random.Random, names: list[str], kind: str, texts: list[str]) -> None:
    check_random_pipeline(draw, names, kind, texts)


@pytest.mark.exhaustive
@settings(max_examples=500)
@given(*PIPELINES)
def test_many_random_pipelines(draw: random.Random, names: list[str], kind: str, texts: list[str]) -> None:
    check_random_pipeline(draw, names, kind, texts)


def test_both_forms_of_merges() -> None:
    """Merges may be pairs, or strings as in `merges.txt`, with its first line or without."""
    merges = small_model("bpe-bytes")["merges"]
    for form in (merges, [" ".join(merge) for merge in merges], ["#version: 0.2", *(" ".join(merge) for merge in merges)]):
        case = Comparison(config_of(small_model("bpe-bytes", merges=form), byte_level()))
        assert "pipeline" in case.tokenizers
        case.check(mixed_texts()[::5])


def test_tokens_that_no_text_gives() -> None:
    """Tokens with characters that stand for no byte, an empty token, and tokens with a NUL, also as parts of merges."""
    merges = [("a", "b"), ("ab", "\u4e00"), ("\u4e00", "c"), ("a", "\0"), ("\u0120", "a")]
    model = bpe_model(merges, ["", "<|end of text|>", "\u2581x", "\ufffd", "c", "\u0100"])
    for pre_tokenizer in (byte_level(), byte_level(prefix=True, regex=False), None):
        Comparison(config_of(model, pre_tokenizer)).check(["ab\u4e00c", "a\0", "\0a", " a", "", "\u2581x", "abc", "\u0100", "x"])


def check_long_words(name: str, unit: str, characters: int) -> None:
    """Tokenise a word that is too long for the library, and compare shorter ones."""
    case = comparison(name)
    case.check([unit * count for count in (7, 30, 150, 400)])
    known = case.library([unit * 30])[0]
    for tokenizer in case.tokenizers.values():
        (found,) = case.ids(tokenizer, [unit * (characters // len(unit))])
        assert set(found) >= set(known[2:-2]) and len(found) >= characters // len(unit) // 40 * bool(known)


LONG_UNITS = ["a", "the", "\u0439\u0446", "\u4e00", "the\U0001f600"]


@pytest.mark.parametrize("unit", LONG_UNITS)
@pytest.mark.parametrize("name", BPE_CASES)
def test_long_words(name: str, unit: str) -> None:
    check_long_words(name, unit, 5000)


@pytest.mark.exhaustive
@pytest.mark.parametrize("unit", LONG_UNITS)
@pytest.mark.parametrize("name", BPE_CASES)
def test_words_of_a_million_characters(name: str, unit: str) -> None:
    check_long_words(name, unit, 1_000_000)


def test_words_of_all_lengths() -> None:
    """Words alone, so that a word is a text of its own."""
    for name in BPE_CASES:
        comparison(name).check(words(), batch_size=1)


# Files.

BYTES = with_model(config_of(small_model("bpe-bytes"), byte_level()))
VOCABULARY = BYTES["model"]["vocab"]
TO_THE_LIBRARY: dict[str, Config] = {
    "dropout": with_model(BYTES, dropout=1.0),
    "extra member": with_model(BYTES, more=1),
    "no type": with_model(BYTES, type=...),
    "two tokens with one id": with_model(BYTES, vocab={**VOCABULARY, "zzzz": 7}),
    "large ids": with_model(BYTES, vocab={**VOCABULARY, "zzzz": 1 << 29}),
    "fallback and suffix": with_model(BYTES, byte_fallback=True, end_of_word_suffix="x"),
    "another pre-tokeniser": {**BYTES, "pre_tokenizer": {"type": "UnicodeScripts"}},
    "null for a setting": with_model(BYTES, fuse_unk=None),
}


@pytest.mark.parametrize("name", TO_THE_LIBRARY)
def test_files_for_the_library(name: str) -> None:
    assert check(TO_THE_LIBRARY[name], ["", "the cat", "a\0b", "\u4e00"]) == "tokenizers"


def test_merge_without_the_prefix() -> None:
    """The library cuts off as many bytes as the prefix has, whatever they are, or fails. So it must tokenise."""
    model = bpe_model([("a", "#b"), ("a", "xc")], ["ab", "ac"], prefix="#")
    assert Comparison(config_of(model)).chosen.name == "tokenizers"


# Merges that are no merges of two tokens.
MERGES: dict[str, Any] = {
    "left unknown": [["zz", "a"]],
    "right unknown": [["a", "zz"]],
    "result unknown": [["a", "\u0121"]],
    "three parts": [["a", "b", "c"]],
    "one part": ["ab"],
    "three words": ["a b c"],
    "numbers": [[1, 2]],
    "both forms": [["t", "h"], "t h"],
    "null": None,
    "an object": {},
    "missing": ...,
}


@pytest.mark.parametrize("name", MERGES)
def test_merges_that_the_library_refuses(name: str) -> None:
    """The package refuses the file when it reads it, as the library does."""
    config = with_model(BYTES, merges=MERGES[name])
    with pytest.raises(Exception):  # noqa: B017, PT011 - the library has no exception of its own
        Tokenizer.from_str(json.dumps(config))
    with pytest.raises(ModelFormatError):
        spec_of(config)


def test_added_token_beyond_the_vocabulary() -> None:
    config = with_added_tokens(config_of(small_model("bpe")), "Zz", in_vocabulary=False)
    assert spec_of(config).plain_vocabulary is None and "Zz" in spec_of(config).vocabulary
    assert spec_of(with_tokens(config, ["Zz"])).plain_vocabulary is not None


def shared_model(shared: Path) -> Config:
    """Return the shared byte-level tokenizer."""
    text = (shared / "models" / "bpe-multilingual-64-f16" / "tokenizer.json").read_text("utf-8")
    return {**json.loads(text), "truncation": None, "padding": None}


@pytest.mark.parametrize("name", ["stsb-en", "stsb-de", "stsb-ru", "stsb-ja", "war-and-peace"])
def test_shared_texts(shared: Path, name: str) -> None:
    """No mismatch on a large trained vocabulary, and no text goes to the library."""
    case = Comparison(shared_model(shared))
    texts = (shared / "texts" / f"{name}.txt").read_text("utf-8").split("\n")[:2000]
    case.check(texts[::4])
    case.check(["\n".join(texts[first : first + 100]) for first in range(0, len(texts), 400)])
    assert case.fallback_counts(texts) == {"pipeline": 0}
