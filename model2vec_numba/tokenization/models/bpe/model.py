"""The BPE model: the check of a file's settings, and the arguments of the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.byte_alphabet import CHARACTER_TO_BYTE, spelled_out
from model2vec_numba.tokenization.components import has_members
from model2vec_numba.tokenization.lookup.boundaries import find_adjacent_characters
from model2vec_numba.tokenization.lookup.piece_cache import LARGEST_CACHED_ID, make_piece_cache
from model2vec_numba.tokenization.models.bpe.kernel import tokenize_pre_tokens
from model2vec_numba.tokenization.models.bpe.tables import build_bpe_vocabulary
from model2vec_numba.tokenization.models.running import run_kernel
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.spec.vocabulary import read_token_ids
from model2vec_numba.tokenization.stages import PreTokenBatch

__all__ = ["Bpe", "make_bpe"]

_NONE = type(None)
# Half a megabyte for each thread. The system provides only the memory that is used.
_PAIR_CACHE_SLOTS = 1 << 16
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
    """The `BPE` model of the Hugging Face `tokenizers` library: it merges adjacent symbols of a word, in the order of a list of merges.

    Args:
        tokens: the vocabulary.
        ids: int32, the ids of the tokens, all different.
        merges: int64, shape (merges, 3): left id, right id and new id, in the order of their ranks.
        model: the member ``model`` of a `tokenizer.json`.
        byte_level: whether the pre-tokens are bytes, in place of the characters of `ByteLevel`; see `PreTokenBatch.byte_level`.
    """

    name = "bpe"

    def __init__(self, tokens: Sequence[str], ids: NDArray[np.int32], merges: NDArray[np.int64], model: dict[str, Any], *, byte_level: bool) -> None:
        prefix, suffix = model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""
        has_no_affix = not prefix and not suffix
        ignore_merges = bool(model.get("ignore_merges"))
        vocabulary = dict(zip(tokens, ids.tolist(), strict=True))
        size = int(ids.max()) + 1
        fallback_ids = np.full(256, -1, np.int32)
        if model.get("byte_fallback"):
            fallback_ids[:] = [vocabulary.get(f"<0x{byte:02X}>", -1) for byte in range(256)]
        self._byte_level = byte_level and has_no_affix and not model.get("byte_fallback")
        if self._byte_level:
            texts, ids = _as_bytes(tokens, ids)
        else:
            texts = flatten(tokens)
        tables, ordered = build_bpe_vocabulary(texts, ids, merges, size, from_bytes=self._byte_level, ignore_merges=ignore_merges)
        byte_ids = np.full(256, -1, np.int32)
        is_single_byte = np.diff(texts.offsets) == 1
        byte_ids[texts.data[texts.offsets[:-1][is_single_byte]]] = ids[is_single_byte]
        unknown_id = vocabulary[model["unk_token"]] if model.get("unk_token") is not None else -1
        self._tables = (
            *tables,
            byte_ids,
            has_no_affix or ignore_merges,
            has_no_affix and ordered,
            self._byte_level,
            ignore_merges,
            np.frombuffer(prefix.encode("utf-8") + b"\0", np.uint8)[:-1],
            np.frombuffer(suffix.encode("utf-8") + b"\0", np.uint8)[:-1],
            fallback_ids,
            unknown_id,
            bool(model.get("fuse_unk")),
            *find_adjacent_characters(texts),
        )

    def make_scratch(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return an empty piece cache, and an empty cache of pairs of tokens for `backtrack`."""
        return make_piece_cache(), np.zeros(_PAIR_CACHE_SLOTS, np.uint64)

    def tokenize(
        self, pre_tokens: PreTokenBatch, max_tokens: int | None, status: NDArray[np.uint8], scratch: tuple[NDArray[np.uint64], NDArray[np.uint64]]
    ) -> TokenBatch:
        """Return the ids of each text, as `Model.tokenize` describes."""
        pre_tokens = pre_tokens if self._byte_level else spelled_out(pre_tokens)
        return run_kernel(tokenize_pre_tokens, pre_tokens, max_tokens, status, *self._tables, *scratch)


def make_bpe(spec: TokenizerSpec) -> Bpe | None:
    """Return the BPE model that a `tokenizer.json` describes; ``None`` if it needs something that this package does not support.

    Also return ``None`` if the library may refuse the file, so that the library gives the error.
    """
    model = spec.config["model"]
    vocabulary = read_token_ids(model)
    if vocabulary is None or not has_members(model, _MEMBERS) or spec.merges is None:
        return None
    tokens, ids = vocabulary
    affixed = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
    if (
        model.get("dropout")
        # The library compares tokens by their ids; see `merge_by_heap`.
        or len(np.unique(ids)) < len(ids)
        # The piece cache cannot hold larger ids.
        or ids.max() > LARGEST_CACHED_ID
        or model.get("unk_token") not in (None, *tokens)
        # With both, a character may have more ids than bytes.
        or (model.get("byte_fallback") and affixed)
    ):
        return None
    return Bpe(tokens, ids, spec.merges, model, byte_level=_ends_byte_level(spec.config.get("pre_tokenizer")))


def _ends_byte_level(pre_tokenizer: Any) -> bool:
    """Return whether the last step of a pre-tokeniser is `ByteLevel`, which gives bytes; see `PreTokenBatch.byte_level`."""
    if not isinstance(pre_tokenizer, dict):
        return False
    sequence = pre_tokenizer.get("pretokenizers")
    if pre_tokenizer.get("type") == "Sequence" and isinstance(sequence, list) and sequence:
        return _ends_byte_level(sequence[-1])
    return pre_tokenizer.get("type") == "ByteLevel"


def _as_bytes(tokens: Sequence[str], ids: NDArray[np.int32]) -> tuple[TextBatch, NDArray[np.int32]]:
    """Return tokens as the bytes that their characters stand for, and their ids.

    A token with a character that stands for no byte is left out, because it can occur in no text.
    """
    # Replace each character by the character whose code point is the byte, so that encoding as Latin-1 gives the bytes.
    table = {ord(character): byte for character, byte in CHARACTER_TO_BYTE.items()}
    other = {ord(character): None for character in set().union(*tokens) - CHARACTER_TO_BYTE.keys()}
    if other:
        kept = [k for k, token in enumerate(tokens) if token == token.translate(other)]
        tokens, ids = [tokens[k] for k in kept], ids[kept]
    offsets = np.zeros(len(tokens) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, tokens), np.int64, len(tokens)), out=offsets[1:])
    return TextBatch(np.frombuffer("".join(tokens).translate(table).encode("latin-1"), np.uint8), offsets), ids
