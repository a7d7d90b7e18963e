"""Tokenizers as JSON objects: the small ones in `data`, and functions that build and change them.

A *config* is the parsed content of a `tokenizer.json`. Functions return changed copies; the configs that they are given stay as they are.
"""

from __future__ import annotations

import base64
import copy
import json
import random
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import normalizers

import model2vec_numba

__all__ = [
    "BEHAVIORS",
    "BERT_PRE_TOKENIZER",
    "BERT_SETTINGS",
    "BERT_VARIANTS",
    "DISTINCT",
    "INSERTING",
    "LLAMA3",
    "NORMALIZERS",
    "PATTERNS",
    "PRE_TOKENIZERS",
    "QWEN2",
    "SMALL",
    "Config",
    "alphabet_config",
    "bert_config",
    "bert_normalizer",
    "bpe_model",
    "bundled_config",
    "byte_level",
    "charsmap_bytes",
    "config_of",
    "digits",
    "metaspace",
    "normalizer_sequence",
    "punctuation",
    "random_bpe_model",
    "random_merges",
    "random_unigram_model",
    "replace",
    "sequence",
    "small_config",
    "small_model",
    "split",
    "unigram_model",
    "with_added_tokens",
    "with_model",
    "with_prefix",
    "with_tokens",
    "with_unassigned_bytes",
    "word_level_model",
    "word_piece_model",
]

Config = dict[str, Any]

_DATA = Path(__file__).parents[1] / "data"
_UNKNOWN = "[UNK]"


# Files.


@cache
def bundled_config() -> Config:
    """Return the bundled model's tokenizer. It must not be changed."""
    path = Path(model2vec_numba.__file__).parent / "default_model" / "tokenizer.json"
    config: Config = json.loads(path.read_text(encoding="utf-8"))
    return config


# The files of `data`. `make_data.py` writes them.
SMALL = (
    *("wordpiece", "wordlevel", "unigram", "unigram-phrases"),
    *("bpe", "bpe-prefix", "bpe-suffix", "bpe-both", "bpe-bytes", "bpe-bytes-suffix"),
)


@cache
def small_config(name: str) -> Config:
    """Return one of the tokenizers in `data`. It must not be changed."""
    config: Config = json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))
    return config


def small_model(name: str, **changes: Any) -> Config:
    """Return the model of one of the tokenizers in `data`, with some members changed."""
    return {**copy.deepcopy(small_config(name)["model"]), **changes}


# Whole tokenizers.


def config_of(model: Config, pre_tokenizer: Config | None = None, normalizer: Config | None = None, **members: Any) -> Config:
    """Return a whole `tokenizer.json`."""
    return {"version": "1.0", "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "model": model, **members}


def with_model(config: Config, **changes: Any) -> Config:
    """Return the tokenizer with members of its model changed. Members that are ``...`` are left out."""
    model = {name: value for name, value in {**config["model"], **changes}.items() if value is not ...}
    return {**config, "model": model}


def with_tokens(config: Config, tokens: Iterable[str]) -> Config:
    """Return the tokenizer with these tokens added to its vocabulary, if they are not in it."""
    vocabulary = dict(config["model"]["vocab"])
    following = max(vocabulary.values()) + 1
    for token in tokens:
        if token not in vocabulary:
            vocabulary[token] = following
            following += 1
    return with_model(config, vocab=vocabulary)


def with_added_tokens(config: Config, *contents: str, in_vocabulary: bool = True, **flags: bool) -> Config:
    """Return the tokenizer with added tokens that all have the same flags. They are tokens of the model too, if `in_vocabulary`."""
    config = with_tokens(config, contents if in_vocabulary else ())
    vocabulary = config["model"]["vocab"]
    following = max(vocabulary.values()) + 1
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **flags}
    tokens = [{"id": vocabulary.get(content, following + i), "content": content, **flags} for i, content in enumerate(contents)]
    kept = [token for token in config["added_tokens"] if token["content"] not in contents]
    return {**config, "added_tokens": sorted([*kept, *tokens], key=lambda token: token["id"])}


