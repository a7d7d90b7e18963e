"""What short texts became that a model has met before: one look instead of a search.

A row is a cache line: the bytes of a text of at most `MEMO_BYTES`, padded with NULs, as four words; then a word with the text's length (0: an empty
row), the number of its ids and what else the model wants to know; then the ids, three to a word. A text is in one of two rows, so that two that often
come in turns do not push each other out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import inner, inner_always
from model2vec_numba.words import load_word, prefetch, word_mask, word_masks

__all__ = [
    "FLAGS",
    "MEMO_BYTES",
    "MEMO_IDS",
    "MOST_MEMO_ID",
    "Memos",
    "copy_ids",
    "find_row",
    "hash_parts",
    "memo_hash",
    "memo_key",
    "remember",
    "row_info",
]

MEMO_BYTES = 32
MEMO_IDS = 9
# Larger ids have no room in a row.
MOST_MEMO_ID = (1 << 21) - 1
_COLUMNS = 8
# Four megabytes for each thread, of which the system provides what is used.
_ROWS = 1 << 16
_TRIES = 8
_INFO, _IDS = 4, 5
# The word after the key: bits 0 to 7 are for the length, 8 to 15 for the number of ids, the others are the model's.
_COUNT = 8
FLAGS = 16
_BYTE = np.uint64(0xFF)
_ID = np.uint64(MOST_MEMO_ID)

_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_MIX_THIRD = np.uint64(0x165667B19E3779F9)
_MIX_FOURTH = np.uint64(0x27D4EB2F165667C5)


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
        """What no call uses: uint64, the rows, shape (rows, 8), and the other words; zeros if they are new."""
        try:
            return self._idle.pop()
        except IndexError:
            words = np.zeros((_ROWS + 1) * _COLUMNS, np.uint64)
            # Rows begin where cache lines do.
            skipped = (-words.ctypes.data // 8) % _COLUMNS
            return words[skipped : skipped + _ROWS * _COLUMNS].reshape(_ROWS, _COLUMNS), np.zeros(self._others, np.uint64)

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
def memo_hash(key: tuple[np.uint64, np.uint64, np.uint64, np.uint64]) -> np.uint64:
    """What says in which rows a text may be."""
    mixed = key[0] ^ (key[1] * _MIX_SECOND) ^ (key[2] * _MIX_THIRD) ^ (key[3] * _MIX_FOURTH)
    # Without this the last bytes of eight would have no part in it.
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX
    return mixed >> np.uint64(32)


@inner
def hash_parts(
    data: NDArray[np.uint8], begin: int, part_ends: NDArray[np.int64], parts: int, memo: NDArray[np.uint64], hashes: NDArray[np.uint64]
) -> None:
    """Write what `memo_hash` gives for each part of a piece that begins at `begin` to `hashes`, and ask for the rows to be at hand.

    Of a part of more than `MEMO_BYTES` bytes it is anything.
    """
    i = begin
    for part in range(parts):
        j = part_ends[part]
        hashes[part] = memo_hash(memo_key(data, i, min(j - i, MEMO_BYTES)))
        prefetch(memo, np.int64(hashes[part] & np.uint64(len(memo) - 1)) * _COLUMNS)
        i = j


@inner_always
def find_row(memo: NDArray[np.uint64], hashed: np.uint64, key: tuple[np.uint64, np.uint64, np.uint64, np.uint64], length: int) -> int:
    """The row of a text; -1 if it is not remembered. `length` may be more than its length, to tell texts apart that have the same bytes."""
    mask = np.uint64(len(memo) - 1)
    for step in range(_TRIES):
        row = (hashed + np.uint64(step)) & mask
        if _is_row(memo, row, key, length):
            return np.int64(row)
        if memo[row, _INFO] == np.uint64(0):
            break
    return -1


@inner_always
def _is_row(memo: NDArray[np.uint64], row: np.uint64, key: tuple[np.uint64, np.uint64, np.uint64, np.uint64], length: int) -> bool:
    # Differences joined, for one branch and not five.
    different = (memo[row, 0] ^ key[0]) | (memo[row, 1] ^ key[1]) | (memo[row, 2] ^ key[2]) | (memo[row, 3] ^ key[3])
    return (different | ((memo[row, _INFO] & _BYTE) ^ np.uint64(length))) == np.uint64(0)


@inner_always
def row_info(memo: NDArray[np.uint64], row: int) -> np.uint64:
    """The row's word of what is known, the model's flags from bit `FLAGS` on."""
    return memo[np.uint64(row), _INFO]


@inner_always
def copy_ids(memo: NDArray[np.uint64], row: int, ids: NDArray[np.int32], at: int) -> int:
    """Write the ids of a row from `at` on and return where they end. Behind that, up to ``at + MEMO_IDS``, anything is written."""
    place = np.uint64(at)
    for k in range(MEMO_IDS // 3):
        three = memo[np.uint64(row), np.uint64(_IDS + k)]
        ids[place] = np.int32(three & _ID)
        ids[place + np.uint64(1)] = np.int32((three >> np.uint64(21)) & _ID)
        ids[place + np.uint64(2)] = np.int32(three >> np.uint64(42))
        place += np.uint64(3)
    return at + np.int64((memo[np.uint64(row), _INFO] >> np.uint64(_COUNT)) & _BYTE)


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
    """Enter a text that became ``ids[first:last]``, if they are not too many; where there is no empty row, in place of another text."""
    count = last - first
    if count > MEMO_IDS:
        return
    mask = np.uint64(len(memo) - 1)
    row = hashed & mask
    for _ in range(_TRIES):
        if memo[row, _INFO] == np.uint64(0):
            break
        row = (row + np.uint64(1)) & mask
    if memo[row, _INFO] != np.uint64(0):
        row = (hashed + (hashed >> np.uint64(24)) % np.uint64(_TRIES)) & mask
    memo[row, 0], memo[row, 1], memo[row, 2], memo[row, 3] = key
    memo[row, _INFO] = flags << np.uint64(FLAGS) | np.uint64(count) << np.uint64(_COUNT) | np.uint64(length)
    for k in range(MEMO_IDS // 3):
        three = np.uint64(0)
        for place in range(3):
            if first + 3 * k + place < last:
                three |= np.uint64(ids[first + 3 * k + place]) << np.uint64(21 * place)
        memo[row, _IDS + k] = three
