"""Texts from command-line arguments, from the lines of files, and from JSON arrays of strings."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from model2vec_numba.tables.json_array import array_elements
from model2vec_numba.tables.sources import Input, Source, name_errors, shown_name

__all__ = ["check_utf8", "read_texts"]


def read_texts(inputs: Iterable[Input]) -> list[str]:
    """Return the texts of inputs that are not tables: texts, the lines of files, and the elements of JSON arrays.

    Lines end as in Python's `open`: with a line feed, a carriage return or both.

    Raises:
        OSError: a file cannot be read.
        ValueError: a text is not UTF-8, or an array does not consist of strings. The message says where it is.
    """
    texts: list[str] = []
    for position, given in enumerate(inputs, 1):
        if given.kind is None:
            texts.append(check_utf8(given.name, f"argument {position}"))
        elif given.kind == "json":
            texts.extend(_array(given.name))
        else:
            texts.extend(_lines(given.name))
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


def _lines(name: str) -> Iterator[str]:
    """Yield the lines of a file without their ends."""
    # Bytes that are not UTF-8 become lone surrogates, which `check_utf8` finds. The decoder's own error would not name the line.
    with (
        name_errors(shown_name(name)),
        Source(name) as source,
        io.TextIOWrapper(source.file, encoding="utf-8", errors="surrogateescape") as lines,
    ):
        for number, line in enumerate(lines, 1):
            yield check_utf8(line.removesuffix("\n"), f"line {number}")


def _array(name: str) -> Iterator[str]:
    """Yield the strings of a JSON array."""
    with name_errors(shown_name(name)), Source(name) as source:
        for number, (element, text) in enumerate(array_elements(source.file), 1):
            if not isinstance(element, str):
                raise ValueError(
                    f"element {number}: expected a string, found {text[:40]}. If this is a table, write it to .parquet, .csv, .jsonl or .arrow"
                )
            yield check_utf8(element, f"element {number}")