def with_prefix(config: Config, prefix: str, max_word_chars: int = 100) -> Config:
    """Return a WordPiece tokenizer with another prefix for tokens inside words and another longest word."""
    renamed = [prefix + token.removeprefix("##") if token.startswith("##") else token for token in config["model"]["vocab"]]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(renamed))}
    added = [{**token, "id": vocabulary[token["content"]]} for token in config["added_tokens"]]
    config = with_model(config, vocab=vocabulary, continuing_subword_prefix=prefix, max_input_chars_per_word=max_word_chars)
    return {**config, "added_tokens": added}


def with_unassigned_bytes(model: Config, letters: str) -> Config:
    """Return a BPE model without the tokens that contain one of the letters, and without their merges."""

    def is_kept(token: str) -> bool:
        return token == model["unk_token"] or not set(token) & set(letters)

    vocabulary = {token: i for i, token in enumerate(filter(is_kept, model["vocab"]))}
    return {**model, "vocab": vocabulary, "merges": [merge for merge in model["merges"] if all(map(is_kept, merge))]}


# BERT.

BERT_PRE_TOKENIZER: Config = {"type": "BertPreTokenizer"}

# How tokenizers differ from BERT's uncased one.
BERT_VARIANTS: dict[str, Config] = {
    "uncased": {},
    "cased": {"lowercase": False},
    "keeps-accents": {"strip_accents": False},
    "strips-only": {"lowercase": False, "strip_accents": True},
    "no-chinese": {"handle_chinese_chars": False},
    "no-clean": {"clean_text": False},
}

# Every combination of settings of BERT's normaliser.
BERT_SETTINGS: list[Config] = [
    {"clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": strip, "lowercase": lower}
    for clean in (True, False)
    for chinese in (True, False)
    for strip in (None, True, False)
    for lower in (True, False)
]


def bert_normalizer(**changes: Any) -> Config:
    """Return BERT's uncased normaliser, with some settings changed."""
    return {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True, **changes}


def bert_config(variant: str = "uncased", vocabulary: str = "small") -> Config:
    """Return a tokenizer with one of `BERT_VARIANTS`, and the ``bundled`` vocabulary or a ``small`` one."""
    config = bundled_config() if vocabulary == "bundled" else small_config("wordpiece")
    return {**config, "normalizer": bert_normalizer(**BERT_VARIANTS[variant])}


def alphabet_config(characters: Iterable[str], settings: Config) -> Config:
    """Return BERT's tokenizer with a token for each of the characters and for each character that any BERT normaliser makes of them.

    Each of them has one token at the beginning of a word and one inside a word, so the ids show every character's fate.
    """
    text = "\n".join(set(characters) | set("abz"))
    reached = set(text)
    for strips in (False, True):
        for lowercases in (False, True):
            normalizer = normalizers.BertNormalizer(clean_text=False, strip_accents=strips, lowercase=lowercases)
            reached |= set(normalizer.normalize_str(text))
    config = {**bundled_config(), "normalizer": bert_normalizer(**settings)}
    config = with_model(config, vocab={token["content"]: token["id"] for token in config["added_tokens"]})
    solid = [character for character in sorted(reached) if not character.isspace()]
    return with_tokens(config, [*solid, *(f"##{character}" for character in solid)])


# Pre-tokenisers.

BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
# The patterns in the files of GPT-2, Llama 3 and Qwen 2.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
_CAPITALS, _SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_ENDS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
# Patterns of real tokenizers.
PATTERNS = {
    "gpt2": GPT2,
    "llama3": LLAMA3,
    "qwen2": QWEN2,
    "qwen3.5": rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_ENDS}",
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k": (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_CAPITALS}*{_SMALL}+{_CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?{_CAPITALS}+{_SMALL}*{_CONTRACTIONS}?"
        rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_ENDS}"
    ),
    "mistral-nemo": (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_CAPITALS}*{_SMALL}+|[^\r\n\p{{L}}\p{{N}}]?{_CAPITALS}+{_SMALL}*"
        rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_ENDS}"
    ),
    "deepseek-v2-letters": r"\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u0400-\u0481\u0531-\u0556\u1e00-\u1f15\ua640-\ua66d]+",
    "deepseek-v2-signs": "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
    "deepseek-v2-end": r"\s+$",
    "deepseek-v3-ideographs": "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "deepseek-v3": (
        r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"""
        rf"{_ENDS}"
    ),
    "clip": r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    "clip, any case": r"(?i)'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+",
    "falcon": "[0-9][0-9][0-9]",
    "bloom": " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+",
    "siglip": r"""[!"\#\$%\&'\(\)\*\+,\-\.:;=\?@\[\\\]\^_`\{\|\}\~]""",
    "llm-jp": r"(?<!\n)^",
    "camembert": r"\s{2,}|[\n\r\t]",
}


def byte_level(*, prefix: bool = False, regex: bool = True) -> Config:
    """Return a `ByteLevel` pre-tokeniser."""
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def split(pattern: str, behavior: str = "Isolated", *, invert: bool = False, string: bool = False) -> Config:
    """Return a `Split` pre-tokeniser for a regular expression, or for a string if `string`."""
    return {"type": "Split", "pattern": {"String" if string else "Regex": pattern}, "behavior": behavior, "invert": invert}


def punctuation(behavior: str) -> Config:
    """Return a `Punctuation` pre-tokeniser."""
    return {"type": "Punctuation", "behavior": behavior}


def digits(individual: bool) -> Config:
    """Return a `Digits` pre-tokeniser."""
    return {"type": "Digits", "individual_digits": individual}


def metaspace(replacement: str = "\u2581", scheme: str = "always", *, splits: bool = True) -> Config:
    """Return a `Metaspace` pre-tokeniser."""
    return {"type": "Metaspace", "replacement": replacement, "prepend_scheme": scheme, "split": splits}


def sequence(*members: Config | None) -> Config:
    """Return a sequence of pre-tokenisers."""
    return {"type": "Sequence", "pretokenizers": list(members)}


_SPACES: Config = {"type": "WhitespaceSplit"}

# Every pre-tokeniser that is compiled, in each of its forms.
PRE_TOKENIZERS: dict[str, Config | None] = {
    "none": None,
    "nothing": sequence(),
    "bert": BERT_PRE_TOKENIZER,
    "whitespace": {"type": "Whitespace"},
    "spaces": _SPACES,
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
    **{f"split-{name}": split(pattern) for name, pattern in PATTERNS.items()},
    "clip": split(PATTERNS["clip"], "Removed", invert=True),
    "falcon": sequence(punctuation("Contiguous"), byte_level(), digits(False), split(PATTERNS["falcon"])),
    "split-nothing": split("", string=True),
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
    **{
        f"metaspace-{scheme}{'' if splits else '-whole'}-{replacement}": metaspace(replacement, scheme, splits=splits)
        for scheme in ("always", "first", "never")
        for splits in (True, False)
        for replacement in ("\u2581", "_", "\u00e9")
    },
    **{
        f"spaces-metaspace-{scheme}{'' if splits else '-whole'}-{replacement}": sequence(_SPACES, metaspace(replacement, scheme, splits=splits))
        for scheme in ("always", "never")
        for splits in (True, False)
        for replacement in ("\u2581", "_", "\u00e9")
    },
    "spaces-between-metaspaces": sequence(metaspace(), _SPACES, metaspace("\u00e9")),
}

# The ones that differ in what they do to single characters and their neighbours.
DISTINCT = ("bert", "whitespace", "punctuation-Isolated", "digits-individual", "byte-level-prefix", "llama3", "qwen2", "split-spaces-MergedWithNext")


# Normalisers.


def normalizer_sequence(*members: Config | None) -> Config:
    """Return a sequence of normalisers."""
    return {"type": "Sequence", "normalizers": list(members)}


