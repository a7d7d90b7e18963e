"""The cosines between vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["cosines"]


def cosines(a: ArrayLike, b: ArrayLike) -> NDArray[np.float32]:
    """Return the cosine of each vector of `a` with each vector of `b`; see `StaticModel.similarity`."""
    first, second = _units(a, "a"), _units(b, "b")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"a and b must have the same number of dimensions, not {first.shape[1]} and {second.shape[1]}")
    found: NDArray[np.float32] = first @ second.T
    return found


def _units(vectors: ArrayLike, name: str) -> NDArray[np.float32]:
    """Return vectors divided by their norms, float32 of shape (vectors, dim). A zero vector stays zero."""
    array = np.asarray(vectors)
    if array.ndim not in {1, 2} or array.dtype.kind not in "fi":
        raise ValueError(
            f"{name} must be floating point or signed integers of shape (vectors, dim) or (dim,), not {array.dtype} of shape {array.shape}"
        )
    array = np.atleast_2d(array)
    # In float64, the squares of all float32 numbers are finite and not zero.
    norms = np.sqrt(np.einsum("ij,ij->i", array, array, dtype=np.float64))[:, None]
    units: NDArray[np.float32] = np.divide(array, np.where(norms > 0, norms, 1), dtype=np.float64).astype(np.float32)
    return units
