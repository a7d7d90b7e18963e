"""Tokenise with the Hugging Face `tokenizers` library itself. Its ids are the right ones by definition."""

from __future__ import annotations

from model2vec_numba.errors import TokenizationError, shortened
from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

__all__ = ["tokenize_with_library"]

# The number of characters of a text that an error shows.
_SHOWN = 80


def tokenize_with_library(spec: TokenizerSpec, sentences: list[str], max_tokens: int | None) -> list[list[int]]:
    """Return the ids of each sentence: unknown ids are dropped, then the ids are cut to the first `max_tokens`.

    Raises:
        TokenizationError: the library refuses a text.
    """
    try:
        encodings = spec.library.encode_batch_fast(sentences, add_special_tokens=False)
    except BaseException as error:
        if is_library_error(error):
            position = next((i for i, sentence in enumerate(sentences) if _refuses(spec, sentence)), 0)
            raise TokenizationError(f"{spec.source}: {shortened(error)}", sentences[position][:_SHOWN], position) from error
        raise
    unknown_id = spec.unk_token_id
    kept = (encoding.ids if unknown_id is None else [i for i in encoding.ids if i != unknown_id] for encoding in encodings)
    return [ids[:max_tokens] for ids in kept]


def _refuses(spec: TokenizerSpec, sentence: str) -> bool:
    """Return whether the library refuses a text."""
    try:
        spec.library.encode(sentence, add_special_tokens=False)
    except BaseException as error:
        if is_library_error(error):
            return True
        raise
    return False
