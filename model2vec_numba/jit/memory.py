"""Compiled code that is kept in memory because no folder can be written to. This module does not import numba."""

from __future__ import annotations

__all__ = ["KeptCode", "kept_code"]


class KeptCode:
    """Files of compiled code in memory.

    Attributes:
        files: the contents of each file, by its path. The path is the last folder of `KernelCache` with the name of the file.
        collects: whether code that cannot be written to a folder is added to `files`.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.collects = False


kept_code = KeptCode()
