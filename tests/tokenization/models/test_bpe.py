"""BPE: merging by its definition, random models against the library, and the files that the package does not take."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import EDGE_TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.errors import ModelFormatError
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.models.bpe.merge_table import NO_RANK, NO_TOKEN, MergeTable, build_merge_table, find_merge
from model2vec_numba.tokenization.models.bpe.merging import HEAP_FACTOR, merge_by_heap
from model2vec_numba.tokenization.models.bpe.pairs import IN_ORDER
from model2vec_numba.tokenization.models.bpe.short_words import MAX_SYMBOLS, ROW_WIDTH, begin_merging, copy_word, finish_merging, make_byte_places
from model2vec_numba.tokenization.models.bpe.tables import BpeVocabulary, build_bpe_vocabulary
from tokenization.cases import CASES, Comparison, check, comparison, spec_of
from tokenization.configs import (
    PRE_TOKENIZERS,
    SMALL,
    Config,
    bpe_model,
    byte_level,
    config_of,
    random_bpe_model,
    random_merges,
    sequence,
    small_config,
    small_model,
    with_model,
)
from tokenization.texts import mixed_texts, natural_texts, words

# The cases of the table with this model.
BPE_CASES = [name for name, case in CASES.items() if case.cores and case.make()["model"].get("type") == "BPE"]


# Merging.


def merge_by_definition(symbols: list[int], merges: dict[tuple[int, int], tuple[int, int]]) -> list[int]:
    """Merge the adjacent pair of the lowest rank, of equal ones the leftmost, until no pair has a merge."""
    while True:
        found = [(merges[pair][0], i) for i, pair in enumerate(itertools.pairwise(symbols)) if pair in merges]
        if not found:
            return symbols
        _, i = min(found)
        symbols = [*symbols[:i], merges[symbols[i], symbols[i + 1]][1], *symbols[i + 2 :]]


@njit
def use_heap(symbols: NDArray[np.int32], count: int, merges: MergeTable) -> tuple[int, int, int, int]:
    return merge_by_heap(symbols, count, merges, np.empty((count + 1, 3), np.int32), np.empty(HEAP_FACTOR * (count + 1), np.int64))


@njit
def merge_together(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    byte_ids: NDArray[np.int32],
    byte_places: NDArray[np.uint32],
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    merges: MergeTable,
    ids: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Merge words at once, write their ids, and return where the ids of each word end; -1 if the word is too long."""
    words = len(offsets) - 1
    rows, left = np.empty(words * ROW_WIDTH, np.uint32), np.zeros(words, np.uint64)
    queue, ends = np.empty(words, np.int64), np.full(words, -1)
    affix = data[:0]
    count = 0
    for word in range(words):
        settings = (byte_ids, byte_places, units, node_ids, merges, True, affix, affix)
        if begin_merging(data, offsets[word], offsets[word + 1], True, True, *settings, word, rows, left):
            queue[count] = word
            count += 1
    finish_merging(queue, count, merges, rows, left)
    at = 0
    for word in range(words):
        if left[word] != 0:
            at = ends[word] = copy_word(word, rows, left, -1, ids, at)
    return ends


@njit
def find_all(merges: MergeTable, pairs: NDArray[np.int64]) -> list[int]:
    return [find_merge(merges, left, right) for left, right in pairs]


def tables_of(config: Config, merges: NDArray[np.int64]) -> BpeVocabulary:
    """Return the arrays of a BPE vocabulary whose merging starts from characters."""
    vocabulary = config["model"]["vocab"]
    ids = np.fromiter(vocabulary.values(), np.int32)
    size = int(ids.max()) + 1
    return build_bpe_vocabulary(flatten([*vocabulary]), ids, merges, size, from_bytes=False, ignore_merges=False, has_affixes=False)


@given(st.randoms(use_true_random=False), st.integers(0, 60), st.integers(0, 70))
def test_merging(draw: random.Random, count: int, length: int) -> None:
    """Merging by a heap gives what the definition gives."""
    config = config_of(bpe_model(random_merges(draw, "abc", count), "abc"))
    merges = spec_of(config).merges
    assert merges is not None
    by_pair = {(left, right): (rank, merged) for rank, (left, right, merged) in enumerate(merges.tolist())}
    tables = tables_of(config, merges)
    symbols = [config["model"]["vocab"][draw.choice("abc")] for _ in range(length)]
    expected = merge_by_definition(symbols, by_pair)
    heaped: NDArray[np.int32] = np.array([*symbols, 0], np.int32)
    kept, *last = use_heap(heaped, length, tables.merges)
    assert heaped[:kept].tolist() == expected
    assert (last == [-1, -1, -1]) == (kept == length)


