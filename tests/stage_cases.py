"""What the tests of the composed tokeniser and its fuzzer share: pipelines put together from parts, and the comparison with the library."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from helpers import flatten_tightly
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from wordpiece_cases import Case, Parts, natural_texts

from model2vec_numba.tokenization import parse_tokenizer
from model2vec_numba.tokenization.byte_level import spelled_out
from model2vec_numba.tokenization.pipeline import PipelineBackend
from model2vec_numba.tokenization.pre_tokenizers import make_pre_tokenizer
from model2vec_numba.tokenization.pre_tokenizers.patterns import CL100K, GPT2
from model2vec_numba.tokenization.stages import PieceBatch

__all__ = [
    "BEHAVIORS",
    "DISTINCT",
    "MODELS",
    "PRE_TOKENIZERS",
    "PieceCase",
    "PipelineCase",
    "bpe_model",
    "byte_level",
    "digits",
    "parts_of",
    "punctuation",
    "random_merges",
    "random_model",
    "sequence",
    "split",
    "trained_model",
    "words_of",
]

BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
QWEN2, LLAMA3 = sorted(CL100K, key=CL100K.__getitem__)


def byte_level(*, prefix: bool = False, regex: bool = True) -> Parts:
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def split(pattern: str, behavior: str = "Isolated", *, invert: bool = False, string: bool = False) -> Parts:
    return {"type": "Split", "pattern": {"String" if string else "Regex": pattern}, "behavior": behavior, "invert": invert}


def punctuation(behavior: str) -> Parts:
    return {"type": "Punctuation", "behavior": behavior}


def digits(individual: bool) -> Parts:
    return {"type": "Digits", "individual_digits": individual}


def sequence(*parts: Parts) -> Parts:
    return {"type": "Sequence", "pretokenizers": list(parts)}


PRE_TOKENIZERS: dict[str, Parts] = {
    "bert": {"type": "BertPreTokenizer"},
    "whitespace": {"type": "Whitespace"},
    **{f"punctuation-{behavior}": punctuation(behavior) for behavior in BEHAVIORS},
    "digits": digits(False),
    "digits-individual": digits(True),
    "byte-level": byte_level(),
    "byte-level-prefix": byte_level(prefix=True),
    "byte-level-bare": byte_level(regex=False),
    "byte-level-bare-prefix": byte_level(prefix=True, regex=False),
    "gpt2": split(GPT2),
    "llama3": split(LLAMA3),
    "qwen2": split(QWEN2),
    "qwen2-previous": split(QWEN2, "MergedWithPrevious"),
    "gpt2-removed-inverted": split(GPT2, "Removed", invert=True),
    **{
        f"split-{name}-{behavior}{'-inverted' * invert}": split(pattern, behavior, invert=invert, string=name == "string")
        for name, pattern in (("string", "ab"), ("spaces", r"\s+"), ("letter", r"[^\p{L}]"))
        for behavior in BEHAVIORS
        for invert in (False, True)
    },
    "split-numbers": split(r"\p{N}{1,3}"),
    "split-bracket": split("[a-c\\n'\u4e00-\u9fff\\-]+", "MergedWithNext"),
    "split-string": split("\u4e00", string=True),
    "split-space": split(" ", "MergedWithPrevious", string=True),
    "split-escape": split(r"\.", "MergedWithNext"),
    "qwen2-bytes": sequence(split(QWEN2), byte_level(regex=False)),
    "llama3-bytes": sequence(split(LLAMA3, "Removed", invert=True), byte_level(prefix=True, regex=False)),
    "bytes-digits": sequence(byte_level(), digits(True)),
    "starcoder": sequence(digits(True), byte_level()),
    "bytes-bytes": sequence(byte_level(prefix=True), byte_level()),
    "nothing": sequence(),
}

# Those that differ in what they do to single characters and their neighbours.
DISTINCT = ("bert", "whitespace", "punctuation-Isolated", "digits-individual", "byte-level-prefix", "llama3", "qwen2", "split-spaces-MergedWithNext")

_EMPTY = {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}


def parts_of(pre_tokenizer: Parts | None = None, model: Parts = _EMPTY, normalizer: Parts | None = None, **others: Any) -> Parts:
    """A whole `tokenizer.json`."""
    return {"version": "1.0", "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "model": model, "added_tokens": [], **others}


class PieceCase:
    """A pre-tokeniser as it is compiled and as the library has it."""

    def __init__(self, part: Parts) -> None:
        made = make_pre_tokenizer(part)
        assert made is not None, part
        self.compiled = made
        self.library = Tokenizer.from_str(json.dumps(parts_of(part))).pre_tokenizer
        self.fallbacks = 0

    def pieces(self, texts: Sequence[str]) -> tuple[list[list[str]], list[bool]]:
        """The pieces of each text, and whether it went to the library instead."""
        status = np.zeros(len(texts), np.uint8)
        batch = spelled_out(self.compiled.split(PieceBatch.whole(flatten_tightly(texts)), status))
        data, begins, ends = batch.data.tobytes(), batch.begins.tolist(), batch.ends.tolist()
        flat = [data[begin:end].decode() for begin, end in zip(begins, ends, strict=True)]
        return [flat[a:b] for a, b in itertools.pairwise(batch.offsets.tolist())], (status > 0).tolist()

    def expected(self, text: str) -> list[str]:
        """The library's pieces. An empty one, of an empty text, has no tokens in any model."""
        return [piece for piece, _ in self.library.pre_tokenize_str(text) if piece]

    def check(self, texts: Iterable[str], size: int = 8192) -> None:
        """Fail unless the pieces of every text are the library's."""
        texts = iter(texts)
        while group := list(itertools.islice(texts, size)):
            found, fallbacks = self.pieces(group)
            self.fallbacks += sum(fallbacks)
            for text, pieces, fell_back in zip(group, found, fallbacks, strict=True):
                if not fell_back:
                    expected = self.expected(text)
                    assert pieces == expected, f"{text!r}: {pieces}, not {expected}"


