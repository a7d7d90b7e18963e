"""BERT's pipeline compiled: BertNormalizer, BertPreTokenizer and WordPiece in one pass over the bytes of a batch of texts.

Read it in the order the text flows: `tokenize_texts` goes through a text word by word. A word of ASCII letters and digits is taken from the
text eight bytes at a time; any other is normalised code point by code point into a buffer. `_emit_word` then looks the whole word up, and cuts
it into pieces if the vocabulary does not have it.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled
from model2vec_numba.tokenization.added_tokens import holds_pattern, pattern_at
from model2vec_numba.tokenization.code_points import CANNOT_VOUCH, DROP, ISOLATE, LONG_WORD, NONSTARTER, SPACE, UNLEARNT, decode
from model2vec_numba.tokenization.wordpiece_vocabulary import ABSENT, CONTINUING, INITIAL, find_child, find_word
from model2vec_numba.tokenization.words import alnum_length, load_word, lowercase_word, store_word, word_mask

__all__ = [
    "BYTE_ALNUM",
    "BYTE_BEGINS_PATTERN",
    "BYTE_ISOLATE",
    "BYTE_OTHER",
    "BYTE_SPACE",
    "DONE",
    "FALLBACK",
    "mark_normalized_patterns",
    "tokenize_segments",
    "tokenize_texts",
]

# What becomes of a text: its ids are there, or the library must find them.
DONE = 0
FALLBACK = 1

# What a byte is at a glance.
BYTE_OTHER = 0
BYTE_ALNUM = 1  # a letter or digit that becomes itself, or its small letter
BYTE_SPACE = 2
BYTE_ISOLATE = 3  # a word by itself that becomes itself
BYTE_BEGINS_PATTERN = 4  # such a one, with which an added token begins


@compiled()
def tokenize_texts(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    first: int,
    last: int,
    byte_kinds: NDArray[np.uint8],
    lowercases: bool,
    entries: NDArray[np.uint64],
    pool: NDArray[np.uint8],
    words: NDArray[np.uint64],
    trie: NDArray[np.int64],
    pattern_data: NDArray[np.uint8],
    pattern_offsets: NDArray[np.int64],
    pattern_groups: NDArray[np.int64],
    scans: bool,
    unknown: int,
    max_word_chars: int,
    max_tokens: int,
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
    counts: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Tokenise texts ``first`` to ``last - 1`` and return where their ids end.

    Args:
        data, offsets: the batch; see `TextBatch`.
        first, last: which of its texts.
        byte_kinds: uint8, shape (256,): ``BYTE_...`` for each byte.
        lowercases: whether ASCII capitals become small.
        entries, pool: see `CodePointTable`.
        words, trie: see `WordPieceVocabulary`.
        pattern_data, pattern_offsets, pattern_groups: the added tokens that are looked for in the text as it is; see `Patterns`.
        scans: whether to look for them at every byte; else only at those that are `BYTE_BEGINS_PATTERN`.
        unknown: the id that is dropped.
        max_word_chars: a word of more characters is unknown.
        max_tokens: the number of ids to keep of each text.
        missing: uint8, written: 1 for each page of `entries` that is needed and not learnt. If there is any, nothing else is of use.
        status: uint8, shape (texts,): texts that are not `DONE` are passed over; `FALLBACK` is written for those that must be.
        counts: int64, shape (texts,), written: the number of ids of each text.
        ids: int32, written from `at` on: the ids of the texts, one after the other. A text has at most as many as it has bytes.
        at: where in `ids` to begin.
    """
    longest = 0
    for text in range(first, last):
        longest = max(longest, offsets[text + 1] - offsets[text])
    # A word has at most four bytes for each character, and at most one character for each byte of its text. The rest is room to overshoot.
    word = np.empty(4 * min(max_word_chars, longest) + 64, np.uint8)
    for text in range(first, last):
        begin = at
        stop = at + max_tokens
        i = offsets[text]
        end = offsets[text + 1]
        if status[text] == DONE and scans and holds_pattern(data, i, end, pattern_data, pattern_offsets, pattern_groups):
            status[text] = FALLBACK
        if status[text] != DONE:
            end = i
        while i < end and at < stop:
            byte_kind = byte_kinds[data[i]]
            if byte_kind == BYTE_SPACE:
                i += 1
                continue
            if byte_kind == BYTE_ALNUM and i + 16 <= len(data):
                head, tail, length = _alnum_word(data, i, end)
                j = i + length
                if length <= max_word_chars and (j == end or (length < 16 and _ends_word(data, j, byte_kinds, entries))):
                    if lowercases:
                        head, tail = lowercase_word(head), lowercase_word(tail)
                    token = find_word(words, head, tail)
                    if token == ABSENT:
                        store_word(word, 0, head)
                        store_word(word, 8, tail)
                        at = _emit_pieces(word, length, trie, unknown, ids, at)
                    elif token != unknown:
                        ids[at] = token
                        at += 1
                    # What follows is a space more often than not.
                    i = j + 1 if j < end and data[j] == 0x20 else j
                    continue
            elif byte_kind >= BYTE_ISOLATE:
                if byte_kind == BYTE_BEGINS_PATTERN and pattern_at(data, i, end, pattern_data, pattern_offsets, pattern_groups):
                    status[text] = FALLBACK
                    at = begin
                    break
                token = find_word(words, np.uint64(data[i]), np.uint64(0))
                if token != ABSENT and token != unknown:
                    ids[at] = token
                    at += 1
                i += 1
                continue
            elif data[i] >= 0x80:
                code_point, size = decode(data, i)
                entry = entries[code_point]
                if entry & np.uint64(15) == np.uint64(ISOLATE):
                    token = find_word(words, entry >> np.uint64(16), np.uint64(0))
                    if token != ABSENT and token != unknown:
                        ids[at] = token
                        at += 1
                    i += size
                    continue
            i, length, chars, vouched = _normalize_word(data, i, end, entries, pool, max_word_chars, missing, word)
            if not vouched:
                status[text] = FALLBACK
                at = begin
                break
            if 0 < chars <= max_word_chars:
                at = _emit_word(word, length, words, trie, unknown, ids, at)
        at = min(at, stop)
        counts[text] = at - begin
    return at


