"""The pre-tokenisers of the composed tokeniser. `make_pre_tokenizer` finds the one that a `tokenizer.json` describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.tokenization.pre_tokenizers.by_class import (
    make_bert,
    make_digits,
    make_punctuation,
    make_whitespace,
    make_whitespace_split,
)
from model2vec_numba.tokenization.pre_tokenizers.byte_level import make_byte_level
from model2vec_numba.tokenization.pre_tokenizers.metaspace import asks_for_beginning, make_metaspace, make_words_in_metaspace
from model2vec_numba.tokenization.pre_tokenizers.split import make_split
from model2vec_numba.tokenization.stages import PreTokenBatch, PreTokenizer

__all__ = ["PreTokenizerSequence", "Whole", "asks_for_beginning", "make_pre_tokenizer", "make_sequence", "uses_byte_level"]


class Whole:
    """A pre-tokeniser that does not cut: a text is one pre-token."""

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens, as `PreTokenizer.split` describes."""
        return pre_tokens


class PreTokenizerSequence:
    """Applies pre-tokenisers one after the other."""

    def __init__(self, members: list[PreTokenizer]) -> None:
        self._members = members

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens, as `PreTokenizer.split` describes."""
        for member in self._members:
            pre_tokens = member.split(pre_tokens, status)
        return pre_tokens


def make_sequence(config: dict[str, Any]) -> PreTokenizer | None:
    """Return the pre-tokeniser for a ``Sequence``, or ``None`` if this package does not support one of its members."""
    members = config.get("pretokenizers")
    if config.keys() != {"type", "pretokenizers"} or not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        return None
    # Only the first member can know which pre-tokens are at the beginning of a text.
    if any(asks_for_beginning(member) for member in members[1:]):
        return None
    if (fused := make_words_in_metaspace(members)) is not None:
        return fused
    pre_tokenizers = [made for member in members if (made := make_pre_tokenizer(member)) is not None]
    return PreTokenizerSequence(pre_tokenizers) if len(pre_tokenizers) == len(members) else None


# A factory returns None for JSON of an unknown form.
_FACTORIES: dict[str, Callable[[dict[str, Any]], PreTokenizer | None]] = {
    "BertPreTokenizer": make_bert,
    "ByteLevel": make_byte_level,
    "Digits": make_digits,
    "Metaspace": make_metaspace,
    "Punctuation": make_punctuation,
    "Sequence": make_sequence,
    "Split": make_split,
    "Whitespace": make_whitespace,
    "WhitespaceSplit": make_whitespace_split,
}


def make_pre_tokenizer(config: Any) -> PreTokenizer | None:
    """Return the pre-tokeniser that ``pre_tokenizer`` of a `tokenizer.json` describes, or ``None`` if this package does not support it."""
    if config is None:
        return Whole()
    kind = config.get("type") if isinstance(config, dict) else None
    factory = _FACTORIES.get(kind) if isinstance(kind, str) else None
    return None if factory is None else factory(config)


def uses_byte_level(config: Any) -> bool:
    """Return whether a pre-tokeniser is, or contains, a ``ByteLevel``."""
    if not isinstance(config, dict):
        return False
    members = config.get("pretokenizers")
    return config.get("type") == "ByteLevel" or (isinstance(members, list) and any(map(uses_byte_level, members)))
