"""The backend for BERT's pipeline: recognises it in a `tokenizer.json`, holds its tables, and sends what they cannot do to the library."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.text import TextBatch, flatten, single_text
from model2vec_numba.threads import segments, threads
from model2vec_numba.tokenization.added_tokens import make_patterns
from model2vec_numba.tokenization.backend import TokenBatch, replace_texts
from model2vec_numba.tokenization.code_points import ISOLATE, SPACE, WORD, CodePointTable
from model2vec_numba.tokenization.library import LibraryBackend
from model2vec_numba.tokenization.memo import make_memos
from model2vec_numba.tokenization.pages import no_pages
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.wordpiece import (
    BYTE_ALNUM,
    BYTE_BEGINS_PATTERN,
    BYTE_ISOLATE,
    BYTE_OTHER,
    BYTE_SPACE,
    mark_normalized_patterns,
    tokenize_segments,
    tokenize_texts,
)
from model2vec_numba.tokenization.wordpiece_vocabulary import build_vocabulary
from model2vec_numba.words import BLOCK

__all__ = ["BertBackend"]

_UNBOUNDED = 1 << 62
# Fewer bytes are tokenised before the threads have started.
_PARALLEL_BYTES = 8192
# Longer texts are cut into parts of about this length.
_PART_BYTES = 1 << 16

# A longer text on its own is a batch.
_SHORT_BYTES = 1024

# The members that the parts of BERT's pipeline have, and their types.
_NORMALIZER = {"type": str, "clean_text": bool, "handle_chinese_chars": bool, "strip_accents": (bool, type(None)), "lowercase": bool}
_MODEL = {"type": str, "unk_token": str, "continuing_subword_prefix": str, "max_input_chars_per_word": int, "vocab": dict}


class _Room:
    """What a call works with, kept for the next.

    Attributes:
        memos: what is remembered of words, a row for each thread; see `make_memos`.
        offsets, status, tokens: for a text on its own, of at most `_SHORT_BYTES`; to make them took as long as to tokenise a sentence.
        for_one: the last arguments of `tokenize_texts` for it.
    """

    __slots__ = ("for_one", "memos", "offsets", "status", "tokens")

    def __init__(self, memos: NDArray[np.uint64]) -> None:
        self.memos = memos
        self.offsets = np.zeros(2, np.int64)
        self.status = np.zeros(1, np.uint8)
        self.tokens = TokenBatch(np.zeros(_SHORT_BYTES, np.int32), np.zeros(2, np.int64))
        # Which pages are missing is seen to where the text is done again.
        self.for_one = memos[0], no_pages(), self.status, self.tokens.offsets[1:], self.tokens.ids, 0


class BertBackend:
    """BertNormalizer, BertPreTokenizer and WordPiece, compiled. Make one with `for_spec`."""

    name = "wordpiece"

    @classmethod
    def for_spec(cls, spec: TokenizerSpec) -> BertBackend | None:
        """The backend for a tokenizer whose pipeline is BERT's; ``None`` for any other."""
        model = spec.parts["model"]
        if (
            _has_form(spec.parts.get("normalizer"), "BertNormalizer", _NORMALIZER)
            and spec.parts.get("pre_tokenizer") == {"type": "BertPreTokenizer"}
            and _has_form(model, "WordPiece", _MODEL)
            and spec.plain_vocabulary is not None
            and model["unk_token"] in model["vocab"]
            and model["max_input_chars_per_word"] >= 1
            and spec.keeps_ids
        ):
            backend = cls(spec)
            # An added token of which the normaliser leaves nothing is nowhere and everywhere: that is for the library.
            return backend if all(backend._normalized_added) else None
        return None

    def __init__(self, spec: TokenizerSpec) -> None:
        model = spec.parts["model"]
        self._library = LibraryBackend(spec)
        # The library's normaliser and pre-tokeniser of this file, from a tokeniser without a vocabulary: quick to make.
        empty = Tokenizer.from_str(json.dumps({**spec.parts, "model": {**model, "vocab": {}}, "added_tokens": []}))
        normalizer = spec.parts["normalizer"]
        strips_accents = normalizer["lowercase"] if normalizer["strip_accents"] is None else normalizer["strip_accents"]
        self._table = CodePointTable(empty.normalizer, empty.pre_tokenizer, decomposes=strips_accents)
        byte_kinds, lowercases = _byte_kinds(self._table)
        # No word holds a NUL, see `CodePointTable`, and the arrays could not tell it from padding.
        vocabulary, ids = spec.mapped_vocabulary
        tokens = flatten(vocabulary)
        if not tokens.data.all():
            kept = [token for token in vocabulary if "\0" not in token]
            tokens, ids = flatten(kept), np.array([vocabulary[token] for token in kept], np.int32)
        prefix = model["continuing_subword_prefix"].encode("utf-8")
        prefix_begins_words = not prefix or byte_kinds[prefix[0]] != BYTE_ISOLATE
        vocabulary_tables = build_vocabulary(tokens, ids, prefix, prefix_begins_words)
        added = spec.parts["added_tokens"]
        patterns = make_patterns(token["content"] for token in added if not token["normalized"] and token["content"])
        # Most begin with a bracket, and so are looked for only where a bracket is; any that does not is looked for at every byte.
        first_bytes = np.flatnonzero(np.diff(patterns.groups))
        scans = not bool((byte_kinds[first_bytes] == BYTE_ISOLATE).all())
        if not scans:
            byte_kinds[first_bytes] = BYTE_BEGINS_PATTERN
        self._normalized_added = [self._table.solid(token["content"]) for token in added if token["normalized"] and token["content"]]
        self._normalized_patterns = make_patterns(filter(None, self._normalized_added))
        # A text may be cut at a space, unless that can be within an added token.
        self.divides_texts = byte_kinds[ord(" ")] == BYTE_SPACE and not any(" " in token["content"] or token["normalized"] for token in added)
        self._rooms: list[_Room] = []
        # What every call hands to compiled code.
        self._tables = (
            byte_kinds,
            _is_usual(byte_kinds),
            np.flatnonzero(byte_kinds == BYTE_BEGINS_PATTERN).astype(np.uint8),
            lowercases,
            self._table.entries,
            self._table.pool,
            *vocabulary_tables,
            *patterns,
            scans,
            model["vocab"][model["unk_token"]],
            min(model["max_input_chars_per_word"], _UNBOUNDED),
        )

    def tokenize(self, texts: TextBatch, max_tokens: int | None) -> TokenBatch:
        """See `TokenizerBackend.tokenize`."""
        tokens, status = self._tokenize(texts, max_tokens)
        if status is not None:
            fallback = np.flatnonzero(status)
            lists = self._library.tokenize_lists([texts.text(int(i)) for i in fallback], max_tokens)
            tokens = replace_texts(tokens, fallback, lists)
        return tokens

    def _tokenize(self, texts: TextBatch, max_tokens: int | None) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        """The tokens of the texts, and, if any are for the library, which: those of which the status is not 0."""
        if max_tokens is not None or not self.divides_texts or len(texts.data) < 2 * _PART_BYTES:
            return self._run(texts, _UNBOUNDED if max_tokens is None else max_tokens)
        # Long texts are done in parts, so that all threads can work on them.
        parts, firsts = _divide(texts)
        tokens, status = self._run(parts, _UNBOUNDED)
        if status is not None:
            status = np.maximum.reduceat(status, firsts[:-1])
        return TokenBatch(tokens.ids, tokens.offsets[firsts]), status

    def _run(self, texts: TextBatch, limit: int) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        """What `_tokenize` does, for texts as they are."""
        data, begins, count = texts.data, texts.offsets, len(texts)
        ids = np.empty(len(data), np.int32)
        offsets = np.zeros(count + 1, np.int64)
        missing = no_pages()
        status = np.zeros(count, np.uint8)
        while True:
            if self._normalized_added:
                entries, pool = self._table.entries, self._table.pool
                mark_normalized_patterns(data, begins, entries, pool, *self._normalized_patterns, missing, status)
            written = missing, status, offsets[1:], ids
            with threads(len(data), _PARALLEL_BYTES) as workers:
                room = self._take_room(workers)
                if workers == 1:
                    undone = tokenize_texts(data, begins, 0, count, *self._tables, limit, room.memos[0], *written, 0)
                else:
                    undone = tokenize_segments(data, begins, segments(begins, workers), workers, *self._tables, limit, room.memos, *written)
                self._rooms.append(room)
            # The first texts in a new script find the tables without it, and are done again.
            if not undone or not self._table.pages.learn(missing):
                return TokenBatch(ids[: offsets[-1]], offsets), status if undone else None
            status[:] = 0

    def tokenize_one(self, data: NDArray[np.uint8], max_tokens: int | None, use: Callable[[TokenBatch], None]) -> None:
        """See `TokenizerBackend.tokenize_one`."""
        size = len(data) - BLOCK
        if size <= _SHORT_BYTES and not self._normalized_added:
            room = self._take_room(1)
            room.offsets[1] = size
            undone = tokenize_texts(data, room.offsets, 0, 1, *self._tables, _UNBOUNDED if max_tokens is None else max_tokens, *room.for_one)
            if undone:
                room.status[:] = 0
            else:
                use(room.tokens)
            self._rooms.append(room)
            if not undone:
                return
        use(self.tokenize(single_text(data), max_tokens))

    def _take_room(self, count: int) -> _Room:
        """Room for `count` threads, or for more. No other call has the same at the same time; it is put back afterwards."""
        try:
            room = self._rooms.pop()
        except IndexError:
            return _Room(make_memos(count))
        if len(room.memos) >= count:
            return room
        memos = make_memos(count)
        memos[: len(room.memos)] = room.memos
        return _Room(memos)

    def fallback_count(self, texts: TextBatch) -> int:
        """How many of the texts would go to the library."""
        status = self._tokenize(texts, None)[1]
        return 0 if status is None else int(np.count_nonzero(status))


