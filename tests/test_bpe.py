"""BPE, WordLevel and WordPiece as models of the composed tokeniser: ids are the library's, for every text. More of it: `fuzz_bpe.py`."""

from __future__ import annotations

import copy
import itertools
import json
import random
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from helpers import EDGE_TEXTS
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray
from stage_cases import (
    LLAMA3,
    MODELS,
    PRE_TOKENIZERS,
    PipelineCase,
    bpe_model,
    byte_level,
    parts_of,
    random_merges,
    random_model,
    sequence,
    split,
    trained_model,
)
from tokenizers import Tokenizer
from wordpiece_cases import REPRESENTATIVES, Case, Parts, bundled_parts, natural_texts, pairs, random_texts, with_tokens

from model2vec_numba.errors import ModelFormatError, TokenizationError
from model2vec_numba.text import TextBatch, flatten
from model2vec_numba.tokenization import choose_backend, parse_tokenizer
from model2vec_numba.tokenization.library import LibraryBackend
from model2vec_numba.tokenization.models.bpe_merging import HEAP_ROOM, merge_few, merge_symbols
from model2vec_numba.tokenization.models.bpe_vocabulary import build_bpe_vocabulary
from model2vec_numba.tokenization.pipeline import PipelineBackend

# A pipeline for each model, and settings of BPE that change what it does.
PIPELINES: dict[str, tuple[str, str, Parts]] = {
    "bytes": ("BPE-bytes", "byte-level", {}),
    "bytes, prefix space": ("BPE-bytes", "byte-level-prefix", {}),
    "bytes, whole words": ("BPE-bytes", "llama3-bytes", {"ignore_merges": True}),
    "bytes, Qwen": ("BPE-bytes", "qwen2-bytes", {"unk_token": None}),
    "bytes, one piece": ("BPE-bytes", "byte-level-bare", {}),
    "bytes, trained without some": ("BPE", "byte-level", {}),
    "bytes, and a fallback": ("BPE", "byte-level", {"byte_fallback": True}),
    "bytes, suffix": ("BPE-suffix", "byte-level", {}),
    "characters": ("BPE", "whitespace", {}),
    "characters, fused": ("BPE", "whitespace", {"fuse_unk": True}),
    "characters, none unknown": ("BPE", "bert", {"unk_token": None}),
    "characters, one piece": ("BPE", "nothing", {"fuse_unk": True}),
    "characters, whole words": ("BPE", "bert", {"ignore_merges": True}),
    "characters, fallback": ("BPE", "bert", {"byte_fallback": True}),
    "characters, fallback, fused": ("BPE", "whitespace", {"byte_fallback": True, "fuse_unk": True}),
    "prefix": ("BPE-prefix", "whitespace", {}),
    "suffix": ("BPE-suffix", "whitespace", {"fuse_unk": True}),
    "prefix and suffix": ("BPE-both", "bert", {"ignore_merges": True}),
    "words": ("WordLevel", "whitespace", {}),
    "words of bytes": ("WordLevel", "byte-level", {}),
    "word pieces": ("WordPiece", "whitespace", {}),
    "word pieces of bytes": ("WordPiece", "gpt2", {"max_input_chars_per_word": 9}),
}


@cache
def pipeline(name: str) -> PipelineCase:
    """One of `PIPELINES`."""
    kind, pre_tokenizer, settings = PIPELINES[name]
    # Trained where there are words, so that there are long tokens.
    model = copy.deepcopy(trained_model(kind, pre_tokenizer if pre_tokenizer != "nothing" else "whitespace"))
    if settings.get("byte_fallback"):
        # Some bytes have none.
        for byte in [*range(0x20, 0x80), *range(0xC3, 0xE4), *range(0x80, 0xC0, 3), *range(0x81, 0xC0, 3)]:
            model["vocab"].setdefault(f"<0x{byte:02X}>", len(model["vocab"]))
    return PipelineCase(parts_of(PRE_TOKENIZERS[pre_tokenizer], {**model, **settings}))


