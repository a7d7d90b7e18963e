"""The reference backend: the `tokenizers` library itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.errors import TokenizationError
from model2vec_numba.text import TextBatch, single_text
from model2vec_numba.tokenization.backend import TokenBatch, token_batch
from model2vec_numba.tokenization.spec import TokenizerSpec

__all__ = ["LibraryBackend"]


class LibraryBackend:
    """Tokenises through `tokenizers`; right for every `tokenizer.json` by definition."""

    name = "tokenizers"
    divides_texts = False

    def __init__(self, spec: TokenizerSpec) -> None:
        self._spec = spec

    def tokenize(self, texts: TextBatch, max_tokens: int | None) -> TokenBatch:
        """See `TokenizerBackend.tokenize`."""
        return token_batch(self.tokenize_lists([texts.text(i) for i in range(len(texts))], max_tokens))

    def tokenize_one(self, data: NDArray[np.uint8], max_tokens: int | None, use: Callable[[TokenBatch], None]) -> None:
        """See `TokenizerBackend.tokenize_one`."""
        use(self.tokenize(single_text(data), max_tokens))

    def fallback_count(self, texts: TextBatch) -> int:
        """See `TokenizerBackend.fallback_count`."""
        return len(texts)

    def tokenize_lists(self, sentences: list[str], max_tokens: int | None) -> list[list[int]]:
        """The ids of each sentence: unknown ids dropped, then cut to the first `max_tokens`."""
        try:
            encodings = self._spec.library.encode_batch_fast(sentences, add_special_tokens=False)
        except BaseException as error:
            # A panic inside the library arrives as a BaseException of its own kind.
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise TokenizationError(f"{self._spec.source}: the tokenizer refuses a text: {error}") from error
            raise
        unknown = self._spec.unk_token_id
        kept = (encoding.ids if unknown is None else [i for i in encoding.ids if i != unknown] for encoding in encodings)
        return [ids[:max_tokens] for ids in kept]
