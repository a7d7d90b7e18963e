"""The trie of a vocabulary: every token is found with its id, and nothing else is."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, read_only
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.lookup.double_array import (
    ID_MASK,
    ID_SHIFT,
    ROOT,
    TERMINAL,
    DoubleArray,
    build_double_array,
    build_units,
    descend,
    unit_of,
)


@njit
def node_of(units: NDArray[np.uint64], data: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    return descend(units, ROOT, data, begin, end)


def find(trie: DoubleArray, text: str) -> int:
    """Return the id of a text, -1 if the trie does not have it."""
    batch = flatten([text])
    node = node_of(trie.units, batch.data, 0, int(batch.offsets[1]))
    found = int(trie.ids[node]) if node != ROOT else -1
    # A unit says the same as the ids.
    assert (found >= 0) == (node != ROOT and trie.units[node] & TERMINAL != 0)
    return found


def check_tokens(tokens: list[str]) -> None:
    """Look up the tokens, and texts that are like them."""
    trie = build_double_array(flatten(tokens))
    ids = {token: i for i, token in enumerate(tokens) if token}
    for text in [*tokens, *(token[:-1] for token in tokens), *(token + "a" for token in tokens), "q"]:
        assert find(trie, text) == ids.get(text, -1)


@given(st.lists(st.text("ab\u00e9\u4e00\0", max_size=5), max_size=20))
@example([])
@example(["", "a", "a"])
def test_few_tokens(tokens: list[str]) -> None:
    check_tokens(tokens)


def test_many_tokens() -> None:
    draw = random.Random(3)
    tokens = list(dict.fromkeys("".join(draw.choices("abc\u00e9\u4e00\U0001f600", k=draw.randint(1, 9))) for _ in range(3000)))
    check_tokens([*tokens, "x" * 300, "x" * 299, tokens[5]])


@given(st.lists(st.text("ab\u00e9\0", max_size=4), max_size=20), st.text("ab\u00e9\0", max_size=5))
@example([], "")
@example(["a"], "\0")
def test_unit_of(tokens: list[str], text: str) -> None:
    """A unit has the id that was given for a token. The search goes on from the unit of a prefix."""
    ids = np.arange(len(tokens), dtype=np.int32) * 1000 + 7
    units = build_units(flatten(tokens), ids)
    expected = {token: int(i) for token, i in zip(tokens, ids, strict=True) if token}
    unit = unit_of(units, text.encode())
    assert (int(unit >> ID_SHIFT & ID_MASK) if unit & TERMINAL else None) == expected.get(text)


def test_every_byte() -> None:
    """A node may have a child for each of the 256 bytes. There is always a unit to look at, also in an empty trie."""
    data = read_only(np.repeat(np.arange(256, dtype=np.uint8), 2))
    trie = build_double_array(TextBatch(data, np.arange(0, 513, 2)))
    assert [int(trie.ids[node_of(trie.units, data, 2 * byte, 2 * byte + 2)]) for byte in range(256)] == [*range(256)]
    assert len(build_double_array(flatten([])).units) >= 256
