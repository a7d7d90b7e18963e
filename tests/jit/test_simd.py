"""Functions that work on eight bytes at a time, against plain Python."""

from __future__ import annotations

import random
import string
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model2vec_numba.jit.simd import (
    BLOCK,
    alnum_length,
    bytes_between,
    graphic_length,
    letters_length,
    load_word,
    lowercase_word,
    small_letters_length,
    store_word,
    word_mask,
    word_masks,
)

ALNUM = frozenset((string.ascii_letters + string.digits).encode())
LETTERS = frozenset(string.ascii_letters.encode())
SMALL = frozenset(string.ascii_lowercase.encode())
GRAPHIC = frozenset(range(0x21, 0x80))
_WORDS = [
    *(b"abcdefgh", b"ABCDEFGH", b"a1Z9 bcd", b"@[`{/:AZ", b"az09az09", b"\0" * 8, b"\xff" * 8, b"caf\xc3\xa9 ab"),
    *(b"\x80\x7f\xe1AZaz\x00", b"zzzzzzz{"),
]


@njit
def load_at(data: NDArray[np.uint8], i: int) -> np.uint64:
    return load_word(data, i)


@njit
def store_at(data: NDArray[np.uint8], i: int, word: np.uint64) -> None:
    store_word(data, i, word)


@njit
def between(data: NDArray[np.uint8], i: int, low: int, high: int) -> np.uint64:
    return bytes_between(data, i, low, high)


def random_words() -> list[bytes]:
    """Return strings of eight bytes."""
    draw = random.Random(4)
    return _WORDS + [bytes(draw.choices(range(256), k=8)) for _ in range(500)] + [bytes(draw.choices(b"aZ09@[`{/: ", k=8)) for _ in range(500)]


def as_word(data: bytes) -> np.uint64:
    """Return eight bytes as a number, the first byte lowest."""
    return np.uint64(int.from_bytes(data, "little"))


def test_lengths_of_runs() -> None:
    """Every byte at every place after bytes of the class, and random words."""
    lengths = ((alnum_length, ALNUM), (letters_length, LETTERS), (small_letters_length, SMALL), (graphic_length, GRAPHIC))
    for function, members in lengths:
        for byte in range(256):
            for place in range(8):
                data = b"a" * place + bytes([byte]) + b"a" * (7 - place)
                assert function(as_word(data)) == (8 if byte in members else place), (function, data)
        for data in random_words():
            assert function(as_word(data)) == next((i for i, byte in enumerate(data) if byte not in members), 8), (function, data)


def test_lowercase_word() -> None:
    """It is for ASCII bytes only."""
    for data in [bytes([byte] * 8) for byte in range(128)] + [bytes(byte & 127 for byte in data) for data in random_words()]:
        assert lowercase_word(as_word(data)) == as_word(data.lower()), data


def test_masks() -> None:
    for length in range(9):
        assert word_mask(length) == as_word(b"\xff" * length)
    # `word_masks` is for 1 to 16 bytes: a shift by all 64 bits has no defined result.
    for length in range(1, 17):
        assert word_masks(length) == (as_word(b"\xff" * min(length, 8)), as_word(b"\xff" * max(length - 8, 0)))


def test_load_and_store() -> None:
    data = np.arange(1, 33, dtype=np.uint8)
    for i in range(25):
        assert load_at(data, i) == as_word(data[i : i + 8].tobytes())
        for word in random_words()[:40]:
            target: NDArray[Any] = data.copy()
            store_at(target, i, as_word(word))
            assert target.tobytes() == data[:i].tobytes() + word + data[i + 8 :].tobytes()


def test_bytes_between() -> None:
    """Bit ``k`` of the result says whether byte ``k`` of a block lies in a range."""
    data = np.frombuffer(random.Random(6).randbytes(4 * BLOCK), np.uint8)
    for i in (0, 1, 63, 64, 3 * BLOCK):
        for low, high in ((0, 255), (0x80, 0xFF), (0x30, 0x39), (0x20, 0x20), (0, 0)):
            expected = sum(1 << k for k in range(BLOCK) if low <= data[i + k] <= high)
            assert int(between(data, i, low, high)) == expected
