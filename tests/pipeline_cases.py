"""Tokenizers put together from components, and how the compiled ones compare with the `tokenizers` library's; for tests and `fuzz_pipeline.py`."""

from __future__ import annotations

import base64
import json
import random
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
from helpers import EDGE_TEXTS, flatten_tightly
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.normalizers import Normalizer
from wordpiece_cases import natural_texts

from model2vec_numba.errors import TokenizationError
from model2vec_numba.text import flatten
from model2vec_numba.tokenization import parse_tokenizer
from model2vec_numba.tokenization.library import LibraryBackend
from model2vec_numba.tokenization.library_parts import library_normalizer, library_pre_tokenizer
from model2vec_numba.tokenization.normalizers import make_normalizer
from model2vec_numba.tokenization.pipeline import PipelineBackend
from model2vec_numba.tokenization.pre_tokenizers import make_pre_tokenizer
from model2vec_numba.tokenization.stages import PieceBatch

__all__ = [
    "NORMALIZERS",
    "PRE_TOKENIZERS",
    "PipelineCase",
    "charsmap",
    "normalizer_mismatches",
    "pieces",
    "sequence",
    "tied_vocabulary",
    "tokenizer_parts",
    "trained_vocabulary",
]

Parts = dict[str, Any]


def sequence(*parts: Parts) -> Parts:
    """Normalisers one after the other."""
    return {"type": "Sequence", "normalizers": list(parts)}


def replace(pattern: str, content: str, kind: str = "String") -> Parts:
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


@cache
def charsmap() -> str:
    """A charsmap as SentencePiece makes them: NFKC of some blocks, letters with a mark after them among its keys; white space becomes spaces."""
    rules = {"\t": " ", "\n": " ", "\r": " ", "\u3000": " ", "\u200b": " ", "\x01": "", "\u00ad": "", "\x7f": "", "\u2581": " ", "\ufeff": ""}
    blocks = [range(0xA0, 0x180), range(0x1E00, 0x1E20), range(0x2000, 0x2070), range(0xFB00, 0xFB07), range(0xFF61, 0xFFA0), range(0xAC00, 0xAC08)]
    for character in (chr(c) for block in blocks for c in block):
        normal = unicodedata.normalize("NFKC", character)
        if normal != character:
            rules[character] = normal
        decomposed = unicodedata.normalize("NFD", character)
        if len(decomposed) > 1:
            rules[decomposed] = normal
    # Keys of which others are prefixes, of two and three bytes, and a pair that does not compose.
    rules |= {"\u00e9": "\u00c9", "\u00e9\u0301": "!", "\u0623": "\u0627", "\u4e00": "one", "a\u0327": "&", "\r\n": "N"}
    return base64.b64encode(_double_array(rules)).decode("ascii")


def _double_array(rules: dict[str, str]) -> bytes:
    """The bytes of a charsmap: a Darts trie in which every node has 256 units to itself, its size before it, the replacements after it."""
    tree: dict[int, Any] = {}
    texts = b""
    for key, value in sorted(rules.items()):
        node = tree
        for byte in key.encode("utf-8"):
            node = node.setdefault(byte, {})
        node[-1] = len(texts)
        texts += value.encode("utf-8") + b"\0"
    units: dict[int, int] = {}
    blocks = [0]

    def place(node: dict[int, Any], unit: int, label: int) -> None:
        blocks[0] += 256
        block = blocks[0]
        units[unit] = (unit ^ block) << 10 | (-1 in node) << 8 | label
        if -1 in node:
            units[block] = 1 << 31 | node[-1]
        for byte, child in node.items():
            if byte != -1:
                place(child, block ^ byte, byte)

    place(tree, 0, 0)
    array = np.zeros(blocks[0] + 256, np.uint32)
    array[list(units)] = list(units.values())
    return np.uint32(array.nbytes).tobytes() + array.tobytes() + texts


PRECOMPILED: Parts = {"type": "Precompiled", "precompiled_charsmap": charsmap()}
STRIP: Parts = {"type": "Strip", "strip_left": True, "strip_right": True}

