"""The vocabulary that the package reads from the file is the library's."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from tokenization.cases import CASES, spec_of
from tokenization.configs import SMALL, Config, bert_config, bundled_config, small_config, with_added_tokens

FILES: dict[str, Config] = {
    **{name: small_config(name) for name in SMALL},
    "bundled": bundled_config(),
    "added tokens in reverse order": {**bert_config(), "added_tokens": bert_config()["added_tokens"][::-1]},
    "added tokens": with_added_tokens(bert_config(), "a", "Zz"),
    "added token of BPE": with_added_tokens(small_config("bpe"), "Zz"),
    "added token beyond the vocabulary": with_added_tokens(bert_config(), "Zz", in_vocabulary=False),
}


@pytest.mark.parametrize("name", FILES)
def test_vocabulary(name: str) -> None:
    spec = spec_of(FILES[name])
    expected = Tokenizer.from_str(spec.text).get_vocab(with_added_tokens=True)
    assert spec.vocabulary == expected
    # Only for tokens beyond the vocabulary must the library be asked.
    assert spec.plain_vocabulary == (None if "beyond" in name else expected)
    assert spec.tokens == tuple(sorted(expected, key=expected.__getitem__))
    assert spec.size == max(expected.values()) + 1


@pytest.mark.parametrize("name", CASES)
def test_unknown_id(name: str) -> None:
    """The unknown id is that of the model."""
    model = CASES[name].make()["model"]
    unknown = model["unk_id"] if "unk_id" in model else model["vocab"].get(model["unk_token"])
    assert spec_of(CASES[name].make()).unk_token_id == unknown
