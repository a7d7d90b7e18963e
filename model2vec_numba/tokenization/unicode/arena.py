"""An arena: one large array that holds byte strings of different lengths. Compiled code finds a byte string by its position."""

from __future__ import annotations

import io
import os

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arena"]

# Compiled code reads 16 bytes from a position on, even if the byte string is shorter.
_OVERREAD = 16


class Arena:
    """An array to which byte strings are added until it is full.

    Args:
        size: the maximum number of bytes.

    Attributes:
        data: uint8. It never moves, because compiled code in another thread may be reading it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        # The position of this empty file is where the next byte string goes.
        self._end_counter = io.BytesIO()
        # This is address space. The system provides memory only for the pages that are written.
        self.data: NDArray[np.uint8] = np.zeros(size + _OVERREAD, np.uint8)

    def add(self, contents: list[bytes]) -> NDArray[np.int64]:
        """Write some byte strings and return their positions, each -1 if they do not fit. After that, all later ones are refused too."""
        joined = b"".join(contents)
        # A signal handler may call this method in the middle of another call. `seek` adds to the position and returns it in one call that nothing can
        # interrupt, so both calls get places of their own. `end += n` can be interrupted.
        end = self._end_counter.seek(len(joined), os.SEEK_CUR)
        if end > self._size:
            return np.full(len(contents), -1)
        begin = end - len(joined)
        self.data[begin:end] = np.frombuffer(joined, np.uint8)
        lengths = np.fromiter(map(len, contents), np.int64, len(contents))
        return begin + np.cumsum(lengths) - lengths
