"""BPE: which files it takes, and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.text import TextBatch, flatten
from model2vec_numba.tokenization.backend import TokenBatch
from model2vec_numba.tokenization.byte_level import CHARACTER_TO_BYTE, spelled_out
from model2vec_numba.tokenization.memo import MOST_MEMO_ID, Memos
from model2vec_numba.tokenization.models.bpe_tokenizing import tokenize_pieces
from model2vec_numba.tokenization.models.bpe_vocabulary import build_bpe_vocabulary
from model2vec_numba.tokenization.models.parts import find_neighbours
from model2vec_numba.tokenization.models.vocabularies import has_members, run_kernel, token_ids
from model2vec_numba.tokenization.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import PieceBatch

__all__ = ["Bpe", "make_bpe"]

_NONE = type(None)
# Half a megabyte for each thread, of which the system provides what is used.
_APART_SLOTS = 1 << 16
_MEMBERS = {
    "type": (str,),
    "dropout": (float, int, _NONE),
    "unk_token": (str, _NONE),
    "continuing_subword_prefix": (str, _NONE),
    "end_of_word_suffix": (str, _NONE),
    "fuse_unk": (bool,),
    "byte_fallback": (bool,),
    "ignore_merges": (bool,),
    "vocab": (dict,),
    "merges": (list,),
}


class Bpe:
    """`BPE` of the library."""

    name = "bpe"

    def __init__(self, tokens: Sequence[str], ids: NDArray[np.int32], merges: NDArray[np.int64], model: dict[str, Any], *, byte_level: bool) -> None:
        """`byte_level`: whether the pieces are bytes that stand for `ByteLevel`'s characters."""
        prefix, suffix = model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""
        plain = not prefix and not suffix
        whole_words = bool(model.get("ignore_merges"))
        vocabulary = dict(zip(tokens, ids.tolist(), strict=True))
        size = int(ids.max()) + 1
        fallbacks = np.full(256, -1, np.int32)
        if model.get("byte_fallback"):
            fallbacks[:] = [vocabulary.get(f"<0x{byte:02X}>", -1) for byte in range(256)]
        self._byte_level = byte_level and plain and not model.get("byte_fallback")
        if self._byte_level:
            texts, ids = _as_bytes(tokens, ids)
        else:
            texts = flatten(tokens)
        tables, ordered = build_bpe_vocabulary(texts, ids, merges, size, single_bytes=self._byte_level, whole_words=whole_words)
        starts = np.full(256, -1, np.int32)
        single = np.diff(texts.offsets) == 1
        starts[texts.data[texts.offsets[:-1][single]]] = ids[single]
        unknown = vocabulary[model["unk_token"]] if model.get("unk_token") is not None else -1
        self._tables = (
            *tables,
            starts,
            plain or whole_words,
            plain and ordered,
            self._byte_level,
            whole_words,
            np.frombuffer(prefix.encode("utf-8") + b"\0", np.uint8)[:-1],
            np.frombuffer(suffix.encode("utf-8") + b"\0", np.uint8)[:-1],
            fallbacks,
            unknown,
            bool(model.get("fuse_unk")),
            *find_neighbours(texts),
        )
        self._memos = Memos(_APART_SLOTS)

    def tokenize(self, pieces: PieceBatch, max_tokens: int | None, status: NDArray[np.uint8]) -> TokenBatch:
        """See `Model.tokenize`."""
        memo = self._memos.take()
        pieces = pieces if self._byte_level else spelled_out(pieces)
        tokens = run_kernel(tokenize_pieces, pieces, max_tokens, status, *self._tables, *memo)
        self._memos.give_back(memo)
        return tokens


def make_bpe(spec: TokenizerSpec) -> Bpe | None:
    """The model of a file; ``None`` for one that this package does not take, or the library may refuse."""
    model = spec.parts["model"]
    vocabulary = token_ids(spec)
    if vocabulary is None or not has_members(model, _MEMBERS) or spec.merges is None:
        return None
    tokens, ids = vocabulary
    affixed = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
    if (
        model.get("dropout")
        # The library knows tokens by their ids: see `merge_symbols`.
        or len(np.unique(ids)) < len(ids)
        or ids.max() > MOST_MEMO_ID
        or model.get("unk_token") not in (None, *tokens)
        # Then a character may become more ids than it has bytes.
        or (model.get("byte_fallback") and affixed)
    ):
        return None
    return Bpe(tokens, ids, spec.merges, model, byte_level=_ends_byte_level(spec.parts.get("pre_tokenizer")))


def _ends_byte_level(pre_tokenizer: Any) -> bool:
    """Whether what comes out of a pre-tokeniser is bytes; see `PieceBatch.byte_level`."""
    if not isinstance(pre_tokenizer, dict):
        return False
    parts = pre_tokenizer.get("pretokenizers")
    if pre_tokenizer.get("type") == "Sequence" and isinstance(parts, list) and parts:
        return _ends_byte_level(parts[-1])
    return pre_tokenizer.get("type") == "ByteLevel"


def _as_bytes(tokens: Sequence[str], ids: NDArray[np.int32]) -> tuple[TextBatch, NDArray[np.int32]]:
    """The tokens as the bytes that their characters stand for, and their ids; those with other characters are in no text."""
    # Each character as the one of its byte's number, so that Latin-1 is the bytes.
    table = {ord(character): byte for character, byte in CHARACTER_TO_BYTE.items()}
    other = {ord(character): None for character in set().union(*tokens) - CHARACTER_TO_BYTE.keys()}
    if other:
        kept = [k for k, token in enumerate(tokens) if token == token.translate(other)]
        tokens, ids = [tokens[k] for k in kept], ids[kept]
    offsets = np.zeros(len(tokens) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, tokens), np.int64, len(tokens)), out=offsets[1:])
    return TextBatch(np.frombuffer("".join(tokens).translate(table).encode("latin-1"), np.uint8), offsets), ids
