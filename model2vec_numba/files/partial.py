"""A file that takes long to write. If the work is interrupted, the part that was saved is kept, and the work can be resumed after it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from model2vec_numba.files.atomic import is_temporary, mode_to_keep, name_in_errors, temporary_name

__all__ = ["PartialFile"]


class PartialFile:
    """An unfinished file. It has a temporary name in the folder of the target. A journal next to it says which part is safely on the disk.

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
        self._mode: int | None = None
        self._begun = False
        self.path = temporary_name(self._path)
        self.rows = self.size = 0

    def open(self, resume: bool) -> None:
        """Create the file, or continue an earlier one. The caller must call `leave` in the end, even if this call is interrupted.

        Args:
            resume: whether to continue the unfinished file of an earlier run, if there is one. Otherwise that file is removed.

        Raises:
            OSError: the target cannot be written.
            ValueError: the unfinished file is from a different job. The message says what differs.
        """
        with name_in_errors(self._target):
            self._mode = mode_to_keep(self._path)
            journal = self._read_journal()
            if journal is not None and resume:
                self._check_job(journal["job"])
                self.path, self.rows, self.size = self._path.with_name(journal["file"]), journal["rows"], journal["bytes"]
                self._begun = True
                return
            self._begun = True
            self._remove_journal()
            if journal is not None:
                self._path.with_name(journal["file"]).unlink(missing_ok=True)
            self.path.touch(exist_ok=False)
            # From now on a later run finds the file, even if this process is killed.
            self.save(self.path, 0, 0)

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
            content = {"file": path.name, "rows": rows, "bytes": size, "job": self._job}
            self._new_journal.write_text(json.dumps(content, indent=1), encoding="utf-8")
            _sync(self._new_journal)
            self._new_journal.replace(self._journal)
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

    def leave(self) -> None:
        """End the use of the file. It is kept if a later run can continue it, and removed otherwise."""
        if self._begun and not self.rows:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
                self._remove_journal()

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

    def _check_job(self, job: dict[str, Any]) -> None:
        """Raise a ValueError that names the differences if `job`, from a journal, is not the job of this file."""
        # Convert to JSON and back, because JSON turns tuples into lists.
        own = json.loads(json.dumps(self._job))
        differing = [name for name in {**own, **job} if own.get(name) != job.get(name)]
        if differing:
            raise ValueError(
                f"{self._target}: the unfinished file is from a run with different {', '.join(differing)} and cannot be resumed: "
                "start again without resume"
            )

    def _remove_journal(self) -> None:
        """Remove the journal, if there is one."""
        # An interrupted `save` can leave the new journal under its temporary name.
        self._journal.unlink(missing_ok=True)
        self._new_journal.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until all data of a file is on the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
