"""Every tokenizer of the table, with every core, against the `tokenizers` library. `fuzz_tokenizers.py` compares more texts."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import flatten_tightly
from hypothesis import given
from hypothesis import strategies as st

from model2vec_numba.batches import TextBatch
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.stages import SHORT_BYTES
from model2vec_numba.tokenization.tokenizer import cut_at_spaces
from tokenization.cases import CASES, Comparison, check, comparison
from tokenization.configs import Config, bert_config, byte_level, config_of, replace, small_model, with_added_tokens, with_model
from tokenization.texts import REPRESENTATIVES, mixed_texts, natural_texts, pairs, random_texts, sample_texts

# The tokenizers that have a core.
COMPILED = [name for name, case in CASES.items() if case.cores]
# One for each model and each sort of normaliser, and the library.
THREADED = (
    *("bert, uncased, small", "bert, normalised added token", "bytes", "characters, lowercased", "words, normalised", "word pieces"),
    *("unigram, NFKC", "unigram, SentencePiece", "library: an unknown pre-tokeniser"),
)


@pytest.mark.parametrize("name", CASES)
def test_sample(name: str) -> None:
    """Ids equal the library's, also in another order and once the caches are filled."""
    case, texts = comparison(name), sample_texts()
    for tokenizer in case.all_tokenizers():
        assert case.ids(tokenizer, texts) == case.sample
        assert case.ids(tokenizer, texts[::-1]) == case.sample[::-1]


@pytest.mark.parametrize("name", COMPILED)
def test_random_texts(name: str) -> None:
    comparison(name).check(random_texts(60, name))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", COMPILED)
def test_many_random_texts(name: str) -> None:
    comparison(name).check(random_texts(10_000, f"many, {name}"))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", COMPILED)
def test_natural_texts(name: str) -> None:
    comparison(name).check(natural_texts()[::7])
    # Long texts, for which the caches have met the words before.
    comparison(name).check(["\n".join(natural_texts()[first : first + 100]) for first in range(0, 3000, 300)])


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", COMPILED)
def test_pairs_of_characters(name: str) -> None:
    """Every pair of characters of all classes; `test_bert` has a smaller set by default."""
    comparison(name).check(pairs(REPRESENTATIVES[::3]))


@given(st.lists(st.text(), max_size=5), st.sampled_from(COMPILED))
def test_any_texts(texts: list[str], name: str) -> None:
    comparison(name).check(texts)


@given(st.lists(st.text(alphabet="ab\u00e9\u4e00 '1", max_size=100), max_size=3), st.sampled_from(COMPILED))
def test_texts_of_few_characters(texts: list[str], name: str) -> None:
    comparison(name).check(texts)


@pytest.mark.parametrize("max_tokens", [0, 1, 3, 7])
@pytest.mark.parametrize("name", CASES)
def test_truncation(name: str, max_tokens: int) -> None:
    """Unknown ids are dropped first, then the ids are cut."""
    case, texts = comparison(name), sample_texts()[::2]
    expected = [ids[:max_tokens] for ids in case.sample[::2]]
    for tokenizer in case.all_tokenizers():
        assert case.ids(tokenizer, texts, max_tokens) == expected


@pytest.mark.parametrize("name", CASES)
def test_batches(name: str) -> None:
    """Batches may be empty, hold empty texts, or be a part of a larger array."""
    case = comparison(name)
    for texts in ([], [""], ["", ""], ["", "a", ""], [" "], ["", " \n", "the"], ["the", "", "", "cat", ""]):
        case.check(texts)
    texts = ["Hello", "world of caf\u00e9s", "", "the end"]
    whole = flatten(["before it", *texts, "after it"])
    for tokenizer in case.tokenizers.values():
        assert case.ids(tokenizer, TextBatch(whole.data, whole.offsets[1:-1])) == case.library(texts)


