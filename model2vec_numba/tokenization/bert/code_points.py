"""A table of the answers of the `tokenizers` library for each code point: its normalised form, and its class in the pre-tokeniser.

The table always agrees with the installed library, so it follows the same version of Unicode.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
from numpy.typing import NDArray
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from model2vec_numba.tokenization.bert.core import DROP, ISOLATE, LONG_WORD, NONSTARTER, SPACE, UNSUPPORTED, WORD
from model2vec_numba.tokenization.unicode.arena import Arena
from model2vec_numba.tokenization.unicode.classes import ALONE, GAP, classes_by
from model2vec_numba.tokenization.unicode.filling import CODE_POINTS, Filler, characters_of
from model2vec_numba.tokenization.unicode.probes import find_nonstarters, normalize_each
from model2vec_numba.tokenization.unicode.utf8 import to_words

__all__ = ["CodePointTable"]

_INLINE_BYTES = 6
_LONG_BYTES = 15
_ARENA_BYTES = 1 << 20

# The lowest code point of each number of UTF-8 bytes.
_SIZES = (0, 0x80, 0x800, 0x10000)

# The kind of a character, for each class of the probe.
_CLASSES = (WORD, SPACE, ISOLATE)


class CodePointTable:
    """For each code point, the text that a normaliser and then a pre-tokeniser turn it into.

    The normaliser must treat each code point by itself, except for canonical ordering. The pre-tokeniser must class each code point by itself.
    `BertNormalizer` and `BertPreTokenizer` do.

    Args:
        normalizer, pre_tokenizer: the library's components.
        decomposes: whether the normaliser applies NFD, which includes canonical ordering.

    Attributes:
        entries: uint64, shape (0x110000,). Bits 0 to 3 hold the kind (0: it is not filled). Bits 4 to 7 hold the number of UTF-8 bytes of the
            result, and bits 8 to 15 its number of code points. Bits 16 to 63 hold the bytes, of which the first is the lowest, or for a `LONG_WORD`
            the position of the bytes in `arena`.
        arena: uint8, the bytes of the long results, at most 15 each; see `Arena`.
        filler: fills `entries`.
    """

    def __init__(self, normalizer: Normalizer, pre_tokenizer: PreTokenizer, *, decomposes: bool) -> None:
        self._normalizer = normalizer
        self._probe = classes_by(pre_tokenizer, GAP, ALONE)
        self._decomposes = decomposes
        self._arena = Arena(_ARENA_BYTES)
        # This is nine megabytes of address space. The system provides memory only for the parts that are written.
        self.entries: NDArray[np.uint64] = np.zeros(CODE_POINTS, np.uint64)
        self.arena = self._arena.data
        # The kind of each character of normalised text that was met.
        self._kinds: dict[str, int] = {}
        self.filler = Filler(self.entries, self._fill)

    def _fill(self, code_points: NDArray[np.int64]) -> None:
        results = normalize_each(self._normalizer, characters_of(code_points))
        texts = [result or "" for result in results]
        self._meet([character for character in set("".join(texts)) if character not in self._kinds])
        # Most results are one character.
        kinds = [self._kinds.get(text, 0) for text in texts]
        for k, kind in enumerate(kinds):
            if kind == 0 and results[k] is not None:
                kinds[k], kept = _meaning(tuple([self._kinds[character] for character in texts[k]]))
                texts[k] = texts[k][kept]
        self.entries[code_points] = self._entries(code_points, np.array(kinds, np.uint64), texts)

    def _entries(self, code_points: NDArray[np.int64], kinds: NDArray[np.uint64], texts: list[str]) -> NDArray[np.uint64]:
        """Return the entries of code points. `kinds`: the kinds, 0 if the library fails. `texts`: the text that each one adds, or is as a word."""
        counts = np.array(list(map(len, texts)), np.uint64)
        encoded = [text.encode("utf-8") for text in texts]
        payloads, lengths = to_words(encoded)
        is_long = (kinds == WORD) & (lengths > _INLINE_BYTES) & (lengths <= _LONG_BYTES)
        if is_long.any():
            payloads[is_long] = positions = self._arena.add(list(itertools.compress(encoded, is_long.tolist())))
            kinds[is_long] = np.where(positions < 0, UNSUPPORTED, LONG_WORD)
        entries = payloads << np.uint64(16) | counts << np.uint64(8) | lengths << np.uint64(4) | kinds
        entries[kinds == SPACE] = SPACE
        # Compiled code needs results with at most as many code points as the code point has bytes.
        sizes = np.searchsorted(_SIZES, code_points, "right")
        entries[(kinds == 0) | (kinds == UNSUPPORTED) | (counts > sizes) | (lengths > _LONG_BYTES)] = UNSUPPORTED
        return entries

    def _meet(self, characters: list[str]) -> None:
        """Write the kinds of characters of normalised text to `_kinds`."""
        nonstarters = find_nonstarters(characters) if self._decomposes else set()
        kinds = dict(zip(characters, map(_CLASSES.__getitem__, self._probe(characters)), strict=True))
        kinds |= {c: NONSTARTER for c in nonstarters if kinds[c] == WORD}
        # Compiled code pads words with NUL.
        kinds |= {c: UNSUPPORTED for c in kinds.keys() & {"\0"} if kinds[c] != SPACE}
        self._kinds.update(kinds)


@cache
def _meaning(kinds: tuple[int, ...]) -> tuple[int, slice]:
    """Return the kind of a code point, and which characters of its normalised form to keep. `kinds`: the kinds of these characters."""
    found = set(kinds)
    kept = [k for k, kind in enumerate(kinds) if kind != SPACE]
    if not kept:
        return SPACE if kinds else DROP, slice(0)
    if len(kept) == 1 and UNSUPPORTED not in found and (ISOLATE in found or kinds[0] == kinds[-1] == SPACE):
        # For example, an ideograph has a space on each side.
        return ISOLATE, slice(kept[0], kept[0] + 1)
    return WORD if found == {WORD} else UNSUPPORTED, slice(len(kinds))
