"""A lock on a file that only one process can hold. The operating system releases it when the process ends, also after a kill."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["OwnerLock"]

# Errors that say that another process holds the lock. Windows and NFS use the second one.
_HELD = {errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        """Lock an open file, or raise an `OSError` at once."""
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        """Lock an open file, or raise an `OSError` at once."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class OwnerLock:
    """A lock on a file, which is created if needed and removed at the end.

    It excludes processes of the same machine on every local file system. It excludes processes of other machines if the file system passes locks to
    its server, as NFS (Linux 2.6.12 or newer) and SMB (Linux 5.5 or newer) do by default.

    Args:
        path: the file to lock. Nothing is written to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock. Return whether this process now holds it. ``False``: another process holds it.

        Raises:
            OSError: the file cannot be created, or the file system has no locks.
        """
        while self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _lock(descriptor)
                # The owner before may have removed the file after this process opened it.
                if self._is_at_path(descriptor):
                    self._descriptor = descriptor
            except OSError as error:
                if error.errno in _HELD:
                    return False
                self._remove()
                raise
            finally:
                if self._descriptor is None:
                    os.close(descriptor)
        return True

    def release(self) -> None:
        """Remove the file and release the lock, if this process holds it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        # First the name and then the lock: a process that opened the file before finds that the name is gone. Windows removes no open file.
        if sys.platform != "win32":
            self._remove()
        os.close(descriptor)
        if sys.platform == "win32":
            self._remove()

    def _remove(self) -> None:
        with suppress(OSError):
            self._path.unlink()

    def _is_at_path(self, descriptor: int) -> bool:
        """Return whether an open file still has its name."""
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False
