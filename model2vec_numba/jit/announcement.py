"""The message about a long wait for the compiler."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Literal

from model2vec_numba.jit.folders import writable_folder

__all__ = ["Announcement", "announcement"]

# Nothing is said about shorter waits.
_SHORT_SECONDS = 2.0
# How long it takes to compile what a model needs, and everything, on the machines where this was measured.
_USUAL = {"model": "10 to 60 seconds", "everything": "one to five minutes"}


class Announcement:
    """Says once on standard error that the compiler works, if that takes more than two seconds.

    Attributes:
        silent: whether nothing is said, because something else shows the progress.
        work: "everything" if all kernels for all models are compiled, else "model".
    """

    def __init__(self) -> None:
        self.silent = False
        self.work: Literal["model", "everything"] = "model"
        self._seconds = 0.0
        self._depth = 0
        self._began = 0.0
        self._kept = False
        self._timer: threading.Timer | None = None
        self._said = False

    def begin(self, *, kept: bool) -> None:
        """Note that a kernel is about to be compiled. `kept`: whether it will be stored."""
        # A kernel may need another one, which is compiled first.
        self._depth += 1
        if self._depth > 1:
            return
        self._began = time.perf_counter()
        self._kept = kept
        if not self.silent and not self._said:
            self._timer = threading.Timer(max(0.0, _SHORT_SECONDS - self._seconds), self._say)
            self._timer.daemon = True
            with contextlib.suppress(RuntimeError):  # the system allows no more threads
                self._timer.start()

    def end(self) -> None:
        """Note that a kernel was compiled."""
        self._depth = max(0, self._depth - 1)
        if self._depth:
            return
        self._seconds += time.perf_counter() - self._began
        if self._timer is not None:
            self._timer.cancel()
        folder = writable_folder() if self._said else None
        if folder is not None:
            with contextlib.suppress(OSError):
                (folder / self._file_name).write_text(f"{self._seconds:.0f}\n", encoding="ascii")

    def _say(self) -> None:
        self._said = True
        future = "later runs use the result" if self._kept else "every run does so, because no folder can be written to: set NUMBA_CACHE_DIR"
        with contextlib.suppress(AttributeError, OSError, ValueError):  # standard error is missing, broken or closed
            sys.stderr.write(f"model2vec-numba: compiling for this processor, {self._estimate()}; {future}\n")
            sys.stderr.flush()

    def _estimate(self) -> str:
        """Return how long it takes, in words."""
        folder = writable_folder()
        with contextlib.suppress(OSError, ValueError):
            if folder is not None:
                return f"which took {int((folder / self._file_name).read_text(encoding='ascii'))} seconds last time"
        return f"which takes {_USUAL[self.work]}"

    @property
    def _file_name(self) -> str:
        """The name of the file, in a folder of compiled code, with the seconds that the last process spent on this work."""
        return f"compiling-{self.work}.seconds"


announcement = Announcement()
