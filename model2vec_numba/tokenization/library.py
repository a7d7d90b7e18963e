"""Tokenise with the Hugging Face `tokenizers` library itself. Its ids are the right ones by definition."""

from __future__ import annotations

from model2vec_numba.errors import TokenizationError
from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

__all__ = ["tokenize_with_library"]


def tokenize_with_library(spec: TokenizerSpec, sentences: list[str], max_tokens: int | None) -> list[list[int]]:
    """Return the ids of each sentence: unknown ids are dropped, then the ids are cut to the first `max_tokens`.

    Raises:
        TokenizationError: the library refuses a text.
    """
    try:
        encodings = spec.library.encode_batch_fast(sentences, add_special_tokens=False)
    except BaseException as error:
        if is_library_error(error):
            raise TokenizationError(f"{spec.source}: the tokenizer refuses a text: {error}") from error
        raise
    unknown_id = spec.unk_token_id
    kept = (encoding.ids if unknown_id is None else [i for i in encoding.ids if i != unknown_id] for encoding in encodings)
    return [ids[:max_tokens] for ids in kept]
