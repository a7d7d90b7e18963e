"""What short texts became that a model has met before: one look instead of a search.

A text and its ids have a row of 32 bytes if there is room for them, as for most words and for nearly all parts of Japanese, else one of 64: the more
of them fit into the cache, the less often there is a wait for memory, which was a quarter of Unigram's time for Japanese.

A narrow row is four words: two with the bytes of the text, padded with NULs; one with the text's length (0: an empty row), the number of its ids,
what else the model wants to know, and the last two ids; one with the first three ids. A wide row is a cache line: four words for the bytes; one with
the length, the number and the model's flags; three with the ids. A text is in one of a few rows that follow each other, so that two that often come
in turns do not push each other out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import inner, inner_always
from model2vec_numba.words import load_word, prefetch, word_mask, word_masks

__all__ = [
    "MEMO_BYTES",
    "MEMO_IDS",
    "MOST_MEMO_ID",
    "NO_FLAGS",
    "SOUGHT_COLUMNS",
    "SOUGHT_HASH",
    "Memos",
    "copy_ids",
    "copy_ids_only",
    "copy_known",
    "find_row",
    "make_memos",
    "memo_hash",
    "memo_key",
    "prefetch_row",
    "remember",
    "row_flags",
    "seek_parts",
    "seek_pieces",
    "word_key",
]

MEMO_BYTES = 32
MEMO_IDS = 9
# Larger ids have no room in a row.
MOST_MEMO_ID = (1 << 21) - 1
# The most that a narrow row has room for.
_NARROW_IDS = 5
# The numbers of words of a row, and where in it the length is.
_NARROW, _NARROW_INFO = 4, 2
_WIDE, _WIDE_INFO = 8, 4
# Narrow rows, of which there are twice as many as wide ones: four megabytes for each thread, of which the system provides what is used.
_ROWS = 1 << 16
_TRIES = 8
# The word with the length: bits 0 to 7 are for that, 8 to 15 for the number of ids, 16 to 21 for the model's flags, the others for ids.
_COUNT = 8
_FLAGS = 16
_MORE_IDS = 22
_BYTE = np.uint64(0xFF)
_FLAG_BITS = np.uint64(0x3F)
_ID = np.uint64(MOST_MEMO_ID)
_ID_BITS = 21

# What is kept of a text between asking for its row and looking there; see `seek_parts`.
SOUGHT_COLUMNS = 6
SOUGHT_HASH, _SOUGHT_LENGTH = 4, 5
NO_FLAGS = np.uint64(0)

_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_MIX_THIRD = np.uint64(0x165667B19E3779F9)
_MIX_FOURTH = np.uint64(0x27D4EB2F165667C5)


def make_memos(count: int) -> NDArray[np.uint64]:
    """So many memos, uint64, each a row: the narrow rows and then the wide ones, all of them empty."""
    size = _ROWS * _NARROW + _ROWS // 2 * _WIDE
    words = np.zeros(count * size + _WIDE, np.uint64)
    # Rows begin where cache lines do.
    skipped = (-words.ctypes.data // 8) % _WIDE
    return words[skipped : skipped + count * size].reshape(count, size)


class Memos:
    """The memos of a model's threads: a call takes one, or makes one, and gives it back. No two calls have the same at once.

    Args:
        others: how many words more the model remembers in its own way.
    """

    def __init__(self, others: int = 0) -> None:
        self._others = others
        # To take one and to put one back are single steps to other threads.
        self._idle: list[tuple[NDArray[np.uint64], NDArray[np.uint64]]] = []

    def take(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """What no call uses: a memo, and the other words, uint64; zeros if they are new."""
        try:
            return self._idle.pop()
        except IndexError:
            return make_memos(1)[0], np.zeros(self._others, np.uint64)

    def give_back(self, memo: tuple[NDArray[np.uint64], NDArray[np.uint64]]) -> None:
        """Leave it to the next call."""
        self._idle.append(memo)


@inner_always
def memo_key(data: NDArray[np.uint8], begin: int, length: int) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """The first four words of the row of the text ``data[begin:begin + length]``, 1 to `MEMO_BYTES` bytes. The data goes on for as many bytes."""
    first, second = word_masks(min(length, 16))
    three = four = np.uint64(0)
    if length > 16:
        three = load_word(data, begin + 16) & word_mask(length - 16)
        four = load_word(data, begin + 24) & word_mask(max(length - 24, 0))
    return load_word(data, begin) & first, load_word(data, begin + 8) & second, three, four


@inner_always
def word_key(head: np.uint64, tail: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """The same for a text of at most 16 bytes that is two words already."""
    return head, tail, np.uint64(0), np.uint64(0)


@inner_always
def memo_hash(key: tuple[np.uint64, np.uint64, np.uint64, np.uint64]) -> np.uint64:
    """What says in which rows a text may be."""
    mixed = key[0] ^ (key[1] * _MIX_SECOND) ^ (key[2] * _MIX_THIRD) ^ (key[3] * _MIX_FOURTH)
    # Without this the last bytes of eight would have no part in it.
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX
    return mixed >> np.uint64(32)


@inner
def seek_parts(
    data: NDArray[np.uint8],
    begin: int,
    part_ends: NDArray[np.int64],
    parts: int,
    added: int,
    memo: NDArray[np.uint64],
    sought: NDArray[np.uint64],
) -> None:
    """Ask for the rows of the parts of a piece that begins at `begin` to be at hand, and write to `sought` what they are to be compared with.

    Args:
        added: what is added to the length of a part, to tell it from a text that is none; see `find_row`.
        sought: uint64, shape (at least parts, SOUGHT_COLUMNS), written: of each text its key, its hash, and its length; of one of more than
            `MEMO_BYTES` bytes 0 in place of the length, and anything else.
    """
    i = begin
    for part in range(parts):
        j = part_ends[part]
        _seek(data, i, j, added, memo, sought, part)
        i = j


@inner
def seek_pieces(
    data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64], first: int, memo: NDArray[np.uint64], sought: NDArray[np.uint64]
) -> int:
    """The same for the pieces from `first` on, as many as `sought` has room for; returns the number of the piece after them."""
    last = min(first + len(sought), len(begins))
    for piece in range(first, last):
        _seek(data, begins[piece], ends[piece], 0, memo, sought, piece - first)
    return last


@inner_always
def _seek(data: NDArray[np.uint8], begin: int, end: int, added: int, memo: NDArray[np.uint64], sought: NDArray[np.uint64], place: int) -> None:
    length = end - begin
    key = memo_key(data, begin, min(length, MEMO_BYTES))
    hashed = memo_hash(key)
    prefetch_row(memo, hashed, key)
    row = np.uint64(place)
    sought[row, 0], sought[row, 1], sought[row, 2], sought[row, 3] = key
    sought[row, SOUGHT_HASH] = hashed
    sought[row, _SOUGHT_LENGTH] = np.uint64(length + added) if length <= MEMO_BYTES else np.uint64(0)


@inner
def copy_known(
    sought: NDArray[np.uint64],
    first: int,
    last: int,
    memo: NDArray[np.uint64],
    flag_mask: np.uint64,
    flags: np.uint64,
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, int]:
    """Write the ids of texts ``first`` to ``last - 1`` of `sought` from `at` on, up to the first that is not remembered, or of whose flags those in
    `flag_mask` are not `flags`.

    What the others need would take the registers that this loop can do without.

    Returns which text is the first that is not written, and where the ids end.
    """
    text = np.uint64(first)
    while text < np.uint64(last):
        key = (sought[text, 0], sought[text, 1], sought[text, 2], sought[text, 3])
        length = np.int64(sought[text, _SOUGHT_LENGTH])
        row = find_row(memo, sought[text, SOUGHT_HASH], key, length) if length != 0 else -1
        if row < 0 or row_flags(memo, row) & flag_mask != flags:
            break
        at = copy_ids(memo, row, ids, at)
        text += np.uint64(1)
    return np.int64(text), at


@inner_always
def prefetch_row(memo: NDArray[np.uint64], hashed: np.uint64, key: tuple[np.uint64, np.uint64, np.uint64, np.uint64]) -> None:
    """Ask for the first of a text's rows to be at hand. To wait for one that is not there takes 100 ns."""
    narrow, wide = _narrow_row(memo, hashed), _wide_row(memo, hashed)
    prefetch(memo, np.int64(narrow if _fits_narrow(key) else wide))


