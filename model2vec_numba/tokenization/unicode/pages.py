"""Tables with an entry for each code point, filled from the `tokenizers` library page by page. A page has 64 code points.

Filling all 17,408 pages would take seconds, and a text needs only a few. So a kernel that meets an entry which is not filled asks for its page in
an array, `missing`. The caller then fills the page and calls the kernel again; see `Pages.rounds`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner
from model2vec_numba.parallel.forks import forks_wait_for

__all__ = ["PAGE_BITS", "PAGE_COUNT", "Pages", "ask_for_page", "code_points_of", "fill_lock", "no_pages"]

PAGE_BITS = 6
PAGE_COUNT = 0x110000 >> PAGE_BITS
# The pages of U+0000 to U+00FF, which nearly all texts need.
_FIRST_PAGES = range(0x100 >> PAGE_BITS)

# The thread that fills pages holds this lock. It may take the lock again, in a signal handler that needs pages itself.
fill_lock = threading.RLock()
forks_wait_for(fill_lock)


def no_pages() -> NDArray[np.uint8]:
    """Return an array `missing` that asks for no page: uint8, shape (PAGE_COUNT + 1,).

    An element is 1 if its page is asked for. The last element is 1 if any page is asked for.
    """
    return np.zeros(PAGE_COUNT + 1, np.uint8)


@inner
def ask_for_page(code_point: int, missing: NDArray[np.uint8]) -> None:
    """Write to `missing` that the page of a code point is needed."""
    missing[code_point >> PAGE_BITS] = 1
    missing[PAGE_COUNT] = 1


def code_points_of(page: int) -> range:
    """Return the code points of a page. The pages of surrogates are never asked for, because valid text has none."""
    return range(page << PAGE_BITS, (page + 1) << PAGE_BITS)


class Pages:
    """The filled pages of one table. The first pages, which nearly all texts need, are filled at once.

    Args:
        fill_page: fills a page of the table. Only one thread calls it at a time, but a signal handler may call it in the middle of another call.
    """

    def __init__(self, fill_page: Callable[[int], object]) -> None:
        self._fill_page = fill_page
        for page in _FIRST_PAGES:
            fill_page(page)
        self._filled = set(_FIRST_PAGES)

    def rounds(self) -> Iterator[NDArray[np.uint8]]:
        """Yield an array `missing` for each call of a kernel, until the kernel asks for no page.

        The caller calls its kernel with the array. Then the pages that the kernel asked for in it are filled.
        """
        missing = no_pages()
        yield missing
        while self.fill(missing):
            yield missing

    def fill(self, missing: NDArray[np.uint8]) -> bool:
        """Fill the pages that a kernel asked for, and clear `missing`. Return whether it asked for any."""
        # Most texts need no page, and the code below takes microseconds even then.
        if not missing[PAGE_COUNT]:
            return False
        with fill_lock:
            for page in missing[:PAGE_COUNT].nonzero()[0].tolist():
                # Another thread may have filled it in the meantime.
                if page not in self._filled:
                    self._fill_page(page)
                    self._filled.add(page)
        missing[:] = 0
        return True
