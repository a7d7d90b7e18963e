"""Unigram: ties, rounding, fallback to bytes, and numbers, with random and with trained vocabularies."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from helpers import random_matrix
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model2vec_numba import StaticModel
from model2vec_numba.errors import TokenizationError
from model2vec_numba.tokenization.models.unigram import model as unigram
from tokenization.cases import Comparison, check
from tokenization.configs import (
    INSERTING,
    NORMALIZERS,
    PRE_TOKENIZERS,
    Config,
    config_of,
    metaspace,
    normalizer_sequence,
    random_unigram_model,
    sequence,
    small_model,
    unigram_model,
)
from tokenization.texts import mixed_texts, natural_texts, random_texts

WHOLE = metaspace(splits=False)
WORDS = sequence({"type": "WhitespaceSplit"}, metaspace())
LETTERS = "ab\u2581\u00e9\u4e00 z"


def texts_of(letters: str, count: int, seed: int, max_length: int = 60) -> list[str]:
    """Return random texts of these letters."""
    draw = random.Random(seed)
    return ["".join(draw.choices(letters, k=draw.randint(0, max_length))) for _ in range(count)]


def compare(model: Config, texts: list[str]) -> None:
    """Compare a model alone and after a `Metaspace` that does not split."""
    for pre_tokenizer in (None, WHOLE):
        case = Comparison(config_of(model, pre_tokenizer))
        assert list(case.tokenizers) == ["pipeline"]
        case.check(texts)


@pytest.mark.parametrize("pre_tokenizer", ["none", "metaspace-always-\u2581", "metaspace-always-whole-\u2581", "spaces-metaspace-always-\u2581"])
@pytest.mark.parametrize("name", ["unigram", "unigram-phrases"])
def test_trained(name: str, pre_tokenizer: str) -> None:
    """No text goes to the library, also no long one."""
    case = Comparison(config_of(small_model(name), PRE_TOKENIZERS[pre_tokenizer]))
    texts = [*mixed_texts()[::3], *random_texts(200, 8), " ".join(natural_texts()[:200]), "".join(natural_texts()[::150])]
    case.check(texts)
    assert case.fallback_counts(texts) == {"pipeline": 0}


@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(12, 100))])
def test_ties(seed: int) -> None:
    """Equal scores, sums that differ only by rounding, equal tokens, scores above 0, and any token as the unknown one."""
    model = random_unigram_model(seed, inner=seed % 2 == 0, unknown=seed % 5)
    compare(model, [*texts_of(LETTERS, 100, seed), *texts_of("ab", 40, seed, 300), *texts_of("ab ", 40, seed, 300)])


def test_rounding_of_long_sums() -> None:
    """Ties in exact arithmetic, which the rounding of the sum before them decides."""
    scores = {"<unk>": -9.0, "a": -0.1, "b": -0.2, "ab": -0.3, "ba": -0.30000000000000004, "c": -0.7, "\u2581": -0.1, "\u2581a": -0.2}
    texts = [*texts_of("abc ", 100, 1, 400), *texts_of("abcz ", 100, 2, 200), "ab " * 20_000, "abc" * 20_000]
    compare(unigram_model([*scores.items()]), texts)


@pytest.mark.parametrize("missing", [0, 1, 200])
@pytest.mark.parametrize("unknown", [0, 3, 6])
def test_byte_fallback(unknown: int, missing: int) -> None:
    """All bytes, all but one, or few bytes have a token."""
    draw = random.Random(missing)
    present = [(f"<0x{byte:02X}>", -5.0) for byte in draw.sample(range(256), 256 - missing)]
    tokens = random_unigram_model(missing + 3, inner=False)["vocab"][1:12]
    model = unigram_model([("<unk>", 0.0), *tokens, *present], unknown, byte_fallback=True)
    compare(model, [*texts_of(LETTERS + "\u4e01\U0001f600\x00", 100, missing), *mixed_texts()[::20]])


@pytest.mark.parametrize("unknown", range(8))
def test_fused_unknown_characters_that_are_a_token(unknown: int) -> None:
    """With scores above 0, two unknown characters can score more than the token of both, and then they are that token."""
    scores = {"<unk>": 30.0, "xy": 30.0, "xyz": 30.0, "\u2581x": 30.0, "a": 31.0, "aa": 31.0, "\u2581": 40.0, "\u2581\u2581": 30.0}
    compare(unigram_model([*scores.items()], unknown), texts_of("xyza\u4e00 \u2581", 150, unknown, 45))


def test_no_unknown_id() -> None:
    """A character that no token has is an error then, as in the library."""
    case = Comparison(config_of(unigram_model([("a", -1.0), ("ab", -2.0)], None)))
    assert case.ids(case.chosen, ["aab", "", "a"]) == [[0, 1], [], [0]]
    assert case.chosen.name == "unigram"
    with pytest.raises(TokenizationError, match="unk_id"):
        case.ids(case.chosen, ["aab", "x"])
    with pytest.raises(TokenizationError, match="unk_id"):
        case.library(["aab", "x"])


def test_odd_tokens() -> None:
    """Empty and equal tokens, tokens with NULs, and tokens longer than any fast key."""
    long = "abcdefghij" * 30
    tokens = ["<unk>", "", "a", "a\0", "\0", "\0\0", "a", long, long[:25], long[:24], "b" * 24, "b" * 25, "\U0001f600", "\u2581a\0", "z" * 400]
    texts = [*tokens, *(a + b for a in tokens for b in tokens), "a\0\0", "\0" * 30, "b" * 23 + "\0", "b" * 200, long * 2, "z" * 999]
    compare(unigram_model([(token, -1.0 - i / 7) for i, token in enumerate(tokens)]), texts)


@pytest.mark.parametrize("scores", [(0, -1, -3), (-1e30, -1e30, 1e-300)], ids=["integers", "huge"])
def test_odd_scores(scores: tuple[float, ...]) -> None:
    compare(unigram_model([*zip(("<unk>", "a", "ab"), scores, strict=True)]), [*texts_of("abz ", 100, 1), "ab" * 1000])


@pytest.mark.parametrize("characters", [50_000, pytest.param(1_000_000, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("unit", ["a", "\u4e00\u4e01", "the cat "])
def test_long_words(unit: str, characters: int) -> None:
    """The library sees only a shorter word. The long word has the same tokens."""
    for pre_tokenizer in (None, WHOLE, WORDS):
        case = Comparison(config_of(small_model("unigram"), pre_tokenizer))
        short = [unit * (3000 // len(unit))]
        case.check(short)
        (found,) = case.ids(case.chosen, [unit * (characters // len(unit))])
        assert set(found) == set(case.library(short)[0])


def test_more_tokens_than_ids_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(small_model("unigram"), WORDS)
    for limit, name in ((len(config["model"]["vocab"]), "unigram"), (len(config["model"]["vocab"]) - 1, "tokenizers")):
        monkeypatch.setattr(unigram, "LARGEST_CACHED_ID", limit)
        assert Comparison(config).chosen.name == name


def check_pipeline(names: list[str], pre_tokenizer: str, seed: int, texts: list[str]) -> None:
    """Compare a tokenizer of any normalisers and pre-tokeniser, with a random or a trained vocabulary."""
    normalizer = normalizer_sequence(*(NORMALIZERS[name] for name in names)) if names else None
    model = small_model("unigram") if seed % 3 == 0 else random_unigram_model(seed, letters="ab\u2581_\u00e9e\u0301\u4e00.")
    config = config_of(model, PRE_TOKENIZERS[pre_tokenizer], normalizer)
    texts = [*texts, *texts_of(LETTERS + "E\u0301", 20, seed), *mixed_texts()[seed % 50 :: 50]]
    # After most normalisers, a Metaspace that asks for the beginning of a text is left to the library.
    case = Comparison(config)
    if case.tokenizers:
        case.check(texts)
    else:
        assert "first" in pre_tokenizer or not INSERTING.isdisjoint(names)


PIPELINES = (
    st.lists(st.sampled_from([*NORMALIZERS]), max_size=4),
    st.sampled_from([*PRE_TOKENIZERS]),
    st.integers(0, 1 << 20),
    st.lists(st.text(max_size=20), max_size=4),
)


@settings(max_examples=25)
@given(*PIPELINES)
def test_pipelines(names: list[str], pre_tokenizer: str, seed: int, texts: list[str]) -> None:
    check_pipeline(names, pre_tokenizer, seed, texts)


@pytest.mark.exhaustive
@settings(max_examples=300)
@given(*PIPELINES)
def test_many_pipelines(names: list[str], pre_tokenizer: str, seed: int, texts: list[str]) -> None:
    check_pipeline(names, pre_tokenizer, seed, texts)


@pytest.mark.parametrize("score", [1e200, 1.1e200])
def test_largest_scores(score: float) -> None:
    """Sums of larger scores might overflow, so the library adds them."""
    model = unigram_model([("<unk>", 0.0), ("a", -score), ("ab", score), ("b", -score / 3)])
    assert check(config_of(model), ["ab" * 300, "abbab", "x", "axb"]) == ("unigram" if score == 1e200 else "tokenizers")


def test_model() -> None:
    """A model with this tokenizer has the tokens of its vocabulary."""
    config = config_of(small_model("unigram"), WORDS)
    tokenizer = Tokenizer.from_str(Comparison(config).spec.text)
    model = StaticModel(random_matrix(tokenizer.get_vocab_size(), 4, "float32"), tokenizer)
    assert model.tokenizer_backend == "unigram"
    assert model.tokens == tuple(token for token, _ in config["model"]["vocab"])


# Members of BPE that model2vec 0.7 leaves in a model that it turns into Unigram.
BPE_MEMBERS: Config = {"dropout": None, "unk_token": "<unk>", "end_of_word_suffix": None, "fuse_unk": True, "ignore_merges": False, "merges": ["a b"]}


@pytest.mark.parametrize("unknown", [0, None])
@pytest.mark.parametrize("special", ["[UNK]", "[PAD]"])
def test_distilled_from_bpe(special: str, unknown: int | None) -> None:
    """Bytes have tokens, longer tokens have higher scores, and a special token is outside the vocabulary. model2vec 0.7 wrote such files."""
    tokens = ["[UNK]", *(f"<0x{byte:02X}>" for byte in range(256)), *(token for token, _ in small_model("unigram")["vocab"][1:])]
    weights = [len(token) + token.count("\u2581") for token in tokens]
    model = unigram_model(
        [(token, math.log(weight / sum(weights))) for token, weight in zip(tokens, weights, strict=True)], unknown, byte_fallback=True
    )
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "special": True, "normalized": False}
    added = [{"id": tokens.index(special) if special in tokens else len(tokens), "content": special, **flags}]
    case = Comparison(config_of({**BPE_MEMBERS, **model}, WHOLE, added_tokens=added))
    assert list(case.tokenizers) == ["pipeline"]
    texts = [*mixed_texts()[::5], "\u0378\u0379\U000e0001 \x00", "the [PAD] [UNK]"]
    case.check(texts)
    if unknown is not None:
        assert case.fallback_counts(texts[:-1]) == {"pipeline": 0}


PLAIN = config_of(small_model("unigram"))
TO_THE_LIBRARY: dict[str, Callable[[], Config]] = {
    "regular expression": lambda: {**PLAIN, "normalizer": {"type": "Replace", "pattern": {"Regex": r"(a)\1"}, "content": "c"}},
    "another pre-tokeniser": lambda: {**PLAIN, "pre_tokenizer": {"type": "CharDelimiterSplit", "delimiter": "x"}},
    "asks for the beginning": lambda: {**PLAIN, "normalizer": {"type": "NFC"}, "pre_tokenizer": metaspace(scheme="first", splits=False)},
}


@pytest.mark.parametrize("name", TO_THE_LIBRARY)
def test_files_for_the_library(name: str) -> None:
    assert check(TO_THE_LIBRARY[name](), mixed_texts()[:20]) == "tokenizers"
