"""Make text batches from Python strings without reading their memory, for free-threaded Python.

Without the global interpreter lock, nothing is promised about memory that compiled code reads behind the interpreter's back. `str.encode` is safe
there, and takes two to four times as long as `strings.py` for the same texts.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.starting.texts import check_strings, cut_strings, refuse_surrogates

__all__ = ["flatten_plainly", "has_lock", "plain_utf8_lengths"]

_BYTES_PER_CHAR = 4


def has_lock() -> bool:
    """Return whether only one Python thread runs at a time. In free-threaded Python this can change when a module is imported."""
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return is_enabled is None or bool(is_enabled())


def plain_utf8_lengths(strings: tuple[str, ...], max_chars: int) -> NDArray[np.int64]:
    """Return an upper bound on the number of UTF-8 bytes of the first `max_chars` code points of each string. For ASCII it is the exact number.

    Raises:
        TypeError: an element is not a ``str``. The message gives its position and type.
    """
    check_strings(strings)
    # The methods of a subclass may be its own.
    lengths = (min(str.__len__(string), max_chars) * (1 if str.isascii(string) else _BYTES_PER_CHAR) for string in strings)
    return np.fromiter(lengths, np.int64, len(strings))


def flatten_plainly(strings: Sequence[str], first: int, max_chars: int, padding: bytes) -> TextBatch:
    """Make a batch of the first `max_chars` code points of strings.

    Args:
        strings: the strings.
        first: the position of the first string, for errors.
        max_chars: 0 or more.
        padding: the bytes after the last text.

    Raises:
        ValueError: a string holds a lone surrogate and so has no UTF-8 form. The message gives its position.
    """
    cut = cut_strings(strings, max_chars)
    try:
        encoded = list(map(str.encode, cut))
    except UnicodeEncodeError:
        refuse_surrogates(cut, first)
        raise
    offsets = np.fromiter(itertools.accumulate(map(len, encoded), initial=0), np.int64, len(encoded) + 1)
    return TextBatch(np.frombuffer(b"".join([*encoded, padding]), np.uint8), offsets)
