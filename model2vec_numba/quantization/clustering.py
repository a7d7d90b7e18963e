"""Vocabulary quantisation: tokens with similar rows share one row."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.checks import checked_count
from model2vec_numba.extras import require
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.quantization.tables import quantize_table

__all__ = ["cluster_table"]

_SEED = 42
_MAX_ITERATIONS = 300
# The number of iterations between two steps of the progress bar. Each step assigns all rows once more, which costs as much as an iteration.
_ITERATIONS_PER_STEP = 2


def cluster_table(table: EmbeddingTable, clusters: int, show_progress_bar: bool = False) -> EmbeddingTable:
    """Return a table with `clusters` rows in float32, found by k-means, and a mapping from tokens to rows.

    As in model2vec, the rows are divided by their L2 norms and then clustered, and the norms become the weights of the tokens. If the table already
    has weights, the rows are clustered as they are.

    Args:
        table: the table.
        clusters: the number of rows.
        show_progress_bar: whether to show a progress bar on standard error (needs tqdm).

    Raises:
        ValueError: `clusters` is not between 1 and the number of rows, or the table already has a mapping, or a value is not finite.
        ImportError: scikit-learn is not installed, or tqdm if a progress bar is asked for.
    """
    if len(table.mapping):
        raise ValueError(f"the vocabulary is already quantised to {len(table.matrix)} rows and cannot be quantised again")
    rows = len(table.matrix)
    expected = f"an integer from 1 to {rows}, the number of rows"
    if checked_count(clusters, "vocabulary_quantization", expected) > rows:
        raise ValueError(f"vocabulary_quantization must be {expected}, not {clusters}")
    k_means = require("sklearn.cluster", "vocabulary_quantization", "quantization").KMeans
    # k-means changes its input, so it needs a copy.
    as_float32 = quantize_table(table, "float32")
    points = as_float32.matrix.copy() if as_float32 is table else as_float32.matrix
    points.flags.writeable = True
    if not np.isfinite(points).all():
        row = int(np.argmin(np.isfinite(points).all(axis=1)))
        raise ValueError(f"row {row} of the embedding matrix has a value that is not finite, so the rows cannot be clustered")
    weights = table.weights
    if not len(weights):
        weights = np.linalg.norm(points, axis=1)
        # A row of zeros stays zero, and its weight is 0.
        points /= np.where(weights > 0, weights, np.float32(1))[:, None]
    centers, mapping = _k_means(k_means, points, int(clusters), show_progress_bar)
    return replace(as_float32, matrix=centers, dtype="float32", weights=weights, mapping=mapping.astype(np.int32))


def _k_means(k_means: Any, points: NDArray[np.float32], clusters: int, show_progress_bar: bool) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return the centers of the clusters, shape (clusters, dim), and the cluster of each point, shape (points,).

    Args:
        k_means: the class `KMeans` of scikit-learn.
        points: shape (points, dim). It is changed.
        clusters: the number of clusters.
        show_progress_bar: whether to show a progress bar.
    """
    bar = require("tqdm.auto", "show_progress_bar", "cli").tqdm(desc="k-means", unit=" iterations") if show_progress_bar else nullcontext()
    # One run that starts from random points. k-means++ looks at all points for each center: for thousands of clusters it took twelve times as
    # long, and the sum of squares was 6 % smaller.
    start: Any = "random"
    inertia = np.inf
    with bar as advance, warnings.catch_warnings():
        # If there are fewer distinct points than clusters, some clusters are empty.
        warnings.filterwarnings("ignore", message="Number of distinct clusters")
        for _ in range(0, _MAX_ITERATIONS, _ITERATIONS_PER_STEP):
            found = k_means(clusters, init=start, n_init=1, max_iter=_ITERATIONS_PER_STEP, random_state=_SEED, copy_x=False).fit(points)
            start = found.cluster_centers_
            if advance is not None:
                advance.update(found.n_iter_)
                advance.set_postfix_str(f"inertia {found.inertia_:.6g}")
            if found.n_iter_ < _ITERATIONS_PER_STEP or found.inertia_ >= inertia:
                break
            inertia = found.inertia_
    return np.ascontiguousarray(found.cluster_centers_, np.float32), found.labels_
