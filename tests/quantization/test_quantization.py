"""Quantised models, and saved models, against NumPy, ml_dtypes, scikit-learn, the safetensors package and model2vec."""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from helpers import DTYPES, ModelBytes, model_bytes, new_tokenizer, random_matrix, random_parts, write_model
from hypothesis import given
from hypothesis import strategies as st
from model2vec import StaticModel as PeerModel
from numpy.typing import NDArray
from reference import Reference, assert_close
from safetensors.numpy import load_file

from model2vec_numba import ModelFormatError, StaticModel, quantize_model
from model2vec_numba.dtypes import STORAGE_DTYPES
from model2vec_numba.files.atomic import Output
from model2vec_numba.quantization.tables import to_bfloat16

WORDS = tuple(f"w{i}" for i in range(299))
TEXTS = ["w0 w1 w2", "w298", "", "unknown", " ".join(WORDS), "w5 w5 w5 w77 unknown w8"]
FILES = {"config.json", "tokenizer.json", "model.safetensors", "modules.json", "README.md"}


def make(dtype: str = "float32", *, weights: bool = False, mapping: bool = False, dim: int = 24, **arguments: Any) -> StaticModel:
    parts = random_parts(300, dim, dtype, weights=weights, mapping=mapping)
    return StaticModel(parts["embeddings"], new_tokenizer(*WORDS), weights=parts.get("weights"), token_mapping=parts.get("mapping"), **arguments)


def wide(model: StaticModel) -> NDArray[np.float64]:
    """Return the stored matrix in float64, without the scale."""
    matrix = model.embedding.view(ml_dtypes.bfloat16) if model.embedding_dtype == "bfloat16" else model.embedding
    return matrix.astype(np.float64)


def token_rows(model: StaticModel) -> NDArray[np.float64]:
    """Return the weighted row of each token in float64."""
    rows = wide(model) if model.token_mapping is None else wide(model)[model.token_mapping]
    return rows if model.weights is None else rows * model.weights.astype(np.float64)[:, None]


# Storage types


