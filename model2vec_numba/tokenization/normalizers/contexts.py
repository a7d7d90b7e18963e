"""Find out how the code points of a normaliser act on their neighbours, as flags of each code point.

A code point that extends (`EXTENDS`) may act on the code points before it. A code point that glues (`GLUES`) may act on the code points after it. A
text can be cut between two code points if the first does not glue and the second does not extend: the normaliser then gives the same result for the
two parts as for the whole.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from tokenizers.normalizers import NFD, NFKD, Normalizer, Precompiled, StripAccents

from model2vec_numba.tokenization.normalizers.local_kernel import EXTENDS, GLUES
from model2vec_numba.tokenization.unicode.probes import find_nonstarters, normalize_each

__all__ = ["context_flags"]

# The normalisers whose code points act on each other through canonical decomposition: the decomposition, and whether a composition comes after it.
_DECOMPOSITIONS: dict[str, tuple[Normalizer, bool]] = {
    "NFC": (NFD(), True),
    "NFD": (NFD(), False),
    "NFKC": (NFKD(), True),
    "NFKD": (NFKD(), False),
    "BertNormalizer": (NFD(), False),
}
# Hangul vowels and final consonants, which make a syllable with the code points before them.
_JAMO = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))


def context_flags(context: str, texts: list[str]) -> list[int]:
    """Return the flags `EXTENDS` and `GLUES` of code points.

    Args:
        context: the normaliser whose code points act on each other: a key of `_DECOMPOSITIONS`, ``"Precompiled"``, or ``""`` for none.
        texts: for each code point, the text that it has become just before that normaliser.
    """
    if context == "":
        return [0] * len(texts)
    if context == "Precompiled":
        return _grapheme_flags(texts)
    return _decomposition_flags(*_DECOMPOSITIONS[context], texts)


def _decomposition_flags(decompose: Normalizer, composes: bool, texts: list[str]) -> list[int]:
    """Return the flags for canonical decomposition, followed by composition if `composes` is set.

    A text can be cut before a code point if the first code point of its decomposition is not moved by canonical ordering (its combining class is 0)
    and does not compose with a code point before it. Three kinds are assumed to compose like this: marks, Hangul vowels and finals, and code points
    after the first in the decomposition of a code point in the same block of 256. If a code point becomes empty, the code points on its two sides
    are neighbours.
    """
    decomposed = [text or "" for text in normalize_each(decompose, texts)]
    firsts = {text[0] for text in decomposed if text}
    moving = find_nonstarters(firsts)
    if composes:
        others = firsts - moving
        # `StripAccents` removes marks.
        marks = others - set(StripAccents().normalize_str("".join(others)))
        moving |= marks
        moving.update(c for c in others - marks if any(ord(c) in jamo for jamo in _JAMO) or c in _later_parts(ord(c) >> 8))
    return [(EXTENDS if text[0] in moving else 0) if text else EXTENDS | GLUES for text in decomposed]


@cache
def _later_parts(block: int) -> frozenset[str]:
    """Return the characters after the first in the canonical decomposition of each code point of a block of 256."""
    characters = list(map(chr, range(block << 8, (block + 1) << 8)))
    text = "".join(characters)
    # Many blocks have no decompositions.
    if NFD().normalize_str(text) == text:
        return frozenset()
    return frozenset(c for form in normalize_each(NFD(), characters) for c in (form or "")[1:])


def _grapheme_flags(texts: list[str]) -> list[int]:
    """Return the flags for `Precompiled`, which looks up a grapheme cluster of fewer than six bytes as a whole.

    A code point extends if it is in one cluster with a letter before it. It glues if it is in one cluster with a letter after it (Unicode calls this
    Prepend). The zero width joiner glues too, because it may join two pictographs. A carriage return glues because it joins a line feed. The other
    clusters (Hangul, Indic conjuncts, flags) have at least six bytes, and `normalize_texts` takes care of their ends.
    """
    probe = _cluster_probe()
    others = [text for text in texts if text >= "\x80"]
    # No cluster goes on after a line feed.
    extending = normalize_each(probe, [f"a{text}" for text in others], "\n")
    gluing = normalize_each(probe, [f"{text}a" for text in others], "\n")
    flags = {text: EXTENDS * (extends == "X") | GLUES * (glues == "Z") for text, extends, glues in zip(others, extending, gluing, strict=True)}
    flags |= {"\r": GLUES, "\u200d": flags.get("\u200d", 0) | GLUES}
    return [flags.get(text, 0) for text in texts]


def _cluster_probe() -> Normalizer:
    """Return a `Precompiled` that shows where clusters end.

    It replaces a grapheme cluster of fewer than six bytes by X if the cluster begins with the letter a, and by Z if it does not begin with ASCII.

    The keys of its charsmap are these first bytes. The format is that of SentencePiece: the size in bytes of a double-array trie (Darts), the
    trie as 32-bit units, then the replacements, each ended by NUL. The offset of the root is 256, so that the child for byte ``b`` is unit
    ``256 ^ b``. That has the label ``b``, a leaf, and the offset 512, so that its value is in unit ``256 ^ b ^ 512``.
    """
    units = np.zeros(1024, np.uint32)
    units[0] = 256 << 10
    for byte in (ord("a"), *range(0xC2, 0xF5)):
        units[256 ^ byte] = 512 << 10 | 1 << 8 | byte
        units[256 ^ byte ^ 512] = 1 << 31 | (0 if byte == ord("a") else 2)
    return Precompiled(np.uint32(units.nbytes).tobytes() + units.tobytes() + b"X\0Z\0")
