"""Tokenise: from the bytes of a batch of texts to the ids of its tokens."""

from __future__ import annotations

import tokenizers

# Version 1.0 gives other ids for the same files, and its Python package has no normalisers and pre-tokenisers to ask.
# pip does not install it with this package, but it can be forced.
if tokenizers.__version__.partition(".")[0] != "0":
    raise ImportError(
        f"model2vec_numba needs tokenizers 0.20 or newer, but older than 1.0; found {tokenizers.__version__}: pip install 'tokenizers<1'",
        name="tokenizers",
    )
