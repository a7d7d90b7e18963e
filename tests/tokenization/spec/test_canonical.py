"""Older spellings of `tokenizer.json` are compiled like the spelling of today, with the ids that the library gives the file."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Tokenizer

from model2vec_numba.errors import ModelFormatError
from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.tokenizer import make_tokenizer
from tokenization.cases import Comparison, spec_of
from tokenization.configs import (
    NORMALIZERS,
    Config,
    bert_config,
    bert_normalizer,
    byte_level,
    config_of,
    digits,
    metaspace,
    normalizer_sequence,
    punctuation,
    replace,
    sequence,
    small_config,
    small_model,
    split,
    unigram_model,
    with_added_tokens,
    with_model,
)
from tokenization.texts import sample_texts

SPACES: Config = {"type": "WhitespaceSplit"}
SPECIAL: Config = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
OWN: Config = {"Sequence": {"id": "A", "type_id": 0}}
CLS, SEP = ["[CLS]", 2], ["[SEP]", 3]


def without(config: Config, *names: str) -> Config:
    """Return a config without some members."""
    return {name: value for name, value in config.items() if name not in names}


# Parts as older files spell them, each with the canonical spelling.
NORMALIZER_SPELLINGS: dict[str, tuple[Config | None, Config | None]] = {
    "BertNormalizer without strip_accents": (without(bert_normalizer(), "strip_accents"), bert_normalizer()),
    "BertNormalizer without a type": (without(bert_normalizer(strip_accents=True), "type"), bert_normalizer(strip_accents=True)),
    "BertNormalizer, called Bert": ({**bert_normalizer(), "type": "Bert"}, bert_normalizer()),
    "BertNormalizer with another member": ({**bert_normalizer(), "do_lower_case": False}, bert_normalizer()),
    "Strip without a type": ({"strip_left": True, "strip_right": False}, {"type": "Strip", "strip_left": True, "strip_right": False}),
    "Strip with the type of another": (
        {"type": "BertNormalizer", "strip_left": False, "strip_right": True},
        {"type": "Strip", "strip_left": False, "strip_right": True},
    ),
    "Prepend without a type": ({"prepend": "x"}, {"type": "Prepend", "prepend": "x"}),
    "Replace without a type": ({"pattern": {"String": "a"}, "content": "b"}, replace("a", "b")),
    "Replace of a regular expression with another member": ({**replace(r"\s+", " ", "Regex"), "invert": False}, replace(r"\s+", " ", "Regex")),
    "Sequence without a type": ({"normalizers": [{"type": "NFC"}]}, normalizer_sequence({"type": "NFC"})),
    "Sequence of older spellings": (
        normalizer_sequence(normalizer_sequence({"type": "Lowercase", "a": 1}), {"strip_left": True, "strip_right": True}, normalizer_sequence()),
        normalizer_sequence(
            normalizer_sequence({"type": "Lowercase"}), {"type": "Strip", "strip_left": True, "strip_right": True}, normalizer_sequence()
        ),
    ),
    "Precompiled with another member": ({**NORMALIZERS["Precompiled"], "normalization": "nfkc"}, NORMALIZERS["Precompiled"]),
    "Nmt with another member": ({"type": "Nmt", "form": "nfkc"}, {"type": "Nmt"}),
    "none": (None, None),
}
PRE_TOKENIZER_SPELLINGS: dict[str, tuple[Config | None, Config | None]] = {
    "Metaspace with add_prefix_space": ({"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}, metaspace()),
    "Metaspace with str_rep": ({"type": "Metaspace", "replacement": "\u2581", "str_rep": "xy", "add_prefix_space": True}, metaspace()),
    "Metaspace with nulls": ({"type": "Metaspace", "replacement": "_", "str_rep": None, "add_prefix_space": None, "split": None}, metaspace("_")),
    "Metaspace with only a replacement": ({"type": "Metaspace", "replacement": "\u2581"}, metaspace()),
    "Metaspace without split": (without(metaspace(scheme="first"), "split"), metaspace(scheme="first")),
    "Metaspace without prepend_scheme": (without(metaspace(splits=False), "prepend_scheme"), metaspace(splits=False)),
    "Metaspace with both": ({**metaspace(scheme="first"), "add_prefix_space": True}, metaspace(scheme="first")),
    "Metaspace that never prepends": ({**metaspace(scheme="never"), "add_prefix_space": False}, metaspace(scheme="never")),
    "Metaspace that never prepends, with both": ({**metaspace(scheme="never"), "add_prefix_space": True}, metaspace(scheme="never")),
    "ByteLevel without use_regex": (without(byte_level(prefix=True), "use_regex"), byte_level(prefix=True)),
    "ByteLevel with another member": ({**byte_level(regex=False), "lowercase": True}, byte_level(regex=False)),
    "Punctuation without behavior": ({"type": "Punctuation"}, punctuation("Isolated")),
    "Split with another member": ({**split("ab", string=True), "a": {}}, split("ab", string=True)),
    "BertPreTokenizer with another member": ({"type": "BertPreTokenizer", "a": None}, {"type": "BertPreTokenizer"}),
    "Whitespace with another member": ({"type": "Whitespace", "a": []}, {"type": "Whitespace"}),
    "Digits with another member": ({**digits(True), "a": False}, digits(True)),
    "Sequence with another member": ({**sequence(SPACES), "a": 1}, sequence(SPACES)),
    "Sequence of older spellings": (
        sequence({"type": "WhitespaceSplit", "a": 1}, sequence({"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True})),
        sequence(SPACES, sequence(metaspace())),
    ),
    "none": (None, None),
}
POST_PROCESSOR_SPELLINGS: dict[str, tuple[Config | None, bool]] = {
    "none": (None, True),
    "BertProcessing": ({"type": "BertProcessing", "sep": SEP, "cls": CLS}, True),
    "BertProcessing without a type": ({"sep": SEP, "cls": CLS}, True),
    "RobertaProcessing without a type": ({"sep": SEP, "cls": CLS, "trim_offsets": True, "add_prefix_space": False}, True),
    "ByteLevel without use_regex": ({"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}, True),
    "TemplateProcessing without a type": ({"single": [SPECIAL, OWN], "pair": [OWN], "special_tokens": {}}, True),
    "a template that is called Bert's": ({"type": "BertProcessing", "single": [OWN, OWN], "pair": [OWN], "special_tokens": {}}, False),
    "Bert's processing that is called a template": ({"type": "TemplateProcessing", "single": [OWN, OWN], "sep": SEP, "cls": CLS}, True),
    "Sequence of older spellings": ({"type": "Sequence", "processors": [{"sep": SEP, "cls": CLS}], "a": 1}, True),
}
COMPONENT_SPELLINGS = (NORMALIZER_SPELLINGS, PRE_TOKENIZER_SPELLINGS)
MODEL_SPELLINGS: dict[str, tuple[Callable[[], Config], str]] = {
    "BPE without a type": (lambda: without(small_model("bpe"), "type"), "BPE"),
    "BPE with the members of 2019": (lambda: without(small_model("bpe-bytes"), "type", "byte_fallback", "ignore_merges"), "BPE"),
    "BPE with merges as lines": (lambda: small_model("bpe", merges=["#version: 0.2", *map(" ".join, small_model("bpe")["merges"])]), "BPE"),
    "BPE with only a vocabulary and merges": (lambda: {name: small_model("bpe")[name] for name in ("vocab", "merges")}, "BPE"),
    "BPE with nulls": (lambda: small_model("bpe", fuse_unk=None, byte_fallback=None, ignore_merges=None, unk_token=None), "BPE"),
    "BPE with another member": (lambda: small_model("bpe", end=1), "BPE"),
    "WordPiece without a type": (lambda: without(small_model("wordpiece"), "type"), "WordPiece"),
    "WordPiece with another member": (lambda: small_model("wordpiece", more=[]), "WordPiece"),
    "WordPiece with merges": (lambda: small_model("wordpiece", merges=["a b"]), "WordPiece"),
    "WordLevel without a type": (lambda: without(small_model("wordlevel"), "type"), "WordLevel"),
    "WordLevel with merges that are no list": (lambda: without(small_model("wordlevel", merges={}), "type"), "WordLevel"),
    "Unigram without a type": (lambda: without(small_model("unigram"), "type"), "Unigram"),
    "Unigram without byte_fallback": (lambda: without(small_model("unigram"), "byte_fallback"), "Unigram"),
    "Unigram with only a vocabulary": (lambda: without(small_model("unigram"), "type", "byte_fallback"), "Unigram"),
    "Unigram with an unknown token": (lambda: small_model("unigram", unk_token="a", merges=[]), "Unigram"),
}


@pytest.mark.parametrize("name", NORMALIZER_SPELLINGS)
def test_normalizers(name: str) -> None:
    old, new = NORMALIZER_SPELLINGS[name]
    case = Comparison(config_of(small_model("wordpiece"), SPACES, old))
    assert case.spec.config["normalizer"] == new
    assert list(case.tokenizers) == ["pipeline"]
    case.check(sample_texts())


@pytest.mark.parametrize("name", PRE_TOKENIZER_SPELLINGS)
def test_pre_tokenizers(name: str) -> None:
    old, new = PRE_TOKENIZER_SPELLINGS[name]
    case = Comparison(config_of(small_model("unigram"), old))
    assert case.spec.config["pre_tokenizer"] == new
    assert list(case.tokenizers) == ["pipeline"]
    case.check(sample_texts())


@pytest.mark.parametrize("name", POST_PROCESSOR_SPELLINGS)
def test_post_processors(name: str) -> None:
    post_processor, keeps_ids = POST_PROCESSOR_SPELLINGS[name]
    case = Comparison({**bert_config(), "post_processor": post_processor})
    assert case.spec.keeps_ids == keeps_ids
    assert list(case.tokenizers) == (["bert", "pipeline"] if keeps_ids else [])
    case.check(sample_texts()[::5])


@pytest.mark.parametrize("name", MODEL_SPELLINGS)
def test_models(name: str) -> None:
    make, kind = MODEL_SPELLINGS[name]
    case = Comparison(config_of(make(), {"type": "Whitespace"}))
    assert case.spec.config["model"]["type"] == kind
    assert list(case.tokenizers) == ["pipeline"]
    case.check(sample_texts())


def test_whole_files() -> None:
    """All members but the model may be missing. BERT's own file has no type of the model."""
    case = Comparison(with_model(bert_config(), type=...))
    assert list(case.tokenizers) == ["bert", "pipeline"]
    case.check(sample_texts())
    case = Comparison({"model": small_model("unigram")})
    assert list(case.tokenizers) == ["pipeline"]
    case.check(sample_texts())
    with pytest.raises(ModelFormatError, match="not a tokenizer"):
        spec_of({**bert_config(), "surprise": []})