@given(st.randoms(use_true_random=False), st.integers(0, 60), st.lists(st.integers(1, MAX_SYMBOLS + 3), max_size=20))
def test_short_words(draw: random.Random, count: int, lengths: list[int]) -> None:
    """Merging words together gives what the definition gives, for each word. A word of too many symbols is left out."""
    config = config_of(bpe_model(random_merges(draw, "abc", count), "abc"))
    merges = spec_of(config).merges
    assert merges is not None
    by_pair = {(left, right): (rank, merged) for rank, (left, right, merged) in enumerate(merges.tolist())}
    tables = tables_of(config, merges)
    texts = ["".join(draw.choices("abc", k=length)) for length in lengths]
    batch = flatten(texts)
    byte_ids = np.full(256, -1, np.int32)
    byte_ids[[*b"abc"]] = [config["model"]["vocab"][letter] for letter in "abc"]
    ids = np.empty(len(batch.data), np.int32)
    byte_tables = (byte_ids, make_byte_places(merges, byte_ids))
    ends = merge_together(batch.data, batch.offsets, *byte_tables, tables.units, tables.node_ids, tables.merges, ids).tolist()
    begin = 0
    for text, end in zip(texts, ends, strict=True):
        if len(text) > MAX_SYMBOLS:
            assert end == -1
        else:
            assert ids[begin:end].tolist() == merge_by_definition([int(byte_ids[byte]) for byte in text.encode()], by_pair)
            begin = end


@given(st.randoms(use_true_random=False), st.sampled_from([0, 1, 2, 10, 1000, 30_000]), st.sampled_from([3, 200, NO_TOKEN]))
@settings(max_examples=30)
def test_merge_table(draw: random.Random, count: int, size: int) -> None:
    """The table has the last rank of each pair that is listed, and no other pair."""
    pairs = [(draw.randrange(size), draw.randrange(size)) for _ in range(count)]
    pairs += draw.choices(pairs, k=3) if pairs else []
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    table = build_merge_table(np.array([(*pair, 5) for pair in pairs], np.int64).reshape(-1, 3))
    others = [(draw.randrange(size), draw.randrange(size)) for _ in range(1000)] + [(NO_TOKEN, NO_TOKEN - 1), (NO_TOKEN, 0), (0, NO_TOKEN)]
    looked_up = pairs + others
    found = find_all(table, np.array(looked_up, np.int64))
    assert found == [ranks.get(pair, NO_RANK) for pair in looked_up]


def test_order_of_merges() -> None:
    """Tokens of trained merges are in order. Of ``bcd``, a part is merged after it, and ``abcd`` is made of this token."""
    config = small_config("bpe")
    merges = spec_of(config).merges
    assert merges is not None
    assert (tables_of(config, merges).token_rows[:, IN_ORDER] == 1).sum() > 100
    assert not (tables_of(config, merges).token_rows[:, IN_ORDER] == 0).any()
    config = config_of(bpe_model([("b", "cd"), ("c", "d"), ("a", "bcd"), ("e", "cd")]))
    merges = spec_of(config).merges
    assert merges is not None
    in_order = tables_of(config, merges).token_rows[:, IN_ORDER]
    assert [token for token, index in config["model"]["vocab"].items() if in_order[index] == 0] == ["bcd", "abcd"]


# Models.


def check_random_model(draw: random.Random, pre_tokenizer: str) -> None:
    """Compare a model with any merges, in order or not, on short and long words."""
    case = Comparison(config_of(random_bpe_model(draw), PRE_TOKENIZERS[pre_tokenizer]))
    lengths = (1, 2, 3, 5, 9, 15, 17, 20, 40, 70, 90, 200)
    case.check(["".join(draw.choices("aab\u00e9\u4e00cd ", k=length)) for length in lengths])
    case.check([*("".join(draw.choices("ab", k=length)) for length in lengths), *("a" * length for length in (2, 3, 17, 33, 80))])


