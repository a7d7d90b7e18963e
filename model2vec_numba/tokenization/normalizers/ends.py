"""Strip and Prepend: what happens at the ends of a text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import normalizers as library

from model2vec_numba.compiled import compiled
from model2vec_numba.text import TextBatch
from model2vec_numba.tokenization.character_sets import CharacterSet, member_at
from model2vec_numba.tokenization.library_parts import has_form
from model2vec_numba.tokenization.stages import DONE, Normalizer

__all__ = ["Prepend", "Strip", "make_prepend", "make_strip"]


def make_strip(part: dict[str, Any]) -> Normalizer | None:
    """The normaliser for a ``Strip``."""
    return Strip(part["strip_left"], part["strip_right"]) if has_form(part, {"strip_left": bool, "strip_right": bool}) else None


def make_prepend(part: dict[str, Any]) -> Normalizer | None:
    """The normaliser for a ``Prepend``; ``None`` for one of nothing, on which the library fails."""
    return Prepend(part["prepend"]) if has_form(part, {"prepend": str}) and part["prepend"] else None


class Strip:
    """Takes white space from the ends."""

    def __init__(self, left: bool, right: bool) -> None:
        self._sides = (left, right)
        strip = library.Strip()
        self._spaces = CharacterSet(lambda characters: [not strip.normalize_str(c) for c in characters])

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """See `Normalizer.normalize`."""
        begins, ends = texts.offsets[:-1].copy(), texts.offsets[1:].copy()
        self._spaces.pages.complete(lambda missing: strip(texts.data, self._spaces.members, *self._sides, missing, begins, ends))
        if np.array_equal(begins, texts.offsets[:-1]) and np.array_equal(ends, texts.offsets[1:]):
            return texts
        return _copied(texts.data, begins, ends, np.zeros(0, np.uint8), status)


class Prepend:
    """Puts a string before every text that is not empty."""

    def __init__(self, content: str) -> None:
        self._content = np.frombuffer(content.encode("utf-8") + b"\0", np.uint8)[:-1]

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """See `Normalizer.normalize`."""
        return _copied(texts.data, texts.offsets[:-1], texts.offsets[1:], self._content, status)


def _copied(
    data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64], content: NDArray[np.uint8], status: NDArray[np.uint8]
) -> TextBatch:
    out = np.empty(int((ends - begins).sum()) + len(begins) * len(content), np.uint8)
    offsets = np.empty(len(begins) + 1, np.int64)
    copy(data, begins, ends, content, status, out, offsets)
    return TextBatch(out, offsets)


@compiled()
def strip(
    data: NDArray[np.uint8],
    members: NDArray[np.uint8],
    left: bool,
    right: bool,
    missing: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> None:
    """Move the `begins` and `ends` of texts past what is in the set `members`; see `member_at` for `missing`."""
    for text in range(len(begins)):
        begin, end = begins[text], ends[text]
        while left and begin < end:
            member, size = member_at(data, begin, members, missing)
            if not member:
                break
            begin += size
        while right and begin < end:
            last = end - 1
            while data[last] & 0xC0 == 0x80:
                last -= 1
            member, _ = member_at(data, last, members, missing)
            if not member:
                break
            end = last
        begins[text], ends[text] = begin, end


@compiled()
def copy(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    content: NDArray[np.uint8],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
) -> None:
    """Write the texts, each that is not empty after `content`, to `out` and `out_offsets`; those that are not `DONE` empty."""
    at = 0
    for text in range(len(begins)):
        out_offsets[text] = at
        if status[text] != DONE or begins[text] == ends[text]:
            continue
        for k in range(len(content)):
            out[at + k] = content[k]
        at += len(content)
        for k in range(begins[text], ends[text]):
            out[at] = data[k]
            at += 1
    out_offsets[len(begins)] = at
