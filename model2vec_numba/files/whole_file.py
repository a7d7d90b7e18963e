"""Files that appear under their name complete or not at all."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["Output", "is_temporary", "mode_to_keep", "naming", "temporary_name", "whole_file"]

_TEMPORARY = ".model2vec-numba-"


class Output:
    """An open file whose failures to write name it.

    Nothing is buffered: a buffer would be written once more when the file is closed, after a failure too.
    """

    def __init__(self, file: io.FileIO, name: str) -> None:
        self._file = file
        self._name = name

    def write(self, data: bytes | memoryview) -> None:
        """Write all of the data.

        Raises:
            OSError: naming the file.
        """
        rest = memoryview(data).cast("B")
        with naming(self._name):
            while rest:
                # None from a pipe that is full and does not block, as some parents make them.
                rest = rest[self._file.write(rest) or 0 :]


@contextmanager
def whole_file(target: str) -> Iterator[Output]:
    """A file that is written under another name in the same folder, and gets its own when the context is left without an exception and all of it
    is on the disk. Who has opened or mapped what had that name before keeps what it was.

    Raises:
        OSError: naming the target.
    """
    path = Path(os.path.realpath(target))  # through a link, as writing to it would go
    temporary = temporary_name(path)
    try:
        with naming(target):
            mode = mode_to_keep(path)
            # Not the tempfile module, whose files are for their owner alone: this one has the permissions that any new file has.
            file = io.FileIO(temporary, "x")
        with file:
            yield Output(file, target)
            with naming(target):
                os.fsync(file.fileno())
        with naming(target):
            if mode is not None:
                temporary.chmod(mode)
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def temporary_name(path: Path) -> Path:
    """A name beside a file, for what is to become that file."""
    return path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}.tmp")


def is_temporary(path: Path) -> bool:
    """Whether a path has a name that `temporary_name` may have made."""
    return path.name.startswith(_TEMPORARY)


def mode_to_keep(path: Path) -> int | None:
    """The permissions of a file that is about to be replaced, ``None`` if there is none.

    Raises:
        OSError: it is a folder, or one may not write to it (replacing it would take no more than the right to write to its folder).
    """
    if not path.exists():
        return None
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Let an operating system's error name what the user named, not a temporary file or nothing at all."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from error
