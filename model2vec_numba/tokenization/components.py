"""The components of a `tokenizer.json` (normaliser, pre-tokeniser, model): check their JSON, and make the library's objects for them.

"The library" is the Hugging Face `tokenizers` library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from tokenizers import Tokenizer
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

__all__ = ["has_form", "has_members", "is_library_error", "library_normalizer", "library_pre_tokenizer"]

# A `tokenizer.json` with an empty model and no other components.
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


def has_form(config: Any, members: Mapping[str, Any]) -> TypeGuard[dict[str, Any]]:
    """Return whether a component has a ``type`` and exactly the other members in `members`.

    Each member must have the type that `members` gives, or one of a tuple of types.
    """
    return isinstance(config, dict) and config.keys() == {"type", *members} and all(_has_type(config[name], types) for name, types in members.items())


def has_members(config: dict[str, Any], members: Mapping[str, Any]) -> bool:
    """Return whether a component has only members that are in `members`, with types as in `has_form`. No member is required."""
    return config.keys() <= members.keys() and all(_has_type(value, members[name]) for name, value in config.items())


def _has_type(value: Any, types: Any) -> bool:
    # `isinstance` would not do: in Python a bool is an int, but in JSON it is no number.
    return type(value) in types if isinstance(types, tuple) else type(value) is types


def library_normalizer(config: Any) -> Normalizer:
    """Return the library's normaliser for the JSON of a normaliser."""
    return Tokenizer.from_str(json.dumps({**_EMPTY, "normalizer": config})).normalizer


def library_pre_tokenizer(config: Any) -> PreTokenizer:
    """Return the library's pre-tokeniser for the JSON of a pre-tokeniser."""
    return Tokenizer.from_str(json.dumps({**_EMPTY, "pre_tokenizer": config})).pre_tokenizer


def is_library_error(error: BaseException) -> bool:
    """Return whether an error may come from the library: an exception, or a panic of Rust, which is a BaseException of its own class."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
