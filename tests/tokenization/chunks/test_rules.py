"""Rules of chunks: what each family gets, and texts that are cut by the rules against the `tokenizers` library on whole texts."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from model2vec_numba.batches import TextBatch
from model2vec_numba.tokenization.chunks.rules import ChunkRule
from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.normalizers import make_normalizer
from model2vec_numba.tokenization.pre_tokenizers import make_pre_tokenizer
from tokenization.cases import CASES
from tokenization.chunks.families import FAMILIES, random_family, spaced, texts_for
from tokenization.chunks.reference import ByChunks, chunks_of, rule_of
from tokenization.configs import Config, bert_config, byte_level, config_of, metaspace, small_model, with_added_tokens
from tokenization.hostile import tokenizer_files
from tokenization.test_cutting import with_tokens
from tokenization.texts import assigned_characters, natural_texts, pairs, sample_texts

Shape = tuple[bool, bool, bool, bool]

# The rules of published tokenizers: `trims`, `after_newline`, `drops_space`, and whether there are `edges`.
_WORDS, _UNSAFE_WORDS = (True, False, False, False), (True, False, False, True)
_SPACES, _SPACES_AND_LINES = (False, False, False, True), (False, True, False, True)
SHARED: dict[str, Shape] = {
    **dict.fromkeys(("bert-base-uncased", "minilm-256-i8"), _WORDS),
    **dict.fromkeys(("t5-small", "unigram-multilingual-64-f16", "camembert-distilled", "siglip-like", "clip"), _UNSAFE_WORDS),
    **dict.fromkeys(("rut5", "mistral-7b-v0.1", "bloom-like", "bpe-multilingual-64-f16"), _SPACES),
    **dict.fromkeys(("gpt-neox", "modernbert", "roberta-base", "falcon"), _SPACES_AND_LINES),
}
# The tokenizers of `CASES` whose texts are not cut.
UNCUT = {
    *("bert, added token", "bert, normalised added token"),
    *("bytes, one piece", "unigram, one piece", "unigram, no pre-tokeniser", "unigram, phrases", "unigram, ties"),
    "library: an unknown pre-tokeniser",
}


def shape_of(rule: ChunkRule | None) -> Shape | None:
    return None if rule is None else (rule.trims, rule.after_newline, rule.drops_space, rule.edges is not None)


def check(config: Config, rule: ChunkRule, *groups: object) -> ByChunks:
    """Fail with the shortest text whose chunks have other ids than the text."""
    case = ByChunks(config, rule)
    for texts in groups:
        found = list(case.mismatches(texts))
        if found:
            text, ours, theirs = min(found, key=lambda mismatch: len(mismatch[0]))
            parts = [config["normalizer"], config["pre_tokenizer"], config["added_tokens"]]
            pytest.fail(f"{len(found)} texts, one of them {text!a}: {chunks_of(rule, text)} {ours}, not {theirs}: {json.dumps(parts)[:2000]}")
    return case


def unsafe(rule: ChunkRule, chunks: list[str]) -> list[bool]:
    """Return which chunks are unsafe."""
    assert rule.edges is not None
    encoded = [chunk.encode() for chunk in chunks]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return [bool(flag) for flag in rule.edges.unsafe(TextBatch(np.frombuffer(b"".join(encoded), np.uint8), offsets))]


@pytest.mark.parametrize("name", FAMILIES)
def test_families(name: str) -> None:
    config, shape = FAMILIES[name]
    rule = rule_of(config)
    assert shape_of(rule) == shape
    if rule is not None:
        case = check(config, rule, sample_texts(), spaced(natural_texts()[::40], name), texts_for(config, 120, name))
        assert case.cut > case.whole


@pytest.mark.parametrize("name", CASES)
def test_table(name: str) -> None:
    config = CASES[name].make()
    rule = rule_of(config)
    assert (rule is None) == (name in UNCUT)
    if rule is not None:
        check(config, rule, sample_texts(), spaced(natural_texts()[::200], name), texts_for(config, 40, name))


def test_shared_files(shared: Path) -> None:
    for name, path in tokenizer_files(shared).items():
        if name in SHARED:
            config = json.loads(path.read_text(encoding="utf-8"))
            rule = rule_of(config)
            assert shape_of(rule) == SHARED[name], name
            assert rule is not None
            natural = natural_texts()[::60]
            case = check(config, rule, natural)
            # Hardly any natural text has an unsafe chunk. BLOOM's pattern does not cut between two signs, as in "). (".
            assert case.whole <= len(natural) // (10 if name == "bloom-like" else 200), name
            check(config, rule, spaced(natural, name), texts_for(config, 50, name))


def test_random_tokenizers() -> None:
    assert _count_rules(random_seed=0, count=40) >= 8


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(1, 4))
def test_many_random_tokenizers(seed: int) -> None:
    _count_rules(random_seed=seed, count=100)


def _count_rules(random_seed: int, count: int) -> int:
    """Check random tokenizers, and return how many of them have a rule."""
    draw = random.Random(random_seed)
    found = 0
    for number in range(count):
        try:
            config = random_family(draw)
        except BaseException as error:
            # The library fails on the content of an added token.
            if not is_library_error(error):
                raise
            continue
        rule = rule_of(config) if make_pre_tokenizer(config["pre_tokenizer"]) and make_normalizer(config["normalizer"]) else None
        if rule is not None:
            found += 1
            check(config, rule, texts_for(config, 50, f"{random_seed} {number}"))
    return found


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FAMILIES)
def test_characters_at_the_ends(name: str) -> None:
    """Every third character at both ends of a chunk, others for each family, and all pairs of characters of different classes."""
    config, shape = FAMILIES[name]
    rule = rule_of(config)
    if rule is not None and shape is not None:
        some = assigned_characters()[len(name) % 3 :: 3]
        characters = [f"x {c}y{c} z {c}" for c in some if not 0x3400 < ord(c) < 0x9FF0 and not 0xAC10 < ord(c) < 0xD7A0]
        check(config, rule, characters, (f"x {pair} y" for pair in pairs()))


@pytest.mark.parametrize("name", ["Llama 3", "Qwen", "XLM-R", "XLM-R, newer", "CamemBERT", "Mistral", "DeBERTa"])
def test_words_of_all_scripts_are_safe(name: str) -> None:
    rule = rule_of(FAMILIES[name][0])
    assert rule is not None
    words = {word for line in natural_texts()[::3] for word in line.split()}
    chunks = sorted(words if rule.trims else [f" {word}" for word in words])
    bad = [chunk for chunk, flag in zip(chunks, unsafe(rule, chunks), strict=True) if flag]
    assert len(bad) <= len(chunks) // 500, bad


def test_unsafe_chunks() -> None:
    spaces = rule_of(FAMILIES["Llama 3"][0])
    assert spaces is not None
    chunks = [
        "a",
        " a",
        " a\n",
        "a\n",
        "\xa0a",
        " \xa0a",
        " a\xa0",
        " a\xa0\n",
        " \u3000",
        " a\u3000b",
        "\n",
        " ",
        "",
        "  \xa0a",
        " a\xa0 ",
        "\t\xa0a",
    ]
    # White space at the ends of a whole text is no cut, so what is next to it does not matter.
    expected = [False, False, False, False, True, True, True, True, True, False, False, False, False, False, False, False]
    assert unsafe(spaces, chunks) == expected
    words = rule_of(FAMILIES["XLM-R"][0])
    assert words is not None
    assert unsafe(words, ["a", "\u0301a", "a\u0301", "\u0600", "a\u0600", "\u0600a", "\u0915\u0940"]) == [
        False,
        True,
        False,
        True,
        True,
        False,
        False,
    ]


def test_clusters_at_the_ends() -> None:
    """``Precompiled`` replaces short grapheme clusters as a whole, so nothing is known about the rest of their last code point."""
    rule = rule_of(FAMILIES["XLM-R, newer"][0])
    assert rule is not None
    chunks = [" \u0915\u0940", " a\u0301", " e\u0301b", " be\u0301b", " \u0e01\u0e33"]
    assert unsafe(rule, chunks) == [False, True, True, False, False]


def test_added_tokens() -> None:
    """Tokens with white space inside, and tokens that look over a cut."""
    for content, flags, expected in (
        ("New York", {}, None),
        (" the", {}, _SPACES_AND_LINES),
        (" the", {"single_word": True}, None),
        ("  ", {}, _SPACES_AND_LINES),
        ("a\nb", {}, _SPACES),
        ("\n", {}, _SPACES),
        ("[M]", {"lstrip": True}, _SPACES_AND_LINES),
        ("[M]", {"rstrip": True}, _SPACES_AND_LINES),
        ("token", {"rstrip": True}, None),
        ("token", {"single_word": True}, _SPACES_AND_LINES),
    ):
        for normalized in (False, True):
            config = with_added_tokens(config_of(small_model("bpe-bytes"), byte_level()), content, normalized=normalized, **flags)
            rule = rule_of(config)
            assert shape_of(rule) == expected, (content, flags)
            if rule is not None:
                check(config, rule, texts_for(config, 60, content))
            if "rstrip" in flags and rule is not None:
                assert unsafe(rule, [" a[M]", " a[M]b", " [M]"]) == [True, False, True]
            if "lstrip" in flags and rule is not None:
                assert unsafe(rule, ["[M]", " [M]", "a[M]"]) == [True, False, False]


def test_added_tokens_between_words() -> None:
    assert shape_of(rule_of(with_added_tokens(bert_config(), "[M]", lstrip=True, rstrip=True))) == _WORDS
    assert rule_of(with_added_tokens(bert_config(), "a b")) is None
    assert rule_of(with_added_tokens(bert_config(), "a\u3000b", normalized=True)) is None


@pytest.mark.parametrize("name", ["CamemBERT", "SigLIP", "T5, newer", "DeBERTa"])
def test_added_tokens_after_the_normalizer(name: str) -> None:
    """``Strip`` does not strip the text before a token that is found in the normalised text, so the space before the token is a pre-token."""
    base = FAMILIES[name][0]
    for normalized in (False, True):
        token = {"content": "the", "single_word": False, "lstrip": False, "rstrip": False, "normalized": normalized, "special": False}
        config = with_tokens(base, [token])
        rule = rule_of(config)
        assert (None if rule is None else rule.trims) == (True if not normalized else False if name in ("CamemBERT", "T5, newer") else None)
        if rule is not None:
            check(config, rule, ["a the a", "the the", " the "], texts_for(config, 60, name))


def test_space_inside_tokens() -> None:
    """A character that a token of BPE holds before a space is unsafe at the end of a chunk. If it is a letter, there is no rule."""
    config = FAMILIES["Mistral"][0]
    for content, expected in ((".\u2581", [True, False]), ("x\u2581", None)):
        model = config["model"]
        changed = {**config, "model": {**model, "vocab": {**model["vocab"], content: len(model["vocab"])}}}
        rule = rule_of(changed)
        assert (None if rule is None else unsafe(rule, [" a.", " .a"])) == expected


def test_newline_inside_tokens() -> None:
    config, shape = FAMILIES["Gemma"]
    for content, expected in (("\n\n", shape), ("\n\u2581", _SPACES), ("a\n", shape)):
        model = config["model"]
        merges = [*model["merges"], [content[0], content[1]]] if content == "\n\n" else model["merges"]
        vocabulary = {**model["vocab"], "\n": len(model["vocab"]), content: len(model["vocab"]) + 1}
        changed = {**config, "model": {**model, "vocab": vocabulary, "merges": merges}}
        rule = rule_of(changed)
        assert shape_of(rule) == expected and rule is not None
        check(changed, rule, texts_for(changed, 100, content))


def test_metaspace_of_another_character() -> None:
    for replacement in "_\u00e9":
        config = config_of(small_model("unigram"), metaspace(replacement))
        rule = rule_of(config)
        assert shape_of(rule) == _SPACES
        assert rule is not None
        check(config, rule, texts_for(config, 200, replacement))
