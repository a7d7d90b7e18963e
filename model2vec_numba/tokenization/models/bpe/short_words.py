"""Merge many short words at once: some of them take turns, one merge each.

A merge must wait for the look-ups of the merge before it, so that the processor is idle most of the time. The merges of different words need not wait
for each other. Four words at a time took half the time of one at a time, and eight no less than four.

Each word has a row of uint32 in an array of work. The symbols of a word have the positions 1 to `count` in its row. The positions 0 and ``count + 1``
hold `NO_TOKEN`, which has no merges, so that each symbol has two neighbours. A set of bits says which positions are left. A merge keeps the position
of its left symbol, and removes that of the right one. There is no loop over the symbols, whose end the processor could not predict.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner, inner_always
from model2vec_numba.jit.simd import leading_zeros, smallest_of_32, trailing_zeros
from model2vec_numba.tokenization.models.bpe.merge_table import NO_TOKEN, MergeTable, find_place
from model2vec_numba.tokenization.models.bpe.merging import find_symbol, next_character

__all__ = ["MAX_SYMBOLS", "ROW_WIDTH", "begin_merging", "copy_word", "finish_merging", "make_byte_places", "set_single_token"]

# The numbers of the positions before the last one have five bits.
MAX_SYMBOLS = 31
# The number of words that take turns.
_LANES = 4
# A row begins with the place of each pair, by the position of its left symbol: the rank of its merge and the position, as one number. So the smallest
# place is the next merge. After the 32 places come the symbols, by their positions.
_SYMBOLS = 32
# A row is five cache lines.
ROW_WIDTH = 80
_NO_PLACE = np.uint32(0xFFFFFFFF)
_POSITION_MASK, _POSITION_BITS = np.uint32(31), np.uint32(5)
_ONE = np.uint64(1)


@inner_always
def begin_merging(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    is_first: bool,
    is_last: bool,
    byte_ids: NDArray[np.int32],
    byte_places: NDArray[np.uint32],
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    merges: MergeTable,
    from_bytes: bool,
    prefix: NDArray[np.uint8],
    suffix: NDArray[np.uint8],
    row: int,
    rows: NDArray[np.uint32],
    left: NDArray[np.uint64],
) -> bool:
    """Write the symbols of a word, or of a segment of a word, and the places of their merges to a row.

    Return False if the word has an unknown character, or more than `MAX_SYMBOLS` symbols.

    Args:
        byte_places: see `make_byte_places`.
        row: the number of the row.
        rows: uint32, shape (rows * ROW_WIDTH,): the work.
        left: uint64, shape (rows,): bit ``position`` of an element is set if that position is left.

    The other arguments are those of `merge_word`.
    """
    places = np.uint64(row) * np.uint64(ROW_WIDTH)
    symbols = places + np.uint64(_SYMBOLS)
    for k in range(_SYMBOLS):
        rows[places + np.uint64(k)] = _NO_PLACE
    rows[symbols] = np.uint32(NO_TOKEN)
    if from_bytes and len(prefix) == 0 and len(suffix) == 0:
        count = np.uint64(end - begin)
        if count > np.uint64(MAX_SYMBOLS):
            return False
        known = True
        previous_byte = np.uint64(0)
        for k in range(end - begin):
            position = np.uint64(k)
            byte = np.uint64(data[begin + k])
            symbol = byte_ids[byte]
            known &= symbol >= 0
            # The place of the position before the first one is overwritten below.
            rows[places + position] = byte_places[previous_byte << np.uint64(8) | byte] | np.uint32(position)
            rows[symbols + position + _ONE] = np.uint32(symbol)
            previous_byte = byte
        rows[places] = _NO_PLACE
        if not known:
            return False
    else:
        count = np.uint64(0)
        # Of the character before: its byte, or -1 if it is not a single byte without affixes.
        former = np.int64(-1)
        i = begin
        while i < end:
            following = next_character(data, i, end, from_bytes)
            begins_word, ends_word = is_first and i == begin, is_last and following == end
            byte = np.int64(data[i])
            if following == i + 1 and (begins_word or len(prefix) == 0) and not (ends_word and len(suffix) > 0):
                symbol = np.int64(byte_ids[byte])
            else:
                symbol = find_symbol(data, i, following, begins_word, ends_word, units, node_ids, prefix, suffix)
                byte = np.int64(-1)
            if symbol < 0 or count == np.uint64(MAX_SYMBOLS):
                return False
            if former >= 0 and byte >= 0:
                rows[places + count] = byte_places[former << 8 | byte] | np.uint32(count)
            else:
                rows[places + count] = find_place(merges, rows[symbols + count], np.uint32(symbol), count)
            count += _ONE
            rows[symbols + count] = np.uint32(symbol)
            former = byte
            i = following
    rows[symbols + count + _ONE] = np.uint32(NO_TOKEN)
    left[row] = (np.uint64(4) << count) - _ONE
    return True


def make_byte_places(merge_list: NDArray[np.int64], byte_ids: NDArray[np.int32]) -> NDArray[np.uint32]:
    """Return the place at position 0 of the merge of each pair of bytes, or the largest number: uint32, with the index ``left << 8 | right``.

    `merge_list`: see `build_merge_table`. `byte_ids`: int32, shape (256,): the id of the token of each byte, or -1.
    """
    byte_places = np.full(1 << 16, _NO_PLACE)
    bytes_with_ids = np.flatnonzero(byte_ids >= 0)
    ids = byte_ids[bytes_with_ids]
    order = np.argsort(ids)
    ranks = np.flatnonzero(np.isin(merge_list[:, :2], ids).all(1))
    left, right = bytes_with_ids[order[np.searchsorted(ids, merge_list[ranks, :2].T, sorter=order)]]
    # If a pair is listed twice, the last rank counts.
    np.put(byte_places, left << 8 | right, ranks << 5)
    return byte_places


@inner
def set_single_token(token: int, row: int, rows: NDArray[np.uint32], left: NDArray[np.uint64]) -> None:
    """Write a row as if merging had given a single token."""
    rows[np.uint64(row) * np.uint64(ROW_WIDTH) + np.uint64(_SYMBOLS + 1)] = np.uint32(token)
    left[row] = np.uint64(7)


@inner
def finish_merging(queue: NDArray[np.int64], count: int, merges: MergeTable, rows: NDArray[np.uint32], left: NDArray[np.uint64]) -> None:
    """Merge the words in the rows ``queue[:count]``, each of which has been begun. The order of `queue` changes."""
    _, _, new_ids, _ = merges
    lane = np.uint64(0)
    while count > 0:
        row = np.uint64(queue[lane])
        places = row * np.uint64(ROW_WIDTH)
        place = smallest_of_32(rows, places)
        if place == _NO_PLACE:
            # The word is done. The last one of the queue takes its turns.
            count -= 1
            queue[lane] = queue[np.uint64(count)]
            lane = lane if lane < np.uint64(count) else np.uint64(0)
            continue
        _merge_once(place, row, places, merges, new_ids, rows, left)
        lane += _ONE
        lane = lane if lane < np.uint64(min(count, _LANES)) else np.uint64(0)


@inner_always
def _merge_once(
    place: np.uint32,
    row: np.uint64,
    places: np.uint64,
    merges: MergeTable,
    new_ids: NDArray[np.int32],
    rows: NDArray[np.uint32],
    left: NDArray[np.uint64],
) -> None:
    """Do the merge of a place in a row, and write the places of the two new pairs. `places`: where the row begins."""
    symbols = places + np.uint64(_SYMBOLS)
    position = np.uint64(place & _POSITION_MASK)
    token = np.uint32(new_ids[np.uint64(place >> _POSITION_BITS)])
    positions = left[row]
    bit = _ONE << position
    above = positions & ~(bit | (bit - _ONE))
    removed = np.uint64(trailing_zeros(above))
    following = np.uint64(trailing_zeros(above & (above - _ONE)))
    previous = np.uint64(63) - leading_zeros(positions & (bit - _ONE))
    left[row] = positions & ~(above & (~above + _ONE))
    rows[symbols + position] = token
    rows[places + removed] = _NO_PLACE
    rows[places + previous] = find_place(merges, rows[symbols + previous], token, previous)
    rows[places + position] = find_place(merges, token, rows[symbols + following], position)


@inner
def copy_word(row: int, rows: NDArray[np.uint32], left: NDArray[np.uint64], unknown_id: int, ids: NDArray[np.int32], at: int) -> int:
    """Write the ids of a merged word to ``ids[at:]``, without `unknown_id`, and return where they end. The element after them may be overwritten."""
    symbols = np.uint64(row) * np.uint64(ROW_WIDTH) + np.uint64(_SYMBOLS)
    positions = left[row] & ~_ONE
    rest = positions & (positions - _ONE)
    while rest != 0:
        token = np.int64(rows[symbols + np.uint64(trailing_zeros(positions))])
        ids[at] = token
        at += token != unknown_id
        positions, rest = rest, rest & (rest - _ONE)
    return at
