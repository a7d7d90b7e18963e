"""Each compiled pre-tokeniser, and sequences of them, against the `tokenizers` library."""

from __future__ import annotations

import itertools
import random
import unicodedata
from functools import cache
from typing import Any

import pytest
from helpers import EDGE_TEXTS
from hypothesis import given
from hypothesis import strategies as st

from model2vec_numba.tokenization.byte_alphabet import BYTE_TO_CHARACTER, CHARACTER_TO_BYTE
from model2vec_numba.tokenization.pre_tokenizers import Whole, make_pre_tokenizer
from tokenization.components import PreTokenizerComparison
from tokenization.configs import BEHAVIORS, DISTINCT, LLAMA3, PRE_TOKENIZERS, QWEN2, Config, byte_level, metaspace, punctuation, sequence, split
from tokenization.texts import CLUSTERS, REPRESENTATIVES, assigned_characters, joined, mixed_texts, natural_texts, pairs, random_texts


@cache
def comparison(name: str) -> PreTokenizerComparison:
    """Return the comparison for one of `PRE_TOKENIZERS`."""
    return PreTokenizerComparison(PRE_TOKENIZERS[name])


# Texts about spaces and the characters that `Metaspace` replaces them by.
SPACES = (
    *("", " ", "a", " a", "a ", "a  b", "\u2581a", "a\u2581b \u2581\u2581", "_ _a__b_", "\u00e9\u00e9 x\u00e9"),
    *("\u3000a\u2028b\x85c\x1fd\u200be", "\t\n", "ab", "abab", "xabaxb"),
)


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_texts(name: str) -> None:
    comparison(name).check([*SPACES, *EDGE_TEXTS, *CLUSTERS, *mixed_texts()[::12], *random_texts(60, name)])
    comparison(name).check(f"x{c}y {c}" for c in REPRESENTATIVES)
    comparison(name).check(map("".join, itertools.product("ab1.\u4e00\u3000 ", repeat=2)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_more_texts(name: str) -> None:
    comparison(name).check([*natural_texts()[::40], *mixed_texts(), *random_texts(3000, f"more, {name}")])
    comparison(name).check(map("".join, itertools.product("ab 1.\u4e00\u3000", repeat=4)))


@pytest.mark.parametrize("name", DISTINCT)
def test_pairs(name: str) -> None:
    """Every pair of some characters, other ones for each pre-tokeniser."""
    comparison(name).check(pairs("".join(random.Random(name).sample(REPRESENTATIVES, 30)) + "'s\u017f"))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", DISTINCT)
def test_all_pairs(name: str) -> None:
    comparison(name).check(pairs(REPRESENTATIVES + "'s"))


def check_characters(name: str, members: list[str]) -> None:
    """Compare characters alone, between letters, after an apostrophe and next to a digit, many in a text."""
    comparison(name).check(joined((f"{c} a{c}b '{c}1{c}" for c in members), 64))


@pytest.mark.parametrize("name", DISTINCT)
def test_characters(name: str) -> None:
    """Assigned characters: those of a random 60 of the pages of 256, others for each pre-tokeniser."""
    pages = set(random.Random(name).sample(sorted({ord(c) >> 8 for c in assigned_characters()}), 60)) | {0}
    check_characters(name, [c for c in assigned_characters() if ord(c) >> 8 in pages])


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", DISTINCT)
def test_all_characters(name: str) -> None:
    check_characters(name, assigned_characters())


@pytest.mark.parametrize("name", ["byte-level", "llama3", "qwen2"])
def test_patterns(name: str) -> None:
    """All texts of four of the characters that the patterns treat differently, and of contractions."""
    comparison(name).check(map("".join, itertools.product("s\u00e9' \n1!", repeat=4)))
    comparison(name).check("'" + "".join(letters) for letters in itertools.product("sStTrReEvVlLdDmMa", repeat=2))
    comparison(name).check(map("".join, itertools.product("'sT\u017f\u0301\u3000\r\n 1\u0663-\U0001f600", repeat=2)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["byte-level", "llama3", "qwen2"])
def test_long_patterns(name: str) -> None:
    """All texts of six of these characters, and all of four and three of more."""
    comparison(name).check(map("".join, itertools.product("s\u00e9' \n1!", repeat=6)))
    comparison(name).check(map("".join, itertools.product("'sStrReEvVlLdDmM", repeat=4)))
    comparison(name).check(map("".join, itertools.product("'sTr\u017f\u0301\u3000\r\n\t 12\u0663-\U0001f600", repeat=3)))


@given(st.lists(st.text(), max_size=5), st.sampled_from([*PRE_TOKENIZERS]))
def test_any_texts(texts: list[str], name: str) -> None:
    comparison(name).check(texts)


@given(st.text(alphabet=" \n\r\t'sreEva\u00e9\u6f221\u00bd.,!\u00a0\u0301_\u2581", max_size=40), st.sampled_from([*PRE_TOKENIZERS]))
def test_texts_of_few_characters(text: str, name: str) -> None:
    comparison(name).check([text])


# A `Metaspace` that asks for the beginning of a text is supported only as the first of a sequence.
MEMBERS = [name for name, config in PRE_TOKENIZERS.items() if config is not None and "first" not in name]


@given(st.lists(st.sampled_from(MEMBERS), max_size=4), st.lists(st.text(alphabet=" 'sab1.\u00e9\u6f22\n"), max_size=4))
def test_sequences(names: list[str], texts: list[str]) -> None:
    PreTokenizerComparison(sequence(*(PRE_TOKENIZERS[name] for name in names))).check(texts)


def test_nothing_goes_to_the_library() -> None:
    """U+017F is the only letter that is an s if case is ignored."""
    comparison("llama3").check(["it'\u017f", "it's", "'\u017f", "\u017f", "'\u00df", "'\u212a", "'r\u017f", "' \u017f"])
    for name in PRE_TOKENIZERS:
        comparison(name).check(natural_texts()[::200])
        assert comparison(name).fallbacks == 0


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
@pytest.mark.parametrize("size", [5000, pytest.param(1_000_000, marks=pytest.mark.exhaustive)])
def test_long_texts(size: int, name: str) -> None:
    r"""A run of one character must not take quadratic time. It does in the library, which sees only shorter runs. ``\s+$`` takes it here too."""
    size = min(size, 20_000) if name == "split-deepseek-v2-end" else size
    for unit in (" ", "a", "'", "1", "\n", "\u4e00", "ab, "):
        comparison(name).check([f"{unit * 100}x", unit * 101])
        pre_tokens, fallbacks = comparison(name).pre_tokens([f"x{unit * (size // len(unit))}x"])
        assert not any(fallbacks) and all(pre_tokens[0])


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_texts_that_are_marked(name: str) -> None:
    """They are skipped. The pre-tokens of the other texts are right."""
    texts = ["one two", "three 'four'", "five"]
    found, _ = comparison(name).pre_tokens(texts, marked=[1])
    assert [found[0], found[2]] == [comparison(name).expected(text) for text in (texts[0], texts[2])]


@pytest.mark.parametrize("scheme", ["always", "never"])
@pytest.mark.parametrize("replacement", ["_", "\u00e9", "\u2581", "\U00010000"])
def test_largest_number_of_pre_tokens(replacement: str, scheme: str) -> None:
    """Texts of little else than beginnings of pre-tokens. Each is a batch of its own, with only as much memory as it can need."""
    case = PreTokenizerComparison(sequence({"type": "WhitespaceSplit"}, metaspace(replacement, scheme)))
    texts = ("", "a", "a b", "a b ", "__", "a_", "a_ ", "a_b", "_a_ _", "a__ b__", "_" * 50, "a" + "_" * 50, "a " * 25, "a_ " * 25)
    case.check([text.replace("_", replacement) for text in texts], batch_size=1)


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_batches(name: str) -> None:
    for texts in ([], [""], ["", ""], ["", "a b", ""], [" "]):
        assert comparison(name).pre_tokens(texts)[0] == [comparison(name).expected(text) for text in texts]


def test_byte_alphabet() -> None:
    """The characters that stand for bytes are the library's."""
    text = "".join(map(chr, (*range(0x20, 0x800), 0x4E00, 0xFFFF, 0x10FFFF)))
    bare = comparison("byte-level-bare")
    (expected,) = bare.expected(text)
    assert expected == "".join(BYTE_TO_CHARACTER[byte] for byte in text.encode())
    assert len(BYTE_TO_CHARACTER) == len(set(BYTE_TO_CHARACTER.values())) == 256
    assert {character: byte for byte, character in BYTE_TO_CHARACTER.items()} == CHARACTER_TO_BYTE
    assert bare.pre_tokens([text])[0] == [[expected]]


# Which pre-tokenisers are compiled.

NOT_COMPILED: dict[str, Any] = {
    "no type": {"add_prefix_space": True},
    "type that is no string": {"type": 1},
    "type in a list": {"type": ["Metaspace"]},
    "string": "ByteLevel",
    "list": [],
    "unknown type": {"type": "UnicodeScripts"},
    "bert, extra member": {"type": "BertPreTokenizer", "more": 1},
    "whitespace, extra member": {"type": "Whitespace", "more": 1},
    "spaces, extra member": {"type": "WhitespaceSplit", "more": 1},
    "punctuation, extra member": {**punctuation("Isolated"), "more": 1},
    "punctuation, behaviour": punctuation("isolated"),
    "punctuation, no behaviour": {"type": "Punctuation", "behavior": None},
    "digits, integer": {"type": "Digits", "individual_digits": 1},
    "digits, missing": {"type": "Digits"},
    "byte level, extra member": {**byte_level(), "more": 1},
    "byte level, member missing": {"type": "ByteLevel", "add_prefix_space": True},
    "byte level, null": {**byte_level(), "use_regex": None},
    "metaspace, long replacement": metaspace("__"),
    "metaspace, scheme": metaspace("_", "sometimes"),
    "metaspace, old form": {"type": "Metaspace", "replacement": "_", "add_prefix_space": True},
    "split, back-reference": split(r"(?<x>a)\k<x>"),
    "split, behaviour": split("a", "isolated"),
    "split, two patterns": {**split("a"), "pattern": {"Regex": "a", "String": "a"}},
    "split, pattern that is a string": {**split("a"), "pattern": "a"},
    "split, invert that is an integer": {**split("a"), "invert": 0},
    "split, extra member": {**split("a"), "more": 1},
    "sequence, member that is not compiled": sequence(byte_level(), split(r"\X")),
    "sequence, unknown member": sequence({"type": "WhitespaceSplit"}, {"type": "Unheard-of"}),
    "sequence, beginning asked for too late": sequence({"type": "WhitespaceSplit"}, metaspace("_", "first")),
    "sequence, no members": {"type": "Sequence"},
    "sequence, null": {"type": "Sequence", "pretokenizers": None},
    "sequence, null as a member": sequence(None),
}


@pytest.mark.parametrize("name", NOT_COMPILED)
def test_not_compiled(name: str) -> None:
    assert make_pre_tokenizer(NOT_COMPILED[name]) is None


def test_defaults() -> None:
    """Members that may be missing have the library's defaults."""
    assert isinstance(make_pre_tokenizer(None), Whole)
    configs: list[Config] = [{"type": "Punctuation"}, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}]
    for config in configs:
        PreTokenizerComparison(config).check([*EDGE_TEXTS, *natural_texts()[::400]])


@pytest.mark.parametrize(
    "pattern", [r"\d", r"\D+", r"\w+", r"\W", r"\S+", r"\p{P}", r"\P{L}+", r"\p{^N}", r"[\p{L}\p{M}]+", r"[^\s\d]", "x", "\u00e9+", r"\n"]
)
@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_classes(pattern: str, behavior: str) -> None:
    """Regular expressions for a class of characters."""
    case = PreTokenizerComparison(split(pattern, behavior))
    case.check([*EDGE_TEXTS, *random_texts(15, f"{pattern} {behavior}")])
    case.check(REPRESENTATIVES[i : i + 7] for i in range(0, len(REPRESENTATIVES), 3))


def test_patterns_of_real_models() -> None:
    """The patterns are those in the files of Llama 3 and Qwen 2."""
    llama3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    assert [llama3, llama3.replace("{1,3}", "")] == [LLAMA3, QWEN2]
    assert all(make_pre_tokenizer(split(pattern)) is not None for pattern in (LLAMA3, QWEN2))


def test_categories() -> None:
    """The library agrees with Python about letters and digits that Python's version of Unicode knows."""
    letters = [c for c in assigned_characters()[:20_000:7] if unicodedata.category(c) in ("Lu", "Ll", "Lo", "Nd")]
    comparison("qwen2").check(joined(letters, 64))