class PipelineCase(Case):
    """A tokenizer as the composed backend has it and as the library has it."""

    def __init__(self, parts: Parts) -> None:
        text = json.dumps(parts)
        spec = parse_tokenizer(text, "test")
        backend = PipelineBackend.for_spec(spec)
        assert backend is not None
        self.backend = backend
        self.library = Tokenizer.from_str(text)
        self._unknown = spec.unk_token_id if spec.unk_token_id is not None else -1
        self.texts = 0
        self.fallbacks = 0


# Models.

_SPECIAL = "[UNK]"


def words_of(part: Parts | None) -> Any:
    """The library's pre-tokeniser for a part."""
    return Tokenizer.from_str(json.dumps(parts_of(part))).pre_tokenizer


@cache
def trained_model(kind: str, pre_tokenizer: str = "byte-level", size: int = 3000) -> Parts:
    """A model of one of `MODELS`, trained on text as a pre-tokeniser splits it. Not to be changed."""
    trainer: Any
    settings: dict[str, Any] = {"vocab_size": size, "special_tokens": [_SPECIAL], "show_progress": False}
    if kind == "WordLevel":
        tokenizer, trainer = Tokenizer(models.WordLevel(unk_token=_SPECIAL)), trainers.WordLevelTrainer(**settings)
    elif kind == "WordPiece":
        tokenizer, trainer = Tokenizer(models.WordPiece(unk_token=_SPECIAL)), trainers.WordPieceTrainer(**settings, limit_alphabet=800)
    else:
        affixes = {
            "BPE-prefix": {"continuing_subword_prefix": "##"},
            "BPE-suffix": {"end_of_word_suffix": "</w>"},
            "BPE-both": {"continuing_subword_prefix": "@", "end_of_word_suffix": "\u0120\u00e9"},
        }.get(kind, {})
        tokenizer = Tokenizer(models.BPE(unk_token=_SPECIAL, **affixes))
        alphabet = pre_tokenizers.ByteLevel.alphabet() if kind == "BPE-bytes" else []
        trainer = trainers.BpeTrainer(**settings, limit_alphabet=600, initial_alphabet=alphabet, **affixes)
    tokenizer.pre_tokenizer = words_of(PRE_TOKENIZERS[pre_tokenizer])
    tokenizer.train_from_iterator(natural_texts(), trainer)
    model: Parts = json.loads(tokenizer.to_str())["model"]
    return model


MODELS = ("BPE-bytes", "BPE", "BPE-prefix", "BPE-suffix", "BPE-both", "WordLevel", "WordPiece")


def bpe_model(merges: Sequence[tuple[str, str]], characters: Iterable[str] = "", *, prefix: str = "", suffix: str = "", **settings: Any) -> Parts:
    """A BPE model of these merges, with a token for each of their parts, for what they make, and for the characters; ``[UNK]`` is 0."""
    tokens = [_SPECIAL, *characters]
    for left, right in merges:
        tokens += [left, right, left + right[len(prefix) :]]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    model: Parts = {"type": "BPE", "dropout": None, "unk_token": _SPECIAL, "continuing_subword_prefix": prefix or None}
    model |= {"end_of_word_suffix": suffix or None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    return {**model, **settings, "vocab": vocabulary, "merges": [list(merge) for merge in merges]}


def random_merges(draw: random.Random, alphabet: str, count: int, prefix: str = "", suffix: str = "") -> list[tuple[str, str]]:
    """Merges of tokens that the ones before make, in that order or in any, some of them twice."""
    firsts = [*alphabet, *(character + suffix for character in alphabet if suffix)]
    others = [prefix + token for token in firsts]
    merges = []
    for _ in range(count):
        left, right = draw.choice(firsts + others), draw.choice(others)
        merges.append((left, right))
        (others if prefix and left.startswith(prefix) else firsts).append(left + right[len(prefix) :])
        if not prefix:
            others = firsts
    shape = draw.random()
    if shape < 0.3:
        draw.shuffle(merges)
    if shape < 0.5 and merges:
        merges += draw.choices(merges, k=3)
    return merges


def random_model(draw: random.Random) -> Parts:
    """A model with random merges and settings."""
    alphabet = draw.choice(["ab", "abc", "ab\u00e9", "a\u4e00", "\u0120ab"])
    prefix, suffix = draw.choice(["", "", "", "#", "##"]), draw.choice(["", "", "", "</w>", "b"])
    merges = random_merges(draw, alphabet, draw.randint(0, 40), prefix, suffix)
    characters = draw.sample([*alphabet, *(prefix + c for c in alphabet), *(c + suffix for c in alphabet)], k=draw.randint(1, len(alphabet)))
    settings: Parts = {name: draw.random() < 0.4 for name in ("fuse_unk", "ignore_merges")}
    if not prefix and not suffix and draw.random() < 0.4:
        settings["byte_fallback"] = True
        characters += [f"<0x{byte:02X}>" for byte in "c d\u00e9\u4e00".encode() if draw.random() < 0.9]
    settings["unk_token"] = draw.choice([None, "[UNK]", "[UNK]", *characters[:1]])
    return bpe_model(merges, characters, prefix=prefix, suffix=suffix, **settings)