@njit(inline="always")
def _alnum_word(data: NDArray[np.uint8], i: int, end: int) -> tuple[np.uint64, np.uint64, int]:
    """The run of ASCII letters and digits from `i` on, at most 16 of them and not past `end`: its bytes as two words, and its length."""
    head = load_word(data, i)
    length = alnum_length(head)
    if length < 8:
        length = min(length, end - i)
        return head & word_mask(length), np.uint64(0), length
    tail = load_word(data, i + 8)
    length = min(8 + alnum_length(tail), end - i)
    return head & word_mask(length), tail & word_mask(max(length - 8, 0)), length


@njit(inline="always")
def _ends_word(data: NDArray[np.uint8], i: int, byte_kinds: NDArray[np.uint8], entries: NDArray[np.uint64]) -> bool:
    """Whether what stands at `i` ends a word that stands before it."""
    if data[i] < 0x80:
        return byte_kinds[data[i]] >= BYTE_SPACE
    code_point, _ = decode(data, i)
    kind = entries[code_point] & np.uint64(15)
    return kind == np.uint64(SPACE) or kind == np.uint64(ISOLATE)


@njit
def _normalize_word(
    data: NDArray[np.uint8],
    i: int,
    end: int,
    entries: NDArray[np.uint64],
    pool: NDArray[np.uint8],
    max_word_chars: int,
    missing: NDArray[np.uint8],
    word: NDArray[np.uint8],
) -> tuple[int, int, int, bool]:
    """Normalise from `i` to the end of the first word, into `word`.

    Returns:
        Where the text goes on, the word's length in bytes and in characters, and whether this is right. There may be no word, and then the
        lengths are 0. Of a word of more than `max_word_chars` characters the bytes are not kept.
    """
    length = 0
    chars = 0
    after_nonstarter = False
    while i < end:
        code_point, size = decode(data, i)
        entry = entries[code_point]
        kind = np.int64(entry & np.uint64(15))
        if kind == ISOLATE and chars > 0:
            break
        i += size
        if kind == SPACE:
            break
        if kind == DROP:
            if chars == 0:
                break  # what follows may be something that only the caller looks at
            continue
        if kind == UNLEARNT:
            missing[code_point >> 8] = 1
            continue
        if kind == CANNOT_VOUCH or (kind == NONSTARTER and after_nonstarter):
            return i, length, chars, False
        after_nonstarter = kind == NONSTARTER
        if chars <= max_word_chars:
            payload = entry >> np.uint64(16)
            if kind == LONG_WORD:
                store_word(word, length, load_word(pool, np.int64(payload)))
                store_word(word, length + 8, load_word(pool, np.int64(payload) + 8))
            else:
                store_word(word, length, payload)
            length += np.int64((entry >> np.uint64(4)) & np.uint64(15))
        chars += np.int64((entry >> np.uint64(8)) & np.uint64(255))
        if kind == ISOLATE:
            break
    return i, length, chars, True


