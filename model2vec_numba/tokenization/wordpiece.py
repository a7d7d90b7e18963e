"""BERT's pipeline compiled: BertNormalizer, BertPreTokenizer and WordPiece in one pass over the bytes of a batch of texts.

Read it in the order the text flows: `tokenize_texts` goes through a text word by word. A word of ASCII letters and digits is taken from the
text eight bytes at a time; any other is normalised code point by code point into a buffer. `_emit_word` then looks the whole word up, and cuts
it into pieces if the vocabulary does not have it.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from model2vec_numba.tokenization.code_points import CANNOT_VOUCH, DROP, ISOLATE, LONG_WORD, NONSTARTER, SPACE, UNLEARNT
from model2vec_numba.tokenization.wordpiece_vocabulary import ABSENT, CONTINUING, INITIAL, find_child, find_word
from model2vec_numba.tokenization.words import alnum_length, load_word, lowercase_word, store_word, word_mask

__all__ = ["BYTE_ALNUM", "BYTE_ISOLATE", "BYTE_OTHER", "BYTE_SPACE", "DONE", "FALLBACK", "tokenize_segments", "tokenize_texts"]

# What becomes of a text: its ids are there, or the library must find them.
DONE = 0
FALLBACK = 1

# What a byte is at a glance.
BYTE_OTHER = 0
BYTE_ALNUM = 1  # a letter or digit that becomes itself, or its small letter
BYTE_SPACE = 2
BYTE_ISOLATE = 3  # a word by itself that becomes itself


@njit(nogil=True, cache=True)
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
        end = offsets[text + 1] if status[text] == DONE else i
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
                    i = j
                    continue
            i, length, chars, vouched = _normalize_word(data, i, end, entries, pool, max_word_chars, missing, word)
            if not vouched:
                status[text] = FALLBACK
                at = begin
                break
            if chars <= max_word_chars:
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
    code_point, _ = _decode(data, i)
    kind = entries[code_point] & np.uint64(15)
    return kind == np.uint64(SPACE) or kind == np.uint64(ISOLATE)


@njit(inline="always")
def _decode(data: NDArray[np.uint8], i: int) -> tuple[int, int]:
    """The code point that stands at `i` in valid UTF-8, and its number of bytes."""
    lead = np.int64(data[i])
    if lead < 0x80:
        return lead, 1
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | (data[i + 1] & 0x3F), 2
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | (data[i + 1] & 0x3F) << 6 | (data[i + 2] & 0x3F), 3
    return (lead & 0x07) << 18 | (data[i + 1] & 0x3F) << 12 | (data[i + 2] & 0x3F) << 6 | (data[i + 3] & 0x3F), 4


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
        code_point, size = _decode(data, i)
        entry = entries[code_point]
        kind = np.int64(entry & np.uint64(15))
        if kind == ISOLATE and chars > 0:
            break
        i += size
        if kind == SPACE:
            break
        if kind == DROP:
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


@njit(parallel=True, nogil=True, cache=True)
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
