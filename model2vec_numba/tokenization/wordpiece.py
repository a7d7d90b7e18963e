"""BERT's pipeline compiled: BertNormalizer, BertPreTokenizer and WordPiece in one pass over the bytes of a batch of texts.

Read it in the order the text flows. `_cut_runs` cuts a text into runs at white space and punctuation, 64 bytes at a time. `tokenize_texts` takes
them one after the other: a short run of ASCII is a word, and is looked up as it stands in two registers. Any other is gone through code point
by code point with `_normalize_word`. `emit_pieces` cuts what the vocabulary does not have whole, and the pieces of short words are remembered:
to cut a word took 125 ns, a dozen times as long as to look one up.

Cutting first and looking up afterwards makes the look-ups independent of each other, so that the processor works on several at a time: when
each word's beginning was known only after the word before it, English took twice as long.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner, inner_always
from model2vec_numba.threads import claim
from model2vec_numba.tokenization.added_tokens import holds_pattern, pattern_at
from model2vec_numba.tokenization.code_points import CANNOT_VOUCH, DROP, ISOLATE, LONG_WORD, NONSTARTER, SPACE, UNLEARNT, decode
from model2vec_numba.tokenization.memo import NO_FLAGS, copy_ids_only, find_row, memo_hash, prefetch_row, remember, word_key
from model2vec_numba.tokenization.pages import ask_for_page
from model2vec_numba.tokenization.stages import DONE, FALLBACK
from model2vec_numba.tokenization.wordpiece_vocabulary import ABSENT, CONTINUING, INITIAL, find_child, find_hashed_word, find_word, prefetch_word
from model2vec_numba.words import (
    BLOCK,
    alnum_length,
    bytes_between,
    count_ones,
    load_word,
    lowercase_word,
    store_word,
    trailing_zeros,
    word_mask,
    word_masks,
)

__all__ = [
    "BYTE_ALNUM",
    "BYTE_BEGINS_PATTERN",
    "BYTE_ISOLATE",
    "BYTE_OTHER",
    "BYTE_SPACE",
    "emit_pieces",
    "mark_normalized_patterns",
    "tokenize_segments",
    "tokenize_texts",
]

# What a byte is at a glance.
BYTE_OTHER = 0
BYTE_ALNUM = 1  # a letter or digit that becomes itself, or its small letter
BYTE_SPACE = 2
BYTE_ISOLATE = 3  # a word by itself that becomes itself
BYTE_BEGINS_PATTERN = 4  # such a one, with which an added token begins

# A text is cut that many bytes at a time: what is cut, and what is looked up of it, stays in the first cache.
_WINDOW = 8 * BLOCK
# In place of the token of a run that is to be looked at character by character.
_NO_WORD = -2
# Most blocks have no more runs.
_USUAL_RUNS = 16
_ASCII = np.uint64(0x8080808080808080)
_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@compiled()
def tokenize_texts(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    first: int,
    last: int,
    byte_kinds: NDArray[np.uint8],
    usual: bool,
    pattern_bytes: NDArray[np.uint8],
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
    memo: NDArray[np.uint64],
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
    ends: NDArray[np.int64],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Tokenise texts ``first`` to ``last - 1``.

    Args:
        data, offsets: the batch; see `TextBatch`.
        first, last: which of its texts.
        byte_kinds: uint8, shape (256,): ``BYTE_...`` for each byte.
        usual: whether ASCII is classed as `_classify` has it.
        pattern_bytes: uint8, those that are `BYTE_BEGINS_PATTERN`.
        lowercases: whether ASCII capitals become small.
        entries, pool: see `CodePointTable`.
        words, trie: see `WordPieceVocabulary`.
        pattern_data, pattern_offsets, pattern_groups: the added tokens that are looked for in the text as it is; see `Patterns`.
        scans: whether to look for them at every byte; else only at those that are `BYTE_BEGINS_PATTERN`.
        unknown: the id that is dropped.
        max_word_chars: a word of more characters is unknown.
        max_tokens: the number of ids to keep of each text.
        memo: words of at most 16 bytes that were cut and their ids; see `make_memos`. It must always be for the same vocabulary, and for one
            thread at a time.
        missing: uint8, written: which pages of `entries` are needed and not learnt; see `no_pages`.
        status: uint8, shape (texts,): texts that are not `DONE` are passed over, and have no ids; `FALLBACK` is written for those that must be,
            among them all that need a page that is not learnt.
        ends: int64, shape (texts,), written: where in `ids` those of each text end.
        ids: int32, written from `at` on: the ids of the texts, one after the other. A text has at most as many as it has bytes.
        at: where in `ids` to begin.

    Returns:
        How many of the texts are not `DONE`.
    """
    undone = 0
    largest = 0
    for text in range(first, last):
        largest = max(largest, offsets[text + 1] - offsets[text])
    # A word has at most four bytes for each character, and at most one character for each byte of its text. The rest is room to overshoot.
    word = np.empty(4 * min(max_word_chars, largest) + 64, np.uint8)
    run_begins = np.empty(_WINDOW + BLOCK, np.int64)
    run_ends = np.empty(_WINDOW + BLOCK, np.int64)
    heads = np.empty(_WINDOW + BLOCK, np.uint64)
    tails = np.empty(_WINDOW + BLOCK, np.uint64)
    hashes = np.empty(_WINDOW + BLOCK, np.uint64)
    tokens = np.empty(_WINDOW + BLOCK, np.int64)
    edge = np.zeros(BLOCK, np.uint8)
    dashes_and_quotes = _are_isolated(entries, 0x2010, 0x2027)
    for text in range(first, last):
        text_at = at
        stop = at + max_tokens
        next_run, text_end = offsets[text], offsets[text + 1]
        if status[text] == DONE and scans and holds_pattern(data, next_run, text_end, pattern_data, pattern_offsets, pattern_groups):
            status[text] = FALLBACK
        while next_run < text_end and at < stop and status[text] == DONE:
            if usual:
                runs, next_run, cut = _cut_runs(data, next_run, text_end, pattern_bytes, dashes_and_quotes, edge, run_begins, run_ends)
            else:
                runs, run_begins[0], run_ends[0], next_run, cut = 1, next_run, text_end, text_end, False
            longest = min(max_word_chars, 16) if cut else 0
            _look_up(data, run_begins, run_ends, runs, longest, lowercases, words, memo, heads, tails, hashes, tokens)
            for run in range(runs):
                i, end = run_begins[run], run_ends[run]
                if tokens[run] >= 0:
                    ids[at] = tokens[run]
                    at += tokens[run] != unknown
                    continue
                if tokens[run] == ABSENT:
                    at = _cut_short_word(heads[run], tails[run], end - i, hashes[run], trie, unknown, memo, word, ids, at)
                    continue
                while i < end:
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
                            at = _emit_short_word(head, tail, length, words, trie, unknown, memo, word, ids, at)
                            i = j
                            continue
                    elif byte_kind >= BYTE_ISOLATE:
                        if byte_kind == BYTE_BEGINS_PATTERN and pattern_at(data, i, end, pattern_data, pattern_offsets, pattern_groups):
                            status[text] = FALLBACK
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
                        _mark_missing(data, i, text_end, entries, missing)
                        status[text] = FALLBACK
                        break
                    if 0 < chars <= max_word_chars:
                        at = _emit_word(word, length, words, trie, unknown, memo, ids, at)
                if at >= stop or status[text] != DONE:
                    break
        at = min(at, stop) if status[text] == DONE else text_at
        undone += status[text] != DONE
        ends[text] = at
    return undone


