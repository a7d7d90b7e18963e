"""The compiled Unigram model, alone and with normalisers and pre-tokenisers before it, against the `tokenizers` library."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from helpers import random_matrix
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_cases import NORMALIZERS, PRE_TOKENIZERS, PipelineCase, ids, mixed_texts, sequence, tied_vocabulary, tokenizer_parts, trained_vocabulary
from tokenizers import Tokenizer
from wordpiece_cases import natural_texts, random_texts

from model2vec_numba import StaticModel
from model2vec_numba.errors import TokenizationError
from model2vec_numba.text import flatten
from model2vec_numba.tokenization import choose_backend, memo, parse_tokenizer
from model2vec_numba.tokenization.json_numbers import library_numbers
from model2vec_numba.tokenization.library import LibraryBackend
from model2vec_numba.tokenization.models import unigram
from model2vec_numba.tokenization.models.byte_trie import build_trie

METASPACE = PRE_TOKENIZERS["Metaspace-always-True-\u2581"]
WHOLE = PRE_TOKENIZERS["Metaspace-always-False-\u2581"]
WORDS = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE]}
LETTERS = "ab\u2581\u00e9\u4e00 z"


def texts_of(letters: str, count: int, seed: int, longest: int = 60) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(letters, k=draw.randint(0, longest))) for _ in range(count)]


@pytest.mark.parametrize("pre_tokenizer", [None, METASPACE, WHOLE, WORDS], ids=["none", "metaspace", "whole", "words"])
@pytest.mark.parametrize("split", [True, False])
def test_trained(split: bool, pre_tokenizer: Any) -> None:
    case = PipelineCase(tokenizer_parts(trained_vocabulary(split), None, pre_tokenizer))
    case.check([*mixed_texts(), *natural_texts()[::15], *random_texts(1500, 8), " ".join(natural_texts()[:300]), "".join(natural_texts()[::40])])
    assert case.fallbacks == 0


@pytest.mark.parametrize("seed", range(12))
def test_ties(seed: int) -> None:
    """Equal scores, sums that differ by rounding only, equal tokens, scores above 0, and an unknown id that is any token's."""
    vocabulary = tied_vocabulary(seed, inner=seed % 2 == 0)
    unknown = seed % 5
    for pre_tokenizer in (None, WHOLE):
        case = PipelineCase(tokenizer_parts(vocabulary, None, pre_tokenizer, unknown=unknown))
        case.check([*texts_of(LETTERS, 400, seed), *texts_of("ab", 100, seed, 300), *texts_of("ab ", 100, seed, 300)])


def test_rounding_of_long_sums() -> None:
    """Ties in exact arithmetic that the sum before them decides."""
    vocabulary = [
        ("<unk>", -9.0),
        ("a", -0.1),
        ("b", -0.2),
        ("ab", -0.3),
        ("ba", -0.30000000000000004),
        ("c", -0.7),
        ("\u2581", -0.1),
        ("\u2581a", -0.2),
    ]
    for pre_tokenizer in (None, WHOLE):
        case = PipelineCase(tokenizer_parts(vocabulary, None, pre_tokenizer))
        case.check([*texts_of("abc ", 300, 1, 400), *texts_of("abcz ", 300, 2, 200), "ab " * 20_000, "abc" * 20_000])


@pytest.mark.parametrize("missing", [0, 1, 200], ids=["all", "one", "most"])
def test_byte_fallback(missing: int) -> None:
    draw = random.Random(missing)
    present = [(f"<0x{byte:02X}>", -5.0) for byte in draw.sample(range(256), 256 - missing)]
    for unknown in (0, 3, 6):
        vocabulary = [("<unk>", 0.0), *tied_vocabulary(missing + 3, inner=False)[1:12], *present]
        for pre_tokenizer in (None, WHOLE):
            case = PipelineCase(tokenizer_parts(vocabulary, None, pre_tokenizer, unknown=unknown, byte_fallback=True))
            case.check([*texts_of(LETTERS + "\u4e01\U0001f600\x00", 400, missing), *mixed_texts()[::6]])


def test_fused_unknowns_that_are_a_token() -> None:
    """Where scores are above 0, two unknown characters score more than the token that they are together, and then are that token."""
    vocabulary = [
        ("<unk>", 30.0),
        ("xy", 30.0),
        ("xyz", 30.0),
        ("\u2581x", 30.0),
        ("a", 31.0),
        ("aa", 31.0),
        ("\u2581", 40.0),
        ("\u2581\u2581", 30.0),
    ]
    for unknown in range(8):
        for pre_tokenizer in (None, WHOLE):
            case = PipelineCase(tokenizer_parts(vocabulary, None, pre_tokenizer, unknown=unknown))
            case.check(texts_of("xyza\u4e00 \u2581", 600, unknown, 45))


