"""The `tokenizers` library's own component for a part of a `tokenizer.json`, and what a part must look like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

__all__ = ["has_form", "library_normalizer", "library_pre_tokenizer"]

_EMPTY: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {}, "unk_token": ""},
}


def has_form(part: Any, members: Mapping[str, Any]) -> bool:
    """Whether a part of a pipeline has these members, of these types, beside its ``type``, and no others."""
    return isinstance(part, dict) and part.keys() == {"type", *members} and all(_is(part[name], types) for name, types in members.items())


def _is(value: Any, types: Any) -> bool:
    # In JSON a truth value is no number.
    return isinstance(value, types) and (not isinstance(value, bool) or types is bool or (isinstance(types, tuple) and bool in types))


def library_normalizer(part: Any) -> Normalizer:
    """The library's normaliser for the part."""
    return Tokenizer.from_str(json.dumps({**_EMPTY, "normalizer": part})).normalizer


def library_pre_tokenizer(part: Any) -> PreTokenizer:
    """The library's pre-tokeniser for the part."""
    return Tokenizer.from_str(json.dumps({**_EMPTY, "pre_tokenizer": part})).pre_tokenizer
