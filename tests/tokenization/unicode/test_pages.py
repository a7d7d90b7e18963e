"""Tables of code points: pages are filled when a kernel asks for them, each once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from model2vec_numba.tokenization.unicode.pages import PAGE_BITS, PAGE_COUNT, Pages, ask_for_page, code_points_of, no_pages
from model2vec_numba.tokenization.unicode.utf8 import decode
from tokenization.texts import REPRESENTATIVES


@njit
def ask(code_points: NDArray[np.int64], missing: NDArray[np.uint8]) -> None:
    for code_point in code_points:
        ask_for_page(code_point, missing)


@njit
def decode_all(data: NDArray[np.uint8], size: int, code_points: NDArray[np.int64]) -> int:
    count = i = 0
    while i < size:
        code_points[count], length = decode(data, i)
        count += 1
        i += length
    return count


def test_pages_are_filled_once() -> None:
    filled: list[int] = []
    pages = Pages(filled.append)
    assert filled == [0, 1, 2, 3]
    missing = no_pages()
    assert not pages.fill(missing)
    ask(np.array([0x41, 0x3B1, 0x3B2, 0x10FFFF]), missing)
    assert pages.fill(missing)
    assert filled == [0, 1, 2, 3, 0x3B1 >> PAGE_BITS, PAGE_COUNT - 1]
    # Nothing is asked for any more.
    assert not missing.any() and not pages.fill(missing)
    ask(np.array([0x3B1]), missing)
    assert pages.fill(missing)
    assert filled == [0, 1, 2, 3, 0x3B1 >> PAGE_BITS, PAGE_COUNT - 1]


def test_code_points() -> None:
    """Each code point belongs to the page that is asked for."""
    missing = no_pages()
    for code_point in (0, 0xFF, 0x100, 0x4E00, 0x10FFFF):
        missing[:] = 0
        ask(np.array([code_point]), missing)
        (page,) = missing[:PAGE_COUNT].nonzero()[0].tolist()
        assert code_point in code_points_of(page)


@pytest.mark.parametrize("round_number", range(5))
def test_threads_fill_pages_once(round_number: int) -> None:
    """Several threads ask for the same pages. Each page is filled once, by one thread at a time, before any thread goes on."""
    filled: list[int] = []
    working = threading.Lock()

    def fill_page(page: int) -> None:
        assert working.acquire(blocking=False)
        filled.append(page)
        working.release()

    pages = Pages(fill_page)

    def use_pages(_: int) -> None:
        missing = no_pages()
        ask(np.arange(0, 0x40 << PAGE_BITS, 1 << PAGE_BITS - 1), missing)
        assert pages.fill(missing)
        assert set(filled) >= set(range(0x40))

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(use_pages, range(16)))
    assert sorted(filled) == [*range(0x40)]


def test_decode() -> None:
    text = REPRESENTATIVES + "\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff"
    data = text.encode()
    code_points = np.empty(len(text), np.int64)
    assert decode_all(np.frombuffer(data + bytes(4), np.uint8), len(data), code_points) == len(text)
    assert code_points.tolist() == [ord(c) for c in text]
