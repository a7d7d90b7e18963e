"""Tests of the trial that finds tokenizers that make texts exponentially longer."""

from __future__ import annotations

from typing import Any

import pytest

from model2vec_numba import ModelFormatError
from model2vec_numba.tokenization.spec.growth_trial import check_growth


def _replace(searched: str, written: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": searched}, "content": written}


_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


@pytest.mark.parametrize(
    "config",
    [
        {"normalizer": None, "pre_tokenizer": None},
        {"normalizer": {"type": "Sequence", "normalizers": [_replace(chr(ord("a") + i), "...") for i in range(26)]}},
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "x"}] * 40}},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}] * 40}},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [_BYTES] * 2}},
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Unknown"}, 3]}, "pre_tokenizer": "x"},
    ],
)
def test_usual_files_and_long_chains_are_accepted(config: dict[str, Any]) -> None:
    check_growth(config, "tokenizer")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [_BYTES] * 11}}, "the pre-tokenizer makes texts exponentially longer"),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [{"type": "ByteLevel"}] * 11}]}}, "the normalizer"),
        ({"normalizer": {"type": "Sequence", "normalizers": [_replace("a", "aa")] * 14}}, "as far as Replace"),
        ({"normalizer": {"type": "Sequence", "normalizers": [_replace("ab", "ba"), _replace("b", "aabb")] * 14}}, "as far as Replace"),
        ({"normalizer": _replace(" ", "x" * 5000)}, "a Replace writes a string of 5000 characters, expected at most 4096"),
    ],
)
def test_exponential_growth_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        check_growth(config, "tokenizer")
