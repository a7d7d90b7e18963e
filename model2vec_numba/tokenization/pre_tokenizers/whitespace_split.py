"""The characters at which `WhitespaceSplit` of the `tokenizers` library cuts."""

from __future__ import annotations

from tokenizers import pre_tokenizers as library

from model2vec_numba.tokenization.unicode.classes import ClassTable

__all__ = ["white_space"]


def white_space() -> ClassTable:
    """Return the set of characters that are white space to `WhitespaceSplit` of the `tokenizers` library."""
    splitter = library.WhitespaceSplit()
    return ClassTable(lambda characters: [not splitter.pre_tokenize_str(c) for c in characters])
