"""Threads that are kept for later calls. They sleep until a call offers its work.

Starting a thread takes 50 us and waking one takes 10 us. A fork gives the child none of them. They never end by themselves, and the end of the
interpreter does not wait for them.
"""

from __future__ import annotations

import _thread
import os
import threading
from queue import SimpleQueue
from typing import Protocol

__all__ = ["Work", "offer"]

# On a busy machine, calls may offer work faster than the threads take it.
_MAX_OFFERS = 64


class Work(Protocol):
    """Work that another thread may take part in."""

    def take_part(self) -> None:
        """Work in a kept thread, and raise no error. If the work is over, return at once."""


class _KeptThreads:
    """The kept threads of this process."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget all threads. A forked child has none of its parent's, and a lock that one of them held would stay locked."""
        self._offers: SimpleQueue[Work] = SimpleQueue()
        self._starting = threading.Lock()
        self._count = 0

    def offer(self, work: Work, max_threads: int) -> None:
        """Let a thread take part in some work when it is free; see the function `offer`."""
        if self._count < max_threads:
            self._start(max_threads)
        if self._count and self._offers.qsize() < _MAX_OFFERS:
            self._offers.put(work)

    def _start(self, max_threads: int) -> None:
        """Start a thread if there are fewer than `max_threads`, and if the operating system allows one more."""
        with self._starting:
            if self._count < max_threads:
                try:
                    # `threading.Thread` would take 120 us, and the end of the interpreter would wait for it.
                    _thread.start_new_thread(_take_part, (self._offers,))
                    self._count += 1
                except RuntimeError:
                    pass


def _take_part(offers: SimpleQueue[Work]) -> None:
    """Take part in the work that is offered, for ever."""
    while True:
        # The result has no name here. Otherwise its texts would be kept until the next offer.
        offers.get().take_part()


_kept_threads = _KeptThreads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept_threads.forget)


def offer(work: Work, max_threads: int) -> None:
    """Let a thread take part in some work when it is free. Perhaps none ever is, or the work is then over.

    If fewer than `max_threads` threads are kept, one more is started, unless the operating system allows no more.
    """
    _kept_threads.offer(work, max_threads)
