"""Exact search against a sort of all scores."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model2vec_numba import StaticModel, quantization_ranges, semantic_search
from model2vec_numba.vectors import products, search
from model2vec_numba.vectors.arrow import as_vectors

TEXTS = ("a warm coat", "cheap bread", "the football team", "apples in the rain", "a black piano")


def sorted_all(queries: NDArray[Any], vectors: NDArray[Any], k: int, precision: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the result of a search, by sorting the scores of all vectors."""
    if precision in {"binary", "ubinary"}:
        a, b = (np.unpackbits(array.view(np.uint8), axis=1).astype(np.int64) for array in (queries, vectors))
        scores: NDArray[Any] = (a[:, None, :] != b[None, :, :]).sum(axis=2)
        order = np.argsort(scores, axis=1, kind="stable")
    else:
        exact = np.float64 if precision == "float32" else np.int64
        single = np.float32 if precision == "float32" else np.int64
        a, b = queries.astype(single).astype(exact), vectors.astype(single).astype(exact)
        with np.errstate(all="ignore"):
            scores = (a[:, None, :] * b[None, :, :]).sum(axis=2).astype(single)
        if precision == "float32":
            scores[:, ~b.any(axis=1)] = -np.inf
            scores[np.isnan(scores)] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")
    order = order[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


def check(queries: NDArray[Any], vectors: NDArray[Any], k: int, precision: str) -> None:
    scores, indices = sorted_all(np.atleast_2d(queries), vectors, k, precision)
    found = semantic_search(queries, vectors, k, precision=None if precision == "float32" else precision)
    assert found.scores.dtype == (np.float32 if precision == "float32" else np.int64)
    assert found.indices.dtype == np.int64
    shape = (*queries.shape[:-1], min(k, len(vectors)))
    assert found.scores.shape == found.indices.shape == shape
    np.testing.assert_array_equal(found.indices.reshape(indices.shape), indices)
    np.testing.assert_array_equal(found.scores.reshape(scores.shape), scores)
    if precision == "float32":
        # Also the signs of zeros.
        np.testing.assert_array_equal(found.scores.reshape(scores.shape).view(np.uint32), scores.view(np.uint32))


def draw(rng: np.random.Generator, rows: int, dim: int, kind: str) -> NDArray[Any]:
    """Return vectors, of which some are equal, some are zero, and some are opposite."""
    values = rng.normal(size=(rows, dim))
    for at in range(1, rows):
        match rng.integers(0, 6):
            case 0:
                values[at] = values[rng.integers(0, at)]
            case 1:
                values[at] = 0
            case 2:
                values[at] = -values[0]
    if kind in {"i1", "u1"}:
        return np.clip(values * 100 + (128 if kind == "u1" else 0), *((0, 255) if kind == "u1" else (-128, 127))).astype(kind)
    return values.astype(kind)


@pytest.mark.parametrize("precision", ["float32", "int8", "binary", "ubinary"])
@given(data=st.data())
def test_random_vectors(precision: str, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    kind = {"float32": data.draw(st.sampled_from(["f2", "f4", "f8", ">f4"])), "int8": "i1", "binary": "i1"}.get(precision, "u1")
    rows, dim, k = data.draw(st.integers(0, 60)), data.draw(st.integers(1, 33)), data.draw(st.integers(1, 70))
    vectors = draw(rng, rows, dim, kind)
    with pytest.MonkeyPatch.context() as patched:
        # Several blocks, and several groups of queries. Both ways for many wanted vectors.
        patched.setattr(search, "_BLOCK", data.draw(st.integers(1, 20)))
        patched.setattr(search, "_VECTORS", data.draw(st.integers(1, 30)))
        patched.setattr(search, "_QUERIES", 3)
        patched.setattr(search, "_ALL_AT_ONCE", data.draw(st.sampled_from([1, 1000])))
        for name in ("_MANY_FLOATS", "_MANY_INTEGERS"):
            patched.setattr(search, name, data.draw(st.sampled_from([0, 20, 10_000])))
        check(draw(rng, data.draw(st.integers(0, 7)), dim, kind), vectors, k, precision)
        check(vectors[:2], vectors, k, precision)
        check(draw(rng, 1, dim, kind)[0], np.repeat(vectors, 2, axis=1)[:, ::2], k, precision)


@pytest.mark.parametrize("kind", ["f4", "f2"])
def test_equal_vectors_have_equal_scores(kind: str) -> None:
    """Equal vectors come in the order of their positions, although the multiplication of matrices rounds them differently."""
    rng = np.random.default_rng(3)
    some = rng.normal(size=(7, 100)).astype(kind)
    vectors = some[rng.integers(0, 7, 3001)]
    for queries in (rng.normal(size=(5, 100)).astype(kind), some[:1], np.zeros((2, 100), kind)):
        found = semantic_search(queries, vectors, 2000)
        for scores, indices in zip(*found, strict=True):
            assert len(np.unique(scores)) <= 7
            assert (np.lexsort((indices, -scores)) == np.arange(len(scores))).all()


@pytest.mark.parametrize("dim", [1, 255, 256, 257, 700])
def test_integers_do_not_overflow(dim: int) -> None:
    rng = np.random.default_rng(dim)
    vectors = rng.choice(np.array((-128, 127), np.int8), (40, dim))
    vectors[::5] = -128
    vectors[1::5] = 127
    check(vectors[:6], vectors, 40, "int8")


@pytest.mark.parametrize("precision", ["int8", "uint8"])
@pytest.mark.parametrize("floats", [False, True], ids=["integers", "floats"])
def test_with_ranges_integers_stand_for_the_middles_of_their_steps(precision: str, floats: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_VECTORS", 50)
    monkeypatch.setattr(search, "_QUERIES", 7)
    rng = np.random.default_rng(8)
    ranges = np.stack([-rng.random(9), rng.random(9) + 0.1]).astype(np.float32)
    steps = (ranges[1] - ranges[0]) / np.float32(255)
    numbers = rng.integers(0, 256, (300, 9))
    middles = ((numbers + 0.5) * steps.astype(np.float64) + ranges[0]).astype(np.float32)
    vectors = (numbers - (128 if precision == "int8" else 0)).astype(precision)
    queries = middles[:7] if floats else vectors[:7]
    found = semantic_search(queries, vectors, 20, ranges=ranges)
    exact = middles[:7].astype(np.float64) @ middles.astype(np.float64).T
    np.testing.assert_allclose(found.scores, -np.sort(-exact, axis=1)[:, :20], atol=1e-5)
    np.testing.assert_allclose(found.scores, np.take_along_axis(exact, found.indices, axis=1), atol=1e-5)
    assert (semantic_search(queries, vectors, 20, precision=precision, ranges=ranges).indices == found.indices).all()


def test_ranges_find_the_vectors_that_float32_finds(default_model: StaticModel) -> None:
    texts = [f"{subject} {verb} {thing}" for subject in ("a cat", "my doctor", "the old bank") for verb in ("buys", "sees") for thing in TEXTS]
    vectors = default_model.encode(texts)
    ranges = quantization_ranges(vectors)
    expected = semantic_search(vectors, vectors, 1).scores
    for precision in ("int8", "uint8"):
        written = default_model.encode(texts, precision=precision, ranges=ranges)
        assert np.abs(semantic_search(written, written, 1, ranges=ranges).scores - expected).max() < 0.05


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
@pytest.mark.parametrize("columns", [1, 2, 4, 7, 8, 12, 32, 100])
def test_bits_without_the_instruction(columns: int, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NumPy's count of bits, and with the table for versions before 2."""
    rng = np.random.default_rng(columns)
    vectors = rng.integers(0, 256, (500, columns), np.uint8).view(np.int8 if precision == "binary" else np.uint8)
    check(vectors[:9], vectors, 30, precision)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    check(vectors[:9], vectors, 30, precision)


def test_infinity_nan_and_extreme_numbers() -> None:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(300, 20)).astype(np.float32)
    vectors[5] = np.nan
    vectors[7, 3] = np.inf
    vectors[8, 3] = -np.inf
    vectors[9:30] *= np.float32(1e30)
    vectors[30:60] *= np.float32(1e-30)
    vectors[60:70] = 0
    queries = np.concatenate([vectors[:70:3], rng.normal(size=(9, 20)).astype(np.float32) * np.float32(1e-25), np.full((1, 20), np.nan, np.float32)])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(search, "_BLOCK", 50)
        patched.setattr(search, "_VECTORS", 50)
        patched.setattr(search, "_QUERIES", 20)
        for k in (1, 10, 300):
            check(queries, vectors, k, "float32")
            check(queries[::-1], vectors, k, "float32")


def test_vectors_whose_squares_are_too_small_for_float32() -> None:
    rng = np.random.default_rng(6)
    vectors = (rng.normal(size=(300, 31)) * 1e-30).astype(np.float32)
    queries = rng.normal(size=(7, 31)).astype(np.float32)
    for k in (1, 12, 300):
        check(queries, vectors, k, "float32")
        check(vectors[:5], vectors, k, "float32")


def test_one_vector_with_nan_does_not_make_the_others_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The products of the other vectors are not computed one by one."""
    counts = []
    real = products._sum_products
    monkeypatch.setattr(products, "_sum_products", lambda first, second: counts.append(len(first)) or real(first, second))
    rng = np.random.default_rng(6)
    vectors = rng.normal(size=(3000, 20)).astype(np.float32)
    vectors[17, 3] = np.nan
    for k in (10, 2000):
        check(vectors[50:60], vectors, k, "float32")
    assert sum(counts) < 2000


def test_a_memory_map(tmp_path: Path, default_model: StaticModel) -> None:
    """The map is read in blocks."""
    texts = [f"text {i % 977} of {i % 13}" for i in range(40_000)]
    vectors = np.lib.format.open_memmap(tmp_path / "vectors.npy", mode="w+", dtype=np.float32, shape=(len(texts), 256))
    default_model.encode(texts, out=vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    queries = default_model.encode(["text 3", "text 976 of 12"])
    tracemalloc.start()
    found = semantic_search(queries, mapped)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
    right = np.argsort(-(queries.astype(np.float64) @ np.asarray(vectors, np.float64).T).astype(np.float32), axis=1, kind="stable")[:, :10]
    np.testing.assert_array_equal(found.indices, right)


def test_texts_of_a_model(default_model: StaticModel) -> None:
    texts = ["", "a cold winter", "She plays the violin.", "", "It is cold today."]
    vectors = default_model.encode(texts)
    scores, indices = semantic_search(default_model.encode("a cold day"), vectors, top_k=9)
    assert set(indices[:2]) == {1, 4} and list(indices[3:]) == [0, 3]
    assert np.isneginf(scores[3:]).all() and (np.diff(scores[:3]) < 0).all()
    for precision in ("binary", "ubinary"):
        bits = default_model.encode(texts, precision=precision)
        found = semantic_search(default_model.encode("a cold day", precision=precision), bits, precision=precision)
        assert set(found.indices[:2]) == {1, 4}
        assert (np.diff(found.scores) >= 0).all()


def test_wrong_arguments() -> None:
    floats, bytes_, unsigned = np.ones((3, 4)), np.ones((3, 4), np.int8), np.ones((3, 4), np.uint8)
    for queries, vectors, precision, message in (
        (bytes_, bytes_, None, "queries of int8 and vectors of int8 need precision='int8' or 'binary'"),
        (unsigned, unsigned, None, "need precision='uint8' or 'ubinary'"),
        (unsigned, unsigned, "int8", "cannot be compared with precision='int8'"),
        (floats, bytes_, None, "queries of float64 and vectors of int8 cannot be compared"),
        (floats, bytes_, "int8", "queries of float64 and vectors of int8 cannot be compared with precision='int8'"),
        (floats, floats, "binary", "cannot be compared with precision='binary'"),
        (["a"], floats, None, "cannot be compared"),
    ):
        with pytest.raises(TypeError, match=message):
            semantic_search(queries, vectors, precision=precision)
    ranges = [[0] * 4, [1] * 4]
    for queries, vectors, precision in ((floats, floats, None), (unsigned, bytes_, None), (bytes_, bytes_, "uint8"), (bytes_, bytes_, "binary")):
        with pytest.raises(TypeError, match="cannot be compared with ranges"):
            semantic_search(queries, vectors, precision=precision, ranges=ranges)
    with pytest.raises(ValueError, match="precision='uint8' needs ranges="):
        semantic_search(unsigned, unsigned, precision="uint8")
    with pytest.raises(ValueError, match=r"ranges must be numbers of shape \(2, 4\)"):
        semantic_search(bytes_, bytes_, ranges=[[0], [1]])
    with pytest.raises(ValueError, match="precision must be None or one of"):
        semantic_search(floats, floats, precision="int4")
    for top_k in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="top_k must be an integer of 1 or more"):
            semantic_search(floats, floats, top_k)  # type: ignore[arg-type]
    for queries, vectors in ((floats, floats[:, :3]), (floats, floats[0]), (floats[None], floats), (floats[:, :0], floats[:, :0])):
        with pytest.raises(ValueError, match="queries must have shape"):
            semantic_search(queries, vectors)


@pytest.mark.parametrize("all_at_once", [False, True])
def test_many_wanted_vectors(all_at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By choosing some vectors first, and by ordering all."""
    for name in ("_MANY_FLOATS", "_MANY_INTEGERS"):
        monkeypatch.setattr(search, name, 1_000_000 if all_at_once else 0)
    rng = np.random.default_rng(11)
    vectors = rng.integers(-3, 4, (9000, 8)).astype(np.float32)
    vectors[::7] = 0
    for k in (500, 3000, 10_000):
        check(vectors[1:6], vectors, k, "float32")
    check(vectors[1:9].astype(np.int8), vectors.astype(np.int8), 2000, "int8")
    check(vectors[1:9].astype(np.uint8), vectors.astype(np.uint8), 2000, "ubinary")
    normal = rng.normal(size=(12_000, 32)).astype(np.float32)
    for k in (300, 1200):
        check(normal[:5], normal, k, "float32")


def memory(queries: NDArray[Any], vectors: NDArray[Any], k: int, precision: str | None = None) -> int:
    """Return the memory that a search takes besides its result."""
    tracemalloc.start()
    found = semantic_search(queries, vectors, k, precision=precision)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - found.scores.nbytes - found.indices.nbytes


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores take 2 MB, and 16 MB if many vectors are wanted. Equal vectors, which bounds do not tell apart, are not all kept."""
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(40_000, 16)).astype(np.float32)
    assert memory(vectors[:1], vectors, 10) < 5e6
    assert memory(vectors[:128], vectors, 10) < 5e6
    assert memory(vectors[:100], vectors, 40_000) < 25e6
    integers = (vectors * 40).astype(np.int8)
    assert memory(integers[:100], integers, 40_000, "int8") < 25e6
    # Each query and vector of one block, 50,000 pairs. There are ten blocks.
    monkeypatch.setattr(search, "_VECTORS", 4000)
    monkeypatch.setattr(search, "_QUERIES", 12)
    equal = np.repeat(vectors[:1], 40_000, axis=0)
    assert memory(equal[:12], equal, 10) < 50_000 * 80


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "binary", "ubinary"])
def test_arrow_columns(precision: str, default_model: StaticModel) -> None:
    pa = pytest.importorskip("pyarrow")
    texts = [*TEXTS, "", "a red car"] * 5
    arguments: dict[str, Any] = {"ranges": quantization_ranges(default_model.encode(texts))} if precision == "int8" else {}
    vectors = default_model.encode(texts, precision=precision, **arguments)
    column = default_model.encode_arrow(pa.array(texts), precision=precision, **arguments)
    given = None if precision.startswith("float") else precision
    expected = semantic_search(vectors[:3], vectors[4:], 9, precision=given)
    column = getattr(column, "combine_chunks", lambda: column)()
    several = pa.chunked_array([column[4:9], column[9:9], column[9:]])
    for searched in (column[4:], several, pa.chunked_array([column[4:]])):
        for asked in (column[:3], vectors[:3], pa.chunked_array([column[:3]])):
            found = semantic_search(asked, searched, 9, precision=given)
            np.testing.assert_array_equal(found.indices, expected.indices)
            np.testing.assert_array_equal(found.scores, expected.scores)
    assert not np.asarray(as_vectors(column, "vectors", nulls=True)).flags.owndata
    assert as_vectors(pa.chunked_array([], column.type), "vectors", nulls=True).shape == (0, vectors.shape[1])
    if precision in {"int8", "float32"}:
        optional = default_model.encode_arrow(pa.array(["a cold day", None, *texts]), precision=precision, **arguments)
        if precision == "int8":
            with pytest.raises(ValueError, match="vectors: 1 of 37 vectors are null: leave them out"):
                semantic_search(vectors[:1], optional, precision="int8")
        else:
            assert semantic_search(vectors[0], optional, 37).indices[-6:].tolist() == [1, 7, 14, 21, 28, 35]
        with pytest.raises(ValueError, match="queries: 1 of 37 vectors are null"):
            semantic_search(optional, vectors, precision=given)


def test_arrow_columns_of_other_kinds() -> None:
    pa = pytest.importorskip("pyarrow")
    kind = pa.list_(pa.float32(), 2)
    # The memory of a null may hold any numbers.
    values = pa.array(np.arange(1, 9, dtype=np.float32))
    column = pa.FixedSizeListArray.from_arrays(values, 2, mask=pa.array([False, True, False, False]))
    assert as_vectors(column, "vectors", nulls=True).tolist() == [[1, 2], [0, 0], [5, 6], [7, 8]]
    assert as_vectors(column[1:3], "vectors", nulls=True).tolist() == [[0, 0], [5, 6]]
    assert as_vectors(pa.array([None, [1, 2]], kind), "vectors", nulls=True).tolist() == [[0, 0], [1, 2]]
    with pytest.raises(ValueError, match="vectors: 1 of 2 vectors hold a null"):
        as_vectors(pa.array([[1, None], [1, 2]], kind), "vectors", nulls=True)
    tensors = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), (2,)), pa.array([[1, 2], [3, 4]], kind))
    assert as_vectors(tensors, "vectors", nulls=True).tolist() == [[1, 2], [3, 4]]
    for bad in (pa.array([[1.0, 2.0]]), pa.array(["a"]), pa.array([[1, 2]], pa.list_(pa.int64(), 2))):
        with pytest.raises(TypeError, match=r"vectors is an Arrow column of .*, expected a list of fixed size"):
            semantic_search([[1.0, 2.0]], bad)
    with pytest.raises(TypeError, match="not a Table: choose a column"):
        semantic_search([[1.0, 2.0]], pa.table({"vector": column}))


def test_a_polars_series_of_vectors() -> None:
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    series = pl.Series([[1.0, 0.0], [0.0, 1.0], None], dtype=pl.Array(pl.Float32, 2))
    assert semantic_search([0.0, 2.0], series, 3).indices.tolist() == [1, 0, 2]
