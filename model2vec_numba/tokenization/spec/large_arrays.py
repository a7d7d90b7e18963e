"""Read the vocabulary and the merges of a `tokenizer.json` into arrays with compiled code. The rest of the file is small, and Python parses it.

Python makes an object for each token and each number, and a list for each merge or score. For 250,000 tokens this takes ten times as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, read_only
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import load_word, store_word, trailing_zeros

__all__ = ["MERGES", "PADDING", "VOCABULARY", "LargeArrays", "cut_out", "merge_parts", "scan", "strings_of"]

# Words that Python's parser takes for numbers, although JSON does not have them. They stand in the text where an array was cut out.
VOCABULARY, MERGES = "NaN", "Infinity"
# The scanner may read this many bytes after the end of the text. They must be zero.
PADDING = 16
_NAMES = {VOCABULARY: re.compile(rb'"vocab"\s*:\s*(?=[\[{])'), MERGES: re.compile(rb'"merges"\s*:\s*(?=\[)')}
# The largest number of places that are tried. A member of another object may have the same name.
_MAX_PLACES = 4
_WORD_BYTES = 8
# Python refuses integers of more than 4,300 digits.
_MAX_NUMBER_BYTES = 4096
_SPACE, _QUOTE, _BACKSLASH, _COMMA, _COLON = ord(" "), ord('"'), ord("\\"), ord(","), ord(":")
_ONES, _HIGH_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)


class LargeArrays(NamedTuple):
    """The large arrays of a file, and the text without them.

    Attributes:
        rest: the text in UTF-8, with `VOCABULARY` and `MERGES` in place of the arrays.
        vocabulary: the tokens, in the order of the file. There are 8 more bytes after the last one.
        is_list: whether the vocabulary is a list. Otherwise it is an object.
        numbers: uint8: the number of each token, an id or a score, as the file spells it, with a comma after each.
        merges: the strings of the merges, and 8 more bytes. ``None``: they are in `rest`, or there are none.
        are_pairs: whether the strings of `merges` are the two tokens of each merge. Otherwise each string is a merge.
    """

    rest: bytes
    vocabulary: TextBatch
    is_list: bool
    numbers: NDArray[np.uint8]
    merges: TextBatch | None
    are_pairs: bool


def cut_out(text: bytes) -> LargeArrays | None:
    """Cut the large arrays out of the text of a `tokenizer.json`. ``None`` if no array has the form of a vocabulary.

    The arrays are valid JSON, and no string has a lone surrogate. The caller must check that they are members of the model.

    Args:
        text: the text in UTF-8, which need not be valid JSON, and `PADDING` zero bytes.
    """
    data = read_only(np.frombuffer(text, np.uint8))
    found = next(_places(data, text, 0, VOCABULARY), None)
    if found is None:
        return None
    begin, end, vocabulary, numbers, is_list = found
    rest = text[:begin] + VOCABULARY.encode()
    merges, are_pairs = None, False
    second = next(_places(data, text, end, MERGES), None)
    if second is not None:
        rest += text[end : second[0]] + MERGES.encode()
        _, end, merges, _, are_pairs = second
    return LargeArrays(rest + text[end:-PADDING], vocabulary, is_list, numbers, merges, are_pairs)


def strings_of(texts: TextBatch) -> list[str]:
    """Return texts as Python strings."""
    data = texts.data[: texts.offsets[-1]]
    if not np.all(data):
        return [texts.text(i) for i in range(len(texts))]
    # Splitting one string takes a third of the time of decoding each text.
    return np.insert(data, texts.offsets[1:-1], 0).tobytes().decode("utf-8").split("\0")


def merge_parts(arrays: LargeArrays) -> TextBatch | None:
    """Return the left and the right token of each merge, one merge after the other, and 8 more bytes.

    The result is ``None`` if there are no merges in `arrays`, or if they are lines which do not all have one space or may be comments.
    """
    if arrays.merges is None or arrays.are_pairs:
        return arrays.merges
    data, offsets = arrays.merges.data, arrays.merges.offsets
    spaces = np.flatnonzero(data[: offsets[-1]] == _SPACE)
    if len(spaces) != len(offsets) - 1 or np.any(spaces < offsets[:-1]) or np.any(spaces >= offsets[1:]) or b"#version" in data.tobytes():
        return None
    ends = np.empty(2 * len(spaces) + 1, np.int64)
    ends[0::2], ends[1::2] = offsets - np.arange(len(offsets)), spaces - np.arange(len(spaces))
    return TextBatch(read_only(np.delete(data, spaces)), ends)


def _places(data: NDArray[np.uint8], text: bytes, start: int, kind: str) -> Iterator[tuple[int, int, TextBatch, NDArray[np.uint8], bool]]:
    """Yield where an array of this kind begins and ends, its strings, its numbers, and whether each of its members is a pair."""
    for _, match in zip(range(_MAX_PLACES), _NAMES[kind].finditer(text, start), strict=False):
        begin = match.end()
        size = len(data) - begin
        # The system provides only the memory that is used. A string has two quotation marks, and a comma or a bracket after it.
        strings, numbers, ends = np.empty(size + _WORD_BYTES, np.uint8), np.empty(size, np.uint8), np.empty(size // 3 + 2, np.int64)
        count, end, length, number_length, are_pairs = scan(data, begin, kind == MERGES, strings, ends, numbers)
        if count > 0:
            texts = strings[: length + _WORD_BYTES].copy()
            texts[length:] = 0
            yield begin, end, TextBatch(read_only(texts), ends[: count + 1].copy()), read_only(numbers[:number_length].copy()), are_pairs


@compiled()
def scan(
    data: NDArray[np.uint8], begin: int, are_merges: bool, strings: NDArray[np.uint8], ends: NDArray[np.int64], numbers: NDArray[np.uint8]
) -> tuple[int, int, int, int, bool]:
    """Read an array or an object of JSON that has the form of a vocabulary or of merges, and is not empty.

    A vocabulary is ``{"a": 1, …}`` or ``[["a", 1.5], …]``, merges are ``[["a", "b"], …]`` or ``["a b", …]``.

    Args:
        data: uint8: UTF-8, and `PADDING` zero bytes.
        begin: the position of its bracket.
        are_merges: whether it is an array of merges.
        strings: uint8, output: its strings, one after the other. The 7 bytes after them are overwritten too.
        ends: int64, output: 0, and where each string ends in `strings`.
        numbers: uint8, output: its numbers, as they are spelled, with a comma after each.

    Returns:
        The number of strings, 0 if it has another form; the position after the array; the numbers of bytes in `strings` and in `numbers`; and
        whether each member is an array of two.
    """
    is_object = data[begin] == ord("{")
    closing = ord("}") if is_object else ord("]")
    i = _after_space(data, begin + 1)
    are_pairs = data[i] == ord("[")
    has_second = not are_merges or are_pairs
    separator = _COLON if is_object else _COMMA
    refused = (0, 0, 0, 0, False)
    if are_pairs == is_object and has_second:
        return refused
    # int64 variables, because numba compiles the functions that are called with a literal once more.
    count, at, number_at = np.int64(0), np.int64(0), np.int64(0)
    ends[0] = 0
    while True:
        if are_pairs:
            if data[i] != ord("["):
                return refused
            i = _after_space(data, i + 1)
        i, at = _read_string(data, i, strings, at)
        if i < 0:
            return refused
        count += 1
        ends[count] = at
        i = _after_space(data, i)
        if has_second:
            if data[i] != separator:
                return refused
            i = _after_space(data, i + 1)
            if are_merges:
                i, at = _read_string(data, i, strings, at)
                if i < 0:
                    return refused
                count += 1
                ends[count] = at
            else:
                number_end = _number_end(data, i)
                if number_end < 0 or number_end - i > _MAX_NUMBER_BYTES:
                    return refused
                while i < number_end:
                    numbers[number_at] = data[i]
                    number_at += 1
                    i += 1
                numbers[number_at] = _COMMA
                number_at += 1
            i = _after_space(data, i)
        if are_pairs:
            if data[i] != ord("]"):
                return refused
            i = _after_space(data, i + 1)
        if data[i] == closing:
            return count, i + 1, at, number_at, are_pairs
        if data[i] != _COMMA:
            return refused
        i = _after_space(data, i + 1)


@inner
def _after_space(data: NDArray[np.uint8], i: int) -> int:
    """Return the position of the first byte from `i` on that is not white space."""
    while data[i] == _SPACE or data[i] == ord("\n") or data[i] == ord("\r") or data[i] == ord("\t"):
        i += 1
    return i


@inner
def _read_string(data: NDArray[np.uint8], i: int, strings: NDArray[np.uint8], at: int) -> tuple[int, int]:
    """Write the UTF-8 of the string that begins at `i` to ``strings[at:]``.

    Returns:
        The position after the string, and where its UTF-8 ends. The position is -1 if this is no valid string, or one with a lone surrogate.
    """
    if data[i] != _QUOTE:
        return -1, at
    i += 1
    while True:
        word = load_word(data, i)
        store_word(strings, at, word)
        plain = _plain_length(word)
        i += plain
        at += plain
        if plain == _WORD_BYTES:
            continue
        if data[i] == _QUOTE:
            return i + 1, at
        if data[i] != _BACKSLASH:
            return -1, at
        letter = data[i + 1]
        i += 2
        if letter == ord("u"):
            code_point = _read_hexadecimal(data, i)
            i += 4
            if 0xDC00 <= code_point < 0xE000:
                return -1, at
            if 0xD800 <= code_point < 0xDC00:
                second = _read_hexadecimal(data, i + 2) if data[i] == _BACKSLASH and data[i + 1] == ord("u") else np.int64(-1)
                i += 6
                code_point = 0x10000 + ((code_point - 0xD800) << 10) + (second - 0xDC00) if 0xDC00 <= second < 0xE000 else np.int64(-1)
            if code_point < 0:
                return -1, at
            at = _write_code_point(code_point, strings, at)
            continue
        if letter == ord("n"):
            letter = np.uint8(ord("\n"))
        elif letter == ord("t"):
            letter = np.uint8(ord("\t"))
        elif letter == ord("r"):
            letter = np.uint8(ord("\r"))
        elif letter == ord("b"):
            letter = np.uint8(ord("\b"))
        elif letter == ord("f"):
            letter = np.uint8(ord("\f"))
        elif letter != _QUOTE and letter != _BACKSLASH and letter != ord("/"):
            return -1, at
        strings[at] = letter
        at += 1


@inner
def _plain_length(word: np.uint64) -> int:
    """Return the number of the eight bytes of a uint64 before the first quotation mark, backslash or control character."""
    quote, backslash = word ^ (_ONES * np.uint64(_QUOTE)), word ^ (_ONES * np.uint64(_BACKSLASH))
    # The lowest bit that is set in each of the three is right. Higher bits may be wrong.
    found = (quote - _ONES) & ~quote | (backslash - _ONES) & ~backslash | (word - _ONES * np.uint64(_SPACE)) & ~word
    return trailing_zeros(found & _HIGH_BITS) >> 3


@inner
def _read_hexadecimal(data: NDArray[np.uint8], begin: int) -> int:
    """Return the number that four hexadecimal digits make; -1 if they are no digits."""
    value = np.int64(0)
    for i in range(begin, begin + 4):
        small = data[i] | 0x20
        if ord("0") <= data[i] <= ord("9"):
            digit = np.int64(data[i]) - ord("0")
        elif ord("a") <= small <= ord("f"):
            digit = np.int64(small) - ord("a") + 10
        else:
            return -1
        value = value << 4 | digit
    return value


@inner
def _write_code_point(code_point: int, strings: NDArray[np.uint8], at: int) -> int:
    """Write the UTF-8 of a code point to ``strings[at:]``, and return where it ends."""
    if code_point < 0x80:
        strings[at] = code_point
        return at + 1
    size = 2 + (code_point >= 0x800) + (code_point >= 0x10000)
    for k in range(size - 1, 0, -1):
        strings[at + k] = 0x80 | code_point & 0x3F
        code_point >>= 6
    strings[at] = (0xF00 >> size & 0xFF) | code_point
    return at + size


@inner
def _number_end(data: NDArray[np.uint8], i: int) -> int:
    """Return the position after the number that begins at `i`; -1 if this is no number in JSON."""
    i += data[i] == ord("-")
    begin = i
    i = _after_digits(data, i)
    if i == begin or (data[begin] == ord("0") and i > begin + 1):
        return -1
    if data[i] == ord("."):
        begin = i + 1
        i = _after_digits(data, begin)
        if i == begin:
            return -1
    if data[i] == ord("e") or data[i] == ord("E"):
        i += 1
        i += data[i] == ord("+") or data[i] == ord("-")
        begin = i
        i = _after_digits(data, begin)
        if i == begin:
            return -1
    return i


@inner
def _after_digits(data: NDArray[np.uint8], i: int) -> int:
    """Return the position of the first byte from `i` on that is no digit."""
    while ord("0") <= data[i] <= ord("9"):
        i += 1
    return i
