"""BERT's pipeline compiled: BertNormalizer, BertPreTokenizer and WordPiece in one pass over the bytes of a batch.

A text goes through the functions in this order. `_cut_runs` cuts it into runs at white space and punctuation, 64 bytes at a time. `tokenize_texts`
then goes through the runs. A short run of ASCII is a word and is looked up as it is, in two registers. Any other run is read code point by code point
with `_normalize_word`. `split_word` splits a word that is not in the vocabulary. A cache keeps the ids of short words that were split, because
splitting a word took 125 ns, twelve times as long as looking one up.

Cutting first and looking up afterwards makes the look-ups independent of each other, so the processor works on several at a time. English took twice
as long when the kernel had to finish a word before it knew where the next one begins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch
from model2vec_numba.jit.decorators import compiled, inner, inner_always
from model2vec_numba.jit.simd import (
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
from model2vec_numba.tokenization.added_tokens.cutting import Cutter, replace_held
from model2vec_numba.tokenization.added_tokens.finder import Finder, make_finder
from model2vec_numba.tokenization.added_tokens.reading import NO_TOKENS
from model2vec_numba.tokenization.added_tokens.search import WORK_BYTES, holds_token
from model2vec_numba.tokenization.lookup.hashing import hash_key, word_key
from model2vec_numba.tokenization.lookup.piece_cache import NO_FLAGS, copy_ids_exactly, find_row, insert, make_piece_cache, prefetch_row
from model2vec_numba.tokenization.lookup.word_pieces import (
    ABSENT,
    WordPieceVocabulary,
    find_hashed_word,
    find_word,
    prefetch_word,
    split_word,
)
from model2vec_numba.tokenization.stages import DONE, FALLBACK, SHORT_BYTES
from model2vec_numba.tokenization.unicode.pages import Pages, ask_for_page, no_pages
from model2vec_numba.tokenization.unicode.utf8 import decode

__all__ = ["BertCore", "BertTables"]

# The kind of a code point says what it does to the text. It is the lowest four bits of an entry. `CodePointTable` describes the other bits.
KIND_MASK = 15
NOT_FILLED = 0  # its page is not filled yet
DROP = 1  # it is removed
SPACE = 2  # it ends a word
WORD = 3  # it adds bytes to the word
ISOLATE = 4  # it ends a word and is a word by itself
LONG_WORD = 5  # like WORD, but its bytes are in the arena
NONSTARTER = 6  # like WORD, but canonical ordering may move it if it is next to another one
UNSUPPORTED = 7  # an entry cannot describe what it does

# The classes of bytes. `_ends_word` relies on their order.
BYTE_OTHER = 0
BYTE_ALNUM = 1  # a letter or digit that becomes itself or its small letter
BYTE_SPACE = 2
BYTE_ISOLATE = 3  # a word by itself that becomes itself

# A text is cut this many bytes at a time, so that the runs and the results of their look-ups stay in the first-level cache.
_WINDOW = 8 * BLOCK
# The status of a text that holds an added token.
_HOLDS = 2
# This number in place of the id of a run means that the run must be read character by character.
_NO_WORD = -2
# Most blocks have no more runs than this.
_EXPECTED_RUNS = 16
_ASCII = np.uint64(0x8080808080808080)
_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_UNBOUNDED = 1 << 62


class BertTables(NamedTuple):
    """The tables of a tokenizer that `tokenize_texts` needs.

    Attributes:
        byte_kinds: uint8, shape (256,): ``BYTE_...`` for each byte.
        ascii_is_standard: whether the tokenizer treats ASCII's letters, digits, white space and punctuation as such.
        lowercases: whether ASCII capitals become small letters.
        entries, arena: the result for each code point; see `CodePointTable`.
        pages: the pages of `entries`.
        vocabulary: the tokens.
        unknown_id: the unknown id.
        max_word_chars: a word of more characters is unknown.
    """

    byte_kinds: NDArray[np.uint8]
    ascii_is_standard: bool
    lowercases: bool
    entries: NDArray[np.uint64]
    arena: NDArray[np.uint8]
    pages: Pages
    vocabulary: WordPieceVocabulary
    unknown_id: int
    max_word_chars: int


class _Scratch:
    """Memory that one call works in. It is kept for the next call.

    Attributes:
        cache: the ids of words that were split; see `make_piece_cache`.
        missing: the pages that the kernel asked for; see `no_pages`. After a call it asks for no page.
        status, tokens: the status and the ids of a short text. Making such arrays took as long as tokenising a sentence.
    """

    __slots__ = ("cache", "missing", "status", "tokens")

    def __init__(self) -> None:
        self.cache = make_piece_cache()
        self.missing = no_pages()
        self.status = np.zeros(1, np.uint8)
        self.tokens = TokenBatch(np.zeros(SHORT_BYTES + 1, np.int32), np.zeros(2, np.int64))


class BertCore:
    """The tokeniser core for BERT's pipeline. It does all steps in one pass.

    Args:
        tables: the tables of the tokenizer.
        raw: the added tokens that are found in the text as it is.
    """

    name = "wordpiece"

    def __init__(self, tables: BertTables, raw: Finder) -> None:
        self._pages = tables.pages
        # A text can be cut at a space if a space always ends a word.
        self.cuts_at_spaces = bool(tables.byte_kinds[ord(" ")] == BYTE_SPACE)
        self._cutter = Cutter(raw)
        # The arguments of the kernel that are the same in every call.
        self._tables = tables.byte_kinds, tables.ascii_is_standard, tables.lowercases, tables.entries, tables.arena, *tables.vocabulary
        self._settings = tables.unknown_id, min(tables.max_word_chars, _UNBOUNDED)
        self._arguments = *self._tables, *raw.tables, *self._settings

    def make_scratch(self) -> _Scratch:
        """Return the memory of one call, as `Core.make_scratch` describes."""
        return _Scratch()

    def tokenize(self, texts: TextBatch, max_tokens: int | None, scratch: _Scratch) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        """Tokenise each text, as `Core.tokenize` describes."""
        status, tokens = scratch.status, scratch.tokens
        if len(texts) != 1 or len(texts.data) > SHORT_BYTES:
            status, tokens = np.zeros(len(texts), np.uint8), _empty_tokens(texts)
        limit = _UNBOUNDED if max_tokens is None else max_tokens
        while True:
            outputs = scratch.missing, status, tokens.offsets[1:], tokens.ids
            if not tokenize_texts(texts.data, texts.offsets, *self._arguments, limit, scratch.cache, *outputs):
                return tokens, None
            # The first texts in a new script need pages that are not filled. Fill the pages and do the batch again.
            filled = self._pages.fill(scratch.missing)
            found = status.copy()
            status[:] = DONE
            if not filled:
                return self._tokenize_holders(texts, tokens, found, max_tokens, scratch)

    def _tokenize_holders(
        self, texts: TextBatch, tokens: TokenBatch, status: NDArray[np.uint8], max_tokens: int | None, scratch: _Scratch
    ) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        """Cut and tokenise the texts whose status is `_HOLDS`, and return what `tokenize` returns. `tokens` has the ids of the other texts."""
        holds = (status == _HOLDS).view(np.uint8)
        if not np.count_nonzero(holds):
            return tokens, status
        status[holds != 0] = DONE
        cut = self._cutter.cut(texts, holds, status, keeps_others=False)
        span_status = np.zeros(len(cut.spans), np.uint8)
        span_tokens = self.tokenize_spans(cut.spans, None, max_tokens, span_status, scratch)
        joined = cut.join(span_tokens, span_status, max_tokens)
        ids, offsets = np.empty(int(tokens.offsets[-1] + joined.offsets[-1]), np.int32), np.empty(len(texts) + 1, np.int64)
        replace_held(tokens.ids, tokens.offsets, joined.ids, joined.offsets, holds, ids, offsets)
        return TokenBatch(ids, offsets), cut.status if np.count_nonzero(cut.status) else None

    def tokenize_spans(
        self, spans: TextBatch, _beginnings: NDArray[np.uint8] | None, max_tokens: int | None, status: NDArray[np.uint8], scratch: _Scratch
    ) -> TokenBatch:
        """Tokenise texts without looking for added tokens, as `SpanTokenizer.tokenize_spans` describes."""
        tokens = _empty_tokens(spans)
        before = status.copy()
        limit = _UNBOUNDED if max_tokens is None else max_tokens
        arguments = *self._tables, *_EMPTY_FINDER.tables, *self._settings, limit, scratch.cache, scratch.missing
        while True:
            tokenize_texts(spans.data, spans.offsets, *arguments, status, tokens.offsets[1:], tokens.ids)
            if not self._pages.fill(scratch.missing):
                return tokens
            status[:] = before


_EMPTY_FINDER = make_finder(NO_TOKENS, None)


def _empty_tokens(texts: TextBatch) -> TokenBatch:
    """Return memory for the ids of texts."""
    # One id more than the bytes, because the kernel writes an unknown id where the next id will be written.
    size = int(texts.offsets[-1] - texts.offsets[0]) + 1
    return TokenBatch(np.empty(size, np.int32), np.zeros(len(texts) + 1, np.int64))


@compiled()
def tokenize_texts(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    byte_kinds: NDArray[np.uint8],
    ascii_is_standard: bool,
    lowercases: bool,
    entries: NDArray[np.uint64],
    arena: NDArray[np.uint8],
    words: NDArray[np.uint64],
    trie: NDArray[np.int64],
    first_bytes: NDArray[np.uint8],
    grams: NDArray[np.uint8],
    lengths: NDArray[np.uint8],
    longer: NDArray[np.uint8],
    prefixes: NDArray[np.uint8],
    units: NDArray[np.uint64],
    unknown_id: int,
    max_word_chars: int,
    max_tokens: int,
    cache: NDArray[np.uint64],
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
    ends: NDArray[np.int64],
    ids: NDArray[np.int32],
) -> int:
    """Tokenise a batch.

    Args:
        data, offsets: the batch; see `TextBatch`.
        byte_kinds: uint8, shape (256,): ``BYTE_...`` for each byte.
        ascii_is_standard: whether ASCII has the classes of `_classify`.
        lowercases: whether ASCII capitals become small letters.
        entries, arena: see `CodePointTable`.
        words, trie: see `WordPieceVocabulary`.
        first_bytes, grams, lengths, longer, prefixes, units: the added tokens that are found in the text as it is; see `Finder`.
        unknown_id: the unknown id, which is dropped.
        max_word_chars: a word of more characters is unknown.
        max_tokens: the number of ids to keep of each text.
        cache: the ids of words of at most 16 bytes that were split; see `make_piece_cache`. It must always be used with the same vocabulary, and
            by one thread at a time.
        missing: uint8, output: which pages of `entries` are needed and not filled; see `no_pages`.
        status: uint8, shape (texts,), input and output. A text that is not `DONE` is skipped and has no ids. `FALLBACK` is written for texts that
            the `tokenizers` library must tokenise, and for texts that need a page that is not filled. `_HOLDS` is written for texts that hold
            an added token.
        ends: int64, shape (texts,), output: the end of each text's ids.
        ids: int32, output: the ids of the texts, one text after the other. A text has at most as many ids as bytes.

    Returns:
        The number of texts that are not `DONE`.
    """
    undone = 0
    at = np.int64(0)
    largest = 0
    for text in range(len(status)):
        largest = max(largest, offsets[text + 1] - offsets[text])
    # A word has at most four bytes for each character, and at most one character for each byte of its text. The other bytes are for
    # writes of whole uint64.
    word = np.empty(4 * min(max_word_chars, largest) + 64, np.uint8)
    run_begins = np.empty(_WINDOW + BLOCK, np.int64)
    run_ends = np.empty(_WINDOW + BLOCK, np.int64)
    heads = np.empty(_WINDOW + BLOCK, np.uint64)
    tails = np.empty(_WINDOW + BLOCK, np.uint64)
    hashes = np.empty(_WINDOW + BLOCK, np.uint64)
    tokens = np.empty(_WINDOW + BLOCK, np.int64)
    edge = np.zeros(BLOCK, np.uint8)
    work = np.empty(WORK_BYTES, np.uint8)
    dashes_and_quotes = _are_isolated(entries, 0x2010, 0x2027)
    for text in range(len(status)):
        text_at = at
        stop = at + max_tokens
        next_run, text_end = offsets[text], offsets[text + 1]
        if holds_token(data, next_run, text_end, first_bytes, grams, lengths, longer, prefixes, units, work):
            status[text] = _HOLDS
        while next_run < text_end and at < stop and status[text] == DONE:
            if ascii_is_standard:
                runs, next_run, cut = _cut_runs(data, next_run, text_end, dashes_and_quotes, edge, run_begins, run_ends)
            else:
                runs, run_begins[0], run_ends[0], next_run, cut = 1, next_run, text_end, text_end, False
            longest = min(max_word_chars, 16) if cut else 0
            _look_up(data, run_begins, run_ends, runs, longest, lowercases, words, cache, heads, tails, hashes, tokens)
            for run in range(runs):
                i, end = run_begins[run], run_ends[run]
                if tokens[run] >= 0:
                    ids[at] = tokens[run]
                    at += tokens[run] != unknown_id
                    continue
                if tokens[run] == ABSENT:
                    at = _cut_short_word(heads[run], tails[run], end - i, hashes[run], trie, unknown_id, cache, word, ids, at)
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
                            at = _emit_short_word(head, tail, length, words, trie, unknown_id, cache, word, ids, at)
                            i = j
                            continue
                    elif byte_kind == BYTE_ISOLATE:
                        token = find_word(words, np.uint64(data[i]), np.uint64(0))
                        if token != ABSENT and token != unknown_id:
                            ids[at] = token
                            at += 1
                        i += 1
                        continue
                    elif data[i] >= 0x80:
                        code_point, size = decode(data, i)
                        entry = entries[code_point]
                        if entry & np.uint64(KIND_MASK) == np.uint64(ISOLATE):
                            token = find_word(words, entry >> np.uint64(16), np.uint64(0))
                            if token != ABSENT and token != unknown_id:
                                ids[at] = token
                                at += 1
                            i += size
                            continue
                    i, length, chars, supported = _normalize_word(data, i, end, entries, arena, max_word_chars, missing, word)
                    if not supported:
                        _mark_missing(data, i, text_end, entries, missing)
                        status[text] = FALLBACK
                        break
                    if 0 < chars <= max_word_chars:
                        at = _emit_word(word, length, words, trie, unknown_id, cache, ids, at)
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
    dashes_and_quotes: bool,
    edge: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> tuple[int, int, bool]:
    """Cut text into runs. An ASCII punctuation mark is a run, and so is any text between white space and punctuation marks.

    If `dashes_and_quotes`, most dashes and quotation marks from U+2010 to U+2027 are runs too. A few of them stay in the runs next to them.

    Args:
        data, begin, end: the text is ``data[begin:end]``. It is not empty, and a run begins or ends at `begin`.
        dashes_and_quotes: whether each of U+2010 to U+2027 is a word by itself.
        edge: uint8, shape (BLOCK,): memory for a copy of the last bytes of `data`.
        begins, ends: int64, shape (_WINDOW + BLOCK,), output: where the runs begin and end.

    Returns:
        The number of runs, where the next runs begin, and whether the text was cut. If it holds a control character, it is not cut: there is
        one run, which is the whole text.
    """
    # The variables are int64, because numba compiles a function once more if it is called with a literal.
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
        solid, marks, others = _classify(block, at)
        solid, marks, others = solid & inside, marks & inside, others & inside
        if others != 0:
            begins[0], ends[0] = begin, end
            return 1, end, False
        triples = np.uint64(0)
        if dashes_and_quotes:
            # The first bytes of dashes and quotes whose three bytes and the byte after them are in the block.
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
            # The window ends within a run. This run is the first of the next window.
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
    cache: NDArray[np.uint64],
    heads: NDArray[np.uint64],
    tails: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
    tokens: NDArray[np.int64],
) -> None:
    """Look up the runs of at most `longest` ASCII bytes. Such a run is a word.

    The vocabulary's hash table is prefetched for all words before the first look-up, and so is the cache for words that are not in the
    vocabulary. Waiting for memory word by word took a quarter of the time of tokenising and pooling War and Peace.

    Args:
        data, begins, ends, runs: the runs are ``data[begins[k]:ends[k]]`` for ``k < runs``.
        longest: the maximum length of a word, at most 16.
        lowercases: whether ASCII capitals become small letters.
        words: see `WordPieceVocabulary`.
        cache: see `make_piece_cache`.
        heads, tails, hashes: uint64, output: the first eight bytes, the last eight bytes, and the hash of each word.
        tokens: int64, output: the id of a word, `ABSENT` if the word is not in the vocabulary, or `_NO_WORD` for other runs.
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
                hash_value = hash_key(word_key(head, tail))
                prefetch_word(words, hash_value)
                heads[run], tails[run], hashes[run], tokens[run] = head, tail, hash_value, ABSENT
    for run in range(runs):
        if tokens[run] == ABSENT:
            tokens[run] = find_hashed_word(words, hashes[run], heads[run], tails[run])
            if tokens[run] == ABSENT:
                prefetch_row(cache, hashes[run], word_key(heads[run], tails[run]))