# Each of the normalisers that are compiled, in each of its forms.
NORMALIZERS: dict[str, Parts] = {
    **{kind: {"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt")},
    "Precompiled": PRECOMPILED,
    **{
        f"BertNormalizer-{clean}-{chinese}-{strip}-{lower}": {
            "type": "BertNormalizer",
            "clean_text": clean,
            "handle_chinese_chars": chinese,
            "strip_accents": strip,
            "lowercase": lower,
        }
        for clean, chinese, strip, lower in (
            (True, True, None, True),
            (True, True, None, False),
            (False, True, True, False),
            (True, False, True, False),
            (False, False, False, True),
        )
    },
    "Strip": STRIP,
    "Strip-left": {**STRIP, "strip_right": False},
    "Strip-right": {**STRIP, "strip_left": False},
    "Prepend": {"type": "Prepend", "prepend": "\u2581x"},
    "Replace-string": replace("ab", "\u00e9"),
    "Replace-itself": replace("aa", "aaa"),
    "Replace-marks": replace("''", '"'),
    "Replace-space": replace(" ", "\u2581"),
    "Replace-mark": replace("\u0301", ""),
    "Replace-dot": replace(".", " . "),
    "Replace-spaces": replace(" {2,}", " ", "Regex"),
    "Replace-spaces-long": replace(" {2,}", "<two>", "Regex"),
    "Replace-white": replace(r"\s+", " ", "Regex"),
    "Replace-white-long": replace(r"\s+", "\u00e9 _", "Regex"),
    "Replace-white-none": replace(r"\s+", "", "Regex"),
    "Replace-white-each": replace(r"\s", "__", "Regex"),
    "Replace-white-two": replace(r"\s{2,}", "2", "Regex"),
    "Replace-space-run": replace(" +", "-", "Regex"),
}

PRE_TOKENIZERS: dict[str, Parts | None] = {
    "none": None,
    "WhitespaceSplit": {"type": "WhitespaceSplit"},
    **{
        f"Metaspace-{scheme}-{split}-{replacement}": {
            "type": "Metaspace",
            "replacement": replacement,
            "prepend_scheme": scheme,
            "split": split,
        }
        for scheme in ("always", "first", "never")
        for split in (True, False)
        for replacement in ("\u2581", "_", "\u00e9")
    },
}
_METASPACES = [part for name, part in PRE_TOKENIZERS.items() if name.startswith(("Metaspace-always", "Metaspace-never"))]
PRE_TOKENIZERS |= {
    f"Sequence-{number}": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, part]} for number, part in enumerate(_METASPACES)
}
PRE_TOKENIZERS["Sequence-twice"] = {"type": "Sequence", "pretokenizers": [_METASPACES[0], {"type": "WhitespaceSplit"}, _METASPACES[2]]}
PRE_TOKENIZERS["Sequence-empty"] = {"type": "Sequence", "pretokenizers": []}


def normalizer_mismatches(part: Parts, texts: Sequence[str]) -> tuple[list[tuple[str, str, str]], int]:
    """The texts that a compiled normaliser does not make the same of as the library, with the two answers, and how many it would not do."""
    normalizer, library = make_normalizer(part), library_normalizer(part)
    assert normalizer is not None
    status = np.zeros(len(texts), np.uint8)
    found = normalizer.normalize(flatten_tightly(texts), status)
    answers = ((text, found.text(i), _asked(library, text)) for i, text in enumerate(texts) if not status[i])
    return [(text, ours, theirs) for text, ours, theirs in answers if theirs is not None and ours != theirs], int(np.count_nonzero(status))


def _asked(library: Normalizer, text: str) -> str | None:
    """What the library makes of a text; ``None`` if it panics, as it does on some texts where `Strip` comes after what makes them shorter."""
    try:
        result: str = library.normalize_str(text)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return None
    return result


def pieces(part: Parts | None, texts: Sequence[str]) -> tuple[list[list[str]], list[list[str]]]:
    """The pieces that a compiled pre-tokeniser cuts texts into, and those of the library."""
    pre_tokenizer = make_pre_tokenizer(part)
    assert pre_tokenizer is not None
    batch = pre_tokenizer.split(PieceBatch.whole(flatten_tightly(texts)), np.zeros(len(texts), np.uint8))
    strings = [batch.data[begin:end].tobytes().decode("utf-8") for begin, end in zip(batch.begins.tolist(), batch.ends.tolist(), strict=True)]
    found = [strings[first:last] for first, last in zip(batch.offsets[:-1].tolist(), batch.offsets[1:].tolist(), strict=True)]
    if part is None:
        return found, [[text] if text else [] for text in texts]
    library = library_pre_tokenizer(part)
    # A text that nothing has cut stays a piece, even an empty one.
    return found, [[piece for piece, _ in library.pre_tokenize_str(text) if piece] for text in texts]


