"""Flatten: sentences held by Python become UTF-8 bytes and offsets, the layout of an Arrow string array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled
from model2vec_numba.strings import SLACK, find_other, most_utf8, write_utf8
from model2vec_numba.words import BLOCK

__all__ = ["BatchLimits", "Portion", "TextBatch", "check_sentences", "column_portions", "flatten", "portions", "single_text", "utf8_of"]

_ALL_CHARS = 1 << 62
_CHECKED_AT_ONCE = 1 << 16
# Kernels read blocks of bytes, and would have to copy the last ones if the memory ended with them.
_MARGIN = bytes(BLOCK)
# What threads take at a time when they share batches out: a part of what is left, so that each would come that often again, but not so little
# that the start of a thread, a millisecond, is not worth it. Two threads took 0.96 of the time of batches of one size, half as large at most.
_TURNS_LEFT = 2
_FEWEST_BYTES = 1 << 18


class BatchLimits(NamedTuple):
    """How large batches are.

    Attributes:
        texts: the most texts to a batch.
        size: the number of bytes that their UTF-8 surely does not exceed, unless one alone does.
        threads: how many share the batches out. For several the last batches are smaller, so that none has to wait long for what another has.
    """

    texts: int
    size: int = 1 << 20
    threads: int = 1

    def size_of_next(self, left: float) -> int:
        """The number of bytes that the next batch is not to exceed, of about so many that are left."""
        if self.threads == 1:
            return self.size
        return min(self.size, max(_FEWEST_BYTES, int(left) // (_TURNS_LEFT * self.threads)))


@dataclass(slots=True, eq=False)
class TextBatch:
    """Texts as one run of bytes: text ``i`` is ``data[offsets[i]:offsets[i + 1]]``.

    Attributes:
        data: uint8, the UTF-8 bytes of all texts, valid UTF-8 between any two neighbouring offsets; it may go on behind the last text.
        offsets: int64, shape (n + 1,), ascending.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def text(self, index: int) -> str:
        """Text ``index`` as a Python string."""
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes().decode("utf-8")


@dataclass(slots=True, eq=False)
class Portion:
    """Texts for a batch, which is made when their turn has come, by whoever works on it.

    Attributes:
        count: the number of texts.
        size: the most bytes that their UTF-8 can have.
        flatten: makes the batch; raises a `ValueError` as the function `flatten` does.
    """

    count: int
    size: int
    flatten: Callable[[], TextBatch]

    def __len__(self) -> int:
        return self.count


def check_sentences(sentences: Iterable[str]) -> list[str]:
    """Return the sentences as a list, having seen that each is a string.

    Raises:
        TypeError: naming the position and type of the first element that is not a ``str``.
    """
    checked = sentences if isinstance(sentences, list) else _listed(sentences)
    # Between two calls other threads may run.
    for first in range(0, len(checked), _CHECKED_AT_ONCE):
        position = find_other(id(checked), first, min(first + _CHECKED_AT_ONCE, len(checked)))
        if position >= 0:
            # Another thread may have taken it away meanwhile.
            culprit = next(iter(list.__getitem__(checked, slice(position, None))), None)
            raise _not_a_string(position, culprit)
    return checked


def _listed(sentences: Iterable[str]) -> list[str]:
    """The sentences as a list. Raises a TypeError where that would not be what is in them."""
    if isinstance(sentences, (bytes, bytearray)) or not isinstance(sentences, Iterable):
        raise TypeError(f"sentences must be a str or an iterable of str, not {type(sentences).__name__}")
    # To iterate over a data frame gives the names of its columns, over a table whole columns: neither is what anyone wants embedded.
    shape = getattr(sentences, "shape", None)
    if isinstance(shape, tuple) and len(shape) != 1:
        raise TypeError(f"sentences must be one column of str, not {type(sentences).__name__} of shape {shape}")
    return list(sentences)


def _not_a_string(position: int, culprit: object) -> TypeError:
    return TypeError(f"sentences[{position}] must be a str, not {type(culprit).__name__}: {culprit!r:.80}")


def portions(sentences: Sequence[str], max_chars: int | None, limits: BatchLimits) -> Iterator[Portion]:
    """Portion out sentences, each cut to its first `max_chars` code points (``None``: not cut), in order.

    The limit of bytes keeps the working set small and the time between two batches short, however long the documents are.

    Raises:
        TypeError: the sentences have been changed since they were checked, and one is not a ``str``; its position is named.
    """
    for first in range(0, len(sentences), limits.texts):
        strings = _Strings(sentences[first : first + limits.texts], first, max_chars)
        for begin, end, size in _within(limits, strings.sizes, len(sentences) - first - len(strings.sizes)):
            yield Portion(end - begin, size, partial(strings.flatten, begin, end, size))


def column_portions(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    valid: NDArray[np.bool_] | None,
    max_chars: int | None,
    limits: BatchLimits,
    behind: int = 0,
) -> Iterator[Portion]:
    """Portion out a column that has Arrow's layout, as `portions` does. Nothing is copied where nothing is left out.

    Args:
        data: uint8, read-only.
        offsets: int64, shape (n + 1,): text ``i`` is ``data[offsets[i]:offsets[i + 1]]``, which is valid UTF-8 where text ``i`` is valid.
        valid: bool, shape (n,): which texts are not null; ``None``: all. A null is an empty text, whatever lies in its place.
        max_chars: number of code points to keep of each; ``None`` keeps all.
        limits: of a batch.
        behind: the number of texts that come after these, in other portions.
    """
    full = np.diff(offsets)
    kept = full if valid is None else np.where(valid, full, 0)
    # No text has more code points than bytes.
    if max_chars is not None and len(kept) and kept.max() > max_chars:
        kept = kept.copy()
        _cut(data, offsets, max_chars, kept)
    for first in range(0, len(kept), limits.texts):
        lengths = kept[first : first + limits.texts]
        for done, stop, size in _within(limits, lengths, behind + len(kept) - first - len(lengths)):
            begin, end = first + done, first + stop
            yield Portion(end - begin, size, partial(_flatten_column, data, offsets[begin : end + 1], kept[begin:end]))


