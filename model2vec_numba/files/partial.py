"""A file that takes long to write. If the work is interrupted, the part that was saved is kept, and the work can be resumed after it."""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from model2vec_numba.files.atomic import is_temporary, mode_to_keep, name_in_errors, temporary_name
from model2vec_numba.files.lock import OwnerLock

__all__ = ["PartialFile", "successor"]

# An error names at most this number of differences between two jobs.
_MAX_NAMED = 3
_SUCCESSOR = ".new"
# Errors that say that a file system has no locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


class PartialFile:
    """An unfinished file. It has a temporary name in the folder of the target. A journal next to it says which part is safely on the disk.

    A lock on a third file makes sure that only one process writes them.

    Args:
        target: the name of the complete file.
        job: everything that the content of the file depends on, as a dict that JSON can store. Only an equal job can be resumed.

    Attributes:
        path: the unfinished file.
        rows: the number of rows that were saved. A later run can continue after them.
        size: the number of bytes of these rows at the beginning of the file.
    """

    def __init__(self, target: str, job: dict[str, Any]) -> None:
        self._target = target
        self._job = job
        self._path = Path(os.path.realpath(target))
        self._journal = self._path.with_name(f".{self._path.name}.model2vec-numba.json")
        self._new_journal = self._journal.with_suffix(".tmp")
        self._lock = OwnerLock(self._journal.with_suffix(".lock"))
        self._mode: int | None = None
        self._begun = False
        self.path = temporary_name(self._path)
        self.rows = self.size = 0

    def open(self, resume: bool, discard: bool = False) -> None:
        """Create the file, or continue an earlier one. The caller must call `leave` in the end, even if this call is interrupted.

        Args:
            resume: whether to continue the unfinished file of an earlier run, if there is one and it is from an equal job.
            discard: whether to remove an unfinished file that is not continued. Otherwise it is an error.

        Raises:
            FileExistsError: there is an unfinished file, and it is neither continued nor removed.
            OSError: the target cannot be written.
            ValueError: another process is writing the file, or the unfinished file is from a different job. The message says what differs.
        """
        with name_in_errors(self._target):
            self._mode = mode_to_keep(self._path)
            self._acquire_lock()
            journal = self._read_journal()
            if journal is not None:
                # A process that was killed may have left this one.
                successor(self._path.with_name(journal["file"])).unlink(missing_ok=True)
            if journal is not None and journal["rows"] and self._continues(journal, resume, discard):
                self.path, self.rows, self.size = self._path.with_name(journal["file"]), journal["rows"], journal["bytes"]
                self._begun = True
                return
            self._begun = True
            self._remove_journal()
            if journal is not None:
                self._path.with_name(journal["file"]).unlink(missing_ok=True)
            # The journal comes first, so that a later run finds the file even if this process is killed.
            self._write_journal(self.path, 0, 0)
            self.path.touch(exist_ok=False)

    def save(self, path: Path, rows: int, size: int) -> None:
        """Make sure that a file is on the disk, and write into the journal that its first `size` bytes hold the first `rows` rows.

        Args:
            path: the file. If it is not `self.path`, it replaces that file.
            rows: the number of rows.
            size: the number of bytes.

        Raises:
            OSError: writing failed. The error names the target.
        """
        with name_in_errors(self._target):
            _sync(path)
            self._write_journal(path, rows, size)
            old, self.path, self.rows, self.size = self.path, path, rows, size
            if old != path:
                old.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Rename the complete file `path` to the target, and remove the journal.

        Raises:
            OSError: writing failed. The error names the target.
        """
        with name_in_errors(self._target):
            _sync(path)
            if self._mode is not None:
                path.chmod(self._mode)
            path.replace(self._path)
            self.rows = self.size = 0
            self._remove_journal()
            if path != self.path:
                self.path.unlink(missing_ok=True)
            # Without the lock, the files may be those of another process.
            self._begun = False
            self._lock.release()

    def leave(self) -> None:
        """End the use of the file. It is kept if a later run can continue it, and removed otherwise."""
        if self._begun:
            with suppress(OSError):
                successor(self.path).unlink(missing_ok=True)
                if not self.rows:
                    self.path.unlink(missing_ok=True)
                    self._remove_journal()
        self._lock.release()

    def _acquire_lock(self) -> None:
        """Take the lock, or raise a ValueError if another process holds it."""
        try:
            acquired = self._lock.acquire()
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            # Nearly all file systems have locks. Without one, nothing else can tell whether an earlier process still runs.
            sys.stderr.write(f"model2vec-numba: {self._target}: the file system has no locks; make sure that no other process writes this file\n")
            return
        if not acquired:
            raise ValueError(f"{self._target}: another process is writing this file: wait until it has ended, or end it")

    def _write_journal(self, path: Path, rows: int, size: int) -> None:
        """Replace the journal, safely on the disk."""
        content = {"file": path.name, "rows": rows, "bytes": size, "job": self._job}
        self._new_journal.write_text(json.dumps(content, indent=1), encoding="utf-8")
        _sync(self._new_journal)
        self._new_journal.replace(self._journal)

    def _read_journal(self) -> dict[str, Any] | None:
        """Return the content of the journal. ``None``: there is no journal, or it does not fit the file."""
        try:
            content = json.loads(self._journal.read_bytes())
            journal: dict[str, Any] = {
                "file": str(content["file"]),
                "rows": int(content["rows"]),
                "bytes": int(content["bytes"]),
                "job": dict(content["job"]),
            }
            path = self._path.with_name(journal["file"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        # A journal with a wrong file name must not touch any other file.
        usable = is_temporary(path) and path.is_file() and path.stat().st_size >= journal["bytes"]
        return journal if usable else None

    def _continues(self, journal: dict[str, Any], resume: bool, discard: bool) -> bool:
        """Return whether to continue the unfinished file of a journal; see `open`. ``False``: it is removed."""
        if not resume:
            if not discard:
                text = f"{journal['rows']:,} rows of an interrupted run are kept: continue after them with resume, or drop them with overwrite"
                raise FileExistsError(errno.EEXIST, text, self._target)
            return False
        # Convert to JSON and back, because JSON turns tuples into lists.
        own, job = json.loads(json.dumps(self._job)), journal["job"]
        differing = [name for name in {**own, **job} if own.get(name) != job.get(name)]
        if differing and not discard:
            named = ", ".join(differing[:_MAX_NAMED]) + (", ..." if len(differing) > _MAX_NAMED else "")
            raise ValueError(
                f"{self._target}: the unfinished file is from a run with different {named} and cannot be resumed: start again with overwrite"
            )
        return not differing

    def _remove_journal(self) -> None:
        """Remove the journal, if there is one."""
        # An interrupted `save` can leave the new journal under its temporary name.
        self._journal.unlink(missing_ok=True)
        self._new_journal.unlink(missing_ok=True)


def successor(path: Path) -> Path:
    """Return the name of the file that replaces an unfinished file, for formats whose files cannot be continued in place.

    It is the other one of two names. A later run may find either, and its successor has the other name.
    """
    return path.with_suffix("" if path.suffix == _SUCCESSOR else f"{path.suffix}{_SUCCESSOR}")


def _sync(path: Path) -> None:
    """Wait until all data of a file is on the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
