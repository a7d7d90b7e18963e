"""Strip and Prepend, which change the ends of a text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import normalizers as library

from model2vec_numba.batches import TextBatch, read_only
from model2vec_numba.jit.decorators import compiled
from model2vec_numba.tokenization.components import has_form
from model2vec_numba.tokenization.stages import DONE, Normalizer
from model2vec_numba.tokenization.unicode.classes import ClassTable, member_at

__all__ = ["Prepend", "Strip", "make_prepend", "make_strip"]


def make_strip(config: dict[str, Any]) -> Normalizer | None:
    """Return the normaliser for a ``Strip``, or ``None`` if its JSON has an unknown form."""
    return Strip(config["strip_left"], config["strip_right"]) if has_form(config, {"strip_left": bool, "strip_right": bool}) else None


def make_prepend(config: dict[str, Any]) -> Normalizer | None:
    """Return the normaliser for a ``Prepend``, or ``None`` if its JSON has an unknown form, or if its string is empty (`tokenizers` fails then)."""
    return Prepend(config["prepend"]) if has_form(config, {"prepend": str}) and config["prepend"] else None


class Strip:
    """Removes white space from the ends of a text."""

    def __init__(self, left: bool, right: bool) -> None:
        self._sides = (left, right)
        library_strip = library.Strip()
        self._spaces = ClassTable(lambda characters: [not library_strip.normalize_str(c) for c in characters])

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """Return the normalised texts, as `Normalizer.normalize` describes."""
        begins, ends = texts.offsets[:-1].copy(), texts.offsets[1:].copy()
        for missing in self._spaces.filler.rounds():
            strip(texts.data, self._spaces.classes, *self._sides, missing, begins, ends)
        if np.array_equal(begins, texts.offsets[:-1]) and np.array_equal(ends, texts.offsets[1:]):
            return texts
        return _copied_batch(texts.data, begins, ends, np.zeros(0, np.uint8), status)


class Prepend:
    """Puts a string before each text that is not empty."""

    def __init__(self, content: str) -> None:
        self._content = np.frombuffer(content.encode("utf-8") + b"\0", np.uint8)[:-1]

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """Return the normalised texts, as `Normalizer.normalize` describes."""
        return _copied_batch(texts.data, texts.offsets[:-1], texts.offsets[1:], self._content, status)


def _copied_batch(
    data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64], content: NDArray[np.uint8], status: NDArray[np.uint8]
) -> TextBatch:
    """Return a batch of the texts ``data[begins[i]:ends[i]]``, with `content` before each text that is not empty."""
    out = np.empty(int((ends - begins).sum()) + len(begins) * len(content), np.uint8)
    offsets = np.empty(len(begins) + 1, np.int64)
    copy_texts(data, begins, ends, content, status, out, offsets)
    return TextBatch(read_only(out), offsets)


@compiled()
def strip(
    data: NDArray[np.uint8],
    members: NDArray[np.uint8],
    left: bool,
    right: bool,
    missing: NDArray[np.int32],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> None:
    """Move the `begins` and `ends` of texts past the members of a set. `member_at` describes `members` and `missing`."""
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
def copy_texts(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    content: NDArray[np.uint8],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
) -> None:
    """Write the texts ``data[begins[i]:ends[i]]`` to `out` and `out_offsets`, with `content` before each text that is not empty.

    Texts that are not `DONE` are written as empty texts.
    """
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
