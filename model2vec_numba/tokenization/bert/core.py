"""BERT's pipeline compiled: BertNormalizer, BertPreTokenizer and WordPiece in one pass over the bytes of a batch.

A text is cut into chunks at white space. The ids of most chunks are in a cache, which is asked first. A chunk that is not in the cache is read run by
run: a run of ASCII letters and digits is a word as it is. Anything else is read code point by code point with `_normalize_word`. `split_word` then
splits the word into tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch, read_only
from model2vec_numba.jit.decorators import compiled, inner, inner_always
from model2vec_numba.jit.pointers import address_of, call_address_for_int, pack, unpack
from model2vec_numba.jit.simd import BLOCK, alnum_length, load_word, store_word
from model2vec_numba.jit.stack import stack_array
from model2vec_numba.tokenization.added_tokens.cutting import Cutter, replace_held
from model2vec_numba.tokenization.added_tokens.finder import Finder, make_finder
from model2vec_numba.tokenization.added_tokens.reading import NO_TOKENS
from model2vec_numba.tokenization.added_tokens.search import WORK_BYTES, holds_token, may_hold_token
from model2vec_numba.tokenization.chunks.cache import ChunkCache
from model2vec_numba.tokenization.chunks.rows import (
    CHUNK_HASH,
    CHUNK_HEAD,
    CHUNK_LENGTH,
    CHUNK_TAIL,
    CHUNK_WIDTH,
    MAX_CHUNK_BYTES,
    MAX_IDS,
    SMALL_BYTES,
    copy_large_chunk,
    copy_small_chunks,
    insert_chunk,
    is_full_cache,
    layout_of,
    load_chunk,
)
from model2vec_numba.tokenization.chunks.windows import BEGINS_END, CHUNKS_END, TEXTS_END, WINDOW_END, fill_window, make_window
from model2vec_numba.tokenization.lookup.word_pieces import split_word
from model2vec_numba.tokenization.stages import DONE, FALLBACK, SHORT_BYTES, PackedCore
from model2vec_numba.tokenization.subsets import replace_texts, select_texts
from model2vec_numba.tokenization.unicode.filling import Filler, ask_for, nothing_missing
from model2vec_numba.tokenization.unicode.utf8 import decode

__all__ = ["BertCore", "BertTables"]

# The kind of a code point says what it does to the text. It is the lowest four bits of an entry. `CodePointTable` describes the other bits.
KIND_MASK = 15
NOT_FILLED = 0  # it is not filled
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

# The status of a text that holds an added token.
_HOLDS = 2
_UNBOUNDED = 1 << 62
# Most words fit into this many bytes, which are on the stack.
_STACK_WORD = 512


class BertTables(NamedTuple):
    """The tables of a tokenizer that `tokenize_texts` needs.

    Attributes:
        byte_kinds: uint8, shape (256,): ``BYTE_...`` for each byte.
        lowercases: whether ASCII capitals become small letters.
        entries, arena: the result for each code point; see `CodePointTable`.
        filler: fills `entries`.
        trie: the tokens; see `build_vocabulary`.
        unknown_id: the unknown id.
        max_word_chars: a word of more characters is unknown.
    """

    byte_kinds: NDArray[np.uint8]
    lowercases: bool
    entries: NDArray[np.uint64]
    arena: NDArray[np.uint8]
    filler: Filler
    trie: NDArray[np.uint64]
    unknown_id: int
    max_word_chars: int


class _Scratch:
    """Memory that one call works in. It is kept for the next call.

    Attributes:
        missing: the entries that the kernel asked for; see `nothing_missing`. After a call it asks for nothing.
        window: see `make_window`.
        status, tokens: the status and the ids of a short text. Making such arrays took as long as tokenising a sentence.
    """

    __slots__ = ("missing", "status", "tokens", "window")

    def __init__(self) -> None:
        self.missing = nothing_missing()
        self.window = make_window()
        self.status = np.zeros(1, np.uint8)
        self.tokens = TokenBatch(np.zeros(SHORT_BYTES + MAX_IDS, np.int32), np.zeros(2, np.int64))


class BertCore:
    """The tokeniser core for BERT's pipeline. It does all steps in one pass.

    Args:
        tables: the tables of the tokenizer.
        raw: the added tokens that are found in the text as it is.
        finds_in_texts: whether one of them may hold white space.
    """

    name = "wordpiece"
    cuts_at_spaces = True

    def __init__(self, tables: BertTables, raw: Finder, *, finds_in_texts: bool) -> None:
        self._filler = tables.filler
        self._cutter = Cutter(raw)
        # The arguments of the kernel that are the same in every call.
        self._tables = tables.byte_kinds, tables.lowercases, tables.entries, tables.arena, tables.trie
        self._settings = tables.unknown_id, min(tables.max_word_chars, _UNBOUNDED)
        self._arguments = *self._tables, *raw.tables, finds_in_texts, *self._settings
        self._cache = ChunkCache()

    def make_scratch(self) -> _Scratch:
        """Return the memory of one call, as `Core.make_scratch` describes."""
        return _Scratch()

    def pack(self, max_texts: int) -> PackedCore | None:
        """Return what tokenises a few texts with one call, as `Core.pack` describes."""
        missing, status = nothing_missing(), np.zeros(max_texts, np.uint8)
        offsets, ids = np.zeros(2, np.int64), np.empty(MAX_IDS, np.int32)
        texts = TextBatch(read_only(np.zeros(BLOCK, np.uint8)), offsets)
        window = make_window()
        outputs = missing, window, status[:1], offsets[1:], ids
        kernel = address_of(tokenize_texts, (texts.data, texts.offsets, *self._arguments, _UNBOUNDED, self._cache.rows, *outputs))
        arrays = [*(argument for argument in self._arguments if isinstance(argument, np.ndarray)), missing, window, status]
        numbers = [int(argument) for argument in self._arguments if not isinstance(argument, np.ndarray)]
        packed = pack([kernel or 0, *numbers], arrays)
        address = address_of(tokenize_packed, (packed, _UNBOUNDED, self._cache.rows, texts.data, offsets, offsets, ids))
        return None if kernel is None or address is None else PackedCore(address, packed, self._cache, arrays)

    def tokenize(self, texts: TextBatch, max_tokens: int | None, scratch: _Scratch) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        """Tokenise each text, as `Core.tokenize` describes."""
        status, tokens = scratch.status, scratch.tokens
        if len(texts) != 1 or len(texts.data) > SHORT_BYTES:
            status, tokens = np.zeros(len(texts), np.uint8), _empty_tokens(texts)
        limit = _UNBOUNDED if max_tokens is None else max_tokens
        outputs = scratch.missing, scratch.window, status, tokens.offsets[1:], tokens.ids
        undone = tokenize_texts(texts.data, texts.offsets, *self._arguments, limit, self._cache.rows, *outputs)
        self._cache.grow()
        if not undone:
            return tokens, None
        if not self._filler.fill(scratch.missing):
            found = status.copy()
            status[:] = DONE
            return self._tokenize_holders(texts, tokens, found, max_tokens, scratch)
        # Characters that were never met before need entries that were not filled. Tokenise the texts again that are not done.
        positions = status.nonzero()[0]
        status[:] = DONE
        again, again_status = self.tokenize(select_texts(texts, positions), max_tokens, scratch)
        tokens = replace_texts(tokens, positions, again)
        if again_status is None:
            return tokens, None
        all_status = np.full(len(texts), DONE, np.uint8)
        all_status[positions] = again_status
        return tokens, all_status

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
        arguments = *self._tables, *_EMPTY_FINDER.tables, False, *self._settings, limit
        while True:
            outputs = scratch.missing, scratch.window, status, tokens.offsets[1:], tokens.ids
            tokenize_texts(spans.data, spans.offsets, *arguments, self._cache.rows, *outputs)
            self._cache.grow()
            if not self._filler.fill(scratch.missing):
                return tokens
            status[:] = before


_EMPTY_FINDER = make_finder(NO_TOKENS, None)


def _empty_tokens(texts: TextBatch) -> TokenBatch:
    """Return memory for the ids of texts."""
    # The kernel may overwrite a few elements after the last id.
    size = int(texts.offsets[-1] - texts.offsets[0]) + MAX_IDS
    return TokenBatch(np.empty(size, np.int32), np.zeros(len(texts) + 1, np.int64))


@compiled()
def tokenize_texts(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    byte_kinds: NDArray[np.uint8],
    lowercases: bool,
    entries: NDArray[np.uint64],
    arena: NDArray[np.uint8],
    trie: NDArray[np.uint64],
    first_bytes: NDArray[np.uint8],
    grams: NDArray[np.uint8],
    lengths_of_tokens: NDArray[np.uint8],
    longer: NDArray[np.uint8],
    prefixes: NDArray[np.uint8],
    units: NDArray[np.uint64],
    finds_in_texts: bool,
    unknown_id: int,
    max_word_chars: int,
    max_tokens: int,
    cache: NDArray[np.uint64],
    missing: NDArray[np.int32],
    window_memory: NDArray[np.uint64],
    status: NDArray[np.uint8],
    ends: NDArray[np.int64],
    ids: NDArray[np.int32],
) -> int:
    """Tokenise a batch.

    Args:
        data, offsets: the batch; see `TextBatch`.
        byte_kinds: uint8, shape (256,): ``BYTE_...`` for each byte.
        lowercases: whether ASCII capitals become small letters.
        entries, arena: see `CodePointTable`.
        trie: see `build_vocabulary`.
        first_bytes, grams, lengths_of_tokens, longer, prefixes, units: the added tokens that are found in the text as it is; see `Finder`.
        finds_in_texts: whether an added token may hold white space. Then whole texts are searched for added tokens. Otherwise chunks are searched.
        unknown_id: the unknown id, which is dropped.
        max_word_chars: a word of more characters is unknown.
        max_tokens: the number of ids to keep of each text.
        cache: the ids of chunks; see `make_rows`. It must always be used with the same tables.
        missing: int32, output: which of `entries` are needed and not filled; see `nothing_missing`.
        window_memory: memory to work in; see `make_window`.
        status: uint8, shape (texts,), input and output. A text that is not `DONE` is skipped and has no ids. `FALLBACK` is written for texts that
            the `tokenizers` library must tokenise, and for texts that need an entry that is not filled. `_HOLDS` is written for texts that hold
            an added token.
        ends: int64, shape (texts,), output: the end of each text's ids.
        ids: int32, output: the ids of the texts, one text after the other. A text has at most as many ids as bytes. `MAX_IDS` elements after the
            last id may be overwritten.

    Returns:
        The number of texts that are not `DONE`.
    """
    undone = 0
    text = at = text_at = np.int64(0)
    position = offsets[0]
    # The characters of a word are complete only up to `max_word_chars`. The other bytes are for writes of whole uint64.
    largest = 0
    for k in range(len(status)):
        largest = max(largest, offsets[k + 1] - offsets[k])
    word_bytes = 4 * min(max_word_chars, largest) + 64
    word, work = stack_array(_STACK_WORD, np.uint8), stack_array(WORK_BYTES, np.uint8)
    if word_bytes > _STACK_WORD:
        word = np.empty(word_bytes, np.uint8)
    begins, chunks = window_memory[:BEGINS_END].view(np.int64), window_memory[BEGINS_END:CHUNKS_END]
    text_chunks, edge = window_memory[CHUNKS_END:TEXTS_END].view(np.int64), window_memory[TEXTS_END:WINDOW_END].view(np.uint8)
    layout = layout_of(cache)
    while text < len(status):
        window, position, is_complete = fill_window(
            data, offsets, text, position, True, False, False, cache, layout, edge, text_chunks, begins, chunks
        )
        chunk = np.uint64(0)
        for k in range(window):
            stop_at = text_at + min(max_tokens, len(ids))
            last = np.uint64(text_chunks[k])
            text_end = offsets[text + 1]
            if finds_in_texts and holds_token(data, offsets[text], text_end, first_bytes, grams, lengths_of_tokens, longer, prefixes, units, work):
                status[text] = _HOLDS
            while status[text] == DONE:
                chunk, at = copy_small_chunks(cache, layout, chunks, chunk, last, ids, at, stop_at)
                if chunk == last or at >= stop_at:
                    break
                given = chunk * np.uint64(CHUNK_WIDTH)
                begin, length, hash_value = begins[chunk], np.int64(chunks[given + np.uint64(CHUNK_LENGTH)]), chunks[given + np.uint64(CHUNK_HASH)]
                if SMALL_BYTES < length <= MAX_CHUNK_BYTES:
                    found = copy_large_chunk(cache, layout, hash_value, load_chunk(data, begin, length), length, ids, at)
                    if found >= 0:
                        at = found
                        chunk += np.uint64(1)
                        continue
                end = begin + length
                head, tail = chunks[given + np.uint64(CHUNK_HEAD)], chunks[given + np.uint64(CHUNK_TAIL)]
                may_hold = not finds_in_texts and (length > SMALL_BYTES or may_hold_token(head, tail, first_bytes, grams))
                if may_hold and holds_token(data, begin, end, first_bytes, grams, lengths_of_tokens, longer, prefixes, units, work):
                    status[text] = _HOLDS
                    break
                first_id = at
                at = _tokenize_chunk(
                    data, begin, end, byte_kinds, lowercases, entries, arena, trie, unknown_id, max_word_chars, missing, word, ids, at
                )
                if at < 0:
                    _mark_missing(data, begin, text_end, entries, missing)
                    status[text] = FALLBACK
                    break
                if length <= MAX_CHUNK_BYTES:
                    insert_chunk(cache, layout, hash_value, load_chunk(data, begin, length), length, ids, first_id, at - first_id)
                chunk += np.uint64(1)
            if k + 1 == window and not is_complete and status[text] == DONE and at < stop_at:
                continue
            at = min(at, stop_at) if status[text] == DONE else text_at
            undone += status[text] != DONE
            ends[text] = text_at = at
            text += 1
            chunk = last
            if k + 1 == window:
                position = text_end
    return undone


@compiled()
def tokenize_packed(
    packed: NDArray[np.int64],
    max_tokens: int,
    cache: NDArray[np.uint64],
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    id_offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
) -> int:
    """Tokenise a few texts with the arguments that `BertCore.pack` packed, as `PackedCore` describes."""
    lowercases, finds_in_texts = packed[1] != 0, packed[2] != 0
    byte_kinds, entries, arena, trie = (
        unpack(packed, 5, np.uint8),
        unpack(packed, 7, np.uint64),
        unpack(packed, 9, np.uint8),
        unpack(packed, 11, np.uint64),
    )
    first_bytes = unpack(packed, 13, np.uint8).reshape(-1, 3)
    grams, lengths, longer, prefixes = (
        unpack(packed, 15, np.uint8),
        unpack(packed, 17, np.uint8),
        unpack(packed, 19, np.uint8),
        unpack(packed, 21, np.uint8),
    )
    units, missing, window = unpack(packed, 23, np.uint64), unpack(packed, 25, np.int32), unpack(packed, 27, np.uint64)
    texts = len(offsets) - 1
    status = unpack(packed, 29, np.uint8)[:texts]
    for text in range(texts):
        status[text] = DONE
    id_offsets[0] = 0
    finder = first_bytes, grams, lengths, longer, prefixes, units
    outputs = missing, window, status, id_offsets[1:], ids
    undone = call_address_for_int(
        packed[0],
        data,
        offsets,
        byte_kinds,
        lowercases,
        entries,
        arena,
        trie,
        *finder,
        finds_in_texts,
        packed[3],
        packed[4],
        max_tokens,
        cache,
        *outputs,
    )
    return undone + is_full_cache(cache)


@inner_always
def _tokenize_chunk(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    byte_kinds: NDArray[np.uint8],
    lowercases: bool,
    entries: NDArray[np.uint64],
    arena: NDArray[np.uint8],
    trie: NDArray[np.uint64],
    unknown_id: int,
    max_word_chars: int,
    missing: NDArray[np.int32],
    word: NDArray[np.uint8],
    ids: NDArray[np.int32],
    at: int,
) -> int:
    """Write the ids of the chunk ``data[begin:end]`` to ``ids[at:]``, without the unknown id, and return where they end.

    Return -1 if the chunk is not supported, or needs an entry that is not filled. `word`: memory to work in.
    """
    i = begin
    while i < end:
        byte_kind = byte_kinds[data[i]]
        stop = i
        if byte_kind == BYTE_ALNUM:
            stop = _end_of_alnum(data, i, end)
            if stop - i > max_word_chars or (stop < end and not _ends_word(data, stop, byte_kinds, entries)):
                stop = i
        elif byte_kind == BYTE_ISOLATE:
            stop = i + 1
        if stop > i:
            # Setting this bit makes a capital a small letter. It changes no small letter and no digit.
            case = np.uint64(0x20 if lowercases and byte_kind == BYTE_ALNUM else 0)
            at = split_word(data, i, stop, case, trie, unknown_id, ids, at)
            i = stop
            continue
        # The number of bytes of the word that is written to `word`. 0: there is none yet.
        length = np.int64(0)
        if data[i] >= 0x80:
            code_point, size = decode(data, i)
            entry = entries[code_point]
            if entry & np.uint64(KIND_MASK) == np.uint64(ISOLATE):
                store_word(word, 0, entry >> np.uint64(16))
                length = np.int64(entry >> np.uint64(4) & np.uint64(15))
                i += size
        if length == 0:
            i, length, chars, supported = _normalize_word(data, i, end, entries, arena, max_word_chars, missing, word)
            if not supported:
                return -1
            length = length if chars <= max_word_chars else 0
        at = split_word(word, 0, length, np.uint64(0), trie, unknown_id, ids, at)
    return at


@inner
def _end_of_alnum(data: NDArray[np.uint8], i: int, end: int) -> int:
    """Return where the ASCII letters and digits from `i` on end, at most `end`."""
    while i + 8 <= len(data):
        length = alnum_length(load_word(data, i))
        i += length
        if length < 8 or i >= end:
            return min(i, end)
    while i < end and alnum_length(np.uint64(data[i])) > 0:
        i += 1
    return i


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
    missing: NDArray[np.int32],
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
            ask_for(code_point, missing)
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
def _mark_missing(data: NDArray[np.uint8], i: int, end: int, entries: NDArray[np.uint64], missing: NDArray[np.int32]) -> None:
    """Ask in `missing` for each entry that ``data[i:end]`` needs and that is not filled."""
    while i < end:
        code_point, size = decode(data, i)
        if entries[code_point] == NOT_FILLED:
            ask_for(code_point, missing)
        i += size
