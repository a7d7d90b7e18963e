"""What a tokenizer's normaliser and pre-tokeniser make of each code point, learnt from the installed `tokenizers` library.

The tables hold what the library answered, so they cannot disagree with it, whichever version of Unicode it follows.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from tokenizers.normalizers import NFD, Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from model2vec_numba.compiled import inner
from model2vec_numba.tokenization.pages import PAGE_COUNT, Pages, code_points_of
from model2vec_numba.tokenization.pool import Pool

__all__ = [
    "CANNOT_VOUCH",
    "DROP",
    "ISOLATE",
    "LONG_WORD",
    "NONSTARTER",
    "SPACE",
    "UNLEARNT",
    "WORD",
    "CodePointTable",
    "are_in",
    "begins_with_two_of_three_bytes",
    "bits_of",
    "decode",
]

# What a code point does to the text; the lowest four bits of its entry.
UNLEARNT = 0
DROP = 1  # it leaves nothing
SPACE = 2  # it ends a word
WORD = 3  # it adds bytes to the word
ISOLATE = 4  # it ends a word and is one itself
LONG_WORD = 5  # like WORD, with more bytes than an entry has room for
NONSTARTER = 6  # like WORD, but next to another of its kind the order may change (Unicode's canonical ordering)
CANNOT_VOUCH = 7  # what it does is more than an entry can say

_INLINE_BYTES = 6
_LONG_BYTES = 15
_POOL_BYTES = 1 << 20
# What each byte of a character but the first says of its code point.
_LAST_BITS = np.uint64(0x3F)
# Stands between probes. It must come through the normaliser alone and unchanged, and must not combine with anything.
_FENCE = "|"


class CodePointTable:
    """Per code point, what a normaliser followed by a pre-tokeniser does with it.

    For normalisers that treat each code point by itself, but for canonical ordering, and pre-tokenisers that class each one by itself, as
    `BertNormalizer` and `BertPreTokenizer` do.

    Attributes:
        entries: uint64, shape (0x110000,). Bits 0 to 3 hold the kind, bits 4 to 7 the number of UTF-8 bytes that it becomes, bits 8 to 15 the
            number of code points that these are, bits 16 to 63 the bytes themselves, the first lowest; or, for a `LONG_WORD`, their place in
            `pool`.
        pool: uint8, the bytes of the long ones, at most 15 each; see `Pool`.
        pages: those of `entries` that are learnt.
    """

    def __init__(self, normalizer: Normalizer, pre_tokenizer: PreTokenizer, *, decomposes: bool) -> None:
        """`decomposes`: whether the normaliser applies NFD, and with it canonical ordering."""
        self._normalizer = normalizer
        self._pre_tokenizer = pre_tokenizer
        self._decomposes = decomposes
        self._pool = Pool(_POOL_BYTES)
        # Nine megabytes of address space, of which the system provides only the pages that are written.
        self.entries: NDArray[np.uint64] = np.zeros(PAGE_COUNT << 8, np.uint64)
        self.pool = self._pool.data
        self.pages = Pages(self._learn_page)

    def solid(self, text: str) -> str:
        """The normalised text, without what the pre-tokeniser takes for white space."""
        normalized: str = self._normalizer.normalize_str(text)
        kinds = self._classes(sorted(set(normalized)))
        return "".join(character for character in normalized if kinds[character] != SPACE)

    def _learn_page(self, page: int) -> None:
        code_points = code_points_of(page)
        results = _apart(self._normalizer, list(map(chr, code_points)))
        characters = sorted(set().union(*results))
        kinds = self._classes(characters)
        unsettled = _nonstarters(characters) if self._decomposes else set()
        for code_point, result in zip(code_points, results, strict=True):
            self.entries[code_point] = self._entry(code_point, result, kinds, unsettled)

    def _entry(self, code_point: int, result: str, kinds: dict[str, int], nonstarters: set[str]) -> int:
        """The entry of a code point that the normaliser turns into `result`."""
        if len(result) == 1 and result != "\0" and kinds[result] != SPACE and result not in nonstarters:
            # As for most: what follows takes three times as long, a tenth of the making of a tokeniser.
            encoded = result.encode("utf-8")
            return int.from_bytes(encoded, "little") << 16 | 1 << 8 | len(encoded) << 4 | kinds[result]
        spaced = [character for character in result if kinds[character] == SPACE]
        solid = [character for character in result if kinds[character] != SPACE]
        text = "".join(solid)
        encoded = text.encode("utf-8")
        # Compiled code relies on a code point becoming no more code points than it has bytes, and pads words with NUL.
        if "\0" in text or len(solid) > len(chr(code_point).encode("utf-8")) or len(encoded) > _LONG_BYTES:
            return CANNOT_VOUCH
        if not solid:
            return SPACE if spaced else DROP
        if len(solid) == 1 and (kinds[text] == ISOLATE or (result[0] != text and result[-1] != text)):
            kind = ISOLATE
        elif spaced or any(kinds[character] != WORD for character in solid):
            return CANNOT_VOUCH
        elif nonstarters.isdisjoint(solid):
            kind = WORD
        elif len(solid) == 1:
            kind = NONSTARTER
        else:
            return CANNOT_VOUCH
        payload = int.from_bytes(encoded, "little")
        if len(encoded) > _INLINE_BYTES:
            place = self._pool.add(encoded) if kind == WORD else None
            if place is None:
                return CANNOT_VOUCH
            kind, payload = LONG_WORD, place
        return payload << 16 | len(solid) << 8 | len(encoded) << 4 | kind

    def _classes(self, characters: list[str]) -> dict[str, int]:
        """What the pre-tokeniser takes each character for: `SPACE`, `ISOLATE` or `WORD`."""
        # Each character stands between two letters: a piece of its own if it is isolated, in no piece if it is a space.
        pieces = self._pre_tokenizer.pre_tokenize_str("".join(f"a{character}a " for character in characters))
        covered = {first: last - first for _, (first, last) in pieces}
        classes = {}
        for index, character in enumerate(characters):
            if covered.get(4 * index) == 3:
                classes[character] = WORD
            else:
                classes[character] = ISOLATE if covered.get(4 * index + 1) == 1 else SPACE
        return classes


def _apart(normalizer: Normalizer, texts: list[str]) -> list[str]:
    """What the normaliser makes of each text by itself, in one call."""
    fenced = [text for text in texts if _FENCE not in text]
    results: list[str] = normalizer.normalize_str(_FENCE + _FENCE.join(fenced) + _FENCE)[1:-1].split(_FENCE)
    if len(results) != len(fenced):
        return [normalizer.normalize_str(text) for text in texts]
    following = iter(results)
    return [normalizer.normalize_str(text) if _FENCE in text else next(following) for text in texts]


def _nonstarters(characters: Iterable[str]) -> set[str]:
    """The characters that canonical ordering may move: those of a combining class other than 0.

    A class is found by the company it keeps: next to U+0334, of the lowest class, or U+0345, of the highest, every one of them moves (those
    two themselves, and their like, next to the other).
    """
    characters = list(characters)
    probes = [probe for c in characters for probe in (c, f"{c}\u0334", f"\u0345{c}")]
    answers = _apart(NFD(), [f"a{probe}" for probe in probes])
    alone, before, after = answers[0::3], answers[1::3], answers[2::3]
    return {
        c for c, plain, low, high in zip(characters, alone, before, after, strict=True) if low != f"{plain}\u0334" or high != f"a\u0345{plain[1:]}"
    }


@inner
def decode(data: NDArray[np.uint8], i: int) -> tuple[int, int]:
    """The code point that stands at `i` in valid UTF-8, and its number of bytes."""
    code_point = np.int64(data[i])
    size = 1
    if code_point >= 0xF0:
        code_point = (code_point & 0x07) << 18 | (data[i + 1] & 0x3F) << 12 | (data[i + 2] & 0x3F) << 6 | (data[i + 3] & 0x3F)
        size = 4
    elif code_point >= 0xE0:
        code_point = (code_point & 0x0F) << 12 | (data[i + 1] & 0x3F) << 6 | (data[i + 2] & 0x3F)
        size = 3
    elif code_point >= 0x80:
        code_point = (code_point & 0x1F) << 6 | (data[i + 1] & 0x3F)
        size = 2
    return code_point, size


def bits_of(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Truth values, a multiple of 64 of them, as the bits of words, the first lowest."""
    return np.packbits(flags, bitorder="little").view("<u8").astype(np.uint64)


