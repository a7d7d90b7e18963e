"""From command line arguments to texts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

__all__ = ["checked", "read_texts"]

_STANDARD_INPUT = 0


def read_texts(arguments: Sequence[str]) -> list[str]:
    """The texts that arguments stand for: the lines of a file, those of standard input for ``-``, else the argument itself.

    Lines end as they do for Python's `open`: with a line feed, a carriage return or both.

    Raises:
        OSError: a file cannot be read.
        ValueError: a text is not UTF-8; the message says where it is.
    """
    texts: list[str] = []
    for position, argument in enumerate(arguments, 1):
        if argument == "-":
            if sys.stdin is None:  # another file may have its number
                raise OSError("standard input: closed")
            texts.extend(_lines(_STANDARD_INPUT, "standard input"))
        elif os.path.exists(argument):  # noqa: PTH110 - Path.exists raises where a text is too long for a path (CPython < 3.12)
            texts.extend(_lines(argument, argument))
        else:
            texts.append(checked(argument, f"argument {position}"))
    return texts


def checked(text: str, where: str) -> str:
    """The text, having seen that it is one that UTF-8 can write.

    Raises:
        ValueError: naming `where` it is.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{where}: not UTF-8 at character {error.start + 1}") from None
    return text


def _lines(file: str | int, name: str) -> Iterator[str]:
    """The lines of a file, or of an open one's number, without their ends."""
    # What is not UTF-8 is let through as lone surrogates, which no UTF-8 decodes to: an error of the decoder's would not know the line.
    with open(file, encoding="utf-8", errors="surrogateescape", closefd=isinstance(file, str)) as lines:
        for number, line in enumerate(lines, 1):
            yield checked(line.removesuffix("\n"), f"{name}, line {number}")
