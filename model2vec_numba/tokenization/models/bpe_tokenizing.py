"""BPE compiled: from pieces to ids.

A piece that was met before is a copy of the ids it became, and so is each part of a longer piece. A word that is a token by itself is looked up. What
is left is done by `_search` where it can be, else by `_merge`, which does what the library does, step by step.
"""

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
from model2vec_numba.tokenization.models.bpe_merging import HEAP_ROOM, NO_RANK, find_pair, merge_few, merge_symbols
from model2vec_numba.tokenization.models.bpe_vocabulary import LEFT, LENGTH, PREFIX, RANK, RIGHT, find_short_word
from model2vec_numba.tokenization.models.byte_trie import ENDS, ROOT, descend, step
from model2vec_numba.tokenization.models.parts import cut_into_parts
from model2vec_numba.tokenization.stages import DONE
from model2vec_numba.tokenization.wordpiece_vocabulary import first_slot
from model2vec_numba.words import padded_word

__all__ = ["tokenize_pieces"]

_SHORT_BYTES = 16
_FEW_SYMBOLS = 16
# So many pieces are looked for in the memo at a time.
_AHEAD = 64
# Added to the length of a part in the memo where as a whole word it would be something else.
_PART = 64
# The flag of a word in the memo that may hold unknown characters: with neighbours it would be something else.
_MERGED = np.uint64(1)