@inner_always
def _write_places(bits: np.uint64, i: int, places: NDArray[np.int64], found: int) -> int:
    """Write ``i + k`` to ``places[found:]`` for each bit ``k`` of `bits` that is set, and return where they end."""
    count = count_ones(bits)
    # The number of steps is the same for most blocks, so that the branch is predicted. Places after the last bit are overwritten later.
    for k in range(_EXPECTED_RUNS):
        places[found + k] = i + trailing_zeros(bits)
        bits &= bits - _ONE
    for k in range(_EXPECTED_RUNS, count):
        places[found + k] = i + trailing_zeros(bits)
        bits &= bits - _ONE
    return found + count


@inner
def _are_isolated(entries: NDArray[np.uint64], low: int, high: int) -> bool:
    """Return whether the code points from `low` to `high` are known to be words by themselves."""
    for code_point in range(low, high + 1):
        if entries[code_point] & np.uint64(KIND_MASK) != np.uint64(ISOLATE):
            return False
    return True


@inner
def _classify(data: NDArray[np.uint8], i: int) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Classify 64 bytes. Return three masks with a bit for each byte.

    In the first mask the bits of ASCII letters and digits, and of bytes that are not ASCII, are set. In the second mask the bits of ASCII
    punctuation are set, and in the third mask the bits of all other bytes except white space.
    """
    solid = bytes_between(data, i, 0x80, 0xFF) | bytes_between(data, i, 0x61, 0x7A) | bytes_between(data, i, 0x41, 0x5A)
    solid |= bytes_between(data, i, 0x30, 0x39)
    marks = bytes_between(data, i, 0x21, 0x7E) & ~solid
    spaces = bytes_between(data, i, 0x20, 0x20) | bytes_between(data, i, 0x09, 0x0A) | bytes_between(data, i, 0x0D, 0x0D)
    return solid, marks, ~(solid | marks | spaces)


@inner
def _alnum_word(data: NDArray[np.uint8], i: int, end: int) -> tuple[np.uint64, np.uint64, int]:
    """Return the bytes of the ASCII letters and digits from `i` on as two uint64, and their number: at most 16, and not after `end`."""
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
    """Return whether a word before the character at `i` ends there: the character is white space, or a word by itself."""
    if data[i] < 0x80:
        # `BYTE_SPACE` or `BYTE_ISOLATE`.
        return byte_kinds[data[i]] >= BYTE_SPACE
    code_point, _ = decode(data, i)
    kind = entries[code_point] & np.uint64(KIND_MASK)
    return kind == np.uint64(SPACE) or kind == np.uint64(ISOLATE)


@inner
def _normalize_word(
    data: NDArray[np.uint8],
    i: int,
    end: int,
    entries: NDArray[np.uint64],
    arena: NDArray[np.uint8],
    max_word_chars: int,
    missing: NDArray[np.uint8],
    word: NDArray[np.uint8],
) -> tuple[int, int, int, bool]:
    """Write the first normalised word of ``data[i:end]`` to `word`.

    Returns:
        The position to read on from, the word's length in bytes and in characters, and whether the text is supported. The lengths are 0 if there
        is no word. If a word has more than `max_word_chars` characters, its bytes are not complete.
    """
    length = 0
    chars = 0
    after_nonstarter = False
    while i < end:
        code_point, size = decode(data, i)
        entry = entries[code_point]
        kind = np.int64(entry & np.uint64(KIND_MASK))
        if kind == ISOLATE and chars > 0:
            break
        i += size
        if kind == SPACE:
            break
        if kind == DROP:
            if chars == 0:
                break  # the caller handles some characters before it calls this function
            continue
        if kind == NOT_FILLED:
            ask_for_page(code_point, missing)
            return i, length, chars, False
        if kind == UNSUPPORTED or (kind == NONSTARTER and after_nonstarter):
            return i, length, chars, False
        after_nonstarter = kind == NONSTARTER
        if chars <= max_word_chars:
            payload = entry >> np.uint64(16)
            if kind == LONG_WORD:
                store_word(word, length, load_word(arena, np.int64(payload)))
                store_word(word, length + 8, load_word(arena, np.int64(payload) + 8))
            else:
                store_word(word, length, payload)
            length += np.int64((entry >> np.uint64(4)) & np.uint64(15))
        chars += np.int64((entry >> np.uint64(8)) & np.uint64(255))
        if kind == ISOLATE:
            break
    return i, length, chars, True


@inner
def _mark_missing(data: NDArray[np.uint8], i: int, end: int, entries: NDArray[np.uint64], missing: NDArray[np.uint8]) -> None:
    """Ask in `missing` for each page that ``data[i:end]`` needs and that is not filled."""
    while i < end:
        code_point, size = decode(data, i)
        if entries[code_point] == NOT_FILLED:
            ask_for_page(code_point, missing)
        i += size


@inner
def _emit_word(
    word: NDArray[np.uint8],
    length: int,
    words: NDArray[np.uint64],
    trie: NDArray[np.int64],
    unknown_id: int,
    cache: NDArray[np.uint64],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the ids of the word ``word[:length]`` to ``ids[at:]``, without the unknown id, and return where they end."""
    if length > 16:
        return split_word(word, length, trie, unknown_id, ids, at)
    head = load_word(word, 0) & word_mask(min(length, 8))
    tail = load_word(word, 8) & word_mask(max(length - 8, 0))
    return _emit_short_word(head, tail, length, words, trie, unknown_id, cache, word, ids, at)


