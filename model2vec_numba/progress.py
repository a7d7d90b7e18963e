"""Progress bars on standard error."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

from model2vec_numba.extras import require

__all__ = ["NO_BAR", "ProgressBar", "can_show_bar", "is_terminal", "progress_bar", "terminal_progress_bar", "waiting"]

# No bar is shown for work that takes less time than this.
_DELAY_SECONDS = 0.5

Batch = TypeVar("Batch", bound=Sized)


class ProgressBar:
    """A progress bar that counts texts. It may be invisible.

    Args:
        bar: a bar of tqdm. ``None``: nothing is shown.
    """

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def advance(self, count: int, total: int | None = None) -> None:
        """Count some more texts as done.

        Args:
            count: the number of texts.
            total: a new estimate of the number of all texts. ``None``: the total stays as it is.
        """
        if self._bar is not None:
            if total is not None:
                self._bar.total = total
            self._bar.update(count)

    def describe(self, text: str) -> None:
        """Show what happens now in front of the bar, at once. An empty text removes it."""
        if self._bar is not None:
            self._bar.set_description(text)

    def track(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches. A batch counts as done when the next one is asked for."""
        for batch in batches:
            yield batch
            self.advance(len(batch))


NO_BAR = ProgressBar(None)


@contextmanager
def progress_bar(total: int | None, show: bool) -> Iterator[ProgressBar]:
    """Show a progress bar during a ``with`` block, if `show` is true.

    Args:
        total: the number of texts. ``None``: it is not known yet.
        show: whether to show the bar.

    Raises:
        ImportError: `show` is true and tqdm is not installed.
    """
    if not show:
        yield NO_BAR
        return
    with require("tqdm.auto", "show_progress_bar", "cli").tqdm(total=total, unit=" texts", unit_scale=True) as bar:
        yield ProgressBar(bar)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream is a terminal. It is ``None`` if it was closed before Python started."""
    return stream is not None and stream.isatty()


def can_show_bar() -> bool:
    """Return whether standard error is a terminal and tqdm is installed."""
    return is_terminal(sys.stderr) and importlib.util.find_spec("tqdm") is not None


@contextmanager
def waiting(work: str, show: bool) -> Iterator[None]:
    """Show a message on standard error while a ``with`` block works, if `show` is true and standard error is a terminal.

    Nothing is shown for short work. Anything else that is written to the terminal takes the place of the message.
    """
    if not show or not is_terminal(sys.stderr):
        yield
        return
    text = f"{work} ..."
    written = threading.Lock()

    def write(line: str) -> None:
        sys.stderr.write(f"{line}\r")
        sys.stderr.flush()

    def begin() -> None:
        if written.acquire(blocking=False):
            write(text)

    timer = threading.Timer(_DELAY_SECONDS, begin)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        # If the lock is free, nothing was written, and nothing will be.
        if not written.acquire(blocking=False):
            write(" " * len(text))


@contextmanager
def terminal_progress_bar(total: int | None, *, show: bool, unit: str = "texts") -> Iterator[ProgressBar]:
    """Show a progress bar during a ``with`` block, if `show` is true, standard error is a terminal and tqdm is installed.

    Args:
        total: the number of texts. ``None``: it is not known yet.
        show: whether to show the bar.
        unit: the word for the things that are counted.
    """
    if not show or not can_show_bar():
        yield NO_BAR
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", unit_scale=True, delay=_DELAY_SECONDS) as bar:
        yield ProgressBar(bar)
