r"""The regular expressions that GPT-2 and its successors use to split texts. Each has a kernel written by hand.

Each match begins at the end of the last match, and each character is in a match. So the matches cover the whole text.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import letters_length, load_word
from model2vec_numba.tokenization.stages import DONE, FALLBACK
from model2vec_numba.tokenization.unicode.classes import FILLED, ClassTable, class_at, matches_of

__all__ = ["CL100K", "GPT2", "cut_cl100k", "cut_gpt2", "general_categories"]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# The pattern of cl100k (GPT-4) and Llama 3, and the pattern of Qwen. The value is the maximum number of digits in a match.
CL100K = {
    rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{count}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": digits
    for count, digits in (("{1,3}", 3), ("", 1))
}

_LETTER = 1
_NUMBER = 2
_SPACE = 4
# The letters of contractions, in any case.
_CONTRACTION = 8
_CLASSES = (r"\p{L}", r"\p{N}", r"\s", r"(?i:[stmdrevl])")


@cache
def general_categories() -> ClassTable:
    """Return the table of the classes that the patterns distinguish. A class has a bit for each of `_CLASSES`."""
    return ClassTable(matches_of(*_CLASSES))


_KIND = FILLED | _LETTER | _NUMBER | _SPACE
_LETTERS = FILLED | _LETTER
_NUMBERS = FILLED | _NUMBER
_SPACES = FILLED | _SPACE
_OTHERS = FILLED


@inner
def _kind_at(data: NDArray[np.uint8], i: int, classes: NDArray[np.uint8], missing: NDArray[np.uint8]) -> tuple[int, int]:
    """Return `_LETTERS`, `_NUMBERS`, `_SPACES` or `_OTHERS` for the code point at `i`, and its number of bytes.

    If the page of the code point is not filled, the kind is `_OTHERS`, and `missing` asks for the page.
    """
    kind, size = class_at(data, i, classes, missing)
    return kind & _KIND | FILLED, size


@inner
def _run_end(data: NDArray[np.uint8], i: int, end: int, kind: int, classes: NDArray[np.uint8], missing: NDArray[np.uint8]) -> int:
    """Return the end of the run of characters of a kind that begins at `i`."""
    while i < end:
        if kind == _LETTERS and data[i] < 0x80 and i + 8 <= len(data):
            # Eight bytes at a time. The bytes after `end` do not count.
            length = letters_length(load_word(data, i))
            i = min(i + length, end)
            if length == 8 or i == end:
                continue
        following, size = _kind_at(data, i, classes, missing)
        if following != kind:
            break
        i += size
    return i


@inner
def _white_space_end(data: NDArray[np.uint8], i: int, end: int, classes: NDArray[np.uint8], missing: NDArray[np.uint8]) -> tuple[int, int]:
    r"""Return the end of the match of ``\s+(?!\S)|\s+`` at `i`, and the end of the last line break in the white space (0: there is none).

    If a word follows and there are several white space characters, the match ends before the last one.
    """
    begin = i
    last = i
    line_end = 0
    while i < end:
        kind, size = _kind_at(data, i, classes, missing)
        if kind != _SPACES:
            break
        last = i
        i += size
        if data[last] == 0x0A or data[last] == 0x0D:
            line_end = i
    return (last if i < end and last > begin else i), line_end


@compiled()
def cut_gpt2(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    missing: NDArray[np.uint8],
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
    new_offsets: NDArray[np.int64],
) -> int:
    """Cut pre-tokens by `GPT2`. The arguments are those of the kernels of `cut`."""
    count = 0
    for text in range(len(offsets) - 1):
        for pre_token in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            i = begins[pre_token]
            end = ends[pre_token]
            while i < end:
                new_begins[count] = i
                kind, size = _kind_at(data, i, classes, missing)
                if data[i] == 0x27:
                    length = _contraction_length(data, i, end)
                    if length > 0:
                        i += length
                        new_ends[count] = i
                        count += 1
                        continue
                elif data[i] == 0x20 and i + 1 < end:
                    following, following_size = _kind_at(data, i + 1, classes, missing)
                    if following != _SPACES:
                        i += 1
                        kind, size = following, following_size
                if kind == _SPACES:
                    i, _ = _white_space_end(data, i, end, classes, missing)
                else:
                    i = _run_end(data, i + size, end, kind, classes, missing)
                new_ends[count] = i
                count += 1
        new_offsets[text + 1] = count
    return count


@inner
def _contraction_length(data: NDArray[np.uint8], i: int, end: int) -> int:
    """Return the length of the match of ``'s|'t|'re|'ve|'m|'ll|'d`` at `i`, where an apostrophe stands, or 0 if there is no match."""
    length = 0
    if i + 1 < end:
        first = data[i + 1]
        if first == ord("s") or first == ord("t") or first == ord("m") or first == ord("d"):
            length = 2
        elif i + 2 < end:
            second = data[i + 2]
            if second == ord("e"):
                length = 3 if first == ord("r") or first == ord("v") else 0
            elif second == ord("l") and first == ord("l"):
                length = 3
    return length


