"""Pre-tokenisers that look at one code point at a time: BertPreTokenizer, Whitespace, Punctuation, Digits, and Split at a class of characters."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import pre_tokenizers as library

from model2vec_numba.compiled import compiled
from model2vec_numba.tokenization.byte_level import spelled_out
from model2vec_numba.tokenization.code_point_classes import ALONE, GAP, LEARNT, ClassTable, class_at, kinds_by, members_of
from model2vec_numba.tokenization.pre_tokenizers.cutting import BEHAVIOR_ISOLATED, BEHAVIORS, add_span, cut
from model2vec_numba.tokenization.stages import DONE, PieceBatch

__all__ = ["ByClass", "class_table", "make_bert", "make_digits", "make_punctuation", "make_whitespace"]

UNBOUNDED = 1 << 62


class ByClass:
    """Cuts pieces where the class of the characters changes."""

    def __init__(self, table: ClassTable, longest: int, behavior: int = BEHAVIOR_ISOLATED, *, invert: bool = False) -> None:
        """Characters that are `ALONE` are delimiters, of at most `longest` each (`invert`: the others are); those that are `GAP` are left out."""
        self._table = table
        self._settings = (longest, behavior, int(invert))

    def split(self, pieces: PieceBatch, status: NDArray[np.uint8]) -> PieceBatch:
        """See `PreTokenizer.split`."""
        return cut(_cut_by_class, self._table, spelled_out(pieces), status, *self._settings)


def make_bert(part: dict[str, Any]) -> ByClass | None:
    """White space left out, each punctuation mark a piece."""
    return ByClass(_library_table("BertPreTokenizer"), 1) if part.keys() == {"type"} else None


def make_whitespace(part: dict[str, Any]) -> ByClass | None:
    r"""``\w+|[^\w\s]+``."""
    return ByClass(_library_table("Whitespace"), UNBOUNDED) if part.keys() == {"type"} else None


def make_punctuation(part: dict[str, Any]) -> ByClass | None:
    """Split at each punctuation mark."""
    behavior = BEHAVIORS.get(str(part.get("behavior", "Isolated")))
    return None if behavior is None or not part.keys() <= {"type", "behavior"} else ByClass(_library_table("Punctuation"), 1, behavior)


def make_digits(part: dict[str, Any]) -> ByClass | None:
    """Numbers are pieces, or each digit is."""
    individual = part.get("individual_digits")
    if part.keys() != {"type", "individual_digits"} or not isinstance(individual, bool):
        return None
    return ByClass(_library_table("Digits"), 1 if individual else UNBOUNDED)


@cache
def _library_table(name: str) -> ClassTable:
    """The classes that a pre-tokeniser of the library tells apart."""
    return ClassTable(kinds_by(getattr(library, name)()))


@cache
def class_table(pattern: str) -> ClassTable:
    """The characters that match a regular expression for one character are `ALONE`."""
    return ClassTable(members_of(pattern))


@compiled()
def _cut_by_class(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    longest: int,
    behavior: int,
    invert: int,
    missing: NDArray[np.uint8],
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
    new_offsets: NDArray[np.int64],
) -> int:
    """See `ByClass` and `cut`."""
    count = 0
    for text in range(len(offsets) - 1):
        for piece in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            i = begins[piece]
            end = ends[piece]
            before = -1
            while i < end:
                begin = i
                kind, size = class_at(data, i, classes, missing)
                i += size
                room = longest if kind == LEARNT | ALONE else UNBOUNDED
                while i < end and room > 1:
                    following, size = class_at(data, i, classes, missing)
                    if following != kind:
                        break
                    i += size
                    room -= 1
                if kind != LEARNT | GAP:
                    delimits = np.int64(kind == LEARNT | ALONE) ^ invert
                    count = add_span(begin, i, delimits, before, behavior, new_begins, new_ends, count)
                    before = delimits
        new_offsets[text + 1] = count
    return count
