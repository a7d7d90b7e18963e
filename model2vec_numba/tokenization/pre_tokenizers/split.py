"""Split: at a string, at a class of characters, or by one of the patterns that are compiled by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled
from model2vec_numba.tokenization.byte_level import spelled_out
from model2vec_numba.tokenization.pre_tokenizers.by_class import UNBOUNDED, ByClass, class_table
from model2vec_numba.tokenization.pre_tokenizers.cutting import BEHAVIORS, add_span, cut
from model2vec_numba.tokenization.pre_tokenizers.patterns import CL100K, GPT2, cut_cl100k, cut_gpt2, general_categories
from model2vec_numba.tokenization.stages import DONE, PieceBatch, PreTokenizer

__all__ = ["make_split"]

# A regular expression for one character: an escape, a bracket of plain characters, ranges and escapes, or a plain character.
_ESCAPE = r"\\(?:[sSdDwWtrn]|[pP]\{\^?\w+\}|[^\w\s])"
_PLAIN = r"[^\\\[\]{}()^$.|*+?&:\-]"
_BRACKET = rf"\[\^?(?:{_ESCAPE}|{_PLAIN}(?:-{_PLAIN})?)+\]"
# And how many of them are one match.
_CLASS = re.compile(rf"(?P<one>{_ESCAPE}|{_BRACKET}|{_PLAIN})(?:(?P<run>\+)|\{{1,(?P<longest>[1-9][0-9]?)\}})?")


class Tiling:
    """Cuts by a pattern whose matches tile the text, isolated."""

    def __init__(self, pattern: str) -> None:
        self._settings = () if pattern == GPT2 else (CL100K[pattern],)
        self._kernel = cut_gpt2 if pattern == GPT2 else cut_cl100k

    def split(self, pieces: PieceBatch, status: NDArray[np.uint8]) -> PieceBatch:
        """See `PreTokenizer.split`."""
        return cut(self._kernel, general_categories(), spelled_out(pieces), status, *self._settings)


class AtString:
    """Cuts at every occurrence of a string, from left to right."""

    def __init__(self, text: str, behavior: int, *, invert: bool) -> None:
        self._text = np.frombuffer(text.encode("utf-8"), np.uint8)
        self._settings = (behavior, int(invert))

    def split(self, pieces: PieceBatch, status: NDArray[np.uint8]) -> PieceBatch:
        """See `PreTokenizer.split`."""
        pieces = spelled_out(pieces)
        begins, ends = np.empty(pieces.size, np.int64), np.empty(pieces.size, np.int64)
        offsets = np.zeros(len(pieces.offsets), np.int64)
        source = (pieces.data, pieces.begins, pieces.ends, pieces.offsets, status)
        count = _cut_at_string(*source, self._text, *self._settings, begins, ends, offsets)
        return PieceBatch(pieces.data, begins[:count], ends[:count], offsets)


def make_split(part: dict[str, Any]) -> PreTokenizer | None:
    """`Split` of the library, for the patterns that this package knows."""
    pattern, invert = part.get("pattern"), part.get("invert")
    behavior = BEHAVIORS.get(str(part.get("behavior")))
    if part.keys() != {"type", "pattern", "behavior", "invert"} or behavior is None or not isinstance(invert, bool):
        return None
    if not isinstance(pattern, dict) or len(pattern) != 1:
        return None
    ((kind, text),) = pattern.items()
    if not isinstance(text, str) or not text:
        return None
    if kind == "String":
        return AtString(text, behavior, invert=invert)
    if kind != "Regex":
        return None
    if text == GPT2 or text in CL100K:
        # No text is between the matches, so there is nothing to merge them with, and nothing that stays where they are removed.
        isolates = part["behavior"] in ("Isolated", "MergedWithPrevious", "MergedWithNext") or (part["behavior"] == "Removed" and invert)
        return Tiling(text) if isolates else None
    match = _CLASS.fullmatch(text)
    if match is None:
        return None
    longest = UNBOUNDED if match["run"] else int(match["longest"] or 1)
    return ByClass(class_table(match["one"]), longest, behavior, invert=invert)


@compiled()
def _cut_at_string(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    delimiter: NDArray[np.uint8],
    behavior: int,
    invert: int,
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
    new_offsets: NDArray[np.int64],
) -> int:
    """The arguments are as for `cut`; returns the number of the new pieces."""
    count = 0
    for text in range(len(offsets) - 1):
        for piece in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            i = begins[piece]
            begin = i
            end = ends[piece]
            before = -1
            while i < end:
                same = i + len(delimiter) <= end
                k = 0
                while same and k < len(delimiter):
                    same = data[i + k] == delimiter[k]
                    k += 1
                if not same:
                    i += 1
                    continue
                if i > begin:
                    count = add_span(begin, i, invert, before, behavior, new_begins, new_ends, count)
                    before = invert
                begin = i
                i += len(delimiter)
                count = add_span(begin, i, 1 - invert, before, behavior, new_begins, new_ends, count)
                before = 1 - invert
                begin = i
            if end > begin:
                count = add_span(begin, end, invert, before, behavior, new_begins, new_ends, count)
        new_offsets[text + 1] = count
    return count
