"""Pooling without compiled code gives the bits of the kernels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model2vec_numba.batches import TokenBatch, token_batch
from model2vec_numba.pooling import kernels, row_sums
from model2vec_numba.pooling.table import EmbeddingTable, make_table
from model2vec_numba.starting import pooling

_ROWS = 300


def make(rng: np.random.Generator, dtype: str, dim: int, *, weights: bool, mapping: bool) -> EmbeddingTable:
    """Return a table of random numbers, of which some are zero, very large or very small."""
    values = rng.normal(size=(_ROWS, dim)) * 10.0 ** rng.integers(-6, 4, (_ROWS, 1))
    values[rng.random(values.shape) < 0.05] = 0
    values[rng.random(values.shape) < 0.05] *= -0.0
    matrix: NDArray[Any]
    if dtype == "int8":
        matrix = rng.integers(-128, 128, values.shape).astype(np.int8)
    elif dtype == "bfloat16":
        matrix = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    else:
        matrix = values.astype(dtype)
    factors = rng.normal(size=_ROWS).astype(np.float32) if weights else None
    table = make_table(matrix, dtype, factors, rng.integers(0, _ROWS, _ROWS) if mapping else None, size=_ROWS, source="the table")
    return table if weights else dataclasses.replace(table, scale=0.37)


def check(table: EmbeddingTable, tokens: TokenBatch) -> None:
    for normalize in (False, True):
        # Fewer dimensions.
        for dim in {1, table.dim // 2 or 1, table.dim - 1 or 1}:
            right, found = (np.empty((len(tokens), dim), np.float32) for _ in range(2))
            kernels.pool(table, tokens, normalize, right)
            pooling.pool_plainly(table, tokens, normalize, found)
            np.testing.assert_array_equal(found.view(np.uint32), right.view(np.uint32))
        right, found = (np.empty((len(tokens), table.dim), np.float32) for _ in range(2))
        kernels.pool(table, tokens, normalize, right)
        pooling.pool_plainly(table, tokens, normalize, found)
        np.testing.assert_array_equal(found.view(np.uint32), right.view(np.uint32))
        # A text alone is summed in another way.
        for text, (begin, end) in enumerate(tokens.bounds()):
            pooling.pool_plainly(table, token_batch([tokens.ids[begin:end].tolist()]), normalize, found[:1])
            np.testing.assert_array_equal(found[0].view(np.uint32), right[text].view(np.uint32))
    ids = tokens.ids[: tokens.offsets[-1]][:200]
    np.testing.assert_array_equal(pooling.rows_plainly(table, ids).view(np.uint32), kernels.rows(table, ids).view(np.uint32))


@pytest.mark.parametrize("mapping", [False, True])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("dim", [1, 17, 31, 32, 33, 64, 100, 256, 300])
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_lengths(dtype: str, dim: int, weights: bool, mapping: bool) -> None:
    rng = np.random.default_rng(1)
    lengths = [*range(70), 127, 128, 129, 1000, 4095, 4096, 4097, 9000]
    tokens = token_batch([rng.integers(0, _ROWS, length).tolist() for length in lengths])
    check(make(rng, dtype, dim, weights=weights, mapping=mapping), tokens)


@given(st.data())
def test_random_batches(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    dtype, dim = data.draw(st.sampled_from(DTYPES)), data.draw(st.integers(1, 200))
    table = make(rng, dtype, dim, weights=data.draw(st.booleans()), mapping=data.draw(st.booleans()))
    lengths = data.draw(st.lists(st.integers(0, 200), max_size=40))
    check(table, token_batch([rng.integers(0, _ROWS, length).tolist() for length in lengths]))


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("dim", [8, 64])
def test_infinity_and_nan(dtype: str, dim: int) -> None:
    rng = np.random.default_rng(2)
    table = make(rng, dtype, dim, weights=False, mapping=False)
    matrix = table.matrix.copy()
    matrix[rng.random(matrix.shape) < 0.01] = np.inf
    matrix[rng.random(matrix.shape) < 0.01] = np.nan
    table = dataclasses.replace(table, matrix=matrix)
    tokens = token_batch([rng.integers(0, _ROWS, length).tolist() for length in range(70)])
    for normalize in (False, True):
        right, found = (np.empty((len(tokens), dim), np.float32) for _ in range(2))
        kernels.pool(table, tokens, normalize, right)
        pooling.pool_plainly(table, tokens, normalize, found)
        # The sign and the payload of a NaN have no meaning.
        np.testing.assert_array_equal(found, right)


def test_constants_are_those_of_the_kernels() -> None:
    assert (pooling.BLOCK, pooling.CHUNK, pooling.FEW_DIMENSIONS) == (kernels.BLOCK, kernels.CHUNK, kernels._FEW_DIMENSIONS)
    assert (pooling.REGISTERS, pooling.LANES) == (row_sums._SQUARES, row_sums._REGISTER_BITS // 64)
