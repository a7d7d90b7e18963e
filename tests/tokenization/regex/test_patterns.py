"""Automata against the regular expressions of the `tokenizers` library: random patterns, and patterns of real tokenizers."""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.pre_tokenizers import make_pre_tokenizer
from model2vec_numba.tokenization.regex.matching import automaton_of
from tokenization.components import PreTokenizerComparison, check_normalizer
from tokenization.configs import BEHAVIORS, PATTERNS, replace, split
from tokenization.texts import REPRESENTATIVES, assigned_characters, joined, mixed_texts, natural_texts, random_texts

# Expressions for one character, strings, and groups that match in any case. They hold the letters of ligatures, which fold to several letters.
_ATOMS = (
    *("a", "b", "s", "t", "S", " ", "1", "'", "-", "\u00e9", "\u4e00", r"\.", r"\n", r"\t", r"\x{e9}", r"\x41", "\\u00e9", "ab", "st"),
    *(r"\s", r"\S", r"\d", r"\D", r"\w", r"\W", r"\h", r"\H", r"\p{L}", r"\P{L}", r"\p{^L}", r"\p{Lu}", r"\p{N}", r"\p{Han}", ".", "(?m:.)"),
    *(
        "[ab]",
        r"[^a\s]",
        r"[\p{L}\p{M}]",
        "[a-c&&[^b]]",
        r"[^\r\n\p{L}\p{N}]",
        "[[:alpha:]]",
        "[^[:space:]]",
        r"[\]\[\-a]",
        "[a[1-9]]",
        r"[\x{e0}-\x{ff}]",
    ),
    *("(?i:a)", "(?i:s)", "(?i:st)", "(?i:[a-c])", "(?i:[^a])", "(?i:k)", "(?i:'s|ss)", "(?i:ffi)", r"(?i:\p{Lu})", r"(?i:i\.)", "(?i:\u00e9)"),
)
_SETS = tuple(atom for atom in _ATOMS if atom not in ("ab", "st", "(?i:st)", "(?i:'s|ss)", "(?i:ffi)", r"(?i:i\.)"))
_QUANTIFIERS = ("?", "*", "+", "?", "*", "+", "??", "*?", "+?", "{2}", "{1,3}", "{2,}", "{,2}", "{1,2}?", "?+", "*+", "++", "{1,2}+")
_ANCHORS = ("^", "$", r"\A", r"\z", r"\b", r"\B")
_CHARACTERS = "aabbsStT11''  \n\n\r\t.-cK\u212a\u017f\u00df\u00e9\u00c9\u0301\u4e00\u3000_\ufb00\ufb03fiI\u0130\u0131\ufb06\u1e9e\U0001f600"


