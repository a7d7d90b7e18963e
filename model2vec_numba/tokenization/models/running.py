"""Run a model's kernel over a batch of pre-tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TokenBatch, read_only
from model2vec_numba.tokenization.lookup.piece_cache import MAX_CACHED_BYTES, MAX_IDS_PER_ROW
from model2vec_numba.tokenization.stages import PreTokenBatch

__all__ = ["UNBOUNDED", "run_kernel"]

# The number of ids to keep of each text if there is no limit.
UNBOUNDED = 1 << 62


def run_kernel(kernel: Any, pre_tokens: PreTokenBatch, max_tokens: int | None, status: NDArray[np.uint8], *tables: Any) -> TokenBatch:
    """Call the kernel of a model and return the ids.

    The arguments of the kernel are: the arrays of the pre-tokens, `status`, the tables, the number of ids to keep of each text, and its two outputs,
    the ids and their offsets. The data has `MAX_CACHED_BYTES` more bytes after the last pre-token. The array of ids has `MAX_IDS_PER_ROW` more
    elements than the pre-tokens have bytes.
    """
    data = pre_tokens.data
    if not len(pre_tokens.ends) or pre_tokens.ends[-1] + MAX_CACHED_BYTES > len(data):
        data = read_only(np.concatenate([data, np.zeros(MAX_CACHED_BYTES, np.uint8)]))
    ids = np.empty(pre_tokens.size + MAX_IDS_PER_ROW, np.int32)
    offsets = np.zeros(len(pre_tokens.offsets), np.int64)
    limit = UNBOUNDED if max_tokens is None else max_tokens
    end = kernel(data, pre_tokens.begins, pre_tokens.ends, pre_tokens.offsets, status, *tables, limit, ids, offsets)
    return TokenBatch(ids[:end], offsets)
