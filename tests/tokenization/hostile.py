"""Random texts that are made for one tokenizer: of its own tokens and added tokens, in bad company."""

from __future__ import annotations

import itertools
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from model2vec_numba.tokenization.byte_alphabet import CHARACTER_TO_BYTE
from tokenization.configs import Config
from tokenization.texts import CLUSTERS, REPRESENTATIVES, natural_texts, random_texts

__all__ = ["FAMILIES", "family_of", "hostile_texts", "tokenizer_files"]

FAMILIES = ("WordPiece", "byte-level BPE", "character BPE", "Unigram", "WordLevel")

# What stands between two tokens: mostly nothing or a space; white space of all kinds, controls, marks, and characters that tokenizers use as signs.
# fmt: off
_BETWEEN = (
    *("", "", "", "", "", "", " ", " ", " ", " "), "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\u3000", "\xa0", "\x85", "\u2028", "\x0b",
    "\x1c", "\x00", "\x01", "\x7f", "\u200b", "\u200d", "\ufeff", "\u00ad", "\ufffd", "\u0301", "\u0327\u0301", "\u0345", "\u3099", "\u20dd",
    "\ufe0f", ".", ",", "'", "'s", "\u2019", '"', "-", "_", "/", "://", "<", ">", "[", "]", "|", "#", "##", "@@", "</w>", "\u2581", "\u2581\u2581",
    "\u0120", "\u010a", "<0x0A>", "<0xE4>", "1", "23", "456", "\u0661", "\u4e00", "\uac00", "\u0130", "\u00df", "\ufb01", "\U0001f600",
    "\U0001f1e9", "A", "z",
)
# fmt: on
_LONGEST = 400


def family_of(config: Config) -> str:
    """Return the one of `FAMILIES` that a tokenizer belongs to. Old files do not say the type of their model."""
    model = config["model"]
    if "merges" in model:
        parts = [config.get("normalizer"), config.get("pre_tokenizer")]
        return "byte-level BPE" if "'ByteLevel'" in repr(parts) else "character BPE"
    if isinstance(model["vocab"], list):
        return "Unigram"
    return "WordPiece" if "continuing_subword_prefix" in model else "WordLevel"


def tokenizer_files(folder: Path) -> dict[str, Path]:
    """Return the tokenizers in a folder like `shared` by their names. There are none if there is no such folder."""
    paths = sorted([*folder.glob("models/*/**/tokenizer.json"), *folder.glob("tokenizers/*.json")])
    return {path.parent.name if path.name == "tokenizer.json" else path.stem: path for path in paths}


def hostile_texts(config: Config, count: int, seed: float | str) -> Iterator[str]:
    """Give random texts for a tokenizer, in turns of four kinds.

    - characters of all scripts, classes and combinations, as `random_texts` gives them;
    - the tokenizer's tokens and added tokens, with white space, controls and marks between them and inside them;
    - natural text with some of these in it, with other capitals, or decomposed;
    - few different characters, up to hundreds of them.
    """
    draw = random.Random(seed)
    scripts = random_texts((count + 3) // 4, f"{seed} scripts")
    natural, tokens, added = natural_texts(), _own_tokens(config), _added_tokens(config)
    kinds = itertools.cycle(
        (
            lambda: next(scripts),
            lambda: _of_tokens(draw, tokens, added),
            lambda: _changed(draw, draw.choice(natural)[:_LONGEST], [draw.choice(tokens), draw.choice(added), *draw.choices(_BETWEEN, k=3)]),
            lambda: _of_few(draw, [draw.choice(tokens), draw.choice(added), draw.choice(CLUSTERS), draw.choice(_BETWEEN)]),
        )
    )
    for kind in itertools.islice(kinds, count):
        yield kind()


def _own_tokens(config: Config) -> list[str]:
    """Return the tokens of a model as they are written in the file, and as they are written in texts."""
    vocabulary = config["model"]["vocab"]
    written = [entry[0] for entry in vocabulary] if isinstance(vocabulary, list) else list(vocabulary)
    return [*written, *filter(None, map(_in_text, written))] or [""]


def _in_text(token: str) -> str:
    """Return the text for which a token stands."""
    if set(token) <= CHARACTER_TO_BYTE.keys() and not token.isascii():
        return bytes(CHARACTER_TO_BYTE[c] for c in token).decode(errors="ignore")
    return token.removeprefix("##").removesuffix("</w>").replace("\u2581", " ").replace("\u0120", " ")


def _added_tokens(config: Config) -> list[str]:
    """Return the added tokens, also with other capitals, and parts of them."""
    contents = [token["content"] for token in config.get("added_tokens") or []]
    parts = [part for content in contents for part in (content[:-1], content[1:]) if part]
    return [*contents, *contents, *map(str.upper, contents), *map(str.lower, contents), *parts] or [""]


def _of_tokens(draw: random.Random, tokens: list[str], added: list[str]) -> str:
    """Return a text of a few tokens. In half of the texts, one of them is an added token."""
    items = draw.choices(tokens, k=draw.randint(1, 6))
    if draw.random() < 0.5:
        items[draw.randrange(len(items))] = draw.choice(added)
    text = draw.choice(_BETWEEN) + "".join(item + draw.choice(_BETWEEN) for item in items)
    return _changed(draw, text, draw.choices(_BETWEEN, k=1)) if draw.random() < 0.3 else text


def _changed(draw: random.Random, text: str, strings: list[str]) -> str:
    """Return a text with the strings somewhere in it, and perhaps with other capitals, or decomposed or composed."""
    for string in strings:
        at = draw.randint(0, len(text))
        text = text[:at] + string + text[at:]
    kind = draw.random()
    if kind < 0.1:
        return text.upper()
    if kind < 0.2:
        return text.title()
    if kind < 0.3:
        return unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFKC", text) if kind < 0.35 else text


def _of_few(draw: random.Random, strings: list[str]) -> str:
    """Return a text of a few different strings and characters, each of them many times."""
    items = draw.sample(strings, draw.randint(1, 2)) + draw.choices(REPRESENTATIVES, k=draw.randint(0, 2))
    length = draw.choice((2, 3, 5, 8, 20, 70))
    return "".join(draw.choices(items, k=length))[:_LONGEST]