# What the library makes of these is not known from the small tokenizer, so the whole one is asked.
WHOLE_FILES: dict[str, Callable[[], Config]] = {
    # The merge is none, so BPE does not fit.
    "WordLevel without a type, with merges": lambda: without(small_model("wordlevel", merges=["a zzz"]), "type"),
    "WordPiece without a type, with merges": lambda: without(small_model("wordpiece", merges=["a b c"]), "type"),
    "an id of 32 bits": lambda: small_model("wordlevel", vocab={"[UNK]": 0, "a": (1 << 32) - 1}),
}


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_asks_the_library(name: str) -> None:
    spec = spec_of(config_of(WHOLE_FILES[name](), SPACES))
    assert spec.plain_vocabulary is None and not spec.keeps_ids
    assert spec.vocabulary == Tokenizer.from_str(spec.text).get_vocab()


REFUSED: dict[str, Config] = {
    "null in place of added tokens": {"added_tokens": None},
    "a type of model that there is not": {"model": small_model("wordlevel", type="Words")},
    "a type of normaliser that there is not": {"normalizer": {"type": "Capitals"}},
    "an added token without a flag": {"added_tokens": [{"id": 0, "content": "a"}]},
    "an added token with a negative id": {"added_tokens": [{**with_added_tokens(small_config("wordlevel"), "a")["added_tokens"][0], "id": -1}]},
    "a merge of three tokens": {"model": small_model("bpe", merges=["a b c"])},
    "Metaspace that contradicts itself": {"pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": False}},
    "a charsmap that is none": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "!"}},
    "an unknown id beyond the vocabulary": {"model": unigram_model([("a", -1.0)], 1)},
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """Files that the library refuses are refused."""
    with pytest.raises(ModelFormatError, match=r"not a tokenizer|not base64"):
        spec_of({**config_of(small_model("wordlevel"), SPACES), **REFUSED[name]})


