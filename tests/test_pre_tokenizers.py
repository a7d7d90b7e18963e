"""Each compiled pre-tokeniser against its counterpart in the `tokenizers` library: the same pieces, for every text. More of it: `fuzz_bpe.py`."""

from __future__ import annotations

import itertools
import unicodedata
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest
from helpers import EDGE_TEXTS
from hypothesis import given
from hypothesis import strategies as st
from stage_cases import BEHAVIORS, DISTINCT, LLAMA3, PRE_TOKENIZERS, QWEN2, PieceCase, byte_level, punctuation, sequence, split
from wordpiece_cases import REPRESENTATIVES, Parts, assigned_characters, natural_texts, pairs, random_texts

from model2vec_numba.text import flatten
from model2vec_numba.tokenization.byte_level import BYTE_TO_CHARACTER, spelled_out
from model2vec_numba.tokenization.pre_tokenizers import Whole, make_pre_tokenizer
from model2vec_numba.tokenization.pre_tokenizers.patterns import GPT2
from model2vec_numba.tokenization.stages import FALLBACK, PieceBatch


@cache
def case(name: str) -> PieceCase:
    """One of the pre-tokenisers."""
    return PieceCase(PRE_TOKENIZERS[name])


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_texts(name: str) -> None:
    case(name).check(["", "a", " ", "ab", "abab", "xabaxb", *EDGE_TEXTS])
    case(name).check(natural_texts()[::40])
    case(name).check(random_texts(1500, [*PRE_TOKENIZERS].index(name)))
    case(name).check(map("".join, itertools.product("ab 1.\u4e00\u3000", repeat=3)))


@pytest.mark.parametrize("name", DISTINCT)
def test_pairs(name: str) -> None:
    """Every pair of a set of code points that has all classes."""
    case(name).check(pairs(REPRESENTATIVES[::2] + "'s\u017f"))


@pytest.mark.parametrize("name", DISTINCT)
def test_characters(name: str) -> None:
    """All that are assigned but for those that have thousands like them, many to a text."""
    single = [c for c in assigned_characters() if not unicodedata.name(c, "").startswith(("CJK", "HANGUL SYL", "TANGUT", "EGYPTIAN", "CUNEIFORM"))]
    rest = iter(single)
    case(name).check(iter(lambda: " ".join(f"{c} a{c}b '{c}1{c}" for c in islice(rest, 64)), ""))


@pytest.mark.parametrize("name", ["byte-level", "llama3", "qwen2"])
def test_patterns(name: str) -> None:
    """Every text of six of the characters that the patterns tell apart, and of four with more."""
    case(name).check(map("".join, itertools.product("sé' \n1!", repeat=6 if name == "llama3" else 5)))
    case(name).check(map("".join, itertools.product("'sStrReEvVlLdDmM", repeat=4 if name == "llama3" else 3)))
    case(name).check(map("".join, itertools.product("'sTr\u017f\u0301\u3000\r\n\t 12\u0663-\U0001f600", repeat=3)))


@given(st.lists(st.text(), max_size=5), st.sampled_from([*PRE_TOKENIZERS]))
def test_any_texts(texts: list[str], name: str) -> None:
    case(name).check(texts)


@given(st.text(alphabet=" \n\r\t'sreEvaé漢1½.,!\u00a0\u0301", max_size=40), st.sampled_from([*PRE_TOKENIZERS]))
def test_texts_of_few_characters(text: str, name: str) -> None:
    case(name).check([text])


@given(st.lists(st.sampled_from([*PRE_TOKENIZERS]), max_size=4), st.lists(st.text(alphabet=" 'sab1.é漢\n"), max_size=4))
def test_sequences(names: list[str], texts: list[str]) -> None:
    PieceCase(sequence(*(PRE_TOKENIZERS[name] for name in names))).check(texts)


def test_long_s_goes_to_the_library() -> None:
    """The one letter that is an s but for the case; nothing else does."""
    _, fallbacks = case("llama3").pieces(["it'\u017f", "it's", "'\u017f", "\u017f", "'\u00df", "'\u212a", "'r\u017f", "' \u017f"])
    assert fallbacks == [True, False, True, False, False, False, True, False]
    for name in PRE_TOKENIZERS:
        before = case(name).fallbacks
        case(name).check(natural_texts()[::100])
        assert case(name).fallbacks == before


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_long_texts(name: str) -> None:
    """Far longer ones than any loop may be quadratic in; the library, which can be, sees a shorter one."""
    for unit in (" ", "a", "'", "1", "\n", "\u4e00", "ab, "):
        case(name).check([f"{unit * 500}x", unit * 501])
        pieces, fallbacks = case(name).pieces([f"x{unit * (100_000 // len(unit))}x"])
        assert not any(fallbacks) and all(pieces[0])


def test_texts_that_are_not_done() -> None:
    """They are passed over, and the others' pieces are right."""
    texts = ["one two", "three 'four'", "five"]
    for name in PRE_TOKENIZERS:
        status = np.array([0, FALLBACK, 0], np.uint8)
        batch = case(name).compiled.split(PieceBatch.whole(flatten(texts)), status)
        alone, _ = case(name).pieces([texts[0], texts[2]])
        batch = spelled_out(batch)
        flat = [batch.data[begin:end].tobytes().decode() for begin, end in zip(batch.begins, batch.ends, strict=True)]
        assert flat[batch.offsets[0] : batch.offsets[1]] == alone[0], name
        assert flat[batch.offsets[2] : batch.offsets[3]] == alone[1], name


