"""Bytes of many lengths in one array, where compiled code finds them by their place."""

from __future__ import annotations

import io
import os

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pool"]

# Compiled code reads two words from a place on, whatever the length.
_READ_BEHIND = 16


class Pool:
    """Room for so many bytes.

    Attributes:
        data: uint8. It never moves: compiled code in another thread may be reading it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._end = io.BytesIO()
        # Address space, of which the system provides only the pages that are written.
        self.data: NDArray[np.uint8] = np.zeros(size + _READ_BEHIND, np.uint8)

    def add(self, content: bytes) -> int | None:
        """Write bytes to a place of their own; returns the place, or ``None`` if there is no room."""
        # To move a file's position on and to read it is one step of Python's, where an addition is several: a signal handler that comes here in
        # the middle gets another place.
        end = self._end.seek(len(content), os.SEEK_CUR)
        if end > self._size:
            return None
        place = end - len(content)
        self.data[place:end] = np.frombuffer(content, np.uint8)
        return place