def replace(pattern: str, content: str, kind: str = "String") -> Config:
    """Return a `Replace` normaliser. `kind` is ``String`` or ``Regex``."""
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def _charsmap() -> str:
    """Return a charsmap like those of SentencePiece, in base64.

    It holds NFKC of some blocks, also for letters that are followed by a mark. White space becomes spaces.
    """
    rules = {"\t": " ", "\n": " ", "\r": " ", "\u3000": " ", "\u200b": " ", "\x01": "", "\u00ad": "", "\x7f": "", "\u2581": " ", "\ufeff": ""}
    blocks = [range(0xA0, 0x180), range(0x1E00, 0x1E20), range(0x2000, 0x2070), range(0xFB00, 0xFB07), range(0xFF61, 0xFFA0), range(0xAC00, 0xAC08)]
    for character in (chr(c) for block in blocks for c in block):
        normal = unicodedata.normalize("NFKC", character)
        if normal != character:
            rules[character] = normal
        decomposed = unicodedata.normalize("NFD", character)
        if len(decomposed) > 1:
            rules[decomposed] = normal
    # Keys of two and three bytes that begin other keys, and a pair that does not compose.
    rules |= {"\u00e9": "\u00c9", "\u00e9\u0301": "!", "\u0623": "\u0627", "\u4e00": "one", "a\u0327": "&", "\r\n": "N"}
    return base64.b64encode(charsmap_bytes(rules)).decode("ascii")


def charsmap_bytes(rules: dict[str, str]) -> bytes:
    """Return the bytes of a charsmap: the size of a Darts trie, the trie, and the replacements. Every node has 256 units to itself."""
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


_STRIP: Config = {"type": "Strip", "strip_left": True, "strip_right": True}

# Every normaliser that is compiled, in each of its forms.
NORMALIZERS: dict[str, Config] = {
    **{kind: {"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt")},
    "Precompiled": {"type": "Precompiled", "precompiled_charsmap": _charsmap()},
    "bert": bert_normalizer(),
    "bert-cased": bert_normalizer(lowercase=False),
    "bert-strips-only": bert_normalizer(clean_text=False, strip_accents=True, lowercase=False),
    "bert-no-chinese": bert_normalizer(handle_chinese_chars=False, strip_accents=True, lowercase=False),
    "bert-lowercase-only": bert_normalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False),
    "Strip": _STRIP,
    "Strip-left": {**_STRIP, "strip_right": False},
    "Strip-right": {**_STRIP, "strip_left": False},
    "Prepend": {"type": "Prepend", "prepend": "\u2581x"},
    "Replace-string": replace("ab", "\u00e9"),
    "Replace-by-longer": replace("aa", "aaa"),
    "Replace-quotes": replace("''", '"'),
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
    "Replace-nothing": replace("", "\u00e9"),
    "Replace-camembert": replace(r"\s{2,}|[\n\r\t]", " ", "Regex"),
    "Replace-siglip": replace(PATTERNS["siglip"], "", "Regex"),
    "Replace-llm-jp": replace(PATTERNS["llm-jp"], "\u2581", "Regex"),
    "Replace-between": replace(r"\b|$", "|", "Regex"),
}

# These may insert characters at the beginning of a text. Most steps after them are left to the library, which fails on some texts.
INSERTING = frozenset({"Replace-nothing", "Replace-llm-jp", "Replace-between"})


# Models.


def word_level_model(*tokens: str, **changes: Any) -> Config:
    """Return a WordLevel model of ``[UNK]`` (id 0) and the tokens."""
    return {"type": "WordLevel", "vocab": {token: i for i, token in enumerate((_UNKNOWN, *tokens))}, "unk_token": _UNKNOWN, **changes}


def word_piece_model(*tokens: str, prefix: str = "##", max_word_chars: int = 100) -> Config:
    """Return a WordPiece model of ``[UNK]`` (id 0) and the tokens."""
    vocabulary = {token: i for i, token in enumerate((_UNKNOWN, *tokens))}
    settings = {"unk_token": _UNKNOWN, "continuing_subword_prefix": prefix, "max_input_chars_per_word": max_word_chars}
    return {"type": "WordPiece", **settings, "vocab": vocabulary}


