"""Progress bars on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

from model2vec_numba.extras import require

__all__ = ["NO_BAR", "ProgressBar", "progress_bar", "terminal_progress_bar"]

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

    def track(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches. A batch counts as done when the next one is asked for."""
        for batch in batches:
            yield batch
            self.advance(len(batch))


NO_BAR = ProgressBar(None)


@contextmanager
def progress_bar(total: int, show: bool) -> Iterator[ProgressBar]:
    """Show a progress bar during a ``with`` block, if `show` is true.

    Args:
        total: the number of texts.
        show: whether to show the bar.

    Raises:
        ImportError: `show` is true and tqdm is not installed.
    """
    if not show:
        yield NO_BAR
        return
    with require("tqdm.auto", "show_progress_bar", "cli").tqdm(total=total, unit=" texts", unit_scale=True) as bar:
        yield ProgressBar(bar)


@contextmanager
def terminal_progress_bar(total: int | None, *, show: bool, unit: str = "texts") -> Iterator[ProgressBar]:
    """Show a progress bar during a ``with`` block, if `show` is true, standard error is a terminal and tqdm is installed.

    Args:
        total: the number of texts. ``None``: it is not known yet.
        show: whether to show the bar.
        unit: the word for the things that are counted.
    """
    if not show or not sys.stderr.isatty():
        yield NO_BAR
        return
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        yield NO_BAR
        return
    with tqdm(total=total, unit=f" {unit}", unit_scale=True, delay=_DELAY_SECONDS) as bar:
        yield ProgressBar(bar)