@compiled()
def tokenize_pieces(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    words: NDArray[np.uint64],
    units: NDArray[np.uint64],
    node_tokens: NDArray[np.int32],
    node_formed: NDArray[np.int32],
    pairs: NDArray[np.int64],
    tokens: NDArray[np.int32],
    starts: NDArray[np.int32],
    looks_up: bool,
    searches: bool,
    single_bytes: bool,
    whole_words: bool,
    prefix: NDArray[np.uint8],
    suffix: NDArray[np.uint8],
    fallbacks: NDArray[np.int32],
    unknown: int,
    fuses: bool,
    neighbour_pairs: NDArray[np.uint64],
    bigrams: NDArray[np.uint64],
    memo: NDArray[np.uint64],
    apart: NDArray[np.uint64],
    max_tokens: int,
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
) -> int:
    """Tokenise pieces and return where their ids end.

    Args:
        data, begins, ends, offsets, status: the pieces; see `PieceBatch`. The data goes on for `MEMO_BYTES` bytes after the last piece.
        words, units, node_tokens, node_formed, pairs, tokens: see `BpeVocabulary`.
        starts: int32, shape (256,): with `single_bytes` the id of each byte, -1 for none.
        looks_up: whether `words` holds what short words become.
        searches: whether `_search` may be used.
        single_bytes: whether merging begins with bytes, else with characters.
        whole_words: whether a word that is a token is that token, whatever the merges.
        prefix: what a character has before it in the vocabulary, unless it begins a word.
        suffix: what a character has after it that ends a word.
        fallbacks: int32, shape (256,): the id that stands for a byte of an unknown character, -1 for none.
        unknown: the id of an unknown character, which is dropped in the end; -1: there is none, and such a character is passed over.
        fuses: whether unknown characters in a row are one.
        neighbour_pairs, bigrams: see `Neighbours`.
        memo: what was met before; see `Memos`.
        apart: uint64, shape (slots,), slots a power of two: zeros to begin with, written; see `_are_apart`.
        max_tokens: the number of ids to keep of each text.
        ids: int32, written; a piece has at most as many as it has bytes; `MEMO_IDS` more may be written.
        id_offsets: int64, shape (texts + 1,), written but for the first.
    """
    longest = 0
    for piece in range(len(begins)):
        longest = max(longest, ends[piece] - begins[piece])
    dead = np.zeros(longest + 1, np.uint8)
    # Scratch for `_merge`: of memory that is not used only the addresses are.
    symbols = np.empty(longest, np.int32)
    links = np.empty((longest, 3), np.int32)
    heap = np.empty(HEAP_ROOM * longest + _FEW_SYMBOLS, np.int64)
    part_ends = np.empty(longest + 1, np.int64)
    parts_sought = np.empty((longest + 1, SOUGHT_COLUMNS), np.uint64)
    pieces_sought = np.empty((_AHEAD, SOUGHT_COLUMNS), np.uint64)
    sought_from = sought_to = 0
    at = 0
    for text in range(len(offsets) - 1):
        stop = at + max_tokens
        piece = offsets[text]
        while piece < offsets[text + 1] and status[text] == DONE and at < stop:
            if piece >= sought_to:
                sought_from, sought_to = piece, seek_pieces(data, begins, ends, piece, memo, pieces_sought)
            first_unknown, last_sought = piece - sought_from, min(sought_to, offsets[text + 1]) - sought_from
            first_unknown, at = copy_known(pieces_sought, first_unknown, last_sought, memo, NO_FLAGS, NO_FLAGS, ids, at)
            piece = sought_from + first_unknown
            if first_unknown == last_sought:
                continue
            begin, end = begins[piece], ends[piece]
            piece += 1
            length = end - begin
            if length <= MEMO_BYTES:
                key = memo_key(data, begin, length)
                hashed = pieces_sought[first_unknown, SOUGHT_HASH]
                row = find_row(memo, hashed, key, length)
                if row >= 0:
                    at = copy_ids(memo, row, ids, at)
                    continue
            before = at
            done = -1
            parts = 1
            flags = NO_FLAGS
            if looks_up or whole_words:
                done = _look_up(data, begin, end, words, units, node_tokens, whole_words, ids, at)
            if done < 0 and searches and length > _SHORT_BYTES:
                parts = cut_into_parts(data, begin, end, neighbour_pairs, bigrams, part_ends)
                if parts > 1:
                    # Of parts that are no pieces a token is not made because it is there.
                    added = _PART if whole_words else 0
                    seek_parts(data, begin, part_ends, parts, added, memo, parts_sought)
                    done = at
                    part = 0
                    while part < parts:
                        part, done = copy_known(parts_sought, part, parts, memo, _MERGED, NO_FLAGS, ids, done)
                        if part == parts:
                            break
                        i = part_ends[part - 1] if part > 0 else begin
                        j = part_ends[part]
                        row = -1
                        if j - i <= MEMO_BYTES:
                            part_key = memo_key(data, i, j - i)
                            part_hash = parts_sought[part, SOUGHT_HASH]
                            row = find_row(memo, part_hash, part_key, j - i + added)
                        if row >= 0:
                            if row_flags(memo, row) == _MERGED:
                                done = -1
                                break
                            done = copy_ids(memo, row, ids, done)
                        else:
                            first = done
                            done = -1 if whole_words else _look_up(data, i, j, words, units, node_tokens, False, ids, first)
                            if done < 0:
                                done = _form(data, i, j, units, node_formed, pairs, tokens, starts, True, single_bytes, apart, dead, ids, first, heap)
                            if done < 0:
                                break
                            done = _without(unknown, ids, first, done)
                            if j - i <= MEMO_BYTES:
                                remember(memo, part_hash, part_key, j - i + added, NO_FLAGS, ids, first, done)
                        part += 1
            if done < 0:
                # Of unknown characters in a row more than one part may hold some.
                parts = 1
                done = _form(data, begin, end, units, node_formed, pairs, tokens, starts, searches, single_bytes, apart, dead, ids, at, heap)
            if done < 0:
                settings = (single_bytes, prefix, suffix, fallbacks, unknown, fuses)
                done = _merge(data, begin, end, units, node_tokens, pairs, *settings, symbols, links, heap, ids, at)
                flags = _MERGED
            at = _without(unknown, ids, before, done)
            if length <= MEMO_BYTES and parts == 1:
                remember(memo, hashed, key, length, flags, ids, before, at)
        at = min(at, stop)
        id_offsets[text + 1] = at
    return at


@inner
def _without(unknown: int, ids: NDArray[np.int32], first: int, last: int) -> int:
    """Close the gaps that the unknown id leaves in ``ids[first:last]``, and return where they end."""
    kept = first
    for k in range(first, last):
        if ids[k] != unknown:
            ids[kept] = ids[k]
            kept += 1
    return kept


