"""Who may run a parallel kernel, and how its work is split.

numba's threading layers are not all safe: `workqueue` aborts the process when two Python threads are in parallel kernels at once, and GNU OpenMP
kills a forked child that enters one after its parent did. So one parallel kernel runs at a time in the process; whoever comes meanwhile, and
every forked child, runs the same work serially, with the GIL released all the same. The results are the same to the bit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

__all__ = ["segments", "threads"]

# Segments to a thread: with several, a thread that is held up leaves the rest to the others.
_SEGMENTS_PER_THREAD = 4


class _Turn:
    """The right to run a parallel kernel."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.forked = False

    def after_fork(self) -> None:
        """In a forked child: a lock that a thread of the parent held would stay locked, and parallel kernels are over."""
        self.lock = threading.Lock()
        self.forked = True


_turn = _Turn()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_turn.after_fork)


@contextmanager
def threads(work: int, enough: int) -> Iterator[int]:
    """The number of threads to use within the `with` block, for `work` units of work of which `enough` are worth a thread's start."""
    count = 1 if work < enough or _turn.forked else get_num_threads()
    if count == 1 or not _turn.lock.acquire(blocking=False):
        yield 1
        return
    try:
        yield count
    finally:
        _turn.lock.release()


def segments(offsets: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Split the texts of a batch among `count` threads by what they hold: segment ``s`` is texts ``segments[s]`` to ``segments[s + 1] - 1``."""
    bounds = np.linspace(offsets[0], offsets[-1], _SEGMENTS_PER_THREAD * count + 1)
    split = np.searchsorted(offsets, bounds).astype(np.int64)
    split[0], split[-1] = 0, len(offsets) - 1
    return split
