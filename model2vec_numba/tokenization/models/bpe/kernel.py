"""BPE's kernel: from pre-tokens to ids, in the quickest way that each pre-token allows.

If a pre-token is in the cache, its ids are copied. At the first pre-token of a block that is not in the cache, the kernel looks ahead: all short ones
of the block that are not in the cache are looked up as single tokens, or merged together by `short_words`. A long pre-token is cut into segments (the
module `cuts` says where), and the segments are tokenised in the same way, in blocks. Everything else is tokenised by `backtrack` if possible, and
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
    NO_FLAGS,
    PREFETCHED_COLUMNS,
    PREFETCHED_HASH,
    PREFETCHED_LENGTH,
    copy_cached,
    find_row,
    insert,
    prefetch_pre_tokens,
    prefetch_segments,
    set_length_tag,
)
from model2vec_numba.tokenization.models.bpe.backtracking import backtrack
from model2vec_numba.tokenization.models.bpe.merge_table import MergeTable
from model2vec_numba.tokenization.models.bpe.merging import HEAP_FACTOR, find_symbol, merge_word, next_character
from model2vec_numba.tokenization.models.bpe.short_words import ROW_WIDTH, begin_merging, copy_word, finish_merging, set_single_token
from model2vec_numba.tokenization.models.bpe.tables import find_hashed_word, find_short_word, prefetch_word
from model2vec_numba.tokenization.stages import DONE

__all__ = ["AHEAD", "WORK_WIDTH", "tokenize_pre_tokens"]

# Words of at most this many bytes are in the table `words`.
_SHORT_BYTES = 16
# The number of pre-tokens, or of segments, of a block: their cache rows are prefetched at a time.
AHEAD = 64
# The number of uint32 of `rows` that a block needs.
WORK_WIDTH = AHEAD * ROW_WIDTH
# A segment may have other ids than a pre-token of the same bytes. Then a tag is added to its length in the cache. The first tag is for a segment that
# does not begin a word, if there is a prefix, and for all segments, if `ignore_merges` is set: it can make a pre-token a single token. The second tag
# is for a segment that does not end a word, if there is a suffix.
_INNER_TAG, _UNENDED_TAG = 64, 128
# The bounds of the word, if a text is no segment of a longer word.
_WHOLE = -1


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
    merges: MergeTable,
    token_rows: NDArray[np.int32],
    byte_ids: NDArray[np.int32],
    byte_places: NDArray[np.uint32],
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
    rows: NDArray[np.uint32],
    max_tokens: int,
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
) -> int:
    """Tokenise the pre-tokens of a batch, and return the number of ids.

    Args:
        data, begins, ends, offsets, status: the pre-tokens; see `PreTokenBatch`. The data must have `MAX_CACHED_BYTES` more bytes after the last one.
        words, units, node_ids, node_reachable_ids, merges, token_rows: see `BpeVocabulary`.
        byte_ids: int32, shape (256,): the id of the token of each byte, or -1.
        byte_places: see `make_byte_places`.
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
        rows: uint32, shape (2, WORK_WIDTH): the work of `short_words`, for a block of pre-tokens and for a block of segments.
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
    heap = np.empty(HEAP_FACTOR * longest, np.int64)
    # The segments of a pre-token: segment ``k`` goes from element ``k`` to element ``k + 1``.
    bounds = np.empty(longest + 2, np.int64)
    prefetched_segments = np.empty((AHEAD, PREFETCHED_COLUMNS), np.uint64)
    prefetched = np.empty((AHEAD, PREFETCHED_COLUMNS), np.uint64)
    left, left_of_segments, queue = np.zeros(AHEAD, np.uint64), np.empty(AHEAD, np.uint64), np.empty(AHEAD, np.int64)
    block_begin = block_end = 0
    looked_ahead = False
    # Arrays are passed to functions in tuples. This is quick only if the caller does not take the tuples apart.
    for_words = (words, units, node_ids, ignore_merges)
    for_merging = (units, node_ids, merges, from_bytes, prefix, suffix, fallback_ids, unknown_id, fuses_unknown, symbols, links, heap)
    for_backtracking = (node_reachable_ids, token_rows, pair_cache, dead)
    for_cutting = (can_cut, cuts_at_unknown, character_pairs, byte_pairs, bounds)
    for_block = (byte_ids, byte_places, cache, prefetched, rows[0], left, queue)
    for_segments = (byte_ids, byte_places, cache, prefetched_segments, rows[1], left_of_segments, queue)
    at = 0
    for text in range(len(offsets) - 1):
        stop = at + max_tokens
        pre_token = offsets[text]
        while pre_token < offsets[text + 1] and status[text] == DONE and at < stop:
            if pre_token >= block_end:
                block_begin, block_end = pre_token, prefetch_pre_tokens(data, begins, ends, pre_token, cache, prefetched)
                looked_ahead = False
            entry, entry_end = pre_token - block_begin, min(block_end, offsets[text + 1]) - block_begin
            entry, at = copy_cached(prefetched, entry, entry_end, cache, NO_FLAGS, NO_FLAGS, ids, at)
            pre_token = block_begin + entry
            if entry == entry_end:
                continue
            # This pre-token is not in the cache.
            begin, end = begins[pre_token], ends[pre_token]
            if not looked_ahead:
                block_begins, block_ends = begins[block_begin:block_end], ends[block_begin:block_end]
                _look_ahead(data, block_begins, block_ends, entry, _WHOLE, _WHOLE, for_words, for_merging, for_cutting, for_block)
                looked_ahead = True
            pre_token += 1
            first_id = at
            if left[entry] != 0:
                at = copy_word(entry, rows[0], left, unknown_id, ids, first_id)
            else:
                at = _look_up_word(data, begin, end, for_words, ids, first_id)
                if at < 0 and end - begin > _SHORT_BYTES:
                    segments = _cut(data, begin, end, for_merging, for_cutting)
                    if segments > 1:
                        at = _tokenize_segments(data, segments, for_words, for_merging, for_backtracking, for_cutting, for_segments, ids, first_id)
                        # The segments are in the cache instead.
                        continue
                if at < 0:
                    at = _tokenize_segment(data, begin, end, True, True, for_merging, for_backtracking, ids, first_id)
                at = _drop_unknown(unknown_id, ids, first_id, at)
            _insert(prefetched, entry, cache, ids, first_id, at)
        at = min(at, stop)
        id_offsets[text + 1] = at
    return at


