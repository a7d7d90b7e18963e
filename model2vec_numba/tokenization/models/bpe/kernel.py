"""BPE's kernel: from pre-tokens to ids, in the quickest way that each pre-token allows.

If a pre-token is in the cache, its ids are copied. If it is a single token, it is looked up. If it is long, it is cut into segments (the module
`cuts` says where), and each segment is tokenised in the same way. Everything else is tokenised by `merge_bytes` or `backtrack` if possible, and
otherwise by `merge_word`, which merges step by step as the Hugging Face `tokenizers` library does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner, inner_always
from model2vec_numba.jit.simd import load_padded_word
from model2vec_numba.tokenization.lookup.boundaries import cut_into_segments
from model2vec_numba.tokenization.lookup.double_array import ROOT, descend
from model2vec_numba.tokenization.lookup.piece_cache import (
    MAX_CACHED_BYTES,
    NO_FLAGS,
    PREFETCHED_COLUMNS,
    PREFETCHED_HASH,
    copy_cached,
    insert,
    load_key,
    prefetch_pre_tokens,
    prefetch_segments,
    set_length_tag,
)
from model2vec_numba.tokenization.models.bpe.backtracking import backtrack
from model2vec_numba.tokenization.models.bpe.merging import FEW_SYMBOLS, HEAP_FACTOR, find_symbol, merge_bytes, merge_word, next_character
from model2vec_numba.tokenization.models.bpe.tables import find_short_word
from model2vec_numba.tokenization.stages import DONE

__all__ = ["tokenize_pre_tokens"]

# Words of at most this many bytes are in the table `words`.
_SHORT_BYTES = 16
# The number of pre-tokens, or of segments, whose cache rows are prefetched at a time.
_AHEAD = 64
# A segment may have other ids than a pre-token of the same bytes. Then a tag is added to its length in the cache. The first tag is for a segment that
# does not begin a word, if there is a prefix, and for all segments, if `ignore_merges` is set: it can make a pre-token a single token. The second tag
# is for a segment that does not end a word, if there is a suffix.
_INNER_TAG, _UNENDED_TAG = 64, 128


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
    from_bytes: bool,
    ignore_merges: bool,
    prefix: NDArray[np.uint8],
    suffix: NDArray[np.uint8],
    fallback_ids: NDArray[np.int32],
    unknown_id: int,
    fuses_unknown: bool,
    can_cut: bool,
    cuts_at_unknown: bool,
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
        from_bytes: whether merging starts from the bytes of a word. Otherwise it starts from the characters.
        ignore_merges: whether a word that is a token becomes that token, even if merging gives something else.
        prefix: uint8, the bytes that tokens have before a character that does not begin a word.
        suffix: uint8, the bytes that tokens have after a character that ends a word.
        fallback_ids: int32, shape (256,): the id of each byte of an unknown character, or -1.
        unknown_id: the id of an unknown character, which is dropped in the end. -1 if there is none: such a character has no id.
        fuses_unknown: whether adjacent unknown characters are one unknown token.
        can_cut: whether words may be cut.
        cuts_at_unknown, character_pairs, byte_pairs: see `Cuts`.
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
    # Memory to work in. The system provides only the memory that is used.
    symbols = np.empty(longest, np.int32)
    links = np.empty((longest, 3), np.int32)
    heap = np.empty(HEAP_FACTOR * longest + FEW_SYMBOLS, np.int64)
    segment_ends = np.empty(longest + 1, np.int64)
    prefetched_segments = np.empty((_AHEAD, PREFETCHED_COLUMNS), np.uint64)
    prefetched_pre_tokens = np.empty((_AHEAD, PREFETCHED_COLUMNS), np.uint64)
    prefetched_begin = prefetched_end = 0
    # Arrays are passed to functions in tuples. This is quick only if the caller does not take the tuples apart.
    for_words = (words, units, node_ids, ignore_merges)
    for_merging = (units, node_ids, merges, from_bytes, prefix, suffix, fallback_ids, unknown_id, fuses_unknown, symbols, links, heap)
    for_backtracking = (byte_ids, node_reachable_ids, token_rows, pair_cache, dead)
    for_cutting = (character_pairs, byte_pairs, segment_ends, prefetched_segments, cache)
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
            # This pre-token is not in the cache.
            begin, end = begins[pre_token], ends[pre_token]
            pre_token += 1
            length = end - begin
            first_id = at
            at = _look_up_word(data, begin, end, for_words, ids, first_id)
            if at < 0 and can_cut and length > _SHORT_BYTES and (cuts_at_unknown or _is_known(data, begin, end, for_merging)):
                at = _tokenize_in_segments(data, begin, end, for_words, for_merging, for_backtracking, for_cutting, ids, first_id)
                if at >= 0:
                    # The segments are in the cache instead.
                    continue
            if at < 0:
                at = _tokenize_segment(data, begin, end, True, True, for_merging, for_backtracking, ids, first_id)
            at = _drop_unknown(unknown_id, ids, first_id, at)
            if length <= MAX_CACHED_BYTES:
                key = load_key(data, begin, length)
                insert(cache, prefetched_pre_tokens[entry, PREFETCHED_HASH], key, length, NO_FLAGS, ids, first_id, at)
        at = min(at, stop)
        id_offsets[text + 1] = at
    return at


@inner_always
def _tokenize_in_segments(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    for_words: tuple[Any, ...],
    for_merging: tuple[Any, ...],
    for_backtracking: tuple[Any, ...],
    for_cutting: tuple[Any, ...],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the ids of a pre-token, segment by segment, without the unknown id. Return where they end; -1 if there is only one segment."""
    _, _, _, ignore_merges = for_words
    _, _, _, _, prefix, suffix, _, unknown_id, _, _, _, _ = for_merging
    character_pairs, byte_pairs, segment_ends, prefetched, cache = for_cutting
    inner_tag = _INNER_TAG * (ignore_merges or len(prefix) > 0)
    unended_tag = _UNENDED_TAG * (len(suffix) > 0)
    segments = cut_into_segments(data, begin, end, character_pairs, byte_pairs, segment_ends)
    if segments == 1:
        return -1
    for chunk in range(0, segments, _AHEAD):
        ends = segment_ends[chunk : min(chunk + _AHEAD, segments)]
        chunk_begin = segment_ends[chunk - 1] if chunk > 0 else begin
        prefetch_segments(data, chunk_begin, ends, len(ends), inner_tag + unended_tag, cache, prefetched)
        if chunk == 0 and not ignore_merges:
            set_length_tag(prefetched, 0, ends[0] - begin, unended_tag)
        if chunk + len(ends) == segments:
            set_length_tag(prefetched, len(ends) - 1, end - segment_ends[segments - 2], inner_tag)
        entry = 0
        while True:
            entry, at = copy_cached(prefetched, entry, len(ends), cache, NO_FLAGS, NO_FLAGS, ids, at)
            if entry == len(ends):
                break
            first, last = ends[entry - 1] if entry > 0 else chunk_begin, ends[entry]
            is_first, is_last = first == begin, last == end
            tag = (0 if is_first and not ignore_merges else inner_tag) + (0 if is_last else unended_tag)
            first_id = at
            at = _look_up_word(data, first, last, for_words, ids, first_id) if tag == 0 else -1
            if at < 0:
                at = _tokenize_segment(data, first, last, is_first, is_last, for_merging, for_backtracking, ids, first_id)
            at = _drop_unknown(unknown_id, ids, first_id, at)
            if last - first <= MAX_CACHED_BYTES:
                key = load_key(data, first, last - first)
                insert(cache, prefetched[entry, PREFETCHED_HASH], key, last - first + tag, NO_FLAGS, ids, first_id, at)
            entry += 1
    return at


