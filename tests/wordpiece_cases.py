"""What the tests of the WordPiece backend and its fuzzer share: tokenizers of BERT's pipeline, texts to break them, and the comparison."""

from __future__ import annotations

import copy
import itertools
import json
import random
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
from babel import Locale
from helpers import flatten_tightly
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import model2vec_numba
from model2vec_numba.text import flatten
from model2vec_numba.tokenization import parse_tokenizer
from model2vec_numba.tokenization.bert import BertBackend

__all__ = [
    "ALL_VARIANTS",
    "REPRESENTATIVES",
    "VARIANTS",
    "Case",
    "Parts",
    "alphabet_parts",
    "assigned_characters",
    "bundled_parts",
    "characters",
    "natural_texts",
    "pairs",
    "random_texts",
    "trained_parts",
    "with_normalizer",
    "with_tokens",
    "with_vocabulary",
]

Parts = dict[str, Any]

_DEFAULTS: Parts = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}

# The variants that the issue of exactness turns on, as they differ from BERT's uncased normaliser.
VARIANTS: dict[str, Parts] = {
    "uncased": {},
    "cased": {"lowercase": False},
    "keeps-accents": {"strip_accents": False},
    "strips-only": {"lowercase": False, "strip_accents": True},
    "no-chinese": {"handle_chinese_chars": False},
    "no-clean": {"clean_text": False},
}

_COMBINATIONS = itertools.product((True, False), (True, False), (None, True, False), (True, False))
# Every normaliser there is.
ALL_VARIANTS: list[Parts] = [
    {"clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": strip, "lowercase": lower}
    for clean, chinese, strip, lower in _COMBINATIONS
]

_LOCALES = ("de", "fr", "ru", "el", "he", "ar", "hi", "bn", "ta", "te", "ja", "zh", "ko", "th", "vi", "tr", "cs", "pl", "ka", "hy", "am", "my")