@pytest.mark.parametrize("name", COMPILED)
def test_one_text_at_a_time(name: str) -> None:
    """Ids of a text do not depend on the text before it, which may be longer, in another script, cut or left to the library."""
    case = comparison(name)
    for tokenizer in case.tokenizers.values():
        for i in range(0, len(sample_texts()), 9):
            assert case.ids(tokenizer, sample_texts()[i : i + 1]) == case.sample[i : i + 1]
            assert case.ids(tokenizer, sample_texts()[i // 2 : i // 2 + 1], 2) == [case.sample[i // 2][:2]]


@pytest.mark.parametrize("name", COMPILED)
def test_natural_texts_never_fall_back(name: str) -> None:
    """The library tokenises no natural text, unless the tokenizer has an added token that stands in it."""
    texts = natural_texts()[::10]
    counts = comparison(name).fallback_counts(texts)
    # A charsmap leaves some texts of combining characters to the library.
    assert all(count <= (len(texts) // 2 if CASES[name].falls_back else 0) for count in counts.values()), counts


@pytest.mark.parametrize("name", THREADED)
def test_threads_share_a_tokenizer(name: str) -> None:
    """Several threads use one tokeniser at once, while it meets scripts for the first time. Each call has memory of its own."""
    case = Comparison(CASES[name].make())
    expected = comparison(name).sample
    with ThreadPoolExecutor(4) as executor:
        for found in executor.map(lambda _: case.ids(case.chosen, sample_texts()), range(6)):
            assert found == expected


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "bert" in case.cores and "added token" not in name])
def test_texts_cut_at_spaces(name: str) -> None:
    """The pieces of a text that is cut at spaces have the ids of the whole text."""
    case = comparison(name)
    assert case.chosen.cuts_at_spaces
    text = " ".join(sample_texts())
    batch = flatten([text])
    spaces = np.flatnonzero(batch.data[: batch.offsets[-1]] == ord(" "))
    offsets = np.array([0, *spaces.tolist(), batch.offsets[-1]], np.int64)
    found = case.ids(case.chosen, TextBatch(batch.data, offsets))
    (expected,) = case.library([text])
    assert [*itertools.chain.from_iterable(found)] == expected
    assert len(spaces) > 500


def test_added_tokens_that_may_be_cut() -> None:
    """A text is not cut if an added token contains a space. A normalised one may contain spaces once it is normalised."""
    for content, normalized, cuts in (("New York", False, False), ("York", False, True), ("York", True, False), ("\u4e16\u754c", True, False)):
        case = Comparison(with_added_tokens(bert_config(), content, normalized=normalized))
        assert case.chosen.cuts_at_spaces == cuts, content


def test_cutting_at_spaces() -> None:
    """Pieces follow each other, begin with a space, and have about the same length if there are spaces."""
    for text in ("word " * 100_000, "x" * 300_000, "x" * 200_000 + " " + "y" * 200_000, "x" * 99_000 + " end", "ab\u4e00 " * 40_000):
        batch = flatten(["before", text, "after"])
        for count in (1, 8, 1000):
            pieces = cut_at_spaces(TextBatch(batch.data, batch.offsets[1:3]), count)
            texts = [pieces.text(i) for i in range(len(pieces))]
            assert "".join(texts) == text and all(piece.startswith(" ") for piece in texts[1:])
            assert text.count(" ") < 2 or max(map(len, texts)) < 2 * len(texts[0])
            # The ids of short texts may be in memory that the next call overwrites.
            assert min(map(len, texts)) > SHORT_BYTES


def test_scratch_is_taken_and_given_back() -> None:
    """No two calls use the same memory at once, and memory that is given back is used again."""
    tokenizer = comparison("bert, uncased, small").chosen
    first, second = tokenizer.take_scratch(), tokenizer.take_scratch()
    texts = [flatten_tightly(["the cat sat"]), flatten_tightly(["on a mat, and on"])]
    expected = comparison("bert, uncased, small").library(["the cat sat", "on a mat, and on"])
    tokens = tokenizer.tokenize(texts[0], None, first), tokenizer.tokenize(texts[1], None, second)
    assert [batch.ids[: batch.offsets[-1]].tolist() for batch in tokens] == expected
    tokenizer.give_back(first)
    assert tokenizer.take_scratch() is first
    tokenizer.give_back(first)
    tokenizer.give_back(second)


# Which tokeniser the package chooses.


def test_chosen_core() -> None:
    """The package takes the BERT core if there is one, else the pipeline, else the library."""
    for name, case in CASES.items():
        expected = comparison(name).tokenizers[case.cores[0]].name if case.cores else "tokenizers"
        assert comparison(name).chosen.name == expected
        # Of the two cores, only BERT's lets texts be cut.
        assert "bert" in case.cores or not comparison(name).chosen.cuts_at_spaces
    assert comparison("bert, uncased, small").chosen.cuts_at_spaces


BYTES = config_of(small_model("bpe-bytes"), byte_level())
LOWERCASE: Config = {"type": "Lowercase"}
# Tokenizers that are almost like one with a core.
ALMOST: dict[str, Config] = {
    "another normaliser": {**bert_config(), "normalizer": LOWERCASE},
    "a sequence": {**bert_config(), "normalizer": {"type": "Sequence", "normalizers": [LOWERCASE]}},
    "no normaliser": {**bert_config(), "normalizer": None},
    "another pre-tokeniser": {**bert_config(), "pre_tokenizer": {"type": "Whitespace"}},
    "byte level": {**bert_config(), "pre_tokenizer": byte_level()},
    "no pre-tokeniser": {**bert_config(), "pre_tokenizer": None},
}


@pytest.mark.parametrize("name", ALMOST)
def test_almost_supported(name: str) -> None:
    """The BERT core does not take them. Another core or the library gives the library's ids."""
    case = Comparison(ALMOST[name])
    assert "bert" not in case.tokenizers
    check(ALMOST[name], [*mixed_texts()[:40], "the cat"])


OWN: Config = {"Sequence": {"id": "A", "type_id": 0}}
CLS: Config = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
TEMPLATES: dict[str, list[Config]] = {"once": [OWN], "framed": [CLS, OWN, CLS], "twice": [OWN, OWN], "never": [CLS]}


def template(single: list[Config]) -> Config:
    """Return a post-processor."""
    special = {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}
    other: Config = {"Sequence": {"id": "B", "type_id": 0}}
    return {"type": "TemplateProcessing", "single": single, "pair": [OWN, other], "special_tokens": special}


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates(name: str) -> None:
    """A template may repeat the text's ids or leave them out. Then the library tokenises."""
    chosen = check({**bert_config(), "post_processor": template(TEMPLATES[name])}, ["the cat", "", "[MASK] sat"])
    assert chosen == ("wordpiece" if name in ("once", "framed") else "tokenizers")


@pytest.mark.parametrize("kind", ["BertProcessing", "RobertaProcessing"])
def test_other_post_processors(kind: str) -> None:
    processor: Config = {"type": kind, "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    if kind == "RobertaProcessing":
        processor |= {"trim_offsets": True, "add_prefix_space": False}
    check({**bert_config(), "post_processor": processor}, ["the cat", "", "[MASK] sat"])


def test_sequences_of_post_processors() -> None:
    """A sequence keeps a text's ids if each of its members does."""
    for processors, name in (([byte_level(), template([OWN])], "bpe"), ([byte_level(), template([OWN, OWN])], "tokenizers"), ([], "bpe")):
        assert check({**BYTES, "post_processor": {"type": "Sequence", "processors": processors}}, natural_texts()[::2000]) == name


def test_unknown_token_that_is_not_in_the_vocabulary() -> None:
    """The library refuses a text with an unknown word then, so it must see every text."""
    for config in (bert_config(), config_of(small_model("wordlevel"), {"type": "Whitespace"}), BYTES):
        assert check(with_model(config, unk_token="[MISSING]"), ["the cat", "\U0001f9ff", ""]) == "tokenizers"


@pytest.mark.parametrize("pattern", ["", r"(?<!\n)^"])
def test_characters_inserted_at_the_beginning(pattern: str) -> None:
    """`tokenizers` 0.23.3 fails on some texts if such characters come before a step that changes single characters, and gives other ids on others."""
    insert = replace(pattern, "\u2581", "Regex" if pattern else "String")
    lowercased = {"type": "Sequence", "normalizers": [insert, {"type": "Lowercase"}]}
    texts = ["", " ", "a b", "It is\ncold", "\u4f60\u597d"]
    assert check(config_of(small_model("wordpiece"), None, lowercased), texts) == "tokenizers"
    assert check(config_of(small_model("bpe-bytes"), byte_level(), insert), texts) == "tokenizers"
    assert check(config_of(small_model("bpe"), None, insert), texts) == "bpe"
