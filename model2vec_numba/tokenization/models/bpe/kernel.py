"""BPE's kernel: from pre-tokens to ids, in the quickest way that each pre-token allows.

The ids of a pre-token that is in the cache are copied. A pre-token that is a single token is looked up. A long pre-token is cut into segments, and
each segment is tokenised like this too. Everything else is tokenised by `backtrack` if possible, and otherwise by `merge_word`, which merges step
by step as the Hugging Face `tokenizers` library does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import load_padded_word
from model2vec_numba.tokenization.lookup.boundaries import cut_into_segments
from model2vec_numba.tokenization.lookup.double_array import ROOT, descend
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
from model2vec_numba.tokenization.models.bpe.backtracking import backtrack
from model2vec_numba.tokenization.models.bpe.merging import FEW_SYMBOLS, HEAP_FACTOR, merge_bytes, merge_word
from model2vec_numba.tokenization.models.bpe.tables import find_short_word
from model2vec_numba.tokenization.stages import DONE

__all__ = ["tokenize_pre_tokens"]

# Words of at most this many bytes are in the table `words`.
_SHORT_BYTES = 16
# The number of pre-tokens whose cache rows are prefetched at a time.
_AHEAD = 64
# Added to the length of a segment in the cache if the same bytes as a pre-token might have other ids.
_SEGMENT_TAG = 64
# The flag in the cache of a pre-token that may hold unknown characters. As a segment it might have other ids, depending on its neighbours.
_MERGED = np.uint64(1)


@compiled()
def tokenize_pre_tokens(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    words: NDArray[np.uint64],
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    node_reachable_ids: NDArray[np.int32],
    merges: NDArray[np.int64],
    token_rows: NDArray[np.int32],
    byte_ids: NDArray[np.int32],
    has_short_words: bool,
    can_backtrack: bool,
    from_bytes: bool,
    ignore_merges: bool,
    prefix: NDArray[np.uint8],
    suffix: NDArray[np.uint8],
    fallback_ids: NDArray[np.int32],
    unknown_id: int,
    fuses_unknown: bool,
    character_pairs: NDArray[np.uint64],
    byte_pairs: NDArray[np.uint64],
    cache: NDArray[np.uint64],
    pair_cache: NDArray[np.uint64],
    max_tokens: int,
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
) -> int:
    """Tokenise the pre-tokens of a batch, and return the number of ids.

    Args:
        data, begins, ends, offsets, status: the pre-tokens; see `PreTokenBatch`. The data must have `MAX_CACHED_BYTES` more bytes after the last one.
        words, units, node_ids, node_reachable_ids, merges, token_rows: see `BpeVocabulary`.
        byte_ids: int32, shape (256,): the id of each byte, or -1. Used if `from_bytes`.
        has_short_words: whether `words` may be used.
        can_backtrack: whether `backtrack` may be used.
        from_bytes: whether merging starts from the bytes of a word. Otherwise it starts from the characters.
        ignore_merges: whether a word that is a token becomes that token, even if merging gives something else.
        prefix: uint8, the bytes that tokens have before a character that does not begin a word.
        suffix: uint8, the bytes that tokens have after a character that ends a word.
        fallback_ids: int32, shape (256,): the id of each byte of an unknown character, or -1.
        unknown_id: the id of an unknown character, which is dropped in the end. -1 if there is none: such a character has no id.
        fuses_unknown: whether adjacent unknown characters are one unknown token.
        character_pairs, byte_pairs: see `AdjacentCharacters`.
        cache: see `make_piece_cache`.
        pair_cache: see `backtrack`.
        max_tokens: the number of ids to keep of each text.
        ids: int32, output. A pre-token has at most as many ids as bytes. `MAX_IDS_PER_ROW` more elements may be overwritten.
        id_offsets: int64, shape (texts + 1,), output. The first element is not written: it must be 0.
    """
    longest = 0
    for pre_token in range(len(begins)):
        longest = max(longest, ends[pre_token] - begins[pre_token])
    dead = np.zeros(longest + 1, np.uint8)
    # Memory for `merge_word` to work in. The system provides only the memory that is used.
    symbols = np.empty(longest, np.int32)
    links = np.empty((longest, 3), np.int32)
    heap = np.empty(HEAP_FACTOR * longest + FEW_SYMBOLS, np.int64)
    segment_ends = np.empty(longest + 1, np.int64)
    prefetched_segments = np.empty((longest + 1, PREFETCHED_COLUMNS), np.uint64)
    prefetched_pre_tokens = np.empty((_AHEAD, PREFETCHED_COLUMNS), np.uint64)
    prefetched_begin = prefetched_end = 0
    at = 0
    for text in range(len(offsets) - 1):
        stop = at + max_tokens
        pre_token = offsets[text]
        while pre_token < offsets[text + 1] and status[text] == DONE and at < stop:
            if pre_token >= prefetched_end:
                prefetched_begin, prefetched_end = pre_token, prefetch_pre_tokens(data, begins, ends, pre_token, cache, prefetched_pre_tokens)
            entry, entry_end = pre_token - prefetched_begin, min(prefetched_end, offsets[text + 1]) - prefetched_begin
            entry, at = copy_cached(prefetched_pre_tokens, entry, entry_end, cache, NO_FLAGS, NO_FLAGS, ids, at)
            pre_token = prefetched_begin + entry
            if entry == entry_end:
                continue
            begin, end = begins[pre_token], ends[pre_token]
            pre_token += 1
            length = end - begin
            if length <= MAX_CACHED_BYTES:
                key = load_key(data, begin, length)
                hash_value = prefetched_pre_tokens[entry, PREFETCHED_HASH]
                row = find_row(cache, hash_value, key, length)
                if row >= 0:
                    at = copy_ids(cache, row, ids, at)
                    continue
            first_id = at
            id_end = -1
            segments = 1
            flags = NO_FLAGS
            if has_short_words or ignore_merges:
                id_end = _look_up_word(data, begin, end, words, units, node_ids, ignore_merges, ids, at)
            if id_end < 0 and can_backtrack and length > _SHORT_BYTES:
                segments = cut_into_segments(data, begin, end, character_pairs, byte_pairs, segment_ends)
                if segments > 1:
                    # `ignore_merges` is for whole pre-tokens only, not for segments.
                    length_tag = _SEGMENT_TAG if ignore_merges else 0
                    prefetch_segments(data, begin, segment_ends, segments, length_tag, cache, prefetched_segments)
                    id_end = at
                    segment = 0
                    while segment < segments:
                        segment, id_end = copy_cached(prefetched_segments, segment, segments, cache, _MERGED, NO_FLAGS, ids, id_end)
                        if segment == segments:
                            break
                        i = segment_ends[segment - 1] if segment > 0 else begin
                        j = segment_ends[segment]
                        row = -1
                        if j - i <= MAX_CACHED_BYTES:
                            segment_key = load_key(data, i, j - i)
                            segment_hash = prefetched_segments[segment, PREFETCHED_HASH]
                            row = find_row(cache, segment_hash, segment_key, j - i + length_tag)
                        if row >= 0:
                            if row_flags(cache, row) == _MERGED:
                                id_end = -1
                                break
                            id_end = copy_ids(cache, row, ids, id_end)
                        else:
                            first = id_end
                            id_end = -1 if ignore_merges else _look_up_word(data, i, j, words, units, node_ids, False, ids, first)
                            if id_end < 0:
                                id_end = _tokenize_quickly(
                                    data,
                                    i,
                                    j,
                                    units,
                                    node_reachable_ids,
                                    merges,
                                    token_rows,
                                    byte_ids,
                                    True,
                                    from_bytes,
                                    pair_cache,
                                    dead,
                                    ids,
                                    first,
                                    heap,
                                )
                            if id_end < 0:
                                break
                            id_end = _drop_unknown(unknown_id, ids, first, id_end)
                            if j - i <= MAX_CACHED_BYTES:
                                insert(cache, segment_hash, segment_key, j - i + length_tag, NO_FLAGS, ids, first, id_end)
                        segment += 1
            if id_end < 0:
                # Adjacent unknown characters may be in different segments, so tokenise the pre-token as a whole.
                segments = 1
                id_end = _tokenize_quickly(
                    data,
                    begin,
                    end,
                    units,
                    node_reachable_ids,
                    merges,
                    token_rows,
                    byte_ids,
                    can_backtrack,
                    from_bytes,
                    pair_cache,
                    dead,
                    ids,
                    at,
                    heap,
                )
            if id_end < 0:
                settings = (from_bytes, prefix, suffix, fallback_ids, unknown_id, fuses_unknown)
                id_end = merge_word(data, begin, end, units, node_ids, merges, *settings, symbols, links, heap, ids, at)
                flags = _MERGED
            at = _drop_unknown(unknown_id, ids, first_id, id_end)
            if length <= MAX_CACHED_BYTES and segments == 1:
                insert(cache, hash_value, key, length, flags, ids, first_id, at)
        at = min(at, stop)
        id_offsets[text + 1] = at
    return at


@inner
def _drop_unknown(unknown_id: int, ids: NDArray[np.int32], first: int, last: int) -> int:
    """Remove the unknown id from ``ids[first:last]``, and return where the other ids end."""
    kept = first
    for k in range(first, last):
        if ids[k] != unknown_id:
            ids[kept] = ids[k]
            kept += 1
    return kept


@inner
def _look_up_word(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    words: NDArray[np.uint64],
    units: NDArray[np.uint64],
    node_ids: NDArray[np.int32],
    ignore_merges: bool,
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Look up a word that may be a single token. Write its id and return where the ids end; -1 if the word was not found."""
    length = end - begin
    if length > _SHORT_BYTES:
        return _look_up_long_word(data, begin, end, units, node_ids, ids, at) if ignore_merges else -1
    token = find_short_word(words, load_padded_word(data, begin, length), load_padded_word(data, begin + 8, length - 8), length)
    if token >= 0:
        ids[at] = token
    return at + 1 if token >= 0 else -1


