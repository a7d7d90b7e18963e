"""WordLevel and WordPiece as models of the pipeline."""

from __future__ import annotations

import pytest

from model2vec_numba.tokenization.bert import tables as bert_tables
from model2vec_numba.tokenization.models import wordlevel, wordpiece
from tokenization.cases import Comparison, check
from tokenization.configs import BERT_PRE_TOKENIZER, Config, bert_normalizer, config_of, word_level_model, word_piece_model

# Words of many lengths, and words that begin like them.
WORDS = ["x" * length for length in range(1, 40)] + ["\u0436" * length for length in range(1, 20)] + ["abcdefghijklmnopq", "abcdefghijklmnopr"]
TEXTS = [*WORDS, *(word[:-1] + "y" for word in WORDS), *(word + "\0" for word in WORDS), "\0", "a\0", ""]
PIECES = (*WORDS[::2], *(f"##{word}" for word in WORDS[::3]))


def compare(model: Config) -> None:
    """Compare a model in which a text is one word."""
    case = Comparison(config_of(model))
    assert list(case.tokenizers) == ["pipeline"]
    case.check(TEXTS)


def test_word_level() -> None:
    compare(word_level_model(*WORDS[::2]))


@pytest.mark.parametrize("limit", [0, 1, 7, 30, 100])
def test_longest_words(limit: int) -> None:
    compare(word_piece_model(*PIECES, max_word_chars=limit))


@pytest.mark.parametrize("prefix", ["", "##", "x", "\u0436"])
def test_prefixes(prefix: str) -> None:
    compare(word_piece_model(*PIECES, prefix=prefix, max_word_chars=30))


TO_THE_LIBRARY: dict[str, Config] = {
    "token with NUL": config_of(word_level_model("a\0")),
    "pieces with NUL": config_of(word_piece_model("a\0")),
    "no unknown token": config_of(word_level_model("a", unk_token="b")),
}


@pytest.mark.parametrize("name", TO_THE_LIBRARY)
def test_files_for_the_library(name: str) -> None:
    assert check(TO_THE_LIBRARY[name], ["", "a", "the cat", "a\0b", "\u4e00"]) == "tokenizers"


@pytest.mark.parametrize("model", [word_level_model("a", "ab"), word_piece_model("a", "##b")], ids=["WordLevel", "WordPiece"])
@pytest.mark.parametrize("bert", [False, True])
def test_larger_ids_than_the_trie_holds(model: Config, bert: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(model, BERT_PRE_TOKENIZER, bert_normalizer()) if bert else config_of(model)
    largest = max(model["vocab"].values())
    for limit, compiled in ((largest, True), (largest - 1, False)):
        for module in (bert_tables, wordlevel, wordpiece):
            monkeypatch.setattr(module, "LARGEST_TRIE_ID", limit)
        assert (check(config, ["a", "ab", "abab", "x"]) != "tokenizers") is compiled
