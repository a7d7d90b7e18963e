"""Tables of code points: entries are filled when a kernel asks for them, each once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from model2vec_numba.tokenization.unicode.filling import CODE_POINTS, Filler, ask_for, nothing_missing
from model2vec_numba.tokenization.unicode.utf8 import decode
from tokenization.texts import REPRESENTATIVES


@njit
def ask(code_points: NDArray[np.int64], missing: NDArray[np.int32]) -> None:
    for code_point in code_points:
        ask_for(code_point, missing)


@njit
def decode_all(data: NDArray[np.uint8], size: int, code_points: NDArray[np.int64]) -> int:
    count = i = 0
    while i < size:
        code_points[count], length = decode(data, i)
        count += 1
        i += length
    return count


class Table:
    """A table whose elements are one more than the code points, and a record of the code points that were filled."""

    def __init__(self) -> None:
        self.elements = np.zeros(CODE_POINTS, np.uint64)
        self.filled: list[int] = []
        self.busy = threading.Lock()
        self.filler = Filler(self.elements, self.fill)

    def fill(self, code_points: NDArray[np.int64]) -> None:
        assert self.busy.acquire(blocking=False)
        self.filled += code_points.tolist()
        self.elements[code_points] = code_points + 1
        self.busy.release()

    def ask(self, *code_points: int) -> list[int]:
        """Ask for code points until they are filled, and return those that were filled."""
        before = len(self.filled)
        for missing in self.filler.rounds():
            ask(np.array([c for c in code_points if self.elements[c] == 0], np.int64), missing)
        return self.filled[before:]


def test_entries_are_filled_once() -> None:
    table = Table()
    assert table.filled == [*range(0x100)]
    assert table.ask(0x41, 0xFF) == []
    missing = nothing_missing()
    assert not table.filler.fill(missing)
    many = [*range(0x4E00, 0x4E40, 2), 0x3B1, 0x10FFFF]
    ask(np.array([*many, *many, 0x41]), missing)
    assert table.filler.fill(missing)
    assert table.filled[0x100:] == sorted(many)
    # Nothing is asked for any more.
    assert not missing.any() and not table.filler.fill(missing)
    ask(np.array([0x3B1]), missing)
    assert table.filler.fill(missing)
    assert table.filled[0x100:] == sorted(many)


def test_neighbours() -> None:
    """A few code points are filled together with neighbours."""
    table = Table()
    assert table.ask(0x10FFFF) == [*range(0x10FFF0, 0x110000)]
    assert table.ask(0x3B1, 0x3B2, 0x413) == [*range(0x3B0, 0x3B4), *range(0x410, 0x414)]
    assert table.ask(0x3B1, 0x3B5) == [*range(0x3B4, 0x3C0)]
    assert table.elements[0x3B4] == 0x3B5


@pytest.mark.parametrize("step", [1, 7, 1 << 12])
def test_more_than_there_is_room_for(step: int) -> None:
    """Code points that do not fit into the array are filled in later rounds."""
    table = Table()
    asked = [*range(0x100, CODE_POINTS, step)][:20_000]
    table.ask(*asked)
    assert table.elements[asked].all()
    assert len(set(table.filled)) == len(table.filled)


@pytest.mark.parametrize("round_number", range(5))
def test_threads_fill_entries_once(round_number: int) -> None:
    """Several threads ask for the same entries. Each is filled once, by one thread at a time, before any thread goes on."""
    table = Table()

    def use(_: int) -> None:
        missing = nothing_missing()
        ask(np.arange(0x100, 0x300), missing)
        assert table.filler.fill(missing)
        assert table.elements[:0x300].all()

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(use, range(16)))
    assert table.filled == [*range(0x300)]


def test_decode() -> None:
    text = REPRESENTATIVES + "\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff"
    data = text.encode()
    code_points = np.empty(len(text), np.int64)
    assert decode_all(np.frombuffer(data + bytes(4), np.uint8), len(data), code_points) == len(text)
    assert code_points.tolist() == [ord(c) for c in text]
