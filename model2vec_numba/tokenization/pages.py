"""Tables with an entry for each code point, which are learnt from the `tokenizers` library: in pages of 256, each when a text first needs it.

All 4,352 pages would take seconds, and a text needs a few. A kernel that meets an entry which is not learnt asks for its page in an array,
`missing`; the caller has the page learnt and calls the kernel again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import inner
from model2vec_numba.forks import forks_wait_for

__all__ = ["PAGE_COUNT", "Pages", "ask_for_page", "code_points_of", "learning", "no_pages"]

PAGE_COUNT = 0x110000 >> 8

Result = TypeVar("Result")

# Held by the thread that learns from the library, which may have to compile. It may come here again: in a signal handler, for a text of its own.
learning = threading.RLock()
forks_wait_for(learning)


def no_pages() -> NDArray[np.uint8]:
    """An array `missing`, uint8, in which no page is asked for: an element for each page, and one for whether any of them is."""
    return np.zeros(PAGE_COUNT + 1, np.uint8)


@inner
def ask_for_page(code_point: int, missing: NDArray[np.uint8]) -> None:
    """Write to `missing` that the page of a code point is needed."""
    missing[code_point >> 8] = 1
    missing[PAGE_COUNT] = 1


def code_points_of(page: int) -> range:
    """The code points of a page. Surrogates stand in no valid text, so their pages are never asked for."""
    return range(page << 8, (page + 1) << 8)


class Pages:
    """The pages of one table that are learnt; the first, which nearly all texts need, from the beginning."""

    def __init__(self, learn_page: Callable[[int], object]) -> None:
        """`learn_page` fills a page of the table. One thread calls it at a time; a signal handler may in the middle of another call."""
        self._learn_page = learn_page
        learn_page(0)
        self._learnt = {0}

    def complete(self, call: Callable[[NDArray[np.uint8]], Result]) -> Result:
        """What `call`, given an array `missing`, returns once it needs no page that is not learnt: until then it is called again."""
        missing = no_pages()
        result = call(missing)
        while self.learn(missing):
            result = call(missing)
        return result

    def learn(self, missing: NDArray[np.uint8]) -> bool:
        """Learn the pages that a kernel asked for, and say whether there were any; after that, none is asked for."""
        # The rest takes microseconds even for none, and most texts need none.
        if not missing[PAGE_COUNT]:
            return False
        with learning:
            for page in missing[:PAGE_COUNT].nonzero()[0].tolist():
                # Another thread may have been here meanwhile.
                if page not in self._learnt:
                    self._learn_page(page)
                    self._learnt.add(page)
        missing[:] = 0
        return True
