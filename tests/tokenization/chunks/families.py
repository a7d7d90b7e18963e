"""Tokenizers of many families for the tests of chunks: like published ones, and random ones."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from tokenization.configs import (
    INSERTING,
    NORMALIZERS,
    PATTERNS,
    PRE_TOKENIZERS,
    SMALL,
    Config,
    byte_level,
    config_of,
    metaspace,
    normalizer_sequence,
    replace,
    sequence,
    small_model,
    split,
)
from tokenization.hostile import hostile_texts
from tokenization.test_cutting import distinct, random_tokens, with_tokens
from tokenization.test_cutting import random_texts as texts_of_added_tokens
from tokenization.texts import REPRESENTATIVES, random_texts

__all__ = ["FAMILIES", "random_family", "spaced", "texts_for"]

_PRECOMPILED, _STRIP, _STRIP_RIGHT = NORMALIZERS["Precompiled"], NORMALIZERS["Strip"], NORMALIZERS["Strip-right"]
_WORDS = sequence({"type": "WhitespaceSplit"}, metaspace())


def _with_spaces(model: Config, space: str) -> Config:
    """Return a BPE model that also has short tokens with a space before them."""
    vocabulary, merges = dict(model["vocab"]), list(model["merges"])
    vocabulary.setdefault(space, len(vocabulary))
    for token in list(vocabulary)[:80]:
        if len(token) < 4 and space not in token and space + token not in vocabulary:
            vocabulary[space + token] = len(vocabulary)
            merges.append([space, token])
    return {**model, "vocab": vocabulary, "merges": merges}


def _bytes(pattern: str, normalizer: Config | None = None, **split_settings: object) -> Config:
    return config_of(small_model("bpe-bytes"), sequence(split(PATTERNS[pattern], **split_settings), byte_level(regex=False)), normalizer)


# Each tokenizer with what its rule says: `trims`, `after_newline`, `drops_space`, and whether it has `edges`. None: its texts are not cut.
FAMILIES: dict[str, tuple[Config, tuple[bool, bool, bool, bool] | None]] = {
    "Llama 2": (
        config_of(
            _with_spaces(small_model("bpe", fuse_unk=True), "\u2581"),
            None,
            normalizer_sequence({"type": "Prepend", "prepend": "\u2581"}, replace(" ", "\u2581")),
        ),
        (False, False, True, True),
    ),
    "Mistral": (
        config_of(_with_spaces(small_model("bpe", fuse_unk=True), "\u2581"), metaspace(scheme="first", splits=False)),
        (False, False, False, True),
    ),
    "Gemma": (
        config_of(_with_spaces(small_model("bpe", fuse_unk=True), "\u2581"), split(" ", "MergedWithPrevious", string=True), replace(" ", "\u2581")),
        (False, True, False, True),
    ),
    "Gemma, whole words": (config_of(_with_spaces(small_model("bpe", ignore_merges=True), "\u2581"), None, replace(" ", "\u2581")), None),
    "DeBERTa": (
        config_of(small_model("unigram"), metaspace(), normalizer_sequence(_STRIP, _PRECOMPILED, replace(" {2,}", " ", "Regex"))),
        (True, False, False, True),
    ),
    "ALBERT": (
        config_of(
            small_model("unigram"),
            metaspace(),
            normalizer_sequence(
                replace("``", '"'), replace("''", '"'), *(NORMALIZERS[k] for k in ("NFKD", "StripAccents", "Lowercase", "Precompiled"))
            ),
        ),
        (False, False, False, True),
    ),
    "XLM-R": (config_of(small_model("unigram"), _WORDS, _PRECOMPILED), (True, False, False, True)),
    "XLM-R, newer": (
        config_of(small_model("unigram"), metaspace(), normalizer_sequence(_PRECOMPILED, replace(" {2,}", " ", "Regex"))),
        (False, False, False, True),
    ),
    "T5, newer": (
        config_of(small_model("unigram"), metaspace(), normalizer_sequence(_PRECOMPILED, _STRIP_RIGHT, replace(" {2,}", "\u2581", "Regex"))),
        (True, False, False, True),
    ),
    "CamemBERT": (
        config_of(small_model("unigram"), metaspace(), normalizer_sequence(NORMALIZERS["Replace-camembert"], _STRIP_RIGHT)),
        (True, False, False, True),
    ),
    "SigLIP": (
        config_of(
            small_model("unigram"),
            metaspace(),
            normalizer_sequence(NORMALIZERS["Lowercase"], NORMALIZERS["Replace-siglip"], NORMALIZERS["Replace-white"], _STRIP),
        ),
        (True, False, False, True),
    ),
    "CLIP": (
        config_of(
            small_model("bpe-bytes-suffix"),
            sequence(PRE_TOKENIZERS["clip"], byte_level()),
            normalizer_sequence(NORMALIZERS["NFC"], NORMALIZERS["Replace-white"], NORMALIZERS["Lowercase"]),
        ),
        (True, False, False, True),
    ),
    "Llama 3": (_bytes("llama3"), (False, True, False, True)),
    "Qwen": (_bytes("qwen2", NORMALIZERS["NFC"]), (False, True, False, True)),
    "Qwen 3.5": (_bytes("qwen3.5", NORMALIZERS["NFC"]), (False, True, False, True)),
    "cl100k": (_bytes("cl100k"), (False, True, False, True)),
    "o200k": (_bytes("o200k"), (False, False, False, True)),
    "Mistral Nemo": (_bytes("mistral-nemo"), (False, False, False, True)),
    "BLOOM": (_bytes("bloom"), (False, False, False, True)),
    "BLOOM, NFKC": (_bytes("bloom", NORMALIZERS["NFKC"]), None),
    "Falcon": (config_of(small_model("bpe-bytes"), PRE_TOKENIZERS["falcon"]), (False, True, False, True)),
    "DeepSeek V3": (
        config_of(
            small_model("bpe-bytes"),
            sequence(split(r"\p{N}{1,3}"), split(PATTERNS["deepseek-v3-ideographs"]), split(PATTERNS["deepseek-v3"]), byte_level(regex=False)),
        ),
        (False, True, False, True),
    ),
    "DeepSeek V2": (
        config_of(
            small_model("bpe-bytes"),
            sequence(
                split(r"[\r\n]"),
                split(PATTERNS["deepseek-v2-letters"]),
                split(PATTERNS["deepseek-v2-signs"]),
                split(PATTERNS["deepseek-v2-end"]),
                split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"),
                PRE_TOKENIZERS["digits-individual"],
                byte_level(regex=False),
            ),
        ),
        None,
    ),
    "RoBERTa with a space before the text": (config_of(small_model("bpe-bytes"), byte_level(prefix=True)), (False, False, False, True)),
    "Unigram, whole texts": (config_of(small_model("unigram"), metaspace(splits=False)), None),
    "bytes, whole texts": (config_of(small_model("bpe-bytes"), byte_level(regex=False)), None),
    "look-behind": (config_of(small_model("bpe-bytes"), split(r"(?<=a) ?\p{L}+|\s+")), None),
    "a match with a space inside": (config_of(small_model("bpe-bytes"), split(r"\w+ \w+|\s+")), None),
    "a letter for the space": (config_of(small_model("bpe"), None, normalizer_sequence(replace(" ", "e"), {"type": "NFC"})), None),
    "a space that disappears": (config_of(small_model("bpe"), {"type": "WhitespaceSplit"}, replace(r"\s{2,}", "", "Regex")), None),
    "a match across a newline": (config_of(small_model("bpe-bytes"), split(r"\s?\p{L}+|\s+")), (False, False, False, True)),
}


def spaced(texts: Iterable[str], seed: object) -> Iterator[str]:
    """Give texts that are made of some of the texts, with white space between them, mostly single spaces."""
    draw = random.Random(f"{seed} spaced")
    between = [" "] * 14 + ["  ", "\n", "\n", "\n", "\n\n", "\t", "\r\n", " \n", "\n ", "\u3000", "\xa0 ", " \xa0", "\u2581 ", " \u2581"]
    parts: list[str] = []
    for text in texts:
        parts += [text, draw.choice(between)]
        if draw.random() < 0.4:
            yield "".join(parts if draw.random() < 0.3 else parts[:-1])
            parts = []


def texts_for(config: Config, count: int, seed: object) -> Iterator[str]:
    """Give random texts for a tokenizer, about four times `count`."""
    draw = random.Random(f"{seed} texts")
    characters = REPRESENTATIVES
    yield from spaced(draw.choices(characters, k=2 * count), seed)
    yield from (f"{draw.choice(characters)}{draw.choice(characters)} {draw.choice(characters)}{draw.choice(characters)}" for _ in range(count))
    yield from spaced(hostile_texts(config, 2 * count, f"{seed}"), seed)
    yield from spaced(random_texts(count, f"{seed}"), seed)
    if config["added_tokens"]:
        yield from texts_of_added_tokens(draw, config, count)


def random_family(draw: random.Random) -> Config:
    """Return a random combination of a normaliser, a pre-tokeniser, a model and added tokens. It may be one that is not compiled."""
    likely = [config for config, _ in FAMILIES.values()]
    normalizers = [None, *(config for name, config in NORMALIZERS.items() if name not in INSERTING), *(config["normalizer"] for config in likely)]
    normalizer = draw.choice(normalizers)
    if draw.random() < 0.25:
        normalizer = normalizer_sequence(*draw.choices(normalizers[1 : len(NORMALIZERS)], k=draw.randint(1, 3)))
    pre_tokenizers = [*PRE_TOKENIZERS.values(), *(config["pre_tokenizer"] for config in 4 * likely)]
    pre_tokenizer = draw.choice(pre_tokenizers)
    if draw.random() < 0.2:
        members = draw.choices(pre_tokenizers, k=draw.randint(1, 3))
        pre_tokenizer = sequence(*(member for member in members if member is not None))
    spelled = repr(pre_tokenizer)
    if "'ByteLevel'" in spelled:
        name = draw.choice(["bpe-bytes", "bpe-bytes", "bpe-bytes-suffix"])
    else:
        name = draw.choice(["unigram", "unigram-phrases"] if "Metaspace" in spelled and draw.random() < 0.6 else SMALL)
    model = small_model(name)
    if "merges" in model:
        model |= {"fuse_unk": draw.random() < 0.5, "ignore_merges": draw.random() < 0.2}
        model = _with_spaces(model, draw.choice("\u2581 ")) if name == "bpe" and draw.random() < 0.7 else model
    config = config_of(model, pre_tokenizer, normalizer)
    if draw.random() < 0.5:
        # One of the published families, with added tokens.
        config = draw.choice(likely)
        normalizer = config["normalizer"]
    elif draw.random() < 0.5:
        return config
    tokens = random_tokens(draw, draw.choice((1, 1, 2, 3)))
    if draw.random() < 0.6:
        tokens = [token for token in tokens if not any(map(str.isspace, token["content"]))]
    return with_tokens(config, distinct(tokens, normalizer))
