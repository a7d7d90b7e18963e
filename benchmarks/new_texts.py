"""Texts that are large enough for each to be encoded once, as in a real job. Nothing is downloaded.

English is what the Python files of the standard library and of the installed packages say in docstrings and comments, and their pages of text. So it
is technical English with some code, and it depends on the installed packages. Paragraphs that come twice are left out, and the rest is cut into texts
of about 240 bytes.

The other texts are generated. As in real text, few words are frequent, and new words come all the time: after n words, there are about 6 * n ** 0.7
different ones. (7,600 news texts of 290,000 words have 40,000.) A word is a copy of a random earlier word, or a new one. New words are made of the
letters of Babel's names in the language, each letter drawn by the two before it. So the letters and their order are real, but most words are not.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import sysconfig
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.corpora import Corpus
from benchmarks.languages import names

__all__ = ["LANGUAGES", "english", "generated", "new_texts"]

LANGUAGES = ("German", "Russian", "Arabic", "Hindi", "Chinese", "Japanese")

_CODES = {"German": "de", "Russian": "ru", "Arabic": "ar", "Hindi": "hi", "Chinese": "zh", "Japanese": "ja"}
# The text between two words, after a clause, and after a sentence.
_MARKS = {"Chinese": ("", "\uff0c", "\u3002"), "Japanese": ("", "\u3001", "\u3002"), "Hindi": (" ", ",", " \u0964"), "Arabic": (" ", "\u060c", ".")}
_USUAL_MARKS = (" ", ",", ".")

# The mean and the standard deviation of the bytes of a text.
_BYTES, _SPREAD = 240, 60
_SHORTEST = 60

_STRINGS = re.compile(r'("""|\'\'\')(.*?)\1', re.DOTALL)
_COMMENTS = re.compile(r"(?:^[ \t]*#[^\n]*\n)+", re.MULTILINE)
_COMMENT_SIGNS = re.compile(r"^[ \t]*#+ ?", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n\s*\n")
_PYTHON, _PAGES = (".py", ".pyi"), (".md", ".rst", ".txt")
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ "
# A paragraph with fewer letters and spaces is code or a table.
_PROSE = 0.8

_GROWTH, _FACTOR = 0.7, 6.0
# The first words of a language are its frequent ones, which are short.
_FREQUENT, _FREQUENT_LETTERS, _LETTERS_MEAN = 300, 4, 7
_CAPITALS = 0.1


def new_texts(language: str, count: int) -> Corpus:
    """Return up to `count` texts of "English" or one of `LANGUAGES`. No text comes twice."""
    return english(count) if language == "English" else generated(language, count)


def english(count: int) -> Corpus:
    """Return up to `count` English texts, in random order. There are fewer if the installed packages have fewer."""
    draw = random.Random("English")
    texts: dict[str, None] = {}
    # Each file is cut on its own, so reading stops when there are enough.
    for paragraphs in _files(draw):
        texts |= dict.fromkeys(_cut(" ".join(paragraphs).split(" "), draw))
        if len(texts) > 1.2 * count:
            break
    chosen = list(texts)
    draw.shuffle(chosen)
    return Corpus("English", chosen[:count])


def _files(draw: random.Random) -> Iterator[list[str]]:
    """Yield the paragraphs of each file, without those that came before. The files have a random order."""
    folders = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")]
    # The packages are in a folder of the library, except in a virtual environment.
    paths = {Path(at, name) for folder in folders for at, _, names in os.walk(folder) for name in names if name.endswith((*_PYTHON, *_PAGES))}
    seen: set[str] = set()
    for path in draw.sample(sorted(paths), len(paths)):
        try:
            content = path.read_text(encoding="utf-8")
        except (OSError, UnicodeError):
            continue
        found = []
        for part in _parts(content) if path.suffix in _PYTHON else [content]:
            for paragraph in _BLANK_LINES.split(part):
                text = " ".join(paragraph.split())
                if len(text) >= _SHORTEST and text not in seen and _is_prose(text):
                    seen.add(text)
                    found.append(text)
        if found:
            yield found


def _parts(code: str) -> Iterator[str]:
    """Yield the strings between triple quotes and the comments of some Python code."""
    for match in _STRINGS.finditer(code):
        yield match[2]
    for match in _COMMENTS.finditer(code):
        yield _COMMENT_SIGNS.sub("", match[0])


def _is_prose(text: str) -> bool:
    data = text.encode()
    return len(data) - len(data.translate(None, _LETTERS)) >= _PROSE * len(data)


def _cut(words: list[str], draw: random.Random) -> Iterator[str]:
    """Yield texts of about `_BYTES` bytes, made of consecutive words."""
    held: list[str] = []
    size, wanted = 0, draw.gauss(_BYTES, _SPREAD)
    for word in words:
        held.append(word)
        # Nearly all characters have one byte.
        size += len(word) + 1
        if size >= max(wanted, _SHORTEST):
            yield " ".join(held)
            held, size, wanted = [], 0, draw.gauss(_BYTES, _SPREAD)
    if size >= _SHORTEST:
        yield " ".join(held)


def generated(language: str, count: int) -> Corpus:
    """Return `count` texts of one of `LANGUAGES`."""
    space, comma, end = _MARKS.get(language, _USUAL_MARKS)
    random_numbers = np.random.default_rng(sum(language.encode()))
    # More than enough words: the mean word with its space has more than five bytes.
    total = max(count, 1) * (_BYTES // 5)
    drawn = _zipf(total, random_numbers)
    known = list(itertools.islice(_words(language), int(drawn.max()) + 1))
    marks = random_numbers.choice(np.array([0, 1, 2], np.int64), total, p=(0.86, 0.08, 0.06)).tolist()
    texts: dict[str, None] = {}
    held: list[str] = []
    size, wanted = 0, random_numbers.normal(_BYTES, _SPREAD)
    for number, mark in zip(drawn.tolist(), marks, strict=True):
        word = known[number] + ("", comma, end)[mark] + ("" if mark and not space else space)
        held.append(word)
        size += len(word.encode())
        if size >= max(wanted, _SHORTEST):
            texts["".join(held).rstrip()] = None
            held, size, wanted = [], 0, random_numbers.normal(_BYTES, _SPREAD)
            if len(texts) == count:
                break
    return Corpus(language, list(texts))


def _zipf(total: int, random_numbers: np.random.Generator) -> NDArray[np.int64]:
    """Return the number of each of `total` words: int64, shape (total,). A word is new, or a copy of a random word before it."""
    position = np.arange(total)
    is_new = random_numbers.random(total) < _FACTOR * _GROWTH * (position + 1.0) ** (_GROWTH - 1)
    is_new[0] = True
    origin = np.where(is_new, position, (random_numbers.random(total) * position).astype(np.int64))
    # Follow the copies to their first word.
    while not is_new[origin].all():
        origin = origin[origin]
    return np.asarray((np.cumsum(is_new) - 1)[origin], np.int64)


def _words(language: str) -> Iterator[str]:
    """Yield different words: first short ones, then ones of all lengths. There is no last one."""
    draw = random.Random(language)
    after: defaultdict[str, list[str]] = defaultdict(list)
    for name in names(_CODES[language]):
        for word in name.split():
            for first, second, third in zip("  " + word, " " + word, word + "\0", strict=False):
                after[first + second].append(third)
    letters = sorted({letter for following in after.values() for letter in following if letter.isalpha()})
    seen = {""}
    while True:
        limit = _FREQUENT_LETTERS if len(seen) < _FREQUENT else round(draw.gammavariate(4, _LETTERS_MEAN / 4)) + 1
        word = ""
        while len(word) < limit and (letter := draw.choice(after[("  " + word)[-2:]])) != "\0":
            word += letter
        # Names have capital letters, and most words have none.
        word = word if draw.random() < _CAPITALS else word.lower()
        while word in seen:
            word += draw.choice(letters)
        seen.add(word)
        yield word
