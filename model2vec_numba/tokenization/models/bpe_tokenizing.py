"""BPE compiled: from pieces to ids.

A word that is a token by itself is looked up. Any other is remembered for the call, so that its next occurrence is a copy of the first one's
ids. What is left is done by `_search` where it can be, else by `_merge`, which does what the library does, step by step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.tokenization.models.bpe_merging import HEAP_ROOM, NO_RANK, find_pair, merge_few, merge_symbols
from model2vec_numba.tokenization.models.bpe_vocabulary import (
    FORMED,
    HEAD_BYTES,
    LEFT,
    LENGTH,
    PREFIX,
    RANK,
    RIGHT,
    ROOT,
    find_edge,
    find_head,
    find_short_word,
)
from model2vec_numba.tokenization.stages import DONE
from model2vec_numba.tokenization.wordpiece_vocabulary import first_slot
from model2vec_numba.words import load_word, padded_word

__all__ = ["MEMO_COLUMNS", "tokenize_pieces"]

_SHORT_BYTES = 16
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FEW_SYMBOLS = 16
# The memo of words. A row, a cache line, has in `_KEY` and after it the bytes of a word of at most 16, padded with NULs, or a hash of a longer
# word and where in `texts` it is; then ``length << 32 | ids`` (0: an empty slot), then the ids, two to a column, or of many where in `many_ids`
# they are. Like the library's, it has no words of more than 256 bytes.
MEMO_COLUMNS = 8
_KEY, _KEY_REST, _SIZES, _IDS = range(4)
_MEMO_BYTES = 256
_MEMO_IDS = 2 * (MEMO_COLUMNS - _IDS)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@compiled()
def tokenize_pieces(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    words: NDArray[np.uint64],
    trie: NDArray[np.int64],
    pairs: NDArray[np.int64],
    tokens: NDArray[np.int32],
    heads: NDArray[np.int64],
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
    memo: NDArray[np.uint64],
    texts: NDArray[np.uint8],
    many_ids: NDArray[np.int32],
    used: NDArray[np.int64],
    neighbours: NDArray[np.uint64],
    max_tokens: int,
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
) -> int:
    """Tokenise pieces and return where their ids end.

    Args:
        data, begins, ends, offsets, status: the pieces; see `PieceBatch`.
        words, trie, pairs, tokens, heads: see `BpeVocabulary`.
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
        memo, texts, many_ids: uint64, shape (slots, MEMO_COLUMNS), slots a power of two, uint8 and int32: words that were met and their ids, written.
            The first must be zeros to begin with, and then all be of this model and of no other call at the same time.
        used: int64, shape (2,): how much of `texts` and `many_ids` is in use, written.
        neighbours: uint64, shape (slots,), slots a power of two: the same for pairs of tokens; see `_are_apart`.
        max_tokens: the number of ids to keep of each text.
        ids: int32, written; a piece has at most as many as it has bytes.
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
    at = 0
    for text in range(len(offsets) - 1):
        stop = at + max_tokens
        for piece in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            if at >= stop:
                break
            begin = begins[piece]
            length = ends[piece] - begin
            if length <= _SHORT_BYTES:
                head, tail = padded_word(data, begin, length), padded_word(data, begin + 8, length - 8)
                if looks_up:
                    token = find_short_word(words, head, tail, length)
                    if token >= 0:
                        if token != unknown:
                            ids[at] = token
                            at += 1
                        continue
            elif length <= _MEMO_BYTES:
                head, tail = _hash(data, begin, length), np.uint64(0)
            else:
                head, tail = np.uint64(0), np.uint64(0)
            slot = first_slot(head, tail, len(memo))
            if (
                memo[slot, _SIZES] >> np.uint64(32) == np.uint64(length)
                and memo[slot, _KEY] == head
                and (memo[slot, _KEY_REST] == tail if length <= _SHORT_BYTES else _same(data, begin, texts, np.int64(memo[slot, _KEY_REST]), length))
            ):
                count = np.int64(memo[slot, _SIZES] & np.uint64(0xFFFFFFFF))
                if count <= _MEMO_IDS:
                    for k in range(count):
                        ids[at + k] = np.int32((memo[slot, np.uint64(_IDS + (k >> 1))] >> np.uint64(32 * (k & 1))) & np.uint64(0xFFFFFFFF))
                else:
                    source = np.int64(memo[slot, _IDS])
                    for k in range(count):
                        ids[at + k] = many_ids[source + k]
                at += count
                continue
            end = -1
            if whole_words and length > _SHORT_BYTES:
                end = _emit_whole(data, begin, begin + length, trie, ids, at)
            if searches and end < 0 and length > _FEW_SYMBOLS:
                end = _search(data, begin, begin + length, trie, pairs, tokens, heads, neighbours, dead, ids, at)
            if end < 0 and single_bytes and length <= _FEW_SYMBOLS:
                end = _merge_bytes(data, begin, begin + length, starts, pairs, ids, at, heap)
            if end < 0:
                settings = (single_bytes, prefix, suffix, fallbacks, unknown, fuses)
                end = _merge(data, begin, begin + length, trie, pairs, *settings, symbols, links, heap, ids, at)
            kept = at
            for k in range(at, end):
                if ids[k] != unknown:
                    ids[kept] = ids[k]
                    kept += 1
            count = kept - at
            if length <= _MEMO_BYTES:
                if used[0] + length > len(texts) or used[1] + count > len(many_ids):
                    memo[:] = 0
                    used[:] = 0
                if length > _SHORT_BYTES:
                    tail = np.uint64(used[0])
                    for k in range(length):
                        texts[used[0] + k] = data[begin + k]
                    used[0] += length
                memo[slot, _KEY], memo[slot, _KEY_REST] = head, tail
                memo[slot, _SIZES] = np.uint64(length) << np.uint64(32) | np.uint64(count)
                if count <= _MEMO_IDS:
                    for k in range(count):
                        if k & 1:
                            memo[slot, _IDS + (k >> 1)] |= np.uint64(ids[at + k]) << np.uint64(32)
                        else:
                            memo[slot, _IDS + (k >> 1)] = np.uint64(ids[at + k])
                else:
                    memo[slot, _IDS] = np.uint64(used[1])
                    for k in range(count):
                        many_ids[used[1] + k] = ids[at + k]
                    used[1] += count
            at = kept
        at = min(at, stop)
        id_offsets[text + 1] = at
    return at


