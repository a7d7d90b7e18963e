"""Unigram's kernel: find the best path through each pre-token, with the same sums in the same order as the library.

"The library" is the Hugging Face `tokenizers` library.

A path is a sequence of tokens that cover the text. The best path has the largest sum of scores.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.tokenization.lookup.boundaries import cut_into_segments
from model2vec_numba.tokenization.lookup.double_array import ROOT, TERMINAL, step
from model2vec_numba.tokenization.lookup.piece_cache import (
    MAX_CACHED_BYTES,
    NO_FLAGS,
    PREFETCHED_COLUMNS,
    PREFETCHED_HASH,
    copy_cached,
    copy_ids,
    find_row,
    insert,
    load_key,
    prefetch_pre_tokens,
    prefetch_segments,
    row_flags,
)
from model2vec_numba.tokenization.stages import DONE, FALLBACK

__all__ = ["MAX_SUM", "NO_ID", "tokenize_pre_tokens"]

NO_ID = -1

# In place of a token's node: the path has an unknown character here.
_UNKNOWN_NODE = 0

# The best path of a segment does not depend on the sum of scores before it, if all sums that were compared differ by more than this for each byte of
# the segment. Each addition has a rounding error of at most 2 ** -53 of the sum. Both sums have such errors, here and with the scores before the
# segment.
_MIN_MARGIN = 5e-8
# The margin is enough if no sum is larger than this.
MAX_SUM = 1e8
# The flag in the cache of a segment whose ids do not depend on the text around it.
_INDEPENDENT = np.uint64(1)
# The number of pre-tokens whose cache rows are prefetched at a time.
_AHEAD = 64


@compiled()
def tokenize_pre_tokens(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    scores: NDArray[np.float64],
    character_pairs: NDArray[np.uint64],
    byte_pairs: NDArray[np.uint64],
    max_bytes: int,
    unknown_score: float,
    unknown_id: int,
    byte_ids: NDArray[np.int32],
    cache: NDArray[np.uint64],
    max_tokens: int,
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
) -> int:
    """Tokenise the pre-tokens of a batch, and return the number of ids.

    Args:
        data, begins, ends, offsets, status: the pre-tokens; see `PreTokenBatch`. The data must have `MAX_CACHED_BYTES` more bytes after the last one.
            `FALLBACK` is written to the status of texts that the library must tokenise.
        units, node_ids: see `DoubleArray`.
        scores: float64, shape (nodes,): the score of the token that ends at a node.
        character_pairs, byte_pairs: see `AdjacentCharacters`. Every path has a token end between two characters that are not adjacent in any token.
        max_bytes: a pre-token of more bytes must not be cut into segments.
        unknown_score: the score of an unknown character.
        unknown_id: the id of unknown characters, which is dropped; `NO_ID` if there is none.
        byte_ids: int32, shape (256,): the id of each byte of an unknown text, or `NO_ID`. Shape (0,) if the model has no byte fallback.
        cache: see `make_piece_cache`.
        max_tokens: the number of ids to keep of each text.
        ids: int32, output: the ids of the texts, one text after the other. A pre-token has at most as many ids as bytes. `MAX_IDS_PER_ROW` more
            elements may be overwritten.
        id_offsets: int64, shape (texts + 1,), output. The first element is not written: it must be 0.
    """
    longest = 0
    for pre_token in range(len(begins)):
        longest = max(longest, ends[pre_token] - begins[pre_token])
    best = np.empty(longest + 1, np.float64)
    best_begin = np.empty(longest + 1, np.int64)
    best_node = np.empty(longest + 1, np.int64)
    segment_ends = np.empty(longest + 1, np.int64)
    prefetched_segments = np.empty((longest + 1, PREFETCHED_COLUMNS), np.uint64)
    prefetched_pre_tokens = np.empty((_AHEAD, PREFETCHED_COLUMNS), np.uint64)
    prefetched_begin = prefetched_end = 0
    at = 0
    for text in range(len(offsets) - 1):
        text_at = at
        pre_token = offsets[text]
        while pre_token < offsets[text + 1] and status[text] == DONE and at - text_at < max_tokens:
            if pre_token >= prefetched_end:
                prefetched_begin, prefetched_end = pre_token, prefetch_pre_tokens(data, begins, ends, pre_token, cache, prefetched_pre_tokens)
            entry, entry_end = pre_token - prefetched_begin, min(prefetched_end, offsets[text + 1]) - prefetched_begin
            entry, at = copy_cached(prefetched_pre_tokens, entry, entry_end, cache, NO_FLAGS, NO_FLAGS, ids, at)
            pre_token = prefetched_begin + entry
            if entry == entry_end:
                continue
            begin, end = begins[pre_token], ends[pre_token]
            pre_token_at = at
            # A long pre-token is tokenised segment by segment. If that may give other ids, it is tokenised again as a whole.
            segments = 1
            segment_ends[0] = end
            if MAX_CACHED_BYTES < end - begin <= max_bytes:
                segments = cut_into_segments(data, begin, end, character_pairs, byte_pairs, segment_ends)
                prefetch_segments(data, begin, segment_ends, segments, 0, cache, prefetched_segments)
            segment = 0
            while segment < segments:
                if segments > 1:
                    segment, at = copy_cached(prefetched_segments, segment, segments, cache, _INDEPENDENT, _INDEPENDENT, ids, at)
                    if segment == segments:
                        break
                i = segment_ends[segment - 1] if segment > 0 else begin
                j = segment_ends[segment]
                length = j - i
                is_short = length <= MAX_CACHED_BYTES
                row = -1
                independent = False
                if is_short:
                    key = load_key(data, i, length)
                    hash_value = prefetched_segments[segment, PREFETCHED_HASH] if segments > 1 else prefetched_pre_tokens[entry, PREFETCHED_HASH]
                    row = find_row(cache, hash_value, key, length)
                if row >= 0:
                    independent = row_flags(cache, row) & _INDEPENDENT != 0
                    at = copy_ids(cache, row, ids, at)
                else:
                    segment_at = at
                    at, margin, context_dependent = _find_best_path(
                        data, i, j, units, node_ids, scores, unknown_score, unknown_id, byte_ids, best, best_begin, best_node, ids, at
                    )
                    if at < 0:
                        status[text] = FALLBACK
                        at = text_at
                        break
                    independent = margin > _MIN_MARGIN * length and not context_dependent
                    if is_short:
                        insert(cache, hash_value, key, length, _INDEPENDENT if independent else NO_FLAGS, ids, segment_at, at)
                segment += 1
                if segments > 1 and not independent:
                    # The scores before the segment, or unknown characters next to it, might change its ids. This is rare: it happened for 5 of
                    # 95,000 segments of Japanese.
                    segments = 1
                    segment_ends[0] = end
                    at = pre_token_at
                    segment = 0
            pre_token += 1
        at = min(at, text_at + max_tokens) if max_tokens < at - text_at else at
        id_offsets[text + 1] = at
    return at


@inner
def _find_best_path(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    scores: NDArray[np.float64],
    unknown_score: float,
    unknown_id: int,
    byte_ids: NDArray[np.int32],
    best: NDArray[np.float64],
    best_begin: NDArray[np.int64],
    best_node: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, float, bool]:
    """Write the ids of the best path of ``data[begin:end]`` to ``ids[at:]``, without the unknown id.

    The sum of a path is computed from left to right. If sums are equal, the path that was found first wins: for each end of a token, earlier begins
    are tried first.

    Args:
        best, best_begin, best_node: scratch, one more element than there are bytes: for each position the best sum of a path that ends there, and the
            begin and the node of its last token.

    Returns:
        Where the ids end, or -1 if the library must tokenise the text; the smallest difference between two sums that were compared; and whether
        the ids of unknown characters would change with more unknown characters next to them.
    """
    # Indices are unsigned, because numba then omits the check for negative indices. The check was a tenth of the time.
    first_byte, length, one = np.uint64(begin), np.uint64(end - begin), np.uint64(1)
    for k in range(1, end - begin + 1):
        best_begin[k] = -1
    best[0] = 0.0
    margin = np.inf
    needs_library = False
    root = units[ROOT]
    i = np.uint64(0)
    while i < length:
        here = best[i]
        lead = data[first_byte + i]
        size = one + np.uint64(lead >= 0xC0) + np.uint64(lead >= 0xE0) + np.uint64(lead >= 0xF0)
        single = False
        node, unit = ROOT, root
        j = i
        while j < length:
            node, unit = step(units, node, unit, data[first_byte + j])
            if node == ROOT:
                break
            j += one
            if unit & TERMINAL:
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
                needs_library |= unknown_id == NO_ID
                best[j], best_begin[j], best_node[j] = score, np.int64(i), _UNKNOWN_NODE
        i += size
    if needs_library:
        return -1, margin, False
    at, context_dependent = _write_path(data, begin, end, units, node_ids, unknown_id, byte_ids, best_begin, best_node, ids, at)
    return at, margin, context_dependent


@inner
def _write_path(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    unknown_id: int,
    byte_ids: NDArray[np.int32],
    best_begin: NDArray[np.int64],
    best_node: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, bool]:
    """Write the ids of the best path of ``data[begin:end]`` to ``ids[at:]``.

    The token that ends at ``begin + j`` begins at ``begin + best_begin[j]``, and its node is ``best_node[j]``. `best_begin` is overwritten.

    Returns:
        Where the ids end, and whether the ids of unknown characters would change with more unknown characters next to them.
    """
    length = end - begin
    # `best_begin` leads from the end of the path to its beginning. Reverse it, so that the path can be read forwards.
    i = length
    following = length
    while i > 0:
        previous = best_begin[i]
        best_begin[i] = following
        following = i
        i = previous
    # Now `best_begin` of the end of a token is the end of the next token.
    i = 0
    j = following
    any_context_dependent = False
    while i < length:
        token = unknown_id if best_node[j] == _UNKNOWN_NODE else np.int64(node_ids[best_node[j]])
        after = best_begin[j]
        if token == unknown_id:
            # Adjacent tokens with the unknown id become one text, and that text may be a token.
            last = j
            while last < length:
                token = unknown_id if best_node[after] == _UNKNOWN_NODE else np.int64(node_ids[best_node[after]])
                if token != unknown_id:
                    break
                last = after
                after = best_begin[last]
            at, context_dependent = _write_unknown(data, begin + i, begin + last, units, node_ids, unknown_id, byte_ids, ids, at)
            any_context_dependent |= context_dependent
            i, j = last, after
        else:
            ids[at] = token
            at += 1
            i, j = j, after
    return at, any_context_dependent


@inner
def _write_unknown(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    unknown_id: int,
    byte_ids: NDArray[np.int32],
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, bool]:
    """Write the ids of ``data[begin:end]``, the text of adjacent tokens with the unknown id, to ``ids[at:]``.

    Returns:
        Where the ids end, and whether they would change with more unknown characters next to them.
    """
    node, unit = ROOT, units[ROOT]
    for k in range(begin, end):
        node, unit = step(units, node, unit, data[k])
        if node == ROOT:
            break
    if node != ROOT and node_ids[node] >= 0:
        if node_ids[node] == unknown_id:
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
            if byte_ids[data[k]] != unknown_id:
                ids[at] = byte_ids[data[k]]
                at += 1
        return at, not complete
    return at, False