@inner
def _look_up(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    words: NDArray[np.uint64],
    units: NDArray[np.uint64],
    node_tokens: NDArray[np.int32],
    whole_words: bool,
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the id of the token that a word is known to become, and return where the ids end; -1 if that is not known."""
    length = end - begin
    if length > _SHORT_BYTES:
        return _emit_whole(data, begin, end, units, node_tokens, ids, at) if whole_words else -1
    token = find_short_word(words, padded_word(data, begin, length), padded_word(data, begin + 8, length - 8), length)
    if token >= 0:
        ids[at] = token
    return at + 1 if token >= 0 else -1


@inner
def _form(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_formed: NDArray[np.int32],
    pairs: NDArray[np.int64],
    tokens: NDArray[np.int32],
    starts: NDArray[np.int32],
    searches: bool,
    single_bytes: bool,
    apart: NDArray[np.uint64],
    dead: NDArray[np.uint8],
    ids: NDArray[np.int32],
    at: int,
    found: NDArray[np.int64],
) -> int:
    """Find what merging makes of a word in the quickest way there is; -1 where it has an unknown character, or if there is no quick way."""
    if single_bytes and end - begin <= _FEW_SYMBOLS:
        return _merge_bytes(data, begin, end, starts, pairs, ids, at, found)
    if searches:
        return _search(data, begin, end, units, node_formed, pairs, tokens, apart, dead, ids, at)
    return -1


@inner
def _emit_whole(
    data: NDArray[np.uint8], begin: int, end: int, units: NDArray[np.uint64], node_tokens: NDArray[np.int32], ids: NDArray[np.int32], at: int
) -> int:
    """Write the id of the token that a word is, and return where the ids end; -1 if the word is no token."""
    token = node_tokens[descend(units, ROOT, data, begin, end)]
    if token >= 0:
        ids[at] = token
    return at + 1 if token >= 0 else -1


@inner
def _search(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_formed: NDArray[np.int32],
    pairs: NDArray[np.int64],
    tokens: NDArray[np.int32],
    apart: NDArray[np.uint64],
    dead: NDArray[np.uint8],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Find the ids of a word without merging it, write them from `at` on and return where they end; -1 where it has an unknown character.

    Where tokens follow each other each of which is formed, and of which each two neighbours are what merging makes of their text, the whole is
    what merging makes of the whole: the first merge across a boundary would be one in the text of the two tokens there as well. And only one
    row of tokens is so. It is looked for from left to right, the longest token first, back where no token fits. A place from which it goes on
    nowhere is marked, for there is one way only to get there: so the time grows with the length of the word, not with its square. This is the
    algorithm of GitHub's Rust crate `bpe`.
    """
    i = begin
    n = at
    marked = False
    token = _longest(data, i, end, units, node_formed)
    while token >= 0:
        stop = i + tokens[token, LENGTH]
        while dead[stop - begin] or (n > at and not _are_apart(ids[n - 1], token, pairs, tokens, apart)):
            token = tokens[token, PREFIX]
            if token < 0:
                break
            stop = i + tokens[token, LENGTH]
        if token >= 0:
            ids[n] = token
            n += 1
            i = stop
            if i == end:
                break
            token = _longest(data, i, end, units, node_formed)
        elif n > at:
            dead[i - begin] = 1
            marked = True
            n -= 1
            token = ids[n]
            i -= tokens[token, LENGTH]
    if marked:
        for k in range(end - begin):
            dead[k] = 0
    return n if i == end else -1


@inner
def _longest(data: NDArray[np.uint8], i: int, end: int, units: NDArray[np.uint64], node_formed: NDArray[np.int32]) -> int:
    """The longest formed token that stands at `i`; -1 if there is none."""
    formed = -1
    node, unit = ROOT, units[ROOT]
    while i < end:
        node, unit = step(units, node, unit, data[i])
        if node == ROOT:
            break
        if unit & ENDS:
            token = np.int64(node_formed[node])
            formed = token if token >= 0 else formed
        i += 1
    return formed


@inner
def _are_apart(left: int, right: int, pairs: NDArray[np.int64], tokens: NDArray[np.int32], apart: NDArray[np.uint64]) -> bool:
    """`_stay_apart`, remembered: an entry is one more than ``left << 32 | right << 1 | answer``; 0 is an empty one."""
    key = np.uint64(left) << np.uint64(32) | np.uint64(right) << np.uint64(1)
    slot = first_slot(key, np.uint64(0), len(apart))
    entry = apart[slot] - np.uint64(1)
    if entry >> np.uint64(1) != key >> np.uint64(1):
        entry = key | np.uint64(_stay_apart(left, right, pairs, tokens))
        apart[slot] = entry + np.uint64(1)
    return entry & np.uint64(1) != np.uint64(0)


@inner
def _stay_apart(left: int, right: int, pairs: NDArray[np.int64], tokens: NDArray[np.int32]) -> bool:
    """Whether the text of two formed tokens becomes these two tokens.

    The merges that make the two are undone, the last one first, and at each step it is asked whether the two parts that then meet would have
    been merged before the merge that was undone last. It needs merges that are in order: then those of lower rank come first, and of equal rank
    those further left.
    """
    before = np.int64(1) << 40
    apart = True
    while True:
        found = find_pair(pairs, left, right)
        if found >= 0 and found >> 32 < before:
            apart = False
            break
        left_rank, right_rank = np.int64(tokens[left, RANK]), np.int64(tokens[right, RANK])
        if left_rank > right_rank:
            before = left_rank
            left = tokens[left, RIGHT]
        elif right_rank != NO_RANK:
            # A merge of the same rank on the right comes later.
            before = right_rank + 1
            right = tokens[right, LEFT]
        else:
            break
    return apart


@inner
def _merge_bytes(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    starts: NDArray[np.int32],
    pairs: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
    found: NDArray[np.int64],
) -> int:
    """Merge a short word of which each byte has an id, write its ids from `at` on and return where they end; -1 where a byte has none."""
    known = True
    for i in range(begin, end):
        ids[at + i - begin] = starts[data[i]]
        known &= starts[data[i]] >= 0
    if known:
        end = at + merge_few(ids[at:], end - begin, pairs, found)
    return end if known else -1


@inner
def _merge(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_tokens: NDArray[np.int32],
    pairs: NDArray[np.int64],
    single_bytes: bool,
    prefix: NDArray[np.uint8],
    suffix: NDArray[np.uint8],
    fallbacks: NDArray[np.int32],
    unknown: int,
    fuses: bool,
    symbols: NDArray[np.int32],
    links: NDArray[np.int32],
    heap: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Merge a word as the library does, write its ids from `at` on and return where they end."""
    count = 0
    pending = False
    i = begin
    while i < end:
        following = i + 1
        while not single_bytes and following < end and (data[following] & 0xC0) == 0x80:
            following += 1
        before, after = prefix[: 0 if i == begin else len(prefix)], suffix[: len(suffix) if following == end else 0]
        token = _symbol(data, i, following, units, node_tokens, before, after)
        if token >= 0:
            if pending:
                symbols[count] = unknown
                count += 1
                pending = False
            symbols[count] = token
            count += 1
        elif _falls_back(data, i, following, fallbacks):
            # An unknown character before this one is still to come, as in the library.
            for k in range(i, following):
                symbols[count] = fallbacks[data[k]]
                count += 1
        elif unknown >= 0:
            if pending and not fuses:
                symbols[count] = unknown
                count += 1
            pending = True
        i = following
    if pending:
        symbols[count] = unknown
        count += 1
    if count <= _FEW_SYMBOLS:
        count = merge_few(symbols, count, pairs, heap)
    else:
        count, _, _, _ = merge_symbols(symbols, count, pairs, links, heap)
    for k in range(count):
        ids[at + k] = symbols[k]
    return at + count


@inner
def _symbol(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    units: NDArray[np.uint64],
    node_tokens: NDArray[np.int32],
    prefix: NDArray[np.uint8],
    suffix: NDArray[np.uint8],
) -> int:
    """The id of a character with what is put before it and after it; -1 if it has none."""
    node = descend(units, ROOT, prefix, 0, len(prefix))
    if len(prefix) == 0 or node != ROOT:
        node = descend(units, node, data, begin, end)
    if len(suffix) > 0 and node != ROOT:
        node = descend(units, node, suffix, 0, len(suffix))
    return np.int64(node_tokens[node])


@inner
def _falls_back(data: NDArray[np.uint8], begin: int, end: int, fallbacks: NDArray[np.int32]) -> bool:
    for i in range(begin, end):
        if fallbacks[data[i]] < 0:
            return False
    return True
