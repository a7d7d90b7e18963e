"""Texts for the tests of the tokenisers: natural ones, random ones, and all characters."""

from __future__ import annotations

import itertools
import random
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pydoc_data.topics import topics

from babel import Locale
from helpers import EDGE_TEXTS

from tokenization.configs import bundled_config

__all__ = [
    "CLUSTERS",
    "REPRESENTATIVES",
    "assigned_characters",
    "characters",
    "every_code_point",
    "joined",
    "mixed_texts",
    "natural_texts",
    "pairs",
    "random_texts",
    "sample_texts",
    "words",
]

_LANGUAGES = ("de", "fr", "ru", "el", "he", "ar", "hi", "bn", "ta", "te", "ja", "zh", "ko", "th", "vi", "tr", "cs", "pl", "ka", "hy", "am", "my")

# fmt: off
# One or a few of every class that a normaliser, a pre-tokeniser or Unicode's canonical ordering may treat differently.
REPRESENTATIVES = "".join(map(chr, (
    # ASCII: letters, digits, punctuation, symbols, spaces, controls
    0x61, 0x5A, 0x39, 0x21, 0x23, 0x2B, 0x5F, 0x7C, 0x20, 0x0A, 0x09, 0x0D, 0x00, 0x07, 0x0C, 0x1C, 0x1F, 0x7F,
    # Latin-1: C1 controls with NEL, no-break space, soft hyphen, punctuation, symbols, letters
    0x80, 0x85, 0x9F, 0xA0, 0xA7, 0xAA, 0xAB, 0xAD, 0xB5, 0xB7, 0xC9, 0xDF, 0xE5, 0xF8, 0xFF,
    # casing: dotted and dotless i, long s, titlecase and capital digraphs, sigmas, sharp s, ligatures, Kelvin, Angstrom, Cherokee, Georgian
    0x130, 0x131, 0x17F, 0x1C4, 0x1C5, 0x3A3, 0x3C2, 0x1E9E, 0xFB01, 0xFB1D, 0x212A, 0x212B, 0x13A0, 0xAB70, 0x10A0, 0x1C90, 0x2126,
    # precomposed: Vietnamese, Greek with three marks, Cyrillic, Bengali, Kana, decompositions that are excluded from composition
    0x1ED9, 0x1F80, 0x1FFC, 0x439, 0x9CB, 0x304C, 0x958, 0x1D15E, 0x1D160, 0x1109A, 0xAC00, 0xAC01,
    # Hangul jamo: L, V, T; compatibility; a half-width one
    0x1100, 0x1161, 0x11A8, 0x3131, 0xFFA1,
    # nonspacing marks of classes 1, 7, 8, 9, 10, 84, 103, 122, 129, 130, 202, 216, 220, 224, 230, 232, 233, 234, 240 and 0
    0x334, 0x93C, 0x3099, 0x94D, 0x5B0, 0xC55, 0xE38, 0xEC8, 0xF71, 0xF72, 0x327, 0x31B, 0x323, 0x302A, 0x301, 0x308, 0x344, 0x315, 0x35C,
    0x360, 0x345, 0xFE0F, 0x902, 0x20DD, 0xF73, 0xF81,
    # spacing marks: of class 224, 9, 9, 216, 226, 6 and 0
    0x302E, 0x1B44, 0xA953, 0x1D165, 0x1D16D, 0x16FF0, 0x903, 0x9BE,
    # ideographs: unified, extensions, compatibility ones of both planes, radicals, Kana, iteration mark
    0x4E00, 0x9FFF, 0x3400, 0x20000, 0x2A700, 0x30000, 0xF900, 0xFA0E, 0x2F800, 0x2F00, 0x3042, 0x3005, 0x3007,
    # spaces and separators, zero width ones
    0x1680, 0x2000, 0x2009, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0x180E, 0x200B, 0x200D, 0x2060, 0xFEFF, 0x202E, 0xE0001, 0x110BD,
    # punctuation outside ASCII, symbols, emoji
    0x2014, 0x2026, 0x3001, 0xFF01, 0x37E, 0x387, 0x5BE, 0x60C, 0x10100, 0x1FEF, 0x20AC, 0x1F600, 0x1F3FD, 0x2260,
    # digits and letters of other scripts, also of planes above the first
    0x661, 0x96C, 0xFF11, 0x1D7CE, 0x2167, 0x5D0, 0x627, 0x915, 0x10400, 0x10428, 0x118A0, 0x1E900, 0x1D400,
    # private use, unassigned, noncharacters, the replacement character
    0xE000, 0xF0000, 0x10FFFD, 0x378, 0xE0FFF, 0xFFFF, 0xFDD0, 0x10FFFF, 0xFFFD,
)))

