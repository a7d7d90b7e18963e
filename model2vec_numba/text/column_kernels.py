"""The kernels that cut and gather the texts of Arrow columns. They have a file of their own, so that `columns.py` can be used without numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled

__all__ = ["cut_lengths", "gather_texts"]


@compiled()
def cut_lengths(data: NDArray[np.uint8], offsets: NDArray[np.int64], max_chars: int, kept: NDArray[np.int64]) -> None:
    """Lower ``kept[i]``, the number of bytes to keep of text ``i``, to the number of bytes of its first `max_chars` code points."""
    for i in range(len(kept)):
        if kept[i] <= max_chars:
            continue
        begin = offsets[i]
        end = begin + kept[i]
        at = begin
        code_points = 0
        while at < end:
            # Each byte that does not continue a code point begins one. The text ends before code point number ``max_chars + 1``.
            code_points += (data[at] & 0xC0) != 0x80
            if code_points > max_chars:
                break
            at += 1
        kept[i] = at - begin


@compiled()
def gather_texts(data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    """Copy text ``i``, which begins at ``data[begins[i]]``, to ``out[ends[i]:ends[i + 1]]``."""
    for i in range(len(begins)):
        shift = begins[i] - ends[i]
        for k in range(ends[i], ends[i + 1]):
            out[k] = data[k + shift]
