"""Unigram's search for the best path through a text's pieces, with the library's own sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.tokenization.code_points import decode
from model2vec_numba.tokenization.models.byte_trie import ENDS, ROOT, step
from model2vec_numba.tokenization.stages import DONE, FALLBACK
from model2vec_numba.words import load_word, word_mask

__all__ = ["ARENA", "MEMO_BYTES", "NO_ID", "SLOTS", "fill_pairs", "tokenize_pieces"]

NO_ID = -1
# The memo: so many pieces of at most so many bytes, and their ids.
SLOTS = 1 << 16
MEMO_BYTES = 24
ARENA = 1 << 18

# Where no token ends: the path has an unknown character.
_UNKNOWN_NODE = 0
# What is unknown in a part: nothing; something; all, one character; something of which more than the part decides what it becomes.
_NONE = 0
_SOME = 1
_ALONE = 2
_RISKY = 3

# A part becomes the same whatever the sum of scores before it, if no decision in it was close. Of sums up to the one below, those of a memo's
# piece are off by less than half of this by rounding: 24 additions, each by at most 2 ** -53 of the sum.
_LEAST_MARGIN = 1e-6
_MOST_SUM = 1e8
_CLEAR = np.uint64(1 << 63)
# It is one unknown character, so that what it adds to the sum is not the score of its ids.
_UNKNOWN_CHARACTER = np.uint64(1 << 62)

_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_MIX_THIRD = np.uint64(0x165667B19E3779F9)


@compiled()
def tokenize_pieces(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    scores: NDArray[np.float64],
    token_scores: NDArray[np.float64],
    pairs: NDArray[np.uint64],
    unknown_score: float,
    unknown: int,
    byte_ids: NDArray[np.int32],
    max_tokens: int,
    memo: NDArray[np.uint64],
    arena: NDArray[np.int32],
    used: NDArray[np.int64],
    status: NDArray[np.uint8],
    counts: NDArray[np.int64],
    ids: NDArray[np.int32],
) -> int:
    """Find the ids of a batch; returns how many there are.

    Args:
        data, begins, ends, offsets: the batch; see `PieceBatch`. The data goes on for `MEMO_BYTES` bytes after the last piece.
        units, node_ids: see `ByteTrie`.
        scores: float64, shape (nodes,): the score of the token that ends at a node.
        token_scores: float64, shape (tokens,): the score of each id.
        pairs: uint64, a bit for each pair of code points that are neighbours in a token; others may share it. No token spans a pair without, so
            every path has an end there. Of length 0 if pieces are not to be cut so.
        unknown_score: the score of a character that is unknown.
        unknown: the id of unknown characters, which is dropped; `NO_ID` if there is none.
        byte_ids: int32, shape (256,) or (0,): the id for each byte of what is unknown, `NO_ID` where there is none; of length 0 if bytes have
            none at all.
        max_tokens: the number of ids to keep of each text.
        memo: uint64, shape (slots, 4), read and written: the pieces that were met, a row the bytes of one, padded with NULs, as three words, then
            its place in `arena`, its length in bytes and its number of ids (0: an empty slot),
            and whether it becomes the same in the middle of a larger piece.
        arena: int32, read and written: their ids.
        used: int64, shape (2,), read and written: how many slots of the memo, and how much of the arena, are in use.
        status: uint8, shape (texts,): texts that are not `DONE` are passed over; `FALLBACK` is written for those that must be.
        counts: int64, shape (texts,), written: the number of ids of each text.
        ids: int32, written: the ids of the texts, one after the other. A piece has at most as many as it has bytes.
    """
    longest = 0
    for piece in range(len(begins)):
        longest = max(longest, ends[piece] - begins[piece])
    best = np.empty(longest + 1, np.float64)
    best_begin = np.empty(longest + 1, np.int64)
    best_node = np.empty(longest + 1, np.int64)
    mask = np.uint64(len(memo) - 1)
    at = 0
    for text in range(len(offsets) - 1):
        first_id = at
        for piece in range(offsets[text], offsets[text + 1]):
            if status[text] != DONE or at - first_id >= max_tokens:
                break
            begin, end = begins[piece], ends[piece]
            before_piece = at
            # A long piece is searched part by part where that comes to the same, else as one.
            by_parts = len(pairs) > 0 and end - begin > MEMO_BYTES
            so_far = 0.0
            i = begin
            while i < end:
                j = _part_end(data, i, end, pairs) if by_parts else end
                length = j - i
                slot, one, two, three = ROOT, ROOT, ROOT, ROOT
                entry = ROOT
                if length <= MEMO_BYTES:
                    one = load_word(data, i) & word_mask(length)
                    two = load_word(data, i + 8) & word_mask(max(length - 8, 0))
                    three = load_word(data, i + 16) & word_mask(max(length - 16, 0))
                    slot = (((one ^ (two * _MIX_SECOND) ^ (three * _MIX_THIRD)) * _MIX) >> np.uint64(40)) & mask
                    entry = memo[slot, 3]
                    while entry != 0:
                        # A piece that ends in NULs has the same words as one without them.
                        if (
                            memo[slot, 0] == one
                            and memo[slot, 1] == two
                            and memo[slot, 2] == three
                            and np.int64((entry >> np.uint64(8)) & np.uint64(255)) == length
                        ):
                            break
                        slot = (slot + np.uint64(1)) & mask
                        entry = memo[slot, 3]
                clear = entry & _CLEAR
                if entry != 0 and (not by_parts or (clear != 0 and abs(so_far) < _MOST_SUM)):
                    place = np.int64((entry & ~(_CLEAR | _UNKNOWN_CHARACTER)) >> np.uint64(16))
                    for k in range(np.int64(entry & np.uint64(255))):
                        token = arena[place + k]
                        ids[at] = token
                        at += 1
                        if by_parts and not entry & _UNKNOWN_CHARACTER:
                            so_far += token_scores[token]
                    if entry & _UNKNOWN_CHARACTER:
                        so_far += unknown_score
                    i = j
                    continue
                before = at
                place = used[1]
                learns = entry == 0 and length <= MEMO_BYTES and 4 * used[0] < 3 * len(memo) and place + length <= len(arena)
                start = 0.0 if learns else so_far
                at, margin, unknowns, total = _search(
                    data, i, j, units, node_ids, scores, unknown_score, unknown, byte_ids, start, best, best_begin, best_node, ids, at
                )
                if at < 0:
                    status[text] = FALLBACK
                    at = first_id
                    break
                if by_parts and unknowns == _RISKY:
                    # With unknown neighbours in the next part it would be something else.
                    by_parts = False
                    at = before_piece
                    so_far = 0.0
                    i = begin
                    continue
                if learns:
                    count = at - before
                    for k in range(count):
                        arena[place + k] = ids[before + k]
                    memo[slot, 0], memo[slot, 1], memo[slot, 2] = one, two, three
                    entry = np.uint64(place) << np.uint64(16) | np.uint64(length) << np.uint64(8) | np.uint64(count)
                    if margin > _LEAST_MARGIN and unknowns in (_NONE, _ALONE):
                        entry |= _CLEAR
                    if unknowns == _ALONE:
                        entry |= _UNKNOWN_CHARACTER
                    memo[slot, 3] = entry
                    used[0] += 1
                    used[1] += count
                if start != so_far:
                    # Now that it is known, take it from there, or search for it again.
                    at = before
                    continue
                so_far = total
                i = j
        at = min(at, first_id + max_tokens) if max_tokens < at - first_id else at
        counts[text] = at - first_id
    return at


@inner
def _pair_bit(first: int, second: int, pairs: NDArray[np.uint64]) -> tuple[np.uint64, np.uint64]:
    """The word of `pairs`, and its bit, for two neighbouring code points."""
    mixed = (np.uint64(first) << np.uint64(21) | np.uint64(second)) * _MIX
    place = (mixed >> np.uint64(32)) & np.uint64(64 * len(pairs) - 1)
    return place >> np.uint64(6), np.uint64(1) << (place & np.uint64(63))


@compiled()
def fill_pairs(data: NDArray[np.uint8], offsets: NDArray[np.int64], pairs: NDArray[np.uint64]) -> int:
    """Enter the neighbours that tokens have; returns how many bits are set anew. The length of `pairs` is a power of two."""
    count = 0
    for token in range(len(offsets) - 1):
        i, end = offsets[token], offsets[token + 1]
        previous = -1
        while i < end:
            code_point, size = decode(data, i)
            if previous >= 0:
                word, bit = _pair_bit(previous, code_point, pairs)
                count += (pairs[word] & bit) == 0
                pairs[word] |= bit
            previous = code_point
            i += size
    return count


@inner
def _part_end(data: NDArray[np.uint8], i: int, end: int, pairs: NDArray[np.uint64]) -> int:
    """Where the part ends that begins at `i`: between two code points that are not neighbours in any token."""
    previous, size = decode(data, i)
    i += size
    while i < end:
        code_point, size = decode(data, i)
        word, bit = _pair_bit(previous, code_point, pairs)
        if pairs[word] & bit == 0:
            break
        previous = code_point
        i += size
    return i


@inner
def _search(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    scores: NDArray[np.float64],
    unknown_score: float,
    unknown: int,
    byte_ids: NDArray[np.int32],
    so_far: float,
    best: NDArray[np.float64],
    best_begin: NDArray[np.int64],
    best_node: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, float, int, float]:
    """Write the ids of ``data[begin:end]``, less the unknown one, from `at` on.

    The path of the largest sum of scores, each sum made from left to right on top of `so_far` and, of equal ones, the first found: by where the
    last token begins. `best`, `best_begin` and `best_node` are room for one more number each than there are bytes.

    Returns:
        Where the ids end, -1 if the library must see to it; how close two sums were of which one was taken; what is unknown: `_NONE`,
        `_SOME`, `_ALONE` or `_RISKY`; and the sum of the path.
    """
    length = end - begin
    best[0] = so_far
    reached = 0  # up to here, `best_begin` is set
    margin = np.inf
    refused = False
    root = units[ROOT]
    i = 0
    while i < length:
        here = best[i]
        lead = data[begin + i]
        size = 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
        single = False
        node, unit = ROOT, root
        j = i
        while j < length:
            node, unit = step(units, node, unit, data[begin + j])
            if node == ROOT:
                break
            j += 1
            if unit & ENDS:
                score = scores[node] + here
                while reached < j:
                    reached += 1
                    best_begin[reached] = -1
                if best_begin[j] < 0:
                    best[j], best_begin[j], best_node[j] = score, i, np.int64(node)
                else:
                    margin = min(margin, abs(score - best[j]))
                    if score > best[j]:
                        best[j], best_begin[j], best_node[j] = score, i, np.int64(node)
                single |= j - i == size
        if not single:
            j = i + size
            score = unknown_score + here
            while reached < j:
                reached += 1
                best_begin[reached] = -1
            if best_begin[j] >= 0:
                margin = min(margin, abs(score - best[j]))
            if best_begin[j] < 0 or score > best[j]:
                refused |= unknown == NO_ID
                best[j], best_begin[j], best_node[j] = score, i, _UNKNOWN_NODE
        i += size
    # The path, from its end: turned round, so that it can be gone along.
    i = length
    following = length
    while i > 0:
        previous = best_begin[i]
        best_begin[i] = following
        following = i
        i = previous
    # Now `best_begin` of a token's end is the end of the next one.
    i = 0
    j = following
    unknowns = _NONE
    while i < length:
        token = unknown if best_node[j] == _UNKNOWN_NODE else np.int64(node_ids[best_node[j]])
        after = best_begin[j]
        if token == unknown:
            # Neighbours of the unknown id are one, and that may be a token after all.
            alone = j == length and best_node[j] == _UNKNOWN_NODE
            unknowns = max(unknowns, _ALONE if alone and i == 0 else _SOME)
            last = j
            while last < length:
                token = unknown if best_node[after] == _UNKNOWN_NODE else np.int64(node_ids[best_node[after]])
                if token != unknown:
                    break
                last = after
                after = best_begin[last]
            if not refused:
                at, risky = _emit_unknown(data, begin + i, begin + last, units, node_ids, unknown, byte_ids, ids, at)
                if risky:
                    unknowns = _RISKY
            i, j = last, after
        else:
            ids[at] = token
            at += 1
            i, j = j, after
    return -1 if refused else at, margin, unknowns, best[length]


@inner
def _emit_unknown(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    unknown: int,
    byte_ids: NDArray[np.int32],
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, bool]:
    """Write the ids of ``data[begin:end]``, neighbours that all have the unknown id, from `at` on.

    Returns where they end, and whether they might be others if there were more such neighbours.
    """
    node, unit = ROOT, units[ROOT]
    for k in range(begin, end):
        node, unit = step(units, node, unit, data[k])
        if node == ROOT:
            break
    if node != ROOT and node_ids[node] >= 0:
        if node_ids[node] == unknown:
            return at, len(byte_ids) > 0
        ids[at] = node_ids[node]
        return at + 1, True
    if len(byte_ids):
        for k in range(begin, end):
            if byte_ids[data[k]] == NO_ID:
                return at, True
        complete = True
        for byte in range(256):
            complete &= byte_ids[byte] != NO_ID
        for k in range(begin, end):
            if byte_ids[data[k]] != unknown:
                ids[at] = byte_ids[data[k]]
                at += 1
        return at, not complete
    return at, False
