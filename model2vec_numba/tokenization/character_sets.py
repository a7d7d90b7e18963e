"""Sets of code points that the installed `tokenizers` library defines, such as its white space, learnt from it page by page."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import inner
from model2vec_numba.tokenization.code_points import bits_of, decode
from model2vec_numba.tokenization.pages import PAGE_COUNT, Pages, ask_for_page, code_points_of

__all__ = ["CharacterSet", "member_at", "skips_graphic"]

_UNLEARNT = 0
_OUT = 1
_IN = 2


class CharacterSet:
    """A set of code points.

    Attributes:
        members: uint8, shape (0x110000,): 0 for a code point that is not learnt yet, 1 for one that is not in the set, 2 for one that is.
        outside: uint64, shape (0x110000 / 64,): a bit for each code point, 1 for one that is learnt and not in the set.
        pages: those that are learnt.
    """

    def __init__(self, find: Callable[[list[str]], list[bool]]) -> None:
        """`find` says of each character of a list whether it is in the set."""
        self._find = find
        # A megabyte of address space, of which the system provides only the pages that are written.
        self.members: NDArray[np.uint8] = np.zeros(PAGE_COUNT << 8, np.uint8)
        self.outside: NDArray[np.uint64] = np.zeros(PAGE_COUNT << 2, np.uint64)
        self.pages = Pages(self._learn_page)

    def _learn_page(self, page: int) -> None:
        code_points = code_points_of(page)
        found = np.array(self._find(list(map(chr, code_points))), bool)
        self.members[code_points] = np.where(found, np.uint8(_IN), np.uint8(_OUT))
        self.outside[page << 2 : (page + 1) << 2] = bits_of(~found)


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
