"""A slow and simple equivalent of the package: a few lines of `tokenizers` and NumPy, with sums in float64."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from model2vec import StaticModel as PeerModel
from numpy.typing import NDArray
from tokenizers import Tokenizer

__all__ = ["TOLERANCE", "Reference", "assert_close", "in_precision", "peer_model"]

# The largest absolute error of a normalised vector.
TOLERANCE = 2e-6


class Reference:
    """A model that computes vectors slowly.

    Args:
        tokenizer: the tokenizer of `tokenizer.json`.
        tensors: `embeddings`, and optionally `weights` and `mapping`.
    """

    def __init__(self, tokenizer: Tokenizer, tensors: Mapping[str, NDArray[Any]]) -> None:
        self.tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.matrix = np.asarray(tensors["embeddings"]).astype(np.float64)
        vocabulary = self.tokenizer.get_vocab()
        self.weights = tensors.get("weights", np.ones(max(vocabulary.values()) + 1)).astype(np.float64)
        self.mapping = tensors.get("mapping", np.arange(max(vocabulary.values()) + 1)).astype(np.int64)
        model = json.loads(self.tokenizer.to_str())["model"]
        self.unknown = model["unk_id"] if "unk_id" in model else vocabulary.get(model.get("unk_token"))
        self.median_token_length = int(np.median([len(token) for token in vocabulary]))

    def raw_ids(self, texts: Sequence[str], max_length: int | None) -> list[list[int]]:
        """Return the ids of each text, with unknown ids. The text is cut to a number of characters first."""
        end = None if max_length is None else max_length * self.median_token_length
        return [encoding.ids for encoding in self.tokenizer.encode_batch([text[:end] for text in texts], add_special_tokens=False)]

    def ids(self, texts: Sequence[str], max_length: int | None) -> list[list[int]]:
        """Return the ids of each text: unknown ids are dropped, then the ids are cut."""
        return [[i for i in ids if i != self.unknown][:max_length] for ids in self.raw_ids(texts, max_length)]

    def peer_agrees(self, texts: Sequence[str], max_length: int | None) -> NDArray[np.bool_]:
        """Return for which texts model2vec 0.10 has the same ids, although it cuts the ids before it drops unknown ones."""
        cut_first = [[i for i in ids[:max_length] if i != self.unknown] for ids in self.raw_ids(texts, max_length)]
        return np.array([a == b for a, b in zip(cut_first, self.ids(texts, max_length), strict=True)], bool)

    def rows(self, ids: Sequence[int]) -> NDArray[np.float64]:
        """Return the weighted row of each id."""
        return self.weights[ids, None] * self.matrix[self.mapping[ids]] if len(ids) else np.zeros((0, self.matrix.shape[1]))

    def pool(self, ids: Sequence[int], normalize: bool) -> NDArray[np.float64]:
        """Return the vector of the ids of one text."""
        vector = self.rows(ids).mean(axis=0) if len(ids) else np.zeros(self.matrix.shape[1])
        norm = np.linalg.norm(vector)
        return vector / norm if normalize and norm > 0 else vector

    def encode(self, texts: Sequence[str], max_length: int | None = 512, normalize: bool = True) -> NDArray[np.float64]:
        """Return the vectors of texts."""
        return np.array([self.pool(ids, normalize) for ids in self.ids(texts, max_length)]).reshape(len(texts), self.matrix.shape[1])


def peer_model(tokenizer: Tokenizer, tensors: Mapping[str, NDArray[Any]], dtype: str = "float64", normalize: bool = True) -> PeerModel:
    """Return Python model2vec with the same values, converted to `dtype`. With float32, its sums over long texts can miss the tolerance."""
    matrix = np.asarray(tensors["embeddings"]).astype(dtype)
    weights, mapping = tensors.get("weights"), tensors.get("mapping")
    return PeerModel(matrix, tokenizer, weights=weights, token_mapping=mapping, normalize=normalize)


def assert_close(found: NDArray[Any], expected: NDArray[Any], what: str = "") -> None:
    """Assert that vectors are within the tolerance. If values are above 1 (int8, not normalised), it is relative to the largest one."""
    assert found.shape == expected.shape, what
    assert np.isfinite(found).all(), what
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    error = (np.abs(found.astype(np.float64) - expected) / scale).max(initial=0)
    assert error <= TOLERANCE, f"{what}: off by {error:.3g}"


def in_precision(vectors: NDArray[np.float32], precision: str, ranges: NDArray[Any] | None) -> NDArray[Any]:
    """Return float32 vectors in a precision, from the definitions of sentence-transformers 6.2. `ranges` is for the integers."""
    with np.errstate(all="ignore"):
        if precision in {"float32", "float16"}:
            return vectors.astype(precision)
        if precision in {"binary", "ubinary"}:
            bits = np.packbits(vectors > 0, axis=-1)
            return bits if precision == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)
        assert ranges is not None
        starts, ends = ranges.astype(np.float32)
        steps = (ends - starts) / np.float32(255)
        steps[steps == 0] = 1
        numbers = np.clip(np.floor((vectors - starts) / steps), 0, 255)
        return numbers.astype(np.uint8) if precision == "uint8" else (numbers - 128).astype(np.int8)