def tokenizer_parts(
    vocabulary: Sequence[tuple[str, float]],
    normalizer: Parts | None = None,
    pre_tokenizer: Parts | None = None,
    *,
    unknown: int | None = 0,
    byte_fallback: bool = False,
    added: Sequence[Parts] = (),
) -> Parts:
    """A `tokenizer.json` of a Unigram model."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(added),
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": None,
        "model": {"type": "Unigram", "unk_id": unknown, "vocab": [list(entry) for entry in vocabulary], "byte_fallback": byte_fallback},
    }


@cache
def trained_vocabulary(split: bool = True) -> tuple[tuple[str, float], ...]:
    """A vocabulary trained on a part of `natural_texts`, so that characters of the rest are unknown; not split, its tokens span words."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=split)
    trainer: Any = trainers.UnigramTrainer(vocab_size=1500, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator(natural_texts()[::24], trainer)
    return tuple((token, score) for token, score in json.loads(tokenizer.to_str())["model"]["vocab"])


def tied_vocabulary(seed: int, *, letters: str = "ab\u2581\u00e9\u4e00", count: int = 30, inner: bool = True) -> list[tuple[str, float]]:
    """Random tokens of few letters, with scores of which many are equal or sums of others, some above 0; with equal tokens among them."""
    draw = random.Random(seed)
    scores = [draw.choice((-1.0, -2.0, -0.5, -3.0, 0.25, -1.1, -2.2, -12.5, -0.1 - 0.2, -0.3)) for _ in range(count)]
    tokens = ["<unk>", *("".join(draw.choices(letters, k=draw.choice((1, 1, 2, 2, 3, 4, 9)))) for _ in range(count - 1))]
    if not inner:
        tokens = [token[:1] + token[1:].replace("\u2581", "") for token in tokens]
    return list(zip(tokens, scores, strict=True))


class PipelineCase:
    """A tokenizer as the compiled backend has it and as the library has it.

    Attributes:
        backend: the compiled backend.
        texts: how many texts were compared.
        fallbacks: how many of them went to the library anyhow.
    """

    def __init__(self, parts: Parts) -> None:
        spec = parse_tokenizer(json.dumps(parts), "test")
        backend = PipelineBackend.for_spec(spec)
        assert backend is not None, parts["normalizer"]
        self.backend = backend
        self.library = LibraryBackend(spec)
        self.texts = 0
        self.fallbacks = 0

    def mismatches(self, texts: Iterable[str], size: int = 8192) -> list[str]:
        """Those of the texts whose ids are not the library's."""
        found: list[str] = []
        texts = iter(texts)
        while group := list(islice(texts, size)):
            batch = flatten_tightly(group)
            try:
                tokens, expected = self.backend.tokenize(batch, None), self.library.tokenize(batch, None)
            except TokenizationError:
                # The library panics on one of the texts, see `_asked`: the others one by one.
                if len(group) > 1:
                    found += self.mismatches(group, 1)
                continue
            self.texts += len(group)
            self.fallbacks += self.backend.fallback_count(batch)
            if np.array_equal(tokens.offsets, expected.offsets) and np.array_equal(tokens.ids, expected.ids):
                continue
            bounds = zip(group, tokens.bounds(), expected.bounds(), strict=True)
            found += [text for text, (a, b), (c, d) in bounds if not np.array_equal(tokens.ids[a:b], expected.ids[c:d])]
        return found

    def check(self, texts: Iterable[str]) -> None:
        """Fail unless the ids of all texts are the library's."""
        found = self.mismatches(texts)
        if found:
            text = min(found, key=len)
            batch = flatten([text])
            ours, theirs = (backend.tokenize(batch, None).ids.tolist() for backend in (self.backend, self.library))
            raise AssertionError(f"{len(found)} texts, one of them {text!r}: {ours}, not {theirs}")


def ids(backend: Any, texts: Sequence[str], max_tokens: int | None = None) -> list[NDArray[np.int32]]:
    """The ids of each text."""
    tokens = backend.tokenize(flatten_tightly(texts), max_tokens)
    return [tokens.ids[begin:end] for begin, end in tokens.bounds()]


@cache
def mixed_texts() -> list[str]:
    """Edge cases and texts of many scripts, composed and decomposed."""
    texts = [*EDGE_TEXTS, *natural_texts()[::25]]
    return texts + [unicodedata.normalize("NFD", text) for text in texts[::5]]
