"""Files that appear under their name complete or not at all."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

__all__ = ["Output", "is_temporary", "mode_to_keep", "naming", "temporary_name", "whole_file", "whole_files"]

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
    with whole_files([target]) as (output,):
        yield output


@contextmanager
def whole_files(targets: Sequence[str]) -> Iterator[list[Output]]:
    """The same for several files: none gets its name before all of them are on the disk, and then all do, in the order given."""
    written: list[_Written] = []
    try:
        with ExitStack() as stack:
            for target in targets:
                written.append(_Written(target))
                stack.enter_context(written[-1].file)
            yield [Output(one.file, one.target) for one in written]
            for one in written:
                one.settle()
        for one in written:
            one.replace()
    except BaseException:
        for one in written:
            with suppress(OSError):
                one.temporary.unlink(missing_ok=True)
        raise


class _Written:
    """A file on its way to its name, `target`: until then it is `temporary`."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._path = Path(os.path.realpath(target))  # through a link, as writing to it would go
        self.temporary = temporary_name(self._path)
        with naming(target):
            self._mode = mode_to_keep(self._path)
            # Not the tempfile module, whose files are for their owner alone: this one has the permissions that any new file has.
            self.file = io.FileIO(self.temporary, "x")

    def settle(self) -> None:
        """See to it that all that was written is on the disk."""
        with naming(self.target):
            os.fsync(self.file.fileno())
            if self._mode is not None:
                self.temporary.chmod(self._mode)

    def replace(self) -> None:
        """Give the file its name."""
        with naming(self.target):
            self.temporary.replace(self._path)


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
        # Libraries raise ones with nothing but a message.
        raise OSError(error.errno, error.strerror or str(error), name) from error
