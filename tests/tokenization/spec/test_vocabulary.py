"""The vocabulary that the package reads from the file is the library's."""

from __future__ import annotations

import json
import random

import pytest
from tokenizers import AddedToken, Tokenizer

from model2vec_numba.tokenization.spec.spec import parse_tokenizer
from tokenization.cases import CASES, Comparison, spec_of
from tokenization.configs import (
    SMALL,
    Config,
    bert_config,
    bundled_config,
    config_of,
    small_config,
    unigram_model,
    with_added_tokens,
    word_level_model,
)
from tokenization.texts import sample_texts

MODELS = ("wordpiece", "wordlevel", "unigram", "bpe")
FLAGS: Config = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}


def extended(name: str, *contents: str, special: bool = False) -> Config:
    """Return a tokenizer of `data` to which the library has added tokens, as it saves it."""
    tokenizer = Tokenizer.from_str(json.dumps(small_config(name)))
    (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(list(contents))
    return json.loads(tokenizer.to_str())


def with_list(config: Config, *tokens: tuple[int, str]) -> Config:
    """Return the tokenizer with these ids and contents as its added tokens."""
    return {**config, "added_tokens": [{"id": number, "content": content, **FLAGS} for number, content in tokens]}


PLAIN_LEVEL = config_of(word_level_model("a", "b", "c"))
# The library chooses the ids of these files, from the ids that they declare. `asks`: the package asks it.
FILES: dict[str, tuple[Config, bool]] = {
    **{name: (small_config(name), False) for name in SMALL},
    "bundled": (bundled_config(), False),
    "added tokens in reverse order": ({**bert_config(), "added_tokens": bert_config()["added_tokens"][::-1]}, False),
    "added tokens": (with_added_tokens(bert_config(), "a", "Zz"), False),
    "added token of BPE": (with_added_tokens(small_config("bpe"), "Zz"), False),
    "added token beyond the vocabulary": (with_added_tokens(bert_config(), "Zz", in_vocabulary=False), False),
    **{f"tokens added to {name}": (extended(name, "Zz", "the", "New York", "Zz", "e"), False) for name in MODELS},
    **{f"special tokens added to {name}": (extended(name, "Zz", "the", "[X]", special=True), False) for name in MODELS},
    **{f"many tokens added to {name}": (extended(name, *(f"t{i}" for i in range(500))), False) for name in MODELS},
    "a wrong id": (with_list(PLAIN_LEVEL, (9, "x")), True),
    "wrong ids of tokens of the model": (with_list(PLAIN_LEVEL, (3, "a"), (7, "b"), (4, "x")), False),
    "ids in another order": (with_list(PLAIN_LEVEL, (5, "x"), (4, "y")), True),
    "many, one wrong id": (with_list(PLAIN_LEVEL, *((4 + i + (i >= 300), f"t{i}") for i in range(500))), True),
    "listed twice": (with_list(PLAIN_LEVEL, (4, "x"), (1, "a"), (4, "x"), (5, "y"), (1, "a")), False),
    "an empty token": (with_list(PLAIN_LEVEL, (4, ""), (4, "x"), (5, ""), (5, "y")), False),
    "ids with gaps": (with_list(config_of({**word_level_model(), "vocab": {"[UNK]": 3, "a": 0, "b": 9}}), (3, "x"), (4, "y")), False),
    "a piece listed twice": (with_list(config_of(unigram_model([("a", -1.0), ("b", -2.0), ("a", -3.0)])), (3, "x"), (2, "a")), False),
}


@pytest.mark.parametrize("name", FILES)
def test_vocabulary(name: str) -> None:
    config, asks = FILES[name]
    spec = spec_of(config)
    library = Tokenizer.from_str(spec.text)
    expected = library.get_vocab(with_added_tokens=True)
    assert spec.vocabulary == expected
    assert spec.plain_vocabulary == library.get_vocab(with_added_tokens=False)
    assert ("library" in spec.__dict__) == asks
    assert set(spec.tokens) == expected.keys() and [expected[token] for token in spec.tokens] == sorted(expected.values())
    assert spec.size == max(expected.values()) + 1
    # The added tokens with the ids that the library gives them.
    added = {token["content"]: token["id"] for token in spec.config["added_tokens"]}
    assert len(added) == len(spec.config["added_tokens"])
    assert added == {token.content: number for number, token in library.get_added_tokens_decoder().items()}


@pytest.mark.parametrize("name", MODELS)
def test_added_tokens_outside_the_vocabulary(name: str) -> None:
    """The compiled cores support them, with every model."""
    case = Comparison(extended(name, "caf\u00e9s", "New York", "zq"))
    assert "pipeline" in case.tokenizers
    case.check([*sample_texts()[::3], "New Yorkers zq's caf\u00e9s", "zqzq", "New  York"])


def test_added_tokens_as_the_library_writes_them() -> None:
    """Added tokens of every combination of properties, mixed at random, some of them listed twice."""
    draw = random.Random(2)
    for _ in range(40):
        tokens = []
        for _ in range(draw.randint(1, 200)):
            flags = {flag: draw.random() < 0.5 for flag in FLAGS}
            tokens.append({"id": 0, "content": draw.choice("abcdefxyz") * draw.randint(0, 5), **flags})
        tokens = list({token["content"]: token for token in tokens}.values())
        tokens += draw.sample(tokens, len(tokens) // 3)
        spec = spec_of({**PLAIN_LEVEL, "added_tokens": tokens})
        library = Tokenizer.from_str(spec.text)
        assert spec.vocabulary == library.get_vocab()
        found = {token["id"]: AddedToken(**{name: value for name, value in token.items() if name != "id"}) for token in spec.config["added_tokens"]}
        assert {number: str(token) for number, token in found.items()} == {
            number: str(token) for number, token in library.get_added_tokens_decoder().items()
        }


def test_added_token_that_is_listed_with_other_properties() -> None:
    """Versions of the library differ: 0.20 finds both tokens, 0.23 the last one. Such files are left to it."""
    flags = dict.fromkeys(FLAGS, False)
    tokens = [{"id": 0, "content": "zz", **flags}, {"id": 0, "content": "zz", **flags, "lstrip": True}]
    assert spec_of({**PLAIN_LEVEL, "added_tokens": tokens}).plain_vocabulary is None
    assert spec_of({**PLAIN_LEVEL, "added_tokens": tokens[:1] * 2}).plain_vocabulary is not None


def test_added_tokens_with_one_id() -> None:
    """The library keeps the last one. Such files are left to it."""
    config = with_list(config_of({**word_level_model(), "vocab": {"[UNK]": 0, "a": 1, "b": 1}}), (1, "a"), (1, "b"))
    spec = spec_of(config)
    assert spec.plain_vocabulary is None and not spec.keeps_ids
    assert Comparison(config).ids(Comparison(config).chosen, ["ab b a"]) == Comparison(config).library(["ab b a"])


@pytest.mark.parametrize("name", CASES)
def test_unknown_id(name: str) -> None:
    """The unknown id is that of the model."""
    model = CASES[name].make()["model"]
    unknown = model["unk_id"] if "unk_id" in model else model["vocab"].get(model["unk_token"])
    assert spec_of(CASES[name].make()).unk_token_id == unknown


def test_unknown_id_of_a_file_that_the_library_reads_itself() -> None:
    """WordPiece has no `unk_id`, so the library ignores it. Because a member is listed twice, the file is left to the library."""
    text = json.dumps(CASES["word pieces"].make())
    twice = text.replace('"unk_token":', '"unk_id": 3, "unk_token": "x", "unk_token":', 1)
    assert twice != text
    spec = parse_tokenizer(twice, "test")
    assert spec.plain_vocabulary is None
    assert spec.unk_token_id == parse_tokenizer(text, "test").unk_token_id != 3


def test_unknown_id_of_unigram_that_the_library_reads_itself() -> None:
    text = json.dumps(CASES["unigram"].make())
    twice = text.replace('"type": "Unigram"', '"byte_fallback": false, "type": "Unigram"', 1)
    spec = parse_tokenizer(twice, "test")
    assert twice != text and spec.unk_token_id == json.loads(spec.library.to_str())["model"]["unk_id"]
