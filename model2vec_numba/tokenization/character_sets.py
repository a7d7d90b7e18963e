"""Sets of code points that the installed `tokenizers` library defines, such as its white space, learnt from it page by page."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import inner
from model2vec_numba.tokenization.code_points import PAGE_COUNT, decode

__all__ = ["OUT", "CharacterSet", "member_at", "skips_graphic"]

_UNLEARNT = 0
OUT = 1
_IN = 2
_SURROGATES = range(0xD800, 0xE000)


class CharacterSet:
    """A set of code points.

    Attributes:
        members: uint8, shape (0x110000,): 0 for a code point that is not learnt yet, 1 for one that is not in the set, 2 for one that is.
    """

    def __init__(self, find: Callable[[list[str]], list[bool]]) -> None:
        """`find` says of each character of a list whether it is in the set."""
        self._find = find
        self._lock = threading.Lock()
        # A megabyte of address space, of which the system provides only the pages that are written.
        self.members: NDArray[np.uint8] = np.zeros(PAGE_COUNT << 8, np.uint8)
        self._learn_page(0)

    def learn(self, missing: NDArray[np.uint8]) -> bool:
        """Learn the pages at which `missing`, of shape (PAGE_COUNT,), is not 0, set it to 0 there, and say whether there were any."""
        pages = np.flatnonzero(missing)
        with self._lock:
            for page in pages:
                self._learn_page(int(page))
        missing[:] = 0
        return len(pages) > 0

    def _learn_page(self, page: int) -> None:
        code_points = range(page << 8, (page + 1) << 8)
        # Surrogates stand in no valid text.
        characters = [chr(c) if c not in _SURROGATES else "\ufffd" for c in code_points]
        self.members[page << 8 : (page + 1) << 8] = np.where(self._find(characters), np.uint8(_IN), np.uint8(OUT))


@inner
def member_at(data: NDArray[np.uint8], i: int, members: NDArray[np.uint8], missing: NDArray[np.uint8]) -> tuple[bool, int]:
    """Whether the code point at `i` is in the set, and its number of bytes; in `missing`, 1 for its page if that is not learnt."""
    code_point, size = decode(data, i)
    member = members[code_point]
    if member == _UNLEARNT:
        missing[code_point >> 8] = 1
    return member == _IN, size


@inner
def skips_graphic(members: NDArray[np.uint8]) -> bool:
    """Whether no ASCII character from ``!`` on is in the set, so that those can be passed over eight at a time; see `graphic_length`."""
    for byte in range(0x21, 0x80):
        if members[byte] == _IN:
            return False
    return True