def test_no_unknown_id() -> None:
    """A character that no token has is an error then, as it is in the library."""
    parts = tokenizer_parts([("a", -1.0), ("ab", -2.0)], unknown=None)
    spec = parse_tokenizer(json.dumps(parts), "test")
    backend = choose_backend(spec)
    assert backend.name == "unigram"
    assert [list(found) for found in ids(backend, ["aab", "", "a"])] == [[0, 1], [], [0]]
    for tokenizer in (backend, LibraryBackend(spec)):
        with pytest.raises(TokenizationError, match="unk_id"):
            tokenizer.tokenize(flatten(["aab", "x"]), None)


def test_odd_tokens() -> None:
    """Empty ones, ones with NULs, equal ones, and ones longer than any fast key."""
    long = "abcdefghij" * 30
    tokens = ["<unk>", "", "a", "a\0", "\0", "\0\0", "a", long, long[:25], long[:24], "b" * 24, "b" * 25, "\U0001f600", "\u2581a\0", "z" * 400]
    case = PipelineCase(tokenizer_parts([(token, -1.0 - i / 7) for i, token in enumerate(tokens)]))
    case.check([*tokens, *(a + b for a in tokens for b in tokens), "a\0\0", "\0" * 30, "b" * 23 + "\0", "b" * 200, long * 2, "z" * 999])


@pytest.mark.parametrize(
    ("vocabulary", "scores"), [([("<unk>", 0), ("a", -1), ("ab", -3)], "integers"), ([("<unk>", -1e30), ("a", -1e30), ("ab", 1e-300)], "huge")]
)
def test_odd_scores(vocabulary: list[tuple[str, float]], scores: str) -> None:
    PipelineCase(tokenizer_parts(vocabulary, None, WHOLE)).check([*texts_of("abz ", 300, 1), "ab" * 1000])


def test_numbers_are_read_as_the_library_reads_them() -> None:
    """Decimals of many digits, of which the library's reading is not the nearest float64."""
    draw = random.Random(5)
    literals = [repr(-draw.uniform(3, 15)) for _ in range(2000)] + [repr(draw.uniform(-1, 1) * 10 ** draw.randint(-30, 30)) for _ in range(500)]
    literals += [f"-{draw.uniform(0, 20):.30f}" for _ in range(500)] + [
        "0.0",
        "-0.0",
        "-0",
        "12",
        "-7",
        "1E5",
        "1.5e+3",
        "2e-300",
        "5e-324",
        "1e-400",
    ]
    literals += ["123456789012345678901234567890", "-98765432109876543210987.5e-10", "0.000000000000000000000000000000123456789"]
    vocabulary = ",".join(f'["{i}",{literal}]' for i, literal in enumerate(literals))
    text = json.dumps(tokenizer_parts([])).replace('"vocab": []', f'"vocab": [{vocabulary}]')
    expected = np.array([score for _, score in json.loads(Tokenizer.from_str(text).to_str())["model"]["vocab"]])
    found = library_numbers(literals)
    assert found is not None
    np.testing.assert_array_equal(found, expected)
    spec = parse_tokenizer(text, "test")
    assert spec.unigram_scores is not None
    np.testing.assert_array_equal(spec.unigram_scores, expected)
    assert library_numbers([]) is not None


