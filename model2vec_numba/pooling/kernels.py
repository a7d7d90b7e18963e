"""Pool: the mean of the rows of each text's tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from model2vec_numba.pooling.widen import widen

__all__ = ["gather_rows", "pool_texts"]


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def pool_texts(
    matrix: NDArray[Any],
    weights: NDArray[np.float32],
    mapping: NDArray[np.int32],
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    normalize: bool,
    out: NDArray[np.float32],
) -> None:
    """Write each text's vector to its row of `out`, float32 of shape (texts, dim).

    The vector is the mean over the tokens of ``weights[id] * matrix[mapping[id]]`` (empty `weights` and `mapping` stand for ones and the
    identity), divided by its L2 norm if `normalize`. No tokens, or a zero mean, give zeros. The rows are added in the order of the tokens.
    """
    for text in prange(len(offsets) - 1):
        vector = out[text]
        vector[:] = 0
        first, last = offsets[text], offsets[text + 1]
        for at in range(first, last):
            token = ids[at]
            row = matrix[mapping[token] if len(mapping) else token]
            weight = weights[token] if len(weights) else np.float32(1)
            for d in range(len(vector)):
                vector[d] += weight * widen(row[d])
        if last > first:
            scale = np.float32(1) / np.float32(last - first)
            square = np.float64(0)
            for d in range(len(vector)):
                vector[d] *= scale
                square += np.float64(vector[d]) * np.float64(vector[d])
            if normalize and square > 0:
                norm = np.float32(np.sqrt(square))
                for d in range(len(vector)):
                    vector[d] /= norm


@njit(nogil=True, cache=True, error_model="numpy")
def gather_rows(
    matrix: NDArray[Any],
    weights: NDArray[np.float32],
    mapping: NDArray[np.int32],
    ids: NDArray[np.int32],
    out: NDArray[np.float32],
) -> None:
    """Write ``weights[id] * matrix[mapping[id]]`` for each of `ids` to its row of `out`, float32 of shape (ids, dim)."""
    for at in range(len(ids)):
        token = ids[at]
        row = matrix[mapping[token] if len(mapping) else token]
        weight = weights[token] if len(weights) else np.float32(1)
        for d in range(out.shape[1]):
            out[at, d] = weight * widen(row[d])
