"""Read a JSON array as JSON lines."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

from model2vec_numba.tables.sources import TEXT_COLUMN

__all__ = ["JsonArray", "array_elements", "read_integer"]

_CHUNK_CHARS = 1 << 20
_WHITE_SPACE = re.compile(r"[ \t\n\r]*")


# Python reads no integer of more than 4,300 digits. This many digits are more than any other type holds.
_MAX_DIGITS = 400


def read_integer(literal: str) -> int:
    """Return an integer of JSON. Of a very long one, only the first digits are read."""
    return int(literal[:_MAX_DIGITS])


class JsonArray(io.RawIOBase):
    """The elements of a JSON array, one on each line. A string becomes an object. A file that does not begin with ``[`` stays as it is.

    Attributes:
        is_array: whether the file begins with ``[``.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        head = file.peek(_CHUNK_CHARS).removeprefix(b"\xef\xbb\xbf").lstrip()
        self.is_array = head[:1] == b"["
        self._lines = _as_lines(file) if self.is_array else iter(lambda: file.read(_CHUNK_CHARS), b"")
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._lines, b""))
        count = min(len(self._rest), len(buffer))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _as_lines(file: io.BufferedReader) -> Iterator[bytes]:
    """Yield each element as a line with a JSON object."""
    for number, (element, text) in enumerate(array_elements(file), 1):
        if isinstance(element, str):
            line = f'{{"{TEXT_COLUMN}": {text}}}'
        elif isinstance(element, dict):
            # There is no line break in a string of JSON.
            line = text.replace("\n", " ").replace("\r", " ")
        else:
            raise ValueError(f"element {number}: expected an object or a string, found {text[:40]}")
        yield f"{line}\n".encode()


def array_elements(file: io.BufferedReader) -> Iterator[tuple[Any, str]]:
    """Yield each element of a JSON array, and its text.

    Raises:
        ValueError: the file is not a JSON array in UTF-8. The message says which element is wrong.
    """
    reader = io.TextIOWrapper(file, "utf-8-sig", newline="")
    try:
        yield from _elements(reader)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from None
    finally:
        reader.detach()


def _elements(reader: io.TextIOWrapper) -> Iterator[tuple[Any, str]]:
    """Yield each element of a JSON array, and its text."""
    decoder = json.JSONDecoder(parse_int=read_integer)
    text, at, number, ended = "", 0, 0, False

    def more() -> None:
        nonlocal text, at, ended
        # Twice as much each time, because an element is parsed from its beginning again.
        chunk = reader.read(max(_CHUNK_CHARS, len(text) - at))
        text, at, ended = text[at:] + chunk, 0, not chunk

    def next_character() -> str:
        """Return the next character that is not white space, or an empty string at the end."""
        nonlocal at
        while True:
            match = _WHITE_SPACE.match(text, at)
            assert match is not None
            at = match.end()
            if at < len(text) or ended:
                return text[at : at + 1]
            more()

    if next_character() != "[":
        raise ValueError('expected a JSON array, which begins with "["')
    at += 1
    if next_character() == "]":
        at += 1
    else:
        while True:
            number += 1
            next_character()
            while True:
                try:
                    element, end = decoder.raw_decode(text, at)
                except RecursionError:
                    raise ValueError(f"element {number}: lists and objects are nested too deeply") from None
                except json.JSONDecodeError as error:
                    if ended:
                        raise ValueError(f"element {number}: not JSON: {error.msg}") from None
                else:
                    # A number may continue in the next chunk.
                    if end < len(text) or ended:
                        break
                more()
            yield element, text[at:end]
            at = end
            following = next_character()
            at += 1
            if following == "]":
                break
            if following != ",":
                raise ValueError(f'element {number}: expected "," or "]" after it, found {following or "the end of the file"!r}')
    if following := next_character():
        raise ValueError(f'expected the end of the file after the last "]", found {following!r}')
