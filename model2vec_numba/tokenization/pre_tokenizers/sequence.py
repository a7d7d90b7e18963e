"""Sequence: pre-tokenisers one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.tokenization.pre_tokenizers.metaspace import asks_for_beginning, make_words_in_metaspace
from model2vec_numba.tokenization.stages import PieceBatch, PreTokenizer

__all__ = ["Sequence", "make_sequence"]


class Sequence:
    """`Sequence` of the library."""

    def __init__(self, parts: list[PreTokenizer]) -> None:
        self._parts = parts

    def split(self, pieces: PieceBatch, status: NDArray[np.uint8]) -> PieceBatch:
        """See `PreTokenizer.split`."""
        for part in self._parts:
            pieces = part.split(pieces, status)
        return pieces


def make_sequence(part: dict[str, Any]) -> PreTokenizer | None:
    """One of those that this package has, each."""
    from model2vec_numba.tokenization.pre_tokenizers import make_pre_tokenizer

    members = part.get("pretokenizers")
    if part.keys() != {"type", "pretokenizers"} or not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        return None
    # Whether a piece stands at its text's beginning, only the first of a sequence can tell.
    if any(asks_for_beginning(member) for member in members[1:]):
        return None
    if (fused := make_words_in_metaspace(members)) is not None:
        return fused
    parts = [made for member in members if (made := make_pre_tokenizer(member)) is not None]
    return Sequence(parts) if len(parts) == len(members) else None
