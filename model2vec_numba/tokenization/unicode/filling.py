"""Tables with an entry for each code point, filled from the `tokenizers` library when a kernel first needs the entry.

Filling all 0x110000 entries would take seconds, and a text needs only a few. So a kernel that meets an entry which is not filled asks for its code
point in an array, `missing`. The caller then fills the entries that were asked for, all in one go, and calls the kernel again; see `Filler.rounds`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner
from model2vec_numba.parallel.forks import forks_wait_for

__all__ = ["CODE_POINTS", "Filler", "ask_for", "characters_of", "fill_lock", "nothing_missing"]

CODE_POINTS = 0x110000
# Nearly all texts need U+0000 to U+00FF.
_FIRST = np.arange(0x100)

# The number of code points that one array `missing` can ask for, a power of two, and how many places are tried for each.
_PLACES = 1 << 12
_TRIES = 16

# Filling takes 50 to 100 microseconds and about two more for each code point. So one call fills at least about as many as this. If names in thirty
# languages come one by one, there are half as many calls as without it. With 64, there would be a quarter, but nearly ten times the code points.
_FEWEST = 16

# The thread that fills entries holds this lock. It may take the lock again, in a signal handler that needs entries itself.
fill_lock = threading.RLock()
forks_wait_for(fill_lock)


def nothing_missing() -> NDArray[np.int32]:
    """Return an array `missing` that asks for nothing: int32, shape (_PLACES + 1,).

    It is a hash table of the code points that are asked for. The last element is 1 if there are any.
    """
    return np.zeros(_PLACES + 1, np.int32)


@inner
def ask_for(code_point: int, missing: NDArray[np.int32]) -> None:
    """Write to `missing` that the entry of a code point is needed. If there is no room, it is asked for again in the next round."""
    missing[_PLACES] = 1
    for k in range(code_point, code_point + _TRIES):
        # U+0000 is never asked for, so 0 means an empty place.
        held = missing[k & (_PLACES - 1)]
        if held == code_point:
            return
        if held == 0:
            missing[k & (_PLACES - 1)] = code_point
            return


def characters_of(code_points: NDArray[np.int64]) -> list[str]:
    """Return code points as strings."""
    return list(map(chr, code_points.tolist()))


class Filler:
    """Fills the entries of one table when they are needed. The first ones, which nearly all texts need, are filled at once.

    Args:
        table: an element for each code point, 0 if it is not filled.
        fill: fills the entries of code points, which are sorted and not filled. Only one thread calls it at a time, but a signal handler may call it
            in the middle of another call, for the same code points.
    """

    def __init__(self, table: NDArray[np.uint8] | NDArray[np.uint64], fill: Callable[[NDArray[np.int64]], object]) -> None:
        self._table = table
        self._fill = fill
        fill(_FIRST)

    def rounds(self) -> Iterator[NDArray[np.int32]]:
        """Yield an array `missing` for each call of a kernel, until the kernel asks for nothing.

        The caller calls its kernel with the array. Then the entries that the kernel asked for in it are filled.
        """
        missing = nothing_missing()
        yield missing
        while self.fill(missing):
            yield missing

    def fill(self, missing: NDArray[np.int32]) -> bool:
        """Fill the entries that a kernel asked for, and clear `missing`. Return whether it asked for any."""
        # Most texts need nothing, and the code below takes microseconds even then.
        if not missing[_PLACES]:
            return False
        asked = missing[:_PLACES]
        self.fill_code_points(asked[asked.nonzero()[0]].astype(np.int64))
        missing[:] = 0
        return True

    def fill_code_points(self, code_points: NDArray[np.int64]) -> None:
        """Fill the entries of some code points: int64, in any order. If there are only a few, some of their neighbours are filled too."""
        with fill_lock:
            # Another thread may have filled some in the meantime.
            code_points = np.sort(code_points[self._table[code_points] == 0])
            if 0 < len(code_points) < _FEWEST:
                # Later texts in the same script often need the neighbours: the code points with the same upper bits.
                width = 1 << (_FEWEST // len(code_points)).bit_length() - 1
                begins = sorted({code_point & -width for code_point in code_points.tolist()})
                code_points = (np.array(begins)[:, np.newaxis] + np.arange(width)).ravel()
                code_points = code_points[self._table[code_points] == 0]
            if len(code_points):
                self._fill(code_points)