@pytest.mark.parametrize(("weights", "mapping"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", STORAGE_DTYPES)
@pytest.mark.parametrize("scales", ["matrix", "row"])
def test_every_type_to_every_other(source: str, target: str, scales: Any, weights: bool, mapping: bool) -> None:
    """The row of a token changes by at most half a step of the new type."""
    model = make(source, weights=weights, mapping=mapping)
    before = token_rows(model)
    smaller = quantize_model(model, quantize_to=target, dimensionality=17, int8_scales=scales)
    assert (smaller.embedding_dtype, smaller.dim, type(smaller)) == (target, 17, StaticModel)
    after, expected = token_rows(smaller), before[:, :17]
    factors = np.ones(300) if model.weights is None else model.weights.astype(np.float64)
    if target == "int8" and source != "int8":
        largest = np.abs(wide(model)).max() if scales == "matrix" else np.abs(wide(model)[:, :17]).max(axis=1)
        if scales == "row" and model.token_mapping is not None:
            largest = largest[model.token_mapping]
        # Half a step. With one scale values are rounded to float16 first, as in model2vec, which adds up to 2**-11 of the value.
        step = np.broadcast_to(largest / 127 * factors, 300)[:, None]
        allowed = 0.5001 * step + np.abs(expected) * (2**-10 if scales == "matrix" else 1e-6)
    else:
        # The smallest numbers of float16 are 2**-24 apart.
        allowed = np.abs(expected) * ({"float16": 2**-11, "bfloat16": 2**-8}.get(target, 0) + 1e-6) + (2**-24 if target == "float16" else 0)
    assert (np.abs(after - expected) <= allowed).all()
    # The original model has not changed.
    np.testing.assert_array_equal(token_rows(model), before)
    assert_close(smaller.encode(TEXTS, normalize=False), means(after))


def means(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vectors of `TEXTS`, not normalised, from the rows of the tokens."""
    ids = [[1 + int(word[1:]) for word in text.split() if word != "unknown"] for text in TEXTS]
    return np.array([rows[tokens].mean(axis=0) if tokens else np.zeros(rows.shape[1]) for tokens in ids])


@pytest.mark.parametrize("source", ["float32", "float16", "float64"])
def test_int8_is_model2vecs(source: str) -> None:
    """The integers are the same. The scale, which model2vec does not store, gives the original values."""
    from model2vec.quantization import quantize_and_reduce_dim

    matrix = random_matrix(9000, 40, source)
    model = StaticModel(matrix, new_tokenizer(*(f"w{i}" for i in range(8999))))
    for dim in (None, 7):
        smaller = quantize_model(model, quantize_to="int8", dimensionality=dim)
        np.testing.assert_array_equal(smaller.embedding, quantize_and_reduce_dim(matrix, "int8", dim))
        assert smaller.weights is not None
        np.testing.assert_allclose(smaller.weights, np.abs(matrix.astype(np.float64)).max() / 127, rtol=2**-10 if source == "float16" else 1e-6)


def test_the_scale_does_not_show_when_normalised() -> None:
    """Equal to the bit: the integers are summed and divided by the norm of the sum, with and without a scale."""
    model = make()
    scaled = quantize_model(model, quantize_to="int8")
    bare = StaticModel(scaled.embedding, new_tokenizer(*WORDS))
    np.testing.assert_array_equal(scaled.encode(TEXTS, normalize=True), bare.encode(TEXTS, normalize=True))
    assert scaled.weights is not None
    np.testing.assert_allclose(scaled.encode(TEXTS, normalize=False), bare.encode(TEXTS, normalize=False) * scaled.weights[0], rtol=1e-6)
    np.testing.assert_allclose(scaled.encode_as_sequence("w3 w4"), bare.encode_as_sequence("w3 w4") * scaled.weights[0], rtol=1e-6)


def test_weights_that_are_all_the_same_are_a_scale() -> None:
    matrix = random_matrix(300, 24, "int8")
    model = StaticModel(matrix, new_tokenizer(*WORDS), weights=np.full(300, 0.01))
    assert model.weights is not None
    np.testing.assert_array_equal(model.weights, np.full(300, 0.01))
    assert_close(model.encode(TEXTS), means(matrix * np.float64(np.float32(0.01))))
    ones = StaticModel(matrix, new_tokenizer(*WORDS), weights=np.ones(300))
    np.testing.assert_array_equal(ones.weights, np.ones(300))
    # A negative weight changes the sign of vectors, and a NaN gives NaNs.
    np.testing.assert_array_equal(StaticModel(matrix, new_tokenizer(*WORDS), weights=np.full(300, -2.0)).encode(TEXTS), -2 * ones.encode(TEXTS))
    assert np.isnan(StaticModel(matrix, new_tokenizer(*WORDS), weights=np.full(300, np.nan)).encode("w1")).all()
    assert not StaticModel(matrix, new_tokenizer(*WORDS), weights=np.zeros(300)).encode("w1").any()


@pytest.mark.parametrize("scales", ["matrix", "row"])
def test_int8_and_back(scales: Any) -> None:
    """Back in float32, the values have the original units, and there is no scale."""
    model = make()
    back = quantize_model(quantize_model(model, quantize_to="int8", int8_scales=scales), quantize_to="float32")
    assert np.abs(token_rows(back) - token_rows(model)).max() < 0.02
    if scales == "matrix":
        assert back.weights is None
        # A second quantisation loses nothing.
        again = quantize_model(back, quantize_to="int8")
        np.testing.assert_array_equal(again.embedding, quantize_model(model, quantize_to="int8").embedding)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
def test_bfloat16_rounds_as_ml_dtypes_does(bits: list[int]) -> None:
    check_bfloat16(np.array(bits, np.uint32))


def test_bfloat16_where_rounding_is_decided() -> None:
    """Every upper half with lower halves around a tie, also infinities, NaNs, and the largest numbers, which become infinite."""
    upper = np.arange(2**16, dtype=np.uint32) << 16
    check_bfloat16((upper[:, None] | np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)).ravel())


def check_bfloat16(bits: NDArray[np.uint32]) -> None:
    values = bits.view(np.float32)
    found = to_bfloat16(values).view(ml_dtypes.bfloat16)
    with np.errstate(all="ignore"):
        expected = values.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(found.view(np.uint16)[numbers], expected.view(np.uint16)[numbers])


@pytest.mark.parametrize("scales", ["matrix", "row"])
def test_rows_of_zeros_and_of_tiny_values(scales: Any) -> None:
    matrix = random_matrix(300, 8, "float32")
    matrix[3], matrix[4] = 0, 1e-44
    smaller = quantize_model(StaticModel(matrix, new_tokenizer(*WORDS)), quantize_to="int8", int8_scales=scales)
    assert not smaller.embedding[3].any() and np.isfinite(token_rows(smaller)).all()
    assert not smaller.encode("w2", normalize=True).any()


@pytest.mark.parametrize("scales", ["matrix", "row"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_int8_of_what_is_not_finite(value: float, scales: Any) -> None:
    matrix = random_matrix(300, 8, "float32")
    matrix[77, 3] = value
    with pytest.raises(ValueError, match=f"row 77 of the embedding matrix holds {value}, expected finite"):
        quantize_model(StaticModel(matrix, new_tokenizer(*WORDS)), quantize_to="int8", int8_scales=scales)


@pytest.mark.parametrize("largest", [1e-40, 1e-6, 1e-4, 1e-3, 1, 6e4, 1e5, 1e30])
@pytest.mark.parametrize("source", ["float32", "float64"])
@pytest.mark.parametrize("scales", ["matrix", "row"])
def test_int8_of_any_magnitude(largest: float, source: str, scales: Any) -> None:
    """Half a step and a little more, also for values that are too large or too small for float16, which model2vec uses in between."""
    matrix = random_matrix(300, 24, source)
    matrix *= largest / np.abs(matrix).max()
    smaller = quantize_model(StaticModel(matrix, new_tokenizer(*WORDS)), quantize_to="int8", int8_scales=scales)
    steps = np.abs(matrix).max() / 127 if scales == "matrix" else np.abs(matrix).max(axis=1, keepdims=True) / 127
    if largest >= 1e-6:
        assert (np.abs(token_rows(smaller) - matrix) <= 0.57 * steps).all()
    assert np.abs(smaller.embedding).max() == 127


def test_scales_of_half_precision_rows() -> None:
    matrix = (random_matrix(300, 24, "float32") * np.geomspace(1e-6, 1, 300, dtype=np.float32)[:, None]).astype(np.float16)
    smaller = quantize_model(StaticModel(matrix, new_tokenizer(*WORDS)), quantize_to="int8", int8_scales="row")
    steps = np.abs(matrix.astype(np.float64)).max(axis=1, keepdims=True) / 127
    assert (np.abs(token_rows(smaller) - matrix) <= 0.5001 * steps).all()


NO_ROOM = [("float32", "float16", 70_000), ("float64", "float32", 1e39), ("float64", "bfloat16", 3.4e38), ("float32", "bfloat16", 3.4e38)]


@pytest.mark.parametrize(("source", "target", "value"), NO_ROOM)
def test_no_room(source: str, target: str, value: float) -> None:
    matrix = random_matrix(300, 8, source)
    matrix[77, 3] = -value
    with pytest.raises(ValueError, match=f"row 77 of the embedding matrix holds .*, which is too large for {target}"):
        quantize_model(StaticModel(matrix, new_tokenizer(*WORDS)), quantize_to=target)


@pytest.mark.parametrize("mapping", [None, np.arange(305) % 310])
def test_more_rows_than_weights(mapping: Any) -> None:
    model = StaticModel(random_matrix(310, 8, "float32"), new_tokenizer(*WORDS), weights=np.linspace(1, 2, 300), token_mapping=mapping)
    smaller = quantize_model(model, quantize_to="int8", int8_scales="row")
    np.testing.assert_allclose(smaller.encode_as_sequence(" ".join(WORDS)), model.encode_as_sequence(" ".join(WORDS)), atol=0.03)


def test_nothing_asked_for_shares_everything() -> None:
    model = make()
    assert quantize_model(model).embedding.base is model.embedding.base
    assert np.shares_memory(quantize_model(model, quantize_to="float32", dimensionality=24).embedding, model.embedding)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantize_to": "int4"}, "quantize_to must be one of float32, float16, bfloat16, float64, int8, not 'int4'"),
        ({"dimensionality": 0}, "dimensionality must be an integer from 1 to 24, not 0"),
        ({"dimensionality": 25}, "from 1 to 24, not 25"),
        ({"dimensionality": True}, "from 1 to 24, not True"),
        ({"int8_scales": "column"}, "int8_scales must be one of matrix, row, not 'column'"),
        ({"vocabulary_quantization": 0}, "vocabulary_quantization must be an integer from 1 to 300, the number of rows, not 0"),
        ({"vocabulary_quantization": 301}, "from 1 to 300, the number of rows, not 301"),
        ({"vocabulary_quantization": 2.5}, "not 2.5"),
        # The error comes before anything is clustered.
        ({"vocabulary_quantization": 5, "quantize_to": "int4"}, "quantize_to"),
        ({"vocabulary_quantization": 5, "dimensionality": 25}, "dimensionality"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model2vec_numba.quantization.clustering._k_means", lambda *_: pytest.fail("it was clustered"))
    with pytest.raises(ValueError, match=message):
        quantize_model(make(), **arguments)


def test_subclasses_and_settings_stay() -> None:
    class Mine(StaticModel):
        pass

    model = Mine(random_matrix(300, 24, "float32"), new_tokenizer(*WORDS), normalize=True, max_length=3, config={"language": ["en"]})
    smaller = quantize_model(model, quantize_to="float16")
    assert type(smaller) is Mine
    assert (smaller.normalize, smaller.max_length, smaller.config["language"], smaller.tokens) == (True, 3, ["en"], model.tokens)
    smaller.normalize = False
    assert model.normalize
    copy = pickle.loads(pickle.dumps(quantize_model(make(), quantize_to="int8")))
    np.testing.assert_array_equal(copy.encode(TEXTS), quantize_model(make(), quantize_to="int8").encode(TEXTS))


# Vocabularies


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
@pytest.mark.parametrize("weights", [False, True])
def test_vocabulary(dtype: str, weights: bool) -> None:
    """Run scikit-learn's k-means once: on the directions of the rows, or on the rows if there are weights."""
    cluster = pytest.importorskip("sklearn.cluster")
    model = make(dtype, weights=weights)
    smaller = quantize_model(model, 40)
    assert (smaller.vocabulary_quantization, smaller.embedding_dtype, smaller.embedding.shape) == (40, dtype, (40, 24))
    points = wide(model).astype(np.float32)
    lengths = np.linalg.norm(points, axis=1)
    if not weights:
        points = points / lengths[:, None]
    expected = cluster.KMeans(40, init="random", n_init=1, random_state=42).fit(points)
    np.testing.assert_array_equal(smaller.token_mapping, expected.labels_)
    factors = model.weights.astype(np.float64) if model.weights is not None else lengths
    tolerance = {"float32": 1e-5, "float16": 1e-3, "bfloat16": 1e-2, "int8": 0.02}[dtype] * np.abs(expected.cluster_centers_).max() * factors[:, None]
    assert (np.abs(token_rows(smaller) - expected.cluster_centers_[expected.labels_] * factors[:, None]) <= tolerance).all()
    with pytest.raises(ValueError, match="already quantised to 40 rows"):
        quantize_model(smaller, 10)


def test_vocabulary_then_the_rest(tmp_path: Path) -> None:
    """All options at once, when a model is loaded and afterwards. With as many clusters as rows only rounding changes the vectors."""
    pytest.importorskip("sklearn")
    model = make()
    model.save_pretrained(tmp_path)
    loaded = StaticModel.from_pretrained(tmp_path, vocabulary_quantization=50, quantize_to="int8", dimensionality=10)
    smaller = quantize_model(model, 50, "int8", 10)
    assert (loaded.vocabulary_quantization, loaded.embedding_dtype, loaded.dim) == (50, "int8", 10)
    np.testing.assert_array_equal(loaded.encode(TEXTS), smaller.encode(TEXTS))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loaded)).encode(TEXTS), smaller.encode(TEXTS))
    whole = quantize_model(model, 300)
    np.testing.assert_allclose(token_rows(whole), token_rows(model), atol=1e-5)


