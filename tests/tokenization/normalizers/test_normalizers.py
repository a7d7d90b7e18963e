"""Each compiled normaliser, and sequences of them, against the `tokenizers` library."""

from __future__ import annotations

import json
import random
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model2vec_numba.batches import TextBatch
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.components import library_normalizer
from model2vec_numba.tokenization.normalizers import keeps_beginning, make_normalizer
from tokenization.components import check_normalizer
from tokenization.configs import INSERTING, NORMALIZERS, normalizer_sequence, replace
from tokenization.texts import CLUSTERS, REPRESENTATIVES, mixed_texts, pairs, random_texts


@pytest.mark.parametrize("name", NORMALIZERS)
def test_texts(name: str) -> None:
    texts = ["", *mixed_texts()[::4], *CLUSTERS, *(f"a{c}b" for c in CLUSTERS), *(c + d for c in CLUSTERS for d in CLUSTERS[::9])]
    texts += [text for c in REPRESENTATIVES for text in (c, f"a{c}b", f"{c}\u0301", c + c, f"{c} {c}", f" {c}", f"{c} ")]
    check_normalizer(NORMALIZERS[name], [*texts, *random_texts(50, name)])


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NORMALIZERS)
def test_more_texts(name: str) -> None:
    check_normalizer(NORMALIZERS[name], [*mixed_texts(), *(c + d for c in CLUSTERS for d in CLUSTERS), *random_texts(5000, f"more, {name}")])


# The normalisers that act on each character in another way.
LOCAL = ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "Precompiled", "Strip", "Replace-white"]


def texts_of_blocks(blocks: list[int]) -> list[str]:
    """Return texts of all characters of blocks of 256, next to each other and apart."""
    runs = ["".join(chr(c) for c in range(block << 8, (block + 1) << 8) if not 0xD800 <= c < 0xE000) for block in blocks]
    return [*(run[i : i + 16] for run in runs for i in range(0, 256, 16)), *("a ".join(run) for run in runs), *("b".join(run[::-1]) for run in runs)]


@pytest.mark.parametrize("name", LOCAL)
def test_blocks_of_unicode(name: str) -> None:
    """Latin, and a random part of the other blocks that have assigned characters."""
    blocks = [*range(0x36), *range(0x4E, 0xA0, 9), 0xA6, 0xAA, 0xAC, 0xD7, *range(0xF9, 0x112), 0x114, 0x116, 0x11D, 0x1D1, 0x1F3, 0x1F6, 0xE01]
    check_normalizer(NORMALIZERS[name], texts_of_blocks([0, 1, 3, *random.Random(name).sample(blocks, 12)]))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", LOCAL)
def test_every_code_point(name: str) -> None:
    check_normalizer(NORMALIZERS[name], texts_of_blocks([*range(0xD8), *range(0xE0, 0x1100)]))


CONTEXTUAL = ["NFC", "NFKC", "NFD", "Precompiled", "bert"]


@pytest.mark.parametrize("name", CONTEXTUAL)
def test_pairs(name: str) -> None:
    """Pairs of characters of which the second may change the first."""
    members = "".join(random.Random(name).sample(REPRESENTATIVES, 40))
    assert check_normalizer(NORMALIZERS[name], pairs(members)) < 100


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", CONTEXTUAL)
def test_all_pairs(name: str) -> None:
    assert check_normalizer(NORMALIZERS[name], pairs()) < 500


@pytest.mark.parametrize("name", ["NFC", "NFKC", "Precompiled", "bert"])
def test_natural_texts_do_not_fall_back(name: str) -> None:
    texts = mixed_texts()
    assert any(unicodedata.is_normalized("NFD", text) and not unicodedata.is_normalized("NFC", text) for text in texts)
    # One of the edge cases is not supported.
    assert check_normalizer(NORMALIZERS[name], texts) <= 2


@settings(max_examples=20)
@given(st.lists(st.sampled_from([*NORMALIZERS]), min_size=1, max_size=6), st.lists(st.text(max_size=12), max_size=6), st.integers(0, 1 << 20))
def test_sequences(names: list[str], texts: list[str], seed: int) -> None:
    """Sequences are supported, unless another kind of step comes after a ``Replace`` of empty matches."""
    if make_normalizer(normalizer_sequence(*(NORMALIZERS[name] for name in names))) is None:
        assert not INSERTING.isdisjoint(names[:-1])
        return
    check_normalizer(normalizer_sequence(*(NORMALIZERS[name] for name in names)), [*texts, *CLUSTERS, *random_texts(5, seed)])


