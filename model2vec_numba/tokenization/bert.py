"""The backend for BERT's pipeline: recognises it in a `tokenizer.json`, holds its tables, and sends what they cannot do to the library."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.text import TextBatch
from model2vec_numba.tokenization.backend import TokenBatch, token_batch
from model2vec_numba.tokenization.code_points import ISOLATE, PAGE_COUNT, SPACE, WORD, CodePointTable
from model2vec_numba.tokenization.library import LibraryBackend
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.wordpiece import (
    BYTE_ALNUM,
    BYTE_ISOLATE,
    BYTE_OTHER,
    BYTE_SPACE,
    DONE,
    FALLBACK,
    tokenize_segments,
    tokenize_texts,
)
from model2vec_numba.tokenization.wordpiece_vocabulary import build_vocabulary

__all__ = ["BertBackend"]

_UNBOUNDED = 1 << 62


class BertBackend:
    """BertNormalizer, BertPreTokenizer and WordPiece, compiled."""

    name = "wordpiece"

    def __init__(self, spec: TokenizerSpec) -> None:
        model, normalizer = spec.parts["model"], spec.parts["normalizer"]
        self._spec = spec
        self._library = LibraryBackend(spec)
        skeleton = spec.skeleton
        strips = normalizer["strip_accents"]
        self._table = CodePointTable(
            skeleton.normalizer, skeleton.pre_tokenizer, decomposes=normalizer["lowercase"] if strips is None else strips
        )
        self._byte_kinds, self._lowercases = _byte_kinds(self._table)
        tokens = [token.encode("utf-8") for token in model["vocab"]]
        ids = np.fromiter(model["vocab"].values(), np.int32, len(tokens))
        self._vocabulary = build_vocabulary(tokens, ids, model["continuing_subword_prefix"].encode("utf-8"))
        self._unknown = model["vocab"][model["unk_token"]]
        self._max_word_chars = min(model["max_input_chars_per_word"], _UNBOUNDED)

    def tokenize(self, texts: TextBatch, max_tokens: int | None) -> TokenBatch:
        """See `TokenizerBackend.tokenize`."""
        ids = np.empty(int(texts.offsets[-1] - texts.offsets[0]), np.int32)
        counts = np.empty(len(texts), np.int64)
        while True:
            missing = np.zeros(PAGE_COUNT, np.uint8)
            status = np.full(len(texts), DONE, np.uint8)
            end = tokenize_texts(
                texts.data, texts.offsets, 0, len(texts), self._byte_kinds, self._lowercases, self._table.entries, self._table.pool,
                *self._vocabulary, self._unknown, self._max_word_chars, _UNBOUNDED if max_tokens is None else max_tokens,
                missing, status, counts, ids, 0)
            if not self._table.learn(missing):
                break
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        return TokenBatch(ids[:end], offsets)


def _byte_kinds(table: CodePointTable) -> tuple[NDArray[np.uint8], bool]:
    """What each byte is at a glance, and whether ASCII capitals become small. No byte is `BYTE_ALNUM` unless letters do the usual."""
    kinds = np.full(256, BYTE_OTHER, np.uint8)
    becomes = {c: chr(int(table.entries[c]) >> 16) for c in range(128) if (int(table.entries[c]) >> 4) & 15 == 1}
    alnum = [c for c in range(128) if chr(c).isalnum()]
    same = all(becomes.get(c) == chr(c) for c in alnum)
    lower = all(becomes.get(c) == chr(c).lower() for c in alnum)
    for c in range(128):
        kind = int(table.entries[c]) & 15
        if kind == SPACE:
            kinds[c] = BYTE_SPACE
        elif kind == ISOLATE and becomes[c] == chr(c):
            kinds[c] = BYTE_ISOLATE
        elif kind == WORD and c in alnum and (same or lower):
            kinds[c] = BYTE_ALNUM
    return kinds, lower and not same
