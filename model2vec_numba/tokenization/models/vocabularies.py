"""What the models have in common: the vocabulary of a file as arrays, once it is seen to be in order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.tokenization.backend import TokenBatch
from model2vec_numba.tokenization.memo import MEMO_BYTES, MEMO_IDS
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import PieceBatch

__all__ = ["UNBOUNDED", "has_members", "run_kernel", "token_ids"]

UNBOUNDED = 1 << 62
# Tables have a row for each id up to the largest: ids that leave out most numbers are for the library.
_MAX_ID = (1 << 30) - 2


def has_members(part: dict[str, Any], members: dict[str, Any]) -> bool:
    """Whether a part has no members but these, each, where it is there, of the type given or of one of them."""
    return part.keys() <= members.keys() and all(type(value) in members[name] for name, value in part.items())


def token_ids(spec: TokenizerSpec) -> tuple[list[str], NDArray[np.int32]] | None:
    """The model's tokens and their ids; ``None`` unless all of them are tokens of the tokenizer as they are."""
    vocabulary = spec.parts["model"].get("vocab")
    if not isinstance(vocabulary, dict) or not vocabulary or set(map(type, vocabulary.values())) != {int}:
        return None
    if not 0 <= min(vocabulary.values()) <= max(vocabulary.values()) <= min(_MAX_ID, 8 * len(vocabulary) + (1 << 16)):
        return None
    try:
        "".join(vocabulary).encode("utf-8")
    except UnicodeEncodeError:
        return None
    return list(vocabulary), np.fromiter(vocabulary.values(), np.int32, len(vocabulary))


def run_kernel(kernel: Any, pieces: PieceBatch, max_tokens: int | None, status: NDArray[np.uint8], *tables: Any) -> TokenBatch:
    """Call a model's kernel: it gets the arrays of the pieces, `status`, the tables, the limit, and the arrays for ids and their offsets.

    Their data goes on for `MEMO_BYTES` bytes after the last piece, and the array of ids for `MEMO_IDS` numbers after the most there can be.
    """
    data = pieces.data
    if not len(pieces.ends) or pieces.ends[-1] + MEMO_BYTES > len(data):
        data = np.concatenate([data, np.zeros(MEMO_BYTES, np.uint8)])
    ids = np.empty(pieces.size + MEMO_IDS, np.int32)
    offsets = np.zeros(len(pieces.offsets), np.int64)
    limit = UNBOUNDED if max_tokens is None else max_tokens
    end = kernel(data, pieces.begins, pieces.ends, pieces.offsets, status, *tables, limit, ids, offsets)
    return TokenBatch(ids[:end], offsets)