def hostile_model(draw: random.Random) -> Config:
    """Return a BPE model with merges in any order, also of byte tokens and of the unknown token, and with tokens that no merge makes."""
    alphabet = draw.choice(["ab", "abc", "ab\n", "a\u00e9\u4e00", "\u2581ab", "\u0120ab", "\u010aa\u00e3\u0123"])
    byte_fallback = draw.random() < 0.6
    has_affix = not byte_fallback and draw.random() < 0.4
    prefix, suffix = (draw.choice(["", "#", "a", "\u00e9"]), draw.choice(["", "</w>", "b", "\u00e9"])) if has_affix else ("", "")
    unknown = draw.choice([None, "<unk>", "<unk>", "<unk>", prefix + "<unk>", draw.choice(alphabet)])
    byte_values = draw.choice([range(256), range(256), range(0xF0), "c\n\u4e00".encode(), b""]) if byte_fallback else []
    byte_tokens = [f"<0x{byte:02X}>" for byte in byte_values]
    # Parts of merges that are usually none.
    marks = draw.choices([*byte_tokens, unknown or "b"], k=3) + ["<0x0A>"] * ("<0x0A>" in byte_tokens)
    begins = [*alphabet, *(character + suffix for character in alphabet if suffix)]
    parts = begins + [prefix + part for part in begins] * bool(prefix) + marks * draw.choice([0, 0, 1, 4])
    merges = []
    for _ in range(draw.choice([0, 5, 30, 60])):
        left, right = draw.choice(parts), draw.choice([part for part in parts if part.startswith(prefix) and part != prefix] or [prefix + "a"])
        if suffix and left.endswith(suffix) and draw.random() < 0.8:
            continue
        merges.append((left, right))
        parts.append(left + right[len(prefix) :])
    shape = draw.randrange(5)
    if shape == 0:
        draw.shuffle(merges)
    elif shape == 1 and merges:
        # A few merges come too early, or are missing.
        for _ in range(3):
            merges.insert(0, merges.pop(draw.randrange(len(merges))))
        merges = merges[: draw.choice([-2, None])]
    elif shape == 2 and merges:
        merges += draw.choices(merges, k=3)
    known = draw.sample(parts, k=draw.randint(1, len(parts))) if draw.random() < 0.3 else parts
    settings: Config = {name: draw.random() < 0.4 for name in ("fuse_unk", "ignore_merges")}
    tokens = [*known, *byte_tokens, *([] if unknown is None else [unknown])]
    draw.shuffle(tokens)
    return bpe_model(merges, tokens, prefix=prefix, suffix=suffix, unk_token=unknown, byte_fallback=byte_fallback, **settings)