# fmt: off
# One or a few of every class that a normaliser, a pre-tokeniser or Unicode's canonical ordering may tell apart.
REPRESENTATIVES = "".join(map(chr, (
    # ASCII: letters, digits, punctuation, symbols, spaces, controls
    0x61, 0x5A, 0x39, 0x21, 0x23, 0x2B, 0x5F, 0x7C, 0x20, 0x0A, 0x09, 0x0D, 0x00, 0x07, 0x0C, 0x1C, 0x1F, 0x7F,
    # Latin-1: C1 controls with NEL, no-break space, soft hyphen, punctuation, symbols, letters
    0x80, 0x85, 0x9F, 0xA0, 0xA7, 0xAA, 0xAB, 0xAD, 0xB5, 0xB7, 0xC9, 0xDF, 0xE5, 0xF8, 0xFF,
    # casing: dotted and dotless i, long s, titlecase and capital digraphs, sigmas, sharp s, ligatures, Kelvin, Angstrom, Cherokee, Georgian
    0x130, 0x131, 0x17F, 0x1C4, 0x1C5, 0x3A3, 0x3C2, 0x1E9E, 0xFB01, 0xFB1D, 0x212A, 0x212B, 0x13A0, 0xAB70, 0x10A0, 0x1C90, 0x2126,
    # precomposed: Vietnamese, Greek with three marks, Cyrillic, Bengali, Kana, decomposition that is excluded from composition
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
    # digits and letters of other scripts, of planes above the first too
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


def with_normalizer(parts: Parts, changes: Parts) -> Parts:
    """The tokenizer with BERT's normaliser, changed in these settings."""
    return {**parts, "normalizer": {**_DEFAULTS, **changes}}


def with_vocabulary(parts: Parts, tokens: Iterable[str], **settings: Any) -> Parts:
    """The tokenizer with these tokens added to its vocabulary, where they are not in it, and settings of its model changed."""
    vocabulary = dict(parts["model"]["vocab"])
    following = max(vocabulary.values()) + 1
    for token in tokens:
        if token not in vocabulary:
            vocabulary[token] = following
            following += 1
    return {**parts, "model": {**parts["model"], "vocab": vocabulary, **settings}}


def with_tokens(parts: Parts, *contents: str, known: bool = True, **flags: bool) -> Parts:
    """The tokenizer with added tokens, all with the same flags; with `known` they are in the model's vocabulary."""
    parts = with_vocabulary(parts, contents if known else ())
    following = max(parts["model"]["vocab"].values()) + 1
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **flags}
    tokens = [
        {"id": parts["model"]["vocab"].get(content, following + position), "content": content, **flags} for position, content in enumerate(contents)
    ]
    added = [token for token in parts["added_tokens"] if token["content"] not in contents]
    return {**parts, "added_tokens": sorted([*added, *tokens], key=lambda token: token["id"])}


@cache
def bundled_parts() -> Parts:
    """The bundled model's tokenizer. Not to be changed."""
    path = Path(model2vec_numba.__file__).parent / "default_model" / "tokenizer.json"
    parts: Parts = json.loads(path.read_text(encoding="utf-8"))
    return parts


@cache
def natural_texts() -> list[str]:
    """Lines of English prose about Python, and names of countries and languages in many scripts."""
    lines = [line for topic in sorted(topics) for line in topics[topic].split("\n") if line]
    for language in _LOCALES:
        locale = Locale.parse(language)
        lines += [*locale.territories.values(), *locale.languages.values(), *locale.currencies.values()]
    return lines


@cache
def trained_parts(prefix: str = "##", limit: int = 100) -> Parts:
    """A tokenizer with a vocabulary trained on `natural_texts`, capitals and accents kept. Not to be changed."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer: Any = trainers.WordPieceTrainer(
        vocab_size=6000,
        limit_alphabet=1500,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        continuing_subword_prefix=prefix,
        show_progress=False,
    )
    tokenizer.train_from_iterator(natural_texts(), trainer)
    parts: Parts = json.loads(tokenizer.to_str())
    # The trainer's prefix is not always the model's.
    parts["model"].update(continuing_subword_prefix=prefix, max_input_chars_per_word=limit)
    # What shortens, lengthens or ends a word in the vocabulary itself.
    long_tokens = ["abcdefghi", "internationalisation", "a" * 33, "\u00e9" * 17, "\u4e00\u4e01", "\u0939\u093f\u0928\u094d\u0926\u0940\u092d\u093e"]
    parts = with_vocabulary(parts, [*long_tokens, *(prefix + token for token in long_tokens)])
    return with_normalizer(parts, {})


@cache
def _normalizers() -> list[normalizers.Normalizer]:
    return [normalizers.BertNormalizer(**settings) for settings in ALL_VARIANTS]


def alphabet_parts(characters: Iterable[str], *words: str) -> Parts:
    """A tokenizer that has a token for each of the characters, at a word's beginning and inside it, and so shows what became of each one."""
    joined = "\n".join(set(characters) | set("abz"))
    reached = set(joined).union(*(normalizer.normalize_str(joined) for normalizer in _normalizers()))
    parts = copy.deepcopy(bundled_parts())
    parts["model"]["vocab"] = {token["content"]: token["id"] for token in parts["added_tokens"]}
    solid = [character for character in sorted(reached) if not character.isspace()]
    return with_vocabulary(parts, [*solid, *(f"##{character}" for character in solid), *words])


def characters() -> Iterator[str]:
    """Every code point but the surrogates."""
    for code_point in itertools.chain(range(0xD800), range(0xE000, sys.maxunicode + 1)):
        yield chr(code_point)


def assigned_characters() -> list[str]:
    """Every character that Python's Unicode tables know, and a few that nobody does."""
    return [c for c in characters() if unicodedata.category(c) not in {"Cn", "Co"}] + ["\ue000", "\U000f0000", "\u0378", "\uffff", "\U000e0fff"]


def pairs(members: str = REPRESENTATIVES) -> Iterator[str]:
    """Every pair of the characters: alone, within a word, and either side of a letter."""
    for first, second in itertools.product(members, repeat=2):
        yield first + second
        yield f"a{first}{second}b"
        yield f"{first}a{second}"


@cache
def _pools() -> list[list[str]]:
    """What random texts are drawn from: scripts, and classes of characters."""
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
    scripts = [[c for c in map(chr, range(*block)) if unicodedata.category(c) != "Cn"] for block in _BLOCKS]
    return by_class + scripts


@cache
def _pieces() -> list[list[str]]:
    """Pieces of vocabularies, and words."""
    vocabularies = [list(bundled_parts()["model"]["vocab"]), list(trained_parts()["model"]["vocab"])]
    words = [word for line in natural_texts()[:3000] for word in line.split()]
    stripped = [[token.removeprefix("##") for token in tokens] for tokens in vocabularies]
    return [*stripped, words, [word.capitalize() for word in words], list(" .,!-'\t\n()[]#")]


def random_texts(count: int, seed: float | str) -> Iterator[str]:
    """Texts of some 1 to 40 characters drawn from one to three pools, with or without spaces between."""
    draw = random.Random(seed)
    pools = [*_pools(), *_pieces() * 4]
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
        yield draw.choice(("", "", "", " "))[:1].join(items)[:60]


class Case:
    """A tokenizer as the compiled backend has it and as the library has it.

    Attributes:
        backend: the compiled backend.
        texts: how many texts were compared.
        fallbacks: how many of them went to the library anyhow.
    """

    def __init__(self, parts: Parts) -> None:
        text = json.dumps(parts)
        backend = BertBackend.for_spec(parse_tokenizer(text, "test"))
        assert backend is not None
        self.backend = backend
        self.library = Tokenizer.from_str(text)
        self.library.no_truncation()
        self.library.no_padding()
        self._unknown = parts["model"]["vocab"][parts["model"]["unk_token"]]
        self.texts = 0
        self.fallbacks = 0

    def expected(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The library's ids, less the unknown one, and their offsets."""
        lists = [encoding.ids for encoding in self.library.encode_batch_fast(list(texts), add_special_tokens=False)]
        offsets = np.zeros(len(lists) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, lists), np.int64, len(lists)), out=offsets[1:])
        ids = np.fromiter(itertools.chain.from_iterable(lists), np.int64, int(offsets[-1]))
        kept = ids != self._unknown
        return ids[kept], np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)[offsets]

    def mismatches(self, texts: Iterable[str], size: int = 8192, *, count_fallbacks: bool = False) -> list[str]:
        """Those of the texts whose ids are not the library's."""
        found: list[str] = []
        texts = iter(texts)
        while group := list(itertools.islice(texts, size)):
            batch = flatten_tightly(group)
            tokens = self.backend.tokenize(batch, None)
            self.texts += len(group)
            if count_fallbacks:
                self.fallbacks += self.backend.fallback_count(batch)
            ids, offsets = self.expected(group)
            if np.array_equal(tokens.offsets, offsets) and np.array_equal(tokens.ids, ids):
                continue
            for i, (begin, end) in enumerate(tokens.bounds()):
                if not np.array_equal(tokens.ids[begin:end], ids[offsets[i] : offsets[i + 1]]):
                    found.append(group[i])
        return found

    def check(self, texts: Iterable[str], size: int = 8192) -> None:
        """Fail, with the smallest example, unless the ids of all texts are the library's."""
        found = self.mismatches(texts, size)
        assert not found, f"{len(found)} texts, one of them {self.describe(found[0])}"

    def describe(self, text: str) -> str:
        """A text that does not agree with the library, made smaller, and what the two make of it."""
        small = _minimize(text, lambda shorter: bool(self.mismatches([shorter])))
        ours = self.backend.tokenize(flatten([small]), None).ids.tolist()
        return f"{small!r}: {ours}, not {self.expected([small])[0].tolist()}"


def _minimize(text: str, fails: Callable[[str], bool]) -> str:
    """A text of which no character can be left out without the failure going away."""
    if not fails(text):
        return text  # it fails in company only
    step = max(1, len(text) // 2)
    while True:
        for first in range(0, len(text), step):
            shorter = text[:first] + text[first + step :]
            if fails(shorter):
                text = shorter
                break
        else:
            if step == 1:
                return text
            step = max(1, step // 2)
