"""The WordLevel model: each pre-token is a token, or unknown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TokenBatch
from model2vec_numba.jit.decorators import compiled
from model2vec_numba.tokenization.byte_alphabet import spelled_out
from model2vec_numba.tokenization.components import has_form
from model2vec_numba.tokenization.lookup.double_array import LARGEST_TRIE_ID
from model2vec_numba.tokenization.lookup.word_pieces import ABSENT, build_vocabulary, find_word, holds_nul
from model2vec_numba.tokenization.models.running import run_kernel
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import DONE, PreTokenBatch

__all__ = ["WordLevel", "make_wordlevel"]

_MEMBERS = {"vocab": dict, "unk_token": str}


class WordLevel:
    """The `WordLevel` model of the Hugging Face `tokenizers` library. It drops `unknown_id`.

    A pre-token that is not in the vocabulary is unknown.
    """

    name = "wordlevel"

    def __init__(self, trie: NDArray[np.uint64], unknown_id: int) -> None:
        self._tables = trie, unknown_id

    def make_scratch(self) -> None:
        """Return nothing: this model keeps no memory between calls."""

    def tokenize(self, pre_tokens: PreTokenBatch, max_tokens: int | None, status: NDArray[np.uint8], scratch: None) -> TokenBatch:
        """Return the ids of each text, as `Model.tokenize` describes."""
        return run_kernel(_tokenize_pre_tokens, spelled_out(pre_tokens), max_tokens, status, *self._tables)


def make_wordlevel(spec: TokenizerSpec) -> WordLevel | None:
    """Return the WordLevel model that a `tokenizer.json` describes; ``None`` if it needs something that this package does not support."""
    model, vocabulary = spec.config["model"], spec.mapped_tokens()
    # The trie cannot tell a NUL from a place without a node. Without an unknown token the library raises errors for some texts.
    if vocabulary is None or not has_form(model, _MEMBERS) or model["unk_token"] not in model["vocab"] or holds_nul(vocabulary[0]):
        return None
    if vocabulary[1].max() > LARGEST_TRIE_ID:
        return None
    return WordLevel(build_vocabulary(*vocabulary, b""), model["vocab"][model["unk_token"]])


@compiled()
def _tokenize_pre_tokens(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    trie: NDArray[np.uint64],
    unknown_id: int,
    max_tokens: int,
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
) -> int:
    """Write the ids and their offsets (except for the first offset, which must be 0), and return the number of ids.

    `trie`: see `build_vocabulary`. `unigram.kernel.tokenize_pre_tokens` describes the other arguments.
    """
    at = 0
    for text in range(len(offsets) - 1):
        stop = at + max_tokens
        for pre_token in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            token = find_word(trie, data, begins[pre_token], ends[pre_token])
            if token != ABSENT and token != unknown_id and at < stop:
                ids[at] = token
                at += 1
        id_offsets[text + 1] = at
    return at
