"""Quantise a vocabulary: tokens whose rows are alike share one."""

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
from model2vec_numba.quantization import quantize_table

__all__ = ["cluster_table"]

_SEED = 42
_MOST_ITERATIONS = 300
# A progress bar moves after so many. Each step looks once more for every row's cluster, which costs as much as an iteration.
_ITERATIONS_PER_STEP = 2


def cluster_table(table: EmbeddingTable, clusters: int, show_progress_bar: bool = False) -> EmbeddingTable:
    """The table with `clusters` rows in float32, found by k-means, and a mapping of the tokens to them.

    As in model2vec, what is clustered are the rows' directions, and their lengths become the tokens' weights, unless the table has weights:
    then the rows are clustered as they are.

    Raises:
        ValueError: `clusters` is not between 1 and the number of rows, or the table has a mapping already, or not only finite values.
        ImportError: scikit-learn is not installed.
    """
    if len(table.mapping):
        raise ValueError(f"the vocabulary is quantised already, to {len(table.matrix)} rows: it cannot be quantised again")
    rows = len(table.matrix)
    expected = f"an integer from 1 to {rows}, the number of rows"
    if checked_count(clusters, "vocabulary_quantization", expected) > rows:
        raise ValueError(f"vocabulary_quantization must be {expected}, not {clusters}")
    k_means = require("sklearn.cluster", "vocabulary_quantization", "quantization").KMeans
    # k-means needs a copy in float32 of its own.
    wide = quantize_table(table, "float32")
    points = wide.matrix.copy() if wide is table else wide.matrix
    points.flags.writeable = True
    if not np.isfinite(points).all():
        row = int(np.argmin(np.isfinite(points).all(axis=1)))
        raise ValueError(f"row {row} of the embedding matrix holds what is not finite: it cannot be clustered")
    weights = table.weights
    if not len(weights):
        weights = np.linalg.norm(points, axis=1)
        # A row of zeros has no direction, and keeps its weight of 0.
        points /= np.where(weights > 0, weights, np.float32(1))[:, None]
    centers, mapping = _k_means(k_means, points, int(clusters), show_progress_bar)
    return replace(wide, matrix=centers, dtype="float32", weights=weights, mapping=mapping.astype(np.int32))


def _k_means(k_means: Any, points: NDArray[np.float32], clusters: int, show_progress_bar: bool) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """The centers of clusters of points, shape (clusters, dim), and the cluster of each point, by scikit-learn's `KMeans`.

    `points` is worked on in place.
    """
    bar = require("tqdm.auto", "show_progress_bar", "cli").tqdm(desc="k-means", unit=" iterations") if show_progress_bar else nullcontext()
    # One start, from points drawn at random: with k-means++, which looks at all points for each center, thousands of clusters took twelve times as
    # long for a sum of squares that is 6 % less.
    start: Any = "random"
    inertia = np.inf
    with bar as advance, warnings.catch_warnings():
        # Where fewer points are distinct than there shall be clusters, some clusters are empty.
        warnings.filterwarnings("ignore", message="Number of distinct clusters")
        for _ in range(0, _MOST_ITERATIONS, _ITERATIONS_PER_STEP):
            found = k_means(clusters, init=start, n_init=1, max_iter=_ITERATIONS_PER_STEP, random_state=_SEED, copy_x=False).fit(points)
            start = found.cluster_centers_
            if advance is not None:
                advance.update(found.n_iter_)
                advance.set_postfix_str(f"inertia {found.inertia_:.6g}")
            if found.n_iter_ < _ITERATIONS_PER_STEP or found.inertia_ >= inertia:
                break
            inertia = found.inertia_
    return np.ascontiguousarray(found.cluster_centers_, np.float32), found.labels_