@inner
def _any_case_contraction_length(data: NDArray[np.uint8], i: int, end: int, classes: NDArray[np.uint8], missing: NDArray[np.uint8]) -> int:
    """Return the length of the match of ``(?i:'s|'t|'re|'ve|'m|'ll|'d)`` at `i`, where an apostrophe stands, or 0 if there is no match.

    The result is -1 if a letter that is not ASCII may match because of ``(?i:``, such as the long s. Then the `tokenizers` library must decide.
    """
    length = 0
    if i + 1 < end:
        first = data[i + 1] | 0x20
        if data[i + 1] >= 0x80:
            kind, _ = class_at(data, i + 1, classes, missing)
            length = -1 if kind & _CONTRACTION else 0
        elif first == ord("s") or first == ord("t") or first == ord("m") or first == ord("d"):
            length = 2
        elif i + 2 < end and (first == ord("r") or first == ord("v") or first == ord("l")):
            second = data[i + 2] | 0x20
            if data[i + 2] >= 0x80:
                kind, _ = class_at(data, i + 2, classes, missing)
                length = -1 if kind & _CONTRACTION else 0
            elif second == (ord("l") if first == ord("l") else ord("e")):
                length = 3
    return length


@compiled()
def cut_cl100k(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    digits: int,
    missing: NDArray[np.uint8],
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
    new_offsets: NDArray[np.int64],
) -> int:
    """Cut pre-tokens by a pattern of `CL100K`, where `digits` is its value. The other arguments are those of the kernels of `cut`."""
    count = 0
    for text in range(len(offsets) - 1):
        for pre_token in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            i = begins[pre_token]
            end = ends[pre_token]
            while i < end:
                begin = i
                kind, size = _kind_at(data, i, classes, missing)
                if data[i] == 0x27:
                    length = _any_case_contraction_length(data, i, end, classes, missing)
                    if length < 0:
                        status[text] = FALLBACK
                        break
                    i += length
                if i > begin:
                    pass
                elif kind == _LETTERS:
                    i = _run_end(data, i + size, end, kind, classes, missing)
                elif kind == _NUMBERS:
                    i += size
                    remaining = digits - 1
                    while i < end and remaining > 0:
                        following, following_size = _kind_at(data, i, classes, missing)
                        if following != _NUMBERS:
                            break
                        i += following_size
                        remaining -= 1
                else:
                    following, following_size = _OTHERS, 0
                    if i + size < end:
                        following, following_size = _kind_at(data, i + size, classes, missing)
                    if following == _LETTERS and data[i] != 0x0A and data[i] != 0x0D:
                        i = _run_end(data, i + size + following_size, end, _LETTERS, classes, missing)
                    elif kind == _OTHERS or (data[i] == 0x20 and following == _OTHERS and following_size > 0):
                        i = _run_end(data, i + size, end, _OTHERS, classes, missing)
                        while i < end and (data[i] == 0x0A or data[i] == 0x0D):
                            i += 1
                    else:
                        i, line_end = _white_space_end(data, i, end, classes, missing)
                        if line_end > 0:
                            i = line_end
                new_begins[count] = begin
                new_ends[count] = i
                count += 1
        new_offsets[text + 1] = count
    return count
