"""WhitespaceSplit: cuts at white space and drops it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import pre_tokenizers as library

from model2vec_numba.compiled import compiled
from model2vec_numba.tokenization.byte_level import spelled_out
from model2vec_numba.tokenization.character_sets import CharacterSet, member_at
from model2vec_numba.tokenization.library_parts import has_form
from model2vec_numba.tokenization.stages import DONE, PieceBatch, PreTokenizer

__all__ = ["WhitespaceSplit", "make_whitespace_split", "white_space"]


def make_whitespace_split(part: dict[str, Any]) -> PreTokenizer | None:
    """The pre-tokeniser for a ``WhitespaceSplit``."""
    return WhitespaceSplit() if has_form(part, {}) else None


def white_space() -> CharacterSet:
    """What the library's `WhitespaceSplit` takes for white space."""
    splitter = library.WhitespaceSplit()
    return CharacterSet(lambda characters: [not splitter.pre_tokenize_str(c) for c in characters])


class WhitespaceSplit:
    """Cuts pieces at white space."""

    def __init__(self) -> None:
        self._spaces = white_space()

    def split(self, pieces: PieceBatch, status: NDArray[np.uint8]) -> PieceBatch:
        """See `PreTokenizer.split`."""
        pieces = spelled_out(pieces)
        # Two pieces have at least one byte between them.
        most = (pieces.size + len(pieces.begins)) // 2
        begins, ends = np.empty(most, np.int64), np.empty(most, np.int64)
        offsets = np.empty(len(pieces.offsets), np.int64)
        source = (pieces.data, pieces.begins, pieces.ends, pieces.offsets, self._spaces.members)
        count = self._spaces.pages.complete(lambda missing: split_at_members(*source, missing, status, begins, ends, offsets))
        return PieceBatch(pieces.data, begins[:count], ends[:count], offsets)


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
    """Cut pieces at the members of a set, which belong to no piece; returns the number of pieces.

    See `PieceBatch` for the batch that comes in and for that which goes out, `member_at` for the set. Texts that are not `DONE` get no pieces.
    """
    count = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = count
        if status[text] != DONE:
            continue
        for piece in range(offsets[text], offsets[text + 1]):
            begin = i = begins[piece]
            end = ends[piece]
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
