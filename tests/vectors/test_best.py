"""The order of scores against a sort by several keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model2vec_numba.vectors import best
from model2vec_numba.vectors.best import best_first


def draw(rng: np.random.Generator, kind: str, count: int) -> NDArray[Any]:
    if kind == "float32":
        # All patterns of bits but NaN, and many equal numbers.
        scores = rng.integers(0, 1 << 32, count, dtype=np.uint32).view(np.float32)
        some = np.array([0, -0.0, np.inf, -np.inf, 1, -1, 1e-45, -1e-45, np.finfo(np.float32).max], np.float32)
        return np.where(np.isnan(scores) | (rng.random(count) < 0.5), rng.choice(some, count), scores)
    return rng.integers(-9, 9, count).astype(kind) * rng.choice([1, 1000], count).astype(kind)


@pytest.mark.parametrize("bits", [64, 20])
@pytest.mark.parametrize("kind", ["float32", "float64", "int32", "int64"])
def test_order(kind: str, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 20 bits, no number can hold a score and a place."""
    monkeypatch.setattr(best, "_KEY", bits)
    rng = np.random.default_rng(5)
    for count in (0, 1, 2, 3, 16, 17, 1000, 5000):
        scores, queries = draw(rng, kind, count), rng.integers(0, 128, count).astype(np.uint8)
        expected = np.lexsort((-scores,))
        for k in (None, 1, 2, 15, 16, 999, 6000):
            np.testing.assert_array_equal(best_first(scores, k), expected[:k])
        np.testing.assert_array_equal(best_first(scores, queries=queries), np.lexsort((-scores, queries)))
    np.testing.assert_array_equal(best_first(np.full(100, np.inf, np.float32)), np.arange(100))
