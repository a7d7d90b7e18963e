"""Choose the vectors with the highest scores, and order them. Vectors with equal scores come in the order of their positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BestVectors", "best_first"]

# If a query keeps this many more entries than twice the number of wanted vectors, bounds do not tell its vectors apart, such as equal ones.
_SPARE = 64
# The number of bits of a sort key, and those of the number of a query.
_KEY, _QUERY = 64, 8

_Exactly = Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.float32]]


class BestVectors:
    """The `k` best vectors so far, for each of some queries.

    Scores may have errors. Then this keeps all vectors that may be among the best ones, until their exact scores are computed: at the end, or when
    there are too many.

    Args:
        queries: the number of queries, at most 256.
        k: the number of vectors for each query.
        dtype: the type of exact scores.
        exactly: returns the exact scores of pairs of a query and a position. ``None``: all scores are exact.
    """

    def __init__(self, queries: int, k: int, dtype: np.dtype[Any], exactly: _Exactly | None) -> None:
        self._k = k
        self._exactly = exactly
        # Only scores above the limit can be among the best ones. Minus infinity: there are fewer than `k` vectors yet.
        self._limits = np.full(queries, -np.inf)
        # The bounds of the errors of the scores below.
        self._errors = np.zeros(queries)
        # Parts of the entries. An entry has the number of the query, the position, and the score. Entries of a query are ordered by positions.
        self._parts = [(np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, dtype))]
        self._count = self._last_count = 0

    def add(self, first: int, scores: NDArray[Any], errors: NDArray[np.float64]) -> None:
        """Add the vectors of a block that may be among the best ones.

        Args:
            first: the position of the first vector. It must be larger than all positions before.
            scores: shape (queries, vectors). Minus infinity does not count. None is NaN.
            errors: the bound of the error of the scores of each query.
        """
        self._raise_limits(scores, errors)
        self._append_candidates(first, scores, errors)
        # Doing this after each block would take longer than the multiplication if `k` is large.
        if self._count > self._last_count + self._last_count // 2:
            self._keep_best()
            if self._exactly is not None and self._count > len(scores) * (2 * self._k + _SPARE):
                self._make_exact(self._exactly)
                self._keep_best()

    def _append_candidates(self, first: int, scores: NDArray[Any], errors: NDArray[np.float64]) -> None:
        """Append an entry for each vector of a block whose score is above the limit."""
        limits = self._limits - errors
        if scores.dtype.kind == "i":
            limits = np.maximum(limits, np.iinfo(scores.dtype).min)
        with np.errstate(over="ignore"):
            # A comparison would convert all scores to the type of the limits.
            limits = limits.astype(scores.dtype)
        found = np.flatnonzero(scores > limits[:, None])
        if len(found):
            queries, columns = np.divmod(found, scores.shape[1])
            self._parts.append((queries.astype(np.uint8), first + columns, scores[queries, columns].astype(self._parts[0][2].dtype, copy=False)))
            self._errors = np.maximum(self._errors, errors)
            self._count += len(found)

    def _raise_limits(self, scores: NDArray[Any], errors: NDArray[np.float64]) -> None:
        """Set the limits of queries that have none, from the scores of a block, if it has `k` vectors."""
        without = np.flatnonzero(np.isneginf(self._limits))
        if len(without) and scores.shape[1] >= self._k:
            known = scores[without]
            place = known.shape[1] - self._k
            known.partition(place, axis=1)
            # Scores that are equal to the last one of the best must be above the limit.
            last = known[:, place]
            below = np.nextafter(last, -np.inf, dtype=last.dtype) if last.dtype.kind == "f" else last - 1
            self._limits[without] = below - errors[without]

    def _make_exact(self, exactly: _Exactly) -> None:
        """Compute the exact scores of all entries. Those with NaN or minus infinity do not count."""
        queries, positions, _ = self._entries()
        scores = exactly(queries, positions)
        counting = scores > -np.inf
        self._parts = [(queries[counting], positions[counting], scores[counting])]
        self._errors[:] = 0

    def _entries(self) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[Any]]:
        """Return the queries, the positions and the scores of all entries."""
        queries, positions, scores = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        return queries, positions, scores

    def _keep_best(self) -> None:
        """Drop the entries that are not among the best `k` of their query, and raise the limits. The others are ordered by queries and positions."""
        queries, positions, scores = self._entries()
        order = best_first(scores, queries=queries)
        ordered_queries, ordered_scores = queries[order], scores[order]
        begins = np.searchsorted(ordered_queries, np.arange(len(self._limits)))
        full = np.flatnonzero(np.bincount(queries, minlength=len(self._limits)) >= self._k)
        lowest = np.full(len(self._limits), -np.inf)
        lowest[full] = ordered_scores[begins[full] + self._k - 1] - self._errors[full]
        np.maximum(self._limits, lowest, out=self._limits)
        keep = np.arange(len(order)) < (begins + self._k)[ordered_queries]
        if self._errors.any():
            # Scores without errors are decided by the order alone.
            bounds = np.where(self._errors == 0, np.inf, lowest - self._errors)
            keep |= ordered_scores >= bounds[ordered_queries]
        chosen = np.zeros(len(order), bool)
        chosen[order[keep]] = True
        kept = np.flatnonzero(chosen)
        kept = kept[np.argsort(queries[kept], kind="stable")]
        self._parts = [(queries[kept], positions[kept], scores[kept])]
        self._count = self._last_count = len(kept)

    def write(self, scores: NDArray[Any], indices: NDArray[np.int64]) -> None:
        """Write the best vectors to the rows of `scores` and `indices`, each of shape (queries, k)."""
        if self._exactly is not None:
            self._keep_best()
            self._make_exact(self._exactly)
        queries, positions, found = self._entries()
        order = best_first(found, queries=queries)
        queries, positions, found = queries[order], positions[order], found[order]
        begins = np.searchsorted(queries, np.arange(len(scores)))
        columns = np.arange(len(order)) - begins[queries]
        best = np.flatnonzero(columns < self._k)
        queries, columns = queries[best], columns[best]
        scores[queries, columns], indices[queries, columns] = found[best], positions[best]
        counts = np.bincount(queries, minlength=len(scores))
        for query in np.flatnonzero(counts < self._k):
            # All other vectors are zero or NaN.
            count = counts[query]
            scores[query, count:] = -np.inf
            indices[query, count:] = np.setdiff1d(np.arange(self._k), indices[query, :count])[: self._k - count]


def best_first(scores: NDArray[Any], k: int | None = None, *, queries: NDArray[np.uint8] | None = None) -> NDArray[np.int64]:
    """Return the order of scores, the highest first. Equal scores keep their order.

    Unsigned integers are sorted, which hold a number for the query, one for the score and one for the place. NumPy sorts them in a tenth of the time
    that a stable sort of the scores takes.

    Args:
        scores: float32, int32, or integers in another type. None is NaN.
        k: the length of the result. ``None``: that of the scores.
        queries: if given, the scores are ordered by them first.
    """
    if not len(scores):
        return np.empty(0, np.int64)
    if scores.dtype == np.float32:
        # The bits of a positive float32 ascend with its value, and those of a negative one descend. Zero and minus zero are equal.
        bits = (scores + np.float32(0)).view(np.int32)
        bits ^= (~bits >> 31) & 0x7FFFFFFF
        keys, size = bits.view(np.uint32).astype(np.uint64), 32
    else:
        highest = scores.max()
        keys, size = (highest - scores).astype(np.uint64), int(highest - scores.min()).bit_length()
    places = (len(scores) - 1).bit_length()
    if queries is not None:
        keys |= queries.astype(np.uint64) << np.uint64(size)
        size += _QUERY
    if size + places > _KEY:
        return np.lexsort((-scores,) if queries is None else (-scores, queries))[:k]
    keys <<= np.uint64(places)
    keys |= np.arange(len(keys), dtype=np.uint64)
    if k is not None and k < len(keys):
        keys.partition(k - 1)
        keys = keys[:k]
    keys.sort()
    order: NDArray[np.int64] = (keys & np.uint64((1 << places) - 1)).view(np.int64)
    return order
