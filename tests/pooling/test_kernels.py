"""The pooling kernels against one line of NumPy in float64."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from helpers import DTYPES, random_parts
from numba import njit
from numpy.typing import NDArray
from reference import assert_close

from model2vec_numba.batches import TokenBatch
from model2vec_numba.pooling import kernels
from model2vec_numba.pooling.kernels import BLOCK, CHUNK, make_sum_rows, pool, pool_long_text, rows
from model2vec_numba.pooling.row_sums import AHEAD
from model2vec_numba.pooling.table import EmbeddingTable, make_table

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


# Numbers of tokens around the lengths of blocks, and long ones.
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


@pytest.mark.parametrize("dim", [16, 48, 256, 300])
@pytest.mark.parametrize("dtype", DTYPES)
def test_fewer_dimensions(dtype: str, dim: int) -> None:
    """If the output has fewer columns, the vectors are those of a matrix that has only these, to the bit."""
    batch = random_batch(LENGTHS)
    for weights in (False, True):
        parts = random_parts(SIZE, dim, dtype, weights=weights, mapping=weights)
        table = table_of(parts, dtype)
        for cut in (1, 7, 15, 16, 17, 31, 32, 33, 64, 100, 255):
            if cut < dim:
                smaller = table_of({**parts, "embeddings": np.ascontiguousarray(parts["embeddings"][:, :cut])}, dtype)
                for normalize in (False, True):
                    found, expected = np.empty((2, len(batch), cut), np.float32)
                    pool(table, batch, normalize, found)
                    pool(smaller, batch, normalize, expected)
                    assert found.tobytes() == expected.tobytes(), f"{weights=} {cut=} {normalize=}"


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
    """Sums of the largest int8 magnitudes, also -128, over runs that would overflow an int16 or lose the low bits of a float32."""
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


@pytest.mark.parametrize("dim", [32, 48, 144, 160, 256, 272, 300])
@pytest.mark.parametrize("dtype", DTYPES)
def test_wherever_the_matrix_lies(dtype: str, dim: int) -> None:
    """The vectors are the same to the bit wherever in a cache line the rows begin."""
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


@pytest.mark.parametrize("tiles", [(128, 144, 256), (128, 144, 128), (64, 80, 128), (96, 80, 96)])
def test_sums_do_not_depend_on_the_processor(tiles: tuple[int, int, int]) -> None:
    """The sizes of tiles depend on the processor. The float32 additions are the same for all sizes, and so are the bits."""
    sum_rows = make_sum_rows(*tiles)

    @njit
    def add(matrix: NDArray[np.float32], chosen: NDArray[np.int32], at: int, count: int, sums: NDArray[np.float32]) -> None:
        sum_rows(matrix, chosen, at, count, None, (0, 0), sums)

    rng = np.random.default_rng(5)
    for dim in (1, 15, 16, 33, 63, 64, 65, 79, 80, 96, 112, 127, 128, 143, 144, 145, 176, 192, 208, 256, 271, 272, 300, 512):
        matrix = rng.standard_normal((20, dim), np.float32)
        for count in (1, 4, 7, 64):
            rows_of_texts = rng.integers(0, len(matrix), 3 + count + AHEAD, np.int32)
            chosen = rows_of_texts[3 : 3 + count]
            expected = np.zeros(dim, np.float32)
            fours = count - count % 4
            for k in range(0, fours, 4):
                a, b, c, d = matrix[chosen[k : k + 4]]
                expected += (a + b) + (c + d)
            for row in matrix[chosen[fours:]]:
                expected += row
            sums = np.full(dim, np.nan, np.float32)
            add(matrix, rows_of_texts, 3, count, sums)
            np.testing.assert_array_equal(sums, expected, strict=True)


def cancelling(parts: dict[str, NDArray[Any]], length: int) -> TokenBatch:
    """Change tensors, and return a text whose large rows cancel out, so that its vector depends on the order of all additions.

    Every fourth block has large rows. The block after the next one has their negatives.
    """
    matrix = parts["embeddings"]
    quarter = len(matrix) // 4
    if matrix.dtype.itemsize > 1 and matrix.dtype != np.float16:
        # Beyond the digits of float64. In the other types all sums are exact.
        matrix[:quarter] *= 2.0**60
    matrix[quarter : 2 * quarter] = -matrix[:quarter]
    if "mapping" in parts:
        parts["mapping"][:] = np.arange(SIZE) % len(matrix)
    if "weights" in parts:
        parts["weights"][quarter : 2 * quarter] = parts["weights"][:quarter]
    draw = np.random.default_rng(6)
    ids = draw.integers(2 * quarter, 4 * quarter, length, np.int32)
    for at in range(0, length - 3 * BLOCK, 4 * BLOCK):
        large = draw.integers(0, quarter, BLOCK, np.int32)
        ids[at : at + BLOCK] = large
        ids[at + 2 * BLOCK : at + 3 * BLOCK] = large + quarter
    return TokenBatch(ids, np.array([0, length], np.int64))


@pytest.mark.parametrize("mapping", [False, True], ids=["", "mapping"])
@pytest.mark.parametrize("weights", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_pool_long_text(dtype: str, weights: bool, mapping: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to `pool` to the bit, with the parallel kernel and with the package's threads."""
    monkeypatch.setattr(kernels, "PARALLEL_TOKENS", 0)
    monkeypatch.setattr(kernels, "_PARALLEL_CHUNKS_AT_ONCE", 4)
    for dim in (2, 48):
        for length in (0, 1, BLOCK + 1, CHUNK, CHUNK + 1, 11 * CHUNK + 7):
            parts = random_parts(SIZE, dim, dtype, weights=weights, mapping=mapping)
            batch = cancelling(parts, length)
            table = table_of(parts, dtype)
            for normalize in (False, True):
                expected = np.empty((1, dim), np.float32)
                pool(table, batch, normalize, expected)
                found = np.full((2, dim), np.nan, np.float32)
                pool_long_text(table, batch.ids, normalize, found[0], 2)
                with monkeypatch.context() as patch:
                    patch.setattr(kernels, "address_of", lambda *_: None)
                    pool_long_text(table, batch.ids, normalize, found[1], 2)
                assert found[0].tobytes() == found[1].tobytes() == expected.tobytes(), f"{dim=} {length=} {normalize=}"
