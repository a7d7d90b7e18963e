"""Batches of some of the texts of a batch, and the ids of all of them put together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch, read_only
from model2vec_numba.jit.simd import BLOCK
from model2vec_numba.tokenization.added_tokens.cutting import replace_held

__all__ = ["replace_texts", "select_texts"]


def select_texts(texts: TextBatch, positions: NDArray[np.int64]) -> TextBatch:
    """Return a batch of the texts at `positions`, with `BLOCK` zeros after the last one."""
    parts = [texts.data[texts.offsets[i] : texts.offsets[i + 1]] for i in positions]
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    return TextBatch(read_only(np.concatenate([*parts, np.zeros(BLOCK, np.uint8)])), offsets)


def replace_texts(tokens: TokenBatch, positions: NDArray[np.int64], found: TokenBatch) -> TokenBatch:
    """Return a batch in which text ``positions[k]`` has the ids of text ``k`` of `found`, and the other texts have those of `tokens`."""
    replaced = np.zeros(len(tokens), np.uint8)
    replaced[positions] = 1
    lengths = np.zeros(len(tokens) + 1, np.int64)
    lengths[positions + 1] = np.diff(found.offsets)
    ids = np.empty(int(tokens.offsets[-1] + found.offsets[-1]), np.int32)
    offsets = np.empty(len(tokens) + 1, np.int64)
    replace_held(tokens.ids, tokens.offsets, found.ids, lengths.cumsum(), replaced, ids, offsets)
    return TokenBatch(ids, offsets)
