"""Make text batches from Python strings.

`str.encode` makes a bytes object for each string, which must then be joined: for English that took four times as long as reading the strings
of a list in place. `pyunicode` does the reading.

A batch is made in two steps. `max_utf8_lengths` checks that all elements are strings and keeps the GIL. Strings cannot change, so `write_utf8` can
then run without the GIL, in several threads at once. Both read a tuple, because nobody can change it either. In free-threaded Python,
which has no GIL, `plain_strings` makes the batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numba import carray
from numpy.typing import NDArray

from model2vec_numba.batches import BatchLimits, LazyBatch, TextBatch, read_only, split_by_bytes
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.pointers import to_pointer
from model2vec_numba.jit.simd import BLOCK, LANES, mask_at_least, narrow_characters, store_word, trailing_zeros
from model2vec_numba.starting.texts import cut_strings, refuse_surrogates
from model2vec_numba.text.plain_strings import flatten_plainly, has_lock, plain_utf8_lengths
from model2vec_numba.text.pyunicode import ASCII, copy_characters, is_string, prefetch_memory, read_string
from model2vec_numba.text.sentences import to_tuple

__all__ = ["ALL_CHARS", "SLACK", "TUPLE_BYTES", "Strings", "elements_of", "flatten", "max_utf8_length", "write_utf8"]

ALL_CHARS = 1 << 62
# The bytes of a tuple before its elements.
TUPLE_BYTES = tuple.__basicsize__
# `max_utf8_lengths` checks this many elements at a time. Other Python threads may run between two calls.
_CHECKED_AT_ONCE = 1 << 16
# `write_utf8` may write this many bytes after the end of the texts.
SLACK = LANES
# The lengths and kinds of strings, in the first 48 bytes of the objects, are prefetched this many elements ahead. For strings that were not in the
# processor's caches this took half the time.
_LENGTHS_AHEAD, _LENGTH_BYTES = 16, 48
# The characters are prefetched this many elements ahead, up to this number of bytes. For strings scattered over the memory this took half the time.
_CHARACTERS_AHEAD, _CHARACTER_BYTES = 8, 320


class Strings:
    """Sentences that can be made into batches. Later changes of a list of sentences have no effect.

    Args:
        sentences: the strings.
        max_chars: the number of code points to keep of each string. ``None`` keeps all.

    Attributes:
        max_bytes: int64, shape (strings,): an upper bound on the number of UTF-8 bytes of each string.

    Raises:
        TypeError: an element is not a ``str``. The message gives its position and type.
    """

    def __init__(self, sentences: Iterable[str], max_chars: int | None) -> None:
        strings = self._strings = to_tuple(sentences)
        self._max_chars = ALL_CHARS if max_chars is None else max_chars
        self._in_place = has_lock()
        if not self._in_place:
            self.max_bytes = plain_utf8_lengths(strings, self._max_chars)
            return
        self.max_bytes = np.empty(len(strings), np.int64)
        for first in range(0, len(strings), _CHECKED_AT_ONCE):
            last = min(first + _CHECKED_AT_ONCE, len(strings))
            position = max_utf8_lengths(elements_of(strings), first, last, self._max_chars, self.max_bytes)
            if position >= 0:
                element: object = strings[position]
                raise TypeError(f"sentences[{position}] must be a str, not {type(element).__name__}: {element!r:.80}")

    def __len__(self) -> int:
        return len(self._strings)

    def batches(self, limits: BatchLimits) -> Iterator[LazyBatch]:
        """Yield the sentences in batches.

        The limit of bytes keeps the working set small and the time between two batches short, even if the documents are long.
        """
        for first in range(0, len(self), limits.texts):
            lengths = self.max_bytes[first : first + limits.texts]
            for begin, end, max_bytes in split_by_bytes(limits, lengths, len(self) - first - len(lengths)):
                yield LazyBatch(end - begin, max_bytes, partial(self.flatten, first + begin, first + end, max_bytes))

    def flatten(self, begin: int, end: int, max_bytes: int) -> TextBatch:
        """Make a batch of strings `begin` to ``end - 1``, which have at most `max_bytes` bytes.

        Raises:
            ValueError: a string holds a lone surrogate and so has no UTF-8 form. The message gives its position.
        """
        if not self._in_place:
            return flatten_plainly(self._strings[begin:end], begin, self._max_chars, bytes(BLOCK))
        data = np.empty(max_bytes + max(SLACK, BLOCK), np.uint8)
        offsets = np.empty(end - begin + 1, np.int64)
        position = write_utf8(elements_of(self._strings), begin, self._max_chars, data, offsets)
        if position >= 0:
            refuse_surrogates(cut_strings([self._strings[position]], self._max_chars), position)
        used = int(offsets[-1])
        data = data[: used + BLOCK]
        data[used:] = 0
        return TextBatch(read_only(data), offsets)


def elements_of(strings: tuple[str, ...]) -> int:
    """Return the address of the elements of a tuple. CPython stores them after the other members of the object."""
    return id(strings) + TUPLE_BYTES


def flatten(sentences: Iterable[str]) -> TextBatch:
    """Make a batch of strings.

    Raises:
        ValueError: a string holds a lone surrogate and so has no UTF-8 form. The message gives its position.
    """
    strings = Strings(sentences, None)
    return strings.flatten(0, len(strings), int(strings.max_bytes.sum()))


@compiled(gil=True)
def max_utf8_lengths(elements: int, first: int, last: int, max_chars: int, max_bytes: NDArray[np.int64]) -> int:
    """Write an upper bound on the number of UTF-8 bytes of the first `max_chars` code points of some strings. For ASCII it is the exact number.

    Exact numbers are not counted, because that took nearly half as long as `write_utf8`.

    Args:
        elements: the address of an array of ``len(max_bytes)`` Python objects, which does not change during the call.
        first, last: elements ``first`` to ``last - 1`` are read.
        max_chars: 0 or more.
        max_bytes: int64, output: the bounds, at the positions of the elements.

    Returns:
        The position of the first element that is not a string, or -1.
    """
    objects = carray(to_pointer(elements), len(max_bytes), np.int64)
    for i in range(first, last):
        prefetch_memory(objects[min(i + _LENGTHS_AHEAD, len(objects) - 1)], _LENGTH_BYTES)
        max_bytes[i] = max_utf8_length(objects[i], max_chars)
        if max_bytes[i] < 0:
            return i
    return -1


@inner
def max_utf8_length(element: int, max_chars: int) -> int:
    """Return an upper bound on the number of UTF-8 bytes of the first `max_chars` code points of the object at an address. -1: it is not a string."""
    if not is_string(element):
        return -1
    _, length, width = read_string(element)
    # CPython stores all characters of a string with the same width: 1, 2 or 4 bytes, or as ASCII. In UTF-8, an ASCII character has one byte. A
    # character of a string of width 1 has at most two bytes, of width 2 at most three, and of width 4 at most four.
    if width == ASCII:
        bytes_per_char = 1
    elif width == 1:
        bytes_per_char = 2
    elif width == 2:
        bytes_per_char = 3
    else:
        bytes_per_char = 4
    return min(length, max_chars) * bytes_per_char  # type: ignore[no-any-return]


@compiled()
def write_utf8(elements: int, first: int, max_chars: int, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> int:
    """Write the UTF-8 of the first `max_chars` code points of consecutive strings, one after the other.

    Args:
        elements, max_chars: the arguments with which `max_utf8_lengths` was called before.
        first: the position of the first string.
        data: uint8, output. It must have space for the sum of the bounds of `max_utf8_lengths`, and `SLACK` bytes more.
        offsets: int64, output. String ``first + i`` is ``data[offsets[i]:offsets[i + 1]]``.

    Returns:
        The position of the first string with a surrogate, which has no UTF-8 form, or -1.
    """
    # An int64 variable, because numba compiles the functions that are called with a literal once more.
    at = np.int64(0)
    offsets[0] = at
    last = first + len(offsets) - 1
    objects = carray(to_pointer(elements), last, np.int64)
    for i in range(first, last):
        prefetch_memory(objects[min(i + _CHARACTERS_AHEAD, last - 1)], _CHARACTER_BYTES)
        address, length, width = read_string(objects[i])
        length = min(length, max_chars)
        surrogate = -1
        if width == ASCII:
            copy_characters(address, length, data, at)
            at += length
        elif width == 1:
            surrogate, at = _write_characters(carray(to_pointer(address), length, np.uint8), data, at)
        elif width == 2:
            surrogate, at = _write_characters(carray(to_pointer(address), length, np.uint16), data, at)
        else:
            surrogate, at = _write_characters(carray(to_pointer(address), length, np.uint32), data, at)
        if surrogate >= 0:
            return i
        offsets[i - first + 1] = at
    return -1


@inner
def _write_characters(characters: NDArray[Any], data: NDArray[np.uint8], at: int) -> tuple[int, int]:
    """Write the UTF-8 of characters to `data` from `at` on.

    Returns:
        The position of the first surrogate, where writing stops, or -1; and where the UTF-8 in `data` ends.
    """
    i = 0
    last_row = len(characters) - LANES
    while i < len(characters):
        # Rows of `LANES` ASCII characters have a loop of their own, so that no row waits for the previous row.
        while i <= last_row:
            narrow_characters(characters, i, data, at)
            not_ascii = mask_at_least(characters, i, 0x80)
            if not_ascii != 0:
                # Only the characters before the first one that is not ASCII count.
                i += trailing_zeros(not_ascii)
                at += trailing_zeros(not_ascii)
                break
            i += LANES
            at += LANES
        # A single ASCII character, such as a space between words of another script, does not end this loop.
        while i < len(characters) and (i > last_row or characters[i] >= 0x80 or characters[i + 1] >= 0x80):
            character = np.uint64(characters[i])
            if np.uint64(0xD800) <= character < np.uint64(0xE000):
                return i, at
            units, size = _utf8(character)
            store_word(data, at, units)
            at += size
            i += 1
    return -1, at


@inner
def _utf8(character: np.uint64) -> tuple[np.uint64, int]:
    """Return the UTF-8 of a code point as a uint64, in which the first byte is the least significant one, and its number of bytes."""
    last = character & np.uint64(63) | np.uint64(0x80)
    if character < 0x80:
        return character, 1
    if character < 0x800:
        return character >> np.uint64(6) | np.uint64(0xC0) | last << np.uint64(8), 2
    second_last = character >> np.uint64(6) & np.uint64(63) | np.uint64(0x80)
    if character < 0x10000:
        return character >> np.uint64(12) | np.uint64(0xE0) | second_last << np.uint64(8) | last << np.uint64(16), 3
    third_last = character >> np.uint64(12) & np.uint64(63) | np.uint64(0x80)
    return character >> np.uint64(18) | np.uint64(0xF0) | third_last << np.uint64(8) | second_last << np.uint64(16) | last << np.uint64(24), 4