@inner
def _cut_runs(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    pattern_bytes: NDArray[np.uint8],
    dashes_and_quotes: bool,
    edge: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> tuple[int, int, bool]:
    """Cut text into runs: an ASCII punctuation mark is one, and so is all that stands between those and ASCII white space.

    So are most of U+2010 to U+2027, dashes and quotation marks, if `dashes_and_quotes`; a few of them stay in the runs beside them.

    Args:
        data, begin, end: the text is ``data[begin:end]``, not empty, and no run stands across `begin`.
        pattern_bytes: see `tokenize_texts`.
        dashes_and_quotes: whether each of these is a word by itself.
        edge: uint8, shape (BLOCK,): room for a copy of the last bytes of `data`.
        begins, ends: int64, shape (_WINDOW + BLOCK,), written: where the runs begin and end.

    Returns:
        The number of runs, where those after them begin, and whether this is right. If it is not, for there is a control character or what
        may be an added token, there is one run, the whole text.
    """
    # As literals, what is called with them would be compiled once more for that.
    found_begins = np.int64(0)
    found_ends = np.int64(0)
    after_solid = np.uint64(0)
    after_mark = np.uint64(0)
    i = begin
    # A run that is longer than the window is followed to its end.
    while i < end and (i < begin + _WINDOW or found_ends == 0):
        if i + BLOCK <= len(data):
            block, at = data, i
        else:
            for k in range(len(data) - i):
                edge[k] = data[i + k]
            block, at = edge, 0
        inside = _ALL >> np.uint64(BLOCK - min(end - i, BLOCK))
        solid, marks, others = _classify(block, at, pattern_bytes)
        solid, marks, others = solid & inside, marks & inside, others & inside
        if others != 0:
            begins[0], ends[0] = begin, end
            return 1, end, False
        triples = np.uint64(0)
        if dashes_and_quotes:
            # Their three bytes, if all of them and the one after are in the block.
            triples = bytes_between(block, at, 0xE2, 0xE2) & bytes_between(block, at, 0x80, 0x80) >> _ONE
            triples &= bytes_between(block, at, 0x90, 0xA7) >> np.uint64(2) & inside & _ALL >> np.uint64(3)
            solid &= ~(triples | triples << _ONE | triples << np.uint64(2))
        follows_solid = solid << _ONE | after_solid
        first_bytes = solid & ~follows_solid | marks | triples
        past_last_bytes = follows_solid & ~solid | marks << _ONE | after_mark | triples << np.uint64(3)
        after_solid, after_mark = solid >> np.uint64(63), marks >> np.uint64(63)
        found_begins = _write_places(first_bytes, i, begins, found_begins)
        found_ends = _write_places(past_last_bytes, i, ends, found_ends)
        i += BLOCK
    if found_begins > found_ends:
        if after_mark != 0 or i >= end:
            ends[found_ends] = i
        else:
            # The window ends within a run, which is for the next one.
            return found_ends, begins[found_ends], True
    return found_begins, min(i, end), True


@inner
def _look_up(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    runs: int,
    longest: int,
    lowercases: bool,
    words: NDArray[np.uint64],
    memo: NDArray[np.uint64],
    heads: NDArray[np.uint64],
    tails: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
    tokens: NDArray[np.int64],
) -> None:
    """Find the tokens of runs of ASCII of at most `longest` bytes, which are words, with small letters for capitals if it `lowercases`.

    Written are `tokens`: the id of each, `ABSENT` if the vocabulary does not have it whole, `_NO_WORD` for the other runs; and of words `heads` and
    `tails`, their bytes, and `hashes`.

    First memory is asked for the rows of all, then they are looked at, and so with those of the memo for what the vocabulary does not have: to
    wait for them one by one was a quarter of the time that tokenising and pooling War and Peace took.
    """
    for run in range(runs):
        i = begins[run]
        length = ends[run] - i
        tokens[run] = _NO_WORD
        if length <= longest and i + 16 <= len(data):
            head_mask, tail_mask = word_masks(length)
            head, tail = load_word(data, i) & head_mask, load_word(data, i + 8) & tail_mask
            if (head | tail) & _ASCII == 0:
                if lowercases:
                    head, tail = lowercase_word(head), lowercase_word(tail)
                hashed = memo_hash(word_key(head, tail))
                prefetch_word(words, hashed)
                heads[run], tails[run], hashes[run], tokens[run] = head, tail, hashed, ABSENT
    for run in range(runs):
        if tokens[run] == ABSENT:
            tokens[run] = find_hashed_word(words, hashes[run], heads[run], tails[run])
            if tokens[run] == ABSENT:
                prefetch_row(memo, hashes[run], word_key(heads[run], tails[run]))


@inner_always
def _write_places(bits: np.uint64, i: int, places: NDArray[np.int64], found: int) -> int:
    """Write `i` more than the place of each of the bits that are set to ``places[found:]``, and return where they end."""
    count = count_ones(bits)
    # How many there are is never known beforehand, so most blocks shall take as many steps; what is too many is written over.
    for k in range(_USUAL_RUNS):
        places[found + k] = i + trailing_zeros(bits)
        bits &= bits - _ONE
    for k in range(_USUAL_RUNS, count):
        places[found + k] = i + trailing_zeros(bits)
        bits &= bits - _ONE
    return found + count


@inner
def _are_isolated(entries: NDArray[np.uint64], low: int, high: int) -> bool:
    """Whether the code points from `low` to `high` are known to be words by themselves."""
    for code_point in range(low, high + 1):
        if entries[code_point] & np.uint64(15) != np.uint64(ISOLATE):
            return False
    return True


@inner
def _classify(data: NDArray[np.uint8], i: int, pattern_bytes: NDArray[np.uint8]) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Which of 64 bytes are ASCII letters and digits or beyond ASCII, which are ASCII punctuation, and which are neither those nor white space.

    What may begin an added token counts as the last.
    """
    solid = bytes_between(data, i, 0x80, 0xFF) | bytes_between(data, i, 0x61, 0x7A) | bytes_between(data, i, 0x41, 0x5A)
    solid |= bytes_between(data, i, 0x30, 0x39)
    marks = bytes_between(data, i, 0x21, 0x7E) & ~solid
    spaces = bytes_between(data, i, 0x20, 0x20) | bytes_between(data, i, 0x09, 0x0A) | bytes_between(data, i, 0x0D, 0x0D)
    for byte in pattern_bytes:
        marks &= ~bytes_between(data, i, byte, byte)
    return solid, marks, ~(solid | marks | spaces)


@inner
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


@inner
def _ends_word(data: NDArray[np.uint8], i: int, byte_kinds: NDArray[np.uint8], entries: NDArray[np.uint64]) -> bool:
    """Whether what stands at `i` ends a word that stands before it."""
    if data[i] < 0x80:
        return byte_kinds[data[i]] >= BYTE_SPACE
    code_point, _ = decode(data, i)
    kind = entries[code_point] & np.uint64(15)
    return kind == np.uint64(SPACE) or kind == np.uint64(ISOLATE)


@inner
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
            ask_for_page(code_point, missing)
            return i, length, chars, False
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


@inner
def _mark_missing(data: NDArray[np.uint8], i: int, end: int, entries: NDArray[np.uint64], missing: NDArray[np.uint8]) -> None:
    """Write 1 to `missing` for each page that ``data[i:end]`` needs and that is not learnt."""
    while i < end:
        code_point, size = decode(data, i)
        if entries[code_point] == UNLEARNT:
            ask_for_page(code_point, missing)
        i += size


@inner
def _emit_word(
    word: NDArray[np.uint8],
    length: int,
    words: NDArray[np.uint64],
    trie: NDArray[np.int64],
    unknown: int,
    memo: NDArray[np.uint64],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the ids of the word ``word[:length]`` from `at` on, less the unknown one, and return where they end."""
    if length > 16:
        return emit_pieces(word, length, trie, unknown, ids, at)
    head = load_word(word, 0) & word_mask(min(length, 8))
    tail = load_word(word, 8) & word_mask(max(length - 8, 0))
    return _emit_short_word(head, tail, length, words, trie, unknown, memo, word, ids, at)


@inner_always
def _emit_short_word(
    head: np.uint64,
    tail: np.uint64,
    length: int,
    words: NDArray[np.uint64],
    trie: NDArray[np.int64],
    unknown: int,
    memo: NDArray[np.uint64],
    word: NDArray[np.uint8],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """The same for a word of at most 16 bytes in two registers; `word` is room for it."""
    hashed = memo_hash(word_key(head, tail))
    token = find_hashed_word(words, hashed, head, tail)
    if token == ABSENT:
        return _cut_short_word(head, tail, length, hashed, trie, unknown, memo, word, ids, at)
    if token != unknown:
        ids[at] = token
        at += 1
    return at


@inner
def _cut_short_word(
    head: np.uint64,
    tail: np.uint64,
    length: int,
    hashed: np.uint64,
    trie: NDArray[np.int64],
    unknown: int,
    memo: NDArray[np.uint64],
    word: NDArray[np.uint8],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """The same for such a word that the vocabulary does not have whole; `hashed` is its `memo_hash`."""
    key = word_key(head, tail)
    row = find_row(memo, hashed, key, length)
    if row >= 0:
        # Not more than that: what stands behind may be another thread's.
        return copy_ids_only(memo, row, ids, at)
    store_word(word, 0, head)
    store_word(word, 8, tail)
    end = emit_pieces(word, length, trie, unknown, ids, at)
    remember(memo, hashed, key, length, NO_FLAGS, ids, at, end)
    return end


@inner
def emit_pieces(word: NDArray[np.uint8], length: int, trie: NDArray[np.int64], unknown: int, ids: NDArray[np.int32], at: int) -> int:
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
    workers: int,
    byte_kinds: NDArray[np.uint8],
    usual: bool,
    pattern_bytes: NDArray[np.uint8],
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
    memos: NDArray[np.uint64],
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
    ends: NDArray[np.int64],
    ids: NDArray[np.int32],
) -> int:
    """Tokenise a batch by `workers` threads: segment ``s`` is texts ``segments[s]`` to ``segments[s + 1] - 1``.

    `memos`, see `make_memos`, has one for each, or more. The other arguments are those of `tokenize_texts`.

    Returns how many texts are not `DONE`.
    """
    undone = np.empty(len(segments) - 1, np.int64)
    counter = np.zeros(1, np.int64)
    for worker in prange(workers):
        segment = claim(counter)
        while segment < len(segments) - 1:
            undone[segment] = tokenize_texts(
                data,
                offsets,
                segments[segment],
                segments[segment + 1],
                byte_kinds,
                usual,
                pattern_bytes,
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
                memos[worker],
                missing,
                status,
                ends,
                ids,
                offsets[segments[segment]] - offsets[0],
            )
            segment = claim(counter)
    # Each segment wrote where its bytes stand, so that none could be in another's way: close the gaps.
    at = 0
    for segment in range(len(segments) - 1):
        begin = offsets[segments[segment]] - offsets[0]
        shift = begin - at
        for text in range(segments[segment], segments[segment + 1]):
            for i in range(at + shift, ends[text]):
                ids[i - shift] = ids[i]
            at = ends[text] - shift
            ends[text] = at
    return undone.sum()


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
                _mark_missing(data, i, end, entries, missing)
                status[text] = FALLBACK
                break
        if holds_pattern(normalized, 0, length, pattern_data, pattern_offsets, pattern_groups):
            status[text] = FALLBACK
