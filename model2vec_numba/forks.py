"""Locks and forks: a child that is forked while another thread holds a lock would find it held for good."""

from __future__ import annotations

import os
from typing import Any, Protocol

__all__ = ["forks_wait_for"]


class _Lock(Protocol):
    """A lock that a thread may take again while it has it."""

    def acquire(self) -> Any: ...

    def release(self) -> Any: ...


def forks_wait_for(lock: _Lock) -> None:
    """Have forks wait until no other thread has a lock: what it guards is then whole in the child.

    A fork takes the locks in the reverse order of these calls, so one that is held while another is taken must come here after that.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
