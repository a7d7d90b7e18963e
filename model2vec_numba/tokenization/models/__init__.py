"""The models, each a module: `make_model` finds the one that a `tokenizer.json` asks for."""

from __future__ import annotations

from collections.abc import Callable

from model2vec_numba.tokenization.models.bpe import make_bpe
from model2vec_numba.tokenization.models.unigram import make_unigram
from model2vec_numba.tokenization.models.wordlevel import make_wordlevel
from model2vec_numba.tokenization.models.wordpiece import make_wordpiece
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import Model

__all__ = ["make_model"]

# A factory gives None for members that it does not know.
_FACTORIES: dict[str, Callable[[TokenizerSpec], Model | None]] = {
    "BPE": make_bpe,
    "Unigram": make_unigram,
    "WordLevel": make_wordlevel,
    "WordPiece": make_wordpiece,
}


def make_model(spec: TokenizerSpec) -> Model | None:
    """The model that ``model`` of a `tokenizer.json` describes; ``None`` if this package does not have it."""
    kind = spec.parts["model"].get("type")
    factory = _FACTORIES.get(kind) if isinstance(kind, str) else None
    return None if factory is None else factory(spec)