@inner
def are_in(bits: NDArray[np.uint64], word: np.uint64) -> bool:
    """Whether a word of valid UTF-8 begins with two characters of three bytes each that have their bits in `bits`, which has one for each code point.

    Kana and ideographs come in rows: with two at once, without a wait for where the second begins, to normalise Japanese took 0.63 of the time. And
    their bits are all in the first cache, where other tables of them are not.
    """
    former = bits[_block_of_three_bytes(word)] >> (word >> np.uint64(16) & _LAST_BITS)
    latter = bits[_block_of_three_bytes(word >> np.uint64(24))] >> (word >> np.uint64(40) & _LAST_BITS)
    return begins_with_two_of_three_bytes(word) and former & latter & np.uint64(1) != np.uint64(0)


@inner
def begins_with_two_of_three_bytes(word: np.uint64) -> bool:
    """Whether a word that begins where a character does, in valid UTF-8, begins with two characters of three bytes each."""
    return word & np.uint64(0xF00000F0) == np.uint64(0xE00000E0)


@inner
def _block_of_three_bytes(word: np.uint64) -> np.uint64:
    """The code point of three bytes, the lowest ones of a word, less what the third byte says, divided by 64."""
    return (word & np.uint64(0x0F)) << np.uint64(6) | (word >> np.uint64(8) & _LAST_BITS)
