"""Replace, for a pattern that is a single ASCII character, such as the space that Llama and Gemma replace by U+2581."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, read_only
from model2vec_numba.jit.decorators import compiled
from model2vec_numba.jit.simd import length_before, load_padded_word, store_word
from model2vec_numba.tokenization.stages import DONE

__all__ = ["ReplaceCharacter", "is_replaced_character"]


def is_replaced_character(config: dict[str, Any]) -> bool:
    """Return whether a local step is a ``Replace`` of a character that `ReplaceCharacter` supports."""
    return bool(config["type"] == "Replace" and config["pattern"]["String"].isascii())


class ReplaceCharacter:
    """Replaces an ASCII character by a string.

    `LocalNormalizer` gives the same result, but takes eight times as long because it decodes each character.
    """

    def __init__(self, character: str, content: str) -> None:
        self._byte = ord(character)
        self._content = np.frombuffer(content.encode("utf-8") + b"\0", np.uint8)[:-1]

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """Return the normalised texts, as `Normalizer.normalize` describes."""
        begin, end = int(texts.offsets[0]), int(texts.offsets[-1])
        found = int(np.count_nonzero(texts.data[begin:end] == self._byte))
        # Eight bytes are written at a time, so some may be written after the last text.
        out, offsets = np.empty(end - begin + found * len(self._content) + 8, np.uint8), np.empty(len(texts) + 1, np.int64)
        replace_character(texts.data, texts.offsets, self._byte, self._content, status, out, offsets)
        return TextBatch(read_only(out), offsets)


@compiled()
def replace_character(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    byte: int,
    content: NDArray[np.uint8],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
) -> None:
    """Write the texts to `out` and `out_offsets` with `content` in place of a byte. Texts that are not `DONE` are written as empty texts."""
    at = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = at
        i, end = offsets[text], offsets[text + 1]
        while status[text] == DONE and i < end:
            word = load_padded_word(data, i, end - i)
            store_word(out, at, word)
            kept = min(length_before(word, byte), end - i)
            i += kept
            at += kept
            if kept < 8 and i < end:
                for k in range(len(content)):
                    out[at + k] = content[k]
                at += len(content)
                i += 1
    out_offsets[len(offsets) - 1] = at