def test_vocabulary_of_int8_in_other_types(default_model: StaticModel) -> None:
    """The centres are converted directly to the requested type, for int8 with a scale a row if requested."""
    pytest.importorskip("sklearn")
    model = make("int8")
    assert len(np.unique(quantize_model(model, 40, "float32").embedding)) > 900
    assert (np.abs(quantize_model(model, 40, "int8", int8_scales="row").embedding).max(axis=1) == 127).all()


def test_vocabulary_of_few_distinct_rows() -> None:
    """There are more clusters than distinct rows. A row of zeros stays a row of zeros."""
    pytest.importorskip("sklearn")
    matrix = random_matrix(10, 8, "float32")[np.arange(300) % 10]
    matrix[5] = 0
    smaller = quantize_model(StaticModel(matrix, new_tokenizer(*WORDS), normalize=True), 40)
    np.testing.assert_allclose(token_rows(smaller), matrix, atol=1e-5)
    assert not smaller.encode("w4").any()


def test_vocabulary_with_a_bar(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    quantize_model(make(), 40, show_progress_bar=True)
    assert "k-means" in capfd.readouterr().err


def test_vocabulary_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"vocabulary_quantization needs sklearn: pip install 'model2vec-numba\[quantization\]'"):
        quantize_model(make(), 40)


