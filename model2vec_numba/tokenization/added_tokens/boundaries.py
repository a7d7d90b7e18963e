"""The classes of the characters next to added tokens: parts of words for ``single_word``, white space for ``lstrip`` and ``rstrip``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from tokenizers import AddedToken, Tokenizer, models

from model2vec_numba.tokenization.added_tokens.search import SPACE, WORD
from model2vec_numba.tokenization.unicode.classes import ClassTable

__all__ = ["boundary_classes"]


@cache
def boundary_classes() -> ClassTable:
    """Return the table of the classes `WORD` and `SPACE`. All other characters have class 0."""
    # A model without tokens, so that only added tokens have ids.
    tokenizer = Tokenizer(models.BPE())
    tokenizer.add_special_tokens([AddedToken("[S]", rstrip=True, normalized=False), AddedToken("[W]", single_word=True, normalized=False)])

    def probe(characters: list[str]) -> Iterable[int]:
        # Each character has ten characters of text. [S] takes the character after it if that is white space. [W] is not found before parts of words.
        spans = dict(tokenizer.encode("".join(f"|[S]{character}|[W]{character}" for character in characters), add_special_tokens=False).offsets)
        for at in range(0, 10 * len(characters), 10):
            yield SPACE if spans[at + 1] == at + 5 else 0 if at + 6 in spans else WORD

    return ClassTable(probe)
