"""Unigram's kernel: find the best path through each pre-token, with the same sums in the same order as the library.

"The library" is the Hugging Face `tokenizers` library.

A path is a sequence of tokens that cover the text. The best path has the largest sum of scores.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner, inner_always
from model2vec_numba.jit.simd import load_word, store_word
from model2vec_numba.tokenization.lookup.boundaries import cut_into_segments
from model2vec_numba.tokenization.lookup.double_array import BASE_SHIFT, BYTE_MASK, ID_MASK, ID_SHIFT, ROOT, TERMINAL, descend
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

__all__ = ["MAX_SCORE", "MAX_SUM", "NO_ID", "tokenize_pre_tokens"]

NO_ID = -1

# The longest pre-token whose links have enough bits; see `_find_best_path`.
_MAX_PATH_BYTES = (1 << 29) - 1
# The bits of a unit that say which token ends at a node.
_TOKEN_MASK = ID_MASK << ID_SHIFT | TERMINAL
_SENTINEL = np.uint64(0xFFFFFFFFFFFFFFFF)

# The best path of a segment does not depend on the sum of scores before it, if all sums that were compared differ by more than this for each byte of
# the segment. Each addition has a rounding error of at most 2 ** -53 of the sum. Both sums have such errors, here and with the scores before the
# segment.
_MIN_MARGIN = 5e-8
# The margin is enough if no sum is larger than this.
MAX_SUM = 1e8
# No sum overflows if no score is larger than this.
MAX_SCORE = 1e200
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
        units: see `DoubleArray`.
        scores: float64, shape (tokens,): the score of each token.
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
    links = np.empty(longest + 1, np.uint64)
    path_text = np.empty(longest + 16, np.uint8)
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
            if end - begin > _MAX_PATH_BYTES:
                status[text] = FALLBACK
                at = text_at
                break
            # A pre-token is tokenised segment by segment: in a new word such as "end.", the segments may be known. If that may give other ids, it is
            # tokenised again as a whole.
            segments = 1
            segment_ends[0] = end
            if end - begin <= max_bytes:
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
                    _copy_text(data, i, length, path_text)
                    at, margin, context_dependent = _find_best_path(
                        path_text, length, units, scores, unknown_score, unknown_id, byte_ids, best, links, ids, at
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
            length = end - begin
            if segments > 1 and length <= MAX_CACHED_BYTES and status[text] == DONE:
                # A repeated word then costs one look-up.
                hash_value = prefetched_pre_tokens[entry, PREFETCHED_HASH]
                insert(cache, hash_value, load_key(data, begin, length), length, NO_FLAGS, ids, pre_token_at, at)
            pre_token += 1
        at = min(at, text_at + max_tokens) if max_tokens < at - text_at else at
        id_offsets[text + 1] = at
    return at


@inner
def _find_best_path(
    text: NDArray[np.uint8],
    length: int,
    units: NDArray[np.uint64],
    scores: NDArray[np.float64],
    unknown_score: float,
    unknown_id: int,
    byte_ids: NDArray[np.int32],
    best: NDArray[np.float64],
    links: NDArray[np.uint64],
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, float, bool]:
    """Write the ids of the best path of ``text[:length]`` to ``ids[at:]``, without the unknown id. `length`: at most `_MAX_PATH_BYTES`.

    The sum of a path is computed from left to right. If sums are equal, the path that was found first wins: for each end of a token, earlier begins
    are tried first.

    Args:
        text: the bytes, and after them a byte 0xFF, which no token holds.
        best, links: scratch, one more element than there are bytes: for each position the best sum of a path that ends there, and its last token:
            ``begin << 35``, with the id and `TERMINAL` as in a unit, or without them for an unknown character.

    Returns:
        Where the ids end, or -1 if the library must tokenise the text; the smallest difference between two sums that were compared; and whether
        the ids of unknown characters would change with more unknown characters next to them.
    """
    # Indices are unsigned, because numba then omits the check for negative indices. The check was a tenth of the time.
    end, one = np.uint64(length), np.uint64(1)
    best[0] = 0.0
    for k in range(1, length + 1):
        best[k] = -np.inf
    margin = np.inf
    needs_library = False
    root = units[ROOT]
    i = np.uint64(0)
    while i < end:
        here, begin = best[i], i << BASE_SHIFT
        lead = text[i]
        after = i + one + np.uint64(lead >= 0xC0) + np.uint64(lead >= 0xE0) + np.uint64(lead >= 0xF0)
        # No token ends inside the first character. The byte 0xFF ends each of these loops.
        unit = root
        j = i
        while j < after:
            byte = np.uint64(text[j])
            unit = units[(unit >> BASE_SHIFT) + byte]
            if unit & BYTE_MASK != byte:
                unit = np.uint64(0)
                break
            j += one
        single = unit & TERMINAL != 0
        while unit != 0:
            if unit & TERMINAL:
                score = scores[unit >> ID_SHIFT & ID_MASK] + here
                # Without branches, because the processor could not predict them.
                margin = min(margin, abs(score - best[j]))
                is_better = score > best[j]
                best[j] = score if is_better else best[j]
                links[j] = begin | unit & _TOKEN_MASK if is_better else links[j]
            byte = np.uint64(text[j])
            unit = units[(unit >> BASE_SHIFT) + byte]
            if unit & BYTE_MASK != byte:
                break
            j += one
        if not single:
            score = unknown_score + here
            margin = min(margin, abs(score - best[after]))
            if score > best[after]:
                needs_library |= unknown_id == NO_ID
                best[after], links[after] = score, begin
        i = after
    if needs_library:
        return -1, margin, False
    # The links lead from the last token to the first. So the ids are written from `at + length` downwards, and then moved.
    first = last = np.uint64(at) + end
    unknown = False
    i = end
    while i > 0:
        link = links[i]
        token = link >> ID_SHIFT & ID_MASK
        first -= one
        ids[first] = np.int32(token)
        unknown |= (link & TERMINAL == 0) | (np.int64(token) == unknown_id)
        i = link >> BASE_SHIFT
    if unknown:
        at, context_dependent = _write_path(text, length, units, unknown_id, byte_ids, links, ids, at)
        return at, margin, context_dependent
    moved = np.uint64(at)
    while first < last:
        ids[moved] = ids[first]
        moved += one
        first += one
    return np.int64(moved), margin, False


@inner
def _write_path(
    text: NDArray[np.uint8],
    length: int,
    units: NDArray[np.uint64],
    unknown_id: int,
    byte_ids: NDArray[np.int32],
    links: NDArray[np.uint64],
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, bool]:
    """Write the ids of the best path of ``text[:length]``, which has unknown characters, to ``ids[at:]``.

    `links`: see `_find_best_path`. They are overwritten.

    Returns:
        Where the ids end, and whether the ids of unknown characters would change with more unknown characters next to them.
    """
    # The links lead from the end of the path to its beginning. Reverse them, so that the path can be read forwards.
    i, following = length, length
    while i > 0:
        link = links[i]
        links[i] = np.uint64(following) << BASE_SHIFT | link & _TOKEN_MASK
        following = i
        i = np.int64(link >> BASE_SHIFT)
    # Now the link of the end of a token leads to the end of the next token.
    i = 0
    j = following
    any_context_dependent = False
    while i < length:
        token = _token_of(links[j], unknown_id)
        after = np.int64(links[j] >> BASE_SHIFT)
        if token == unknown_id:
            # Adjacent tokens with the unknown id become one text, and that text may be a token.
            last = j
            while last < length and _token_of(links[after], unknown_id) == unknown_id:
                last = after
                after = np.int64(links[last] >> BASE_SHIFT)
            at, context_dependent = _write_unknown(text, i, last, units, unknown_id, byte_ids, ids, at)
            any_context_dependent |= context_dependent
            i, j = last, after
        else:
            ids[at] = token
            at += 1
            i, j = j, after
    return at, any_context_dependent


@inner
def _token_of(link: np.uint64, unknown_id: int) -> int:
    """Return the id of the token of a link; see `_find_best_path`."""
    return np.int64(link >> ID_SHIFT & ID_MASK) if link & TERMINAL != 0 else unknown_id


@inner
def _write_unknown(
    text: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    unknown_id: int,
    byte_ids: NDArray[np.int32],
    ids: NDArray[np.int32],
    at: int,
) -> tuple[int, bool]:
    """Write the ids of ``text[begin:end]``, the text of adjacent tokens with the unknown id, to ``ids[at:]``.

    Returns:
        Where the ids end, and whether they would change with more unknown characters next to them.
    """
    unit = units[descend(units, ROOT, text, begin, end)]
    if unit & TERMINAL:
        token = np.int64(unit >> ID_SHIFT & ID_MASK)
        if token == unknown_id:
            return at, len(byte_ids) > 0
        ids[at] = token
        return at + 1, True
    if len(byte_ids):
        for k in range(begin, end):
            if byte_ids[text[k]] == NO_ID:
                return at, True
        complete = True
        for byte in range(256):
            complete &= byte_ids[byte] != NO_ID
        for k in range(begin, end):
            if byte_ids[text[k]] != unknown_id:
                ids[at] = byte_ids[text[k]]
                at += 1
        return at, not complete
    return at, False


@inner_always
def _copy_text(data: NDArray[np.uint8], begin: int, length: int, text: NDArray[np.uint8]) -> None:
    """Copy ``data[begin:begin + length]`` to `text` in words of eight bytes, and append eight bytes 0xFF."""
    for k in range(0, length, 8):
        store_word(text, k, load_word(data, begin + k))
    store_word(text, length, _SENTINEL)
