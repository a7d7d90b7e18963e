"""Where BPE may cut a word into segments, so that merging the segments one by one gives the same tokens as merging the whole word.

Merging begins with the symbols of a word: one for each character, with the prefix or the suffix that the model adds to it. (If merging begins with
bytes, read "byte" for "character" here. But a word is still cut between characters only.) An unknown character becomes its byte tokens, such as
``<0x0A>``, or the unknown token. A boundary between two characters is *safe* if no merge can join two tokens that meet there. Merging always takes
the pair of the lowest rank, and of equal ones the leftmost. So if nothing is ever joined across a boundary, the merges on one side are the same, in
the same order, whatever is on the other side. This needs no order of the ranks.

- A merge joins tokens that meet between two known characters only if its result holds the one character directly before the other: the text of the
  left token ends with the one, and the text of the right token, without the prefix, begins with the other. So the boundary is safe if these
  characters are adjacent in no token; see `AdjacentCharacters`.
- The byte tokens of an unknown character are usually no part of any merge. Then they are joined with nothing, and the boundaries next to the
  character are safe. If the token of a byte is a part of a merge, the pairs of this byte and every other byte count as adjacent.
- The unknown token is dropped in the end. If it is no part of any merge, the boundaries next to it are safe. They also are if the library makes one
  unknown token of several adjacent characters: both sides then have one, and both are dropped.
- In three cases, an unknown character changes what happens farther away. If there is no unknown token, the neighbours of the character become
  neighbours of each other. If only some bytes have tokens, the library writes the unknown token after the byte tokens that follow it. And if merges
  join the unknown token, it matters how many there are. In these cases only a word without unknown characters is cut.

A segment that is not at the beginning of its word has the prefix before its first character, and one that is not at the end has no suffix.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.tokenization.lookup.boundaries import find_adjacent_characters
from model2vec_numba.tokenization.unicode.utf8 import to_bits

__all__ = ["Cuts", "find_cuts"]

# Whether each byte can occur in UTF-8.
_IN_UTF8 = np.array([byte not in (0xC0, 0xC1) and byte < 0xF5 for byte in range(256)])


class Cuts(NamedTuple):
    """What the kernel needs to know about cutting words.

    Attributes:
        cuts_at_unknown: whether a word with unknown characters may be cut. Any other word may be cut.
        character_pairs, byte_pairs: see `AdjacentCharacters`. A boundary between adjacent characters is not safe.
    """

    cuts_at_unknown: bool
    character_pairs: NDArray[np.uint64]
    byte_pairs: NDArray[np.uint64]


def find_cuts(
    texts: TextBatch, merges: NDArray[np.int64], byte_ids: NDArray[np.int32] | None, fallback_ids: NDArray[np.int32], unknown_id: int
) -> Cuts:
    """Find the safe boundaries of a model.

    Args:
        texts: the tokens, as bytes if merging begins with bytes.
        merges: int64, shape (merges, 3): left id, right id and new id.
        byte_ids: int32, shape (256,): the ids of the symbols of the bytes, or -1, if merging begins with bytes and there are no affixes. Otherwise
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