@inner_always
def _fits_narrow(key: tuple[np.uint64, np.uint64, np.uint64, np.uint64]) -> bool:
    """Whether a narrow row has room for a text, whose length is in the row besides: bytes that it has no room for are NULs."""
    return key[2] | key[3] == np.uint64(0)


@inner_always
def _narrow_row(memo: NDArray[np.uint64], hashed: np.uint64) -> np.uint64:
    """Where the narrow row of a hash begins."""
    return np.uint64(_NARROW) * hashed & np.uint64(len(memo) // 2 - 1)


@inner_always
def _wide_row(memo: NDArray[np.uint64], hashed: np.uint64) -> np.uint64:
    """Where the wide row of a hash begins."""
    return np.uint64(len(memo) // 2) + (np.uint64(_WIDE) * hashed & np.uint64(len(memo) // 2 - 1))


@inner_always
def _is_narrow(memo: NDArray[np.uint64], row: np.uint64) -> bool:
    return row < np.uint64(len(memo) // 2)


@inner_always
def find_row(memo: NDArray[np.uint64], hashed: np.uint64, key: tuple[np.uint64, np.uint64, np.uint64, np.uint64], length: int) -> int:
    """Where the row of a text begins; -1 if it is not remembered. `length` may be more than its length, to tell texts apart that have the same
    bytes.
    """
    if _fits_narrow(key):
        for step in range(_TRIES):
            row = _narrow_row(memo, hashed + np.uint64(step))
            info = memo[row + np.uint64(_NARROW_INFO)]
            # Differences joined, for one branch and not three.
            different = (memo[row] ^ key[0]) | (memo[row + np.uint64(1)] ^ key[1])
            if different | ((info & _BYTE) ^ np.uint64(length)) == np.uint64(0):
                return np.int64(row)
            if info == np.uint64(0):
                break
    for step in range(_TRIES):
        row = _wide_row(memo, hashed + np.uint64(step))
        info = memo[row + np.uint64(_WIDE_INFO)]
        different = (memo[row] ^ key[0]) | (memo[row + np.uint64(1)] ^ key[1])
        different |= (memo[row + np.uint64(2)] ^ key[2]) | (memo[row + np.uint64(3)] ^ key[3])
        if different | ((info & _BYTE) ^ np.uint64(length)) == np.uint64(0):
            return np.int64(row)
        if info == np.uint64(0):
            break
    return -1


@inner_always
def row_flags(memo: NDArray[np.uint64], row: int) -> np.uint64:
    """The model's flags in a row."""
    begin = np.uint64(row)
    info = memo[begin + np.uint64(_NARROW_INFO if _is_narrow(memo, begin) else _WIDE_INFO)]
    return info >> np.uint64(_FLAGS) & _FLAG_BITS


@inner_always
def copy_ids(memo: NDArray[np.uint64], row: int, ids: NDArray[np.int32], at: int) -> int:
    """Write the ids of a row from `at` on and return where they end. Behind that, up to ``at + MEMO_IDS``, anything is written."""
    begin, place = np.uint64(row), np.uint64(at)
    if _is_narrow(memo, begin):
        return np.int64(_copy_narrow(memo, begin, memo[begin + np.uint64(_NARROW_INFO)], ids, place))
    for k in range(MEMO_IDS // 3):
        _write_three(memo[begin + np.uint64(_WIDE_INFO + 1 + k)], ids, place + np.uint64(3 * k))
    return at + np.int64(memo[begin + np.uint64(_WIDE_INFO)] >> np.uint64(_COUNT) & _BYTE)


@inner_always
def _copy_narrow(memo: NDArray[np.uint64], row: np.uint64, info: np.uint64, ids: NDArray[np.int32], place: np.uint64) -> np.uint64:
    """What `copy_ids` does with a narrow row."""
    _write_three(memo[row + np.uint64(_NARROW_INFO + 1)], ids, place)
    ids[place + np.uint64(3)] = np.int32(info >> np.uint64(_MORE_IDS) & _ID)
    ids[place + np.uint64(4)] = np.int32(info >> np.uint64(_MORE_IDS + _ID_BITS))
    return place + (info >> np.uint64(_COUNT) & _BYTE)


@inner
def copy_ids_only(memo: NDArray[np.uint64], row: int, ids: NDArray[np.int32], at: int) -> int:
    """The same, but that nothing is written behind them."""
    begin = np.uint64(row)
    narrow = _is_narrow(memo, begin)
    info_at = np.uint64(_NARROW_INFO if narrow else _WIDE_INFO)
    info = memo[begin + info_at]
    end = at + np.int64(info >> np.uint64(_COUNT) & _BYTE)
    for k in range(end - at):
        three = info >> np.uint64(_MORE_IDS) if narrow and k >= 3 else memo[begin + info_at + np.uint64(1 + k // 3)]
        ids[at + k] = np.int32(three >> np.uint64(_ID_BITS * (k % 3)) & _ID)
    return end


@inner_always
def _write_three(three: np.uint64, ids: NDArray[np.int32], place: np.uint64) -> None:
    ids[place] = np.int32(three & _ID)
    ids[place + np.uint64(1)] = np.int32(three >> np.uint64(_ID_BITS) & _ID)
    ids[place + np.uint64(2)] = np.int32(three >> np.uint64(2 * _ID_BITS))


@inner
def remember(
    memo: NDArray[np.uint64],
    hashed: np.uint64,
    key: tuple[np.uint64, np.uint64, np.uint64, np.uint64],
    length: int,
    flags: np.uint64,
    ids: NDArray[np.int32],
    first: int,
    last: int,
) -> None:
    """Enter a text that became ``ids[first:last]``, if a row has room for them; where there is no empty row, in place of another text."""
    count = last - first
    if count > MEMO_IDS:
        return
    for place in range(first, last):
        if ids[place] > MOST_MEMO_ID:
            return
    narrow = _fits_narrow(key) and count <= _NARROW_IDS
    info_at = np.uint64(_NARROW_INFO if narrow else _WIDE_INFO)
    row = _row_to_use(memo, hashed, narrow, info_at)
    info = flags << np.uint64(_FLAGS) | np.uint64(count) << np.uint64(_COUNT) | np.uint64(length)
    memo[row], memo[row + np.uint64(1)] = key[0], key[1]
    if narrow:
        memo[row + info_at] = info | _two_ids(ids, first + 3, last) << np.uint64(_MORE_IDS)
        memo[row + info_at + np.uint64(1)] = _three_ids(ids, first, last)
    else:
        memo[row + np.uint64(2)], memo[row + np.uint64(3)] = key[2], key[3]
        memo[row + info_at] = info
        for k in range(MEMO_IDS // 3):
            memo[row + info_at + np.uint64(1 + k)] = _three_ids(ids, first + 3 * k, last)


@inner
def _row_to_use(memo: NDArray[np.uint64], hashed: np.uint64, narrow: bool, info_at: np.uint64) -> np.uint64:
    """The first empty row of a text's; if there is none, any of them."""
    for step in range(_TRIES):
        tried = hashed + np.uint64(step)
        row = _narrow_row(memo, tried) if narrow else _wide_row(memo, tried)
        if memo[row + info_at] == np.uint64(0):
            return row
    tried = hashed + (hashed >> np.uint64(24)) % np.uint64(_TRIES)
    return _narrow_row(memo, tried) if narrow else _wide_row(memo, tried)


@inner
def _two_ids(ids: NDArray[np.int32], first: int, last: int) -> np.uint64:
    """The next two of ``ids[first:last]``, as far as there are any, the first in the lowest bits."""
    two = np.uint64(0)
    for place in range(2):
        if first + place < last:
            two |= np.uint64(ids[first + place]) << np.uint64(_ID_BITS * place)
    return two


@inner
def _three_ids(ids: NDArray[np.int32], first: int, last: int) -> np.uint64:
    """The same of the next three."""
    third = np.uint64(ids[first + 2]) << np.uint64(2 * _ID_BITS) if first + 2 < last else np.uint64(0)
    return _two_ids(ids, first, last) | third