_BLOCKS = (
    (0x20, 0x7F), (0x41, 0x7B), (0xA0, 0x250), (0x250, 0x2B0), (0x370, 0x400), (0x400, 0x530), (0x530, 0x590), (0x590, 0x600), (0x600, 0x780),
    (0x900, 0xA00), (0xA00, 0xE00), (0xE00, 0x1000), (0x1000, 0x1100), (0x1100, 0x1200), (0x1200, 0x1400), (0x13A0, 0x1400), (0x1780, 0x1900),
    (0x1B00, 0x1C80), (0x1C80, 0x1CC0), (0x1E00, 0x1F00), (0x1F00, 0x2000), (0x2000, 0x2070), (0x2100, 0x2190), (0x2C00, 0x2E00),
    (0x2E80, 0x3040), (0x3040, 0x3100), (0x3100, 0x3400), (0x4E00, 0xA000), (0xA640, 0xA720), (0xA720, 0xAAE0), (0xAB30, 0xAC00),
    (0xAC00, 0xD7A4), (0xF900, 0xFB00), (0xFB00, 0xFE00), (0xFE00, 0xFF00), (0xFF00, 0x10000), (0x10280, 0x10600), (0x10A00, 0x11200),
    (0x11200, 0x12000), (0x16A00, 0x17000), (0x1D100, 0x1D250), (0x1D400, 0x1D800), (0x1E900, 0x1E960), (0x1F000, 0x1FB00),
    (0x20000, 0x20100), (0x2F800, 0x2FA20),
)
# fmt: on

# Marks, joiners and other characters that act on their neighbours, with the characters that they act on.
CLUSTERS = (
    *("e\u0301", "\u00e9\u0301", "\u00e9\u0301\u0301", "a\u0327\u0301", "a\u0301\u0327", "\u00c5\u0323", "\u0301", "\u0301\u0301", "\u0327\u0301x"),
    *("\r\n", "\r\r\n", "\n\u0301", "\r\u0301", "\x01\u0301", "\u200b\u0301", "a\u00ad\u0301", "a\x01\u0301b", "a\u200d\u0301"),
    *("\u06001", "\u0600\u0601a", "\u0600\u0301", "\u06dd\u4e00", "\u0891a", "\U000110bda", "\u0600\r\n", "\u0623\u064e\u0651", "\u05e9\u05c1\u05b8"),
    *("\u00a9\u200d\u00ae", "\u00a9\u200d\u00ae\u0301", "\u00a9\ufe0f", "\u263a\ufe0f", "\U0001f468\u200d\U0001f469", "\U0001f1e9\U0001f1ea\u0301"),
    *("\u1100\u1161\u11a8", "\u1100\u1161\u0301", "\uac00\u11a8", "\uac00\u0301", "\u1100\uac00\u0301", "\uff76\uff9e", "\u304b\u3099"),
    *("\u0915\u094d\u0937", "\u0915\u094d\u0937\u0301", "\u0915\u093c", "\u0958\u0301", "\u0e19\u0e49\u0e33", "\u09c7\u09be", "\u0dd9\u0dcf\u0dca"),
    *(
        "\u1ed9",
        "o\u0302\u0323",
        "\u1ecd\u0302",
        "\u00f4\u0323",
        "\u1ecdx\u0302",
        "\u4e00\u0301",
        "a\u4e00\u0301",
        "\u4e00\u4e00\u0301",
        "\ufb01\u0301",
    ),
    *("\u0f71\u0f72\u0f74", "\u0344", "\u0f73\u0f71", "\U0001d15e\U0001d165", "\u212b\u0327", "\u0340\u0341", "\u1e9e", "\u0130", "\u03a3\u03c2"),
    *("  ", "   a  b ", "\u3000 \t\n", "\x85\xa0\u2028", "a  ", " \u3000", "''", "'''", "aaaa", "ababa", "a..b", "x\u2581 \u2581y", "\x1c\x1f"),
)


@cache
def natural_texts() -> list[str]:
    """Return about 34,000 lines: English prose about Python, and names of countries, languages and currencies in many scripts."""
    lines = [line for topic in sorted(topics) for line in topics[topic].split("\n") if line]
    for language in _LANGUAGES:
        locale = Locale.parse(language)
        lines += [*locale.territories.values(), *locale.languages.values(), *locale.currencies.values()]
    return lines


@cache
def mixed_texts() -> list[str]:
    """Return edge cases and texts of many scripts, composed and decomposed."""
    texts = [*EDGE_TEXTS, *natural_texts()[::60]]
    return texts + [unicodedata.normalize("NFD", text) for text in texts[::5]]


@cache
def words() -> list[str]:
    """Return words of all lengths. Some contain characters that small vocabularies do not have."""
    draw = random.Random(9)
    parts = ["abc", "the", "ing", "\u00e9", "\u0436\u0430", "\u4e00", "\U0001f600", "\u12a0", "'", "1"]
    return ["".join(draw.choices(parts, k=count)) for count in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 31, 32, 33, 63, 64, 65, 100) for _ in "ab"]


