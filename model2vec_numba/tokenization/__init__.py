"""Tokenise: from the bytes of a batch of texts to the ids of its tokens."""

from __future__ import annotations

from model2vec_numba.tokenization.backend import TokenBatch, TokenizerBackend
from model2vec_numba.tokenization.bert import BertBackend
from model2vec_numba.tokenization.library import LibraryBackend
from model2vec_numba.tokenization.pipeline import PipelineBackend
from model2vec_numba.tokenization.spec import TokenizerSpec, parse_tokenizer

__all__ = ["TokenBatch", "TokenizerBackend", "TokenizerSpec", "choose_backend", "parse_tokenizer"]


def choose_backend(spec: TokenizerSpec) -> TokenizerBackend:
    """The fastest backend that gives exactly what the `tokenizers` library gives for this tokenizer."""
    return BertBackend.for_spec(spec) or PipelineBackend.for_spec(spec) or LibraryBackend(spec)
