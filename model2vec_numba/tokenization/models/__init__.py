"""The models of a pipeline, one module for each: they turn pre-tokens into token ids."""

from __future__ import annotations

from collections.abc import Callable

from model2vec_numba.tokenization.models.bpe.model import make_bpe
from model2vec_numba.tokenization.models.unigram.model import make_unigram
from model2vec_numba.tokenization.models.wordlevel import make_wordlevel
from model2vec_numba.tokenization.models.wordpiece import make_wordpiece
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import Model

__all__ = ["make_model"]

# A factory returns None if the model needs something that this package does not support.
_FACTORIES: dict[str, Callable[[TokenizerSpec], Model | None]] = {
    "BPE": make_bpe,
    "Unigram": make_unigram,
    "WordLevel": make_wordlevel,
    "WordPiece": make_wordpiece,
}


def make_model(spec: TokenizerSpec) -> Model | None:
    """Return the model that a `tokenizer.json` describes; ``None`` if it needs something that this package does not support."""
    kind = spec.config["model"].get("type")
    factory = _FACTORIES.get(kind) if isinstance(kind, str) else None
    return None if factory is None else factory(spec)
