"""Models that are exchanged with sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import corpus, new_tokenizer, random_matrix, sample_texts, train_tokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba import StaticModel, quantize_model

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
