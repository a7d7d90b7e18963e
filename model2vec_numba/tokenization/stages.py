"""The stages of a composed tokeniser: what flows between them, and what a normaliser, a pre-tokeniser and a model each are.

Every stage is one compiled call over a whole batch, from flat arrays to flat arrays, and knows nothing of the others. Each does exactly what
its namesake in the `tokenizers` library does; a text for which it cannot vouch it marks in `status`, and that text alone goes to the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled
from model2vec_numba.text import TextBatch
from model2vec_numba.tokenization.backend import TokenBatch

__all__ = ["DONE", "FALLBACK", "Model", "Normalizer", "PieceBatch", "PreTokenizer"]

# What becomes of a text: its ids are found here, or the library must find them.
DONE = 0
FALLBACK = 1


@dataclass(slots=True, eq=False)
class PieceBatch:
    """What a pre-tokeniser cuts texts into: text ``i`` has the pieces ``offsets[i]`` to ``offsets[i + 1] - 1``.

    Attributes:
        data: uint8; piece ``k`` is ``data[begins[k]:ends[k]]``, valid UTF-8 unless `byte_level`.
        begins, ends: int64, shape (pieces,), each ascending; pieces do not overlap, and none is empty.
        offsets: int64, shape (texts + 1,), ascending.
        byte_level: whether the bytes stand for the characters that `ByteLevel` gives them.
    """

    data: NDArray[np.uint8]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    offsets: NDArray[np.int64]
    byte_level: bool = False

    @classmethod
    def whole(cls, texts: TextBatch) -> PieceBatch:
        """Each text as one piece; an empty text has none."""
        begins, ends, offsets = np.empty(len(texts), np.int64), np.empty(len(texts), np.int64), np.empty(len(texts) + 1, np.int64)
        count = _find_filled(texts.offsets, begins, ends, offsets)
        return cls(texts.data, begins[:count], ends[:count], offsets)

    @property
    def size(self) -> int:
        """No less than the number of bytes of all pieces."""
        return int(self.ends[-1] - self.begins[0]) if len(self.ends) else 0


@compiled()
def _find_filled(text_offsets: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64], offsets: NDArray[np.int64]) -> int:
    """See `PieceBatch.whole`; returns the number of pieces."""
    count = 0
    for text in range(len(offsets) - 1):
        offsets[text] = count
        if text_offsets[text] < text_offsets[text + 1]:
            begins[count], ends[count] = text_offsets[text], text_offsets[text + 1]
            count += 1
    offsets[len(offsets) - 1] = count
    return count


class Normalizer(Protocol):
    """Rewrites texts."""

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """The normalised texts, as many as there are.

        `status`, of shape (texts,): texts that are not `DONE` may come out as anything, the empty text best; `FALLBACK` is written for those
        that the normaliser cannot vouch for.
        """


class PreTokenizer(Protocol):
    """Cuts pieces into smaller ones, and may rewrite them."""

    def split(self, pieces: PieceBatch, status: NDArray[np.uint8]) -> PieceBatch:
        """The smaller pieces. `status` is as for `Normalizer.normalize`."""


class Model(Protocol):
    """Turns pieces into ids."""

    name: str

    def tokenize(self, pieces: PieceBatch, max_tokens: int | None, status: NDArray[np.uint8]) -> TokenBatch:
        """The ids of each text: unknown ids dropped, then cut to the first `max_tokens`. `status` is as for `Normalizer.normalize`."""
