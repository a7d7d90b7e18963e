"""The kernel of `LocalNormalizer`: it rewrites single code points, and runs of code points that act on each other, by look-ups in tables."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import copy_bytes, load_word, lowercase_word, store_word, trailing_zeros
from model2vec_numba.tokenization.stages import DONE, FALLBACK
from model2vec_numba.tokenization.unicode.filling import ask_for
from model2vec_numba.tokenization.unicode.utf8 import are_in, decode

__all__ = [
    "EXTENDS",
    "GLUES",
    "INLINE",
    "IN_ARENA",
    "MAX_RUN_BYTES",
    "PRINTABLE_LOWER",
    "PRINTABLE_SAME",
    "SAME",
    "UNSUPPORTED",
    "fill_slots",
    "normalize_texts",
]

# The kinds of entries, which are the lowest four bits of an entry. `LocalNormalizer` describes the other bits.
NOT_FILLED = 0  # the entry is not filled
SAME = 1  # the code point stays as it is
INLINE = 2  # the result is in the entry
IN_ARENA = 3  # the result is in the arena
UNSUPPORTED = 4  # the result is too long, or the `tokenizers` library fails
# Further bits of an entry. A code point that extends may act on the code points before it. A code point that glues may act on the code points after
# it.
EXTENDS = 16
GLUES = 32

# What all characters from space to tilde become.
PRINTABLE_SAME = 1
PRINTABLE_LOWER = 2

# The library tokenises texts with longer runs.
MAX_RUN_BYTES = 256
# The maximum number of bytes that one step of the loop adds to the output, with a margin for writing too many.
_STEP_BYTES = 512
# `lowercase_word` needs bytes below 0x80. The bytes after a text may be others.
_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)


@compiled()
def normalize_texts(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    entries: NDArray[np.uint64],
    same: NDArray[np.uint64],
    arena: NDArray[np.uint8],
    printable: int,
    by_grapheme: bool,
    slots: NDArray[np.int32],
    keys: NDArray[np.uint8],
    key_offsets: NDArray[np.int64],
    values: NDArray[np.uint8],
    value_offsets: NDArray[np.int64],
    fills_runs: bool,
    missing: NDArray[np.int32],
    misses: NDArray[np.int64],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
) -> tuple[int, int]:
    """Normalise a batch.

    Args:
        data, offsets: the batch; see `TextBatch`.
        entries, same, arena: see `LocalNormalizer`.
        printable: `PRINTABLE_SAME` or `PRINTABLE_LOWER` if the characters from space to tilde all stay as they are, or become lower case, else 0.
        by_grapheme: whether code points act on each other because they are in one grapheme cluster of fewer than six bytes.
        slots, keys, key_offsets, values, value_offsets: the known runs; see `_Runs`.
        fills_runs: whether the caller will fill unknown runs. If not, the library tokenises their texts.
        missing: int32, output: which of `entries` are needed and not filled; see `nothing_missing`.
        misses: int64, shape (n, 2), output: the begin and end in `data` of each unknown run. If there are more than n, only the first n.
        status: uint8, shape (texts,), input and output. Texts that are not `DONE` are written as empty texts. `FALLBACK` is written for texts
            that the library must tokenise.
        out: uint8, output: the normalised texts.
        out_offsets: int64, shape (texts + 1,), output: the begin of each text in `out`.

    Returns:
        The length of the normalised texts, or -1 if `out` is too short; and the number of rows of `misses`. The result is valid only if `out` is
        long enough, no entry is missing, and there are no misses.
    """
    at = 0
    missed = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = at
        if status[text] != DONE:
            continue
        begin, end = offsets[text], offsets[text + 1]
        # The position of the latest code point that does not extend another one, in the text and in `out`.
        segment, segment_at = begin, at
        glued = False
        i = begin
        while i < end:
            if at + _STEP_BYTES > len(out):
                return -1, missed
            if printable != 0 and not glued:
                # The last bytes of a text are read together with bytes after it, if there are any.
                last_word = min(end - 1, len(data) - 8, i + _STEP_BYTES - 64)
                first = i
                while i <= last_word:
                    word = load_word(data, i)
                    length = min(_printable_length(word), end - i)
                    store_word(out, at, lowercase_word(word & _LOW) if printable == PRINTABLE_LOWER else word)
                    i += length
                    at += length
                    if length < 8:
                        break
                if i > first:
                    segment, segment_at = i - 1, at - 1
                    continue
            # Most code points that are not ASCII stay as they are. Copy them, up to the number of bytes that one step may add.
            first = i
            last = min(end, i + _STEP_BYTES - 64)
            while i < last and not glued and i + 3 <= len(data):
                if i + 8 <= end and are_in(same, load_word(data, i)):
                    segment = i + 3
                    i += 6
                    continue
                # There is no branch on the size, because the processor cannot predict where a word of a script ends and a space follows.
                lead, second, third = np.int64(data[i]), np.int64(data[i + 1] & 0x3F), np.int64(data[i + 2] & 0x3F)
                code_point = (lead & 0x1F) << 6 | second if lead >= 0xC0 else lead
                code_point = (lead & 0x0F) << 12 | second << 6 | third if lead >= 0xE0 else code_point
                if lead >= 0xF0 or entries[code_point] != np.uint64(SAME):
                    break
                segment = i
                i += 1 + np.int64(lead >= 0xC0) + np.int64(lead >= 0xE0)
                if printable != 0 and lead < 0x80 and i + 8 <= end and _printable_length(load_word(data, i)) == 8:
                    break
            if i > first:
                segment_at = at + segment - first
                at = copy_bytes(data, first, i, out, at)
                if i >= last or at + _STEP_BYTES > len(out):
                    continue
            code_point, size = decode(data, i)
            entry = entries[code_point]
            kind = np.int64(entry & np.uint64(15))
            if (entry & np.uint64(EXTENDS) or glued) and kind != NOT_FILLED:
                j, known = _run_end(data, i, end, entries, glued, missing)
                glued = False
                i = j
                if not known:
                    continue
                size = _first_size(data, segment)
                if j - segment > MAX_RUN_BYTES or (
                    # The cluster may be the end of a longer one. Only the code points before it can tell.
                    by_grapheme and size >= 3 and j - segment < 6 and segment > begin and data[segment - 1] >= 0x80
                ):
                    status[text] = FALLBACK
                    break
                run = _find_run(data, segment, j, slots, keys, key_offsets)
                if run < 0 and not fills_runs:
                    status[text] = FALLBACK
                    break
                if run < 0:
                    if missed < len(misses):
                        misses[missed, 0], misses[missed, 1] = segment, j
                        missed += 1
                    continue
                at = segment_at
                for k in range(value_offsets[run], value_offsets[run + 1]):
                    if at + _STEP_BYTES > len(out):
                        return -1, missed
                    out[at] = values[k]
                    at += 1
                segment, segment_at = j, at
                continue
            segment, segment_at = i, at
            glued = (entry & np.uint64(GLUES)) != np.uint64(0)
            if kind == SAME:
                for k in range(size):
                    out[at + k] = data[i + k]
                at += size
            elif kind == INLINE:
                store_word(out, at, entry >> np.uint64(16))
                at += np.int64((entry >> np.uint64(8)) & np.uint64(255))
            elif kind == IN_ARENA:
                place = np.int64(entry >> np.uint64(16))
                length = np.int64((entry >> np.uint64(8)) & np.uint64(255))
                for k in range(length):
                    out[at + k] = arena[place + k]
                at += length
            elif kind == NOT_FILLED:
                ask_for(code_point, missing)
            else:
                status[text] = FALLBACK
                break
            i += size
        if status[text] != DONE:
            at = out_offsets[text]
    out_offsets[len(offsets) - 1] = at
    return at, missed


@njit(inline="always")
def _printable_length(word: np.uint64) -> int:
    """Return the number of ASCII characters from space to tilde at the beginning of the eight bytes of a uint64."""
    high = np.uint64(0x8080808080808080)
    # The first sum sets the high bit of bytes from 0x20 on, the second that of 0x7F. A carry comes only from a byte that is not printable.
    over = (word & ~high) + np.uint64(0x6060606060606060)
    return trailing_zeros((word | ~over | (word + np.uint64(0x0101010101010101))) & high) >> 3


@inner
def _first_size(data: NDArray[np.uint8], i: int) -> int:
    """Return the number of bytes of the code point at `i`."""
    lead = data[i]
    return 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)


@inner
def _run_end(data: NDArray[np.uint8], i: int, end: int, entries: NDArray[np.uint64], glued: bool, missing: NDArray[np.int32]) -> tuple[int, bool]:
    """Return the end of a run, and whether all its entries are filled. The code point at `i` extends, or the one before it glues."""
    known = True
    while i < end:
        code_point, size = decode(data, i)
        entry = entries[code_point]
        if entry & np.uint64(15) == np.uint64(NOT_FILLED):
            ask_for(code_point, missing)
            known = False
        if not (glued or entry & np.uint64(EXTENDS)):
            break
        glued = (entry & np.uint64(GLUES)) != np.uint64(0)
        i += size
    return i, known


@inner
def _hash(data: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    """Return a hash of ``data[begin:end]``."""
    mixed = np.uint64(end - begin)
    for k in range(begin, end):
        mixed = (mixed ^ np.uint64(data[k])) * np.uint64(0x100000001B3)
    return mixed ^ (mixed >> np.uint64(29))


@inner
def _find_run(
    data: NDArray[np.uint8], begin: int, end: int, slots: NDArray[np.int32], keys: NDArray[np.uint8], key_offsets: NDArray[np.int64]
) -> int:
    """Return the number of the run ``data[begin:end]``, or -1 if it is unknown."""
    mask = np.uint64(len(slots) - 1)
    slot = _hash(data, begin, end) & mask
    while slots[slot] != 0:
        run = slots[slot] - 1
        first = key_offsets[run]
        if key_offsets[run + 1] - first == end - begin:
            same = True
            for k in range(end - begin):
                if keys[first + k] != data[begin + k]:
                    same = False
                    break
            if same:
                return run
        slot = (slot + np.uint64(1)) & mask
    return -1


@compiled()
def fill_slots(keys: NDArray[np.uint8], key_offsets: NDArray[np.int64], slots: NDArray[np.int32]) -> None:
    """Insert runs, which are all different, into the empty hash table `slots`. Its length is a power of two, and more than the number of runs."""
    mask = np.uint64(len(slots) - 1)
    for run in range(len(key_offsets) - 1):
        slot = _hash(keys, key_offsets[run], key_offsets[run + 1]) & mask
        while slots[slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = run + 1
