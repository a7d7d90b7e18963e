"""The pre-tokenisers, each a module: `make_pre_tokenizer` finds the one that a `tokenizer.json` asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.tokenization.pre_tokenizers.by_class import make_bert, make_digits, make_punctuation, make_whitespace
from model2vec_numba.tokenization.pre_tokenizers.byte_level import make_byte_level
from model2vec_numba.tokenization.pre_tokenizers.metaspace import asks_for_beginning, make_metaspace
from model2vec_numba.tokenization.pre_tokenizers.sequence import make_sequence
from model2vec_numba.tokenization.pre_tokenizers.split import make_split
from model2vec_numba.tokenization.pre_tokenizers.whitespace_split import make_whitespace_split
from model2vec_numba.tokenization.stages import PieceBatch, PreTokenizer

__all__ = ["Whole", "asks_for_beginning", "make_pre_tokenizer"]


class Whole:
    """No pre-tokeniser: a text is one piece."""

    def split(self, pieces: PieceBatch, status: NDArray[np.uint8]) -> PieceBatch:
        """See `PreTokenizer.split`."""
        return pieces


# A factory gives None for members that it does not know.
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


def make_pre_tokenizer(part: Any) -> PreTokenizer | None:
    """The pre-tokeniser that ``pre_tokenizer`` of a `tokenizer.json` describes; ``None`` if this package does not have it."""
    if part is None:
        return Whole()
    kind = part.get("type") if isinstance(part, dict) else None
    factory = _FACTORIES.get(kind) if isinstance(kind, str) else None
    return None if factory is None else factory(part)
