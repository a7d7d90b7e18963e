"""Models that are exchanged with sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import corpus, new_tokenizer, random_matrix, sample_texts, train_tokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba import StaticModel, quantization_ranges, quantize_model, semantic_search

sentence_transformers = pytest.importorskip("sentence_transformers")

WORDS = tuple(f"w{i}" for i in range(299))
TEXTS = ["w0 w1 w2", "w298", " ".join(WORDS), "w5 w5 w5 w77 w8"]


def peer_vectors(folder: Path, texts: list[str]) -> NDArray[Any]:
    vectors: NDArray[Any] = sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True).encode(texts)
    return vectors


CONVERSIONS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float16": {"quantize_to": "float16"},
    "bfloat16": {"quantize_to": "bfloat16"},
    "int8": {"quantize_to": "int8"},
    "int8, a scale a row": {"quantize_to": "int8", "int8_scales": "row"},
    "fewer dimensions": {"dimensionality": 9},
    "vocabulary": {"vocabulary_quantization": 40},
    "vocabulary and int8": {"vocabulary_quantization": 40, "quantize_to": "int8"},
}


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("name", CONVERSIONS)
def test_saved_here(name: str, normalize: bool, tmp_path: Path) -> None:
    """The vectors are equal within the tolerance, also if they are not normalised. The library averages float16 in float16."""
    if "vocabulary_quantization" in CONVERSIONS[name]:
        pytest.importorskip("sklearn")
    model = quantize_model(StaticModel(random_matrix(300, 24, "float32"), new_tokenizer(*WORDS), normalize=normalize), **CONVERSIONS[name])
    model.save_pretrained(tmp_path)
    found = peer_vectors(tmp_path, TEXTS)
    assert np.abs(found - model.encode(TEXTS)).max() < {"float16": 2e-3, "bfloat16": 2e-2}.get(name, 2e-6)


def test_int8_without_weights(tmp_path: Path) -> None:
    """The library refuses an int8 matrix without weights, so they are saved. The model of this package is one."""
    models = (StaticModel(random_matrix(300, 24, "int8"), new_tokenizer(*WORDS)), StaticModel.from_pretrained())
    for model, texts in zip(models, (TEXTS, ["Cats purr when they are happy.", "The stock market fell today."]), strict=True):
        assert model.weights is None and model.embedding_dtype == "int8"
        folder = tmp_path / str(model.dim)
        model.save_pretrained(folder)
        vectors = model.encode(texts)
        np.testing.assert_allclose(peer_vectors(folder, texts), vectors, atol=2e-6 * np.abs(vectors).max())


def make_tokenizer(kind: str) -> Tokenizer:
    tokenizer = train_tokenizer(kind, corpus())
    tokenizer.no_truncation()
    return tokenizer


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("kind", ["wordpiece-uncased", "wordpiece-cased", "unigram", "byte-bpe"])
def test_saved_there(kind: str, normalize: bool, tmp_path: Path) -> None:
    """A model of 1,024 dimensions with a trained tokenizer. The library counts unknown tokens, so texts with them are left out."""
    from sentence_transformers import models

    tokenizer = make_tokenizer(kind)
    weights = random_matrix(tokenizer.get_vocab_size(), 1024, "float32")
    modules = [models.StaticEmbedding(tokenizer, embedding_weights=weights), *([models.Normalize()] if normalize else [])]
    peer = sentence_transformers.SentenceTransformer(modules=modules, device="cpu")
    peer.save(str(tmp_path))
    model = StaticModel.from_sentence_transformers(tmp_path, max_length=None)
    assert (model.dim, model.normalize) == (1024, normalize)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(sample_texts(120), add_special_tokens=False)]
    known = [(text, tokens) for text, tokens in zip(sample_texts(120), ids, strict=True) if tokens and model.unk_token_id not in tokens]
    assert len(known) > 30
    texts = [text for text, _ in known]
    assert model.tokenize(texts) == [tokens for _, tokens in known]
    # The library sums long texts in float32.
    assert np.abs(peer.encode(texts) - model.encode(texts)).max() < (2e-6 if normalize else 2e-5)


def test_there_and_back(tmp_path: Path) -> None:
    """A model is saved by this package, loaded and saved by the library, and loaded by this package."""
    model = StaticModel(random_matrix(300, 24, "float32"), new_tokenizer(*WORDS), normalize=True)
    model.save_pretrained(tmp_path / "ours")
    sentence_transformers.SentenceTransformer(str(tmp_path / "ours"), device="cpu", local_files_only=True).save(str(tmp_path / "theirs"))
    np.testing.assert_array_equal(StaticModel.from_pretrained(tmp_path / "theirs").encode(TEXTS), model.encode(TEXTS))


@pytest.mark.parametrize("dim", [24, 16, 9])
@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_precisions(precision: str, dim: int) -> None:
    """The elements are those of `quantize_embeddings`, to the bit."""
    from sentence_transformers.util.quantization import quantize_embeddings

    model = StaticModel(random_matrix(300, 24, "float32"), new_tokenizer(*WORDS), normalize=True)
    texts = [*TEXTS, "", *(" ".join(WORDS[i : i + 1 + i % 7]) for i in range(290))]
    vectors = model.encode(texts, dimensionality=dim)
    ranges = quantization_ranges(vectors[:100])
    # A dimension that is constant in the sample.
    ranges[1, 0] = ranges[0, 0]
    chosen: dict[str, Any] = {"ranges": ranges} if precision in {"int8", "uint8"} else {}
    right = quantize_embeddings(vectors, precision=precision, **chosen)
    found = model.encode(texts, dimensionality=dim, precision=precision, **chosen)
    assert found.dtype == right.dtype
    np.testing.assert_array_equal(found, right)
    if chosen:
        # The ranges of a sample.
        right = quantize_embeddings(vectors, precision=precision, calibration_embeddings=vectors[:100])
        np.testing.assert_array_equal(model.encode(texts, dimensionality=dim, precision=precision, ranges=quantization_ranges(vectors[:100])), right)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_truncate_dim(again: bool, normalize: bool, tmp_path: Path) -> None:
    model = StaticModel(random_matrix(300, 24, "float32"), new_tokenizer(*WORDS), normalize=normalize)
    model.save_pretrained(tmp_path)
    peer = sentence_transformers.SentenceTransformer(str(tmp_path), device="cpu", local_files_only=True)
    for precision in ("float32", "binary", "ubinary"):
        arguments: dict[str, Any] = {"truncate_dim": 10, "normalize_embeddings": again, "precision": precision}
        found, right = model.encode(TEXTS, **arguments), peer.encode(TEXTS, **arguments)
        assert (found.dtype, found.shape) == (right.dtype, right.shape)
        assert np.abs(found.astype(np.float64) - right).max() < 2e-6


def test_similarity(tmp_path: Path) -> None:
    model = StaticModel(random_matrix(300, 24, "float32"), new_tokenizer(*WORDS))
    model.save_pretrained(tmp_path)
    peer = sentence_transformers.SentenceTransformer(str(tmp_path), device="cpu", local_files_only=True)
    vectors = model.encode([*TEXTS, ""])
    for a, b in ((vectors, vectors[:2]), (vectors[0], vectors), (vectors[0], vectors[1])):
        right = peer.similarity(a, b).numpy()
        found = model.similarity(a, b)
        assert found.shape == right.shape
        np.testing.assert_allclose(found, right, atol=1e-6)


def test_search() -> None:
    """The hits of `semantic_search`, for which vectors are normalised first."""
    from sentence_transformers.util import semantic_search as peer_search

    model = StaticModel(random_matrix(300, 24, "float32"), new_tokenizer(*WORDS), normalize=True)
    vectors = model.encode([" ".join(WORDS[i : i + 3]) for i in range(290)])
    found = semantic_search(vectors[:7], vectors, top_k=5)
    for hits, scores, indices in zip(peer_search(vectors[:7], vectors, top_k=5), *found, strict=True):
        assert [hit["corpus_id"] for hit in hits] == indices.tolist()
        np.testing.assert_allclose([hit["score"] for hit in hits], scores, atol=1e-6)
