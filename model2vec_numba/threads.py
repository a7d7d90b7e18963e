"""How many threads work, who may run a parallel kernel, and how its work is split. For who works on which batch see `crew`.

numba's threading layers are not all safe: `workqueue` aborts the process when two Python threads are in parallel kernels at once, and GNU OpenMP
kills a forked child that enters one after its parent did. So one parallel kernel runs at a time in the process; whoever comes meanwhile, and
every forked child, runs the same work serially, with the GIL released all the same. The results are the same to the bit.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from model2vec_numba.checks import checked_count

__all__ = ["claim", "crew_turn", "get_num_threads", "segments", "set_num_threads", "threads", "threads_of_call"]

# Segments to a thread: with several, a thread that is held up leaves the rest to the others.
_SEGMENTS_PER_THREAD = 8


class _Turns:
    """The right to run a parallel kernel, and the right to have a crew of threads."""

    def __init__(self) -> None:
        self.kernel = threading.Lock()
        self.crew = threading.Lock()
        self.forked = False

    def after_fork(self) -> None:
        """In a forked child: a lock that a thread of the parent held would stay locked, and work is serial from now on."""
        self.__init__()  # type: ignore[misc]
        self.forked = True


class _Call(threading.local):
    """The call that a Python thread is in: the number of threads that was asked for, and whether it has the right to a crew."""

    count: int | None = None
    in_crew = False


class _Settings:
    """The numbers of threads that were asked for: for the process, and for each call."""

    def __init__(self) -> None:
        self.process: int | None = None
        self.call = _Call()


_turns = _Turns()
_settings = _Settings()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_turns.after_fork)


@functools.cache
def _environment_limit() -> int:
    """The most threads that the environment and the container allow; numba itself heeds NUMBA_NUM_THREADS and the processor affinity."""
    limit = int(config.NUMBA_NUM_THREADS)
    if "NUMBA_NUM_THREADS" not in os.environ:
        # OpenMP's setting may be a list, a number for each level of nesting.
        asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
        if asked.isdecimal() and int(asked) > 0:
            limit = min(limit, int(asked))
        limit = min(limit, _container_limit(Path("/sys/fs/cgroup")))
    return limit


def _container_limit(cgroups: Path) -> int:
    """The number of processors' time that Linux's control groups, version 2 or 1, allow, rounded up; a large number where they set no limit."""
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
    return 1 << 20


def set_num_threads(count: int | None) -> None:
    """Set the number of threads that calls use from now on, in the whole process; ``None`` for what the environment and the container allow.

    At most as many as numba has, which NUMBA_NUM_THREADS says, or else the number of processors.

    Raises:
        ValueError: `count` is less than 1.
    """
    _settings.process = None if count is None else checked_count(count, "count", "None or an integer of 1 or more")


def get_num_threads() -> int:
    """The number of threads that a call uses for work that is worth them."""
    most = int(config.NUMBA_NUM_THREADS)
    if _turns.forked or most == 1:
        return 1
    count: int = _settings.call.count or _settings.process or min(_environment_limit(), numba.get_num_threads())
    return min(count, most)


class _ThreadsOfCall:
    """What `threads_of_call` gives, in a third of the time that a generator would take."""

    __slots__ = ("_before", "_count")

    def __init__(self, count: int | None) -> None:
        self._count = count

    def __enter__(self) -> None:
        self._before = _settings.call.count
        _settings.call.count = self._count

    def __exit__(self, *_: object) -> None:
        _settings.call.count = self._before


def threads_of_call(count: int | None) -> _ThreadsOfCall:
    """Let `get_num_threads` and `threads` give at most this many within the `with` block, in this Python thread; ``None``: no other number.

    Raises:
        ValueError: `count` is less than 1.
    """
    return _ThreadsOfCall(None if count is None else checked_count(count, "num_threads", "None or an integer of 1 or more"))


@contextmanager
def crew_turn(member: bool) -> Iterator[bool]:
    """Within the `with` block, be of the crew: say whether that goes. One crew works at a time, of which the first takes the turn for all.

    Whoever comes meanwhile works alone: numba's threads and a crew's would be in each other's way.
    """
    if not (member or _turns.crew.acquire(blocking=False)):
        yield False
        return
    _settings.call.in_crew = True
    try:
        yield True
    finally:
        _settings.call.in_crew = False
        if not member:
            _turns.crew.release()


class _Threads:
    """A number of threads, and the right to use them until the end of the `with` block."""

    __slots__ = ("count", "held")

    def __init__(self, count: int, held: threading.Lock | None = None) -> None:
        self.count = count
        self.held = held

    def __enter__(self) -> int:
        return self.count

    def __exit__(self, *_: object) -> None:
        if self.held is not None:
            self.held.release()


_ALONE = _Threads(1)


def threads(work: int, enough: int) -> _Threads:
    """Within ``with threads(...) as count``: the number to use for `work` units of work, of which `enough` are worth a thread's start."""
    if work < enough or (count := get_num_threads()) == 1:
        return _ALONE
    if (_turns.crew.locked() and not _settings.call.in_crew) or not _turns.kernel.acquire(blocking=False):
        return _ALONE
    return _Threads(count, _turns.kernel)


def segments(offsets: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Split the texts of a batch among `count` threads by what they hold: segment ``s`` is texts ``segments[s]`` to ``segments[s + 1] - 1``."""
    bounds = np.linspace(offsets[0], offsets[-1], _SEGMENTS_PER_THREAD * count + 1)
    split = np.searchsorted(offsets, bounds).astype(np.int64)
    split[0], split[-1] = 0, len(offsets) - 1
    return split


@intrinsic
def claim(_typing_context: Any, counter: Any) -> Any:
    """Return ``counter[0]``, int64, and add one to it, as one step among threads: a thread takes the next segment when it is ready for it.

    What numba's layers do is left open: OpenMP's deals the iterations of a `prange` out beforehand, and waits for the slowest.
    """
    if not (isinstance(counter, types.Array) and counter.dtype == types.int64):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), generate