@inner_always
def _look_ahead(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    first: int,
    word_begin: int,
    word_end: int,
    for_words: tuple[Any, ...],
    for_merging: tuple[Any, ...],
    for_cutting: tuple[Any, ...],
    for_block: tuple[Any, ...],
) -> None:
    """Find the ids of the short texts of a block, from number `first` on, that are not in the cache.

    Args:
        begins, ends: the bounds of the texts.
        first: the number of a text. The texts before it are done.
        word_begin, word_end: the bounds of the word, if the texts are its segments; `_WHOLE` if each text is a pre-token.
        for_block: `byte_ids`, `byte_places`, the cache, the prefetched texts, the rows of `short_words`, their positions that are left (0 if this
            function does not find the ids), and a queue.
    """
    words, _, _, ignore_merges = for_words
    units, node_ids, merges, from_bytes, prefix, suffix, _, _, _, _, _, _ = for_merging
    byte_ids, byte_places, cache, prefetched, rows, left, queue = for_block
    missing = 0
    for text in range(first, len(ends)):
        left[text] = 0
        row = np.uint64(text)
        key = (prefetched[row, 0], prefetched[row, 1], prefetched[row, 2], prefetched[row, 3])
        length = np.int64(prefetched[row, PREFETCHED_LENGTH])
        if length != 0 and find_row(cache, prefetched[row, PREFETCHED_HASH], key, length) < 0:
            prefetch_word(words, prefetched[row, PREFETCHED_HASH])
            queue[missing] = text
            missing += 1
    is_whole = word_begin == _WHOLE
    count = 0
    for k in range(missing):
        text = queue[k]
        begin, end = begins[text], ends[text]
        token = np.int64(-1)
        # `ignore_merges` is for whole words. Without it, `words` is empty if segments have a prefix or a suffix that words have not.
        if end - begin > _SHORT_BYTES:
            token = _find_word(data, begin, end, for_words) if is_whole else token
        elif is_whole or not ignore_merges:
            row = np.uint64(text)
            token = find_hashed_word(words, prefetched[row, PREFETCHED_HASH], prefetched[row, 0], prefetched[row, 1], end - begin)
        if token >= 0:
            set_single_token(token, text, rows, left)
        elif not is_whole or not _may_have_no_spaces(data, begin, end) or _cut(data, begin, end, for_merging, for_cutting) == 1:
            is_first, is_last = is_whole or begin == word_begin, is_whole or end == word_end
            settings = (byte_ids, byte_places, units, node_ids, merges, from_bytes, prefix, suffix)
            if begin_merging(data, begin, end, is_first, is_last, *settings, text, rows, left):
                queue[count] = text
                count += 1
    finish_merging(queue, count, merges, rows, left)


