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
from model2vec_numba.tokenization.unicode.filling import CODE_POINTS, Filler, ask_for, characters_of
from model2vec_numba.tokenization.unicode.utf8 import decode, mark

__all__ = ["ALONE", "FILLED", "GAP", "JOINED", "MEMBER", "ClassTable", "class_at", "classes_by", "has_no_graphic", "matches_of", "member_at"]

# Set in each class that is filled, so that 0 means a class that is not filled.
FILLED = 0x80

# The entry of a member of a set, whose probe returns booleans.
MEMBER = FILLED | 1

# The kinds of `classes_by`: a pre-tokeniser joins a code point to the letters next to it, makes it a pre-token, or leaves it out.
JOINED = "joined"
ALONE = "alone"
GAP = "gap"

# Returns the class of each character of a list.
Probe = Callable[[list[str]], Iterable[int]]


class ClassTable:
    """The class of each code point.

    Args:
        probe: returns the classes of characters, from 0 to ``FILLED - 1``.

    Attributes:
        classes: uint8, shape (0x110000,): the class of each code point with `FILLED` set, or 0 if it is not filled.
        zeros: uint64, shape (0x110000 / 64,): a bit for each code point, 1 if its class is filled and is 0.
        filler: fills `classes` and `zeros`.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        # This is a megabyte of address space. The system provides memory only for the parts that are written.
        self.classes: NDArray[np.uint8] = np.zeros(CODE_POINTS, np.uint8)
        self.zeros: NDArray[np.uint64] = np.zeros(CODE_POINTS // 64, np.uint64)
        self.filler = Filler(self.classes, self._fill)

    def _fill(self, code_points: NDArray[np.int64]) -> None:
        classes = np.fromiter(self._probe(characters_of(code_points)), np.uint8, len(code_points))
        self.classes[code_points] = classes | np.uint8(FILLED)
        mark(self.zeros, self.classes, FILLED, code_points)


def classes_by(pre_tokenizer: PreTokenizer, *kinds: str) -> Probe:
    """Return the probe that sets bit ``b`` for a code point of kind ``b``, to a pre-tokeniser that looks at one code point at a time.

    The kinds are `JOINED`, `ALONE` and `GAP`.
    """
    bits = {kind: 1 << bit for bit, kind in enumerate(kinds)}

    def probe(characters: list[str]) -> Iterable[int]:
        # Each character stands between two letters. Most are joined to both, so there are few pre-tokens.
        classes = [bits.get(JOINED, 0)] * len(characters)
        end = 0
        for _, (first, last) in pre_tokenizer.pre_tokenize_str("a".join(["", *characters, ""])):
            # Characters are at the odd places. A character between two pre-tokens is left out.
            for place in range(end, first):
                classes[place >> 1] = bits.get(GAP, 0)
            if last - first == 1 and first & 1:
                classes[first >> 1] = bits.get(ALONE, 0)
            end = last
        return classes

    return probe


def matches_of(*patterns: str) -> Probe:
    """Return the probe that sets bit ``b`` for a code point that matches pattern ``b``, a regular expression for one character."""
    removers = [Replace(Regex(pattern), "") for pattern in patterns]

    def probe(characters: list[str]) -> Iterable[int]:
        # With the line feeds, a pattern that ignores case cannot match two letters in place of one.
        text = "\n".join(characters)
        classes = dict.fromkeys(characters, 0)
        for bit, remover in enumerate(removers):
            for character in set(characters) - set(remover.normalize_str(text)):
                classes[character] |= 1 << bit
        return [classes[character] for character in characters]

    return probe


@inner
def class_at(data: NDArray[np.uint8], i: int, classes: NDArray[np.uint8], missing: NDArray[np.int32]) -> tuple[int, int]:
    """Return the class of the code point at `i` in valid UTF-8, with `FILLED`, and its number of bytes.

    If the class is not filled, the result is 0, and `missing` asks for it.
    """
    code_point, size = decode(data, i)
    kind = np.int64(classes[code_point])
    if kind == 0:
        ask_for(code_point, missing)
    return kind, size


@inner
def member_at(data: NDArray[np.uint8], i: int, members: NDArray[np.uint8], missing: NDArray[np.int32]) -> tuple[bool, int]:
    """Return whether the code point at `i` is in a set, and its number of bytes. `members` are the classes of the set.

    If the class is not filled, the result is False, and `missing` asks for it.
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
