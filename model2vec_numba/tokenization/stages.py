"""The interfaces of the stages of a composed tokeniser (normaliser, pre-tokeniser and model), and the data that flows between them.

A stage processes a whole batch with compiled code: it reads flat arrays and returns flat arrays. It knows nothing about the other stages. It
gives exactly what the component with its name in the `tokenizers` library gives. If it does not support a text, it marks the text in `status`,
and the library tokenises that text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch
from model2vec_numba.jit.decorators import compiled

__all__ = ["DONE", "FALLBACK", "SHORT_BYTES", "Model", "Normalizer", "PackedCore", "PreTokenBatch", "PreTokenizer"]


# The status of a text: compiled code finds its ids, or the `tokenizers` library must find them.
DONE = 0
FALLBACK = 1

# The ids of a batch of at most this many bytes may be in memory that the next call overwrites.
SHORT_BYTES = 1024


class _Rows(Protocol):
    """The cache of a core; see `ChunkCache`."""

    rows: NDArray[np.uint64]


class PackedCore(NamedTuple):
    """A kernel that tokenises a few texts, and the arguments of it that are the same in every call.

    The kernel is called with `packed`, the number of ids to keep of each text, the rows of `cache`, the bytes and offsets of the texts, and the
    output: the offsets of the ids and the ids. If it returns another number than 0, the outputs have no meaning, and the core must tokenise
    the texts.

    Attributes:
        address: the address of the kernel.
        packed: int64; see `pack`. It refers to memory, so two calls must not use it at the same time.
        cache: the cache of the core.
        kept: the arrays to which `packed` refers.
    """

    address: int
    packed: NDArray[np.int64]
    cache: _Rows
    kept: Any


@dataclass(slots=True, eq=False)
class PreTokenBatch:
    """The pre-tokens of texts: text ``i`` has the pre-tokens ``offsets[i]`` to ``offsets[i + 1] - 1``.

    Attributes:
        data: uint8, read-only. Pre-token ``k`` is ``data[begins[k]:ends[k]]``. It is valid UTF-8 unless `byte_level`.
        begins, ends: int64, shape (pre-tokens,), both ascending. Pre-tokens do not overlap, and none is empty.
        offsets: int64, shape (texts + 1,), ascending.
        byte_level: whether each byte stands for a character of `ByteLevel`'s alphabet; see `byte_alphabet`.
        beginnings: uint8, shape (texts,): 1 if a text is at the beginning of the text that it is a part of, else 0. ``None``: all are, or the
            texts are no longer whole pre-tokens.
    """

    data: NDArray[np.uint8]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    offsets: NDArray[np.int64]
    byte_level: bool = False
    beginnings: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        # Kernels are compiled only for read-only text bytes; see `batches.read_only`.
        self.data.flags.writeable = False

    @classmethod
    def whole(cls, texts: TextBatch, beginnings: NDArray[np.uint8] | None = None) -> PreTokenBatch:
        """Return a batch in which each text is one pre-token. An empty text has none. `beginnings`: see the class."""
        begins, ends, offsets = np.empty(len(texts), np.int64), np.empty(len(texts), np.int64), np.empty(len(texts) + 1, np.int64)
        count = _find_non_empty(texts.offsets, begins, ends, offsets)
        return cls(texts.data, begins[:count], ends[:count], offsets, beginnings=beginnings)

    @property
    def size(self) -> int:
        """At least the number of bytes of all pre-tokens."""
        return int(self.ends[-1] - self.begins[0]) if len(self.ends) else 0


@compiled()
def _find_non_empty(text_offsets: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64], offsets: NDArray[np.int64]) -> int:
    """Write the bounds of the texts that are not empty, and the offsets of their batch. Return the number of these texts."""
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
        """Return the normalised texts, one for each text.

        `status` is uint8 of shape (texts,), with `DONE` or `FALLBACK` for each text. If the normaliser does not support a text, it writes
        `FALLBACK` there. The result for a text that is not `DONE` has no meaning. It should be empty.
        """


class PreTokenizer(Protocol):
    """Cuts pre-tokens into smaller ones. It may also rewrite them."""

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens. `status`: see `Normalizer.normalize`."""


class Model(Protocol):
    """Turns pre-tokens into token ids."""

    name: str

    def make_scratch(self) -> Any:
        """Return memory for one call of `tokenize`. No two calls may use the same memory at once."""

    def tokenize(self, pre_tokens: PreTokenBatch, max_tokens: int | None, status: NDArray[np.uint8], scratch: Any) -> TokenBatch:
        """Return the ids of each text: unknown ids are dropped, then the ids are cut to the first `max_tokens`.

        `status`: see `Normalizer.normalize`.
        """
