"""Find the texts in which an added token may stand: those go to the library, which cuts a text at them before anything else.

The library looks for an added token in the text as it is, or, if the token is `normalized`, for its normalised form in the normalised text.
Here the latter is looked for with all white space left out on both sides: that finds every text that holds one, and hardly any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.tokenization.stages import FALLBACK
from model2vec_numba.words import BLOCK, bytes_between, trailing_zeros

__all__ = ["Patterns", "holds_pattern", "make_patterns", "mark_patterns", "pattern_at"]


# Looking for so many bytes one by one takes as long as looking each byte up.
_FEW = 8


class Patterns(NamedTuple):
    """Strings to look for, as arrays for compiled code.

    Attributes:
        data: uint8, the UTF-8 bytes of the patterns, which are sorted.
        offsets: int64, shape (patterns + 1,): where each begins in `data`.
        groups: int64, shape (257,): the patterns that begin with byte ``b`` are those from ``groups[b]`` to ``groups[b + 1] - 1``.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    groups: NDArray[np.int64]


def make_patterns(texts: Iterable[str]) -> Patterns:
    """The arrays for texts, none of them empty."""
    encoded = sorted({text.encode("utf-8") for text in texts})
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=offsets[1:])
    groups = np.searchsorted(np.array([pattern[0] for pattern in encoded], np.int64), np.arange(257)).astype(np.int64)
    return Patterns(np.frombuffer(b"".join([*encoded, b"\0"]), np.uint8), offsets, groups)


@compiled()
def mark_patterns(
    texts: NDArray[np.uint8],
    text_offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    groups: NDArray[np.int64],
    status: NDArray[np.uint8],
) -> None:
    """Write `FALLBACK` to `status` for each text that holds one of the patterns."""
    firsts = np.empty(256, np.uint8)
    count = 0
    for byte in range(256):
        firsts[count] = byte
        count += groups[byte + 1] > groups[byte]
    i, end = text_offsets[0], text_offsets[-1]
    text = 0
    while count > 0 and i < end:
        # A block at a time, as long as there are few bytes to look for.
        found = np.uint64(1)
        size = 1
        if count <= _FEW and i + BLOCK <= end:
            size = BLOCK
            found = np.uint64(0)
            for k in range(count):
                found |= bytes_between(texts, i, firsts[k], firsts[k])
        while found != 0:
            at = i + trailing_zeros(found)
            found &= found - np.uint64(1)
            while text_offsets[text + 1] <= at:
                text += 1
            if pattern_at(texts, at, text_offsets[text + 1], data, offsets, groups):
                status[text] = FALLBACK
        i += size


@inner
def holds_pattern(
    text: NDArray[np.uint8],
    begin: int,
    end: int,
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> bool:
    """Whether any of the patterns stands in ``text[begin:end]``."""
    for i in range(begin, end):
        if pattern_at(text, i, end, data, offsets, groups):
            return True
    return False


@inner
def pattern_at(
    text: NDArray[np.uint8],
    i: int,
    end: int,
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> bool:
    """Whether one of the patterns begins at `i` in ``text[:end]``."""
    byte = np.int64(text[i])
    for pattern in range(groups[byte], groups[byte + 1]):
        length = offsets[pattern + 1] - offsets[pattern]
        if i + length <= end:
            same = True
            for k in range(1, length):
                if text[i + k] != data[offsets[pattern] + k]:
                    same = False
                    break
            if same:
                return True
    return False
