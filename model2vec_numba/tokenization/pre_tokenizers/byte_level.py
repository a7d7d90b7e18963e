"""ByteLevel: it cuts texts as GPT-2 does, and replaces each byte by a character of its alphabet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled
from model2vec_numba.tokenization.byte_alphabet import spelled_out
from model2vec_numba.tokenization.regex.automaton import Automaton
from model2vec_numba.tokenization.regex.kernel import BEHAVIORS
from model2vec_numba.tokenization.regex.matching import automaton_of, cut
from model2vec_numba.tokenization.stages import PreTokenBatch

__all__ = ["GPT2", "ByteLevel", "make_byte_level"]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class ByteLevel:
    """Cuts like `ByteLevel` of the `tokenizers` library. The bytes are not replaced: the result is marked as `PreTokenBatch.byte_level` instead.

    Args:
        add_prefix_space: whether to put a space before each pre-token that does not begin with one.
        automaton: the automaton of GPT-2's regular expression. ``None``: pre-tokens are not cut.
    """

    def __init__(self, *, add_prefix_space: bool, automaton: Automaton | None) -> None:
        self._adds_space = add_prefix_space
        self._automaton = automaton

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens, as `PreTokenizer.split` describes."""
        pre_tokens = spelled_out(pre_tokens)
        if self._adds_space:
            data = np.empty(pre_tokens.size + len(pre_tokens.begins), np.uint8)
            begins, ends = np.empty_like(pre_tokens.begins), np.empty_like(pre_tokens.ends)
            end = _prefix_spaces(pre_tokens.data, pre_tokens.begins, pre_tokens.ends, data, begins, ends)
            pre_tokens = PreTokenBatch(data[:end], begins, ends, pre_tokens.offsets)
        if self._automaton is not None:
            return cut(self._automaton, pre_tokens, status, BEHAVIORS["Isolated"], byte_level=True)
        return PreTokenBatch(pre_tokens.data, pre_tokens.begins, pre_tokens.ends, pre_tokens.offsets, byte_level=True)


def make_byte_level(config: dict[str, Any]) -> ByteLevel | None:
    """Return the pre-tokeniser for a ``ByteLevel``, or ``None`` if its JSON has an unknown form."""
    settings = {"use_regex": True, **config}
    if settings.keys() != {"type", "add_prefix_space", "trim_offsets", "use_regex"}:
        return None
    if not all(isinstance(settings[name], bool) for name in ("add_prefix_space", "trim_offsets", "use_regex")):
        return None
    automaton = automaton_of("Regex", GPT2) if settings["use_regex"] else None
    # `trim_offsets` changes only the offsets that the library returns.
    return ByteLevel(add_prefix_space=settings["add_prefix_space"], automaton=automaton)


@compiled()
def _prefix_spaces(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    new_data: NDArray[np.uint8],
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
) -> int:
    """Write the pre-tokens, with a space before each one that does not begin with a space. Other white space does not count as a space.

    Returns:
        The number of bytes that were written.
    """
    at = 0
    for pre_token in range(len(begins)):
        new_begins[pre_token] = at
        begin = begins[pre_token]
        length = ends[pre_token] - begin
        if length > 0 and data[begin] != 0x20:
            new_data[at] = 0x20
            at += 1
        for k in range(length):
            new_data[at + k] = data[begin + k]
        at += length
        new_ends[pre_token] = at
    return at