@inner_always
def _emit_short_word(
    head: np.uint64,
    tail: np.uint64,
    length: int,
    words: NDArray[np.uint64],
    trie: NDArray[np.int64],
    unknown_id: int,
    cache: NDArray[np.uint64],
    word: NDArray[np.uint8],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the ids of a word of at most 16 bytes to ``ids[at:]``, without the unknown id, and return where they end.

    `head`, `tail`: the bytes of the word. `word`: memory to work in.
    """
    hash_value = hash_key(word_key(head, tail))
    token = find_hashed_word(words, hash_value, head, tail)
    if token == ABSENT:
        return _cut_short_word(head, tail, length, hash_value, trie, unknown_id, cache, word, ids, at)
    if token != unknown_id:
        ids[at] = token
        at += 1
    return at


@inner
def _cut_short_word(
    head: np.uint64,
    tail: np.uint64,
    length: int,
    hash_value: np.uint64,
    trie: NDArray[np.int64],
    unknown_id: int,
    cache: NDArray[np.uint64],
    word: NDArray[np.uint8],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the ids of a word that is not in the vocabulary to ``ids[at:]``, and return where they end. The word has at most 16 bytes.

    `hash_value`: the word's `hash_key`. `word`: memory to work in.
    """
    key = word_key(head, tail)
    row = find_row(cache, hash_value, key, length)
    if row >= 0:
        # Nothing may be written after the ids, because `ids` may end there.
        return copy_ids_exactly(cache, row, ids, at)
    store_word(word, 0, head)
    store_word(word, 8, tail)
    end = split_word(word, length, trie, unknown_id, ids, at)
    insert(cache, hash_value, key, length, NO_FLAGS, ids, at, end)
    return end
