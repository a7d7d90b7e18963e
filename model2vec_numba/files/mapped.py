"""Give back the memory of files that are mapped into it."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["release"]


def release(array: NDArray[Any]) -> None:
    """Let the operating system take back the memory of an array that is part of a mapped file, and read it again when it is looked at.

    Pages that were read count to the process's memory until they are wanted for something else, so that to go through a file once would make the
    process as large as the file. Nothing happens if the array is no such part, or the operating system cannot do it.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        whole, owner = owner, owner.base
    if isinstance(owner, memoryview):
        owner = owner.obj
    if not isinstance(owner, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    begin = (array.ctypes.data - whole.ctypes.data) // mmap.PAGESIZE * mmap.PAGESIZE
    owner.madvise(mmap.MADV_DONTNEED, begin, array.ctypes.data + array.nbytes - whole.ctypes.data - begin)
