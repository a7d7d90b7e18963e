"""The names of parts that are not compiled."""

from __future__ import annotations

from typing import Any

import pytest

from model2vec_numba.tokenization.support import uncompiled_part
from model2vec_numba.tokenization.tokenizer import make_tokenizer
from tokenization.cases import spec_of
from tokenization.configs import (
    BERT_PRE_TOKENIZER,
    Config,
    bert_config,
    byte_level,
    config_of,
    metaspace,
    normalizer_sequence,
    replace,
    sequence,
    small_model,
    with_added_tokens,
)

_SCRIPTS: Config = {"type": "UnicodeScripts"}
# A back-reference is not a regular expression in the sense of theory, and no automaton finds it.
_DOUBLED = replace(r"(.)\1", "", "Regex")
_TEXT = {"Sequence": {"id": "A", "type_id": 0}}
_TWICE = {"type": "TemplateProcessing", "single": [_TEXT, _TEXT], "pair": [_TEXT, _TEXT], "special_tokens": {}}
_WITHOUT_LETTERS = with_added_tokens(config_of(small_model("wordpiece"), BERT_PRE_TOKENIZER, replace("a", "")), "a", normalized=True)
_LATE_BEGINNING = config_of(small_model("unigram"), metaspace(scheme="first"), {"type": "Strip", "strip_left": True, "strip_right": True})


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({**bert_config(), "pre_tokenizer": _SCRIPTS}, 'pre_tokenizer: no compiled code for {"type": "UnicodeScripts"}'),
        (
            {**bert_config(), "pre_tokenizer": sequence(BERT_PRE_TOKENIZER, sequence(_SCRIPTS))},
            'pre_tokenizer: no compiled code for {"type": "UnicodeScripts"}',
        ),
        (
            {**bert_config(), "normalizer": normalizer_sequence({"type": "NFC"}, normalizer_sequence(_DOUBLED))},
            r'normalizer: no compiled code for {"type": "Replace", "pattern": {"Regex": "(.)\\1"}, "content": ""}, whose pattern has ',
        ),
        ({**bert_config(), "normalizer": replace(r"(.)\1" * 60, "", "Regex")}, "normalizer: "),
        (config_of(small_model("bpe-bytes", dropout=0.5), byte_level()), 'model: no compiled code for "dropout": 0.5'),
        (config_of(small_model("bpe", vocab={"a": 0, "b": 0}, merges=[], unk_token=None)), "model: no compiled code for this vocabulary"),
        (
            config_of(small_model("bpe-suffix", byte_fallback=True), BERT_PRE_TOKENIZER),
            'model: no compiled code for "end_of_word_suffix": "</w>"',
        ),
        ({**bert_config(), "post_processor": _TWICE}, "post_processor: it may change the ids: "),
        (_WITHOUT_LETTERS, "added_tokens: no compiled code for these tokens"),
        (_LATE_BEGINNING, "pre_tokenizer: no compiled code for it after this normalizer"),
    ],
)
def test_the_first_part(config: Any, expected: str) -> None:
    spec = spec_of(config)
    assert make_tokenizer(spec).name == "tokenizers"
    part = uncompiled_part(spec)
    assert part.startswith(expected) and (part == expected or expected.endswith((", whose pattern has ", ": ")))
    assert "\n" not in part and len(part) < 250
