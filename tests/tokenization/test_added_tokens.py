"""Texts with added tokens: the library cuts a text at them first, so a core must find every text that may hold one."""

from __future__ import annotations

import pytest
from helpers import random_matrix
from tokenizers import Tokenizer

from model2vec_numba import StaticModel
from tokenization.cases import Comparison, check
from tokenization.configs import (
    LLAMA3,
    NORMALIZERS,
    Config,
    bert_config,
    byte_level,
    config_of,
    metaspace,
    sequence,
    small_model,
    split,
    unigram_model,
    with_added_tokens,
)
from tokenization.texts import mixed_texts, natural_texts

FLAGS: list[dict[str, bool]] = [
    {"special": True},
    {"lstrip": True},
    {"rstrip": True},
    {"single_word": True},
    {"normalized": True},
    {"normalized": True, "single_word": True, "lstrip": True, "rstrip": True},
    {"normalized": True, "special": True},
]
CONTENTS = ("[MASK]", "[UNK]", "<X>", "NewToken", "tok", "new york", "New  York", "caf\u00e9", "e\u0301t", "a", "##s", "\u4e16\u754c", "\u00c5n", "!")


def around(content: str) -> list[str]:
    """Return texts with an added token in every position, and with words that only look like it."""
    forms = {content, content.lower(), content.upper(), content.capitalize(), content.replace(" ", "\t"), content.replace(" ", ""), content[:-1]}
    shapes = ("{0}", "the {0} cat", "the{0}cat", " {0} ", "{0}{0}", "{0} {0}", ".{0}!", "\u0301{0}\u0301")
    texts = [shape.format(form) for form in forms for shape in shapes]
    return [*texts, f"x {' '.join(content)} y", "the cat sat", "", f"\u4e16{content}\u754c", f"a\0{content}", f"{content}\u302e\u0301"]


AROUND = [text for content in CONTENTS for text in around(content)] + [a + b for a in CONTENTS for b in CONTENTS]


@pytest.mark.parametrize("variant", ["uncased", "cased", "keeps-accents", "no-clean"])
@pytest.mark.parametrize("flags", FLAGS, ids="+".join)
def test_bert(flags: dict[str, bool], variant: str) -> None:
    """Many added tokens at once, and one alone."""
    case = Comparison(with_added_tokens(bert_config(variant), *CONTENTS, **flags))
    case.check([*AROUND, *natural_texts()[::400]])
    content = CONTENTS[3 + (len(variant) + FLAGS.index(flags)) % 3]
    Comparison(with_added_tokens(bert_config(variant), content, **flags)).check(AROUND)


@pytest.mark.exhaustive
@pytest.mark.parametrize("variant", ["uncased", "cased", "keeps-accents", "no-clean"])
@pytest.mark.parametrize("flags", FLAGS, ids="+".join)
@pytest.mark.parametrize("content", CONTENTS)
def test_one_added_token_of_bert(content: str, flags: dict[str, bool], variant: str) -> None:
    Comparison(with_added_tokens(bert_config(variant), content, **flags)).check([*AROUND, *natural_texts()[::40]])


def test_both_kinds() -> None:
    """One token lies inside another, one is normalised and one is not."""
    config = with_added_tokens(bert_config(), "York", "New York", normalized=True)
    config = with_added_tokens(config, "ork", "[M", single_word=True)
    texts = [*around("New York"), *around("York"), *around("ork"), *around("[M"), "[MASK]", "NEW YORKS", "new yo\u0308rk"]
    Comparison(config).check(texts)


# Tokens that are empty once they are normalised, and tokens with characters that Python, but not the library, takes for white space.
ODD_CONTENTS = (" ", "\u0301", "\u200b", "\u00ad", "\x85", "\u3000the", "x\x1cy", "\x1f", "a\0b", "\ufffd")


@pytest.mark.parametrize("variant", ["uncased", "no-clean"])
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("content", ODD_CONTENTS, ids=ascii)
def test_odd_contents(content: str, normalized: bool, variant: str) -> None:
    config = with_added_tokens(bert_config(variant), content, normalized=normalized)
    check(config, [*around(content)[::3], content, content * 2, "xy", "ab", "X\x1cY", "\x1c"])


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("in_vocabulary", [False, True])
def test_bpe(normalized: bool, in_vocabulary: bool) -> None:
    """Added tokens may have ids beyond the vocabulary, as in Llama 3."""
    config = config_of(small_model("bpe-bytes"), sequence(split(LLAMA3), byte_level(regex=False)))
    case = Comparison(with_added_tokens(config, "<|end|>", "New York", normalized=normalized, in_vocabulary=in_vocabulary))
    case.check(["<|end|>", "a<|end|>b", "in New York", "in New  York", "New", *mixed_texts()[::9]])
    assert case.fallback_counts(["<|end|>", "a New York b", "new york", "<|end|"]) == {"pipeline": 0}


@pytest.mark.parametrize("name", [None, "NFKC", "Lowercase", "Replace-space", "bert"])
@pytest.mark.parametrize("normalized", [False, True])
def test_unigram(normalized: bool, name: str | None) -> None:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "special": False, "normalized": normalized}
    vocabulary = [*small_model("unigram")["vocab"], ("<mask>", 0.0), ("New York", -3.0)]
    added = [{"id": len(vocabulary) - 2 + i, "content": content, **flags} for i, content in enumerate(("<mask>", "New York"))]
    normalizer = NORMALIZERS[name] if name else None
    words = sequence({"type": "WhitespaceSplit"}, metaspace())
    case = Comparison(config_of(unigram_model(vocabulary), words, normalizer, added_tokens=added))
    assert "pipeline" in case.tokenizers
    case.check(["a <mask> b", "<mask>", "New York", "new york", "New  York", "<MASK>", "in New Yorkers", "none", *mixed_texts()[::9]])


def test_token_that_the_model_does_not_know() -> None:
    """The library gives it an id after those of the vocabulary."""
    config: Config = with_added_tokens(bert_config(), "Brand-new", in_vocabulary=False)
    texts = [*around("Brand-new"), *natural_texts()[:50]]
    check(config, texts)
    case = Comparison(config)
    tokenizer = Tokenizer.from_str(case.spec.text)
    model = StaticModel(random_matrix(tokenizer.get_vocab_size(), 4, "float32"), tokenizer)
    assert model.tokenize(texts) == case.library(texts)


def test_token_with_another_id() -> None:
    """The file gives an added token another id than the vocabulary does."""
    config = with_added_tokens(bert_config(), "Zz", "the")
    moved = [{**token, "id": token["id"] + 1} if token["content"] == "Zz" else token for token in config["added_tokens"]]
    check({**config, "added_tokens": moved}, [*around("Zz"), *around("the"), "Zz the"])
