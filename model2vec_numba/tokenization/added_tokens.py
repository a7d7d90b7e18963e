"""Find the texts that may hold an added token. The `tokenizers` library must tokenise these texts, because it cuts a text at added tokens first.

The library looks for an added token in the text as it is. If the token is `normalized`, the library looks for the normalised form of the token in
the normalised text. For such tokens, the BERT core leaves out the white space of both. This finds every text that holds one, and hardly any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import BLOCK, bytes_between, trailing_zeros
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import FALLBACK

__all__ = ["AddedTokens", "Patterns", "holds_pattern", "make_patterns", "mark_patterns", "read_added_tokens"]

# Searching a block for this many different bytes takes as long as a look-up for each byte of the block.
_MAX_SEARCHED_BYTES = 8


class AddedTokens(NamedTuple):
    """The added tokens of a `tokenizer.json` that are not empty.

    Attributes:
        raw: the contents of the tokens that are found in the text as it is.
        normalized: the contents of the tokens that are found in the normalised text. These contents are not normalised yet.
    """

    raw: list[str]
    normalized: list[str]

    @property
    def hold_spaces(self) -> bool:
        """Whether one of them contains a space."""
        return any(" " in content for content in (*self.raw, *self.normalized))


def read_added_tokens(spec: TokenizerSpec) -> AddedTokens:
    """Read the added tokens of a tokenizer."""
    tokens = [token for token in spec.config.get("added_tokens") or [] if token["content"]]
    return AddedTokens(
        [token["content"] for token in tokens if not token["normalized"]],
        [token["content"] for token in tokens if token["normalized"]],
    )


class Patterns(NamedTuple):
    """Strings to search for, as arrays for compiled code.

    Attributes:
        data: uint8, the UTF-8 bytes of the patterns, which are sorted.
        offsets: int64, shape (patterns + 1,): where each pattern begins in `data`.
        groups: int64, shape (257,): the patterns that begin with byte ``b`` are ``groups[b]`` to ``groups[b + 1] - 1``.
        first_bytes: uint8, each byte that is the first byte of a pattern.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    groups: NDArray[np.int64]
    first_bytes: NDArray[np.uint8]

    @property
    def any(self) -> bool:
        """Whether there is at least one pattern."""
        return len(self.first_bytes) > 0


def make_patterns(texts: Iterable[str]) -> Patterns:
    """Return the arrays for texts, none of which is empty."""
    encoded = sorted({text.encode("utf-8") for text in texts})
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=offsets[1:])
    groups = np.searchsorted(np.array([pattern[0] for pattern in encoded], np.int64), np.arange(257)).astype(np.int64)
    first_bytes = np.flatnonzero(np.diff(groups)).astype(np.uint8)
    return Patterns(np.frombuffer(b"".join([*encoded, b"\0"]), np.uint8), offsets, groups, first_bytes)


@compiled()
def mark_patterns(
    texts: NDArray[np.uint8],
    text_offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    groups: NDArray[np.int64],
    first_bytes: NDArray[np.uint8],
    status: NDArray[np.uint8],
) -> None:
    """Write `FALLBACK` to `status` for each text that holds one of the patterns. The arrays are those of `TextBatch` and `Patterns`."""
    for text in range(len(status)):
        if holds_pattern(texts, text_offsets[text], text_offsets[text + 1], data, offsets, groups, first_bytes):
            status[text] = FALLBACK


@inner
def holds_pattern(
    text: NDArray[np.uint8],
    begin: int,
    end: int,
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    groups: NDArray[np.int64],
    first_bytes: NDArray[np.uint8],
) -> bool:
    """Return whether ``text[begin:end]`` holds one of the patterns."""
    if len(first_bytes) == 0:
        return False
    i = begin
    while i < end:
        # Search a block at a time, if there are few first bytes and the array does not end inside the block.
        candidates = np.uint64(1)
        size = 1
        if len(first_bytes) <= _MAX_SEARCHED_BYTES and i + BLOCK <= len(text):
            size = BLOCK
            candidates = np.uint64(0)
            for byte in first_bytes:
                candidates |= bytes_between(text, i, byte, byte)
        while candidates != 0:
            at = i + trailing_zeros(candidates)
            candidates &= candidates - np.uint64(1)
            if at < end and _pattern_at(text, at, end, data, offsets, groups):
                return True
        i += size
    return False


@inner
def _pattern_at(
    text: NDArray[np.uint8],
    i: int,
    end: int,
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> bool:
    """Return whether one of the patterns begins at `i` in ``text[:end]``."""
    byte = np.int64(text[i])
    for pattern in range(groups[byte], groups[byte + 1]):
        length = offsets[pattern + 1] - offsets[pattern]
        if i + length <= end:
            same = True
            for k in range(1, length):
                if text[i + k] != data[offsets[pattern] + k]:
                    same = False
                    break
            if same:
                return True
    return False
