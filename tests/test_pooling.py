"""The kernels against one line of NumPy in float64."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from helpers import DTYPES, random_parts
from numba import njit
from numpy.typing import NDArray
from reference import assert_close

from model2vec_numba.pooling import EmbeddingTable, make_table, narrow, pool, rows
from model2vec_numba.pooling.kernels import make_sum_rows
from model2vec_numba.pooling.widen import widen
from model2vec_numba.tokenization import TokenBatch

SIZE = 500


def table_of(parts: dict[str, NDArray[Any]], dtype: str, size: int = SIZE) -> EmbeddingTable:
    matrix = parts["embeddings"].view(np.uint16) if dtype == "bfloat16" else parts["embeddings"]
    return make_table(matrix, dtype, parts.get("weights"), parts.get("mapping"), size=size, source="test")


def weighted_rows(parts: dict[str, NDArray[Any]], ids: NDArray[np.int32]) -> NDArray[np.float64]:
    rows_of_ids = parts["mapping"][ids] if "mapping" in parts else ids
    weights = parts["weights"][ids] if "weights" in parts else np.ones(len(ids))
    return parts["embeddings"].astype(np.float64)[rows_of_ids] * weights.astype(np.float64)[:, None]


def random_batch(lengths: list[int], seed: int = 3) -> TokenBatch:
    ids = np.random.default_rng(seed).integers(0, SIZE, sum(lengths), np.int32)
    return TokenBatch(ids, np.cumsum([0, *lengths], dtype=np.int64))


# Counts of tokens around the block lengths that kernels may use, and long ones.
LENGTHS = [*range(36), 0, 0, 63, 64, 65, 127, 128, 129, 255, 256, 257, 258, 511, 512, 513, 1000, 3000, 0]


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 256, 300, 1031])
@pytest.mark.parametrize("dtype", DTYPES)
def test_pool(dtype: str, dim: int) -> None:
    batch = random_batch(LENGTHS)
    for weights in (False, True):
        for mapping in (False, True):
            parts = random_parts(SIZE, dim, dtype, weights=weights, mapping=mapping)
            table = table_of(parts, dtype)
            means = np.array([weighted_rows(parts, batch.ids[a:b]).mean(axis=0) if b > a else np.zeros(dim) for a, b in batch.bounds()])
            for normalize in (False, True):
                out = np.full((len(batch), dim), np.nan, np.float32)
                pool(table, batch, normalize, out)
                norms = np.linalg.norm(means, axis=1, keepdims=True)
                expected = np.divide(means, norms, where=norms > 0, out=np.zeros_like(means)) if normalize else means
                assert_close(out, expected, f"{weights=} {mapping=} {normalize=}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_pool_writes_into_a_slice(dtype: str) -> None:
    parts = random_parts(SIZE, 9, dtype, weights=False, mapping=False)
    batch = random_batch([4, 0, 2])
    out = np.full((5, 9), 7, np.float32)
    pool(table_of(parts, dtype), batch, False, out[1:4])
    assert (out[[0, 4]] == 7).all()
    assert not out[2].any()
    assert_close(out[1:2], weighted_rows(parts, batch.ids[:4]).mean(axis=0)[None])
    pool(table_of(parts, dtype), random_batch([]), False, out[:0])
    assert (out[[0, 4]] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_int8_and_long_runs(dtype: str) -> None:
    """The largest magnitudes of int8, -128 among them, summed over runs that would overflow an int16 or lose the low bits of a float32."""
    stored = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    values = np.array([[-128] * 9, [127] * 9, [-1, 0, 1, 2, 3, 5, 7, 11, 13]])
    table = make_table(
        values.astype(stored).view(np.uint16) if dtype == "bfloat16" else values.astype(stored), dtype, None, None, size=3, source="test"
    )
    runs = [[0] * 300, [1] * 300, [0] * 70_000, [1] * 70_000, [0, 1] * 40_000, [*[0, 1] * 999, 2], [*[0] * 65_537, 2], [2] * 70_001]
    batch = TokenBatch(np.concatenate(runs).astype(np.int32), np.cumsum([0, *map(len, runs)], dtype=np.int64))
    out = np.empty((len(runs), 9), np.float32)
    pool(table, batch, False, out)
    assert_close(out, np.array([values[run].mean(axis=0) for run in runs]))


@pytest.mark.parametrize("dim", [1, 2, 7, 64, 256])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows(dtype: str, dim: int) -> None:
    ids = random_batch([200]).ids
    for weights in (False, True):
        for mapping in (False, True):
            parts = random_parts(SIZE, dim, dtype, weights=weights, mapping=mapping)
            found = rows(table_of(parts, dtype), ids)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, weighted_rows(parts, ids), rtol=2e-7, atol=1e-30)
            if not weights:
                np.testing.assert_array_equal(found, weighted_rows(parts, ids).astype(np.float32))
            assert rows(table_of(parts, dtype), ids[:0]).shape == (0, dim)


@njit
def widen_all(elements, out):  # type: ignore[no-untyped-def]
    for i in range(len(elements)):
        out[i] = widen(elements[i])


def test_widen_float16() -> None:
    """On all 65,536 bit patterns, to the bit; NaNs are NaNs."""
    bits = np.arange(2**16).astype(np.uint16)
    found = np.empty(2**16, np.float32)
    widen_all(bits, found)
    expected = bits.view(np.float16).astype(np.float32)
    np.testing.assert_array_equal(found, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(found.view(np.uint32)[numbers], expected.view(np.uint32)[numbers])


def test_widen_bfloat16() -> None:
    bits = np.arange(2**16).astype(np.uint16)
    found = np.empty(2**16, np.float32)
    widen_all(bits.view(np.int16), found)
    np.testing.assert_array_equal(found, bits.view(ml_dtypes.bfloat16).astype(np.float32))
    np.testing.assert_array_equal(np.signbit(found), bits >> 15 == 1)


@pytest.mark.parametrize("dtype", ["int8", "float32", "float64"])
def test_widen_leaves_other_types(dtype: str) -> None:
    values = np.array([-128, -1, 0, 1, 127, 100]).astype(dtype)
    found = np.empty(len(values), np.float64)
    widen_all(values, found)
    np.testing.assert_array_equal(found, values.astype(np.float64))


def test_widen_is_for_compiled_code() -> None:
    with pytest.raises(NotImplementedError):
        widen(np.uint16(0))


def test_narrow() -> None:
    """On all values of half precision, those half-way between two and those beside them, and ten million random ones, as NumPy rounds."""
    values = np.arange(2**16).astype(np.uint16).view(np.float16).astype(np.float32)
    values = np.unique(values[np.isfinite(values)])
    halfway = ((values[1:].astype(np.float64) + values[:-1]) / 2).astype(np.float32)
    beside = np.nextafter(halfway, np.float32(np.inf)), np.nextafter(halfway, np.float32(-np.inf))
    limits = np.array([0.0, -0.0, 1e-45, -1e-45, 65519.996, 65520, -65520, 65536, 1e30, np.inf, -np.inf, np.nan], np.float32)
    random = np.random.default_rng(4).integers(0, 2**32, 10_000_000, np.uint64).astype(np.uint32).view(np.float32)
    for given in (values, halfway, *beside, limits, random):
        with np.errstate(over="ignore", invalid="ignore"):
            expected = given.astype(np.float16)
        found = np.empty((1, len(given)), np.uint16)
        narrow(given[None], found)
        numbers = ~np.isnan(given)
        np.testing.assert_array_equal(found[0][numbers], expected.view(np.uint16)[numbers])
        assert np.isnan(found[0][~numbers].view(np.float16)).all()


@pytest.mark.exhaustive
def test_a_processor_without_half_precision(tmp_path: Path) -> None:
    """Where there are no instructions for it, every number is converted all the same, and float16 is pooled."""
    tests = ["test_widen_float16", "test_narrow", "test_pool[float16-33]", "test_rows[float16-7]"]
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"{__file__}::{name}" for name in tests)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "4 passed" in run.stdout


@pytest.mark.parametrize("dim", [32, 48, 144, 160, 256, 272, 300])
@pytest.mark.parametrize("dtype", DTYPES)
def test_wherever_the_matrix_lies(dtype: str, dim: int) -> None:
    """Rows that begin anywhere in a cache line give the same vectors to the bit, and nothing is written beside them."""
    parts = random_parts(SIZE, dim, dtype, weights=True, mapping=False)
    batch = random_batch(LENGTHS)
    vectors = []
    for at in range(0, 64, parts["embeddings"].itemsize):
        memory = np.full(parts["embeddings"].nbytes + 192, 0x7F, np.uint8)
        begin = -memory.ctypes.data % 64 + at
        matrix = memory[begin : begin + parts["embeddings"].nbytes].view(parts["embeddings"].dtype).reshape(SIZE, dim)
        matrix[:] = parts["embeddings"]
        for weights in ({}, {"weights": parts["weights"]}):
            out = np.empty((len(batch), dim), np.float32)
            pool(table_of({"embeddings": matrix, **weights}, dtype), batch, True, out)
            vectors.append(out.tobytes())
    assert len(set(vectors[::2])) == 1 and len(set(vectors[1::2])) == 1


@pytest.mark.parametrize("stretches", [(144, 128, 256), (144, 128, 128), (80, 64, 128), (80, 64, 64)])
def test_sums_do_not_depend_on_the_processor(stretches: tuple[int, int, int]) -> None:
    """With all stretches that some processor has: the same float32 additions, so the same bits."""
    sum_rows = make_sum_rows(*stretches)

    @njit
    def add(matrix: NDArray[np.float32], chosen: NDArray[np.int64], sums: NDArray[np.float32]) -> None:
        sum_rows(matrix, chosen, chosen, len(chosen), None, (0, 0), sums)

    rng = np.random.default_rng(5)
    for dim in (1, 15, 16, 33, 63, 64, 65, 79, 80, 127, 128, 143, 144, 145, 208, 256, 271, 272, 300):
        matrix = rng.standard_normal((20, dim), np.float32)
        for count in (1, 4, 7, 64):
            chosen = rng.integers(0, len(matrix), count)
            expected = np.zeros(dim, np.float32)
            fours = count - count % 4
            for k in range(0, fours, 4):
                a, b, c, d = matrix[chosen[k : k + 4]]
                expected += (a + b) + (c + d)
            for row in matrix[chosen[fours:]]:
                expected += row
            sums = np.full(dim, np.nan, np.float32)
            add(matrix, chosen, sums)
            np.testing.assert_array_equal(sums, expected, strict=True)