def hostile_texts(draw: random.Random) -> list[str]:
    """Return texts of few different characters, known ones and unknown ones."""
    texts = []
    for length in (1, 2, 3, 5, 8, 13, 17, 20, 33, 40, 70, 90, 200, 700, 3000):
        letters = draw.choice(
            ["ab", "abc\n", "ab\t \u00e9", "aab\n\u4e00\u4e01", "\u2581ab\n\nq", "ab\u3042\u3044\U0001f600", "<0xA>a", "bcq\u00e9#"]
        )
        texts.append("".join(draw.choices(letters, k=length)))
    return [*texts, *(text[len(text) // 3 :] + text for text in texts), "<0x0A>", "a<unk>b", "\n"]


def check_hostile_model(draw: random.Random, pre_tokenizer: str) -> None:
    """Compare a hostile model, also for texts whose words and segments are in the cache."""
    case = Comparison(config_of(hostile_model(draw), PRE_TOKENIZERS[pre_tokenizer]))
    texts = hostile_texts(draw)
    case.check(texts)
    draw.shuffle(texts)
    case.check(texts)


@pytest.mark.parametrize("pre_tokenizer", ["none", "byte-level-bare", "whitespace"])
@settings(max_examples=25)
@given(st.integers(0, 1 << 32))
def test_hostile_models(pre_tokenizer: str, seed: int) -> None:
    check_hostile_model(random.Random(seed), pre_tokenizer)


@pytest.mark.exhaustive
@pytest.mark.parametrize("pre_tokenizer", ["none", "byte-level-bare", "whitespace", "byte-level", "llama3-bytes", "metaspace-always-whole-\u2581"])
@settings(max_examples=150)
@given(st.integers(0, 1 << 32))
def test_many_hostile_models(pre_tokenizer: str, seed: int) -> None:
    check_hostile_model(random.Random(seed), pre_tokenizer)


SOME_PRE_TOKENIZERS = ["none", "byte-level-bare", "whitespace", "byte-level", "llama3-bytes"]


@pytest.mark.parametrize("pre_tokenizer", SOME_PRE_TOKENIZERS)
@settings(max_examples=8)
@given(st.randoms(use_true_random=False))
def test_random_models(pre_tokenizer: str, draw: random.Random) -> None:
    check_random_model(draw, pre_tokenizer)


@pytest.mark.exhaustive
@settings(max_examples=500)
@given(st.randoms(use_true_random=False), st.sampled_from(SOME_PRE_TOKENIZERS))
def test_many_random_models(draw: random.Random, pre_tokenizer: str) -> None:
    check_random_model(draw, pre_tokenizer)


def check_random_pipeline(draw: random.Random, names: list[str], kind: str, texts: list[str]) -> None:
    """Compare a model of any kind after any pre-tokenisers."""
    model = random_bpe_model(draw) if draw.random() < 0.5 else small_model(kind)
    case = Comparison(config_of(model, sequence(*(PRE_TOKENIZERS[name] for name in names))))
    case.check([*texts, *draw.choices(natural_texts(), k=3), *draw.choices(EDGE_TEXTS, k=2)])


PIPELINES = (
    st.randoms(use_true_random=False),
    # Metaspaces that ask for the beginning of a text cannot follow another pre-tokeniser.
    st.lists(st.sampled_from([name for name, config in PRE_TOKENIZERS.items() if config is not None and "first" not in name]), max_size=3),
    st.sampled_from([name for name in SMALL if "unigram" not in name]),
    st.lists(st.text(alphabet=" 'sthe1.\u00e9\u6f22\n", max_size=50), max_size=5),
)


@settings(max_examples=30)
@given(*PIPELINES)
def test_random_pipelines(draw: random.Random, names: list[str], kind: str, texts: list[str]) -> None:
    check_random_pipeline(draw, names, kind, texts)


@pytest.mark.exhaustive
@settings(max_examples=500)
@given(*PIPELINES)
def test_many_random_pipelines(draw: random.Random, names: list[str], kind: str, texts: list[str]) -> None:
    check_random_pipeline(draw, names, kind, texts)


def test_both_forms_of_merges() -> None:
    """Merges may be pairs, or strings as in `merges.txt`, with its first line or without."""
    merges = small_model("bpe-bytes")["merges"]
    for form in (merges, [" ".join(merge) for merge in merges], ["#version: 0.2", *(" ".join(merge) for merge in merges)]):
        case = Comparison(config_of(small_model("bpe-bytes", merges=form), byte_level()))
        assert "pipeline" in case.tokenizers
        case.check(mixed_texts()[::5])


def test_tokens_that_no_text_gives() -> None:
    """Tokens with characters that stand for no byte, an empty token, and tokens with a NUL, also as parts of merges."""
    merges = [("a", "b"), ("ab", "\u4e00"), ("\u4e00", "c"), ("a", "\0"), ("\u0120", "a")]
    model = bpe_model(merges, ["", "<|end of text|>", "\u2581x", "\ufffd", "c", "\u0100"])
    for pre_tokenizer in (byte_level(), byte_level(prefix=True, regex=False), None):
        Comparison(config_of(model, pre_tokenizer)).check(["ab\u4e00c", "a\0", "\0a", " a", "", "\u2581x", "abc", "\u0100", "x"])


def check_long_words(name: str, unit: str, characters: int) -> None:
    """Tokenise a word that is too long for the library, and compare shorter ones."""
    case = comparison(name)
    case.check([unit * count for count in (7, 30, 150, 400)])
    known = case.library([unit * 30])[0]
    for tokenizer in case.tokenizers.values():
        (found,) = case.ids(tokenizer, [unit * (characters // len(unit))])
        assert set(found) >= set(known[2:-2]) and len(found) >= characters // len(unit) // 40 * bool(known)


LONG_UNITS = ["a", "the", "\u0439\u0446", "\u4e00", "the\U0001f600"]


@pytest.mark.parametrize("unit", LONG_UNITS)
@pytest.mark.parametrize("name", BPE_CASES)
def test_long_words(name: str, unit: str) -> None:
    check_long_words(name, unit, 5000)


@pytest.mark.exhaustive
@pytest.mark.parametrize("unit", LONG_UNITS)
@pytest.mark.parametrize("name", BPE_CASES)
def test_words_of_a_million_characters(name: str, unit: str) -> None:
    check_long_words(name, unit, 1_000_000)


def test_words_of_all_lengths() -> None:
    """Words alone, so that a word is a text of its own."""
    for name in BPE_CASES:
        comparison(name).check(words(), batch_size=1)


# Files.

BYTES = with_model(config_of(small_model("bpe-bytes"), byte_level()))
VOCABULARY = BYTES["model"]["vocab"]
TO_THE_LIBRARY: dict[str, Config] = {
    "dropout": with_model(BYTES, dropout=1.0),
    "two tokens with one id": with_model(BYTES, vocab={**VOCABULARY, "zzzz": 7}),
    "large ids": with_model(BYTES, vocab={**VOCABULARY, "zzzz": 1 << 29}),
    "an id just too large": with_model(BYTES, vocab={**VOCABULARY, "zzzz": NO_TOKEN}),
    "fallback and suffix": with_model(BYTES, byte_fallback=True, end_of_word_suffix="x"),
    "another pre-tokeniser": {**BYTES, "pre_tokenizer": {"type": "UnicodeScripts"}},
}


@pytest.mark.parametrize("name", TO_THE_LIBRARY)
def test_files_for_the_library(name: str) -> None:
    assert check(TO_THE_LIBRARY[name], ["", "the cat", "a\0b", "\u4e00"]) == "tokenizers"


def test_merge_without_the_prefix() -> None:
    """The library cuts off as many bytes as the prefix has, whatever they are, or fails. So it must tokenise."""
    model = bpe_model([("a", "#b"), ("a", "xc")], ["ab", "ac"], prefix="#")
    assert Comparison(config_of(model)).chosen.name == "tokenizers"


# Merges that are no merges of two tokens.
MERGES: dict[str, Any] = {
    "left unknown": [["zz", "a"]],
    "right unknown": [["a", "zz"]],
    "result unknown": [["a", "\u0121"]],
    "three parts": [["a", "b", "c"]],
    "one part": ["ab"],
    "three words": ["a b c"],
    "numbers": [[1, 2]],
    "both forms": [["t", "h"], "t h"],
    "null": None,
    "an object": {},
    "missing": ...,
}


@pytest.mark.parametrize("name", MERGES)
def test_merges_that_the_library_refuses(name: str) -> None:
    """The package refuses the file when it reads it, as the library does."""
    config = with_model(BYTES, merges=MERGES[name])
    with pytest.raises(Exception):  # noqa: B017, PT011 - the library has no exception of its own
        Tokenizer.from_str(json.dumps(config))
    with pytest.raises(ModelFormatError):
        spec_of(config)


def shared_model(shared: Path) -> Config:
    """Return the shared byte-level tokenizer."""
    text = (shared / "models" / "bpe-multilingual-64-f16" / "tokenizer.json").read_text("utf-8")
    return {**json.loads(text), "truncation": None, "padding": None}


def out_of_order(config: Config, draw: random.Random) -> Config:
    """Return the tokenizer with some merges far too early and without others, so that some tokens are not in order and others are not reachable."""
    merges = list(config["model"]["merges"])
    for _ in range(300):
        merges.insert(draw.randrange(100), merges.pop(draw.randrange(len(merges))))
    for _ in range(20):
        del merges[draw.randrange(len(merges))]
    return with_model(config, merges=merges)


@pytest.mark.parametrize("ordered", [True, False])
def test_whole_texts(shared: Path, ordered: bool) -> None:
    """A published tokenizer without a pre-tokeniser that splits: each text is one word, and it has characters that are byte tokens."""
    config: Config = json.loads((shared / "tokenizers" / "mistral-7b-v0.1.json").read_text("utf-8"))
    case = Comparison(config if ordered else out_of_order(config, random.Random(1)))
    text = (shared / "texts" / "war-and-peace.txt").read_text("utf-8")
    texts = [text[begin : begin + size] for begin, size in zip(range(0, 900_000, 3000), itertools.cycle([10, 240, 2400]), strict=False)]
    case.check([*texts, text[:300_000], text[1_000_000:1_020_000].replace(" ", "")])
    case.check([*EDGE_TEXTS, *mixed_texts(), *texts])
    assert case.fallback_counts(texts) == {"pipeline": 0}


@pytest.mark.parametrize("name", ["stsb-en", "stsb-de", "stsb-ru", "stsb-ja", "war-and-peace"])
def test_shared_texts(shared: Path, name: str) -> None:
    """No mismatch on a large trained vocabulary, and no text goes to the library."""
    case = Comparison(shared_model(shared))
    texts = (shared / "texts" / f"{name}.txt").read_text("utf-8").split("\n")[:2000]
    case.check(texts[::4])
    case.check(["\n".join(texts[first : first + 100]) for first in range(0, len(texts), 400)])
    assert case.fallback_counts(texts) == {"pipeline": 0}
