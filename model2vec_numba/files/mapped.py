"""Files that are mapped into memory. Their memory can be given back to the operating system."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["map_file", "release"]


class _MappedFile(mmap.mmap):
    """A read-only mapping made by `map_file`. Its memory can be given back, because the file can be read again. Other memory would be lost."""


def map_file(descriptor: int) -> NDArray[np.uint8]:
    """Return the bytes of an open file as a read-only array of uint8. The bytes are read from the disk when they are used."""
    return np.frombuffer(_MappedFile(descriptor, 0, access=mmap.ACCESS_READ), np.uint8)


def release(array: NDArray[Any]) -> None:
    """Give the memory of an array in a mapped file back to the operating system. The array is read from the file again when it is used.

    Without this, reading a file once would make the process as large as the file: pages that were read stay in the memory of the process until the
    system needs it. Nothing happens if the array is not in a file mapped by `map_file`, or if the operating system does not support it.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        whole, owner = owner, owner.base
    if isinstance(owner, memoryview):
        owner = owner.obj
    if not isinstance(owner, _MappedFile) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    # Locked memory cannot be given back.
    with suppress(OSError):
        _give_back(owner, whole, array)


def _give_back(owner: mmap.mmap, whole: NDArray[Any], array: NDArray[Any]) -> None:
    """Give the pages of `array` back. `whole` is the array of all bytes of the mapping."""
    begin = (array.ctypes.data - whole.ctypes.data) // mmap.PAGESIZE * mmap.PAGESIZE
    owner.madvise(mmap.MADV_DONTNEED, begin, array.ctypes.data + array.nbytes - whole.ctypes.data - begin)