@pytest.mark.parametrize("unit", ["a", "\u4e00\u4e01", "the cat "])
def test_words_of_a_million_characters(unit: str) -> None:
    """The library sees a shorter one; what is in the middle of the long one is what is in the middle of the short one."""
    for pre_tokenizer in (None, WHOLE, WORDS):
        case = PipelineCase(tokenizer_parts(trained_vocabulary(), None, pre_tokenizer))
        case.check([unit * (10_000 // len(unit))])
        (found,) = ids(case.backend, [unit * (1_000_000 // len(unit))])
        assert set(found.tolist()) == set(ids(case.library, [unit * (10_000 // len(unit))])[0].tolist())


@pytest.mark.parametrize("max_tokens", [0, 1, 2, 7])
def test_truncation(max_tokens: int) -> None:
    """Unknown ids are dropped first, then the list is cut."""
    texts = [*mixed_texts(), "\U0001f9ff\u4e00 the \U0001f9ff cat sat"]
    for pre_tokenizer in (WHOLE, WORDS):
        case = PipelineCase(tokenizer_parts(trained_vocabulary(), None, pre_tokenizer))
        found, full = ids(case.backend, texts, max_tokens), ids(case.library, texts)
        assert all(np.array_equal(short, long[:max_tokens]) for short, long in zip(found, full, strict=True))


def test_memo_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """More different words than the memo has room for, in one call and in several."""
    monkeypatch.setattr(memo, "_ROWS", 64)
    texts = natural_texts()[::20]
    for pre_tokenizer in (WORDS, WHOLE):
        case = PipelineCase(tokenizer_parts(trained_vocabulary(), None, pre_tokenizer))
        for _ in range(2):
            case.check([" ".join(texts), *texts])


def test_ids_that_the_memo_has_no_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = trained_vocabulary()
    for most, name in ((len(vocabulary), "unigram"), (len(vocabulary) - 1, "tokenizers")):
        monkeypatch.setattr(unigram, "MOST_MEMO_ID", most)
        assert choose_backend(parse_tokenizer(json.dumps(tokenizer_parts(vocabulary, None, WORDS)), "test")).name == name


def test_threads_share_a_model() -> None:
    case = PipelineCase(tokenizer_parts(trained_vocabulary(), NORMALIZERS["NFKC"], WORDS))
    texts = natural_texts()[::7]
    expected = ids(case.library, texts)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: ids(case.backend, texts), range(8)):
            assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.exhaustive
@settings(max_examples=15)
@given(
    st.lists(st.sampled_from([*NORMALIZERS]), max_size=4),
    st.sampled_from([*PRE_TOKENIZERS]),
    st.integers(0, 1 << 20),
    st.lists(st.text(max_size=20), max_size=4),
)
def test_pipelines(names: list[str], pre_tokenizer: str, seed: int, texts: list[str]) -> None:
    """Any covered normalisers and pre-tokeniser, with random vocabularies and a trained one."""
    parts = PRE_TOKENIZERS[pre_tokenizer]
    normalizer = sequence(*(NORMALIZERS[name] for name in names)) if names else None
    first = "first" in pre_tokenizer
    vocabulary = trained_vocabulary() if seed % 3 == 0 else tied_vocabulary(seed, letters="ab\u2581_\u00e9e\u0301\u4e00.")
    file = tokenizer_parts(vocabulary, normalizer, parts)
    texts = [*texts, *texts_of(LETTERS + "E\u0301", 20, seed), *mixed_texts()[seed % 50 :: 50]]
    if first:
        spec = parse_tokenizer(json.dumps(file), "test")
        backend = choose_backend(spec)
        assert [list(found) for found in ids(backend, texts)] == [list(found) for found in ids(LibraryBackend(spec), texts)]
    else:
        PipelineCase(file).check(texts)


@pytest.mark.parametrize("normalized", [False, True])
def test_added_tokens(normalized: bool) -> None:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "special": False, "normalized": normalized}
    vocabulary = [*trained_vocabulary(), ("<mask>", 0.0), ("New York", -3.0)]
    added = [{"id": len(vocabulary) - 2 + i, "content": content, **flags} for i, content in enumerate(("<mask>", "New York"))]
    texts = ["a <mask> b", "<mask>", "New York", "new york", "New  York", "<MASK>", "in New Yorkers", "none", *mixed_texts()[::9]]
    for normalizer in (None, NORMALIZERS["NFKC"], NORMALIZERS["Lowercase"], NORMALIZERS["Replace-space"]):
        PipelineCase(tokenizer_parts(vocabulary, normalizer, WORDS, added=added)).check(texts)


def test_chosen_for_the_model(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["unigram"]
    model = StaticModel(random_matrix(tokenizer.get_vocab_size(), 4, "float32"), tokenizer)
    assert model.tokenizer_backend == "unigram"
    assert model.tokens == tuple(sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__))


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts["model"].update(more=1),
        lambda parts: parts.update(added_tokens=[{**ADDED, "content": "brand-new"}]),
        lambda parts: parts.update(normalizer={"type": "Replace", "pattern": {"Regex": "[ab]"}, "content": "c"}),
        lambda parts: parts.update(pre_tokenizer={"type": "CharDelimiterSplit", "delimiter": "x"}),
        lambda parts: parts.update(normalizer={"type": "NFC"}, pre_tokenizer={**WHOLE, "prepend_scheme": "first"}),
    ],
    ids=["member", "added-token", "regex", "pre-tokenizer", "first"],
)
def test_left_to_the_library(change: Callable[[dict[str, Any]], None]) -> None:
    parts = tokenizer_parts(trained_vocabulary())
    change(parts)
    assert choose_backend(parse_tokenizer(json.dumps(parts), "test")).name == "tokenizers"


ADDED = {"id": 9999, "single_word": False, "lstrip": False, "rstrip": False, "special": False, "normalized": False}


def test_trie() -> None:
    """Every token is found with its id, and nothing else is."""
    draw = random.Random(3)
    tokens = list(dict.fromkeys("".join(draw.choices("abc\u00e9\u4e00\U0001f600", k=draw.randint(1, 9))) for _ in range(3000)))
    tokens += ["x" * 300, "x" * 299, tokens[5]]
    trie = build_trie(flatten(tokens))
    places = {token: i for i, token in enumerate(tokens)}
    probes = [*tokens, *(token[:-1] for token in tokens), *(token + "a" for token in tokens), "q"]
    for probe in probes:
        node = 0
        for byte in probe.encode("utf-8"):
            child = (int(trie.units[node]) >> 33) + byte
            node = child if node >= 0 and int(trie.units[child]) & 0xFFFFFFFF == node + 1 else -1
            if node < 0:
                break
        assert (int(trie.ids[node]) if node > 0 else -1) == places.get(probe, -1)
    assert len(build_trie(flatten([])).units) >= 256
