"""Make forks safe: if a process forked while another thread held a lock, the lock would stay locked in the child for ever."""

from __future__ import annotations

import os
from typing import Any, Protocol

__all__ = ["forks_wait_for"]


class _Lock(Protocol):
    """A lock that a thread may acquire again while it holds it."""

    def acquire(self) -> Any: ...

    def release(self) -> Any: ...


def forks_wait_for(lock: _Lock) -> None:
    """Make forks wait until no other thread holds a lock. The data that the lock protects is then complete in the child.

    A fork acquires the locks in the reverse order of these calls. If lock B is acquired while lock A is held, call this for B first.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