@inner
def _tokenize_quickly(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_reachable_ids: NDArray[np.int32],
    merges: NDArray[np.int64],
    token_rows: NDArray[np.int32],
    byte_ids: NDArray[np.int32],
    can_backtrack: bool,
    from_bytes: bool,
    pair_cache: NDArray[np.uint64],
    dead: NDArray[np.uint8],
    ids: NDArray[np.int32],
    at: int,
    found: NDArray[np.int64],
) -> int:
    """Write the ids of a word and return where they end; -1 if it has an unknown character, or if it must be merged step by step."""
    if from_bytes and end - begin <= FEW_SYMBOLS:
        return merge_bytes(data, begin, end, byte_ids, merges, ids, at, found)
    if can_backtrack:
        return backtrack(data, begin, end, units, node_reachable_ids, merges, token_rows, pair_cache, dead, ids, at)
    return -1


@inner
def _look_up_long_word(
    data: NDArray[np.uint8], begin: int, end: int, units: NDArray[np.uint64], node_ids: NDArray[np.int32], ids: NDArray[np.int32], at: int
) -> int:
    """Write the id of the token that has the bytes of a word, and return where the ids end; -1 if there is none."""
    token = node_ids[descend(units, ROOT, data, begin, end)]
    if token >= 0:
        ids[at] = token
    return at + 1 if token >= 0 else -1
