"""The matches of patterns at a cut, compared with the places where the `tokenizers` library splits texts."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from model2vec_numba.tokenization.chunks.patterns import Pattern
from model2vec_numba.tokenization.regex.matching import automaton_of
from tokenization.configs import PATTERNS
from tokenization.texts import REPRESENTATIVES

# More patterns: which stop before a space, which begin with it, and which end with a newline.
_OTHERS = {
    r"\w+ \w+": (False, False, False),
    r"\w+(?= )": (False, False, False),
    r"\w+(?! )|\s": (False, True, True),
    r"\w+(?=\S)|\s": (True, True, True),
    r"a\n?|\s+": (True, True, True),
    r"a\n?b|\s+": (True, True, False),
    r"a\n$|\s+": (True, True, False),
    r" ?a|b": (True, False, False),
    r"\s+?a|\s+": (True, True, False),
    r"[^a]+": (False, True, False),
    r"a{2,3}?|\s{1,2}": (True, True, True),
}
_EXPECTED = {
    **dict.fromkeys(("gpt2", "llama3", "qwen2", "qwen3.5", "cl100k", "deepseek-v3"), (True, True, True)),
    **dict.fromkeys(("o200k", "mistral-nemo"), (True, True, False)),
    **dict.fromkeys(("bloom", "clip", "falcon", "siglip", "deepseek-v2-letters", "deepseek-v2-signs"), (True, False, False)),
}


def pattern_of(source: str) -> Pattern:
    automaton = automaton_of("Regex", source)
    assert automaton is not None
    return Pattern(automaton)


def answers(pattern: Pattern) -> tuple[bool, bool, bool]:
    return pattern.stops_before(" "), pattern.begins_with(" "), pattern.ends_with_newline()


def bounds(source: str, text: str) -> set[int]:
    """Return the places where the library splits a text."""
    pieces = [piece for piece, _ in Split(Regex(source), "isolated").pre_tokenize_str(text)]
    return {0, *accumulate(map(len, pieces))}


@pytest.mark.parametrize("source", _OTHERS)
def test_other_patterns(source: str) -> None:
    assert answers(pattern_of(source)) == _OTHERS[source]


@pytest.mark.parametrize("name", _EXPECTED)
def test_patterns_of_tokenizers(name: str) -> None:
    assert answers(pattern_of(PATTERNS[name])) == _EXPECTED[name]


@pytest.mark.parametrize("source", [*_OTHERS, *PATTERNS.values()])
def test_splits_at_cuts(source: str) -> None:
    """The library splits the text before a cut, and the text after it, as texts of their own."""
    pattern = pattern_of(source)
    if not pattern.is_usable:
        return
    stops, begins, ends = answers(pattern)
    draw = random.Random(source)
    solid = [c for c in REPRESENTATIVES if not c.isspace()] + list("aab'sS/.!19")
    others = [*solid, *" \n\n\r\t", "  "]
    for _ in range(150):
        left = "".join(draw.choices(others, k=draw.randint(0, 6))) + draw.choice(solid)
        right = draw.choice(solid) + "".join(draw.choices(others, k=draw.randint(0, 6)))
        # The second text after a space is the end of a part between two added tokens.
        for before, after, is_known, is_cut in ((left, f" {right}", stops, begins), (left, " ", stops, begins), (f"{left}\n", right, ends, ends)):
            if is_known:
                whole, parts = bounds(source, before + after), {*bounds(source, before), *(len(before) + at for at in bounds(source, after))}
                assert whole | {len(before)} == parts and (not is_cut or len(before) in whole), (before, after)


def test_begins_before() -> None:
    pattern = pattern_of(PATTERNS["bloom"])
    assert pattern.begins_before(" ", [*"a1(.,\u4e00\u3002"]) == {"a", "1", "\u4e00"}


def test_kinds_of_patterns() -> None:
    assert [pattern_of(source).is_blank for source in (r"\s+", r" {2,}", r"\s{2,}|[\n\r\t]", r"\s+(?!\S)", "a", r"[\sa]")] == [True] * 3 + [False] * 3
    assert [pattern_of(source).is_single for source in ("a", "[ab]|c", PATTERNS["siglip"], "ab", "a+", r"a(?=b)")] == [True] * 3 + [False] * 3
    assert not pattern_of(r"(?<=a)b").is_usable and not pattern_of("a*").is_usable
    assert pattern_of("[^a]").reads(" ") and not pattern_of(r"\S").reads(" ")
