"""Tokenizers that make texts very much longer are refused. The ones here do it a little, and harm nobody."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tokenizers import Tokenizer

from model2vec_numba.errors import ModelFormatError
from model2vec_numba.tokenization.spec.growth import MAX_GROWTH, find_growth
from model2vec_numba.tokenization.spec.spec import TokenizerSpec, parse_tokenizer
from tokenization.cases import CASES
from tokenization.configs import (
    NORMALIZERS,
    PRE_TOKENIZERS,
    Config,
    byte_level,
    charsmap_bytes,
    config_of,
    normalizer_sequence,
    replace,
    sequence,
    word_level_model,
)

MODEL = word_level_model("a", "b")
TWICE: Config = {
    "type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 2,
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {},
}


def charsmap(rules: dict[str, str]) -> Config:
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap_bytes(rules)).decode("ascii")}


ALPHABET: Config = {"type": "ByteLevel"}


@pytest.mark.parametrize(
    "config",
    [
        config_of(MODEL, sequence(*[byte_level()] * 9)),
        config_of(MODEL, sequence(sequence(*[byte_level()] * 4), sequence(*[byte_level()] * 5))),
        config_of(MODEL, normalizer=normalizer_sequence(*[ALPHABET] * 9)),
        config_of(MODEL, sequence(*[byte_level()] * 4), normalizer_sequence(*[ALPHABET] * 5)),
        config_of(MODEL, normalizer=normalizer_sequence(*[replace("a", "aa")] * 15)),
        config_of(MODEL, normalizer=normalizer_sequence(*[replace("[ab]", "aa", "Regex")] * 15)),
        config_of(MODEL, normalizer=normalizer_sequence(*[replace("c*", "a", "Regex")] * 15)),
        config_of(MODEL, post_processor={"type": "Sequence", "processors": [TWICE] * 15}),
        config_of(MODEL, normalizer=normalizer_sequence(*[charsmap({"b": "a" * 40, "a": "b"})] * 4)),
        config_of(MODEL, normalizer=normalizer_sequence(charsmap({"b": "a" * 2_000_000}))),
    ],
    ids=["byte levels", "nested", "normalisers", "both", "strings", "patterns", "nothing", "templates", "rules", "a rule"],
)
def test_a_text_would_become_very_long(config: Config) -> None:
    text = json.dumps(config)
    # The library accepts the file.
    Tokenizer.from_str(text)
    with pytest.raises(ModelFormatError, match=r"^name: the (tokenizer can make a text [0-9e+]+|normalizer makes texts exponentially)"):
        parse_tokenizer(text, "name")
    # A file that this package leaves to the library is refused too.
    text = json.dumps({**config, "model": {**config["model"], "vocab": {**config["model"]["vocab"], "c": 2**31}}})
    Tokenizer.from_str(text)
    assert TokenizerSpec(text, "name").plain_vocabulary is None
    with pytest.raises(ModelFormatError, match=r"^name: the (tokenizer can make a text|normalizer makes texts exponentially)"):
        parse_tokenizer(text, "name")


@pytest.mark.parametrize(
    ("normalizer", "growth"),
    [
        (replace("a", "bbb"), 3),
        (replace("aa", "b"), 1),
        (replace(" ", "\u2581"), 3),
        (replace("", "bb"), 3),
        (replace(" {2,}", "\u2581", "Regex"), 3),
        (replace(" *", "\u2581", "Regex"), 4),
        (replace("(?=a)", "b", "Regex"), 2),
        (replace("[^a]*", "b", "Regex"), 2),
        (replace("a{,2}", "b", "Regex"), 2),
        (replace("[.,]\\s+", " ", "Regex"), 1),
        (replace("\\s+", "", "Regex"), 1),
        (None, 1),
    ],
)
def test_the_growth_of_replacements(normalizer: Config | None, growth: float) -> None:
    assert find_growth({"normalizer": normalizer, "pre_tokenizer": None}) == (growth, 1)


@pytest.mark.parametrize(
    "replacements",
    # At the beginning of a line, each puts one character more.
    [[replace("^", "a", "Regex")] * 15, [replace(letter, "...") for letter in "abcdefghijklmnopqrstuvwxyz"]],
    ids=["anchors", "strings"],
)
def test_a_chain_that_does_not_feed_itself_is_accepted(replacements: list[Config]) -> None:
    assert parse_tokenizer(json.dumps(config_of(MODEL, normalizer=normalizer_sequence(*replacements))), "name").size == 3


def test_usual_tokenizers_are_far_from_the_limit() -> None:
    configs: list[Any] = [case.make() for case in CASES.values()]
    configs += [{"normalizer": normalizer} for normalizer in NORMALIZERS.values()]
    configs += [{"pre_tokenizer": pre_tokenizer} for pre_tokenizer in PRE_TOKENIZERS.values()]
    assert max(growth.replacements * growth.others for growth in map(find_growth, configs)) < MAX_GROWTH / 100