@inner
def _may_have_no_spaces(data: NDArray[np.uint8], begin: int, end: int) -> bool:
    """Return whether a text of at most `MAX_CACHED_BYTES` bytes may be of a script without spaces, so that its segments are worth more in the cache.

    For other texts, merging the whole text took half the time of cutting it.
    """
    # Such scripts have characters of three bytes. The text may begin with a space or its substitute.
    return end - begin > _SHORT_BYTES and data[end - 3] >= 0xE0


@inner
def _cut(data: NDArray[np.uint8], begin: int, end: int, for_merging: tuple[Any, ...], for_cutting: tuple[Any, ...]) -> int:
    """Cut a word into segments, and write their bounds. Return the number of segments, which is 1 if the word may not be cut."""
    can_cut, cuts_at_unknown, character_pairs, byte_pairs, bounds = for_cutting
    if not can_cut or not (cuts_at_unknown or _is_known(data, begin, end, for_merging)):
        return 1
    bounds[0] = begin
    return cut_into_segments(data, begin, end, character_pairs, byte_pairs, bounds[1:])


@inner_always
def _tokenize_segments(
    data: NDArray[np.uint8],
    segments: int,
    for_words: tuple[Any, ...],
    for_merging: tuple[Any, ...],
    for_backtracking: tuple[Any, ...],
    for_cutting: tuple[Any, ...],
    for_segments: tuple[Any, ...],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the ids of the segments of a pre-token, without the unknown id, and return where they end. `_cut` has written the bounds."""
    _, _, _, ignore_merges = for_words
    _, _, _, _, prefix, suffix, _, unknown_id, _, _, _, _ = for_merging
    _, _, _, _, bounds = for_cutting
    _, _, cache, prefetched, rows, left, _ = for_segments
    inner_tag = _INNER_TAG * (ignore_merges or len(prefix) > 0)
    unended_tag = _UNENDED_TAG * (len(suffix) > 0)
    begin, end = bounds[0], bounds[segments]
    for block in range(0, segments, AHEAD):
        count = min(AHEAD, segments - block)
        begins, ends = bounds[block : block + count], bounds[block + 1 : block + 1 + count]
        prefetch_segments(data, begins[0], ends, count, inner_tag + unended_tag, cache, prefetched)
        if block == 0 and not ignore_merges:
            set_length_tag(prefetched, 0, ends[0] - begin, unended_tag)
        if block + count == segments:
            set_length_tag(prefetched, count - 1, end - begins[count - 1], inner_tag)
        looked_ahead = False
        entry = 0
        while True:
            entry, at = copy_cached(prefetched, entry, count, cache, NO_FLAGS, NO_FLAGS, ids, at)
            if entry == count:
                break
            if not looked_ahead:
                _look_ahead(data, begins, ends, entry, begin, end, for_words, for_merging, for_cutting, for_segments)
                looked_ahead = True
            first_id = at
            if left[entry] != 0:
                at = copy_word(entry, rows, left, unknown_id, ids, first_id)
            else:
                first, last = begins[entry], ends[entry]
                at = _tokenize_segment(data, first, last, first == begin, last == end, for_merging, for_backtracking, ids, first_id)
                at = _drop_unknown(unknown_id, ids, first_id, at)
            _insert(prefetched, entry, cache, ids, first_id, at)
            entry += 1
    return at


@inner
def _insert(prefetched: NDArray[np.uint64], entry: int, cache: NDArray[np.uint64], ids: NDArray[np.int32], first: int, last: int) -> None:
    """Insert a text of a block, with the ids ``ids[first:last]``, into the cache, if it is short enough."""
    row = np.uint64(entry)
    length = np.int64(prefetched[row, PREFETCHED_LENGTH])
    if length != 0:
        key = (prefetched[row, 0], prefetched[row, 1], prefetched[row, 2], prefetched[row, 3])
        insert(cache, prefetched[row, PREFETCHED_HASH], key, length, NO_FLAGS, ids, first, last)


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
    node_reachable_ids, token_rows, pair_cache, dead = for_backtracking
    id_end = -1
    if len(prefix) == 0 and len(suffix) == 0:
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
    token = _find_word(data, begin, end, for_words)
    if token >= 0:
        ids[at] = token
    return at + 1 if token >= 0 else -1


@inner
def _find_word(data: NDArray[np.uint8], begin: int, end: int, for_words: tuple[Any, ...]) -> int:
    """Return the id of the single token that a word becomes; -1 if it was not found."""
    words, units, node_ids, ignore_merges = for_words
    length = end - begin
    token = np.int64(-1)
    if length <= _SHORT_BYTES:
        token = find_short_word(words, load_padded_word(data, begin, length), load_padded_word(data, begin + 8, length - 8), length)
    elif ignore_merges:
        token = np.int64(node_ids[descend(units, ROOT, data, begin, end)])
    return token
