"""The composed tokeniser core: a normaliser, a pre-tokeniser and a model, one after the other over a whole batch.

Added tokens are cut out of the text twice, as the `tokenizers` library does it: some before the normaliser, the others after it. Each part between
two added tokens is a text of its own for the stages after the cut.
"""

from __future__ import annotations

import itertools
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.added_tokens.cutting import Cutter
from model2vec_numba.tokenization.added_tokens.finder import make_finder
from model2vec_numba.tokenization.added_tokens.reading import AddedTokens, AllAddedTokens
from model2vec_numba.tokenization.added_tokens.search import SPECIAL
from model2vec_numba.tokenization.components import library_normalizer
from model2vec_numba.tokenization.models import make_model
from model2vec_numba.tokenization.normalizers import inserts_characters, keeps_beginning, make_normalizer
from model2vec_numba.tokenization.pre_tokenizers import asks_for_beginning, make_pre_tokenizer, uses_byte_level
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import DONE, FALLBACK, Model, Normalizer, PreTokenBatch, PreTokenizer

__all__ = ["Composed", "PipelineCore", "SpanTokenizer", "make_cutter", "make_pipeline", "normalize_contents"]


class SpanTokenizer(Protocol):
    """Tokenises normalised texts without added tokens: a pre-tokeniser and a model."""

    name: str

    def make_scratch(self) -> Any:
        """Return memory for one call of `tokenize_spans`. No two calls may use the same memory at once."""

    def tokenize_spans(
        self, spans: TextBatch, beginnings: NDArray[np.uint8] | None, max_tokens: int | None, status: NDArray[np.uint8], scratch: Any
    ) -> TokenBatch:
        """Return the ids of each text, as `Model.tokenize` describes. `beginnings`: see `PreTokenBatch`."""


class Composed:
    """A pre-tokeniser and a model, as a `SpanTokenizer`."""

    def __init__(self, pre_tokenizer: PreTokenizer, model: Model) -> None:
        self.name = model.name
        self._pre_tokenizer = pre_tokenizer
        self._model = model
        self.make_scratch = model.make_scratch

    def tokenize_spans(
        self, spans: TextBatch, beginnings: NDArray[np.uint8] | None, max_tokens: int | None, status: NDArray[np.uint8], scratch: Any
    ) -> TokenBatch:
        """Tokenise texts, as `SpanTokenizer.tokenize_spans` describes."""
        pre_tokens = self._pre_tokenizer.split(PreTokenBatch.whole(spans, beginnings), status)
        return self._model.tokenize(pre_tokens, max_tokens, status, scratch)


class PipelineCore:
    """A tokeniser core that is composed of stages.

    Args:
        normalizer: the normaliser. ``None``: texts stay as they are.
        spans: the pre-tokeniser and the model.
        raw: cuts at the added tokens that are found in the text as it is. ``None``: there are none.
        normalized: cuts at the added tokens that are found in the normalised text. ``None``: there are none.
        knows_beginnings: whether the first span of a normalised text is the only one that counts as its beginning. If this is not certain, texts
            that hold an added token after normalisation become `FALLBACK`.
    """

    cuts_at_spaces = False

    def __init__(
        self, normalizer: Normalizer | None, spans: SpanTokenizer, raw: Cutter | None, normalized: Cutter | None, *, knows_beginnings: bool
    ) -> None:
        self.name = spans.name
        self._normalizer = normalizer
        self._spans = spans
        self._raw = raw
        self._normalized = normalized
        self._knows_beginnings = knows_beginnings

    def make_scratch(self) -> Any:
        """Return the memory of one call, as `Core.make_scratch` describes."""
        return self._spans.make_scratch()

    def pack(self, _max_texts: int) -> None:
        """Return nothing: the stages are kernels of their own."""

    def tokenize(self, texts: TextBatch, max_tokens: int | None, scratch: Any) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        """Tokenise each text, as `Core.tokenize` describes."""
        status = np.zeros(len(texts), np.uint8)
        holds = None if self._raw is None else self._raw.holders(texts)
        if self._raw is None or holds is None:
            tokens = self._tokenize_raw_spans(texts, None, max_tokens, status, scratch)
        else:
            cut = self._raw.cut(texts, holds, status, keeps_others=True)
            span_status = np.zeros(len(cut.spans), np.uint8)
            span_tokens = self._tokenize_raw_spans(cut.spans, cut.beginnings, max_tokens, span_status, scratch)
            tokens, status = cut.join(span_tokens, span_status, max_tokens), cut.status
        return tokens, status if np.count_nonzero(status) else None

    def _tokenize_raw_spans(
        self, texts: TextBatch, beginnings: NDArray[np.uint8] | None, max_tokens: int | None, status: NDArray[np.uint8], scratch: Any
    ) -> TokenBatch:
        """Tokenise texts without added tokens that are found in the text as it is. The arguments are those of `tokenize_spans`."""
        if self._normalizer is not None:
            texts = self._normalizer.normalize(texts, status)
        holds = None if self._normalized is None else self._normalized.holders(texts)
        if self._normalized is None or holds is None:
            return self._spans.tokenize_spans(texts, beginnings, max_tokens, status, scratch)
        if not self._knows_beginnings:
            status[(holds if beginnings is None else holds & beginnings) != 0] = FALLBACK
        cut = self._normalized.cut(texts, holds, status, keeps_others=True)
        span_beginnings = cut.beginnings
        if beginnings is not None:
            span_beginnings = span_beginnings & np.repeat(beginnings, np.diff(cut.offsets))[cut.items < 0]
        span_status = np.zeros(len(cut.spans), np.uint8)
        span_tokens = self._spans.tokenize_spans(cut.spans, span_beginnings, max_tokens, span_status, scratch)
        tokens = cut.join(span_tokens, span_status, max_tokens)
        status[:] = cut.status
        return tokens