@inner
def _hash(data: NDArray[np.uint8], begin: int, length: int) -> np.uint64:
    """A hash of more than 8 bytes; the last eight of them overlap those before."""
    hashed = np.uint64(length)
    for i in range(begin, begin + length - 8, 8):
        hashed = (hashed ^ load_word(data, i)) * _MIX
        hashed ^= hashed >> np.uint64(29)
    return (hashed ^ load_word(data, begin + length - 8)) * _MIX


@inner
def _same(first: NDArray[np.uint8], at: int, second: NDArray[np.uint8], second_at: int, length: int) -> bool:
    """Whether more than 8 bytes of two arrays are the same."""
    k = 0
    while k + 8 < length and load_word(first, at + k) == load_word(second, second_at + k):
        k += 8
    return k + 8 >= length and load_word(first, at + length - 8) == load_word(second, second_at + length - 8)


@inner
def _emit_whole(data: NDArray[np.uint8], begin: int, end: int, trie: NDArray[np.int64], ids: NDArray[np.int32], at: int) -> int:
    """Write the id of the token that a word is, and return where the ids end; -1 if the word is no token."""
    edge = np.int64(ROOT) << 32
    i = begin
    while i < end and edge != 0:
        edge = find_edge(trie, edge >> 32, np.int64(data[i]))
        i += 1
    token = ((edge & 0xFFFFFFFF) >> 1) - 1
    if token >= 0:
        ids[at] = token
    return at + 1 if token >= 0 else -1


@inner
def _search(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    trie: NDArray[np.int64],
    pairs: NDArray[np.int64],
    tokens: NDArray[np.int32],
    heads: NDArray[np.int64],
    neighbours: NDArray[np.uint64],
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
    token = _longest(data, i, end, trie, heads)
    while token >= 0:
        stop = i + tokens[token, LENGTH]
        while dead[stop - begin] or (n > at and not _are_apart(ids[n - 1], token, pairs, tokens, neighbours)):
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
            token = _longest(data, i, end, trie, heads)
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
def _longest(data: NDArray[np.uint8], i: int, end: int, trie: NDArray[np.int64], heads: NDArray[np.int64]) -> int:
    """The longest formed token that stands at `i`; -1 if there is none."""
    edge = np.int64(0)
    if i + HEAD_BYTES <= end:
        edge = find_head(heads, np.int64(data[i]) | np.int64(data[i + 1]) << 8 | np.int64(data[i + 2]) << 16)
    if edge != 0:
        i += HEAD_BYTES
        formed = edge & 0xFFFFFFFF
    else:
        edge = np.int64(ROOT) << 32
        formed = np.int64(0)
    while i < end:
        edge = find_edge(trie, edge >> 32, np.int64(data[i]))
        if edge == 0:
            break
        if edge & FORMED:
            formed = edge & 0xFFFFFFFF
        i += 1
    return (formed >> 1) - 1


@inner
def _are_apart(left: int, right: int, pairs: NDArray[np.int64], tokens: NDArray[np.int32], neighbours: NDArray[np.uint64]) -> bool:
    """`_stay_apart`, remembered: an entry is one more than ``left << 32 | right << 1 | answer``; 0 is an empty one."""
    key = np.uint64(left) << np.uint64(32) | np.uint64(right) << np.uint64(1)
    slot = first_slot(key, np.uint64(0), len(neighbours))
    entry = neighbours[slot] - np.uint64(1)
    if entry >> np.uint64(1) != key >> np.uint64(1):
        entry = key | np.uint64(_stay_apart(left, right, pairs, tokens))
        neighbours[slot] = entry + np.uint64(1)
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
    trie: NDArray[np.int64],
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
        token = _symbol(data, i, following, trie, prefix[: 0 if i == begin else len(prefix)], suffix[: len(suffix) if following == end else 0])
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
def _symbol(data: NDArray[np.uint8], begin: int, end: int, trie: NDArray[np.int64], prefix: NDArray[np.uint8], suffix: NDArray[np.uint8]) -> int:
    """The id of a character with what is put before it and after it; -1 if it has none."""
    edge = np.int64(ROOT) << 32
    for byte in prefix:
        edge = find_edge(trie, edge >> 32, np.int64(byte))
    for i in range(begin, end):
        edge = find_edge(trie, edge >> 32, np.int64(data[i]))
    for byte in suffix:
        edge = find_edge(trie, edge >> 32, np.int64(byte))
    return ((edge & 0xFFFFFFFF) >> 1) - 1


@inner
def _falls_back(data: NDArray[np.uint8], begin: int, end: int, fallbacks: NDArray[np.int32]) -> bool:
    for i in range(begin, end):
        if fallbacks[data[i]] < 0:
            return False
    return True
