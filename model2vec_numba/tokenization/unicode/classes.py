"""Tables of the class of each code point (letter, white space, punctuation, …), filled from the answers of the `tokenizers` library.

A set of characters is a table with two classes. The tables always agree with the installed library, so they follow the same version of Unicode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex
from tokenizers.normalizers import Replace
from tokenizers.pre_tokenizers import PreTokenizer

from model2vec_numba.jit.decorators import inner
from model2vec_numba.tokenization.unicode.pages import PAGE_BITS, PAGE_COUNT, Pages, ask_for_page, code_points_of
from model2vec_numba.tokenization.unicode.probes import normalize_each
from model2vec_numba.tokenization.unicode.utf8 import decode, to_bits

__all__ = ["ALONE", "FILLED", "GAP", "JOINED", "MEMBER", "ClassTable", "class_at", "classes_by", "has_no_graphic", "matches_of", "member_at"]

# Set in the class of each code point whose page is filled, so that 0 means a page that is not filled.
FILLED = 0x80

# The entry of a member of a set, whose probe returns booleans.
MEMBER = FILLED | 1

# The kinds of `classes_by`: a pre-tokeniser joins a code point to the letters next to it, makes it a pre-token, or leaves it out.
JOINED = "joined"
ALONE = "alone"
GAP = "gap"

# Returns the class of each character of a list.
Probe = Callable[[list[str]], Iterable[int]]

# Characters to put between the tested ones. Nearly every class leaves out at least one of these.
_FENCES = "|a1 \n"


class ClassTable:
    """The class of each code point.

    Args:
        probe: returns the classes of characters, from 0 to ``FILLED - 1``.

    Attributes:
        classes: uint8, shape (0x110000,): the class of each code point with `FILLED` set, or 0 if its page is not filled.
        zeros: uint64, shape (0x110000 / 64,): a bit for each code point, 1 if its page is filled and its class is 0.
        pages: the pages of `classes` and `zeros`.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        # This is a megabyte of address space. The system provides memory only for the pages that are written.
        self.classes: NDArray[np.uint8] = np.zeros(PAGE_COUNT << PAGE_BITS, np.uint8)
        self.zeros: NDArray[np.uint64] = np.zeros(PAGE_COUNT, np.uint64)
        self.pages = Pages(self._fill_page)

    def _fill_page(self, page: int) -> None:
        code_points = code_points_of(page)
        classes = np.fromiter(self._probe(list(map(chr, code_points))), np.uint8, len(code_points))
        self.classes[code_points] = classes | np.uint8(FILLED)
        self.zeros[page : page + 1] = to_bits(classes == 0)


def classes_by(pre_tokenizer: PreTokenizer, *kinds: str) -> Probe:
    """Return the probe that sets bit ``b`` for a code point of kind ``b``, to a pre-tokeniser that looks at one code point at a time.

    The kinds are `JOINED`, `ALONE` and `GAP`.
    """
    bits = {kind: 1 << bit for bit, kind in enumerate(kinds)}

    def probe(characters: list[str]) -> Iterable[int]:
        # Each character stands between two letters.
        pre_tokens = pre_tokenizer.pre_tokenize_str("".join(f"a{character}a " for character in characters))
        lengths = {at: last - first for _, (first, last) in pre_tokens for at in range(first, last)}
        for at in range(1, 4 * len(characters), 4):
            length = lengths.get(at, 0)
            yield bits.get(GAP if length == 0 else ALONE if length == 1 else JOINED, 0)

    return probe


def matches_of(*patterns: str) -> Probe:
    """Return the probe that sets bit ``b`` for a code point that matches pattern ``b``, a regular expression for one character."""
    removers = [Replace(Regex(pattern), "") for pattern in patterns]
    fences = [next((fence for fence in _FENCES if remover.normalize_str(fence)), None) for remover in removers]

    def probe(characters: list[str]) -> Iterable[int]:
        classes = [0] * len(characters)
        for bit, (remover, fence) in enumerate(zip(removers, fences, strict=True)):
            for k, rest in enumerate(normalize_each(remover, characters, fence)):
                if not rest:
                    classes[k] |= 1 << bit
        return classes

    return probe


@inner
def class_at(data: NDArray[np.uint8], i: int, classes: NDArray[np.uint8], missing: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the class of the code point at `i` in valid UTF-8, with `FILLED`, and its number of bytes.

    If the page of the code point is not filled, the class is 0, and `missing` asks for the page.
    """
    code_point, size = decode(data, i)
    kind = np.int64(classes[code_point])
    if kind == 0:
        ask_for_page(code_point, missing)
    return kind, size


@inner
def member_at(data: NDArray[np.uint8], i: int, members: NDArray[np.uint8], missing: NDArray[np.uint8]) -> tuple[bool, int]:
    """Return whether the code point at `i` is in a set, and its number of bytes. `members` are the classes of the set.

    If the page of the code point is not filled, the result is False, and `missing` asks for the page.
    """
    kind, size = class_at(data, i, members, missing)
    return kind == MEMBER, size


@inner
def has_no_graphic(members: NDArray[np.uint8]) -> bool:
    """Return whether a set has no ASCII character from ``!`` on. If so, `graphic_length` can skip such characters eight at a time."""
    for byte in range(0x21, 0x80):
        if members[byte] == MEMBER:
            return False
    return True
