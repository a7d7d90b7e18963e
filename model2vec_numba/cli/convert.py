"""A report on a converted model: the sizes of both models, and how much the vectors changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.cli.info import FileSizes
from model2vec_numba.model import StaticModel

__all__ = ["compare"]

_SAMPLE = Path(__file__).with_name("sample.txt")


def compare(before: StaticModel, before_sizes: FileSizes, after: StaticModel, after_sizes: FileSizes) -> str:
    """Return a table of both models' storage and size on disk, and the cosines between their vectors of sample texts.

    If a model has fewer dimensions, the missing dimensions count as zeros. The cosine is then the part of a vector's norm that remains.
    """
    rows = [("", "stored as", "rows", "dimensions", "tensors", "all files")]
    for name, model, sizes in (("before", before, before_sizes), ("after", after, after_sizes)):
        stored = model.embedding_dtype + (" and weights" if model.weights is not None else "")
        rows.append((name, stored, f"{len(model.embedding):,}", f"{model.dim:,}", _megabytes(sizes.tensors), _megabytes(sizes.all)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), row[1].ljust(widths[1]), *map(str.rjust, row[2:], widths[2:])]) for row in rows]
    cosines = _cosines(before, after)
    if len(cosines):
        lines.append(f"cosine with the original, {len(cosines)} sample texts: mean {cosines.mean():.5f}, worst {cosines.min():.5f}")
    else:
        lines.append("cosine with the original: the sample texts have no tokens in this vocabulary")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _cosines(before: StaticModel, after: StaticModel) -> NDArray[Any]:
    """Return the cosine between the two models' vectors of each sample text that has tokens, shape (texts,)."""
    texts = _SAMPLE.read_text(encoding="utf-8").splitlines()
    original = before.encode(texts, normalize=True).astype(np.float64)
    converted = np.zeros(original.shape)
    converted[:, : after.dim] = after.encode(texts, normalize=True)
    has_tokens = original.any(axis=1)
    cosines: NDArray[Any] = (original * converted).sum(axis=1)[has_tokens]
    return cosines


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.2f} MB"