def words() -> list[str]:
    """Words of all lengths, with and without what the models do not know."""
    draw = random.Random(9)
    letters = ["abc", "the", "ing", "\u00e9", "\u0436\u0430", "\u4e00", "\U0001f600", "\u12a0", "'", "1"]
    return [
        "".join(draw.choices(letters, k=length))
        for length in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 31, 32, 33, 63, 64, 65, 100, 300)
        for _ in "abc"
    ]


@pytest.mark.parametrize("name", PIPELINES)
def test_texts(name: str) -> None:
    every = pipeline(name)
    every.check(["", " ", "a", *EDGE_TEXTS, *words(), " ".join(words())])
    every.check(natural_texts()[::7])
    every.check(random_texts(3000, [*PIPELINES].index(name)))
    # What is remembered of a call is no other than what is found anew.
    every.check(natural_texts()[::14])
    every.check(pairs(REPRESENTATIVES[::5]))


@given(st.lists(st.text(), max_size=5), st.sampled_from([*PIPELINES]))
def test_any_texts(texts: list[str], name: str) -> None:
    pipeline(name).check(texts)


@given(st.lists(st.text(alphabet="ab\u00e9\u4e00 '1", max_size=100), max_size=3), st.sampled_from([*PIPELINES]))
def test_texts_of_few_characters(texts: list[str], name: str) -> None:
    pipeline(name).check(texts)


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("max_tokens", [0, 1, 3, 7])
def test_truncation(name: str, max_tokens: int) -> None:
    texts = [*EDGE_TEXTS, *words(), *natural_texts()[::50], "the the the the", "the \U0001f9ff\u12a0 the"]
    ids, offsets = pipeline(name).expected(texts)
    tokens = pipeline(name).backend.tokenize(flatten(texts), max_tokens)
    for i, (begin, end) in enumerate(tokens.bounds()):
        np.testing.assert_array_equal(tokens.ids[begin:end], ids[offsets[i] : offsets[i + 1]][:max_tokens], texts[i])


@pytest.mark.parametrize("name", PIPELINES)
def test_batches(name: str) -> None:
    for texts in ([], [""], ["", ""], ["", "a", ""], [" "], ["", " \n", "the"], ["the", "", "", "cat", ""]):
        tokens = pipeline(name).backend.tokenize(flatten(texts), None)
        assert tokens.ids.dtype == np.int32 and tokens.offsets.dtype == np.int64 and len(tokens) == len(texts)
        pipeline(name).check(texts)
    texts = ["Hello", "world of caf\u00e9s", "", "the end"]
    whole = flatten(["before it", *texts, "after it"])
    found = pipeline(name).backend.tokenize(TextBatch(whole.data, whole.offsets[1:-1]), None)
    expected = pipeline(name).backend.tokenize(flatten(texts), None)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.offsets, expected.offsets)


@pytest.mark.parametrize("name", PIPELINES)
def test_natural_text_never_falls_back(name: str) -> None:
    assert pipeline(name).backend.fallback_count(flatten(natural_texts()[::5])) == 0


