"""The WordPiece model as a stage of a pipeline. `tokenization.bert` is faster, but only for BERT's own pipeline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TokenBatch
from model2vec_numba.jit.decorators import compiled
from model2vec_numba.tokenization.byte_alphabet import spelled_out
from model2vec_numba.tokenization.components import has_form
from model2vec_numba.tokenization.lookup.double_array import LARGEST_TRIE_ID
from model2vec_numba.tokenization.lookup.word_pieces import build_vocabulary, holds_nul, split_word
from model2vec_numba.tokenization.models.running import UNBOUNDED, run_kernel
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import DONE, PreTokenBatch

__all__ = ["WordPiece", "make_wordpiece"]

_MEMBERS = {"unk_token": str, "continuing_subword_prefix": str, "max_input_chars_per_word": int, "vocab": dict}


class WordPiece:
    """The `WordPiece` model of the Hugging Face `tokenizers` library. It drops `unknown_id`.

    A pre-token of more than `max_word_chars` characters is unknown.
    """

    name = "wordpiece"

    def __init__(self, trie: NDArray[np.uint64], unknown_id: int, max_word_chars: int) -> None:
        self._tables = trie, unknown_id, max_word_chars

    def make_scratch(self) -> None:
        """Return nothing: this model keeps no memory between calls."""

    def tokenize(self, pre_tokens: PreTokenBatch, max_tokens: int | None, status: NDArray[np.uint8], scratch: None) -> TokenBatch:
        """Return the ids of each text, as `Model.tokenize` describes."""
        return run_kernel(_tokenize_pre_tokens, spelled_out(pre_tokens), max_tokens, status, *self._tables)


def make_wordpiece(spec: TokenizerSpec) -> WordPiece | None:
    """Return the WordPiece model that a `tokenizer.json` describes; ``None`` if it needs something that this package does not support."""
    model, vocabulary = spec.config["model"], spec.mapped_tokens()
    if vocabulary is None or not has_form(model, _MEMBERS):
        return None
    # The trie cannot tell a NUL from a place without a node. Without an unknown token the library raises errors for some texts.
    if model["unk_token"] not in model["vocab"] or holds_nul(vocabulary[0]) or model["max_input_chars_per_word"] < 0:
        return None
    if vocabulary[1].max() > LARGEST_TRIE_ID:
        return None
    trie = build_vocabulary(*vocabulary, model["continuing_subword_prefix"].encode("utf-8"))
    return WordPiece(trie, model["vocab"][model["unk_token"]], min(model["max_input_chars_per_word"], UNBOUNDED))


@compiled()
def _tokenize_pre_tokens(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    trie: NDArray[np.uint64],
    unknown_id: int,
    max_word_chars: int,
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
            if at >= stop:
                break
            begin, end = begins[pre_token], ends[pre_token]
            if end - begin > max_word_chars:
                # There are more bytes than `max_word_chars`, so count the characters.
                chars = 0
                for i in range(begin, end):
                    chars += (data[i] & 0xC0) != 0x80
                if chars > max_word_chars:
                    continue
            at = split_word(data, begin, end, np.uint64(0), trie, unknown_id, ids, at)
        at = min(at, stop)
        id_offsets[text + 1] = at
    return at
