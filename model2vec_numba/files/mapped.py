"""Files that are mapped into memory, and whose memory can be given back."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["map_file", "release"]


class _MappedFile(mmap.mmap):
    """A file that was mapped here, to be read only: what is given back of it can be read again. Of other memory it would be lost."""


def map_file(descriptor: int) -> NDArray[np.uint8]:
    """An open file's bytes, read-only, which are read when they are looked at."""
    return np.frombuffer(_MappedFile(descriptor, 0, access=mmap.ACCESS_READ), np.uint8)


def release(array: NDArray[Any]) -> None:
    """Let the operating system take back the memory of an array that is part of a mapped file, and read it again when it is looked at.

    Pages that were read count to the process's memory until they are wanted for something else, so that to go through a file once would make the
    process as large as the file. Nothing happens if the array is no part of what `map_file` has mapped, or the operating system cannot do it.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        whole, owner = owner, owner.base
    if isinstance(owner, memoryview):
        owner = owner.obj
    if not isinstance(owner, _MappedFile) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    # Of locked memory nothing can be given back.
    with suppress(OSError):
        _give_back(owner, whole, array)


def _give_back(owner: mmap.mmap, whole: NDArray[Any], array: NDArray[Any]) -> None:
    begin = (array.ctypes.data - whole.ctypes.data) // mmap.PAGESIZE * mmap.PAGESIZE
    owner.madvise(mmap.MADV_DONTNEED, begin, array.ctypes.data + array.nbytes - whole.ctypes.data - begin)
