"""Rewrite texts code point by code point, and runs of code points that act on each other run by run."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.tokenization.code_points import are_in, decode
from model2vec_numba.tokenization.pages import ask_for_page
from model2vec_numba.tokenization.stages import DONE, FALLBACK
from model2vec_numba.words import copy_bytes, load_word, store_word

__all__ = ["CANNOT_VOUCH", "EXTENDS", "GLUES", "INLINE", "MAX_RUN_BYTES", "POOLED", "SAME", "fill_slots", "normalize_texts"]

# What becomes of a code point; the lowest four bits of its entry.
UNLEARNT = 0
SAME = 1
INLINE = 2  # the bytes are in the entry
POOLED = 3  # they are in the pool
CANNOT_VOUCH = 4  # they are too many
# Further bits of an entry. A code point that extends may act on what stands before it, and one that glues on what follows.
EXTENDS = 16
GLUES = 32

# A longer run goes to the library, with its text.
MAX_RUN_BYTES = 256
# The most bytes that a code point or the rest of a stride adds to the output, and room to overshoot.
_ROOM = 512


@compiled()
def normalize_texts(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    entries: NDArray[np.uint64],
    same: NDArray[np.uint64],
    pool: NDArray[np.uint8],
    printable_same: bool,
    by_grapheme: bool,
    slots: NDArray[np.int32],
    keys: NDArray[np.uint8],
    key_offsets: NDArray[np.int64],
    values: NDArray[np.uint8],
    value_offsets: NDArray[np.int64],
    learns: bool,
    missing: NDArray[np.uint8],
    misses: NDArray[np.int64],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
) -> tuple[int, int]:
    """Normalise a batch.

    Args:
        data, offsets: the batch; see `TextBatch`.
        entries, same, pool: see `LocalNormalizer`.
        printable_same: whether the characters from space to tilde all stay as they are.
        by_grapheme: whether code points act on each other because they are in one grapheme cluster of fewer than six bytes.
        slots, keys, key_offsets, values, value_offsets: the runs that are known; see `Runs`.
        learns: whether runs that are not known will be learnt; else their texts go to the library.
        missing: uint8, written: which pages of `entries` are needed and not learnt; see `no_pages`.
        misses: int64, shape (n, 2), written: where runs that are not known begin and end in `data`.
        status: uint8, shape (texts,): texts that are not `DONE` come out empty; `FALLBACK` is written for those that must go to the library.
        out: uint8, written: the normalised texts.
        out_offsets: int64, shape (texts + 1,), written: where each begins in `out`.

    Returns:
        The length of the normalised texts, -1 if `out` is too short, and the number of `misses`. If any are missing or missed, the rest is of
        no use yet.
    """
    at = 0
    missed = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = at
        if status[text] != DONE:
            continue
        begin, end = offsets[text], offsets[text + 1]
        # Where the latest code point that does not extend another stands in the text, and what became of it.
        segment, segment_at = begin, at
        glued = False
        i = begin
        while i < end:
            if at + _ROOM > len(out):
                return -1, missed
            if printable_same and not glued:
                room = min(end - 8, i + _ROOM - 64)
                first = i
                while i <= room:
                    word = load_word(data, i)
                    if not _all_printable(word):
                        break
                    store_word(out, at, word)
                    i += 8
                    at += 8
                if i > first:
                    segment, segment_at = i - 1, at - 1
                    continue
            # Most of what is not ASCII stays as it is: as many code points as there is room for.
            first = i
            last = min(end, i + _ROOM - 64)
            while i < last and not glued and i + 3 <= len(data):
                if i + 8 <= end and are_in(same, load_word(data, i)):
                    segment = i + 3
                    i += 6
                    continue
                # Where words of a script end and spaces come is not to be predicted, so there is no branch on that.
                lead, second, third = np.int64(data[i]), np.int64(data[i + 1] & 0x3F), np.int64(data[i + 2] & 0x3F)
                code_point = (lead & 0x1F) << 6 | second if lead >= 0xC0 else lead
                code_point = (lead & 0x0F) << 12 | second << 6 | third if lead >= 0xE0 else code_point
                if lead >= 0xF0 or entries[code_point] != np.uint64(SAME):
                    break
                segment = i
                i += 1 + np.int64(lead >= 0xC0) + np.int64(lead >= 0xE0)
                if printable_same and lead < 0x80 and i + 8 <= end and _all_printable(load_word(data, i)):
                    break
            if i > first:
                segment_at = at + segment - first
                at = copy_bytes(data, first, i, out, at)
                if i >= last or at + _ROOM > len(out):
                    continue
            code_point, size = decode(data, i)
            entry = entries[code_point]
            kind = np.int64(entry & np.uint64(15))
            if (entry & np.uint64(EXTENDS) or glued) and kind != UNLEARNT:
                j, known = _run_end(data, i, end, entries, glued, missing)
                glued = False
                i = j
                if not known:
                    continue
                size = _first_size(data, segment)
                if j - segment > MAX_RUN_BYTES or (
                    # Such a cluster may be the end of a longer one, of which only its members know.
                    by_grapheme and size >= 3 and j - segment < 6 and segment > begin and data[segment - 1] >= 0x80
                ):
                    status[text] = FALLBACK
                    break
                run = _find_run(data, segment, j, slots, keys, key_offsets)
                if run < 0 and not learns:
                    status[text] = FALLBACK
                    break
                if run < 0:
                    if missed < len(misses):
                        misses[missed, 0], misses[missed, 1] = segment, j
                        missed += 1
                    continue
                at = segment_at
                for k in range(value_offsets[run], value_offsets[run + 1]):
                    if at + _ROOM > len(out):
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
            elif kind == POOLED:
                place = np.int64(entry >> np.uint64(16))
                length = np.int64((entry >> np.uint64(8)) & np.uint64(255))
                for k in range(length):
                    out[at + k] = pool[place + k]
                at += length
            elif kind == UNLEARNT:
                ask_for_page(code_point, missing)
            else:
                status[text] = FALLBACK
                break
            i += size
        if status[text] != DONE:
            at = out_offsets[text]
    out_offsets[len(offsets) - 1] = at
    return at, missed


@njit(inline="always")
def _all_printable(word: np.uint64) -> bool:
    """Whether the bytes of a word are all ASCII from space to tilde."""
    high = np.uint64(0x8080808080808080)
    # From 0x20 on the first sum carries into the high bit; at 0x7F the second does.
    over = (word & ~high) + np.uint64(0x6060606060606060)
    return (word | ~over | (word + np.uint64(0x0101010101010101))) & high == np.uint64(0)


@inner
def _first_size(data: NDArray[np.uint8], i: int) -> int:
    lead = data[i]
    return 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)


@inner
def _run_end(data: NDArray[np.uint8], i: int, end: int, entries: NDArray[np.uint64], glued: bool, missing: NDArray[np.uint8]) -> tuple[int, bool]:
    """Where the run goes to that has a code point at `i` which extends or is glued, and whether all of it is learnt."""
    known = True
    while i < end:
        code_point, size = decode(data, i)
        entry = entries[code_point]
        if entry & np.uint64(15) == np.uint64(UNLEARNT):
            ask_for_page(code_point, missing)
            known = False
        if not (glued or entry & np.uint64(EXTENDS)):
            break
        glued = (entry & np.uint64(GLUES)) != np.uint64(0)
        i += size
    return i, known


@inner
def _hash(data: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    mixed = np.uint64(end - begin)
    for k in range(begin, end):
        mixed = (mixed ^ np.uint64(data[k])) * np.uint64(0x100000001B3)
    return mixed ^ (mixed >> np.uint64(29))


@inner
def _find_run(
    data: NDArray[np.uint8], begin: int, end: int, slots: NDArray[np.int32], keys: NDArray[np.uint8], key_offsets: NDArray[np.int64]
) -> int:
    """The number of the run ``data[begin:end]``; -1 if it is not known."""
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
    """Enter runs, all different, into the empty hash table `slots`, whose length is a power of two and above their number."""
    mask = np.uint64(len(slots) - 1)
    for run in range(len(key_offsets) - 1):
        slot = _hash(keys, key_offsets[run], key_offsets[run + 1]) & mask
        while slots[slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = run + 1
