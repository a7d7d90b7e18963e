"""The BPE model: the check of a file's settings, and the arguments of the kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch, read_only
from model2vec_numba.tokenization.byte_alphabet import CHARACTER_TO_BYTE, spelled_out
from model2vec_numba.tokenization.components import has_members
from model2vec_numba.tokenization.lookup.piece_cache import make_piece_cache
from model2vec_numba.tokenization.models.bpe.cuts import find_cuts
from model2vec_numba.tokenization.models.bpe.kernel import WORK_WIDTH, tokenize_pre_tokens
from model2vec_numba.tokenization.models.bpe.merge_table import MAX_MERGES, NO_TOKEN
from model2vec_numba.tokenization.models.bpe.short_words import make_byte_places
from model2vec_numba.tokenization.models.bpe.tables import build_bpe_vocabulary
from model2vec_numba.tokenization.models.running import run_kernel
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import PreTokenBatch

__all__ = ["Bpe", "make_bpe"]

_NONE = type(None)
_Scratch = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint32]]
# Half a megabyte for each thread. The system provides only the memory that is used.
_PAIR_CACHE_SLOTS = 1 << 16
# The byte that each character of `ByteLevel`'s alphabet stands for, by its code point. The last element, -1, is for all larger code points too.
_BYTES = np.full(max(map(ord, CHARACTER_TO_BYTE)) + 2, -1, np.int16)
_BYTES[[*map(ord, CHARACTER_TO_BYTE)]] = [*CHARACTER_TO_BYTE.values()]
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
        texts: the tokens.
        ids: int32, the ids of the tokens, all different.
        merges: int64, shape (merges, 3): left id, right id and new id, in the order of their ranks.
        model: the member ``model`` of a `tokenizer.json`.
        byte_level: whether the pre-tokens are bytes, in place of the characters of `ByteLevel`; see `PreTokenBatch.byte_level`.
    """

    name = "bpe"

    def __init__(self, texts: TextBatch, ids: NDArray[np.int32], merges: NDArray[np.int64], model: dict[str, Any], *, byte_level: bool) -> None:
        prefix, suffix = model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""
        ignore_merges = bool(model.get("ignore_merges"))
        vocabulary: dict[str, int] = model["vocab"]
        size = int(ids.max()) + 1
        fallback_ids = np.full(256, -1, np.int32)
        if model.get("byte_fallback"):
            fallback_ids[:] = [vocabulary.get(f"<0x{byte:02X}>", -1) for byte in range(256)]
        unknown_id = vocabulary[model["unk_token"]] if model.get("unk_token") is not None else -1
        # These characters stand for themselves in the alphabet of `ByteLevel`, and are complete characters as bytes too.
        is_affix_of_bytes = all("!" <= character <= "~" for character in prefix + suffix)
        self._byte_level = byte_level and is_affix_of_bytes and not model.get("byte_fallback")
        if self._byte_level:
            texts, ids = _as_bytes(texts, ids)
        affixes = tuple(np.frombuffer(affix.encode("utf-8") + b"\0", np.uint8)[:-1] for affix in (prefix, suffix))
        has_affixes = bool(prefix or suffix)
        tables = build_bpe_vocabulary(texts, ids, merges, size, from_bytes=self._byte_level, ignore_merges=ignore_merges, has_affixes=has_affixes)
        byte_ids = np.full(256, -1, np.int32)
        is_single_byte = np.diff(texts.offsets) == 1
        byte_ids[texts.data[texts.offsets[:-1][is_single_byte]]] = ids[is_single_byte]
        cuts = find_cuts(texts, merges, byte_ids if self._byte_level and not has_affixes else None, fallback_ids, unknown_id)
        self._tables = (
            *tables,
            byte_ids,
            make_byte_places(merges, byte_ids),
            self._byte_level,
            ignore_merges,
            *affixes,
            fallback_ids,
            unknown_id,
            bool(model.get("fuse_unk")),
            # The cache cannot tell these segments apart.
            not (ignore_merges and has_affixes),
            *cuts,
        )

    def make_scratch(self) -> _Scratch:
        """Return an empty piece cache, an empty cache of pairs of tokens for `backtrack`, and memory for `short_words`."""
        return make_piece_cache(), np.zeros(_PAIR_CACHE_SLOTS, np.uint64), np.empty((2, WORK_WIDTH), np.uint32)

    def tokenize(self, pre_tokens: PreTokenBatch, max_tokens: int | None, status: NDArray[np.uint8], scratch: _Scratch) -> TokenBatch:
        """Return the ids of each text, as `Model.tokenize` describes."""
        pre_tokens = pre_tokens if self._byte_level else spelled_out(pre_tokens)
        return run_kernel(tokenize_pre_tokens, pre_tokens, max_tokens, status, *self._tables, *scratch)


def make_bpe(spec: TokenizerSpec) -> Bpe | None:
    """Return the BPE model that a `tokenizer.json` describes; ``None`` if it needs something that this package does not support.

    Also return ``None`` if the library may refuse the file, so that the library gives the error.
    """
    model = spec.config["model"]
    vocabulary = spec.mapped_tokens()
    if vocabulary is None or not has_members(model, _MEMBERS) or spec.merges is None:
        return None
    texts, ids = vocabulary
    affixed = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
    if (
        model.get("dropout")
        # The piece cache and the table of merges cannot hold larger ids, nor more merges.
        or ids.max() >= NO_TOKEN
        or len(spec.merges) > MAX_MERGES
        # The library compares tokens by their ids; see `merge_by_heap`.
        or np.bincount(ids).max() > 1
        or model.get("unk_token") not in (None, *model["vocab"])
        # With both, a character may have more ids than bytes.
        or (model.get("byte_fallback") and affixed)
    ):
        return None
    return Bpe(texts, ids, spec.merges, model, byte_level=_ends_byte_level(spec.config.get("pre_tokenizer")))


def _ends_byte_level(pre_tokenizer: Any) -> bool:
    """Return whether the last step of a pre-tokeniser is `ByteLevel`, which gives bytes; see `PreTokenBatch.byte_level`."""
    if not isinstance(pre_tokenizer, dict):
        return False
    sequence = pre_tokenizer.get("pretokenizers")
    if pre_tokenizer.get("type") == "Sequence" and isinstance(sequence, list) and sequence:
        return _ends_byte_level(sequence[-1])
    return pre_tokenizer.get("type") == "ByteLevel"


def _as_bytes(texts: TextBatch, ids: NDArray[np.int32]) -> tuple[TextBatch, NDArray[np.int32]]:
    """Return tokens as the bytes that their characters stand for, and their ids.

    A token with a character that stands for no byte is left out, because it can occur in no text.
    """
    utf8 = texts.data[: texts.offsets[-1]]
    code_points = np.frombuffer(utf8.tobytes().decode("utf-8").encode("utf-32-le"), "<u4")
    data = _BYTES[np.minimum(code_points, len(_BYTES) - 1)]
    # The number of characters before each byte.
    begun = np.zeros(len(utf8) + 1, np.int64)
    np.cumsum(utf8 & 0xC0 != 0x80, out=begun[1:])
    lengths = np.diff(begun[texts.offsets])
    no_bytes = np.flatnonzero(data < 0)
    if len(no_bytes):
        kept = np.ones(len(texts), np.bool_)
        kept[np.searchsorted(np.cumsum(lengths), no_bytes, "right")] = False
        data, ids, lengths = data[np.repeat(kept, lengths)], ids[kept], lengths[kept]
    return TextBatch(read_only(data.astype(np.uint8)), np.concatenate([[0], np.cumsum(lengths)])), ids
