"""Run an automaton over pre-tokens: find the matches of a pattern, and cut at them.

An automaton is a table of int32 with `STATES` rows, one for each state, and `COLUMNS` columns, one for each kind of character. An entry says what
happens when a state reads a character. It is the sum of a row, which is the number of the next state times `COLUMNS`, and of flags. Row 0 means that
there is no next state: the match cannot go on. An automaton reads one character after a match before it knows that the match ends there. So a pattern
may look ahead at one character.

For GPT-2's pattern, this kernel takes 0.7 to 0.9 of the time of a kernel that was written by hand. For Llama 3's pattern, it takes 1.02 to 1.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner, inner_always
from model2vec_numba.jit.simd import BLOCK, bytes_between, letters_length, load_word, small_letters_length, trailing_zeros
from model2vec_numba.tokenization.stages import DONE, FALLBACK
from model2vec_numba.tokenization.unicode.filling import ask_for
from model2vec_numba.tokenization.unicode.utf8 import decode

__all__ = [
    "ACCEPTS",
    "BEHAVIORS",
    "COLUMNS",
    "EDGE",
    "FIRST_COLUMN",
    "LOOPS",
    "LOOPS_SMALL",
    "NO_COLUMN",
    "SEARCH",
    "SEARCHES",
    "STATES",
    "UNSUPPORTED",
    "cut_at_matches",
]

STATES = 1024
COLUMNS = 128
# The columns.
NO_COLUMN = 0  # code points whose class is not filled
UNSUPPORTED = 1  # code points that the automaton does not support
EDGE = 2  # the beginning and the end of a text
FIRST_COLUMN = 3  # the first column of a kind
# The row of the state that looks for the beginning of a match.
SEARCH = (STATES - 1) * COLUMNS

# The match may end before the character that is read.
ACCEPTS = 1
# From the next state, all ASCII letters lead to one state. More letters do not change this state, and the match may end before each of them. The same
# is true for `LOOPS_SMALL`, but only of small letters.
LOOPS = 2
LOOPS_SMALL = 4
_SKIPS = LOOPS | LOOPS_SMALL
# The next state is `SEARCH`, and the ranges tell where a match may begin.
SEARCHES = 8
_FLAGS = COLUMNS - 1

# The names in a `tokenizer.json` for the ways to treat delimiters (`SplitDelimiterBehavior` in the `tokenizers` library), as numbers for kernels.
BEHAVIORS = {"Removed": 0, "Isolated": 1, "MergedWithPrevious": 2, "MergedWithNext": 3, "Contiguous": 4}
_REMOVED = 0
_MERGED_WITH_PREVIOUS = 2
_MERGED_WITH_NEXT = 3
_CONTIGUOUS = 4

_NO_MATCH = -1


@inner
def _next_candidate(data: NDArray[np.uint8], i: int, end: int, ranges: NDArray[np.uint8]) -> int:
    """Return the first position from `i` on at which two bytes stand that may begin a match; `end` if there is none.

    `ranges`: see `Automaton`.
    """
    # If all bytes may come second, the test of the second byte is left out. It would take as long as the test of the first byte.
    any_second = ranges[2] == 0 and ranges[3] == 0xFF
    while i < end and i + BLOCK < len(data):
        found = bytes_between(data, i, ranges[0], ranges[1]) | bytes_between(data, i, ranges[4], np.uint8(0xFF))
        if not any_second:
            found &= bytes_between(data, i + 1, ranges[2], ranges[3]) | bytes_between(data, i + 1, ranges[5], np.uint8(0xFF))
        if found != 0:
            return min(i + trailing_zeros(found), end)
        i += BLOCK
    # The last block may have ended inside a character.
    while i < end and data[i] & 0xC0 == 0x80:
        i -= 1
    return min(i, end)


@inner
def _start_after(data: NDArray[np.uint8], i: int, begin: int, classes: NDArray[np.uint8], starts: NDArray[np.int32]) -> int:
    """Return the entry that leads to the first state of a match that begins at `i`. It depends on the character before `i`."""
    if i == begin:
        return np.int64(starts[EDGE])
    i -= 1
    while data[i] & 0xC0 == 0x80:
        i -= 1
    code_point, _ = decode(data, i)
    return np.int64(starts[classes[code_point]])


@compiled()
def cut_at_matches(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    table: NDArray[np.int32],
    starts: NDArray[np.int32],
    ranges: NDArray[np.uint8],
    may_be_empty: bool,
    looks_behind: bool,
    behavior: int,
    invert: int,
    keeps_empty: bool,
    missing: NDArray[np.int32],
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
    new_offsets: NDArray[np.int64],
) -> int:
    """Cut pre-tokens at the matches of a pattern. Each pre-token is searched by itself.

    Args:
        data, begins, ends, offsets: the batch to cut; see `PreTokenBatch`.
        status: uint8, shape (texts,), input and output. Texts that are not `DONE` are left out. `FALLBACK` is written for texts that are not
            supported.
        classes, table, starts, ranges, may_be_empty, looks_behind: see `Automaton`.
        behavior: one of the values of `BEHAVIORS`, which says what happens to delimiters.
        invert: 0 if the matches are the delimiters, 1 if the texts between them are.
        keeps_empty: whether empty pre-tokens are kept.
        missing: int32, output: which of `classes` are needed and not filled; see `nothing_missing`.
        new_begins, new_ends, new_offsets: int64, output: the arrays of the new batch. It has at most one pre-token for each byte and one for each
            pre-token.

    Returns:
        The number of new pre-tokens.
    """
    letter = np.int64(classes[ord("a")])
    # The state `SEARCH` can only be used if the first state is the same at all positions.
    continues = not (may_be_empty or looks_behind)
    drops_empty = may_be_empty and not keeps_empty
    # Bit ``2 * (previous_is_delimiter + 1) + is_delimiter`` of `merges` says whether a span is joined to the previous one.
    # Bit `is_delimiter` of `drops` says whether a span is dropped.
    merges = 0
    if behavior == _CONTIGUOUS:
        merges = 0b100100
    elif behavior == _MERGED_WITH_PREVIOUS:
        merges = 0b001000
    elif behavior == _MERGED_WITH_NEXT:
        merges = 0b010000
    drops = 0b10 if behavior == _REMOVED else 0
    # Whether each match is a pre-token, whatever comes before it. Without this short cut, English took 1.03 times as long.
    plain = merges == 0 and not drops >> (1 - invert) & 1
    count = 0
    for text in range(len(offsets) - 1):
        for pre_token in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            begin = begins[pre_token]
            end = ends[pre_token]
            first = count
            # The spans up to `covered` have been added. The last match ended at `last_end`. The search is for a match that begins at `tried`. It
            # reads the character at `i` next. `accepted` is the end of the best match so far.
            covered = tried = i = begin
            last_end = accepted = _NO_MATCH
            previous = -1
            entry = np.int64(starts[EDGE])
            while True:
                row = entry & ~_FLAGS
                if entry & SEARCHES and i < end and (data[i] < 0x80 or ranges[4] == 0xFF):
                    i = _next_candidate(data, i, end, ranges)
                if entry & _SKIPS:
                    # Read ASCII letters, eight at a time. The bytes after `end` do not count.
                    after = i
                    length = 8
                    while length == 8 and after + 8 <= len(data):
                        word = load_word(data, after)
                        length = letters_length(word) if entry & LOOPS else small_letters_length(word)
                        after += length
                    after = min(after, end)
                    if after > i:
                        following = np.int64(table[row + letter])
                        if row == SEARCH:
                            tried = i
                        if following & ~_FLAGS != SEARCH:
                            accepted = after - 1 if after > i + 1 else i if following & ACCEPTS else accepted
                        row = following & ~_FLAGS
                        i = after
                column = EDGE
                size = 0
                same = EDGE
                following = np.int64(0)
                # The loop goes on as long as the state stays the same. So `row` does not change, and the look-ups do not wait for each other.
                while i < end:
                    byte = data[i]
                    if byte < 0x80:
                        column, size = np.int64(classes[byte]), 1
                    else:
                        code_point, size = decode(data, i)
                        column = np.int64(classes[code_point])
                    if column != same:
                        following = np.int64(table[row + column])
                        if following & ~_FLAGS != row:
                            break
                        same = column
                    accepted = i if following & ACCEPTS else accepted
                    i += size
                if following == ACCEPTS and continues and i < end:
                    # The character that ended the match is the first one of the next attempt. It is looked up only once.
                    if tried > covered:
                        count = _add_span(covered, tried, invert, previous, merges, drops, drops_empty, first, new_begins, new_ends, count)
                        previous = invert
                    if plain:
                        new_begins[count] = tried
                        new_ends[count] = i
                        count += 1
                    else:
                        count = _add_span(tried, i, 1 - invert, previous, merges, drops, drops_empty, first, new_begins, new_ends, count)
                    previous = 1 - invert
                    covered = last_end = tried = i
                    accepted = _NO_MATCH
                    entry = np.int64(table[SEARCH + column])
                    i += size
                    continue
                if i == end:
                    following = np.int64(table[row + EDGE])
                if row == SEARCH:
                    tried = i
                    accepted = _NO_MATCH
                if following > _FLAGS:
                    accepted = i if following & ACCEPTS else accepted
                    entry = following
                    i += size
                    continue
                # The search for a match at `tried` has ended.
                if following == ACCEPTS:
                    accepted = i
                elif i < end and column < EDGE:
                    if column == UNSUPPORTED:
                        status[text] = FALLBACK
                        break
                    code_point, _ = decode(data, i)
                    ask_for(code_point, missing)
                if accepted > tried or (accepted == tried and tried != last_end):
                    if tried > covered:
                        count = _add_span(covered, tried, invert, previous, merges, drops, drops_empty, first, new_begins, new_ends, count)
                        previous = invert
                    count = _add_span(tried, accepted, 1 - invert, previous, merges, drops, drops_empty, first, new_begins, new_ends, count)
                    previous = 1 - invert
                    covered = last_end = accepted
                    i = covered
                elif tried == end:
                    break
                else:
                    # No match begins at `tried`.
                    byte = data[tried]
                    i = tried + 1 + np.int64(byte >= 0xC0) + np.int64(byte >= 0xE0) + np.int64(byte >= 0xF0)
                if i == end and not may_be_empty:
                    break
                tried = i
                accepted = _NO_MATCH
                entry = np.int64(starts[EDGE])
                if looks_behind:
                    entry = _start_after(data, i, begin, classes, starts)
            if covered < end:
                count = _add_span(covered, end, invert, previous, merges, drops, drops_empty, first, new_begins, new_ends, count)
            if drops_empty and count > first and new_begins[count - 1] == new_ends[count - 1]:
                count -= 1
        new_offsets[text + 1] = count
    return count


@inner_always
def _add_span(
    begin: int,
    end: int,
    is_delimiter: int,
    previous_is_delimiter: int,
    merges: int,
    drops: int,
    drops_empty: bool,
    first: int,
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
    count: int,
) -> int:
    """Add the next span of a pre-token to the new pre-tokens. A span is a delimiter, or the text between two delimiters.

    Args:
        begin, end: the bounds of the span.
        is_delimiter: 1 if the span is a delimiter, else 0.
        previous_is_delimiter: `is_delimiter` of the previous span of the same pre-token; -1 if this is the first span.
        merges, drops: bits that say whether the span is joined to the last new pre-token, or dropped. Otherwise it becomes a new pre-token.
        drops_empty: whether the last new pre-token is replaced if it is empty.
        first: the number of new pre-tokens from earlier pre-tokens.
        new_begins, new_ends: int64, output: the bounds of the new pre-tokens.
        count: the number of new pre-tokens so far.

    Returns:
        The number of new pre-tokens.
    """
    if merges >> (2 * previous_is_delimiter + 2 + is_delimiter) & 1:
        new_ends[count - 1] = end
    elif not drops >> is_delimiter & 1:
        if drops_empty and count > first and new_begins[count - 1] == new_ends[count - 1]:
            count -= 1
        new_begins[count] = begin
        new_ends[count] = end
        count += 1
    return count