@pytest.mark.parametrize("scheme", ["always", "never"])
@pytest.mark.parametrize("replacement", ["_", "\u00e9", "\u2581", "\U00010000"])
def test_as_many_pieces_as_there_can_be(replacement: str, scheme: str) -> None:
    """Words of little but what pieces begin with, each text a batch of its own, for which there is no more room than it can need."""
    metaspace = {"type": "Metaspace", "replacement": replacement, "prepend_scheme": scheme, "split": True}
    words = PieceCase(sequence({"type": "WhitespaceSplit"}, metaspace))
    for text in ("", "a", "a b", "a b ", "__", "a_", "a_ ", "a_b", "_a_ _", "a__ b__", "_" * 50, "a" + "_" * 50, "a " * 25, "a_ " * 25):
        words.check([text.replace("_", replacement)])


def test_batches() -> None:
    for texts in ([], [""], ["", ""], ["", "a b", ""], [" "]):
        for name in PRE_TOKENIZERS:
            assert case(name).pieces(texts)[0] == [case(name).expected(text) for text in texts]


def test_bytes() -> None:
    """The characters of `ByteLevel`, byte by byte, and back."""
    text = "".join(map(chr, (*range(0x20, 0x800), 0x4E00, 0xFFFF, 0x10FFFF)))
    bare = case("byte-level-bare")
    expected = "".join(piece for piece, _ in bare.library.pre_tokenize_str(text))
    assert expected == "".join(BYTE_TO_CHARACTER[byte] for byte in text.encode())
    assert len(BYTE_TO_CHARACTER) == len(set(BYTE_TO_CHARACTER.values())) == 256
    assert bare.pieces([text])[0] == [[expected]]


# Which parts are taken.

REFUSED: dict[str, Any] = {
    "no type": {"add_prefix_space": True},
    "a type that is no string": {"type": 1},
    "not an object": "ByteLevel",
    "unknown type": {"type": "UnicodeScripts"},
    "extra member, bert": {"type": "BertPreTokenizer", "more": 1},
    "extra member, whitespace": {"type": "Whitespace", "more": 1},
    "extra member, punctuation": {**punctuation("Isolated"), "more": 1},
    "behaviour": punctuation("isolated"),
    "no behaviour": {"type": "Punctuation", "behavior": None},
    "digits that are no bool": {"type": "Digits", "individual_digits": 1},
    "digits without it": {"type": "Digits"},
    "extra member, byte level": {**byte_level(), "more": 1},
    "byte level without a member": {"type": "ByteLevel", "add_prefix_space": True},
    "byte level, null": {**byte_level(), "use_regex": None},
    "another regular expression": split(r"\w+|\s"),
    "removed": split(GPT2, "Removed"),
    "contiguous": split(QWEN2, "Contiguous"),
    "looks ahead": split(r"a(?=b)"),
    "any case": split(r"(?i:a)"),
    "nested class": split(r"[a[b]]"),
    "intersection": split(r"[a-z&&b]"),
    "dot": split("."),
    "star": split("a*"),
    "two": split("ab"),
    "lazy": split("a+?"),
    "possessive": split("a++"),
    "empty string": split("", string=True),
    "empty pattern": split(""),
    "two patterns": {**split("a"), "pattern": {"Regex": "a", "String": "a"}},
    "pattern that is a string": {**split("a"), "pattern": "a"},
    "invert that is no bool": {**split("a"), "invert": 0},
    "extra member, split": {**split("a"), "more": 1},
    "a sequence of one of these": sequence(byte_level(), split("a*")),
    "a sequence of nothing": {"type": "Sequence", "pretokenizers": None},
    "a sequence of null": {"type": "Sequence", "pretokenizers": [None]},
}


@pytest.mark.parametrize("part", REFUSED.values(), ids=REFUSED)
def test_refused(part: Any) -> None:
    assert make_pre_tokenizer(part) is None


def test_defaults() -> None:
    assert isinstance(make_pre_tokenizer(None), Whole)
    for part in ({"type": "Punctuation"}, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}):
        PieceCase(part).check([*EDGE_TEXTS, *natural_texts()[::200]])


@pytest.mark.parametrize(
    "pattern", [r"\d", r"\D+", r"\w+", r"\W", r"\S+", r"\p{P}", r"\P{L}+", r"\p{^N}", r"[\p{L}\p{M}]+", r"[^\s\d]", "x", "é+", r"\n"]
)
@pytest.mark.parametrize("behavior", [*BEHAVIORS])
def test_classes(pattern: str, behavior: str) -> None:
    """Regular expressions for a class of characters."""
    every = PieceCase(split(pattern, behavior))
    every.check([*EDGE_TEXTS, *random_texts(150, 1)])
    every.check(REPRESENTATIVES[i : i + 7] for i in range(len(REPRESENTATIVES)))


def test_patterns_are_those_of_real_models() -> None:
    """As they stand in the files of Llama 3 and Qwen 2."""
    llama3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    parts: list[Parts] = [split(llama3), split(llama3.replace("{1,3}", ""))]
    assert [llama3, llama3.replace("{1,3}", "")] == [LLAMA3, QWEN2]
    assert all(make_pre_tokenizer(part) is not None for part in parts)