# Quality


def sentence_pairs() -> list[tuple[str, str]]:
    """Return pairs of sentences of all degrees of similarity. The second has words dropped, and replaced by words of another sentence."""
    draw = random.Random(8)
    prose = [" ".join(text.split()) for topic in sorted(topics) for text in topics[topic].split("\n\n")]
    sentences = [text[:200] for text in prose if len(text.split()) > 12][:800]
    pairs = []
    for i, sentence in enumerate(sentences):
        words, others = sentence.split(), draw.choice(sentences).split()
        changed = [draw.choice(others) if draw.random() < i / len(sentences) else word for word in words if draw.random() < 0.9]
        pairs.append((sentence, " ".join(changed)))
    return pairs


@pytest.mark.parametrize(("dtype", "scales"), [("int8", "matrix"), ("int8", "row"), ("float16", "matrix"), ("bfloat16", "matrix")])
def test_pairs_are_ranked_as_by_float32(dtype: str, scales: Any, default_model: StaticModel) -> None:
    """The values are those of the bundled model plus random fractions."""
    draw = np.random.default_rng(9)
    matrix = (default_model.embedding + draw.uniform(-0.5, 0.5, default_model.embedding.shape)).astype(np.float32) / 100
    model = StaticModel(matrix, default_model.tokenizer, normalize=True)
    smaller = quantize_model(model, quantize_to=dtype, int8_scales=scales)
    left, right = zip(*sentence_pairs(), strict=True)
    ranks = [np.argsort(np.argsort((m.encode(left) * m.encode(right)).sum(axis=1))) for m in (model, smaller)]
    assert np.corrcoef(ranks)[0, 1] >= 0.999
    # The vectors have the original units.
    vectors, originals = smaller.encode(left, normalize=False).astype(np.float64), model.encode(left, normalize=False).astype(np.float64)
    lengths, original_lengths = np.linalg.norm(vectors, axis=1), np.linalg.norm(originals, axis=1)
    assert abs(np.median(lengths / original_lengths) - 1) < 0.01
    # The rows of punctuation are short. With one scale for all rows they lose most digits.
    if scales == "row" or dtype != "int8":
        np.testing.assert_allclose(lengths, original_lengths, rtol=0.01)
        assert ((vectors * originals).sum(axis=1) / (lengths * original_lengths)).min() >= 0.9999


