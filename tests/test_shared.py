"""Real models and real texts of the folder ../shared. The tests are skipped if there is none.

The default run takes a few texts of each file, the exhaustive run more. With the environment variable MODEL2VEC_NUMBA_ALL_TEXTS the exhaustive
run takes all of them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference import TOLERANCE, Reference, assert_close, peer_model
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from model2vec_numba import StaticModel

MODELS = (
    "models/bpe-multilingual-64-f16",
    "models/minilm-256-f16",
    "models/minilm-256-f32",
    "models/minilm-256-i8",
    "models/minilm-256-vq4096",
    "models/unigram-multilingual-64-f16",
    "fixtures/model2vec-rs/test-model-float16",
    "fixtures/model2vec-rs/test-model-float32",
    "fixtures/model2vec-rs/test-model-int8",
    "fixtures/model2vec-rs/test-model-sentence-transformers",
    "fixtures/model2vec-rs/test-model-vocab-quantized",
)
TEXTS = ("edge-cases", "stsb-de", "stsb-en", "stsb-ja", "stsb-ru", "paragraphs", "lines", "long")
_ALL = "MODEL2VEC_NUMBA_ALL_TEXTS" in os.environ


def read_texts(shared: Path, name: str, count: int) -> list[str]:
    """Return about `count` texts of a file, evenly spaced, or all texts of the edge cases."""
    folder = shared / "texts"
    if name == "edge-cases":
        texts: list[str] = json.loads((folder / "edge-cases.json").read_text("utf-8"))
        return texts
    if name.startswith("stsb"):
        texts = (folder / f"{name}.txt").read_text("utf-8").split("\n")
    else:
        book = (folder / "war-and-peace.txt").read_text("utf-8")
        if name == "long":
            # Up to 80,000 characters, far more than `max_length` tokens, also before a text is cut.
            texts = [book[first : first + 10**length] for first in range(0, 400_000, 50_000) for length in (3, 4)] + [book[:80_000]]
        else:
            texts = book.split("\n\n" if name == "paragraphs" else "\n")
    return texts[:: max(1, len(texts) // count)]


def read_tensors(folder: Path) -> dict[str, NDArray[Any]]:
    tensors = load_file(folder / "model.safetensors")
    return {"embeddings" if name in ("embedding.weight", "0") else name: tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("count", [12, pytest.param(10**9 if _ALL else 150, marks=pytest.mark.exhaustive)], ids=["few", "many"])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_on_every_text(name: str, count: int, shared: Path) -> None:
    model = StaticModel.from_pretrained(shared / name)
    tokenizer = Tokenizer.from_file(str(shared / name / "tokenizer.json"))
    tensors = read_tensors(shared / name)
    reference = Reference(tokenizer, tensors)
    peer, exact_peer = peer_model(tokenizer, tensors, "float32"), peer_model(tokenizer, tensors)
    assert model.normalize and model.max_length == 512
    assert model.embedding_dtype == tensors["embeddings"].dtype.name
    assert (model.unk_token_id, model.median_token_length) == (reference.unknown, reference.median_token_length)
    for kind in TEXTS:
        texts = read_texts(shared, kind, count)
        assert len(texts) >= 12
        ids = {max_length: reference.ids(texts, max_length) for max_length in (512, 7, None)}
        for max_length, expected_ids in ids.items():
            assert model.tokenize(texts, max_length=max_length) == expected_ids, f"{kind} {max_length=}"
        found, expected = model.encode(texts), np.array([reference.pool(each, True) for each in ids[512]])
        assert_close(found, expected, f"{kind}, reference")
        agree = reference.peer_agrees(texts, 512)
        assert agree.mean() > 0.4
        if count > 12 or kind in ("edge-cases", "stsb-de", "long"):
            assert_close(found[agree], exact_peer.encode(texts, use_multiprocessing=False)[agree], f"{kind}, model2vec in float64")
        if count > 12:
            # In float32 too, except for texts where model2vec itself is far from the exact result, such as one word 512 times.
            theirs = peer.encode(texts, use_multiprocessing=False)
            exact = np.abs(theirs - expected).max(axis=1) <= TOLERANCE / 2
            assert (agree & ~exact).mean() < 0.02
            assert_close(found[agree & exact], theirs[agree & exact], f"{kind}, model2vec in float32")
        means = np.array([reference.pool(each, False) for each in ids[None]])
        assert_close(model.encode(texts, normalize=False, max_length=None), means, f"{kind}, not normalised")


FIXTURES = "fixtures/model2vec-rs"


@pytest.mark.parametrize(
    ("file", "model", "text"),
    [
        ("embeddings_short.json", "test-model-float32", "hello world"),
        ("embeddings_long.json", "test-model-float32", " ".join(["hello"] * 1000)),
        ("embeddings_vocab_quantized.json", "test-model-vocab-quantized", " ".join(["hello"] * 1000)),
    ],
)
def test_recorded_embeddings(file: str, model: str, text: str, shared: Path) -> None:
    expected = np.array(json.loads((shared / FIXTURES / file).read_text()))
    found = StaticModel.from_pretrained(shared / FIXTURES / model).encode([text])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_recorded_models_of_fewer_bits(dtype: str, shared: Path) -> None:
    expected = StaticModel.from_pretrained(shared / FIXTURES / "test-model-float32").encode("hello world")
    found = StaticModel.from_pretrained(shared / FIXTURES / f"test-model-{dtype}").encode("hello world")
    np.testing.assert_allclose(found, expected, rtol=1e-1)


def test_sentence_transformers_layout(shared: Path) -> None:
    ours = StaticModel.from_pretrained(shared / FIXTURES / "test-model-sentence-transformers")
    same = StaticModel.from_pretrained(shared / FIXTURES / "test-model-float32")
    assert ours.normalize is True
    assert ours.encode("hello world").shape == same.encode("hello world").shape


def test_bundled_model_is_the_shared_one(shared: Path, default_model: StaticModel) -> None:
    """Both were made by the same script. They differ a little if it ran on different machines."""
    other = StaticModel.from_pretrained(shared / "models" / "minilm-256-i8")
    assert default_model.embedding.shape == other.embedding.shape
    assert default_model.tokens == other.tokens
    texts = read_texts(shared, "stsb-en", 150)
    ours, theirs = default_model.encode(texts), other.encode(texts)
    # The sign of a principal component is arbitrary, so the similarities of texts are compared and not their vectors.
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=0.02)
