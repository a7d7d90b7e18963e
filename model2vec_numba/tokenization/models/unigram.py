"""Unigram (SentencePiece): the tokens of the largest sum of scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.text import TextBatch, flatten
from model2vec_numba.tokenization.backend import TokenBatch
from model2vec_numba.tokenization.byte_level import spelled_out
from model2vec_numba.tokenization.models.byte_trie import build_trie
from model2vec_numba.tokenization.models.unigram_kernel import ARENA, MEMO_BYTES, NO_ID, SLOTS, fill_pairs, tokenize_pieces
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import PieceBatch

__all__ = ["Unigram", "make_unigram"]

_UNBOUNDED = 1 << 62
# What a character that no token covers scores less than the worst token.
_UNKNOWN_PENALTY = 10.0
_MOST_SCORE = 1e5
# Bits for each pair of neighbours, so that few others share one; and the least and the most bits.
_PAIR_BITS = 16
_LEAST_PAIRS, _MOST_PAIRS = 1 << 12, 1 << 25


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
    ):
        return None
    return Unigram([token for token, _ in model["vocab"]], spec.unigram_scores, unknown, byte_fallback=model.get("byte_fallback", False))


def _neighbours(tokens: TextBatch) -> NDArray[np.uint64]:
    """The `pairs` of `tokenize_pieces`, for tokens."""
    bits = _MOST_PAIRS
    # Most pairs are in many tokens: how many there are shows only when they are entered.
    count = fill_pairs(tokens.data, tokens.offsets, np.zeros(bits // 64, np.uint64))
    while bits > _LEAST_PAIRS and bits >= 2 * _PAIR_BITS * count:
        bits //= 2
    pairs = np.zeros(bits // 64, np.uint64)
    fill_pairs(tokens.data, tokens.offsets, pairs)
    return pairs


class _Memo:
    """What pieces became that were met before; used by one thread at a time."""

    def __init__(self) -> None:
        self.rows = np.zeros((SLOTS, 4), np.uint64)
        self.arena = np.empty(ARENA, np.int32)
        self.used = np.zeros(2, np.int64)

    def make_room(self) -> None:
        """Forget everything if there is hardly any room left."""
        if 4 * self.used[0] >= 3 * SLOTS or self.used[1] + MEMO_BYTES > ARENA:
            self.rows[:] = 0
            self.used[:] = 0


class Unigram:
    """The model."""

    name = "unigram"

    def __init__(self, tokens: list[str], scores: NDArray[np.float64], unknown: int | None, *, byte_fallback: bool) -> None:
        """`tokens` in the order of their ids, `scores` of the same length; `unknown`: the id of what is unknown, if there is any."""
        batch = flatten(tokens)
        self._units, self._ids = build_trie(batch)
        self._scores = np.where(self._ids >= 0, scores[self._ids], 0.0)
        self._token_scores = scores
        # See `_MOST_SUM` of the kernel: a single score is far below it.
        self._pairs = _neighbours(batch) if len(scores) and np.abs(scores).max() < _MOST_SCORE else np.zeros(0, np.uint64)
        self._unknown = NO_ID if unknown is None else unknown
        self._unknown_score = float(scores.min()) - _UNKNOWN_PENALTY if len(scores) else 0.0
        self._byte_ids = np.zeros(0, np.int32)
        if byte_fallback:
            # Of equal tokens the last counts.
            places = {token: i for i, token in enumerate(tokens) if token.startswith("<0x")}
            self._byte_ids = np.array([places.get(f"<0x{byte:02X}>", NO_ID) for byte in range(256)], np.int32)
        # Memos that no call uses. Taking one and putting it back are single steps to other threads.
        self._memos: list[_Memo] = []

    def tokenize(self, pieces: PieceBatch, max_tokens: int | None, status: NDArray[np.uint8]) -> TokenBatch:
        """See `Model.tokenize`."""
        pieces = spelled_out(pieces)
        data = pieces.data
        if not len(pieces.ends) or pieces.ends[-1] + MEMO_BYTES > len(data):
            data = np.concatenate([data, np.zeros(MEMO_BYTES, np.uint8)])
        try:
            memo = self._memos.pop()
        except IndexError:
            memo = _Memo()
        memo.make_room()
        ids = np.empty(int((pieces.ends - pieces.begins).sum()), np.int32)
        counts = np.empty(len(pieces.offsets) - 1, np.int64)
        end = tokenize_pieces(
            data,
            pieces.begins,
            pieces.ends,
            pieces.offsets,
            self._units,
            self._ids,
            self._scores,
            self._token_scores,
            self._pairs,
            self._unknown_score,
            self._unknown,
            self._byte_ids,
            _UNBOUNDED if max_tokens is None else max_tokens,
            memo.rows,
            memo.arena,
            memo.used,
            status,
            counts,
            ids,
        )
        self._memos.append(memo)
        offsets = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        return TokenBatch(ids[:end], offsets)
