"""The number of threads of a call.

One call at a time is multithreaded. Concurrent calls use one thread each, and every call in a forked child uses one. The results are the same to
the bit. There are two reasons. Two calls with all threads each would only slow each other down. And the threading layers of numba are not all
safe: `workqueue` aborts the process if two Python threads run parallel kernels at once, and GNU OpenMP kills a forked child that runs one
after its parent did.
"""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path

import numba
from numba import config

from model2vec_numba.checks import checked_count

__all__ = ["claim_threads", "get_num_threads", "has_threading_layer", "set_num_threads"]

_NO_LIMIT = 1 << 20


class _State:
    """The lock of the multithreaded call, and whether this process is a forked child."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.forked = False

    def after_fork(self) -> None:
        """Reset the state in a forked child. A lock that a thread of the parent held would stay locked."""
        self.lock = threading.Lock()
        self.forked = True


class _Settings:
    """The number of threads that was set for the process. ``None``: the default."""

    count: int | None = None


_state = _State()
_settings = _Settings()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_state.after_fork)


@functools.cache
def _environment_limit() -> int:
    """Return the number of threads that the environment and the container allow. numba itself reads NUMBA_NUM_THREADS and the processor affinity."""
    limit = int(config.NUMBA_NUM_THREADS)
    if "NUMBA_NUM_THREADS" not in os.environ:
        # OpenMP's variable may be a list with a number for each level of nesting.
        requested = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
        if requested.isdecimal() and int(requested) > 0:
            limit = min(limit, int(requested))
        limit = min(limit, _container_limit(Path("/sys/fs/cgroup")))
    return limit


def _container_limit(cgroups: Path) -> int:
    """Return the number of processors that Linux's control groups (version 2 or 1) allow, rounded up; `_NO_LIMIT` if they set no limit."""
    version_2, version_1 = cgroups / "cpu.max", cgroups / "cpu"
    try:
        if version_2.is_file():
            quota, period = version_2.read_text().split()
        else:
            quota, period = (version_1 / "cpu.cfs_quota_us").read_text(), (version_1 / "cpu.cfs_period_us").read_text()
        if quota.strip() != "max" and int(quota) > 0:
            return -(-int(quota) // int(period))
    except (OSError, ValueError):
        pass
    return _NO_LIMIT


def set_num_threads(count: int | None) -> None:
    """Set the number of threads that calls use from now on in this process.

    Args:
        count: the number of threads. ``None``: as many as the environment and the container allow. It is limited to the number of numba's
            threads, which is NUMBA_NUM_THREADS, or else the number of processors.

    Raises:
        ValueError: `count` is less than 1.
    """
    _settings.count = None if count is None else checked_count(count, "count", "None or an integer of 1 or more")


def get_num_threads() -> int:
    """Return the number of threads that a call uses for a large enough amount of work."""
    return _num_threads(None)


def _num_threads(requested: int | None) -> int:
    """Return the number of threads of a call. `requested`: the argument of the call, which may be ``None``."""
    maximum = int(config.NUMBA_NUM_THREADS)
    if _state.forked or maximum == 1:
        return 1
    count: int = requested or _settings.count or min(_environment_limit(), _numba_limit(maximum))
    return min(count, maximum)


def _numba_limit(maximum: int) -> int:
    """Return the number of threads that `numba.set_num_threads` has set, `maximum` by default."""
    try:
        # The first call loads numba's threading layer.
        return int(numba.get_num_threads())
    except ImportError:
        # Nothing can be imported while the interpreter shuts down, and no thread can be started.
        return 1
    except ValueError:
        # The layer is not installed, or numba does not know its name. This package starts its own threads, and does not need the layer.
        return maximum


def has_threading_layer() -> bool:
    """Return whether numba's own threads can be used: its threading layer is installed, and numba knows the name of the one that is asked for."""
    try:
        numba.get_num_threads()
    except (ImportError, ValueError):
        return False
    return True


class _Claim:
    """The context manager of `claim_threads`."""

    __slots__ = ("_lock", "_requested")

    def __init__(self, requested: int | None) -> None:
        self._requested = requested

    def __enter__(self) -> int:
        self._lock: threading.Lock | None = None
        count = _num_threads(self._requested)
        if count == 1 or not _state.lock.acquire(blocking=False):
            return 1
        self._lock = _state.lock
        return count

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.release()


def claim_threads(requested: int | None) -> _Claim:
    """Claim several threads for a ``with`` block: ``with claim_threads(None) as count``.

    `count` is the number of threads that the block may use: at most `requested`, or, if that is ``None``, the number of `set_num_threads`. It is 1 if
    another call has claimed several.
    """
    return _Claim(requested)
