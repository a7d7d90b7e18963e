"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

__all__ = ["Output", "atomic_file", "atomic_files", "is_temporary", "mode_to_keep", "name_in_errors", "temporary_name"]

_TEMPORARY = ".model2vec-numba-"


class Output:
    """An open file to write to. Its errors name the file.

    Nothing is buffered. A buffer would be written again when the file is closed, even after an error.
    """

    def __init__(self, file: io.FileIO, name: str) -> None:
        self._file = file
        self._name = name

    def write(self, data: bytes | memoryview) -> None:
        """Write all of the data.

        Raises:
            OSError: writing failed. The error names the file.
        """
        rest = memoryview(data).cast("B")
        with name_in_errors(self._name):
            while rest:
                # `write` returns None for a full pipe that does not block. Some parent processes make such pipes.
                rest = rest[self._file.write(rest) or 0 :]


@contextmanager
def atomic_file(target: str) -> Iterator[Output]:
    """Write a file in a ``with`` block. It has a temporary name in the same folder, and gets its own name after the block.

    The file gets its name only if the block raised no exception and all data is on the disk. A process that has opened or mapped the previous file of
    this name keeps the previous content.

    Raises:
        OSError: writing failed. The error names the target.
    """
    with atomic_files([target]) as (output,):
        yield output


@contextmanager
def atomic_files(targets: Sequence[str]) -> Iterator[list[Output]]:
    """Write several files in a ``with`` block, each as `atomic_file` does. They get their names, in this order, when all are on the disk."""
    files: list[_AtomicFile] = []
    try:
        with ExitStack() as stack:
            for target in targets:
                # In the list before it is created, so that Ctrl-C in between leaves no file behind.
                files.append(_AtomicFile(target))
                stack.enter_context(files[-1].create())
            yield [Output(output.file, output.target) for output in files]
            for output in files:
                output.sync()
        for output in files:
            output.replace()
    except BaseException:
        for output in files:
            with suppress(OSError):
                output.temporary.unlink(missing_ok=True)
        raise


class _AtomicFile:
    """A file that is not complete yet. Its name is `temporary` until it becomes `target`."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._path = Path(os.path.realpath(target))  # follow links, as writing to the file would
        self.temporary = temporary_name(self._path)

    def create(self) -> io.FileIO:
        """Create the file and return it, open for writing."""
        with name_in_errors(self.target):
            self._mode = mode_to_keep(self._path)
            # The tempfile module is not used, because only the owner may read its files. This file has the usual permissions of a new file.
            self.file = io.FileIO(self.temporary, "x")
        return self.file

    def sync(self) -> None:
        """Wait until all data is on the disk."""
        with name_in_errors(self.target):
            os.fsync(self.file.fileno())
            if self._mode is not None:
                self.temporary.chmod(self._mode)

    def replace(self) -> None:
        """Rename the file to its target."""
        with name_in_errors(self.target):
            self.temporary.replace(self._path)


def temporary_name(path: Path) -> Path:
    """Return a temporary name in the same folder for a file that will become `path`."""
    return path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}.tmp")


def is_temporary(path: Path) -> bool:
    """Return whether a path has a name that `temporary_name` made."""
    return path.name.startswith(_TEMPORARY)


def mode_to_keep(path: Path) -> int | None:
    """Return the permissions of a file that will be replaced. ``None``: there is no such file.

    Raises:
        OSError: the path is a folder, or the file must not be written to. (Without this check, write access to the folder would be enough to replace
            it.)
    """
    if not path.exists():
        return None
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def name_in_errors(name: str) -> Iterator[None]:
    """In a ``with`` block, make each `OSError` name this file, which the user named, in place of a temporary file or no file."""
    try:
        yield
    except OSError as error:
        # Some libraries raise an OSError with only a message.
        raise OSError(error.errno, error.strerror or str(error), name) from error
