"""What the pre-tokenisers share: the call of a kernel that cuts pieces, and what becomes of the matches of a pattern and of what is between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import inner
from model2vec_numba.tokenization.code_point_classes import ClassTable
from model2vec_numba.tokenization.stages import PieceBatch

__all__ = ["BEHAVIORS", "BEHAVIOR_ISOLATED", "BEHAVIOR_REMOVED", "add_span", "cut"]

# `SplitDelimiterBehavior` of the library, by the names that a file has for it.
BEHAVIORS = {"Removed": 0, "Isolated": 1, "MergedWithPrevious": 2, "MergedWithNext": 3, "Contiguous": 4}
BEHAVIOR_REMOVED = 0
BEHAVIOR_ISOLATED = 1
_MERGED_WITH_PREVIOUS = 2
_MERGED_WITH_NEXT = 3
_CONTIGUOUS = 4


def cut(
    kernel: Callable[..., int], table: ClassTable, pieces: PieceBatch, status: NDArray[np.uint8], *settings: int, byte_level: bool = False
) -> PieceBatch:
    """Cut pieces by a kernel, again while it met code points that the table did not have.

    The kernel's arguments: the arrays of `pieces`, `status`, the table's classes, the settings, and arrays to write: the pages of code points
    that are missing, and the new pieces' begins, ends and offsets. It returns their number, at most one for each byte.
    """
    begins, ends = np.empty(pieces.size, np.int64), np.empty(pieces.size, np.int64)
    offsets = np.zeros(len(pieces.offsets), np.int64)
    source = (pieces.data, pieces.begins, pieces.ends, pieces.offsets, status)
    count = table.pages.complete(lambda missing: kernel(*source, table.classes, *settings, missing, begins, ends, offsets))
    return PieceBatch(pieces.data, begins[:count], ends[:count], offsets, byte_level)


@inner
def add_span(
    begin: int, end: int, delimits: int, before: int, behavior: int, new_begins: NDArray[np.int64], new_ends: NDArray[np.int64], count: int
) -> int:
    """Add the next span of a piece, a delimiter or what is between two, to the new pieces; returns their number.

    `delimits` is 1 for a delimiter, else 0; `before` is the same of the span before in the same piece, -1 if there is none.
    """
    if (
        (behavior == _CONTIGUOUS and before == delimits)
        or (behavior == _MERGED_WITH_PREVIOUS and before == 0 and delimits == 1)
        or (behavior == _MERGED_WITH_NEXT and before == 1 and delimits == 0)
    ):
        new_ends[count - 1] = end
    elif behavior != BEHAVIOR_REMOVED or not delimits:
        new_begins[count] = begin
        new_ends[count] = end
        count += 1
    return count
