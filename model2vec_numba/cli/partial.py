"""A file that is written over hours: its parts are kept when the work is interrupted, and the work can go on behind them."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from model2vec_numba.files.whole_file import is_temporary, mode_to_keep, naming, temporary_name

__all__ = ["PartialFile"]


class PartialFile:
    """The unfinished form of a file: it has another name in the same folder, and beside it a journal that says how far it can be relied on.

    Args:
        target: the name that the file gets when it is complete.
        job: what the file's content depends on, as JSON can write it. Only the same job can be resumed.

    Attributes:
        path: the unfinished file.
        rows: how many rows of it a later run can go on behind.
        size: the bytes that these are in.
    """

    def __init__(self, target: str, job: dict[str, Any]) -> None:
        self._target = target
        self._job = job
        self._path = Path(os.path.realpath(target))
        self._journal = self._path.with_name(f".{self._path.name}.model2vec-numba.json")
        self._new_journal = self._journal.with_suffix(".tmp")
        self._mode: int | None = None
        self._begun = False
        self.path = temporary_name(self._path)
        self.rows = self.size = 0

    def open(self, resume: bool) -> None:
        """Create the file. Whoever calls this sees to it that `leave` is called in any case, whatever interrupts it.

        Args:
            resume: go on with what an earlier run left, if it left anything; otherwise it is removed.

        Raises:
            OSError: the target cannot be written.
            ValueError: what is there is another job's; the message says what differs.
        """
        with naming(self._target):
            self._mode = mode_to_keep(self._path)
            left = self._read_journal()
            if left is not None and resume:
                self._check(left["job"])
                self.path, self.rows, self.size = self._path.with_name(left["file"]), left["rows"], left["bytes"]
                self._begun = True
                return
            self._begun = True
            self._remove_journal()
            if left is not None:
                self._path.with_name(left["file"]).unlink(missing_ok=True)
            self.path.touch(exist_ok=False)
            # From now on a later run finds the file, however this one ends.
            self.save(self.path, 0, 0)

    def save(self, path: Path, rows: int, size: int) -> None:
        """Note that the first bytes of a file hold the first rows, having seen that they are on the disk."""
        with naming(self._target):
            _sync(path)
            content = {"file": path.name, "rows": rows, "bytes": size, "job": self._job}
            self._new_journal.write_text(json.dumps(content, indent=1), encoding="utf-8")
            _sync(self._new_journal)
            self._new_journal.replace(self._journal)
            old, self.path, self.rows, self.size = self.path, path, rows, size
            if old != path:
                old.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Give the file its name."""
        with naming(self._target):
            _sync(path)
            if self._mode is not None:
                path.chmod(self._mode)
            path.replace(self._path)
            self._remove_journal()
            if path != self.path:
                self.path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Keep what a later run can go on from; remove everything if there is nothing of the kind."""
        if self._begun and not self.rows:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
                self._remove_journal()

    def _read_journal(self) -> dict[str, Any] | None:
        try:
            content = json.loads(self._journal.read_bytes())
            left: dict[str, Any] = {
                "file": str(content["file"]),
                "rows": int(content["rows"]),
                "bytes": int(content["bytes"]),
                "job": dict(content["job"]),
            }
            path = self._path.with_name(left["file"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        # Whatever the journal holds, no other file is touched.
        usable = is_temporary(path) and path.is_file() and path.stat().st_size >= left["bytes"]
        return left if usable else None

    def _check(self, job: dict[str, Any]) -> None:
        # As JSON reads it back, tuples are lists.
        mine = json.loads(json.dumps(self._job))
        differing = [name for name in {**mine, **job} if mine.get(name) != job.get(name)]
        if differing:
            raise ValueError(f"{self._target}: what was left is of another job, with another {', '.join(differing)}: start anew without --resume")

    def _remove_journal(self) -> None:
        # An interrupted `save` leaves the new one behind.
        self._journal.unlink(missing_ok=True)
        self._new_journal.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
