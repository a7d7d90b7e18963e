"""Unigram's search for the best path through a text's pieces, with the library's own sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.tokenization.memo import (
    MEMO_BYTES,
    NO_FLAGS,
    SOUGHT_COLUMNS,
    SOUGHT_HASH,
    copy_ids,
    copy_known,
    find_row,
    memo_key,
    remember,
    row_flags,
    seek_parts,
    seek_pieces,
)
from model2vec_numba.tokenization.models.byte_trie import ENDS, ROOT, step
from model2vec_numba.tokenization.models.parts import cut_into_parts
from model2vec_numba.tokenization.stages import DONE, FALLBACK

__all__ = ["MOST_SUM", "NO_ID", "tokenize_pieces"]

NO_ID = -1

# Where no token ends: the path has an unknown character.
_UNKNOWN_NODE = 0

# A part becomes the same whatever the sum of scores before it, if no decision in it was closer than this for each of its bytes: of sums up to the one
# below, each addition is off by at most 2 ** -53 of the sum, in the two sums that are compared, here and with what stands before the part.
_LEAST_MARGIN = 5e-8
MOST_SUM = 1e8
# The flag of a part in the memo that says that it is such a one.
_CLEAR = np.uint64(1)
# So many pieces are looked for in the memo at a time.
_AHEAD = 64


@compiled()
def tokenize_pieces(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    scores: NDArray[np.float64],
    pairs: NDArray[np.uint64],
    bigrams: NDArray[np.uint64],
    most_bytes: int,
    unknown_score: float,
    unknown: int,
    byte_ids: NDArray[np.int32],
    memo: NDArray[np.uint64],
    max_tokens: int,
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
) -> int:
    """Find the ids of a batch; returns how many there are.

    Args:
        data, begins, ends, offsets, status: the batch; see `PieceBatch`. The data goes on for `MEMO_BYTES` bytes after the last piece.
            `FALLBACK` is written for texts that must go to the library.
        units, node_ids: see `ByteTrie`.
        scores: float64, shape (nodes,): the score of the token that ends at a node.
        pairs, bigrams: see `Neighbours`: every path has an end between characters that are none.
        most_bytes: longer pieces are not to be cut.
        unknown_score: the score of a character that is unknown.
        unknown: the id of unknown characters, which is dropped; `NO_ID` if there is none.
        byte_ids: int32, shape (256,) or (0,): the id for each byte of what is unknown, `NO_ID` where there is none; of length 0 if bytes have
            none at all.
        memo: what was met before; see `Memos`.
        max_tokens: the number of ids to keep of each text.
        ids: int32, written: the ids of the texts, one after the other. A piece has at most as many as it has bytes; `MEMO_IDS` more may be written.
        id_offsets: int64, shape (texts + 1,), written but for the first.
    """
    longest = 0
    for piece in range(len(begins)):
        longest = max(longest, ends[piece] - begins[piece])
    best = np.empty(longest + 1, np.float64)
    best_begin = np.empty(longest + 1, np.int64)
    best_node = np.empty(longest + 1, np.int64)
    part_ends = np.empty(longest + 1, np.int64)
    parts_sought = np.empty((longest + 1, SOUGHT_COLUMNS), np.uint64)
    pieces_sought = np.empty((_AHEAD, SOUGHT_COLUMNS), np.uint64)
    sought_from = sought_to = 0
    at = 0
    for text in range(len(offsets) - 1):
        first_id = at
        piece = offsets[text]
        while piece < offsets[text + 1] and status[text] == DONE and at - first_id < max_tokens:
            if piece >= sought_to:
                sought_from, sought_to = piece, seek_pieces(data, begins, ends, piece, memo, pieces_sought)
            first_unknown, last_sought = piece - sought_from, min(sought_to, offsets[text + 1]) - sought_from
            first_unknown, at = copy_known(pieces_sought, first_unknown, last_sought, memo, NO_FLAGS, NO_FLAGS, ids, at)
            piece = sought_from + first_unknown
            if first_unknown == last_sought:
                continue
            begin, end = begins[piece], ends[piece]
            before_piece = at
            # A long piece is searched part by part where that comes to the same, else as one.
            parts = 1
            part_ends[0] = end
            if MEMO_BYTES < end - begin <= most_bytes:
                parts = cut_into_parts(data, begin, end, pairs, bigrams, part_ends)
                seek_parts(data, begin, part_ends, parts, 0, memo, parts_sought)
            part = 0
            while part < parts:
                if parts > 1:
                    part, at = copy_known(parts_sought, part, parts, memo, _CLEAR, _CLEAR, ids, at)
                    if part == parts:
                        break
                i = part_ends[part - 1] if part > 0 else begin
                j = part_ends[part]
                length = j - i
                is_short = length <= MEMO_BYTES
                row = -1
                clear = False
                if is_short:
                    key = memo_key(data, i, length)
                    hashed = parts_sought[part, SOUGHT_HASH] if parts > 1 else pieces_sought[first_unknown, SOUGHT_HASH]
                    row = find_row(memo, hashed, key, length)
                if row >= 0:
                    clear = row_flags(memo, row) & _CLEAR != 0
                    at = copy_ids(memo, row, ids, at)
                else:
                    before = at
                    at, margin, risky = _search(
                        data, i, j, units, node_ids, scores, unknown_score, unknown, byte_ids, best, best_begin, best_node, ids, at
                    )
                    if at < 0:
                        status[text] = FALLBACK
                        at = first_id
                        break
                    clear = margin > _LEAST_MARGIN * length and not risky
                    if is_short:
                        remember(memo, hashed, key, length, _CLEAR if clear else NO_FLAGS, ids, before, at)
                part += 1
                if parts > 1 and not clear:
                    # With what stands before it, or with unknown neighbours in the next part, it might be something else. That is rare: in
                    # Japanese 5 of 95,000 parts are so.
                    parts = 1
                    part_ends[0] = end
                    at = before_piece
                    part = 0
            piece += 1
        at = min(at, first_id + max_tokens) if max_tokens < at - first_id else at
        id_offsets[text + 1] = at
    return at


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
    best: NDArray[np.float64],
    best_begin: NDArray[np.int64],
    best_node: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, float, bool]:
    """Write the ids of ``data[begin:end]``, less the unknown one, from `at` on.

    The path of the largest sum of scores, each sum made from left to right and, of equal ones, the first found: by where the last token begins.
    `best`, `best_begin` and `best_node` are room for one more number each than there are bytes.

    Returns:
        Where the ids end, -1 if the library must see to it; how close two sums were of which one was taken; and whether unknown characters
        would become something else with more of them beside.
    """
    # Unsigned: numba then spares the look whether an index counts from the end, which was a tenth of all.
    origin, length, one = np.uint64(begin), np.uint64(end - begin), np.uint64(1)
    for k in range(1, end - begin + 1):
        best_begin[k] = -1
    best[0] = 0.0
    margin = np.inf
    refused = False
    root = units[ROOT]
    i = np.uint64(0)
    while i < length:
        here = best[i]
        lead = data[origin + i]
        size = one + np.uint64(lead >= 0xC0) + np.uint64(lead >= 0xE0) + np.uint64(lead >= 0xF0)
        single = False
        node, unit = ROOT, root
        j = i
        while j < length:
            node, unit = step(units, node, unit, data[origin + j])
            if node == ROOT:
                break
            j += one
            if unit & ENDS:
                score = scores[node] + here
                if best_begin[j] < 0:
                    best[j], best_begin[j], best_node[j] = score, np.int64(i), np.int64(node)
                else:
                    margin = min(margin, abs(score - best[j]))
                    if score > best[j]:
                        best[j], best_begin[j], best_node[j] = score, np.int64(i), np.int64(node)
                single |= j - i == size
        if not single:
            j = i + size
            score = unknown_score + here
            if best_begin[j] >= 0:
                margin = min(margin, abs(score - best[j]))
            if best_begin[j] < 0 or score > best[j]:
                refused |= unknown == NO_ID
                best[j], best_begin[j], best_node[j] = score, np.int64(i), _UNKNOWN_NODE
        i += size
    if refused:
        return -1, margin, False
    at, risky = _emit_path(data, begin, end, units, node_ids, unknown, byte_ids, best_begin, best_node, ids, at)
    return at, margin, risky


@inner
def _emit_path(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    unknown: int,
    byte_ids: NDArray[np.int32],
    best_begin: NDArray[np.int64],
    best_node: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, bool]:
    """Write the ids of the path that `_search` found for ``data[begin:end]`` from `at` on; the token that ends at ``begin + j`` begins at
    ``begin + best_begin[j]``.

    Returns where they end, and what `_search` says of unknown characters.
    """
    length = end - begin
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
    any_risky = False
    while i < length:
        token = unknown if best_node[j] == _UNKNOWN_NODE else np.int64(node_ids[best_node[j]])
        after = best_begin[j]
        if token == unknown:
            # Neighbours of the unknown id are one, and that may be a token after all.
            last = j
            while last < length:
                token = unknown if best_node[after] == _UNKNOWN_NODE else np.int64(node_ids[best_node[after]])
                if token != unknown:
                    break
                last = after
                after = best_begin[last]
            at, risky = _emit_unknown(data, begin + i, begin + last, units, node_ids, unknown, byte_ids, ids, at)
            any_risky |= risky
            i, j = last, after
        else:
            ids[at] = token
            at += 1
            i, j = j, after
    return at, any_risky


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
