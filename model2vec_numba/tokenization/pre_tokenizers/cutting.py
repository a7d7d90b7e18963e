"""Shared by the pre-tokenisers: call a kernel that cuts pre-tokens, and keep, merge or drop the matches of a pattern."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner
from model2vec_numba.tokenization.stages import PreTokenBatch
from model2vec_numba.tokenization.unicode.classes import ClassTable

__all__ = ["BEHAVIORS", "BEHAVIOR_ISOLATED", "BEHAVIOR_REMOVED", "add_span", "cut"]

# The names in a `tokenizer.json` for the ways to treat delimiters (`SplitDelimiterBehavior` in the `tokenizers` library), as numbers for kernels.
BEHAVIORS = {"Removed": 0, "Isolated": 1, "MergedWithPrevious": 2, "MergedWithNext": 3, "Contiguous": 4}
BEHAVIOR_REMOVED = 0
BEHAVIOR_ISOLATED = 1
_BEHAVIOR_MERGED_WITH_PREVIOUS = 2
_BEHAVIOR_MERGED_WITH_NEXT = 3
_BEHAVIOR_CONTIGUOUS = 4


def cut(
    kernel: Callable[..., int], table: ClassTable, pre_tokens: PreTokenBatch, status: NDArray[np.uint8], *settings: int, byte_level: bool = False
) -> PreTokenBatch:
    """Cut pre-tokens with a kernel, and return the new pre-tokens. If the kernel needs pages that are not filled, fill them and call it again.

    Args:
        kernel: its arguments are the arrays of `pre_tokens`, `status`, the classes of the table, the settings, and its outputs: `missing` (see
            `no_pages`), and the begins, ends and offsets of the new pre-tokens. It returns their number, at most one for each byte.
        table: the classes of code points.
        pre_tokens: the pre-tokens to cut.
        status: uint8, shape (texts,): whether each text is `DONE` or needs the fallback; see `Normalizer.normalize`.
        *settings: other arguments of the kernel.
        byte_level: `PreTokenBatch.byte_level` of the result.
    """
    begins, ends = np.empty(pre_tokens.size, np.int64), np.empty(pre_tokens.size, np.int64)
    offsets = np.zeros(len(pre_tokens.offsets), np.int64)
    source = (pre_tokens.data, pre_tokens.begins, pre_tokens.ends, pre_tokens.offsets, status)
    count = 0
    for missing in table.pages.rounds():
        count = kernel(*source, table.classes, *settings, missing, begins, ends, offsets)
    return PreTokenBatch(pre_tokens.data, begins[:count], ends[:count], offsets, byte_level)


@inner
def add_span(
    begin: int,
    end: int,
    is_delimiter: int,
    previous_is_delimiter: int,
    behavior: int,
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
    count: int,
) -> int:
    """Add the next span of a pre-token to the new pre-tokens. A span is a delimiter, or the bytes between two delimiters.

    The behaviour decides whether the span becomes a new pre-token, is joined to the last new pre-token, or is dropped.

    Args:
        begin, end: the bounds of the span.
        is_delimiter: 1 if the span is a delimiter, else 0.
        previous_is_delimiter: `is_delimiter` of the previous span of the same pre-token; -1 if this is the first span.
        behavior: one of `BEHAVIORS`.
        new_begins, new_ends: int64, output: the bounds of the new pre-tokens.
        count: the number of new pre-tokens so far.

    Returns:
        The number of new pre-tokens.
    """
    if (
        (behavior == _BEHAVIOR_CONTIGUOUS and previous_is_delimiter == is_delimiter)
        or (behavior == _BEHAVIOR_MERGED_WITH_PREVIOUS and previous_is_delimiter == 0 and is_delimiter == 1)
        or (behavior == _BEHAVIOR_MERGED_WITH_NEXT and previous_is_delimiter == 1 and is_delimiter == 0)
    ):
        new_ends[count - 1] = end
    elif behavior != BEHAVIOR_REMOVED or not is_delimiter:
        new_begins[count] = begin
        new_ends[count] = end
        count += 1
    return count
