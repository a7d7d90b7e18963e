"""The texts of the benchmarks: default texts from Python packages, and texts from files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["Corpus", "corpus_from_file", "default_corpora", "documents"]

_DOCUMENT_BYTES = 10_000

# The scripts of most of CLDR's locales, and some languages whose Latin letters have marks.
# fmt: off
_LOCALES = (
    "am", "ar", "bn", "de", "el", "en", "fr", "gu", "he", "hi", "hy", "ja", "ka", "km", "ko",
    "lo", "ml", "my", "pa", "pl", "ru", "si", "ta", "te", "th", "tr", "uk", "vi", "zh", "zh_Hant",
)
# fmt: on


@dataclass(frozen=True)
class Corpus:
    """Texts with a name."""

    name: str
    texts: list[str]

    @cached_property
    def size(self) -> int:
        """The number of bytes of all texts, as UTF-8."""
        return sum(len(text.encode()) for text in self.texts)

    def limited(self, count: int | None) -> Corpus:
        """Return a corpus of the first `count` texts (``None``: all of them)."""
        return Corpus(self.name, self.texts[:count])


def default_corpora() -> Iterator[Corpus]:
    """Give the default texts: English prose in paragraphs, in lines and in long documents, and names in thirty languages.

    The prose comes from Python's documentation, and differs a little between versions of Python.
    """
    from pydoc_data.topics import topics

    from babel import Locale

    prose = "\n\n".join(topics[name] for name in sorted(topics))
    yield Corpus("prose-paragraphs", _paragraphs(prose))
    yield Corpus("prose-lines", _lines(prose))
    locales = [Locale.parse(name) for name in _LOCALES]
    # The languages alternate, so that each batch has several scripts, and a limited corpus has all of them.
    names = itertools.zip_longest(*([*locale.languages.values(), *locale.territories.values()] for locale in locales))
    yield Corpus("names-30-languages", [name for group in names for name in group if name])
    yield Corpus("prose-documents", documents(_paragraphs(prose)))


def corpus_from_file(path: Path, paragraphs: bool) -> Corpus:
    """Return the lines of a file of UTF-8 text that are not blank, or its paragraphs, which are separated by blank lines."""
    text = path.read_text(encoding="utf-8-sig")
    return Corpus(f"{path.stem}-{'paragraphs' if paragraphs else 'lines'}", _paragraphs(text) if paragraphs else _lines(text))


def documents(texts: list[str]) -> list[str]:
    """Join texts into documents of about ten kilobytes. No text is cut."""
    found: list[str] = []
    held: list[str] = []
    size = 0
    for text in texts:
        held.append(text)
        size += len(text.encode()) + 1
        if size >= _DOCUMENT_BYTES:
            found.append("\n".join(held))
            held, size = [], 0
    return [*found, "\n".join(held)] if held else found


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _paragraphs(text: str) -> list[str]:
    blocks = itertools.groupby(text.split("\n"), key=lambda line: bool(line.strip()))
    return ["\n".join(lines) for filled, lines in blocks if filled]
