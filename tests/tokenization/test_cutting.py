"""Texts that are cut at added tokens, against the `tokenizers` library: random tokens with all flags, in random texts made of their own pieces."""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers import flatten_tightly
from hypothesis import given
from hypothesis import strategies as st

from model2vec_numba.jit.simd import BLOCK
from model2vec_numba.tokenization.added_tokens.finder import make_finder
from model2vec_numba.tokenization.added_tokens.reading import AddedTokens
from model2vec_numba.tokenization.added_tokens.search import find_holders
from model2vec_numba.tokenization.components import library_normalizer
from tokenization.cases import Comparison, check
from tokenization.configs import (
    NORMALIZERS,
    PRE_TOKENIZERS,
    Config,
    bert_config,
    config_of,
    small_model,
)
from tokenization.texts import CLUSTERS, REPRESENTATIVES, words

# Contents of added tokens: some begin like others, some are white space, some change under a normaliser.
CONTENTS = (
    *("[UNK]", "[MASK]", "<s>", "a", "ab", "abc", "the", "the ", " the", "of the", "New York", "new yorkers", "York", "e", "\u00e9", "e\u0301"),
    *(" ", "  ", "    ", "\n", "\n\n", "\t", "\r\n", "\u3000", " \n", "a ", " a", "a  b", "\u2581", "\u2581a", "\u0301", "\u0130", "\u00df"),
    *("\u4e16", "\u4e16\u754c", "\u754c", "\U0001f600", "##s", "!", "...", "_", "'s", "A\u0301", "\ufb01", "x" * 17, "x" * 40, "token", "tokens"),
)
# Pieces of random texts that are no added tokens.
OTHERS = (
    *" \t\n.",
    "  ",
    "\u3000 ",
    " \n ",
    "b",
    "X",
    "New",
    "yor",
    "toke",
    "x" * 16,
    "1",
    "_",
    "\u0939",
    "\x85",
    "\0",
    *CLUSTERS[::4],
    *REPRESENTATIVES[::9],
)
MODELS: dict[str, tuple[Config, str]] = {
    "bert": (small_model("wordpiece"), "bert"),
    "word pieces": (small_model("wordpiece"), "whitespace"),
    "words": (small_model("wordlevel"), "bert"),
    "bytes": (small_model("bpe-bytes"), "byte-level-prefix"),
    "characters": (small_model("bpe", fuse_unk=True), "llama3"),
    "unigram": (small_model("unigram"), "metaspace-always-\u2581"),
    "unigram, words": (small_model("unigram"), "spaces-metaspace-always-\u2581"),
    "unigram, at the beginning": (small_model("unigram"), "metaspace-first-\u2581"),
    "unigram, one piece": (small_model("unigram"), "metaspace-first-whole-_"),
}
BERT = ("bert", "bert-cased", "bert-strips-only", "bert-no-chinese", "bert-lowercase-only")


def with_tokens(config: Config, tokens: Sequence[Config]) -> Config:
    """Return the tokenizer with added tokens: contents with their flags. They are tokens of the model too."""
    model = dict(config["model"])
    if isinstance(model["vocab"], list):
        known = {token for token, _ in model["vocab"]}
        model["vocab"] = [*model["vocab"], *([token["content"], -9.0] for token in tokens if token["content"] not in known)]
        ids = {token: i for i, (token, _) in enumerate(model["vocab"])}
    else:
        ids = dict(model["vocab"])
        for token in tokens:
            ids.setdefault(token["content"], max(ids.values()) + 1)
        model["vocab"] = ids
    added = [{"id": ids[token["content"]], **token} for token in tokens]
    return {**config, "model": model, "added_tokens": added}


def distinct(tokens: Sequence[Config], normalizer: Config | None) -> list[Config]:
    """Return the tokens without those whose normalised content is empty or equals that of another one.

    The library finds one of two that are equal at random. It takes all memory for some texts if a content is empty.
    """
    library = library_normalizer(normalizer) if normalizer is not None else None
    kept: dict[str, Config] = {}
    for token in tokens:
        content = token["content"]
        if token["normalized"] and library is not None:
            content = "normalized " + library.normalize_str(content)
        if content != "normalized ":
            kept.setdefault(content, token)
    return list({token["content"]: token for token in kept.values()}.values())


def random_tokens(draw: random.Random, count: int) -> list[Config]:
    """Return added tokens with random flags."""
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    share = draw.choice((0.2, 0.5))
    contents = [*draw.sample(CONTENTS, count - 1), draw.choice(words())]
    return [{"content": content, **{flag: draw.random() < share for flag in flags}} for content in dict.fromkeys(contents)]