def mutated(value: Any, draw: random.Random) -> Any:
    """Return JSON in which some members of objects are missing, null, or there are more. A vocabulary stays as it is."""
    if isinstance(value, list):
        return [mutated(item, draw) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {name: part if name in ("vocab", "merges") else mutated(part, draw) for name, part in value.items()}
    for name in list(changed):
        if draw.random() < 0.04:
            del changed[name]
        elif draw.random() < 0.01:
            changed[name] = draw.choice([None, True, "a", 7, []])
    if draw.random() < 0.08:
        changed[draw.choice(["type", "unk_id", "merges", "prepend_scheme", "strip_accents", "extra"])] = draw.choice([None, "BPE", 1, [], {}])
    return changed


def or_none(call: Callable[[], Any]) -> Any:
    """Return what a call of the library returns, ``None`` if the library refuses it."""
    try:
        return call()
    except BaseException as error:
        if is_library_error(error):
            return None
        raise


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(6, 60))])
def test_mutated_files(seed: int) -> None:
    """The library accepts some of them, and then the ids are its ids. The package refuses the others, as the library does."""
    draw = random.Random(seed)
    accepted = 0
    for _ in range(40):
        model = small_model(draw.choice(["wordpiece", "wordlevel", "unigram", "bpe", "bpe-bytes"]))
        normalizer, pre_tokenizer = (draw.choice([old, new]) for old, new in (draw.choice(list(table.values())) for table in COMPONENT_SPELLINGS))
        post_processor, _ = draw.choice(list(POST_PROCESSOR_SPELLINGS.values()))
        config = mutated(config_of(model, pre_tokenizer, normalizer, post_processor=post_processor), draw)
        library = or_none(lambda config=config: Tokenizer.from_str(json.dumps(config)))
        if library is None or not library.get_vocab():
            with pytest.raises(ModelFormatError):
                spec_of(config)
            continue
        spec = spec_of(config)
        assert spec.vocabulary == library.get_vocab()
        accepted += 1
        tokenizer = make_tokenizer(spec)
        for text in ["The caf\u00e9s\u2581are 12_ok, a\u4e00 ", "", "a ab.b"]:
            encoding = or_none(lambda text=text, library=library: library.encode(text, add_special_tokens=False))
            if encoding is not None:
                assert Comparison.ids(tokenizer, [text]) == [[i for i in encoding.ids if i != spec.unk_token_id]]
    assert accepted