def _divide(texts: TextBatch) -> tuple[TextBatch, NDArray[np.int64]]:
    """Cut long texts at spaces, where there are any.

    Returns:
        The parts, and the number of the first part of each text, with that of all parts after them.
    """
    cuts = []
    for text in np.flatnonzero(np.diff(texts.offsets) > 2 * _PART_BYTES):
        for at in range(int(texts.offsets[text]) + _PART_BYTES, int(texts.offsets[text + 1]) - _PART_BYTES, _PART_BYTES):
            space = texts.data[at : at + _PART_BYTES // 2].tobytes().find(b" ")
            if space >= 0:
                cuts.append(at + space)
    offsets = np.sort(np.concatenate([texts.offsets, np.array(cuts, np.int64)]), kind="stable")
    return TextBatch(texts.data, offsets), np.searchsorted(offsets, texts.offsets)


def _has_form(part: Any, kind: str, members: dict[str, Any]) -> bool:
    """Whether a part of a pipeline is of the kind, with these members and no others."""
    return (
        isinstance(part, dict)
        and part.get("type") == kind
        and part.keys() == members.keys()
        and all(isinstance(part[name], types) for name, types in members.items())
    )


def _byte_kinds(table: CodePointTable) -> tuple[NDArray[np.uint8], bool]:
    """What each byte is at a glance, and whether ASCII capitals become small. No byte is `BYTE_ALNUM` unless letters do the usual."""
    kinds = np.full(256, BYTE_OTHER, np.uint8)
    entries = [int(entry) for entry in table.entries[:128]]
    becomes = {c: chr(entry >> 16) for c, entry in enumerate(entries) if (entry >> 4) & 15 == 1}
    alnum = [c for c in range(128) if chr(c).isalnum()]
    same = all(becomes.get(c) == chr(c) for c in alnum)
    lower = all(becomes.get(c) == chr(c).lower() for c in alnum)
    for c, entry in enumerate(entries):
        if entry & 15 == SPACE:
            kinds[c] = BYTE_SPACE
        elif entry & 15 == ISOLATE and becomes[c] == chr(c):
            kinds[c] = BYTE_ISOLATE
        elif entry & 15 == WORD and c in alnum and (same or lower):
            kinds[c] = BYTE_ALNUM
    return kinds, lower and not same


def _is_usual(byte_kinds: NDArray[np.uint8]) -> bool:
    """Whether ASCII's letters and digits, white space and punctuation are just what they are called."""
    kinds = [(chr(c), int(kind)) for c, kind in enumerate(byte_kinds[:128])]
    return (
        all((kind == BYTE_ALNUM) == c.isalnum() for c, kind in kinds)
        and all(kind == BYTE_SPACE for c, kind in kinds if c in " \t\n\r")
        and all((kind >= BYTE_ISOLATE) == (c in string.punctuation) for c, kind in kinds)
    )