@inner
def _tokenize_segment(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    is_first: bool,
    is_last: bool,
    for_merging: tuple[Any, ...],
    for_backtracking: tuple[Any, ...],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the ids of a segment and return where they end. `is_first`, `is_last`: whether it begins a word, and whether it ends one."""
    units, node_ids, merges, from_bytes, prefix, suffix, fallback_ids, unknown_id, fuses_unknown, symbols, links, heap = for_merging
    byte_ids, node_reachable_ids, token_rows, pair_cache, dead = for_backtracking
    id_end = -1
    if len(prefix) == 0 and len(suffix) == 0:
        if from_bytes and end - begin <= FEW_SYMBOLS:
            id_end = merge_bytes(data, begin, end, byte_ids, merges, ids, at, heap)
        else:
            id_end = backtrack(data, begin, end, units, node_reachable_ids, merges, token_rows, pair_cache, dead, symbols, links, heap, ids, at)
    if id_end < 0:
        settings = (from_bytes, prefix, suffix, fallback_ids, unknown_id, fuses_unknown)
        id_end = merge_word(data, begin, end, is_first, is_last, units, node_ids, merges, *settings, symbols, links, heap, ids, at)
    return id_end


@inner
def _is_known(data: NDArray[np.uint8], begin: int, end: int, for_merging: tuple[Any, ...]) -> bool:
    """Return whether each character of a word is a token."""
    units, node_ids, _, from_bytes, prefix, suffix, _, _, _, _, _, _ = for_merging
    i = begin
    while i < end:
        following = next_character(data, i, end, from_bytes)
        if find_symbol(data, i, following, i == begin, following == end, units, node_ids, prefix, suffix) < 0:
            return False
        i = following
    return True


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
def _look_up_word(data: NDArray[np.uint8], begin: int, end: int, for_words: tuple[Any, ...], ids: NDArray[np.int32], at: int) -> int:
    """Look up a word that may be a single token. Write its id and return where the ids end; -1 if the word was not found."""
    words, units, node_ids, ignore_merges = for_words
    length = end - begin
    token = -1
    if length <= _SHORT_BYTES:
        token = find_short_word(words, load_padded_word(data, begin, length), load_padded_word(data, begin + 8, length - 8), length)
    elif ignore_merges:
        token = np.int64(node_ids[descend(units, ROOT, data, begin, end)])
    if token >= 0:
        ids[at] = token
    return at + 1 if token >= 0 else -1