# Saving


@pytest.fixture(params=[(dtype, weights, mapping) for dtype in DTYPES for weights in (False, True) for mapping in (False, True)], ids=str)
def any_model(request: pytest.FixtureRequest) -> StaticModel:
    dtype, weights, mapping = request.param
    return make(dtype, weights=weights, mapping=mapping, dim=23, normalize=weights, max_length=200)


def test_saved_and_loaded(any_model: StaticModel, tmp_path: Path) -> None:
    any_model.save_pretrained(tmp_path / "new" / "folder")
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == FILES
    loaded = StaticModel.from_pretrained(tmp_path / "new" / "folder")
    assert loaded.config == {**any_model.config, **saved_facts(any_model)}
    assert loaded.embedding_dtype == any_model.embedding_dtype
    np.testing.assert_array_equal(loaded.embedding, any_model.embedding)
    for found, expected in ((loaded.weights, saved_weights(any_model)), (loaded.token_mapping, any_model.token_mapping)):
        assert (found is None) == (expected is None)
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(loaded.encode(TEXTS), any_model.encode(TEXTS))
    assert loaded.tokenize(TEXTS) == any_model.tokenize(TEXTS)


def saved_weights(model: StaticModel) -> Any:
    """Return the weights in the file of a model. sentence-transformers needs some for int8."""
    return np.ones(len(model.tokens)) if model.weights is None and model.embedding_dtype == "int8" else model.weights


