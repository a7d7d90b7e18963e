"""Threads that make the items of an iterator before they are needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

__all__ = ["STAGE_THREAD", "Prefetcher"]

Item = TypeVar("Item")
# A list with one item and no error; or an empty list, after the last item, with the error that ended the iteration or ``None``.
Message = tuple[list[Item], "BaseException | None"]

# The maximum number of items that a thread makes before they are needed.
_MAX_AHEAD = 2
STAGE_THREAD = "model2vec-numba stage"
"""The name of the threads."""
# How many seconds to wait for a thread after Ctrl-C. A thread that compiles may need ten.
_MAX_WAIT_SECONDS = 1.0
_POLL_SECONDS = 0.1


class Prefetcher:
    """A context manager that starts threads which make items ahead of time.

    All threads end when the ``with`` block ends, except after Ctrl-C: then a thread that makes an item may still run.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        # For each thread, the number of seconds to wait for its end.
        self._threads: dict[threading.Thread, float | None] = {}

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._stop.set()
        # A thread that still runs C++ code when Python ends would abort the process. The caller that gets a signal must not end Python so.
        longest = _MAX_WAIT_SECONDS if error is not None and not isinstance(error, Exception) else None
        for thread, seconds in self._threads.items():
            # Ctrl-C may have come before the thread was started.
            with suppress(RuntimeError):
                thread.join(seconds if longest is None else longest)

    def ahead(self, items: Iterable[Item], max_wait: float | None = None) -> Iterator[Item]:
        """Yield the items of an iterable. A new thread makes each of them a little before it is needed.

        Args:
            items: the items.
            max_wait: how many seconds the end of the ``with`` block may wait for the thread, which may still be making an item. ``None``: wait
                until the item is made.

        Raises:
            BaseException: making an item failed. The error is raised after all earlier items were given.
        """
        messages: queue.Queue[Message[Item]] = queue.Queue(_MAX_AHEAD)
        thread = threading.Thread(target=self._make, args=(items, messages), name=STAGE_THREAD, daemon=True)
        self._threads[thread] = max_wait
        thread.start()
        while not self._stop.is_set():
            try:
                # The timeout is needed on Windows, where Ctrl-C does not interrupt a wait without one.
                found, error = messages.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            yield from found
            if error is not None:
                raise error
            if not found:
                return

    def _make(self, items: Iterable[Item], messages: queue.Queue[Message[Item]]) -> None:
        """Put each item into the queue, then the end or the error. This is the body of a thread."""
        try:
            for item in items:
                self._put(([item], None), messages)
                if self._stop.is_set():
                    return
        except BaseException as error:
            self._put(([], error), messages)
        else:
            self._put(([], None), messages)

    def _put(self, message: Message[Item], messages: queue.Queue[Message[Item]]) -> None:
        """Wait until the queue has space, then put the message in it. Give up when `_stop` is set, as the ``with`` block of the `Prefetcher` ends."""
        while not self._stop.is_set():
            try:
                messages.put(message, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return