def _flatten_column(data: NDArray[np.uint8], offsets: NDArray[np.int64], kept: NDArray[np.int64]) -> TextBatch:
    """The first ``kept[i]`` bytes of each text of a column, ``data[offsets[i]:offsets[i + 1]]``."""
    ends = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(kept, out=ends[1:])
    begin = offsets[0]
    if ends[-1] == offsets[-1] - begin:
        return TextBatch(data[begin : begin + ends[-1]], ends)
    gathered = np.empty(ends[-1], np.uint8)
    _gather(data, offsets[:-1], ends, gathered)
    gathered.flags.writeable = False
    return TextBatch(gathered, ends)


def _within(limits: BatchLimits, lengths: NDArray[np.int64], behind: int) -> Iterator[tuple[int, int, int]]:
    """Split texts of at most these lengths into runs of no more bytes than the limits allow, or of a single text that is longer.

    Each is given as the number of its first text, that of the first text behind it, and its length. `behind` more texts come after all of them,
    which are taken to be as long.
    """
    ends = lengths.cumsum()
    done = before = 0
    while done < len(lengths):
        left = (int(ends[-1]) - before) * (1 + behind / (len(lengths) - done))
        stop = max(done + 1, int(ends.searchsorted(before + limits.size_of_next(left), side="right")))
        end = int(ends[stop - 1])
        yield done, stop, end - before
        done, before = stop, end


def utf8_of(sentence: str, max_chars: int | None) -> NDArray[np.uint8]:
    """The UTF-8 of a string cut to its first `max_chars` code points (``None``: not cut), and `BLOCK` zeros: uint8, read-only.

    Raises:
        ValueError: as for `flatten`.
    """
    if type(sentence) is not str or (max_chars is not None and len(sentence) > max_chars):
        # Subclasses of str may have other ideas of what their characters are than compiled code, which lists go to.
        sentence = str.__getitem__(sentence, slice(max_chars))
    try:
        return np.frombuffer(sentence.encode() + _MARGIN, np.uint8)
    except UnicodeEncodeError:
        return flatten([sentence]).data


def single_text(data: NDArray[np.uint8]) -> TextBatch:
    """What `utf8_of` gives, as a batch."""
    return TextBatch(data, np.array((0, len(data) - BLOCK), np.int64))


def flatten(sentences: Iterable[str]) -> TextBatch:
    """Flatten strings.

    Raises:
        ValueError: naming the position of the first string that holds a lone surrogate, and so has no UTF-8 form.
    """
    strings = _Strings(sentences, 0, None)
    return strings.flatten(0, len(strings.sizes), int(strings.sizes.sum()))


class _Strings:
    """Strings on their way to UTF-8.

    Args:
        sentences: the strings.
        first: position of the first of them in what the caller holds, for error messages.
        max_chars: the number of code points to keep of each; ``None`` keeps all.

    Attributes:
        sizes: int64, shape (n,): the most bytes that each can have.

    Raises:
        TypeError: naming the position of one that is not a ``str``.
    """

    def __init__(self, sentences: Iterable[str], first: int, max_chars: int | None) -> None:
        # A list of our own, which no other thread changes while compiled code reads it.
        self._strings = list(sentences)
        self._first = first
        self._max_chars = _ALL_CHARS if max_chars is None else max_chars
        self.sizes = np.empty(len(self._strings), np.int64)
        position = most_utf8(id(self._strings), self._max_chars, self.sizes)
        # The caller's list may have been changed since it was checked.
        if position >= 0:
            raise _not_a_string(first + position, self._strings[position])

    def flatten(self, begin: int, end: int, size: int) -> TextBatch:
        """Flatten strings `begin` to ``end - 1``, which have at most `size` bytes.

        Raises:
            ValueError: as for `flatten`.
        """
        data = np.empty(size + max(SLACK, BLOCK), np.uint8)
        offsets = np.empty(end - begin + 1, np.int64)
        position, at = write_utf8(id(self._strings), begin, self._max_chars, data, offsets)
        if position >= 0:
            character = f"U+{ord(str.__getitem__(self._strings[position], at)):04X}"
            place = f"sentences[{self._first + position}]"
            raise ValueError(f"{place} cannot be UTF-8: it holds the lone surrogate {character} at character {at}")
        data = data[: offsets[-1] + BLOCK]
        data[offsets[-1] :] = 0
        data.flags.writeable = False
        return TextBatch(data, offsets)


@compiled()
def _cut(data: NDArray[np.uint8], offsets: NDArray[np.int64], max_chars: int, kept: NDArray[np.int64]) -> None:
    """Lower ``kept[i]``, the number of bytes of text ``i``, to that of its first `max_chars` code points."""
    for i in range(len(kept)):
        if kept[i] <= max_chars:
            continue
        begin = offsets[i]
        end = begin + kept[i]
        at = begin
        code_points = 0
        while at < end:
            # The first byte of one code point too many is where the text ends.
            code_points += (data[at] & 0xC0) != 0x80
            if code_points > max_chars:
                break
            at += 1
        kept[i] = at - begin


@compiled()
def _gather(data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    """Copy text ``i``, which begins at ``begins[i]`` of `data`, to ``out[ends[i]:ends[i + 1]]``."""
    for i in range(len(begins)):
        shift = begins[i] - ends[i]
        for k in range(ends[i], ends[i + 1]):
            out[k] = data[k + shift]