def saved_facts(model: StaticModel) -> dict[str, Any]:
    facts: dict[str, Any] = {"embedding_dtype": model.embedding_dtype}
    return facts if model.token_mapping is None else {**facts, "vocabulary_quantization": len(model.embedding)}


@contextmanager
def library_reads(model: StaticModel) -> Iterator[None]:
    """Skip a test if the safetensors package cannot read the file. It expects that NumPy has bfloat16."""
    try:
        yield
    except AttributeError:
        if model.embedding_dtype != "bfloat16":
            raise
        pytest.skip("this version of safetensors does not read bfloat16")


def test_what_is_saved_the_library_reads(any_model: StaticModel, tmp_path: Path) -> None:
    any_model.save_pretrained(tmp_path)
    with library_reads(any_model):
        tensors = load_file(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(tensors["embeddings"].astype(np.float64), wide(any_model))
    for name, expected in (("weights", saved_weights(any_model)), ("mapping", any_model.token_mapping)):
        assert (name in tensors) == (expected is not None)
        if expected is not None:
            np.testing.assert_array_equal(tensors[name], expected)


@pytest.mark.parametrize("dim", [3, 24])
def test_saved_tensors_are_aligned(dim: int, tmp_path: Path) -> None:
    """Each tensor begins at a multiple of the size of its elements."""
    for dtype in DTYPES:
        model = make(dtype, weights=True, mapping=True, dim=dim)
        model.save_pretrained(tmp_path)
        content = (tmp_path / "model.safetensors").read_bytes()
        length = int.from_bytes(content[:8], "little")
        places = {name: 8 + length + entry["data_offsets"][0] for name, entry in json.loads(content[8 : 8 + length]).items()}
        assert all(place % 4 == 0 for name, place in places.items() if name != "embeddings")
        assert places["embeddings"] % model.embedding.itemsize == 0


def test_quantised_rows_are_aligned() -> None:
    """The matrix begins at a cache line."""
    for dtype in DTYPES:
        for target in STORAGE_DTYPES:
            smaller = quantize_model(make(dtype), quantize_to=target, dimensionality=16, int8_scales="row")
            assert smaller.embedding.ctypes.data % 64 == 0


def test_model2vec_reads_what_is_saved(any_model: StaticModel, tmp_path: Path) -> None:
    """The vectors are within the tolerance of the reference and of model2vec."""
    any_model.save_pretrained(tmp_path)
    with library_reads(any_model):
        peer = PeerModel.from_pretrained(tmp_path)
    assert (peer.normalize, peer.max_length) == (any_model.normalize, 200)
    tensors = {"embeddings": peer.embedding}
    tensors |= {name: array for name, array in (("weights", peer.weights), ("mapping", peer.token_mapping)) if array is not None}
    reference = Reference(any_model.tokenizer, tensors)
    assert_close(any_model.encode(TEXTS), reference.encode(TEXTS, 200, any_model.normalize))
    if any_model.embedding_dtype not in ("float16", "bfloat16"):  # which model2vec averages as they are
        assert_close(any_model.encode(TEXTS), peer.encode(TEXTS).astype(np.float64))


@pytest.mark.parametrize(
    "arguments", [{}, {"quantize_to": "float16"}, {"quantize_to": "int8"}, {"dimensionality": 9}, {"vocabulary_quantization": 40}], ids=str
)
def test_what_model2vec_saves_is_read(arguments: dict[str, Any], tmp_path: Path) -> None:
    from model2vec.model import quantize_model as peer_quantize_model

    if "vocabulary_quantization" in arguments:
        pytest.importorskip("sklearn")
    peer = peer_quantize_model(PeerModel(random_matrix(300, 24, "float32"), new_tokenizer(*WORDS), normalize=True), **arguments)
    peer.save_pretrained(tmp_path)
    model = StaticModel.from_pretrained(tmp_path)
    assert model.tokenize(TEXTS) == peer.tokenize(TEXTS)
    widened = PeerModel(peer.embedding.astype(np.float32), peer.tokenizer, weights=peer.weights, token_mapping=peer.token_mapping, normalize=True)
    assert_close(model.encode(TEXTS), widened.encode(TEXTS).astype(np.float64))


@pytest.mark.parametrize("normalize", [False, True])
def test_modules(normalize: bool, tmp_path: Path) -> None:
    """The list of modules, which sentence-transformers reads, is the same as in model2vec."""
    make(normalize=normalize).save_pretrained(tmp_path / "ours")
    PeerModel(random_matrix(300, 24, "float32"), new_tokenizer(*WORDS), normalize=normalize).save_pretrained(tmp_path / "theirs")
    assert [json.loads((tmp_path / side / "modules.json").read_text()) for side in ("ours",)] == [
        json.loads((tmp_path / side / "modules.json").read_text()) for side in ("theirs",)
    ]


def test_the_matrix_begins_with_a_cache_line(tmp_path: Path) -> None:
    make().save_pretrained(tmp_path)
    assert StaticModel.from_pretrained(tmp_path).embedding.ctypes.data % 64 == 0


def test_settings_are_saved_as_they_are_now(tmp_path: Path) -> None:
    model = make(config={"language": ["en"], "vocabulary_quantization": 7}, normalize=True)
    model.normalize, model.max_length = False, None
    model.save_pretrained(tmp_path, subfolder="inside")
    config = json.loads((tmp_path / "inside" / "config.json").read_text())
    assert config == {"language": ["en"], "normalize": False, "max_length": None, "embedding_dtype": "float32"}
    loaded = StaticModel.from_pretrained(tmp_path, subfolder="inside")
    assert (loaded.normalize, loaded.max_length) == (False, None)


def test_the_tokenizer_is_saved_as_it_was(tmp_path: Path, tiny: ModelBytes) -> None:
    folder = write_model(tmp_path / "from", tiny)
    StaticModel.from_pretrained(folder).save_pretrained(tmp_path / "to")
    assert (tmp_path / "to" / "tokenizer.json").read_bytes() == tiny.tokenizer


def test_saving_over_the_folder_of_a_model(tmp_path: Path) -> None:
    make().save_pretrained(tmp_path)
    model = StaticModel.from_pretrained(tmp_path)
    expected = model.encode(TEXTS)
    model.save_pretrained(tmp_path)
    np.testing.assert_array_equal(StaticModel.from_pretrained(tmp_path).encode(TEXTS), expected)
    quantize_model(model, dimensionality=3).save_pretrained(tmp_path)
    np.testing.assert_array_equal(model.encode(TEXTS), expected)
    assert StaticModel.from_pretrained(tmp_path).dim == 3
    # Its files have been replaced, so the pickle holds its contents.
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).encode(TEXTS), expected)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that makes the disk full after a number of writes."""

    def fail_after(writes: int) -> None:
        write, left = Output.write, iter(range(writes))

        def write_or_fail(self: Output, data: Any) -> None:
            if next(left, None) is None:
                raise OSError(28, "No space left on device", "model.safetensors")
            write(self, data)

        monkeypatch.setattr(Output, "write", write_or_fail)

    return fail_after


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("files", range(len(FILES)))
def test_nothing_has_its_name_before_all_is_on_the_disk(files: int, error: BaseException, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whichever file does not fit on the disk, the folder keeps its model. Some file systems report that only when a file is synchronised."""
    model = make()
    model.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    synchronise, left = os.fsync, iter(range(files))

    def fail(descriptor: int) -> None:
        if next(left, None) is None:
            raise error
        synchronise(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)):
        quantize_model(model, dimensionality=3).save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("writes", [0, 1, 4])
