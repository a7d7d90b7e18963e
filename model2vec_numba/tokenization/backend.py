"""What every tokeniser backend is: a batch of texts in, a batch of ids out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.text import TextBatch

__all__ = ["TokenBatch", "TokenizerBackend", "replace_texts", "token_batch"]


@dataclass(slots=True, eq=False)
class TokenBatch:
    """Token ids of a batch: text ``i`` has ``ids[offsets[i]:offsets[i + 1]]``.

    Attributes:
        ids: int32, each at least 0 and below the tokenizer's size; they may go on behind the last text's.
        offsets: int64, shape (n + 1,), ascending.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def bounds(self) -> Iterator[tuple[int, int]]:
        """Where each text's ids begin and end."""
        return itertools.pairwise(self.offsets.tolist())


class TokenizerBackend(Protocol):
    """Turns texts into ids, exactly as the `tokenizers` library would, less the unknown id."""

    @property
    def name(self) -> str:
        """What `model.tokenizer_backend` shows."""

    @property
    def divides_texts(self) -> bool:
        """Whether a single long text, taken whole, is work for several threads."""

    def tokenize(self, texts: TextBatch, max_tokens: int | None) -> TokenBatch:
        """The ids of each text: unknown ids dropped, then cut to the first `max_tokens`.

        Raises:
            TokenizationError: the library's tokeniser refuses a text.
        """

    def tokenize_one(self, data: NDArray[np.uint8], max_tokens: int | None, use: Callable[[TokenBatch], None]) -> None:
        """`tokenize` for what `utf8_of` gives: call `use` with the ids of the one text, which are gone when it returns."""

    def fallback_count(self, texts: TextBatch) -> int:
        """How many of the texts would go to the library."""


def token_batch(lists: Sequence[Sequence[int]]) -> TokenBatch:
    """Flatten lists of ids."""
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, lists), np.int64, len(lists)), out=offsets[1:])
    ids = np.fromiter((token_id for ids in lists for token_id in ids), np.int32, int(offsets[-1]))
    return TokenBatch(ids, offsets)


def replace_texts(tokens: TokenBatch, which: NDArray[np.int64], lists: Sequence[Sequence[int]]) -> TokenBatch:
    """The batch with the ids of the texts `which`, ascending, replaced by `lists`."""
    counts = np.diff(tokens.offsets)
    replacements = iter(lists)
    parts = []
    done = 0
    for text in which:
        parts += [tokens.ids[tokens.offsets[done] : tokens.offsets[text]], np.asarray(next(replacements), np.int32)]
        counts[text] = len(parts[-1])
        done = text + 1
    parts.append(tokens.ids[tokens.offsets[done] : tokens.offsets[-1]])
    return TokenBatch(np.concatenate(parts), np.concatenate([[0], np.cumsum(counts)]))
