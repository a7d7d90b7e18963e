"""Split: it cuts at a string, at a class of characters, or by one of the patterns in `patterns`."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled
from model2vec_numba.tokenization.byte_alphabet import spelled_out
from model2vec_numba.tokenization.pre_tokenizers.by_class import UNBOUNDED, ByClass, class_table
from model2vec_numba.tokenization.pre_tokenizers.cutting import BEHAVIORS, add_span, cut
from model2vec_numba.tokenization.pre_tokenizers.patterns import CL100K, GPT2, cut_cl100k, cut_gpt2, general_categories
from model2vec_numba.tokenization.stages import DONE, PreTokenBatch, PreTokenizer

__all__ = ["make_split"]

# A regular expression for one character: an escape, a bracket that holds plain characters, ranges and escapes, or a plain character.
_ESCAPE = r"\\(?:[sSdDwWtrn]|[pP]\{\^?\w+\}|[^\w\s])"
_PLAIN = r"[^\\\[\]{}()^$.|*+?&:\-]"
_BRACKET = rf"\[\^?(?:{_ESCAPE}|{_PLAIN}(?:-{_PLAIN})?)+\]"
# Such an expression, with a suffix for the number of characters in a match: one, any number (``+``), or at most `max`.
_CLASS = re.compile(rf"(?P<one>{_ESCAPE}|{_BRACKET}|{_PLAIN})(?:(?P<run>\+)|\{{1,(?P<max>[1-9][0-9]?)\}})?")


class ByPattern:
    """Cuts by a pattern whose matches cover the whole text. Each match is a pre-token.

    Args:
        pattern: `GPT2`, or a key of `CL100K`.
    """

    def __init__(self, pattern: str) -> None:
        self._settings = () if pattern == GPT2 else (CL100K[pattern],)
        self._kernel = cut_gpt2 if pattern == GPT2 else cut_cl100k

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens, as `PreTokenizer.split` describes."""
        return cut(self._kernel, general_categories(), spelled_out(pre_tokens), status, *self._settings)


class AtString:
    """Cuts at each occurrence of a string, from left to right.

    Args:
        text: the string.
        behavior: one of the values of `BEHAVIORS`, which says what happens to delimiters.
        invert: whether the texts between the occurrences are the delimiters, in place of the occurrences.
    """

    def __init__(self, text: str, behavior: int, *, invert: bool) -> None:
        self._text = np.frombuffer(text.encode("utf-8"), np.uint8)
        self._settings = (behavior, int(invert))

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens, as `PreTokenizer.split` describes."""
        pre_tokens = spelled_out(pre_tokens)
        begins, ends = np.empty(pre_tokens.size, np.int64), np.empty(pre_tokens.size, np.int64)
        offsets = np.zeros(len(pre_tokens.offsets), np.int64)
        source = (pre_tokens.data, pre_tokens.begins, pre_tokens.ends, pre_tokens.offsets, status)
        count = _cut_at_string(*source, self._text, *self._settings, begins, ends, offsets)
        return PreTokenBatch(pre_tokens.data, begins[:count], ends[:count], offsets)


def make_split(config: dict[str, Any]) -> PreTokenizer | None:
    """Return the pre-tokeniser for a ``Split``, or ``None`` for a pattern without compiled code."""
    pattern, invert = config.get("pattern"), config.get("invert")
    behavior = BEHAVIORS.get(str(config.get("behavior")))
    if config.keys() != {"type", "pattern", "behavior", "invert"} or behavior is None or not isinstance(invert, bool):
        return None
    if not isinstance(pattern, dict) or len(pattern) != 1:
        return None
    ((kind, text),) = pattern.items()
    if not isinstance(text, str) or not text:
        return None
    if kind == "String":
        return AtString(text, behavior, invert=invert)
    if kind != "Regex":
        return None
    if text == GPT2 or text in CL100K:
        # There is no text between the matches. So nothing can be merged with a match, and nothing remains if matches are removed.
        isolates = config["behavior"] in ("Isolated", "MergedWithPrevious", "MergedWithNext") or (config["behavior"] == "Removed" and invert)
        return ByPattern(text) if isolates else None
    match = _CLASS.fullmatch(text)
    if match is None:
        return None
    max_length = UNBOUNDED if match["run"] else int(match["max"] or 1)
    return ByClass(class_table(match["one"]), max_length, behavior, invert=invert)


@compiled()
def _cut_at_string(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    status: NDArray[np.uint8],
    delimiter: NDArray[np.uint8],
    behavior: int,
    invert: int,
    new_begins: NDArray[np.int64],
    new_ends: NDArray[np.int64],
    new_offsets: NDArray[np.int64],
) -> int:
    """Cut pre-tokens at a string. The arguments are those of `AtString` and of the kernels of `cut`. Return the number of new pre-tokens."""
    count = 0
    for text in range(len(offsets) - 1):
        for pre_token in range(offsets[text], offsets[text + 1] if status[text] == DONE else offsets[text]):
            i = begins[pre_token]
            begin = i
            end = ends[pre_token]
            previous_is_delimiter = -1
            while i < end:
                same = i + len(delimiter) <= end
                k = 0
                while same and k < len(delimiter):
                    same = data[i + k] == delimiter[k]
                    k += 1
                if not same:
                    i += 1
                    continue
                if i > begin:
                    count = add_span(begin, i, invert, previous_is_delimiter, behavior, new_begins, new_ends, count)
                    previous_is_delimiter = invert
                begin = i
                i += len(delimiter)
                count = add_span(begin, i, 1 - invert, previous_is_delimiter, behavior, new_begins, new_ends, count)
                previous_is_delimiter = 1 - invert
                begin = i
            if end > begin:
                count = add_span(begin, end, invert, previous_is_delimiter, behavior, new_begins, new_ends, count)
        new_offsets[text + 1] = count
    return count
