"""A progress bar on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress"]

# Work that is done by then has no bar.
_DELAY_SECONDS = 0.5


@contextmanager
def progress(total: int | None, *, show: bool) -> Iterator[Callable[..., object]]:
    """Give a function to call with the number of texts just done. It moves a bar if standard error is a terminal and tqdm is installed.

    Where the total is not known, the function may be told, as a second argument, how many there seem to be.
    """
    if show and sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ModuleNotFoundError:
            pass
        else:
            with tqdm(total=total, unit=" texts", unit_scale=True, delay=_DELAY_SECONDS) as bar:

                def advance(count: int, estimate: int | None = None) -> None:
                    bar.total = estimate if total is None else total
                    bar.update(count)

                yield advance
            return
    yield lambda *_: None
