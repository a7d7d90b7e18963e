"""Where BPE may cut a word into segments, so that merging the segments one by one gives the same tokens as merging the whole word.

Merging begins with the symbols of a word. There is a symbol for each character, with the prefix or the suffix that the model adds to it. (If merging
begins with bytes, "character" means a byte here. But a word is never cut inside a character.) An unknown character becomes its byte tokens, such as
``<0x0A>``, or the unknown token.

A boundary between two characters is *safe* if no merge can join two tokens that meet there. Merging always takes the pair of the lowest rank. If
several pairs have this rank, it takes the leftmost. So if nothing is ever joined across a boundary, the merges on one side do not depend on the other
side: they are the same, in the same order. This is true for any ranks.

- Suppose that two tokens meet between two known characters. The left token ends with the first character. The right token, without its prefix,
  begins with the second. If a merge joins these tokens, the new token holds the two characters next to each other. So the boundary is safe if no
  token holds them next to each other; see `AdjacentCharacters`.
- Usually no merge uses the byte tokens of an unknown character. Then the boundaries next to the character are safe. If a merge uses the token of a
  byte, this byte counts as adjacent to every byte.
- The unknown token is dropped in the end. If no merge uses it, the boundaries next to it are safe. This is also true if the library makes one unknown
  token of several adjacent unknown characters. If these are cut apart, each side has an unknown token, and both are dropped.
- In three cases, an unknown character changes the tokens farther away. If there is no unknown token, the neighbours of the character become
  neighbours of each other. If only some bytes have tokens, the library writes the unknown token after the byte tokens that follow it. If merges use
  the unknown token, the number of unknown tokens matters. In these cases, a word is cut only if it has no unknown characters.

If a segment is not at the beginning of its word, its first character has the prefix. If a segment is not at the end of its word, it has no suffix.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.tokenization.lookup.boundaries import find_adjacent_characters
from model2vec_numba.tokenization.unicode.utf8 import to_bits

__all__ = ["Cuts", "adjacent_pairs", "find_cuts"]

# Whether each byte can occur in UTF-8.
_IN_UTF8 = np.array([byte not in (0xC0, 0xC1) and byte < 0xF5 for byte in range(256)])


class Cuts(NamedTuple):
    """The rules by which the kernel cuts words.

    Attributes:
        cuts_at_unknown: whether a word with unknown characters may be cut. Other words may always be cut.
        character_pairs, byte_pairs: see `AdjacentCharacters`. A boundary between adjacent characters is not safe.
    """

    cuts_at_unknown: bool
    character_pairs: NDArray[np.uint64]
    byte_pairs: NDArray[np.uint64]


def find_cuts(
    texts: TextBatch, merges: NDArray[np.int64], byte_ids: NDArray[np.int32] | None, fallback_ids: NDArray[np.int32], unknown_id: int
) -> Cuts:
    """Return the rules by which the words of a model are cut.

    Args:
        texts: the tokens, as bytes if merging begins with bytes.
        merges: int64, shape (merges, 3): left id, right id and new id.
        byte_ids: if merging begins with bytes and there are no affixes: int32, shape (256,), the id of each byte's symbol, or -1. Otherwise
            ``None``.
        fallback_ids: int32, shape (256,): the ids of the byte tokens, or -1.
        unknown_id: the id of the unknown token, or -1.
    """
    character_pairs, byte_pairs = find_adjacent_characters(texts)
    is_joined = np.isin(fallback_ids, merges[:, :2])
    pairs = np.unpackbits(byte_pairs.astype("<u8").view(np.uint8), bitorder="little").reshape(256, 256)
    pairs[is_joined], pairs[:, is_joined] = 1, 1
    has_all_bytes = any(table is not None and bool(np.all(table[_IN_UTF8] >= 0)) for table in (byte_ids, fallback_ids))
    drops_unknown = unknown_id >= 0 and bool(np.all(fallback_ids < 0)) and unknown_id not in merges[:, :2]
    return Cuts(has_all_bytes or drops_unknown, character_pairs, to_bits(pairs.reshape(-1) == 1))


def adjacent_pairs(model: dict[str, Any], merges: NDArray[np.int64] | None, former: str, latter: str) -> set[tuple[str, str]] | None:
    """Return the pairs of neighbours in the tokens of BPE that begin with the character `former` or end with the character `latter`.

    The boundary inside any other such pair is safe.

    Args:
        model: the member ``model`` of a `tokenizer.json`.
        merges: int64, shape (merges, 3): left id, right id and new id.

    Returns:
        The pairs. ``None`` if the model is not BPE, or has settings with which a segment may have other ids than in its word.
    """
    # A segment, but not its word, may be a token that `ignore_merges` takes as a whole. The affixes are at the ends of words.
    if (
        model["type"] != "BPE"
        or merges is None
        or any(model.get(name) for name in ("ignore_merges", "continuing_subword_prefix", "end_of_word_suffix"))
    ):
        return None
    vocabulary: dict[str, int] = model["vocab"]
    merged = set(merges[:, :2].reshape(-1).tolist())
    bytes_in_text = [f"<0x{byte:02X}>" for byte in np.flatnonzero(_IN_UTF8).tolist()]
    if model.get("byte_fallback") and all(token in vocabulary for token in bytes_in_text):
        is_cut = not any(vocabulary.get(f"<0x{byte:02X}>") in merged for byte in range(256))
    else:
        has_bytes = model.get("byte_fallback") and any(token in vocabulary for token in bytes_in_text)
        is_cut = not has_bytes and model.get("unk_token") is not None and vocabulary[model["unk_token"]] not in merged
    if not is_cut:
        return None
    holders = [token for token in vocabulary if former in token[:-1] or latter in token[1:]]
    return {pair for token in holders for pair in itertools.pairwise(token) if pair[0] == former or pair[1] == latter}
