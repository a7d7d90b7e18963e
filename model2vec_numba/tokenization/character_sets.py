"""Sets of code points that the installed `tokenizers` library defines, such as its white space, learnt from it page by page."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import inner
from model2vec_numba.tokenization.code_points import decode
from model2vec_numba.tokenization.pages import PAGE_COUNT, Pages, ask_for_page, code_points_of

__all__ = ["OUT", "CharacterSet", "member_at", "skips_graphic"]

_UNLEARNT = 0
OUT = 1
_IN = 2


class CharacterSet:
    """A set of code points.

    Attributes:
        members: uint8, shape (0x110000,): 0 for a code point that is not learnt yet, 1 for one that is not in the set, 2 for one that is.
        pages: those that are learnt.
    """

    def __init__(self, find: Callable[[list[str]], list[bool]]) -> None:
        """`find` says of each character of a list whether it is in the set."""
        self._find = find
        # A megabyte of address space, of which the system provides only the pages that are written.
        self.members: NDArray[np.uint8] = np.zeros(PAGE_COUNT << 8, np.uint8)
        self.pages = Pages(self._learn_page)

    def _learn_page(self, page: int) -> None:
        code_points = code_points_of(page)
        self.members[code_points] = np.where(self._find(list(map(chr, code_points))), np.uint8(_IN), np.uint8(OUT))


@inner
def member_at(data: NDArray[np.uint8], i: int, members: NDArray[np.uint8], missing: NDArray[np.uint8]) -> tuple[bool, int]:
    """Whether the code point at `i` is in the set, and its number of bytes; if it is not learnt, its page is asked for in `missing`."""
    code_point, size = decode(data, i)
    member = members[code_point]
    if member == _UNLEARNT:
        ask_for_page(code_point, missing)
    return member == _IN, size


@inner
def skips_graphic(members: NDArray[np.uint8]) -> bool:
    """Whether no ASCII character from ``!`` on is in the set, so that those can be passed over eight at a time; see `graphic_length`."""
    for byte in range(0x21, 0x80):
        if members[byte] == _IN:
            return False
    return True
