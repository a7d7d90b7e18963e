"""Hostile texts, made of each tokenizer's own tokens, for tokenizers of every family. `fuzz_tokenizers.py` compares far more of them."""

from __future__ import annotations

import pytest

from tokenization.cases import CASES, comparison
from tokenization.hostile import FAMILIES, family_of, hostile_texts

# Tokenizers with added tokens, byte tokens, prefixes and suffixes.
_FEW = (
    *("bert, added token", "bert, normalised added token", "bytes", "bytes, suffix", "characters, fallback, fused", "prefix and suffix"),
    *("words of bytes", "word pieces, spaces in words", "unigram, SentencePiece", "unigram, added token", "unigram, fallback"),
)


def test_families() -> None:
    found = {family_of(CASES[name].make()) for name in CASES}
    assert found == set(FAMILIES)


@pytest.mark.parametrize("name", _FEW)
def test_hostile_texts(name: str) -> None:
    comparison(name).check(hostile_texts(CASES[name].make(), 400, name))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].cores])
def test_many_hostile_texts(name: str) -> None:
    comparison(name).check(hostile_texts(CASES[name].make(), 1500, f"many, {name}"))