def random_config(draw: random.Random, name: str, normalizer: Config | None) -> Config:
    """Return one of `MODELS` with a normaliser and random added tokens."""
    model, pre_tokenizer = MODELS[name]
    tokens = distinct(random_tokens(draw, draw.choice((1, 2, 3, 6, 20))), normalizer)
    return with_tokens(config_of(model, PRE_TOKENIZERS[pre_tokenizer], normalizer), tokens)


def random_texts(draw: random.Random, config: Config, count: int) -> list[str]:
    """Return texts made of the added tokens, parts of them, white space and words."""
    contents = [token["content"] for token in config["added_tokens"]]
    texts = [*contents, ""]
    while len(texts) < count:
        pieces = []
        for _ in range(draw.choice((2, 5, 12, 60))):
            shape, content = draw.random(), draw.choice(contents)
            if shape < 0.45:
                pieces.append(draw.choice((content, content, content.upper(), content.swapcase(), content[:-1], content[1:])))
            else:
                pieces.append(draw.choice(OTHERS) if shape < 0.8 else draw.choice(words()))
            if draw.random() < 0.3:
                pieces.append(" " * draw.choice((1, 1, 2, 5)))
        texts.append("".join(pieces))
    return texts


def compare(name: str, normalizer: str | None, seed: int, count: int = 60) -> Comparison:
    """Compare a random tokenizer with the library on random texts, whole and cut to a few tokens."""
    draw = random.Random(f"{name} {normalizer} {seed}")
    config = random_config(draw, name, NORMALIZERS[normalizer] if normalizer else None)
    case = Comparison(config)
    texts = random_texts(draw, config, count)
    described = json.dumps([config["added_tokens"], config["normalizer"]])
    found = list(case.mismatches(texts))
    assert not found, f"{described}: {case.describe(*found[0])}"
    for text in texts[::7]:
        # The library refuses some texts, and the package refuses these too.
        try:
            (expected,) = case.library([text])
        except ValueError:
            continue
        for tokenizer in case.all_tokenizers():
            assert case.ids(tokenizer, [text], 3) == [expected[:3]], described
    return case


@pytest.mark.parametrize("normalizer", [None, *NORMALIZERS])
@pytest.mark.parametrize("name", MODELS)
def test_random_tokenizers(name: str, normalizer: str | None) -> None:
    compare(name, normalizer, 0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("normalizer", [None, *NORMALIZERS])
@pytest.mark.parametrize("name", MODELS)
def test_many_random_tokenizers(name: str, normalizer: str | None) -> None:
    for seed in (1, 2):
        compare(name, normalizer, seed, 200)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("normalizer", BERT)
def test_random_tokenizers_of_bert(normalizer: str, seed: int) -> None:
    compare("bert", normalizer, 100 + seed)


FLAG = st.booleans()
TOKEN = st.fixed_dictionaries(
    {"content": st.text(" \n\u3000abA\u00e9_!", min_size=1, max_size=4)}
    | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), FLAG)
)


@given(
    st.lists(TOKEN, min_size=1, max_size=5),
    st.lists(st.text(" \n\u3000abA\u00e9_!", max_size=30), min_size=1, max_size=4),
    st.sampled_from([None, "Lowercase", "bert", "Strip", "Prepend"]),
    st.sampled_from(["bert", "bytes", "unigram, at the beginning"]),
)
def test_any_tokens(tokens: list[Config], texts: list[str], normalizer: str | None, name: str) -> None:
    model, pre_tokenizer = MODELS[name]
    config = NORMALIZERS[normalizer] if normalizer else None
    kept = distinct(tokens, config)
    Comparison(with_tokens(config_of(model, PRE_TOKENIZERS[pre_tokenizer], config), kept)).check([*texts, "".join(texts)])


def test_tokens_that_take_the_same_white_space() -> None:
    """The library fails on some of these texts, and drops a token of others."""
    flags = {"single_word": False, "normalized": False, "special": False}
    tokens = [{"content": "a", **flags, "lstrip": False, "rstrip": True}, {"content": " ", **flags, "lstrip": True, "rstrip": False}]
    config = with_tokens(config_of(*MODELS["words"][:1], PRE_TOKENIZERS["bert"]), tokens)
    check(config, ["a", "a ", "a  ", "a   b", "b a", "b  b", "a b a", "a \u3000b"])