def unigram_model(vocabulary: Sequence[tuple[str, float]], unknown: int | None = 0, *, byte_fallback: bool = False) -> Config:
    """Return a Unigram model of tokens with scores."""
    return {"type": "Unigram", "unk_id": unknown, "vocab": [list(entry) for entry in vocabulary], "byte_fallback": byte_fallback}


def random_unigram_model(seed: int, *, letters: str = "ab\u2581\u00e9\u4e00", count: int = 30, inner: bool = True, **settings: Any) -> Config:
    """Return a Unigram model of random tokens. Many scores are equal or sums of others, some are above 0, and some tokens are equal.

    Spaces (U+2581) stand only at the beginning of a token, unless `inner`.
    """
    draw = random.Random(seed)
    scores = [draw.choice((-1.0, -2.0, -0.5, -3.0, 0.25, -1.1, -2.2, -12.5, -0.1 - 0.2, -0.3)) for _ in range(count)]
    tokens = ["<unk>", *("".join(draw.choices(letters, k=draw.choice((1, 1, 2, 2, 3, 4, 9)))) for _ in range(count - 1))]
    if not inner:
        tokens = [token[:1] + token[1:].replace("\u2581", "") for token in tokens]
    return unigram_model(list(zip(tokens, scores, strict=True)), **settings)


def bpe_model(merges: Sequence[tuple[str, str]], characters: Iterable[str] = "", *, prefix: str = "", suffix: str = "", **settings: Any) -> Config:
    """Return a BPE model of these merges. It has ``[UNK]`` (id 0), and a token for each part of a merge, for its result and for each character."""
    tokens = [_UNKNOWN, *characters]
    for left, right in merges:
        tokens += [left, right, left + right[len(prefix) :]]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    model: Config = {"type": "BPE", "dropout": None, "unk_token": _UNKNOWN, "continuing_subword_prefix": prefix or None}
    model |= {"end_of_word_suffix": suffix or None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    return {**model, **settings, "vocab": vocabulary, "merges": [list(merge) for merge in merges]}


def random_merges(draw: random.Random, alphabet: str, count: int, prefix: str = "", suffix: str = "") -> list[tuple[str, str]]:
    """Return merges of characters and of tokens that other merges make. They may be in any order, and some may stand there twice."""
    at_beginning = [*alphabet, *(character + suffix for character in alphabet if suffix)]
    inside = [prefix + token for token in at_beginning]
    merges = []
    for _ in range(count):
        left, right = draw.choice(at_beginning + inside), draw.choice(inside)
        merges.append((left, right))
        (inside if prefix and left.startswith(prefix) else at_beginning).append(left + right[len(prefix) :])
        if not prefix:
            inside = at_beginning
    shape = draw.random()
    if shape < 0.3:
        draw.shuffle(merges)
    if shape < 0.5 and merges:
        merges += draw.choices(merges, k=3)
    return merges


def random_bpe_model(draw: random.Random) -> Config:
    """Return a BPE model with random merges and settings."""
    alphabet = draw.choice(["ab", "abc", "ab\u00e9", "a\u4e00", "\u0120ab"])
    prefix, suffix = draw.choice(["", "", "", "#", "##"]), draw.choice(["", "", "", "</w>", "b"])
    merges = random_merges(draw, alphabet, draw.randint(0, 40), prefix, suffix)
    characters = draw.sample([*alphabet, *(prefix + c for c in alphabet), *(c + suffix for c in alphabet)], k=draw.randint(1, len(alphabet)))
    settings: Config = {name: draw.random() < 0.4 for name in ("fuse_unk", "ignore_merges")}
    if not prefix and not suffix and draw.random() < 0.4:
        settings["byte_fallback"] = True
        characters += [f"<0x{byte:02X}>" for byte in "c d\u00e9\u4e00".encode() if draw.random() < 0.9]
    settings["unk_token"] = draw.choice([None, _UNKNOWN, _UNKNOWN, *characters[:1]])
    return bpe_model(merges, characters, prefix=prefix, suffix=suffix, **settings)
