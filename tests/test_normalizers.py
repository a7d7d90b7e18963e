"""The compiled normalisers and pre-tokenisers, each against its namesake of the `tokenizers` library. More of it: `fuzz_pipeline.py`."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_cases import NORMALIZERS, PRE_TOKENIZERS, mixed_texts, normalizer_mismatches, pieces, replace, sequence
from wordpiece_cases import REPRESENTATIVES, pairs, random_texts

from model2vec_numba.text import TextBatch, flatten
from model2vec_numba.tokenization.library_parts import library_normalizer
from model2vec_numba.tokenization.normalizers import keeps_beginning, make_normalizer
from model2vec_numba.tokenization.pre_tokenizers import make_pre_tokenizer

# Marks, joiners and what else acts on its neighbours, with what it acts on.
CLUSTERS = (
    *("e\u0301", "\u00e9\u0301", "\u00e9\u0301\u0301", "a\u0327\u0301", "a\u0301\u0327", "\u00c5\u0323", "\u0301", "\u0301\u0301", "\u0327\u0301x"),
    *("\r\n", "\r\r\n", "\n\u0301", "\r\u0301", "\x01\u0301", "\u200b\u0301", "a\u00ad\u0301", "a\x01\u0301b", "a\u200d\u0301"),
    *("\u06001", "\u0600\u0601a", "\u0600\u0301", "\u06dd\u4e00", "\u0891a", "\U000110bda", "\u0600\r\n", "\u0623\u064e\u0651", "\u05e9\u05c1\u05b8"),
    *("\u00a9\u200d\u00ae", "\u00a9\u200d\u00ae\u0301", "\u00a9\ufe0f", "\u263a\ufe0f", "\U0001f468\u200d\U0001f469", "\U0001f1e9\U0001f1ea\u0301"),
    *("\u1100\u1161\u11a8", "\u1100\u1161\u0301", "\uac00\u11a8", "\uac00\u0301", "\u1100\uac00\u0301", "\uff76\uff9e", "\u304b\u3099"),
    *("\u0915\u094d\u0937", "\u0915\u094d\u0937\u0301", "\u0915\u093c", "\u0958\u0301", "\u0e19\u0e49\u0e33", "\u09c7\u09be", "\u0dd9\u0dcf\u0dca"),
    *(
        "\u1ed9",
        "o\u0302\u0323",
        "\u1ecd\u0302",
        "\u00f4\u0323",
        "\u1ecdx\u0302",
        "\u4e00\u0301",
        "a\u4e00\u0301",
        "\u4e00\u4e00\u0301",
        "\ufb01\u0301",
    ),
    *("\u0f71\u0f72\u0f74", "\u0344", "\u0f73\u0f71", "\U0001d15e\U0001d165", "\u212b\u0327", "\u0340\u0341", "\u1e9e", "\u0130", "\u03a3\u03c2"),
    *("  ", "   a  b ", "\u3000 \t\n", "\x85\xa0\u2028", "a  ", " \u3000", "''", "'''", "aaaa", "ababa", "a..b", "x\u2581 \u2581y", "\x1c\x1f"),
)


@pytest.mark.parametrize("name", NORMALIZERS)
def test_normalizer(name: str) -> None:
    texts = [*mixed_texts(), *CLUSTERS, *(f"a{c}b" for c in CLUSTERS), *(c + d for c in CLUSTERS for d in CLUSTERS[::3]), *random_texts(500, 9)]
    texts += [text for c in REPRESENTATIVES for text in (c, f"a{c}b", f"{c}\u0301", c + c, f"{c} {c}", f" {c}", f"{c} ")]
    wrong, _ = normalizer_mismatches(NORMALIZERS[name], ["", *texts])
    assert not wrong


@pytest.mark.parametrize("name", ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "Precompiled", "Strip", "Replace-white"])
def test_pages_of_unicode(name: str) -> None:
    """Every code point of a part of Unicode, next to its neighbours and apart from them."""
    pages = [*range(0x36), *range(0x4E, 0xA0, 9), 0xA6, 0xAA, 0xAC, 0xD7, *range(0xF9, 0x112), 0x114, 0x116, 0x11D, 0x1D1, 0x1F3, 0x1F6, 0xE01]
    runs = ["".join(chr(c) for c in range(page << 8, (page + 1) << 8) if not 0xD800 <= c < 0xE000) for page in pages]
    lone = ["a ".join(run) for run in runs]
    wrong, _ = normalizer_mismatches(NORMALIZERS[name], [*(run[i : i + 16] for run in runs for i in range(0, 256, 16)), *lone])
    assert not wrong


@pytest.mark.parametrize("name", ["NFC", "NFKC", "NFD", "Precompiled", "BertNormalizer-True-True-None-True"])
def test_pairs(name: str) -> None:
    wrong, fallbacks = normalizer_mismatches(NORMALIZERS[name], list(pairs(REPRESENTATIVES[::2])))
    assert not wrong
    assert fallbacks < 100


@pytest.mark.parametrize("name", ["NFC", "NFKC", "Precompiled", "BertNormalizer-True-True-None-True"])
def test_natural_texts_do_not_fall_back(name: str) -> None:
    texts = mixed_texts()
    assert any(unicodedata.is_normalized("NFD", text) and not unicodedata.is_normalized("NFC", text) for text in texts)
    wrong, fallbacks = normalizer_mismatches(NORMALIZERS[name], texts)
    assert not wrong
    # The odd one out is one of the edge cases.
    assert fallbacks <= 2


@settings(max_examples=20)
@given(st.lists(st.sampled_from([*NORMALIZERS]), min_size=1, max_size=6), st.lists(st.text(max_size=12), max_size=6), st.integers(0, 1 << 20))
def test_sequences(names: list[str], texts: list[str], seed: int) -> None:
    wrong, _ = normalizer_mismatches(sequence(*(NORMALIZERS[name] for name in names)), [*texts, *CLUSTERS, *random_texts(5, seed)])
    assert not wrong


def test_sequences_as_tokenizers_have_them() -> None:
    texts = [*mixed_texts(), *CLUSTERS, *random_texts(500, 4)]
    albert = [replace("``", '"'), replace("''", '"'), {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]
    spaced = [replace(mark, f" {mark} ") for mark in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"]
    bert = NORMALIZERS["BertNormalizer-True-True-None-True"]
    for parts in (
        [*albert, NORMALIZERS["Precompiled"], NORMALIZERS["Replace-spaces"]],
        [bert, *spaced, NORMALIZERS["Replace-white"], NORMALIZERS["Strip"]],
        [{"type": "Prepend", "prepend": "\u2581"}, NORMALIZERS["Replace-space"]],
        [sequence(), sequence(sequence({"type": "NFC"}), {"type": "Lowercase"})],
    ):
        wrong, _ = normalizer_mismatches(sequence(*parts), texts)
        assert not wrong


def test_runs_and_pages_are_learnt_once() -> None:
    """More different runs than are kept, and than are learnt at once: they are still right, or left to the library."""
    normalizer = make_normalizer({"type": "NFC"})
    assert normalizer is not None
    library = library_normalizer({"type": "NFC"})
    texts = [f"{chr(c)}\u0301\u0327{chr(d)}\u0301" for c in range(0x4E00, 0x4E00 + 400) for d in range(0x3400, 0x3400 + 100)]
    for _ in range(2):
        status = np.zeros(len(texts), np.uint8)
        found = normalizer.normalize(flatten(texts), status)
        assert all(found.text(i) == library.normalize_str(texts[i]) for i in range(0, len(texts), 97) if not status[i])
    marks = "a" + "\u0301" * 10_000
    status = np.zeros(2, np.uint8)
    assert normalizer.normalize(flatten([marks, "e\u0301"]), status).text(1) == "\u00e9"
    assert status.tolist() == [1, 0]


def test_expanding_texts() -> None:
    """One code point becomes 33 bytes, many times over."""
    wrong, fallbacks = normalizer_mismatches({"type": "NFKC"}, ["\ufdfa" * 5000, "x", "\ufdfa\u0301" * 3000])
    assert not wrong and not fallbacks
    wrong, fallbacks = normalizer_mismatches(replace("a", "b" * 300), ["cat", "c"])
    assert not wrong and fallbacks == 1


@pytest.mark.parametrize("name", NORMALIZERS)
def test_batches(name: str) -> None:
    """A view of a larger batch; texts that are not to be done."""
    normalizer = make_normalizer(NORMALIZERS[name])
    assert normalizer is not None
    texts = [" Hello", "e\u0301 \u4e00  '' ", "", "ab .."]
    whole = flatten(["before", *texts, "after"])
    inner = TextBatch(whole.data, whole.offsets[1:-1])
    status = np.array([0, 1, 0, 0], np.uint8)
    found = normalizer.normalize(inner, status)
    library = library_normalizer(NORMALIZERS[name])
    assert [found.text(i) for i in (0, 2, 3)] == [library.normalize_str(texts[i]) for i in (0, 2, 3)]
    assert len(normalizer.normalize(flatten([]), np.zeros(0, np.uint8))) == 0


@pytest.mark.parametrize(
    "part",
    [
        {"type": "Unheard-of"},
        {"type": "NFC", "more": 1},
        {"type": "Lowercase", "more": 1},
        {"type": "Strip", "strip_left": True},
        {"type": "Strip", "strip_left": 1, "strip_right": True},
        {"type": "Prepend", "prepend": None},
        {"type": "Prepend", "prepend": ""},
        {"type": "Precompiled", "precompiled_charsmap": None},
        {"type": "BertNormalizer", "clean_text": True},
        replace("", "x"),
        replace("[a-z]", "x", "Regex"),
        {"type": "Replace", "pattern": {"Regex": " +", "String": " "}, "content": ""},
        {"type": "Replace", "pattern": {"Other": " "}, "content": ""},
        {"type": "Sequence"},
        {"type": "Sequence", "normalizers": [None]},
        {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "ByteLevel"}]},
        [],
        "NFC",
    ],
    ids=json.dumps,
)
def test_what_is_not_compiled(part: Any) -> None:
    assert make_normalizer(part) is None


def test_keeps_beginning() -> None:
    assert keeps_beginning(None)
    assert keeps_beginning(sequence({"type": "Prepend", "prepend": "\u2581"}, NORMALIZERS["Replace-space"]))
    assert not keeps_beginning(NORMALIZERS["Strip"])
    assert not keeps_beginning(sequence({"type": "Lowercase"}, NORMALIZERS["Replace-mark"]))


# Pre-tokenisers.


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_pre_tokenizer(name: str) -> None:
    words = [
        "",
        " ",
        "a",
        " a",
        "a ",
        "a  b",
        "\u2581a",
        "a\u2581b \u2581\u2581",
        "_ _a__b_",
        "\u00e9\u00e9 x\u00e9",
        "\u3000a\u2028b\x85c\x1fd\u200be",
        "\t\n",
    ]
    texts = [*words, *mixed_texts()[::3], *CLUSTERS, *random_texts(500, 3)]
    texts += [f"x{c}y {c}" for c in REPRESENTATIVES]
    found, expected = pieces(PRE_TOKENIZERS[name], texts)
    assert found == expected


@given(st.lists(st.text(st.sampled_from("ab_\u2581\u00e9 \t\u3000\u4e00")), max_size=5), st.sampled_from([*PRE_TOKENIZERS]))
def test_any_pieces(texts: list[str], name: str) -> None:
    found, expected = pieces(PRE_TOKENIZERS[name], texts)
    assert found == expected


@pytest.mark.parametrize(
    "part",
    [
        {"type": "Unheard-of"},
        {"type": "WhitespaceSplit", "more": 1},
        {"type": "Metaspace", "replacement": "__", "prepend_scheme": "always", "split": True},
        {"type": "Metaspace", "replacement": "_", "prepend_scheme": "sometimes", "split": True},
        {"type": "Metaspace", "replacement": "_", "add_prefix_space": True},
        {"type": "Sequence"},
        {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, PRE_TOKENIZERS["Metaspace-first-True-_"]]},
        {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Unheard-of"}]},
        {"type": ["Metaspace"]},
        [],
    ],
    ids=json.dumps,
)
def test_pre_tokenizers_that_are_not_compiled(part: Any) -> None:
    assert make_pre_tokenizer(part) is None
