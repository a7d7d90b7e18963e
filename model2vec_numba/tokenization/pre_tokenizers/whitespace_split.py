"""WhitespaceSplit: it cuts at white space and drops it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import pre_tokenizers as library

from model2vec_numba.jit.decorators import compiled
from model2vec_numba.tokenization.byte_alphabet import spelled_out
from model2vec_numba.tokenization.components import has_form
from model2vec_numba.tokenization.stages import DONE, PreTokenBatch, PreTokenizer
from model2vec_numba.tokenization.unicode.classes import ClassTable, member_at

__all__ = ["WhitespaceSplit", "make_whitespace_split", "white_space"]


def make_whitespace_split(config: dict[str, Any]) -> PreTokenizer | None:
    """Return the pre-tokeniser for a ``WhitespaceSplit``, or ``None`` if its JSON has an unknown form."""
    return WhitespaceSplit() if has_form(config, {}) else None


def white_space() -> ClassTable:
    """Return the set of characters that are white space to `WhitespaceSplit` of the `tokenizers` library."""
    splitter = library.WhitespaceSplit()
    return ClassTable(lambda characters: [not splitter.pre_tokenize_str(c) for c in characters])


class WhitespaceSplit:
    """Cuts pre-tokens at white space."""

    def __init__(self) -> None:
        self._spaces = white_space()

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens, as `PreTokenizer.split` describes."""
        pre_tokens = spelled_out(pre_tokens)
        # Between two pre-tokens that are cut from one, there is at least one byte of white space.
        max_count = (pre_tokens.size + len(pre_tokens.begins)) // 2
        begins, ends = np.empty(max_count, np.int64), np.empty(max_count, np.int64)
        offsets = np.empty(len(pre_tokens.offsets), np.int64)
        source = (pre_tokens.data, pre_tokens.begins, pre_tokens.ends, pre_tokens.offsets, self._spaces.classes)
        count = 0
        for missing in self._spaces.pages.rounds():
            count = split_at_members(*source, missing, status, begins, ends, offsets)
        return PreTokenBatch(pre_tokens.data, begins[:count], ends[:count], offsets)


@compiled()
def split_at_members(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    members: NDArray[np.uint8],
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
    out_begins: NDArray[np.int64],
    out_ends: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
) -> int:
    """Cut pre-tokens at the members of a set, which are dropped.

    Args:
        data, begins, ends, offsets: the batch to cut; see `PreTokenBatch`.
        members, missing: the set, as `member_at` describes it.
        status: uint8, shape (texts,). Texts that are not `DONE` get no pre-tokens.
        out_begins, out_ends, out_offsets: int64, output: the arrays of the new batch.

    Returns:
        The number of new pre-tokens.
    """
    count = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = count
        if status[text] != DONE:
            continue
        for pre_token in range(offsets[text], offsets[text + 1]):
            begin = i = begins[pre_token]
            end = ends[pre_token]
            while i < end:
                member, size = member_at(data, i, members, missing)
                if member:
                    if i > begin:
                        out_begins[count], out_ends[count] = begin, i
                        count += 1
                    begin = i + size
                i += size
            if end > begin:
                out_begins[count], out_ends[count] = begin, end
                count += 1
    out_offsets[len(offsets) - 1] = count
    return count