@njit(inline="always")
def _emit_word(
    word: NDArray[np.uint8], length: int, words: NDArray[np.uint64], trie: NDArray[np.int64], unknown: int, ids: NDArray[np.int32], at: int
) -> int:
    """Write the ids of the word ``word[:length]`` from `at` on, less the unknown one, and return where they end."""
    if length <= 16:
        head = load_word(word, 0) & word_mask(min(length, 8))
        tail = load_word(word, 8) & word_mask(max(length - 8, 0))
        token = find_word(words, head, tail)
        if token != ABSENT:
            if token != unknown:
                ids[at] = token
                at += 1
            return at
    return _emit_pieces(word, length, trie, unknown, ids, at)


@njit
def _emit_pieces(word: NDArray[np.uint8], length: int, trie: NDArray[np.int64], unknown: int, ids: NDArray[np.int32], at: int) -> int:
    """Cut a word into the longest pieces that the vocabulary has, from left to right; if it cannot be cut so, it is unknown and has no ids."""
    begin = at
    start = 0
    node = INITIAL
    while start < length:
        token = np.int64(ABSENT)
        next_start = start
        i = start
        while i < length:
            edge = find_child(trie, node, np.int64(word[i]))
            if edge == 0:
                break
            i += 1
            node = edge >> 32
            if edge & 0xFFFFFFFF:
                token = (edge & 0xFFFFFFFF) - 1
                next_start = i
        if token == ABSENT:
            return begin
        if token != unknown:
            ids[at] = token
            at += 1
        start = next_start
        node = CONTINUING
    return at


@compiled(parallel=True)
def tokenize_segments(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    segments: NDArray[np.int64],
    byte_kinds: NDArray[np.uint8],
    lowercases: bool,
    entries: NDArray[np.uint64],
    pool: NDArray[np.uint8],
    words: NDArray[np.uint64],
    trie: NDArray[np.int64],
    pattern_data: NDArray[np.uint8],
    pattern_offsets: NDArray[np.int64],
    pattern_groups: NDArray[np.int64],
    scans: bool,
    unknown: int,
    max_word_chars: int,
    max_tokens: int,
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
    counts: NDArray[np.int64],
    ids: NDArray[np.int32],
) -> int:
    """Tokenise a batch in parallel: segment ``s`` is texts ``segments[s]`` to ``segments[s + 1] - 1``. Returns where the ids end.

    The other arguments are those of `tokenize_texts`.
    """
    ends = np.empty(len(segments) - 1, np.int64)
    for segment in prange(len(segments) - 1):
        ends[segment] = tokenize_texts(
            data,
            offsets,
            segments[segment],
            segments[segment + 1],
            byte_kinds,
            lowercases,
            entries,
            pool,
            words,
            trie,
            pattern_data,
            pattern_offsets,
            pattern_groups,
            scans,
            unknown,
            max_word_chars,
            max_tokens,
            missing,
            status,
            counts,
            ids,
            offsets[segments[segment]] - offsets[0],
        )
    # Each segment wrote where its bytes stand, so that none could be in another's way: close the gaps.
    at = 0
    for segment in range(len(segments) - 1):
        begin = offsets[segments[segment]] - offsets[0]
        for i in range(begin, ends[segment]):
            ids[at] = ids[i]
            at += 1
    return at


@compiled()
def mark_normalized_patterns(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    entries: NDArray[np.uint64],
    pool: NDArray[np.uint8],
    pattern_data: NDArray[np.uint8],
    pattern_offsets: NDArray[np.int64],
    pattern_groups: NDArray[np.int64],
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
) -> None:
    """Write `FALLBACK` to `status` for each text whose normalised form, without its white space, holds one of the patterns.

    The arguments are those of `tokenize_texts`; here the patterns are normalised ones, without white space.
    """
    normalized = np.empty(64, np.uint8)
    for text in range(len(offsets) - 1):
        i, end = offsets[text], offsets[text + 1]
        if 4 * (end - i) + 64 > len(normalized):
            normalized = np.empty(4 * (end - i) + 64, np.uint8)
        length = 0
        while i < end:
            i, word_length, _, vouched = _normalize_word(data, i, end, entries, pool, end, missing, normalized[length:])
            length += word_length
            if not vouched:
                status[text] = FALLBACK
                break
        if holds_pattern(normalized, 0, length, pattern_data, pattern_offsets, pattern_groups):
            status[text] = FALLBACK
