"""WordPiece as a model by itself, for pipelines that are not BERT's: see `tokenization.wordpiece` for that."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled
from model2vec_numba.text import flatten
from model2vec_numba.tokenization.backend import TokenBatch
from model2vec_numba.tokenization.byte_level import spelled_out
from model2vec_numba.tokenization.models.vocabularies import UNBOUNDED, has_members, run_kernel, token_ids
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import DONE, PieceBatch
from model2vec_numba.tokenization.wordpiece import emit_pieces
from model2vec_numba.tokenization.wordpiece_vocabulary import ABSENT, WordPieceVocabulary, build_vocabulary, find_word
from model2vec_numba.words import padded_word

__all__ = ["WordPiece", "make_wordpiece"]

_MEMBERS = {"type": (str,), "unk_token": (str,), "continuing_subword_prefix": (str,), "max_input_chars_per_word": (int,), "vocab": (dict,)}


class WordPiece:
    """`WordPiece` of the library."""

    name = "wordpiece"

    def __init__(self, vocabulary: WordPieceVocabulary, unknown: int, max_word_chars: int) -> None:
        self._tables = (*vocabulary, unknown, max_word_chars)

    def tokenize(self, pieces: PieceBatch, max_tokens: int | None, status: NDArray[np.uint8]) -> TokenBatch:
        """See `Model.tokenize`."""
        return run_kernel(_tokenize_pieces, spelled_out(pieces), max_tokens, status, *self._tables)


def make_wordpiece(spec: TokenizerSpec) -> WordPiece | None:
    """The model of a file; ``None`` for one that this package does not take."""
    model, vocabulary = spec.parts["model"], token_ids(spec)
    if vocabulary is None or not has_members(model, _MEMBERS) or model.keys() != _MEMBERS.keys():
        return None
    # The tables cannot tell a NUL from padding. Without an unknown token the library refuses texts.
    if model["unk_token"] not in model["vocab"] or "\0" in "".join(vocabulary[0]) or model["max_input_chars_per_word"] < 0:
        return None
    arrays = build_vocabulary(flatten(vocabulary[0]), vocabulary[1], model["continuing_subword_prefix"].encode("utf-8"), True)
    return WordPiece(arrays, model["vocab"][model["unk_token"]], min(model["max_input_chars_per_word"], UNBOUNDED))


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
    max_word_chars: int,
    max_tokens: int,
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
) -> int:
    """Write the ids and their offsets, but for the first, and return where they end; the tables are those of `WordPieceVocabulary`."""
    at = 0
    for text in range(len(offsets) - 1):
        stop = at + max_tokens
        for piece in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            if at >= stop:
                break
            begin, end = begins[piece], ends[piece]
            if end - begin > max_word_chars:
                # More bytes, so maybe more characters.
                chars = 0
                for i in range(begin, end):
                    chars += (data[i] & 0xC0) != 0x80
                if chars > max_word_chars:
                    continue
            token = np.int64(ABSENT)
            # A NUL at the end would look like padding.
            if end - begin <= 16 and data[end - 1] != 0:
                token = np.int64(find_word(words, padded_word(data, begin, end - begin), padded_word(data, begin + 8, end - begin - 8)))
            if token == ABSENT:
                at = emit_pieces(data[begin:end], end - begin, trie, unknown, ids, at)
            elif token != unknown:
                ids[at] = token
                at += 1
        at = min(at, stop)
        id_offsets[text + 1] = at
    return at