def make_pipeline(spec: TokenizerSpec, added: AllAddedTokens) -> PipelineCore | None:
    """Return the core for a tokenizer. ``None`` if this package does not support one of its stages, or the way they are combined."""
    config = spec.config
    normalizer = make_normalizer(config.get("normalizer"))
    pre_tokenizer = make_pre_tokenizer(config.get("pre_tokenizer"))
    asks = asks_for_beginning(config.get("pre_tokenizer"))
    if asks and not keeps_beginning(config.get("normalizer")):
        return None
    if uses_byte_level(config.get("pre_tokenizer")) and normalizer is not None and inserts_characters(config.get("normalizer")):
        # The library loses track of inserted characters, as in `make_normalizer`.
        return None
    model = make_model(spec)
    if normalizer is None or pre_tokenizer is None or model is None:
        return None
    has_normalizer = config.get("normalizer") is not None
    contents = normalize_contents(added.normalized, normalizer, config["normalizer"]) if has_normalizer else added.normalized
    # If nothing of an added token is left after normalisation, only the library can find the token.
    if contents is None:
        return None
    cutters = [make_cutter(tokens, spec.unk_token_id) for tokens in (added.raw, contents)]
    return PipelineCore(
        normalizer if has_normalizer else None, Composed(pre_tokenizer, model), *cutters, knows_beginnings=not asks or not has_normalizer
    )


def make_cutter(tokens: AddedTokens, unknown_id: int | None) -> Cutter | None:
    """Return the `Cutter` for added tokens. ``None`` if there are no tokens."""
    return Cutter(make_finder(tokens, unknown_id)) if tokens.contents else None


def normalize_contents(tokens: AddedTokens, normalizer: Normalizer, config: Any) -> AddedTokens | None:
    """Return the tokens with their normalised contents, which are all different. ``None`` if a normalised content is empty.

    If two tokens have the same normalised content, only the first one is returned. Special tokens come before all others, as in `tokenizers` 0.22.
    Version 0.23.3 finds one of the two at random, and it chooses again each time it reads the file.

    Args:
        tokens: the tokens that are found in the normalised text.
        normalizer: the normaliser of this package.
        config: its JSON.
    """
    # The library normalises contents that are not ASCII. Filling the tables for them would take longer.
    status = np.array([DONE if content.isascii() else FALLBACK for content in tokens.contents], np.uint8)
    texts = normalizer.normalize(flatten(tokens.contents), status)
    data, offsets = texts.data.tobytes(), texts.offsets.tolist()
    contents = [data[begin:end].decode("utf-8") for begin, end in itertools.pairwise(offsets)]
    if status.any():
        library = library_normalizer(config)
        for i in status.nonzero()[0].tolist():
            contents[i] = library.normalize_str(tokens.contents[i])
    found: dict[str, int] = {}
    for i in sorted(range(len(contents)), key=lambda i: not tokens.flags[i] & SPECIAL):
        found.setdefault(contents[i], i)
    if "" in found:
        return None
    return AddedTokens(list(found), [tokens.ids[i] for i in found.values()], [tokens.flags[i] for i in found.values()])
