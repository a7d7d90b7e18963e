"""Unigram (SentencePiece): the tokens of the largest sum of scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.text import flatten
from model2vec_numba.tokenization.backend import TokenBatch
from model2vec_numba.tokenization.byte_level import spelled_out
from model2vec_numba.tokenization.memo import MOST_MEMO_ID, Memos
from model2vec_numba.tokenization.models.byte_trie import build_trie
from model2vec_numba.tokenization.models.parts import find_neighbours
from model2vec_numba.tokenization.models.unigram_kernel import MOST_SUM, NO_ID, tokenize_pieces
from model2vec_numba.tokenization.models.vocabularies import run_kernel
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import PieceBatch

__all__ = ["Unigram", "make_unigram"]

# What a character that no token covers scores less than the worst token.
_UNKNOWN_PENALTY = 10.0


def make_unigram(spec: TokenizerSpec) -> Unigram | None:
    """The model of a tokenizer whose model is ``Unigram``; ``None`` if it has members that are not known."""
    model = spec.parts["model"]
    unknown = model.get("unk_id")
    if (
        not model.keys() <= {"type", "unk_id", "vocab", "byte_fallback"}
        or not isinstance(model.get("byte_fallback", False), bool)
        or not (unknown is None or (isinstance(unknown, int) and not isinstance(unknown, bool)))
        or spec.plain_vocabulary is None
        or spec.unigram_scores is None
        or len(model["vocab"]) > MOST_MEMO_ID
    ):
        return None
    return Unigram([token for token, _ in model["vocab"]], spec.unigram_scores, unknown, byte_fallback=model.get("byte_fallback", False))


class Unigram:
    """The model."""

    name = "unigram"

    def __init__(self, tokens: list[str], scores: NDArray[np.float64], unknown: int | None, *, byte_fallback: bool) -> None:
        """`tokens` in the order of their ids, `scores` of the same length; `unknown`: the id of what is unknown, if there is any."""
        batch = flatten(tokens)
        units, node_ids = build_trie(batch)
        byte_ids = np.zeros(0, np.int32)
        if byte_fallback:
            # Of equal tokens the last counts.
            places = {token: i for i, token in enumerate(tokens) if token.startswith("<0x")}
            byte_ids = np.array([places.get(f"<0x{byte:02X}>", NO_ID) for byte in range(256)], np.int32)
        unknown_score = float(scores.min()) - _UNKNOWN_PENALTY if len(scores) else 0.0
        # No sum of so many bytes' tokens is larger than that of which rounding is accounted for.
        most_bytes = MOST_SUM / max(np.abs(scores).max(initial=0.0), abs(unknown_score), 1.0)
        self._tables = (
            units,
            node_ids,
            np.where(node_ids >= 0, scores[node_ids], 0.0),
            *find_neighbours(batch),
            int(most_bytes) if np.isfinite(most_bytes) else 0,
            unknown_score,
            NO_ID if unknown is None else unknown,
            byte_ids,
        )
        self._memos = Memos()

    def tokenize(self, pieces: PieceBatch, max_tokens: int | None, status: NDArray[np.uint8]) -> TokenBatch:
        """See `Model.tokenize`."""
        memo = self._memos.take()
        tokens = run_kernel(tokenize_pieces, spelled_out(pieces), max_tokens, status, *self._tables, memo[0])
        self._memos.give_back(memo)
        return tokens
