"""Pooling alone: one storage type compared with the next larger one. Tokens are drawn as words occur: a few of them often."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.pairs import PairTimer
from model2vec_numba.batches import TokenBatch
from model2vec_numba.pooling.kernels import pool
from model2vec_numba.pooling.table import EmbeddingTable, make_table

# Rows and dimensions. The smallest int8 matrix has 1.3 MB, more than the second cache of most processors.
_SIZES = [(10_000, 128), (30_000, 64), (30_000, 256), (30_000, 1024), (120_000, 256), (500_000, 256)]
_TEXTS, _TOKENS = 4000, 50


@pytest.mark.parametrize(("narrow", "wide"), [("float16", "float32"), ("int8", "float16")], ids=["float16-float32", "int8-float16"])
@pytest.mark.parametrize(("rows", "dim"), _SIZES, ids=[f"{rows}x{dim}" for rows, dim in _SIZES])
def test_pool(rows: int, dim: int, narrow: str, wide: str, pair: PairTimer) -> None:
    # Zipf's law: the token of rank r is 1 / r as likely as the first.
    likely = 1 / np.arange(1, rows + 1)
    draw = np.random.default_rng(rows + dim)
    ids = draw.choice(rows, _TEXTS * _TOKENS, p=likely / likely.sum()).astype(np.int32)
    tokens = TokenBatch(ids, np.arange(0, len(ids) + 1, _TOKENS, dtype=np.int64))
    values = draw.integers(-127, 128, (rows, dim), np.int8)
    out: dict[str, NDArray[np.float32]] = {dtype: np.empty((_TEXTS, dim), np.float32) for dtype in (narrow, wide)}
    calls = {dtype: partial(pool, _table(values, dtype), tokens, True, out[dtype]) for dtype in (narrow, wide)}
    for call in calls.values():
        call()
    np.testing.assert_allclose(out[narrow], out[wide], rtol=0, atol=2e-6)
    pair(calls[narrow], calls[wide], peer=wide, texts=_TEXTS, size=len(ids))


def _table(values: NDArray[np.int8], dtype: str) -> EmbeddingTable:
    return make_table(values.astype(dtype), dtype, None, None, size=len(values), source="benchmark")
