"""Open the output of a command: a file that appears when it is complete, a special file such as a named pipe, or standard output."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from model2vec_numba.files.atomic import Output, atomic_file, name_in_errors

__all__ = ["is_standard_output", "is_stream", "open_output"]


def is_standard_output(target: str) -> bool:
    """Return whether a target is standard output. This can be a regular file to which other programs write too, so it is never replaced."""
    return target in {"-", "/dev/stdout"}


def is_stream(target: str) -> bool:
    """Return whether a target is standard output or a special file, such as a pipe, a terminal or a device. Such a file is written directly."""
    path = Path(target)
    return is_standard_output(target) or (path.exists() and not path.is_file() and not path.is_dir())


def open_output(target: str) -> AbstractContextManager[Output]:
    """Open a target for writing in a ``with`` block. A regular file appears under its name after the block, if there was no exception.

    Raises:
        OSError: opening or writing failed. The error names the target.
    """
    return _stream(target) if is_stream(target) else atomic_file(target)


@contextmanager
def _stream(target: str) -> Iterator[Output]:
    standard = is_standard_output(target)
    if standard and sys.stdout is None:  # another file may have its number
        raise OSError("standard output: closed")
    name = "standard output" if standard else target
    with name_in_errors(name):
        file = io.FileIO(sys.stdout.fileno() if standard else target, "w", closefd=not standard)
    with file:
        yield Output(file, name)
