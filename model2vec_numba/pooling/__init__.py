"""Pool: from the ids of each text's tokens to its vector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.pooling.kernels import PART, gather_rows, pool_parallel, pool_texts
from model2vec_numba.pooling.narrow import narrow
from model2vec_numba.pooling.table import EmbeddingTable, make_table
from model2vec_numba.threads import segments, threads
from model2vec_numba.tokenization import TokenBatch

__all__ = ["EmbeddingTable", "make_table", "narrow", "pool", "rows"]

# Fewer tokens are pooled before the threads have started.
_PARALLEL_TOKENS = 2048


def pool(table: EmbeddingTable, tokens: TokenBatch, normalize: bool, out: NDArray[np.float32]) -> None:
    """Write the vector of each text of `tokens` to its row of `out`, float32 of shape (len(tokens), dim)."""
    arguments = (table.elements, table.factors, table.mapping, table.scale, tokens.ids, tokens.offsets, normalize)
    with threads(len(tokens.ids), _PARALLEL_TOKENS) as count:
        if count == 1:
            pool_texts(*arguments, 0, len(tokens), len(tokens.ids), out)
        else:
            long_texts = np.flatnonzero(np.diff(tokens.offsets) > PART)
            pool_parallel(*arguments, segments(tokens.offsets, count), long_texts, count, out)


def rows(table: EmbeddingTable, ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """The weighted row of each of `ids`, float32 of shape (ids, dim)."""
    out = np.empty((len(ids), table.dim), np.float32)
    gather_rows(table.elements, table.factors, table.mapping, table.scale, ids, out)
    return out
