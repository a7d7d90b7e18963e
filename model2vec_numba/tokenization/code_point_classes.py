"""Which class each code point is in for a pre-tokeniser: letter, white space, punctuation and so on, learnt from the installed `tokenizers` library.

As in `code_points`, the tables hold what the library answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex
from tokenizers.pre_tokenizers import PreTokenizer, Split

from model2vec_numba.compiled import inner
from model2vec_numba.tokenization.code_points import decode
from model2vec_numba.tokenization.pages import PAGE_COUNT, Pages, ask_for_page, code_points_of

__all__ = ["ALONE", "GAP", "JOINED", "LEARNT", "ClassTable", "class_at", "kinds_by", "members_of"]

# Set in every class that was learnt, so that 0 is one that was not.
LEARNT = 0x80

# What `kinds_by` tells apart: a pre-tokeniser joins a code point to the letters beside it, makes a piece of it, or leaves it out.
JOINED = 0
ALONE = 1
GAP = 2

Probe = Callable[[list[str]], Iterable[int]]

# One of these is not in the class, whichever the class is; or nearly so.
_FENCES = "|a1 "


class ClassTable:
    """The class of each code point.

    Attributes:
        classes: uint8, shape (0x110000,): what the probe said of the code point, and `LEARNT`.
        pages: those that are learnt.
    """

    def __init__(self, probe: Probe) -> None:
        """`probe`: the classes, below `LEARNT`, of some characters."""
        self._probe = probe
        # A megabyte of address space, of which the system provides only the pages that are written.
        self.classes: NDArray[np.uint8] = np.zeros(PAGE_COUNT << 8, np.uint8)
        self.pages = Pages(self._learn_page)

    def _learn_page(self, page: int) -> None:
        code_points = code_points_of(page)
        self.classes[code_points] = [LEARNT | kind for kind in self._probe(list(map(chr, code_points)))]


def kinds_by(pre_tokenizer: PreTokenizer) -> Probe:
    """The probe for a pre-tokeniser that classes each code point by itself: `JOINED`, `ALONE` or `GAP`."""

    def probe(characters: list[str]) -> Iterable[int]:
        # Each character stands between two letters.
        pieces = pre_tokenizer.pre_tokenize_str("".join(f"a{character}a " for character in characters))
        covered = {at: last - first for _, (first, last) in pieces for at in range(first, last)}
        for at in range(1, 4 * len(characters), 4):
            length = covered.get(at, 0)
            yield GAP if length == 0 else ALONE if length == 1 else JOINED

    return probe


def members_of(*patterns: str) -> Probe:
    """The probe whose bit ``b`` says whether a code point matches pattern ``b``, a regular expression for one character."""
    splits = [Split(Regex(pattern), "removed") for pattern in patterns]

    def probe(characters: list[str]) -> Iterable[int]:
        kinds = [0] * len(characters)
        for bit, split in enumerate(splits):
            fence = next((fence for fence in _FENCES if split.pre_tokenize_str(fence)), None)
            if fence is None:
                outside = {k for k, character in enumerate(characters) if split.pre_tokenize_str(character)}
            else:
                pieces = split.pre_tokenize_str(fence + "".join(character + fence for character in characters))
                outside = {at // 2 for _, span in pieces for at in range(*span) if at % 2}
            for k in range(len(characters)):
                kinds[k] |= (k not in outside) << bit
        return kinds

    return probe


@inner
def class_at(data: NDArray[np.uint8], i: int, classes: NDArray[np.uint8], missing: NDArray[np.uint8]) -> tuple[int, int]:
    """The class of the code point that stands at `i` in valid UTF-8, and its number of bytes; if it is not learnt, see `ask_for_page`."""
    code_point, size = decode(data, i)
    kind = np.int64(classes[code_point])
    if kind == 0:
        ask_for_page(code_point, missing)
    return kind, size