def test_a_disk_that_is_full(writes: int, failing: Callable[[int], None], tmp_path: Path) -> None:
    """The old files stay, and no other file is left."""
    model = make()
    model.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    failing(writes)
    with pytest.raises(OSError, match="No space left"):
        quantize_model(model, quantize_to="int8").save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(OSError, match="file"):
        make().save_pretrained(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "here"


# Cards


def test_norwegian(tmp_path: Path, tiny: ModelBytes) -> None:
    """YAML reads its code `no` as false."""
    folder = write_model(tmp_path / "from", tiny)
    (folder / "README.md").write_text("---\nlanguage: [en, no]\n---\n")
    StaticModel.from_pretrained(folder).save_pretrained(tmp_path / "to")
    written = (tmp_path / "to" / "README.md").read_text()
    assert "- 'no'" in written and "false" not in written


def test_names_of_all_kinds(tmp_path: Path) -> None:
    make().save_pretrained(tmp_path, model_name='a "name"\nof two \\ lines')
    written = (tmp_path / "README.md").read_text(encoding="utf-8")
    (code,) = {line for line in written.splitlines() if line.startswith("model = ")}
    assert code == 'model = StaticModel.from_pretrained("a \\"name\\"\\nof two \\\\ lines")'


def test_pickles_hold_no_paths(tiny: ModelBytes, tmp_path: Path) -> None:
    """A path of another operating system cannot be unpickled."""
    model = StaticModel.from_pretrained(write_model(tmp_path, tiny))
    assert b"pathlib" not in pickle.dumps(quantize_model(model, quantize_to="float16"))


def test_pickles_see_weights(tmp_path: Path) -> None:
    """A pickle refers to files. Files with other weights are an error."""
    matrix, tokenizer = random_matrix(300, 8, "float32"), new_tokenizer(*WORDS)
    StaticModel(matrix, tokenizer, weights=np.linspace(1, 2, 300)).save_pretrained(tmp_path)
    pickled = pickle.dumps(StaticModel.from_pretrained(tmp_path))
    StaticModel(matrix, tokenizer, weights=np.linspace(1, 3, 300)).save_pretrained(tmp_path)
    with pytest.raises(ModelFormatError, match="not the model that was pickled"):
        pickle.loads(pickled)


CARDS = {
    "with a head": (
        "---\nlicense: apache-2.0\nbase_model: owner/teacher\nlanguage:\n- en\n- de\n---\nText.",
        {"apache-2.0", "owner/teacher", "- de"},
    ),
    "without a head": ("# A model", set()),
    "broken": ("---\nlicense: [\n---\n", set()),
    "not UTF-8": (b"---\nlicense: \xff\n---\n", set()),
    "absent": (None, set()),
}


@pytest.mark.parametrize("name", CARDS)
def test_cards(name: str, tmp_path: Path, tiny: ModelBytes) -> None:
    """The card keeps the licence, the languages and the base model of the loaded model's card, also after a conversion."""
    card, expected = CARDS[name]
    folder = write_model(tmp_path / "from", tiny)
    if card is not None:
        (folder / "README.md").write_bytes(card if isinstance(card, bytes) else card.encode())
    quantize_model(StaticModel.from_pretrained(folder), quantize_to="float16").save_pretrained(tmp_path / "to", model_name="owner/smaller")
    written = (tmp_path / "to" / "README.md").read_text(encoding="utf-8")
    assert written.startswith("---\n") and "# owner/smaller\n" in written and "float16" in written
    assert all(fact in written for fact in expected)
    assert ("license:" in written) == bool(expected)
    assert PeerModel.from_pretrained(tmp_path / "to").base_model_name == ("owner/teacher" if expected else None)


def test_the_bundled_models_licence_goes_along(default_model: StaticModel, tmp_path: Path) -> None:
    default_model.save_pretrained(tmp_path)
    assert "license: apache-2.0" in (tmp_path / "README.md").read_text(encoding="utf-8")


# Memory


CONVERT = """
    import sys
    from model2vec_numba import ModelFormatError, StaticModel, quantize_model

    def peak():
        [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    small, large, target = sys.argv[1:]
    quantize_model(StaticModel.from_pretrained(small), quantize_to="int8").save_pretrained(target + "-small")
    model = StaticModel.from_pretrained(large)
    before = peak()
    quantize_model(model, quantize_to="int8").save_pretrained(target)
    print(peak() - before)
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_conversion(tmp_path: Path) -> None:
    """100 MB of float32 become 25 MB of int8. The peak grows by 25 MB, but not by a copy of the original or of the result."""
    tokenizer = new_tokenizer(*WORDS)
    large = write_model(tmp_path / "large", model_bytes(tokenizer, {"embeddings": random_matrix(100_000, 256, "float32")}))
    small = write_model(tmp_path / "small", model_bytes(tokenizer, {"embeddings": random_matrix(300, 256, "float32")}))
    command = [sys.executable, "-c", textwrap.dedent(CONVERT), str(small), str(large), str(tmp_path / "to")]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 1.3 * 25.6e6 + 20e6
