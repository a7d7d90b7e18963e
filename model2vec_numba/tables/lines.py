"""Texts from command-line arguments and from the lines of files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

__all__ = ["check_utf8", "read_texts"]

_STANDARD_INPUT = 0


def read_texts(arguments: Sequence[str]) -> list[str]:
    """Return the texts of arguments: the lines of a file, the lines of standard input for ``-``, or the argument itself.

    Lines end as in Python's `open`: with a line feed, a carriage return or both.

    Raises:
        OSError: a file cannot be read.
        ValueError: a text is not UTF-8. The message says where it is.
    """
    texts: list[str] = []
    for position, argument in enumerate(arguments, 1):
        if argument == "-":
            if sys.stdin is None:  # another file may have its number
                raise OSError("standard input: closed")
            texts.extend(_lines(_STANDARD_INPUT, "standard input"))
        elif os.path.exists(argument):  # noqa: PTH110 - Path.exists raises if a text is too long for a path (CPython < 3.12)
            texts.extend(_lines(argument, argument))
        else:
            texts.append(check_utf8(argument, f"argument {position}"))
    return texts


def check_utf8(text: str, where: str) -> str:
    """Return the text, if it can be encoded as UTF-8.

    Raises:
        ValueError: it cannot. The message begins with `where`.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{where}: not UTF-8 at character {error.start + 1}") from None
    return text


def _lines(file: str | int, name: str) -> Iterator[str]:
    """Yield the lines of a file without their ends. `file` is a path or a file descriptor."""
    # Bytes that are not UTF-8 become lone surrogates, which `check_utf8` finds. The decoder's own error would not name the line.
    with open(file, encoding="utf-8", errors="surrogateescape", closefd=isinstance(file, str)) as lines:
        for number, line in enumerate(lines, 1):
            yield check_utf8(line.removesuffix("\n"), f"{name}, line {number}")
