"""The data that flows from `encode` to the vectors: batches of texts, batches of tokens, and text batches that do not exist yet.

All of them are flat arrays in Arrow's layout: the values of all texts one after the other, and offsets that say where each text begins.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["BatchLimits", "LazyBatch", "TextBatch", "TokenBatch", "read_only", "split_by_bytes", "token_batch"]

# With several threads, a batch has 1 / _SHARE of one thread's part of the remaining texts. So batches get smaller, and no thread waits long for
# another at the end. Two threads took 0.96 of the time that they took with equal batches.
_SHARE = 2
# A batch of fewer bytes is not worth waking a thread. A call has several threads if it has enough for two such batches: with two threads, 166 kB
# took 1.04 times as long as with one on an idle machine, and 500 kB took 0.59.
_MIN_SHARED_BYTES = 1 << 17


@dataclass(slots=True, eq=False)
class TextBatch:
    """Texts as one array of bytes: text ``i`` is ``data[offsets[i]:offsets[i + 1]]``.

    Attributes:
        data: uint8, read-only: the UTF-8 bytes of all texts. Each text is valid UTF-8. There may be more bytes after the last text.
        offsets: int64, shape (texts + 1,), ascending.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def text(self, index: int) -> str:
        """Return text ``index`` as a Python string."""
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes().decode("utf-8")


def read_only(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make an array of text bytes read-only, and return it.

    numba compiles a kernel once for read-only and once for writeable arrays. With all text bytes read-only, it is compiled once.
    """
    data.flags.writeable = False
    return data


@dataclass(slots=True, eq=False)
class TokenBatch:
    """Token ids of texts: text ``i`` has ``ids[offsets[i]:offsets[i + 1]]``.

    Attributes:
        ids: int32, each at least 0 and less than the tokenizer's size. There may be more elements after those of the last text.
        offsets: int64, shape (texts + 1,), ascending.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def bounds(self) -> Iterator[tuple[int, int]]:
        """Yield the begin and end of each text's ids."""
        return itertools.pairwise(self.offsets.tolist())

    def replace(self, positions: NDArray[np.int64], lists: Sequence[Sequence[int]]) -> TokenBatch:
        """Return a batch in which text ``positions[k]`` has the ids ``lists[k]``. `positions` is ascending."""
        counts = np.diff(self.offsets)
        kept = []
        begin = 0
        for position, ids in zip(positions, lists, strict=True):
            kept += [self.ids[begin : self.offsets[position]], np.asarray(ids, np.int32)]
            counts[position] = len(ids)
            begin = self.offsets[position + 1]
        kept.append(self.ids[begin : self.offsets[-1]])
        return TokenBatch(np.concatenate(kept), np.concatenate([[0], np.cumsum(counts)]))


def token_batch(lists: Sequence[Sequence[int]]) -> TokenBatch:
    """Make a batch from a list of ids for each text."""
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, lists), np.int64, len(lists)), out=offsets[1:])
    return TokenBatch(np.fromiter(itertools.chain.from_iterable(lists), np.int32, int(offsets[-1])), offsets)


@dataclass(slots=True, eq=False)
class LazyBatch:
    """A text batch that does not exist yet. The thread that works on it makes it.

    Attributes:
        count: the number of texts.
        max_bytes: an upper bound on the number of UTF-8 bytes of the texts.
        make: a function that makes the batch. It raises a `ValueError` if a text has no UTF-8 form.
    """

    count: int
    max_bytes: int
    make: Callable[[], TextBatch]

    def __len__(self) -> int:
        return self.count


class BatchLimits(NamedTuple):
    """The largest size of a batch.

    Attributes:
        texts: the maximum number of texts.
        max_bytes: the maximum number of UTF-8 bytes. A longer text is a batch of its own.
        threads: the number of threads that share the batches. With several threads the last batches are smaller, so that all threads end
            at about the same time.
    """

    texts: int
    max_bytes: int = 1 << 20
    threads: int = 1

    def next_max_bytes(self, remaining: float) -> int:
        """Return the maximum number of bytes of the next batch, if about `remaining` bytes of text are not in a batch yet."""
        if self.threads == 1:
            return self.max_bytes
        return min(self.max_bytes, max(_MIN_SHARED_BYTES, int(remaining) // (_SHARE * self.threads)))


def split_by_bytes(limits: BatchLimits, lengths: NDArray[np.int64], later: int) -> Iterator[tuple[int, int, int]]:
    """Split consecutive texts into batches within the limit of bytes. A longer text is a batch of its own.

    Args:
        limits: the limits; the number of texts is not checked.
        lengths: int64, the maximum number of UTF-8 bytes of each text.
        later: the number of texts that come after these. They are assumed to have the same average length.

    Yields:
        The position of a batch's first text, the position after its last text, and the sum of their lengths.
    """
    total = int(lengths.sum())
    if later == 0 and len(lengths) > 0 and total <= min(2 * _MIN_SHARED_BYTES, limits.max_bytes):
        yield 0, len(lengths), total
        return
    ends = lengths.cumsum()
    first = before = 0
    while first < len(lengths):
        remaining = (int(ends[-1]) - before) * (1 + later / (len(lengths) - first))
        stop = max(first + 1, int(ends.searchsorted(before + limits.next_max_bytes(remaining), side="right")))
        end = int(ends[stop - 1])
        yield first, stop, end - before
        first, before = stop, end
