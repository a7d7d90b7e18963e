"""The composed tokeniser core: a normaliser, a pre-tokeniser and a model, one after the other over a whole batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch
from model2vec_numba.tokenization.added_tokens import AddedTokens, Patterns, make_patterns, mark_patterns
from model2vec_numba.tokenization.models import make_model
from model2vec_numba.tokenization.normalizers import keeps_beginning, make_normalizer
from model2vec_numba.tokenization.pre_tokenizers import asks_for_beginning, make_pre_tokenizer
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import Model, Normalizer, PreTokenBatch, PreTokenizer

__all__ = ["PipelineCore", "make_pipeline"]


class PipelineCore:
    """A tokeniser core that is composed of stages.

    Args:
        normalizer, pre_tokenizer, model: the stages.
        patterns: the added tokens that are found in the text as it is.
        normalized_patterns: the normalised forms of the added tokens that are found in the normalised text.
    """

    cuts_at_spaces = False

    def __init__(
        self,
        normalizer: Normalizer,
        pre_tokenizer: PreTokenizer,
        model: Model,
        patterns: Patterns,
        normalized_patterns: Patterns,
    ) -> None:
        self.name = model.name
        self._normalizer = normalizer
        self._pre_tokenizer = pre_tokenizer
        self._model = model
        self._patterns = patterns
        self._normalized_patterns = normalized_patterns

    def make_scratch(self) -> Any:
        """Return the memory of one call, as `Core.make_scratch` describes."""
        return self._model.make_scratch()

    def tokenize(self, texts: TextBatch, max_tokens: int | None, scratch: Any) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        """Tokenise each text, as `Core.tokenize` describes."""
        status = np.zeros(len(texts), np.uint8)
        if self._patterns.any:
            mark_patterns(texts.data, texts.offsets, *self._patterns, status)
        normalized = self._normalizer.normalize(texts, status)
        if self._normalized_patterns.any:
            mark_patterns(normalized.data, normalized.offsets, *self._normalized_patterns, status)
        pre_tokens = self._pre_tokenizer.split(PreTokenBatch.whole(normalized), status)
        tokens = self._model.tokenize(pre_tokens, max_tokens, status, scratch)
        return tokens, status if np.count_nonzero(status) else None


def make_pipeline(spec: TokenizerSpec, added: AddedTokens) -> PipelineCore | None:
    """Return the core for a tokenizer. ``None`` if this package does not support one of its stages."""
    config = spec.config
    normalizer = make_normalizer(config.get("normalizer"))
    pre_tokenizer = make_pre_tokenizer(config.get("pre_tokenizer"))
    if asks_for_beginning(config.get("pre_tokenizer")) and not keeps_beginning(config.get("normalizer")):
        return None
    model = make_model(spec)
    if normalizer is None or pre_tokenizer is None or model is None:
        return None
    normalized = added.normalized
    # This makes the tokeniser of the `tokenizers` library, which takes as long as everything else. So it is done only if it is needed.
    if normalized and config.get("normalizer") is not None:
        normalized = [spec.library.normalizer.normalize_str(content) for content in normalized]
    # If normalisation empties an added token, only the library can find it.
    if not all(normalized):
        return None
    return PipelineCore(normalizer, pre_tokenizer, model, make_patterns(added.raw), make_patterns(normalized))