@cache
def sample_texts() -> tuple[str, ...]:
    """Return about 500 texts of every sort. Every tokenizer of the tests is compared with the library on these."""
    # Not more: each page of Unicode that a text needs takes 3 ms for each tokenizer.
    around = [f"{c} a{c}b {c}{c}a" for c in REPRESENTATIVES[::3]]
    return ("", " ", "a", *EDGE_TEXTS, *CLUSTERS, *words(), " ".join(words()), *natural_texts()[::150], *around)


def joined(members: Iterable[str], count: int) -> Iterator[str]:
    """Give texts of `count` of the strings each, with spaces between them."""
    members = iter(members)
    while group := list(itertools.islice(members, count)):
        yield " ".join(group)


def characters() -> Iterator[str]:
    """Give every code point except the surrogates."""
    for code_point in itertools.chain(range(0xD800), range(0xE000, sys.maxunicode + 1)):
        yield chr(code_point)


@cache
def assigned_characters() -> list[str]:
    """Return every character that Python's Unicode tables know, and a few that are not assigned."""
    return [c for c in characters() if unicodedata.category(c) not in {"Cn", "Co"}] + ["\ue000", "\U000f0000", "\u0378", "\uffff", "\U000e0fff"]


def every_code_point() -> Iterator[str]:
    """Give texts with every code point alone and between letters. Code points that have thousands like them stand many in a text."""
    many = ("CJK UNIFIED", "HANGUL SYL", "TANGUT", "EGYPTIAN", "CUNEIFORM")
    single = [c for c in assigned_characters() if not unicodedata.name(c, "").startswith(many)]
    yield from single
    yield from (f"a{c}b" for c in single)
    yield from joined((f"{c} a{c}b" for c in sorted(set(characters()) - set(single))), 64)


def pairs(members: str = REPRESENTATIVES) -> Iterator[str]:
    """Give every pair of the characters: alone, within a word, and on both sides of a letter."""
    for first, second in itertools.product(members, repeat=2):
        yield first + second
        yield f"a{first}{second}b"
        yield f"{first}a{second}"


@cache
def _pools() -> list[list[str]]:
    """Return lists of strings for random texts: characters of one class, characters of one script, words and tokens."""
    classes: dict[str, list[str]] = {}
    for character in characters():
        classes.setdefault(unicodedata.category(character), []).append(character)
    by_class = [
        classes["Mn"],
        classes["Mc"],
        [c for c in classes["Mc"] if unicodedata.combining(c)] + ["\u0301", "\u0334", "a"],
        [c for c in classes["Mn"] if unicodedata.combining(c)] + list("aeiou"),
        classes["Cc"] + list("ab "),
        classes["Cf"] + list("ab"),
        classes["Zs"] + classes["Zl"] + classes["Zp"] + list("\t\n\rxyz"),
        [c for name in ("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po") for c in classes[name]],
        [c for name in ("Sm", "Sc", "Sk", "So") for c in classes[name]],
        classes["Nd"] + classes["Nl"] + classes["No"],
        classes["Lt"] + classes["Lm"],
        classes["Lu"],
        [c for c in map(chr, range(0x250, 0x30000)) if unicodedata.decomposition(c)],
        [*random.Random(1).choices(classes["Cn"], k=500), "\ufdd0", "\uffff"],
        random.Random(2).choices(classes["Co"], k=500),
        list(REPRESENTATIVES),
    ]
    by_script = [[c for c in map(chr, range(*block)) if unicodedata.category(c) != "Cn"] for block in _BLOCKS]
    words = [word for line in natural_texts()[::3] for word in line.split()]
    tokens = [token.removeprefix("##") for token in bundled_config()["model"]["vocab"]]
    return [*by_class, *by_script, *[tokens, words, [word.capitalize() for word in words], list(" .,!-'\t\n()[]#")] * 5]


def random_texts(count: int, seed: float | str) -> Iterator[str]:
    """Give texts of about 1 to 40 characters, drawn from one to three of the pools, with or without spaces."""
    draw = random.Random(seed)
    pools = _pools()
    letters = "aeZ09"
    for _ in range(count):
        shape = draw.random()
        items = draw.choices(draw.choice(pools), k=draw.randint(1, 10))
        if shape < 0.75:
            items += draw.choices(draw.choice(pools), k=draw.randint(1, 10))
        if shape < 0.35:
            items += draw.choices(draw.choice(pools), k=draw.randint(1, 10))
        if shape < 0.5:
            items += draw.choices(letters, k=draw.randint(0, 3))
        draw.shuffle(items)
        yield draw.choice(("", "", "", " ")).join(items)[:60]
