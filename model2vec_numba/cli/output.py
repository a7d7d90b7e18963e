"""Where output goes: a file that appears complete or not at all, a special file such as a named pipe, or standard output."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from model2vec_numba.files.whole_file import Output, naming, whole_file

__all__ = ["is_standard_output", "is_stream", "open_output"]


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
    return _stream(target) if is_stream(target) else whole_file(target)


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