class _Patterns:
    """Makes random patterns."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def choice(self, depth: int) -> str:
        """Return alternatives."""
        return "|".join(self._run(depth) for _ in range(self._draw.choice((1, 1, 1, 2, 2, 3))))

    def _run(self, depth: int) -> str:
        return "".join(self._repeat(depth) for _ in range(self._draw.choice((1, 1, 2, 2, 3, 4))))

    def _repeat(self, depth: int) -> str:
        shape = self._draw.random()
        if shape < 0.1:
            return self._draw.choice(("(?=%s)", "(?!%s)", "(?<=%s)", "(?<!%s)")) % self._draw.choice((*_SETS, "a|b", r"\s|1"))
        if shape < 0.14:
            return self._draw.choice((*_ANCHORS, r"(?=\s|$)", r"(?!\z|a)"))
        if shape < 0.4 and depth:
            atom = self._draw.choice(("(?:%s)", "(?:%s)", "(?:%s)", "(%s)", "(?i:%s)", "(?i-m:%s)")) % self.choice(depth - 1)
        else:
            atom = self._draw.choice(_ATOMS)
            if self._draw.random() < 0.05:
                return f"(?>{self._draw.choice(_SETS)}{self._draw.choice(('', '?', '*', '+'))})"
        return atom if self._draw.random() < 0.6 else atom + self._draw.choice(_QUANTIFIERS)


def _finds_matches(case: PreTokenizerComparison, text: str) -> bool:
    """Return whether the library does not fail."""
    try:
        case.expected(text)
    except BaseException as error:
        if is_library_error(error):
            return False
        raise
    return True


def _check(seed: int, count: int) -> tuple[int, int]:
    """Compare random patterns with the library on random texts. Return how many patterns the library accepts, and how many are compiled too."""
    draw = random.Random(seed)
    accepted = compiled = 0
    for _ in range(count):
        pattern = _Patterns(draw).choice(2)
        try:
            Split(Regex(pattern), "isolated")
        except Exception:
            continue
        accepted += 1
        config = split(pattern, draw.choice(BEHAVIORS), invert=draw.random() < 0.4)
        if make_pre_tokenizer(config) is not None:
            compiled += 1
            texts = ["".join(draw.choices(_CHARACTERS, k=draw.randint(1, 12))) for _ in range(20)]
            # The kernel reads blocks of 64 bytes. So some texts are longer, of few characters. The library gives up where a search takes too long.
            texts += [
                "".join(draw.choices(draw.sample(_CHARACTERS, 4), (9, 3, 1, 1), k=draw.randint(50, 150))) for _ in range(3 * (len(pattern) < 25))
            ]
            case = PreTokenizerComparison(config)
            case.check([text for text in draw.sample(texts, len(texts)) if _finds_matches(case, text)])
    return accepted, compiled


@pytest.mark.parametrize("seed", range(3))
def test_random_patterns(seed: int) -> None:
    accepted, compiled = _check(seed, 100)
    assert compiled > 0.5 * accepted > 30


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(3, 13))
def test_more_random_patterns(seed: int) -> None:
    accepted, compiled = _check(seed, 1000)
    assert compiled > 0.5 * accepted > 300


@cache
def comparison(name: str, behavior: str = "Isolated", invert: bool = False) -> PreTokenizerComparison:
    """Return the comparison for one of `PATTERNS`."""
    return PreTokenizerComparison(split(PATTERNS[name], behavior, invert=invert))


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_behaviors(name: str, behavior: str, invert: bool) -> None:
    texts = list(random_texts(12, f"{name} {behavior} {invert}"))
    comparison(name, behavior, invert).check(["", "a", " ", "\n", *texts, *mixed_texts()[::200]])
    assert check_normalizer(replace(PATTERNS[name], "<>", "Regex"), texts) == 0


@pytest.mark.parametrize("name", PATTERNS)
def test_real_patterns(name: str) -> None:
    """Nothing goes to the library, not even letters that are other letters if case is ignored."""
    case = comparison(name)
    case.check(natural_texts()[::150])
    case.check(map("".join, itertools.product("aB1 \n'.\u00e9\u4e00", repeat=3)))
    case.check("'" + "".join(letters) for letters in itertools.product("sStTrReEvVlLdDmMa\u017f", repeat=2))
    case.check(f"x{c}y {c}{c}1" for c in REPRESENTATIVES)
    assert case.fallbacks == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", PATTERNS)
def test_all_characters_of_real_patterns(name: str) -> None:
    case = comparison(name)
    case.check(joined((f"{c} a{c}B '{c}1{c}\n" for c in assigned_characters()), 64))
    case.check([*natural_texts()[::10], *mixed_texts(), *random_texts(3000, name)])
    case.check(map("".join, itertools.product("aB1 \n'.\u00e9\u4e00", repeat=5)))
    assert case.fallbacks == 0


@pytest.mark.parametrize("name", PATTERNS)
def test_shared_texts(name: str, shared: Path) -> None:
    """Some lines of each file, alone and together."""
    for path in sorted((shared / "texts").glob("*.txt")):
        lines = path.read_text(encoding="utf-8").splitlines()[::199]
        comparison(name).check([*lines, "\n".join(lines[:20])])


@given(st.sampled_from([*PATTERNS]), st.text(alphabet=" \n\r\t'sreEva\u00e9\u6f221\u00bd.,!\u00a0\u0301_/", max_size=40))
def test_texts_of_few_characters(name: str, text: str) -> None:
    comparison(name).check([text])


LONG_FOLDS = [c for c in map(chr, (*range(0xD800), *range(0xE000, 0x20000))) if len(c.casefold()) > 1]


@pytest.mark.parametrize("pattern", ["a(?i:ss)", "(?i:s{2})", "(?i:s)(?i:s)", "(?i:ff|i)", "(?i:ffi)", "(?i:st?)"])
def test_letters_that_fold_to_several(pattern: str) -> None:
    """In any case, some characters match several letters together. Their texts go to the library."""
    case = PreTokenizerComparison(split(pattern))
    case.check(f"{before}{c}{after}" for c in LONG_FOLDS for before in ("", "a") for after in ("", "i", "S"))
    assert case.fallbacks > 0


@pytest.mark.parametrize("pattern", ["ss", "(?i:s)s", "(?i:f)f", "(?i:[a-z])+", "(?i:s.s)", "(?i:\u00e9\u0301)"])
def test_letters_that_do_not_fold(pattern: str) -> None:
    case = PreTokenizerComparison(split(pattern))
    case.check(f"{before}{c}{after}" for c in LONG_FOLDS for before in ("", "a") for after in ("", "i", "S"))
    assert case.fallbacks == 0


_REFUSED = (
    *(r"(a)\1", r"(?<x>a)", r"\X", r"\R", r"\K", r"\G", r"\Z", r"\y", r"\N", r"\O", r"\Q", r"\cA", r"\101", r"\xe9", "(?x: a)", "(?W:a)"),
    *("(?#a)a", "(?~a)", "(?(a)b)", "(?=ab)", "(?<=ab)", "(?<!a|bc)", "(?>ab)", "(?:ab)++", "(?>a{1,3})", "(?>a*?)", "(a*)*", "(?:a?)?", "(?:a+)+"),
    *("(?:a|b?)*", "a{2}?", "a{3,2}", "a{0}", "(?i:\u00df)", "(?i:[\u00df])", "(?i:[a-\u00ff])", "[]a]", "[a", "(?:a{1000}){1000}"),
    "|".join("ab" * 3000),
    "(?:a|b)*a(?:a|b){12}",
)


@pytest.mark.parametrize("pattern", _REFUSED, ids=range(len(_REFUSED)))
def test_refused(pattern: str) -> None:
    """What an automaton cannot express, what has rules of its own, and what makes an automaton too large."""
    assert make_pre_tokenizer(split(pattern)) is None


def test_characters_that_come_later() -> None:
    """A page that is filled later has classes that were not met before, up to more than an automaton can hold. Nothing is wrong then."""
    pattern = "|".join(f"[{chr(c)}-{chr(c + 1)}]x" for c in range(0x4E00, 0x4E00 + 600, 3))
    case = PreTokenizerComparison(split(pattern))
    texts = ["a", *(f"x{chr(c)}x{chr(c)}" for c in range(0x4E00, 0x4E00 + 600))]
    case.check(texts)
    assert 0 < case.fallbacks < len(texts)
    case.check(["abc", "\u4e00x", "\u4e01xx"])


def test_literal_characters() -> None:
    """Every ASCII character and some others, as a string and inside of one."""
    for character in map(chr, (*range(0x80), 0xE9, 0x4E00, 0x1F600)):
        for string in (character, f"a{character}", character * 2):
            PreTokenizerComparison(split(string, "MergedWithNext", string=True)).check(
                [f"{string}b{string}{string}", "a b", character, "x" * 70 + string]
            )


def test_threads() -> None:
    """Threads that meet new scripts at the same time fill the same automaton."""
    texts = [f"{chr(c)}a {chr(c)}{chr(c + 1)}1 " for c in range(0x21, 0xD000, 0x80)]
    for name in ("llama3", "o200k"):
        automaton_of.cache_clear()
        case = PreTokenizerComparison(split(PATTERNS[name]))
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(case.pre_tokens, [texts[k:] + texts[:k] for k in range(0, len(texts), 30)]))
        expected = {text: case.expected(text) for text in texts}
        for k, (pre_tokens, fallbacks) in enumerate(found):
            assert not any(fallbacks)
            assert pre_tokens == [expected[text] for text in texts[30 * k :] + texts[: 30 * k]]


def test_fallback_ends_with_the_text() -> None:
    """A text that is left to the library leaves its neighbours alone."""
    case = PreTokenizerComparison(split("(?i:ss)"))
    found, fallbacks = case.pre_tokens(["ass", "a\u00df", "ssa"])
    assert fallbacks == [False, True, False]
    assert [found[0], found[2]] == [["a", "ss"], ["ss", "a"]]
    assert np.array_equal(case.pre_tokens(["a"])[0], [["a"]])
