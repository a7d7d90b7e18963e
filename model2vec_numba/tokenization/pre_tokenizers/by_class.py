"""Pre-tokenisers that cut by the class of single code points: BertPreTokenizer, Whitespace, Punctuation, Digits, and Split at a class."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import pre_tokenizers as library

from model2vec_numba.jit.decorators import compiled
from model2vec_numba.tokenization.byte_alphabet import spelled_out
from model2vec_numba.tokenization.pre_tokenizers.cutting import BEHAVIOR_ISOLATED, BEHAVIORS, add_span, cut
from model2vec_numba.tokenization.stages import DONE, PreTokenBatch
from model2vec_numba.tokenization.unicode.classes import ALONE, FILLED, GAP, ClassTable, class_at, classes_by, matches_of

__all__ = ["ByClass", "class_table", "make_bert", "make_digits", "make_punctuation", "make_whitespace"]

UNBOUNDED = 1 << 62


class ByClass:
    """Cuts pre-tokens where the class of the characters changes.

    Args:
        table: the classes. A run of `ALONE` characters is a delimiter. `GAP` characters are left out.
        max_length: the maximum number of characters of a delimiter. A longer run is several delimiters.
        behavior: one of the values of `BEHAVIORS`, which says what happens to delimiters.
        invert: whether the other runs are the delimiters, in place of the runs that are `ALONE`.
    """

    def __init__(self, table: ClassTable, max_length: int, behavior: int = BEHAVIOR_ISOLATED, *, invert: bool = False) -> None:
        self._table = table
        self._settings = (max_length, behavior, int(invert))

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens, as `PreTokenizer.split` describes."""
        return cut(_cut_by_class, self._table, spelled_out(pre_tokens), status, *self._settings)


def make_bert(config: dict[str, Any]) -> ByClass | None:
    """Return the pre-tokeniser for a ``BertPreTokenizer``: it drops white space, and each punctuation mark is a pre-token."""
    return ByClass(_library_table("BertPreTokenizer"), 1) if config.keys() == {"type"} else None


def make_whitespace(config: dict[str, Any]) -> ByClass | None:
    r"""Return the pre-tokeniser for a ``Whitespace``: the pre-tokens are the matches of ``\w+|[^\w\s]+``."""
    return ByClass(_library_table("Whitespace"), UNBOUNDED) if config.keys() == {"type"} else None


def make_punctuation(config: dict[str, Any]) -> ByClass | None:
    """Return the pre-tokeniser for a ``Punctuation``: each punctuation mark is a delimiter."""
    behavior = BEHAVIORS.get(str(config.get("behavior", "Isolated")))
    return None if behavior is None or not config.keys() <= {"type", "behavior"} else ByClass(_library_table("Punctuation"), 1, behavior)


def make_digits(config: dict[str, Any]) -> ByClass | None:
    """Return the pre-tokeniser for a ``Digits``: each number, or each digit, is a pre-token."""
    individual = config.get("individual_digits")
    if config.keys() != {"type", "individual_digits"} or not isinstance(individual, bool):
        return None
    return ByClass(_library_table("Digits"), 1 if individual else UNBOUNDED)


@cache
def _library_table(name: str) -> ClassTable:
    """Return the table of the classes of a pre-tokeniser of the `tokenizers` library."""
    return ClassTable(classes_by(getattr(library, name)()))


@cache
def class_table(pattern: str) -> ClassTable:
    """Return the table in which the characters that match a regular expression for one character are `ALONE`."""
    return ClassTable(matches_of(pattern))


@compiled()
def _cut_by_class(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    max_length: int,
    behavior: int,
    invert: int,
    missing: NDArray[np.uint8],
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
    new_offsets: NDArray[np.int64],
) -> int:
    """Cut pre-tokens by class. The arguments are those of `ByClass` and of the kernels of `cut`. Return the number of new pre-tokens."""
    count = 0
    for text in range(len(offsets) - 1):
        for pre_token in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            i = begins[pre_token]
            end = ends[pre_token]
            previous_is_delimiter = -1
            while i < end:
                begin = i
                kind, size = class_at(data, i, classes, missing)
                i += size
                remaining = max_length if kind == FILLED | ALONE else UNBOUNDED
                while i < end and remaining > 1:
                    following, size = class_at(data, i, classes, missing)
                    if following != kind:
                        break
                    i += size
                    remaining -= 1
                if kind != FILLED | GAP:
                    is_delimiter = np.int64(kind == FILLED | ALONE) ^ invert
                    count = add_span(begin, i, is_delimiter, previous_is_delimiter, behavior, new_begins, new_ends, count)
                    previous_is_delimiter = is_delimiter
        new_offsets[text + 1] = count
    return count
