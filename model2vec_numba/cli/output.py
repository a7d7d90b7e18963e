"""Where output goes: a file that appears complete or not at all, a special file such as a named pipe, or standard output."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

__all__ = ["Output", "is_standard_output", "is_stream", "is_temporary", "mode_to_keep", "naming", "open_output", "temporary_name"]


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


def is_standard_output(target: str) -> bool:
    """Whether a target is standard output. It may be a regular file, which others write to as well, so it is never replaced."""
    return target in {"-", "/dev/stdout"}


def is_stream(target: str) -> bool:
    """Whether a target is standard output or an existing special file: a pipe, a terminal, a device. It is written to as it is."""
    path = Path(target)
    return is_standard_output(target) or (path.exists() and not path.is_file() and not path.is_dir())


def open_output(target: str) -> AbstractContextManager[Output]:
    """Open what is to be written to. A file appears under its name, complete, when the context is left without an exception.

    Raises:
        OSError: naming the target.
    """
    return _stream(target) if is_stream(target) else _whole_file(target)


@contextmanager
def _stream(target: str) -> Iterator[Output]:
    standard = is_standard_output(target)
    if standard and sys.stdout is None:  # another file may have its number
        raise OSError("standard output: closed")
    name = "standard output" if standard else target
    with naming(name):
        file = io.FileIO(sys.stdout.fileno() if standard else target, "w", closefd=not standard)
    with file:
        yield Output(file, name)


@contextmanager
def _whole_file(target: str) -> Iterator[Output]:
    """A file that is written under another name in the same folder, and gets its own when all of it is on the disk."""
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
