"""The BERT core in the places where it could go wrong: code points, edges of blocks, words of all lengths, memory that is used again.

`test_tokenizer` compares whole tokenizers. The pipeline has the same tokenizers, so it is compared here too.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterable

import pytest
from helpers import EDGE_TEXTS

from model2vec_numba.jit.simd import BLOCK
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.bert import core
from tokenization.cases import Comparison, comparison
from tokenization.configs import (
    BERT_SETTINGS,
    BERT_VARIANTS,
    Config,
    alphabet_config,
    bert_config,
    with_added_tokens,
    with_model,
    with_tokens,
)
from tokenization.texts import REPRESENTATIVES, assigned_characters, every_code_point, natural_texts, pairs, random_texts

# The number of bytes that the kernel cuts at a time.
# Many chunks are looked up at a time. This is more than the bytes of short words that are looked up at once.
WINDOW = 8 * BLOCK
# The number of bytes of a text whose ids are written to memory that is kept.
SHORT = core.SHORT_BYTES


def small() -> Comparison:
    """Return the comparison that several tests use."""
    return comparison("bert, uncased, small")


# Code points.


@pytest.mark.exhaustive
def test_every_code_point() -> None:
    Comparison(alphabet_config(assigned_characters(), {})).check(every_code_point(), batch_size=1 << 12)


def test_some_code_points() -> None:
    """Code points of all parts of Unicode; `test_every_code_point` has all of them."""
    blocks = random.Random(5).sample(range(0x110), 24)
    chosen = [chr(c) for block in (0, *blocks) for c in range(block << 12, (block << 12) + 64) if not 0xD800 <= c < 0xE000]
    Comparison(alphabet_config(chosen, {})).check([*chosen, *(f"a{c}b" for c in chosen)])


@pytest.mark.exhaustive
@pytest.mark.parametrize("variant", BERT_VARIANTS)
def test_all_pairs(variant: str) -> None:
    """Every pair of characters of all classes."""
    Comparison(alphabet_config(REPRESENTATIVES, BERT_VARIANTS[variant])).check(pairs())


@pytest.mark.parametrize("variant", BERT_VARIANTS)
def test_pairs(variant: str) -> None:
    """Every pair of some of these characters: the spacing marks that canonical ordering moves, and a random part for each variant."""
    members = "\u302e\u1b44\ua953\U0001d165\U0001d16d\U00016ff0" + "".join(random.Random(variant).sample(REPRESENTATIVES, 24))
    Comparison(alphabet_config(members, BERT_VARIANTS[variant])).check(pairs(members))


def check_settings(settings: Config, members: Iterable[str]) -> None:
    """Compare tokenizers on characters: alone, between letters, twice, and before a letter."""
    members = list(members)
    Comparison(alphabet_config(members, settings)).check([text for c in members for text in (c, f"a{c}b", c + c, f"{c}a")])


def id_of(settings: Config) -> str:
    return "-".join(map(str, settings.values()))


@pytest.mark.exhaustive
@pytest.mark.parametrize("settings", BERT_SETTINGS, ids=id_of)
def test_all_characters_in_all_settings(settings: Config) -> None:
    check_settings(settings, REPRESENTATIVES)


@pytest.mark.parametrize("settings", BERT_SETTINGS, ids=id_of)
def test_characters_in_all_settings(settings: Config) -> None:
    """A random part of the characters, another part for each setting."""
    check_settings(settings, random.Random(id_of(settings)).sample(REPRESENTATIVES, 40))


# Words.


@pytest.mark.parametrize(("prefix", "limit"), [("##", 1), ("##", 5), ("##", 1000), ("", 5), ("x", 1000)])
def test_words_about_as_long_as_the_limit(prefix: str, limit: int) -> None:
    case = comparison(f"bert, prefix {prefix!r}, words up to {limit}")
    lengths = [length for length in (limit - 1, limit, limit + 1, 8, 15, 16, 17, 64) if length > 0]
    case.check([letter * length for letter in "a\u00e9\u4e00\u0939\u0130\U00010400\uac01" for length in lengths])
    case.check(["x " + ("ab1" * 400)[:length] + ", " + "\u00fc" * length + "!" for length in lengths])


def test_limit_of_no_characters() -> None:
    """Every word is too long then, also punctuation."""
    case = comparison("bert, prefix '##', words up to 0")
    texts = ["a", "!", "\u4e00", "x a, \u00fc!", "the cat"]
    case.check([*texts, "[MASK]"])
    assert case.library(texts) == [[]] * len(texts)


def test_long_tokens() -> None:
    """Tokens of every length, also longer than any fast key, as words and inside words, and words that only begin like them."""
    letters = random.Random(0)
    lengths = (*range(1, 34), 40, 63, 64, 65)
    tokens = ["".join(letters.choices(string.ascii_lowercase[:4], k=length)) for length in lengths]
    tokens += ["\u0434" * length for length in (4, 5, 8, 9, 16, 17, 40)] + ["z" * length for length in (7, 8, 9, 15, 16, 17, 31, 32, 33)]
    case = Comparison(with_tokens(bert_config(), [*tokens, *(f"##{token}" for token in tokens)]))
    cut = [token[:length] for token in tokens for length in (-1, -2, -8, -9)]
    case.check([*tokens, *cut, *(a + b for a in tokens for b in tokens), *(f"{a} {b}." for a in tokens for b in cut[::9])])


def test_unknown_words() -> None:
    """A word that begins, continues or ends with something unknown is unknown as a whole. Tokens with the unknown id are dropped."""
    vocabulary = {"[UNK]": 0, "the": 1, "##s": 2, "ab": 3, "##cd": 4, "##c": 5, "a": 6, "un": 0, "##un": 0, ".": 0, "!": 8}
    case = Comparison(with_model({**bert_config(), "added_tokens": []}, vocab=vocabulary))
    words = ["the", "thes", "thess", "ab", "abcd", "abcx", "abc", "xab", "a", "b", "un", "unun", "thesun", "aun", "s", "\u4e00", "\U00010428"]
    assert "bert" in case.tokenizers
    case.check([*words, *(f"{a} {b}. {c}!" for a in words for b in words for c in words[::3])])


def test_tokens_that_no_text_gives() -> None:
    """Tokens that are empty or only the prefix, or that contain NUL, capitals or spaces."""
    tokens = ["", "##", "a\0", "\0", "##\0", "THE", "new york", "\ufffd", "##\ufffd", "\u0130", "i\u0307", "###", "###a"]
    Comparison(with_tokens(bert_config(), tokens)).check([*tokens, *EDGE_TEXTS, "a", "a\0", "#", "##", "####a", "new york"])


def check_long_words(unit: str, characters: int) -> None:
    """Compare words over the limit. Where no word is too long, the library takes quadratic time, so it sees only shorter words."""
    word = unit * (characters // len(unit))
    small().check([word, f"the {word} cat", f"{word}."])
    case = comparison("bert, prefix '##', words up to 1099511627776")
    case.check([unit * count for count in (1, 7, 100, 300)])
    known = case.library([unit * 100])[0]
    for tokenizer in case.tokenizers.values():
        # A word of known characters has a token for at most every 33 characters.
        assert len(case.ids(tokenizer, [word])[0]) >= len(word) // 33 * bool(known)


UNITS = ["ab", "\u0439", "\U00010400", "\u1ed9"]


@pytest.mark.parametrize("unit", UNITS)
def test_long_words(unit: str) -> None:
    check_long_words(unit, 20_000)


@pytest.mark.exhaustive
@pytest.mark.parametrize("unit", UNITS)
def test_words_of_a_million_characters(unit: str) -> None:
    check_long_words(unit, 1_000_000)


@pytest.mark.parametrize("size", [100_000, pytest.param(2_500_000, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("unit", ["don't,", "\u4e00a\u0308"])
def test_long_texts_without_spaces(unit: str, size: int) -> None:
    small().check([unit * (size // len(unit.encode()))])


# The edges of what the kernel reads at once.

FEATURES = (
    *("cat", "\u201ccat\u201d", "x\u2014y", "don\u2019t", "na\u00efve.", "\u2026", "...", "a1b2", "\u4e16\u754c"),
    *("internationalisation", "\u201c", "!", "\t"),
)


def test_ends_of_the_data() -> None:
    """Texts that are shorter than what is loaded at once, and that end at every place of the data."""
    for length in range(40):
        for last in (string.ascii_letters[:length], ("a1" * 20)[:length], ("the \u00e9" * 10)[:length], "\u00fc" * length):
            small().check([last])
            small().check(["The cat", last])
    for shift in range(40):
        small().check(["x" * shift, "Internationalisation of caf\u00e9s, na\u00efve 12345 \u4e16", "A"])


@pytest.mark.parametrize("edge", [BLOCK, 2 * BLOCK, WINDOW, 2 * WINDOW])
def test_edges_of_blocks(edge: int) -> None:
    """A kernel reads `BLOCK` bytes at a time and looks up a window of chunks at a time. The ids must not depend on these edges."""
    shifts = range(edge - 24, edge + 4, 1 if edge <= 2 * BLOCK else 3)
    for fill in ("x", "x ", " ", "."):
        texts = [(fill * edge)[:shift] + feature + tail for feature in FEATURES for shift in shifts for tail in ("", " the cat", "y" * 70)]
        small().check(texts)


def test_runs_as_long_as_windows() -> None:
    """A run of letters, marks or spaces may be as long as one window or several."""
    lengths = [n * WINDOW + extra for n in (1, 2, 8) for extra in (-1, 0, 1)]
    texts = [c * length + tail for c in "x. \u4e00\u201d" for length in lengths for tail in ("", " y", "\u201d", "[MASK]", "\x00")]
    texts += ["x " * WINDOW, "ab, " * WINDOW + "\u201d", *(" ".join(FEATURES) * 100 + "x" * length for length in lengths)]
    small().check(texts)


@pytest.mark.parametrize("size", [1, SHORT - 1, SHORT, SHORT + 1, 2 * SHORT])
def test_short_texts(size: int) -> None:
    """The ids of a single short text are written to memory that is kept. Texts just below and above the limit are right, one after another."""
    for text in ("a " * size, "!" * size, "\u4e00" * size, "[" * size + "\U0001f9ff"):
        small().check([text[:size], "the cat"], batch_size=1)
        small().check([text[: size // 2], text[: size - size // 2]])
        small().check([f"{text[:size]}[MASK]", text], batch_size=1)


# Texts that go to the library.


def test_fallbacks() -> None:
    """The core leaves a text to the library only where canonical ordering is at work."""
    assert small().fallback_counts(["a [MASK] b", "[MASK]", "[UNK]", "[mask]", "[ MASK ]", "the", ""])["bert"] == 0
    assert small().fallback_counts(["\u302e", "a\u302e\u0301", "a\u0323\u0301", "\u302e\u302e", "\u302ea\u302e"])["bert"] == 1
    case = Comparison(with_added_tokens(bert_config(), "New York", normalized=True))
    assert case.fallback_counts(["in New York", "in n\u00e9w york", "NEWYORK", "new", "york new"])["bert"] == 0
    assert small().fallback_counts([]) == {"bert": 0, "pipeline": 0}


@pytest.mark.parametrize("normalized", [False, True])
def test_batches_that_meet_new_scripts(normalized: bool) -> None:
    """A batch that needs pages of Unicode is done again. No text is left to the library for that, and none is done twice."""
    case = Comparison(with_added_tokens(bert_config(), "New York", normalized=normalized))
    texts = ["the cat", "\u0430\u0431\u0432 na\u00efve", "[MASK] \u05d0\u05d1", "\u0e01", "New York", "the \u1ed9 cat", "\u302e\u0301\u302e"]
    case.check(texts)
    fresh = Comparison(with_added_tokens(bert_config(), "New York", normalized=normalized))
    fresh.check(texts[::-1])
    assert case.fallback_counts(texts) == fresh.fallback_counts(texts)
    # With a token that is found in the normalised text, the normaliser is another one.
    assert case.fallback_counts(texts)["bert"] == (0 if normalized else 1)


def test_natural_texts_whole() -> None:
    """Long texts, in which most words come again."""
    small().check(["\n".join(natural_texts()[first : first + 50]) for first in range(0, 3000, 300)])
    small().check([" ".join(random_texts(50, "whole"))])


def test_one_variant_of_the_kernel() -> None:
    """All batches have arrays of the same types, so that the kernel is compiled only once."""
    small().check(["the cat"])
    small().check(["the cat", ""])
    assert small().ids(small().chosen, flatten(["the cat"])) == small().library(["the cat"])
    assert len(core.tokenize_texts.signatures) == 1