@pytest.mark.parametrize("unit", ["a", "ab", "the", "\u0439\u0446", "\u4e00", "\U0001f600", "the\U0001f600"])
def test_long_words(unit: str) -> None:
    """Of a million characters: the library, which takes long for one, sees shorter ones."""
    for name in PIPELINES:
        pipeline(name).check([unit * count for count in (7, 30, 150, 700)])
        tokens = pipeline(name).backend.tokenize(flatten([unit * (200_000 // len(unit))]), None)
        assert len(tokens) == 1
    million = unit * (1_000_000 // len(unit))
    for name in ("bytes", "bytes, one piece", "characters, one piece", "suffix"):
        pipeline(name).backend.tokenize(flatten([million]), None)


def test_threads() -> None:
    """Parallel equals serial; several at a time, each with what it remembers."""
    backend = pipeline("bytes").backend
    texts = [*natural_texts()[:4000], "word " * 20_000, *random_texts(2000, 77)]
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        serial = backend.tokenize(flatten(texts), None)
        numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(backend.tokenize(flatten(texts), None))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        numba.set_num_threads(before)
    assert len(found) == 4
    for tokens in found:
        np.testing.assert_array_equal(tokens.ids, serial.ids)
        np.testing.assert_array_equal(tokens.offsets, serial.offsets)


def test_more_words_than_are_remembered() -> None:
    """A batch of far more distinct words than the memo has room for, twice."""
    draw = random.Random(3)
    texts = [" ".join("".join(draw.choices("etaoinshrdlu\u0436\u4e00", k=draw.randint(1, 12))) for _ in range(20)) for _ in range(5000)]
    pipeline("bytes").check(texts)
    pipeline("bytes").check(texts[::-1])


# Merges.


def plain_merge(symbols: list[int], merges: dict[tuple[int, int], tuple[int, int]]) -> list[int]:
    """The definition: the adjacent pair of the lowest rank, the leftmost of equals, until there is none."""
    while True:
        found = [(merges[pair][0], i) for i, pair in enumerate(itertools.pairwise(symbols)) if pair in merges]
        if not found:
            return symbols
        _, i = min(found)
        symbols = [*symbols[:i], merges[symbols[i], symbols[i + 1]][1], *symbols[i + 2 :]]


# Both are for compiled code only.


@njit  # type: ignore[untyped-decorator]
def merge_plainly(symbols: NDArray[np.int32], count: int, pairs: NDArray[np.int64]) -> int:
    return merge_few(symbols, count, pairs, np.empty(count + 1, np.int64))


@njit  # type: ignore[untyped-decorator]
def merge_with_heap(symbols: NDArray[np.int32], count: int, pairs: NDArray[np.int64]) -> tuple[int, int, int, int]:
    return merge_symbols(symbols, count, pairs, np.empty((count + 1, 3), np.int32), np.empty(HEAP_ROOM * (count + 1), np.int64))


@given(st.randoms(use_true_random=False), st.integers(0, 60), st.integers(0, 70))
def test_merging(draw: random.Random, count: int, length: int) -> None:
    """The heap and the plain search against the definition."""
    model = bpe_model(random_merges(draw, "abc", count), "abc")
    merges = parse_tokenizer(json.dumps(parts_of(None, model)), "test").merges
    assert merges is not None
    by_pair = {(left, right): (rank, made) for rank, (left, right, made) in enumerate(merges.tolist())}
    tokens = [*model["vocab"]]
    ids = np.arange(len(tokens), dtype=np.int32)
    tables, _ = build_bpe_vocabulary(flatten(tokens), ids, merges, len(tokens), single_bytes=False, whole_words=False)
    symbols = [model["vocab"][draw.choice("abc")] for _ in range(length)]
    expected = plain_merge(symbols, by_pair)
    few: NDArray[np.int32] = np.array([*symbols, 0], np.int32)
    assert few[: merge_plainly(few, length, tables.pairs)].tolist() == expected
    many: NDArray[np.int32] = np.array([*symbols, 0], np.int32)
    left, *last = merge_with_heap(many, length, tables.pairs)
    assert many[:left].tolist() == expected
    assert (last == [-1, -1, -1]) == (left == length)


@pytest.mark.exhaustive
@given(st.randoms(use_true_random=False), st.sampled_from([None, "byte-level-bare", "whitespace", "byte-level", "llama3-bytes"]))
def test_random_models(draw: random.Random, pre_tokenizer: str | None) -> None:
    """Any merges, in order or not, in words short and long."""
    parts = parts_of(PRE_TOKENIZERS[pre_tokenizer] if pre_tokenizer else None, random_model(draw))
    texts = ["".join(draw.choices("aab\u00e9\u4e00cd ", k=length)) for length in (1, 2, 3, 5, 9, 15, 17, 20, 40, 70, 90, 200)]
    PipelineCase(parts).check(texts)
    texts = ["".join(draw.choices("ab", k=length)) for length in (1, 2, 3, 5, 9, 15, 17, 20, 40, 70, 90, 200)]
    PipelineCase(parts).check([*texts, *("a" * length for length in (2, 3, 17, 33, 80))])


def test_merges_in_order_are_searched() -> None:
    """Trained merges are; ones out of order are not."""
    for name in ("bytes", "characters"):
        spec = parse_tokenizer(pipeline(name).library.to_str(), "test")
        texts = flatten([*spec.parts["model"]["vocab"]])
        ids = np.fromiter(spec.parts["model"]["vocab"].values(), np.int32)
        assert spec.merges is not None
        _, ordered = build_bpe_vocabulary(texts, ids, spec.merges, int(ids.max()) + 1, single_bytes=False, whole_words=False)
        assert ordered
        _, ordered = build_bpe_vocabulary(texts, ids, spec.merges[::-1].copy(), int(ids.max()) + 1, single_bytes=False, whole_words=False)
        assert not ordered


@pytest.mark.exhaustive
@given(
    st.randoms(use_true_random=False),
    st.lists(st.sampled_from([*PRE_TOKENIZERS]), max_size=3),
    st.sampled_from(MODELS),
    st.lists(st.text(alphabet=" 'sthe1.\u00e9\u6f22\n", max_size=50), max_size=5),
)
def test_random_pipelines(draw: random.Random, names: list[str], kind: str, texts: list[str]) -> None:
    """Any pre-tokenisers before any model."""
    model = random_model(draw) if kind == "BPE" else trained_model(kind, draw.choice(["byte-level", "whitespace"]))
    every = PipelineCase(parts_of(sequence(*(PRE_TOKENIZERS[name] for name in names)), model))
    every.check([*texts, *draw.choices(natural_texts(), k=3), *draw.choices(EDGE_TEXTS, k=2)])


def test_both_forms_of_merges() -> None:
    """Pairs, and strings as in `merges.txt`, with its first line."""
    model = copy.deepcopy(trained_model("BPE-bytes"))
    texts = [*EDGE_TEXTS, *natural_texts()[::100]]
    merges = model["merges"]
    for form in (merges, [" ".join(merge) for merge in merges], ["#version: 0.2", *(" ".join(merge) for merge in merges)]):
        PipelineCase(parts_of(byte_level(), {**model, "merges": form})).check(texts)


def test_tokens_that_no_text_gives() -> None:
    """Tokens with characters that stand for no byte, an empty one, one with a NUL; as parts of merges too."""
    merges = [("a", "b"), ("ab", "\u4e00"), ("\u4e00", "c"), ("a", "\0"), ("\u0120", "a")]
    model = bpe_model(merges, ["", "<|end of text|>", "\u2581x", "\ufffd", "c", "\u0100"])
    for pre_tokenizer in (byte_level(), byte_level(prefix=True, regex=False), None):
        PipelineCase(parts_of(pre_tokenizer, model)).check(["ab\u4e00c", "a\0", "\0a", " a", "", "\u2581x", "abc", "\u0100", "x"])


# Words and word pieces.


def word_level(*tokens: str) -> Parts:
    return {"type": "WordLevel", "vocab": {token: number for number, token in enumerate(("[UNK]", *tokens))}, "unk_token": "[UNK]"}


def test_words_of_all_lengths() -> None:
    """And what begins like one and is none."""
    every = ["x" * length for length in range(1, 40)] + ["\u0436" * length for length in range(1, 20)] + ["abcdefghijklmnopq", "abcdefghijklmnopr"]
    texts = [*every, *(word[:-1] + "y" for word in every), *(word + "\0" for word in every), "\0", "a\0", ""]
    PipelineCase(parts_of(None, word_level(*every[::2]))).check(texts)
    pieces = {token: number for number, token in enumerate(["[UNK]", *every[::2], *(f"##{word}" for word in every[::3])])}
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 30, "vocab": pieces}
    for limit in (0, 1, 7, 30, 100):
        PipelineCase(parts_of(None, {**model, "max_input_chars_per_word": limit})).check(texts)
    for prefix in ("", "##", "x", "\u0436"):
        PipelineCase(parts_of(None, {**model, "continuing_subword_prefix": prefix})).check(texts)


def test_bert_without_its_normalizer() -> None:
    """The same WordPiece as in BERT's pipeline."""
    parts = {**bundled_parts(), "normalizer": None}
    every = PipelineCase(parts)
    assert choose_backend(parse_tokenizer(json.dumps(parts), "test")).name == "wordpiece"
    every.check([*EDGE_TEXTS, *natural_texts()[::10], *random_texts(2000, 8)])


# Added tokens, and which tokenizers are taken.


@pytest.mark.parametrize("normalized", [False, True])
def test_added_tokens(normalized: bool) -> None:
    """In the vocabulary or beyond it, as in Llama 3: texts with one go to the library."""
    pre_tokenizer = sequence(split(LLAMA3), byte_level(regex=False))
    for known in (False, True):
        parts = parts_of(pre_tokenizer, copy.deepcopy(trained_model("BPE-bytes")))
        parts = with_tokens(parts, "<|end|>", "New York", normalized=normalized, known=known)
        every = PipelineCase(parts)
        every.check(["<|end|>", "a<|end|>b", "in New York", "in New  York", "New", *EDGE_TEXTS, *natural_texts()[::100]])
        assert every.backend.fallback_count(flatten(["<|end|>", "a New York b", "new york", "<|end|"])) == 2


def changed(**changes: Any) -> Parts:
    """A byte-level tokenizer with members of the model changed; those that are `...` left out."""
    model = {**trained_model("BPE-bytes", size=500), **changes}
    return parts_of(byte_level(), {name: value for name, value in model.items() if value is not ...})


VOCABULARY = trained_model("BPE-bytes", size=500)["vocab"]
TO_THE_LIBRARY: dict[str, Parts] = {
    "dropout": changed(dropout=1.0),
    "extra member": changed(more=1),
    "no type": changed(type=...),
    "unknown token that is no token": changed(unk_token="[MISSING]"),
    "two tokens of one id": changed(vocab={**VOCABULARY, "zzzz": 7}),
    "far ids": changed(vocab={**VOCABULARY, "zzzz": 1 << 29}),
    "fallback and suffix": changed(byte_fallback=True, end_of_word_suffix="x"),
    "words with NUL": parts_of(None, word_level("a\0")),
    "words without an unknown one": parts_of(None, {**word_level("a"), "unk_token": "b"}),
    "word pieces with a member too many": parts_of(None, {**trained_model("WordPiece"), "more": 1}),
    "another pre-tokeniser": {**changed(), "pre_tokenizer": {"type": "UnicodeScripts"}},
    "no merges, but null for a setting": changed(fuse_unk=None),
}


@pytest.mark.parametrize("name", TO_THE_LIBRARY)
def test_what_goes_to_the_library(name: str) -> None:
    spec = parse_tokenizer(json.dumps(TO_THE_LIBRARY[name]), "test")
    backend = choose_backend(spec)
    assert backend.name == "tokenizers"
    for text in ("", "the cat", "a\0b", "\u4e00"):
        if "unknown" not in name:
            assert backend.tokenize(flatten([text]), None).ids.tolist() == [
                i for i in spec.library.encode(text, add_special_tokens=False).ids if i != spec.unk_token_id
            ]


def test_unknown_token_that_is_no_token() -> None:
    spec = parse_tokenizer(json.dumps(parts_of(None, {**word_level("a"), "unk_token": "b"})), "test")
    with pytest.raises(TokenizationError):
        choose_backend(spec).tokenize(flatten(["x"]), None)


MERGES: dict[str, Any] = {
    "left unknown": [["zz", "a"]],
    "right unknown": [["a", "zz"]],
    "made unknown": [["a", "\u0121"]],
    "three parts": [["a", "b", "c"]],
    "one part": ["ab"],
    "three words": ["a b c"],
    "numbers": [[1, 2]],
    "mixed": [["t", "h"], "t h"],
    "null": None,
    "an object": {},
    "missing": ...,
}


@pytest.mark.parametrize("name", MERGES)
def test_merges_that_the_library_refuses(name: str) -> None:
    """The file is refused when it is read, as the library would."""
    parts = changed(merges=MERGES[name])
    with pytest.raises(Exception):  # noqa: B017, PT011 - the library has no exception of its own
        Tokenizer.from_str(json.dumps(parts))
    with pytest.raises(ModelFormatError):
        parse_tokenizer(json.dumps(parts), "test")


def test_prefix_that_a_merge_does_not_have() -> None:
    """The library cuts off as many bytes, whatever they are, and fails if there are not so many: both are for the library."""
    model = bpe_model([("a", "#b"), ("a", "xc")], ["ab", "ac"], prefix="#")
    backend = choose_backend(parse_tokenizer(json.dumps(parts_of(None, model)), "test"))
    assert backend.name == "tokenizers"


def test_vocabulary_of_the_file() -> None:
    """What is read from the file without the library is what the library has."""
    for kind in MODELS:
        for parts in (parts_of(None, trained_model(kind)), with_tokens(parts_of(None, trained_model(kind)), "Zz")):
            spec = parse_tokenizer(json.dumps(parts), "test")
            assert spec.plain_vocabulary == Tokenizer.from_str(spec.text).get_vocab(with_added_tokens=True)
    beyond = parse_tokenizer(json.dumps(with_tokens(parts_of(None, trained_model("BPE")), "Zz", known=False)), "test")
    assert beyond.plain_vocabulary is None and "Zz" in beyond.vocabulary


def test_post_processors() -> None:
    """A sequence of them, as in Llama 3, keeps a text's ids if each does."""
    special = {"[UNK]": {"id": "[UNK]", "ids": [0], "tokens": ["[UNK]"]}}
    own: Parts = {"Sequence": {"id": "A", "type_id": 0}}
    template = {"type": "TemplateProcessing", "single": [own], "pair": [own, {"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": special}
    twice = {**template, "single": [own, own]}
    for processors, taken in (([byte_level(), template], True), ([byte_level(), twice], False), ([], True)):
        parts = {**changed(), "post_processor": {"type": "Sequence", "processors": processors}}
        spec = parse_tokenizer(json.dumps(parts), "test")
        backend = choose_backend(spec)
        assert (backend.name == "bpe") == taken
        batch = flatten(natural_texts()[::200])
        np.testing.assert_array_equal(backend.tokenize(batch, None).ids, LibraryBackend(spec).tokenize(batch, None).ids)


@pytest.mark.parametrize("kind", ["stsb-en", "stsb-de", "stsb-ru", "stsb-ja", "war-and-peace"])
def test_shared_texts(shared: Path, kind: str) -> None:
    """The shared byte-level model on texts whole: no mismatch, and none goes to the library."""
    text = (shared / "models" / "bpe-multilingual-64-f16" / "tokenizer.json").read_text("utf-8")
    parts = json.loads(text)
    parts.update(truncation=None, padding=None)
    every = PipelineCase(parts)
    texts = (shared / "texts" / f"{kind}.txt").read_text("utf-8").split("\n")
    every.check(texts[:2000])
    every.check(["\n".join(texts[first : first + 200]) for first in range(0, 2000, 200)])
    assert every.backend.fallback_count(flatten(texts)) == 0
    assert isinstance(every, Case) and isinstance(every.backend, PipelineBackend)
