"""A table of the answers of the `tokenizers` library for each code point: its normalised form, and its class in the pre-tokeniser.

The table always agrees with the installed library, so it follows the same version of Unicode.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from model2vec_numba.tokenization.bert.core import DROP, ISOLATE, LONG_WORD, NONSTARTER, SPACE, UNSUPPORTED, WORD
from model2vec_numba.tokenization.unicode.arena import Arena
from model2vec_numba.tokenization.unicode.pages import PAGE_BITS, PAGE_COUNT, Pages, code_points_of
from model2vec_numba.tokenization.unicode.probes import find_nonstarters, normalize_each

__all__ = ["CodePointTable"]

_INLINE_BYTES = 6
_LONG_BYTES = 15
_ARENA_BYTES = 1 << 20


class CodePointTable:
    """For each code point, the text that a normaliser and then a pre-tokeniser turn it into.

    The normaliser must treat each code point by itself, except for canonical ordering. The pre-tokeniser must class each code point by itself.
    `BertNormalizer` and `BertPreTokenizer` do.

    Args:
        normalizer, pre_tokenizer: the library's components.
        decomposes: whether the normaliser applies NFD, which includes canonical ordering.

    Attributes:
        entries: uint64, shape (0x110000,). Bits 0 to 3 hold the kind. Bits 4 to 7 hold the number of UTF-8 bytes of the result, and bits 8 to
            15 its number of code points. Bits 16 to 63 hold the bytes, of which the first is the lowest, or for a `LONG_WORD` the
            position of the bytes in `arena`.
        arena: uint8, the bytes of the long results, at most 15 each; see `Arena`.
        pages: the pages of `entries`.
    """

    def __init__(self, normalizer: Normalizer, pre_tokenizer: PreTokenizer, *, decomposes: bool) -> None:
        self._normalizer = normalizer
        self._pre_tokenizer = pre_tokenizer
        self._decomposes = decomposes
        self._arena = Arena(_ARENA_BYTES)
        # This is nine megabytes of address space. The system provides memory only for the pages that are written.
        self.entries: NDArray[np.uint64] = np.zeros(PAGE_COUNT << PAGE_BITS, np.uint64)
        self.arena = self._arena.data
        self.pages = Pages(self._fill_page)

    def _fill_page(self, page: int) -> None:
        code_points = code_points_of(page)
        results = normalize_each(self._normalizer, list(map(chr, code_points)))
        characters = sorted(set().union(*(result for result in results if result is not None)))
        classes = self._classes(characters)
        nonstarters = find_nonstarters(characters) if self._decomposes else set()
        for code_point, result in zip(code_points, results, strict=True):
            self.entries[code_point] = UNSUPPORTED if result is None else self._entry(code_point, result, classes, nonstarters)

    def _entry(self, code_point: int, result: str, classes: dict[str, int], nonstarters: set[str]) -> int:
        """Return the entry of a code point that the normaliser turns into `result`."""
        if len(result) == 1 and result != "\0" and classes[result] != SPACE and result not in nonstarters:
            # Most code points end here. The code below takes three times as long for them, a tenth of the time to make a tokeniser.
            encoded = result.encode("utf-8")
            return int.from_bytes(encoded, "little") << 16 | 1 << 8 | len(encoded) << 4 | classes[result]
        spaces = [character for character in result if classes[character] == SPACE]
        kept = [character for character in result if classes[character] != SPACE]
        text = "".join(kept)
        encoded = text.encode("utf-8")
        # Compiled code pads words with NUL. It also needs results with at most as many code points as the code point has bytes.
        if "\0" in text or len(kept) > len(chr(code_point).encode("utf-8")) or len(encoded) > _LONG_BYTES:
            return UNSUPPORTED
        if not kept:
            return SPACE if spaces else DROP
        if len(kept) == 1 and (classes[text] == ISOLATE or (result[0] != text and result[-1] != text)):
            kind = ISOLATE
        elif spaces or any(classes[character] != WORD for character in kept):
            return UNSUPPORTED
        elif nonstarters.isdisjoint(kept):
            kind = WORD
        elif len(kept) == 1:
            kind = NONSTARTER
        else:
            return UNSUPPORTED
        payload = int.from_bytes(encoded, "little")
        if len(encoded) > _INLINE_BYTES:
            position = self._arena.add(encoded) if kind == WORD else None
            if position is None:
                return UNSUPPORTED
            kind, payload = LONG_WORD, position
        return payload << 16 | len(kept) << 8 | len(encoded) << 4 | kind

    def _classes(self, characters: list[str]) -> dict[str, int]:
        """Return the class of each character in the pre-tokeniser: `SPACE`, `ISOLATE` or `WORD`."""
        # Each character stands between two letters. It is a pre-token if it is isolated, and in no pre-token if it is a space. Most are neither, so
        # there are few pre-tokens.
        classes = dict.fromkeys(characters, WORD)
        end = 0
        for _, (first, last) in self._pre_tokenizer.pre_tokenize_str("a".join(["", *characters, ""])):
            # Characters are at the odd places. A character between two pre-tokens is a space.
            for place in range(end, first):
                classes[characters[place >> 1]] = SPACE
            if last - first == 1 and first & 1:
                classes[characters[first >> 1]] = ISOLATE
            end = last
        return classes
