"""The Unigram model of SentencePiece: the check of a file's settings, and the arguments of the kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch
from model2vec_numba.tokenization.byte_alphabet import spelled_out
from model2vec_numba.tokenization.components import has_form
from model2vec_numba.tokenization.lookup.boundaries import find_adjacent_characters
from model2vec_numba.tokenization.lookup.double_array import build_units
from model2vec_numba.tokenization.lookup.piece_cache import LARGEST_CACHED_ID, make_piece_cache
from model2vec_numba.tokenization.models.running import run_kernel
from model2vec_numba.tokenization.models.unigram.kernel import MAX_SCORE, MAX_SUM, NO_ID, tokenize_pre_tokens
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import PreTokenBatch

__all__ = ["Unigram", "make_unigram"]

_MEMBERS = {"unk_id": (int, type(None)), "vocab": list, "byte_fallback": bool}
# The score of an unknown character is this much lower than the lowest score of a token.
_UNKNOWN_PENALTY = 10.0


def make_unigram(spec: TokenizerSpec) -> Unigram | None:
    """Return the Unigram model that a `tokenizer.json` describes; ``None`` if it needs something that this package does not support."""
    model = spec.config["model"]
    # The library may read the vocabulary differently.
    if not has_form(model, _MEMBERS) or spec.plain_vocabulary is None or spec.arrays is None:
        return None
    scores = spec.arrays.scores()
    # The piece cache cannot hold larger ids.
    if scores is None or len(scores) > LARGEST_CACHED_ID or not np.all(np.abs(scores) <= MAX_SCORE):
        return None
    return Unigram(spec.arrays.texts, spec.arrays.vocabulary, scores, model["unk_id"], byte_fallback=model["byte_fallback"])


class Unigram:
    """The `Unigram` model of the Hugging Face `tokenizers` library: it splits a text into the tokens whose scores have the largest sum.

    Args:
        texts: the tokens, in the order of the ids.
        vocabulary: the ids of the tokens. If tokens are equal, the last one counts.
        scores: float64, shape (tokens,).
        unknown_id: the id of unknown characters. ``None`` if they have no id.
        byte_fallback: whether the bytes of unknown characters may have ids.
    """

    name = "unigram"

    def __init__(
        self, texts: TextBatch, vocabulary: dict[str, int], scores: NDArray[np.float64], unknown_id: int | None, *, byte_fallback: bool
    ) -> None:
        byte_ids = np.zeros(0, np.int32)
        if byte_fallback:
            byte_ids = np.array([vocabulary.get(f"<0x{byte:02X}>", NO_ID) for byte in range(256)], np.int32)
        unknown_score = float(scores.min()) - _UNKNOWN_PENALTY if len(scores) else 0.0
        # The sum of the scores of this many bytes is at most `MAX_SUM`, for which the kernel accounts for rounding.
        max_bytes = MAX_SUM / max(np.abs(scores).max(initial=0.0), abs(unknown_score), 1.0)
        self._tables = (
            build_units(texts, np.arange(len(texts), dtype=np.int32)),
            scores,
            *find_adjacent_characters(texts),
            int(max_bytes) if np.isfinite(max_bytes) else 0,
            unknown_score,
            NO_ID if unknown_id is None else unknown_id,
            byte_ids,
        )

    def make_scratch(self) -> NDArray[np.uint64]:
        """Return an empty piece cache."""
        return make_piece_cache()

    def tokenize(self, pre_tokens: PreTokenBatch, max_tokens: int | None, status: NDArray[np.uint8], scratch: NDArray[np.uint64]) -> TokenBatch:
        """Return the ids of each text, as `Model.tokenize` describes."""
        return run_kernel(tokenize_pre_tokens, spelled_out(pre_tokens), max_tokens, status, *self._tables, scratch)