ALBERT = [replace("``", '"'), replace("''", '"'), {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]
SPACED = [replace(mark, f" {mark} ") for mark in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"]
REAL = {
    "ALBERT": normalizer_sequence(*ALBERT, NORMALIZERS["Precompiled"], NORMALIZERS["Replace-spaces"]),
    "BERT with spaces around marks": normalizer_sequence(NORMALIZERS["bert"], *SPACED, NORMALIZERS["Replace-white"], NORMALIZERS["Strip"]),
    "Llama 2": normalizer_sequence({"type": "Prepend", "prepend": "\u2581"}, NORMALIZERS["Replace-space"]),
    "nested": normalizer_sequence(
        normalizer_sequence(), normalizer_sequence(normalizer_sequence({"type": "NFC"}), {"type": "Lowercase"}), normalizer_sequence()
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_sequences_of_real_tokenizers(name: str) -> None:
    check_normalizer(REAL[name], [*mixed_texts()[::3], *CLUSTERS, *random_texts(100, name)])


def test_more_runs_than_are_kept() -> None:
    """Texts with more distinct runs of characters than are kept, or than are filled at once, are right or left to the library."""
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


def test_texts_that_become_longer() -> None:
    """One code point becomes 33 bytes, many times."""
    assert check_normalizer({"type": "NFKC"}, ["\ufdfa" * 5000, "x", "\ufdfa\u0301" * 3000]) == 0
    assert check_normalizer(replace("a", "b" * 300), ["cat", "c", "a" * 3000]) == 0
    # If the character is not ASCII, a single replacement of 300 bytes is not supported.
    assert check_normalizer(replace("\u00e9", "b" * 300), ["c\u00e9t", "c"]) == 1


@pytest.mark.parametrize("content", ["", "b", "aa", "\u2581", "longer than eight bytes"])
@pytest.mark.parametrize("character", [" ", "a", "\0", "\x7f", "."])
def test_replaced_characters(character: str, content: str) -> None:
    """Every distance between two replaced characters, also at the ends of texts."""
    draw = random.Random(character + content)
    texts = ["".join(draw.choices(character * 3 + "abc\u00e9\u4e00 .\x80\x81", k=length)) for length in range(40) for _ in range(8)]
    assert check_normalizer(replace(character, content), texts) == 0


@pytest.mark.parametrize("name", NORMALIZERS)
def test_batches(name: str) -> None:
    """A batch may be a part of a larger array, or empty. Texts that are marked are skipped."""
    normalizer = make_normalizer(NORMALIZERS[name])
    assert normalizer is not None
    texts = [" Hello", "e\u0301 \u4e00  '' ", "", "ab .."]
    whole = flatten(["before", *texts, "after"])
    found = normalizer.normalize(TextBatch(whole.data, whole.offsets[1:-1]), np.array([0, 1, 0, 0], np.uint8))
    library = library_normalizer(NORMALIZERS[name])
    assert [found.text(i) for i in (0, 2, 3)] == [library.normalize_str(texts[i]) for i in (0, 2, 3)]
    assert len(normalizer.normalize(flatten([]), np.zeros(0, np.uint8))) == 0


@pytest.mark.parametrize(
    "config",
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
        replace(r"(?<x>a)\k<x>", "x", "Regex"),
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
def test_not_compiled(config: Any) -> None:
    assert make_normalizer(config) is None


def test_keeps_beginning() -> None:
    """Whether the first character of a normalised text always comes from the first character of the text."""
    assert keeps_beginning(None)
    assert keeps_beginning(normalizer_sequence({"type": "Prepend", "prepend": "\u2581"}, NORMALIZERS["Replace-space"]))
    assert not keeps_beginning(NORMALIZERS["Strip"])
    assert not keeps_beginning(normalizer_sequence({"type": "Lowercase"}, NORMALIZERS["Replace-mark"]))
