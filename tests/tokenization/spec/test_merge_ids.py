"""The ids of BPE's merges that compiled code finds are those that Python finds."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model2vec_numba.tokenization.spec.vocabulary import read_merges, read_vocabulary


def random_model(draw: random.Random) -> dict[str, Any]:
    """Return the vocabulary and the merges of BPE. Some tokens are long, and some are made by several merges."""
    tokens = list(dict.fromkeys([*"abcdé\u4e00\U0001f600", "\0"]))
    merges: list[list[str]] = []
    for _ in range(draw.randint(0, 60)):
        left, right = draw.choice(tokens), draw.choice(tokens)
        merges.append([left, right])
        tokens += [left + right] if left + right not in tokens else []
    if draw.random() < 0.3:
        draw.shuffle(tokens)
    ids = draw.sample(range(2 * len(tokens)), len(tokens))
    return {"vocab": dict(zip(tokens, ids, strict=True)), "merges": merges}


def spoiled(model: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """Return the model with a merge that no library reads."""
    merge = draw.choice([["", "a"], ["a", ""], ["a", "zz"], ["zz", "a"], ["a"], ["a", 1], ["a", "\ud800"], "a b"])
    place = draw.randint(0, len(model["merges"]))
    return {**model, "merges": [*model["merges"][:place], merge, *model["merges"][place:]]}


def read(model: dict[str, Any], monkeypatch: pytest.MonkeyPatch | None) -> NDArray[np.int64] | None:
    """Return the merges. With `monkeypatch`, as before numba is imported."""
    if monkeypatch is None:
        return read_merges(model, read_vocabulary(model)[1])
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "numba")
        return read_merges(model, read_vocabulary(model)[1])


def test_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(8)
    for _ in range(200):
        model = random_model(draw)
        expected = read(model, monkeypatch)
        assert expected is not None
        assert expected.shape == (len(model["merges"]), 3)
        lines = {**model, "merges": ["#version: 0.2", *map(" ".join, model["merges"])]}
        for same in (model, lines):
            found = read(same, None)
            assert found is not None
            np.testing.assert_array_equal(found, expected)
        other = spoiled(model, draw)
        assert (read(other, None) is None) == (read(other, monkeypatch) is None)