def test_two_tokens_that_the_normalizer_makes_alike() -> None:
    """The first special one is found, else the first one. The library finds one at random."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
    for base in (bert_config(), {**bert_config(), "pre_tokenizer": {"type": "Whitespace"}}):
        for specials, expected in (((False, False, False), 0), ((False, True, True), 1), ((True, False, True), 0)):
            contents = "New York", "NEW york", "new YORK"
            tokens = [{"content": content, **flags, "special": special} for content, special in zip(contents, specials, strict=True)]
            case = Comparison(with_tokens(base, tokens))
            assert case.ids(case.chosen, ["new york"]) == [[case.spec.vocabulary[contents[expected]]]]


def test_two_tokens_with_the_same_id() -> None:
    """The library forgets one of them."""
    config = with_tokens(bert_config(), [{"content": c, "single_word": False, "lstrip": False, "rstrip": False} for c in ()])
    config["model"] = {**config["model"], "vocab": {**config["model"]["vocab"], "Zz": 7, "Yy": 7}}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    check({**config, "added_tokens": [{"id": 7, "content": content, **flags} for content in ("Zz", "Yy")]}, ["a Zz b", "a Yy b", "zz yy"])


def test_content_that_is_listed_twice() -> None:
    """In `tokenizers` 0.20 both count, in 0.23 the last one. So the library decides."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "special": False}
    for order in (1, -1):
        tokens = [{"content": "New York", **flags, "normalized": normalized} for normalized in (False, True)][::order]
        config = with_tokens(bert_config(), tokens)
        assert check(config, ["in New York", "in new york", "New  York"]) == "tokenizers"


def test_real_tokenizers(shared: Path) -> None:
    """Texts of the added tokens of published files, and of program text with its runs of spaces and newlines. Hardly any goes to the library."""
    draw = random.Random(0)
    code = Path(inspect.getfile(inspect)).read_text(encoding="utf-8").split("\n")
    for path in sorted((shared / "tokenizers").glob("*.json")):
        case = Comparison(json.loads(path.read_text(encoding="utf-8")))
        contents = [token["content"] for token in case.spec.config["added_tokens"]]
        others = [" ", "   ", "\n", "\n\n  ", *words()[:20], *(content[:-1] for content in contents)]
        texts = ["".join(draw.choice(contents if draw.random() < 0.4 else others) for _ in range(draw.randint(1, 20))) for _ in range(200)]
        texts += ["\n".join(code[first : first + 20]) for first in range(0, 1000, 20)]
        case.check(texts)
        if case.tokenizers:
            assert case.chosen.fallback_count(flatten_tightly(texts)) <= len(texts) // 20, path.name


# The finder, against Python.


def holders(texts: list[str], contents: list[str]) -> list[bool]:
    """Return for each text whether it holds one of the contents."""
    batch = flatten_tightly(texts)
    different = list(dict.fromkeys(contents))
    finder = make_finder(AddedTokens(different, list(range(len(different))), [0] * len(different)), None)
    found = np.empty(len(texts), np.uint8)
    assert find_holders(batch.data, batch.offsets, *finder.tables, found) == found.sum()
    return [bool(mark) for mark in found]


@given(
    st.lists(st.text("ab\u00e9\u4e00[", min_size=1, max_size=20), max_size=12),
    st.lists(st.text("ab\u00e9\u4e00[ ", max_size=200), max_size=5),
)
def test_search(contents: list[str], texts: list[str]) -> None:
    assert holders(texts, contents) == [any(content in text for content in contents) for text in texts]


@given(
    st.lists(st.text("abcdefghijklmnop", min_size=1, max_size=20), min_size=9, max_size=30),
    st.lists(st.text("abcdefghijklmnop", max_size=90), max_size=5),
)
def test_search_with_hashes(contents: list[str], texts: list[str]) -> None:
    texts = [*texts, *(text[:30] + content + text[30:] for text, content in zip(texts, contents, strict=False))]
    assert holders(texts, contents) == [any(content in text for content in contents) for text in texts]


@pytest.mark.parametrize("count", [1, 8, 9, 40])
def test_search_at_every_place(count: int) -> None:
    """Tokens at every place of a block, at the end of the memory, and across two texts."""
    contents = [f"{chr(0x41 + i)}{'xyz'[i % 3]}{i}" for i in range(count)]
    draw = random.Random(count)
    for place in range(3 * BLOCK):
        content = draw.choice(contents)
        before = "." * place
        texts = [before + content, before + content[:-1], content[-1] + before, before + content + "." * 70, before[:place] + content[0]]
        assert holders(texts, contents) == [True, False, False, True, False]


def test_thousands_of_tokens() -> None:
    """Tokens of all lengths, among them many of three bytes, that begin like each other."""
    draw = random.Random(3)
    contents = list({"".join(draw.choices("abcdefghijklmnopqrs tuvw\u00e9", k=draw.randint(2, 25))) for _ in range(3000)})
    texts = ["".join(draw.choices("abcdefghijklmnopqrs tuvwxyz", k=40)) for _ in range(300)]
    texts += [text[:20] + content + text[20:] for text, content in zip(texts, contents, strict=False)]
    assert holders(texts, contents) == [any(content in text for content in contents) for text in texts]
