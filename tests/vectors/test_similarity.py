"""The cosines between vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model2vec_numba import StaticModel
from model2vec_numba.vectors.similarity import cosines


@given(st.data())
def test_cosines(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    dim = data.draw(st.integers(1, 40))
    kind = data.draw(st.sampled_from(["f2", "f4", "f8", "i1"]))
    arrays = [(rng.normal(size=(data.draw(st.integers(0, 6)), dim)) * 9).astype(kind) for _ in range(2)]
    for array in arrays:
        array[rng.random(len(array)) < 0.2] = 0
    a, b = (array.astype(np.float64) for array in arrays)
    norms = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    right = np.divide(a @ b.T, norms, out=np.zeros((len(a), len(b))), where=norms > 0)
    found = cosines(*arrays)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, right, atol=1e-6)
    if len(a) and len(b):
        # One row is one vector.
        np.testing.assert_allclose(cosines(arrays[0][0], arrays[1]), right[:1], atol=1e-6)
        np.testing.assert_allclose(cosines(arrays[0][0], arrays[1][0]), right[:1, :1], atol=1e-6)


def test_of_a_model(default_model: StaticModel) -> None:
    vectors = default_model.encode(["a cold day", "a cold day", "violin", ""], normalize=False)
    found = default_model.similarity(vectors[0], vectors)
    assert found.shape == (1, 4)
    np.testing.assert_allclose(found[0, :2], 1, atol=1e-6)
    assert found[0, 3] == 0 and abs(found[0, 2]) < 0.9
    # Very large and very small numbers.
    np.testing.assert_allclose(
        default_model.similarity(vectors * np.float32(1e30), vectors * np.float32(1e-30)), cosines(vectors, vectors), atol=1e-6
    )


def test_wrong_arguments(default_model: StaticModel) -> None:
    with pytest.raises(ValueError, match="a and b must have the same number of dimensions, not 3 and 4"):
        default_model.similarity(np.zeros(3), np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"b must be floating point or signed integers of .*, not float64 of shape \(1, 1, 3\)"):
        default_model.similarity(np.zeros(3), np.zeros((1, 1, 3)))
    with pytest.raises(ValueError, match="a must be floating point"):
        default_model.similarity(["a"], np.zeros(3))
    with pytest.raises(ValueError, match="not uint8 of shape"):
        default_model.similarity(np.zeros(3), np.zeros(3, np.uint8))
