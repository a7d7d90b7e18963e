"""The backend for BERT's pipeline: recognises it in a `tokenizer.json`, holds its tables, and sends what they cannot do to the library."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.text import TextBatch, flatten
from model2vec_numba.threads import segments, threads
from model2vec_numba.tokenization.added_tokens import make_patterns
from model2vec_numba.tokenization.backend import TokenBatch, replace_texts
from model2vec_numba.tokenization.code_points import ISOLATE, PAGE_COUNT, SPACE, WORD, CodePointTable
from model2vec_numba.tokenization.library import LibraryBackend
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.wordpiece import (
    BYTE_ALNUM,
    BYTE_BEGINS_PATTERN,
    BYTE_ISOLATE,
    BYTE_OTHER,
    BYTE_SPACE,
    FALLBACK,
    mark_normalized_patterns,
    tokenize_segments,
    tokenize_texts,
)
from model2vec_numba.tokenization.wordpiece_vocabulary import build_vocabulary

__all__ = ["BertBackend"]

_UNBOUNDED = 1 << 62
# Fewer bytes are tokenised before the threads have started.
_PARALLEL_BYTES = 8192

# The members that the parts of BERT's pipeline have, and their types.
_NORMALIZER = {"type": str, "clean_text": bool, "handle_chinese_chars": bool, "strip_accents": (bool, type(None)), "lowercase": bool}
_MODEL = {"type": str, "unk_token": str, "continuing_subword_prefix": str, "max_input_chars_per_word": int, "vocab": dict}


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
            and _keeps_ids(spec.parts.get("post_processor"))
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
        self._byte_kinds, self._lowercases = _byte_kinds(self._table)
        # No word holds a NUL, see `CodePointTable`, and the arrays could not tell it from padding.
        vocabulary = model["vocab"]
        if "\0" in "".join(vocabulary):
            vocabulary = {token: token_id for token, token_id in vocabulary.items() if "\0" not in token}
        ids = np.fromiter(vocabulary.values(), np.int32, len(vocabulary))
        prefix = model["continuing_subword_prefix"].encode("utf-8")
        prefix_begins_words = not prefix or self._byte_kinds[prefix[0]] != BYTE_ISOLATE
        self._vocabulary = build_vocabulary(flatten(list(vocabulary)), ids, prefix, prefix_begins_words)
        added = spec.parts["added_tokens"]
        self._patterns = make_patterns(token["content"] for token in added if not token["normalized"] and token["content"])
        # Most begin with a bracket, and so are looked for only where a bracket is; any that does not is looked for at every byte.
        first_bytes = np.flatnonzero(np.diff(self._patterns.groups))
        self._scans = not bool((self._byte_kinds[first_bytes] == BYTE_ISOLATE).all())
        if not self._scans:
            self._byte_kinds[first_bytes] = BYTE_BEGINS_PATTERN
        self._normalized_added = [self._table.solid(token["content"]) for token in added if token["normalized"] and token["content"]]
        self._normalized_patterns = make_patterns(filter(None, self._normalized_added))
        self._settings = (model["vocab"][model["unk_token"]], min(model["max_input_chars_per_word"], _UNBOUNDED))

    def tokenize(self, texts: TextBatch, max_tokens: int | None) -> TokenBatch:
        """See `TokenizerBackend.tokenize`."""
        ids = np.empty(int(texts.offsets[-1] - texts.offsets[0]), np.int32)
        counts = np.empty(len(texts), np.int64)
        status = np.zeros(len(texts), np.uint8)
        missing = np.zeros(PAGE_COUNT, np.uint8)
        limit = _UNBOUNDED if max_tokens is None else max_tokens
        end = self._run(texts, limit, missing, status, counts, ids)
        # The first texts in a new script find the tables without it, and are done again.
        while self._table.learn(missing):
            status[:], missing[:] = 0, 0
            end = self._run(texts, limit, missing, status, counts, ids)
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        tokens = TokenBatch(ids[:end], offsets)
        fallback = np.flatnonzero(status)
        if len(fallback):
            lists = self._library.tokenize_lists([texts.text(int(i)) for i in fallback], max_tokens)
            tokens = replace_texts(tokens, fallback, lists)
        return tokens

    def _run(
        self,
        texts: TextBatch,
        limit: int,
        missing: NDArray[np.uint8],
        status: NDArray[np.uint8],
        counts: NDArray[np.int64],
        ids: NDArray[np.int32],
    ) -> int:
        """Tokenise the batch with the tables as they are, into the arrays given, and return where the ids end."""
        entries, pool = self._table.entries, self._table.pool
        if len(self._normalized_patterns.offsets) > 1:
            mark_normalized_patterns(texts.data, texts.offsets, entries, pool, *self._normalized_patterns, missing, status)
        tables = (self._byte_kinds, self._lowercases, entries, pool, *self._vocabulary, *self._patterns, self._scans, *self._settings)
        with threads(len(ids), _PARALLEL_BYTES) as count:
            if count == 1:
                end = tokenize_texts(texts.data, texts.offsets, 0, len(texts), *tables, limit, missing, status, counts, ids, 0)
            else:
                split = segments(texts.offsets, count)
                end = tokenize_segments(texts.data, texts.offsets, split, *tables, limit, missing, status, counts, ids)
        return int(end)

    def fallback_count(self, texts: TextBatch) -> int:
        """How many of the texts would go to the library."""
        status = np.zeros(len(texts), np.uint8)
        missing = np.zeros(PAGE_COUNT, np.uint8)
        scratch = np.empty(int(texts.offsets[-1] - texts.offsets[0]), np.int32)
        counts = np.empty(len(texts), np.int64)
        while True:
            self._run(texts, _UNBOUNDED, missing, status, counts, scratch)
            if not self._table.learn(missing):
                return int(np.count_nonzero(status == FALLBACK))
            status[:], missing[:] = 0, 0


def _has_form(part: Any, kind: str, members: dict[str, Any]) -> bool:
    """Whether a part of a pipeline is of the kind, with these members and no others."""
    return (
        isinstance(part, dict)
        and part.get("type") == kind
        and part.keys() == members.keys()
        and all(isinstance(part[name], types) for name, types in members.items())
    )


def _keeps_ids(post_processor: Any) -> bool:
    """Whether a post-processor leaves a text's own ids as they are when no special tokens are asked for."""
    if post_processor is None:
        return True
    if not isinstance(post_processor, dict):
        return False
    if post_processor.get("type") == "TemplateProcessing":
        # A template may also repeat the text, or leave it out.
        pieces = post_processor.get("single")
        own = [piece for piece in pieces if "SpecialToken" not in piece] if isinstance(pieces, list) else []
        return len(own) == 1 and own[0].get("Sequence", {}).get("id") == "A"
    return post_processor.get("type") in ("BertProcessing", "RobertaProcessing", "ByteLevel")


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
