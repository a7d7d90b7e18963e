"""WordLevel: each piece is a token, or unknown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.text import flatten
from model2vec_numba.tokenization.backend import TokenBatch
from model2vec_numba.tokenization.byte_level import spelled_out
from model2vec_numba.tokenization.models.vocabularies import has_members, run_kernel, token_ids
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import DONE, PieceBatch
from model2vec_numba.tokenization.wordpiece_vocabulary import ABSENT, INITIAL, WordPieceVocabulary, build_vocabulary, find_child, find_word
from model2vec_numba.words import padded_word

__all__ = ["WordLevel", "make_wordlevel"]

_MEMBERS = {"type": (str,), "vocab": (dict,), "unk_token": (str,)}


class WordLevel:
    """`WordLevel` of the library."""

    name = "wordlevel"

    def __init__(self, vocabulary: WordPieceVocabulary, unknown: int) -> None:
        self._tables = (*vocabulary, unknown)

    def tokenize(self, pieces: PieceBatch, max_tokens: int | None, status: NDArray[np.uint8]) -> TokenBatch:
        """See `Model.tokenize`."""
        return run_kernel(_tokenize_pieces, spelled_out(pieces), max_tokens, status, *self._tables)


def make_wordlevel(spec: TokenizerSpec) -> WordLevel | None:
    """The model of a file; ``None`` for one that this package does not take."""
    model, vocabulary = spec.parts["model"], token_ids(spec)
    # The tables cannot tell a NUL from padding. Without an unknown token the library refuses texts.
    if vocabulary is None or not has_members(model, _MEMBERS) or model.get("unk_token") not in model["vocab"] or "\0" in "".join(vocabulary[0]):
        return None
    # No token begins with a NUL, so none continues a word.
    return WordLevel(build_vocabulary(flatten(vocabulary[0]), vocabulary[1], b"\0", False), model["vocab"][model["unk_token"]])


@compiled()
def _tokenize_pieces(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    words: NDArray[np.uint64],
    trie: NDArray[np.int64],
    unknown: int,
    max_tokens: int,
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
) -> int:
    """Write the ids and their offsets, but for the first, and return where they end; the tables are those of `WordPieceVocabulary`."""
    at = 0
    for text in range(len(offsets) - 1):
        stop = at + max_tokens
        for piece in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            token = _find(data, begins[piece], ends[piece], words, trie)
            if token != ABSENT and token != unknown and at < stop:
                ids[at] = token
                at += 1
        id_offsets[text + 1] = at
    return at


@inner
def _find(data: NDArray[np.uint8], begin: int, end: int, words: NDArray[np.uint64], trie: NDArray[np.int64]) -> int:
    """The id of the token that is ``data[begin:end]``, or `ABSENT`."""
    if data[end - 1] == 0:
        return ABSENT
    if end - begin <= 16:
        return np.int64(find_word(words, padded_word(data, begin, end - begin), padded_word(data, begin + 8, end - begin - 8)))
    edge = np.int64(INITIAL) << 32
    for i in range(begin, end):
        edge = find_child(trie, edge >> 32, np.int64(data[i]))
        if edge == 0:
            return ABSENT
    return (edge & 0xFFFFFFFF) - 1
