"""The backend that is put together from stages: normaliser, pre-tokeniser and model, each compiled and each of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.text import TextBatch, single_text
from model2vec_numba.threads import segments, threads
from model2vec_numba.tokenization.added_tokens import make_patterns, mark_patterns
from model2vec_numba.tokenization.backend import TokenBatch, replace_texts
from model2vec_numba.tokenization.library import LibraryBackend
from model2vec_numba.tokenization.models import make_model
from model2vec_numba.tokenization.normalizers import keeps_beginning, make_normalizer
from model2vec_numba.tokenization.pre_tokenizers import asks_for_beginning, make_pre_tokenizer
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import Model, Normalizer, PieceBatch, PreTokenizer

__all__ = ["PipelineBackend"]

# Fewer bytes are tokenised before the threads have started.
_PARALLEL_BYTES = 32768


class PipelineBackend:
    """Normalisers, pre-tokenisers and a model, one after the other over a whole batch. Make one with `for_spec`."""

    divides_texts = False

    @classmethod
    def for_spec(cls, spec: TokenizerSpec) -> PipelineBackend | None:
        """The backend for a tokenizer of which each stage is one that this package has; ``None`` for any other."""
        if not spec.keeps_ids:
            return None
        normalizer = make_normalizer(spec.parts.get("normalizer"))
        pre_tokenizer = make_pre_tokenizer(spec.parts.get("pre_tokenizer"))
        if asks_for_beginning(spec.parts.get("pre_tokenizer")) and not keeps_beginning(spec.parts.get("normalizer")):
            return None
        model = make_model(spec)
        if normalizer is None or pre_tokenizer is None or model is None:
            return None
        added = [token for token in spec.parts.get("added_tokens") or [] if token["content"]]
        normalized = [token["content"] for token in added if token["normalized"]]
        # Making the library's tokeniser takes as long as all the rest.
        if normalized and spec.parts.get("normalizer") is not None:
            normalized = [spec.library.normalizer.normalize_str(content) for content in normalized]
        # An added token of which the normaliser leaves nothing is nowhere and everywhere: that is for the library.
        if not all(normalized):
            return None
        return cls(spec, normalizer, pre_tokenizer, model, [token["content"] for token in added if not token["normalized"]], normalized)

    def __init__(
        self,
        spec: TokenizerSpec,
        normalizer: Normalizer,
        pre_tokenizer: PreTokenizer,
        model: Model,
        added: list[str],
        normalized_added: list[str],
    ) -> None:
        self.name = model.name
        self._library = LibraryBackend(spec)
        self._normalizer = normalizer
        self._pre_tokenizer = pre_tokenizer
        self._model = model
        self._patterns = make_patterns(added)
        self._normalized_patterns = make_patterns(normalized_added)

    def tokenize(self, texts: TextBatch, max_tokens: int | None) -> TokenBatch:
        """See `TokenizerBackend.tokenize`."""
        status = np.zeros(len(texts), np.uint8)
        tokens = self._tokenize(texts, max_tokens, status)
        fallback = status.nonzero()[0]
        if len(fallback):
            lists = self._library.tokenize_lists([texts.text(int(i)) for i in fallback], max_tokens)
            tokens = replace_texts(tokens, fallback, lists)
        return tokens

    def _tokenize(self, texts: TextBatch, max_tokens: int | None, status: NDArray[np.uint8]) -> TokenBatch:
        """The stages one after the other, by as many threads as are free."""
        with threads(len(texts.data), _PARALLEL_BYTES) as count:
            if count == 1:
                return self._run(texts, max_tokens, status)
            split = segments(texts.offsets, count).tolist()
            parts = [(TextBatch(texts.data, texts.offsets[a : b + 1]), max_tokens, status[a:b]) for a, b in itertools.pairwise(split) if a < b]
            # Threads of Python, not of numba: the stages release the GIL, and what comes between them is Python.
            with ThreadPoolExecutor(count) as pool:
                batches = list(pool.map(self._run, *zip(*parts, strict=True)))
        counts = np.concatenate([np.diff(batch.offsets) for batch in batches])
        return TokenBatch(np.concatenate([batch.ids for batch in batches]), np.concatenate([[0], np.cumsum(counts)]))

    def _run(self, texts: TextBatch, max_tokens: int | None, status: NDArray[np.uint8]) -> TokenBatch:
        if len(self._patterns.offsets) > 1:
            mark_patterns(texts.data, texts.offsets, *self._patterns, status)
        normalized = self._normalizer.normalize(texts, status)
        if len(self._normalized_patterns.offsets) > 1:
            mark_patterns(normalized.data, normalized.offsets, *self._normalized_patterns, status)
        pieces = self._pre_tokenizer.split(PieceBatch.whole(normalized), status)
        return self._model.tokenize(pieces, max_tokens, status)

    def tokenize_one(self, data: NDArray[np.uint8], max_tokens: int | None, use: Callable[[TokenBatch], None]) -> None:
        """See `TokenizerBackend.tokenize_one`."""
        use(self.tokenize(single_text(data), max_tokens))

    def fallback_count(self, texts: TextBatch) -> int:
        """How many of the texts would go to the library."""
        status = np.zeros(len(texts), np.uint8)
        self._tokenize(texts, None, status)
        return int(np.count_nonzero(status))
