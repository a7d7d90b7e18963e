"""The ids of BPE's merges that compiled code finds are those that Python finds."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.tokenization.spec.large_arrays import PADDING, cut_out, merge_parts
from model2vec_numba.tokenization.spec.merge_ids import find_merge_ids
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


def find(model: dict[str, Any]) -> NDArray[np.int64] | None:
    """Return the merges that compiled code finds in the JSON of a model."""
    found = cut_out(json.dumps({"model": model}).encode() + bytes(PADDING))
    parts = None if found is None else merge_parts(found)
    if found is None or parts is None:
        return None
    return find_merge_ids(found.vocabulary, np.fromiter(model["vocab"].values(), np.int32), parts)


def test_merges() -> None:
    draw = random.Random(8)
    for _ in range(200):
        model = random_model(draw)
        expected = read_merges(model, read_vocabulary(model)[1])
        assert expected is not None
        assert expected.shape == (len(model["merges"]), 3)
        lines = {**model, "merges": [*map(" ".join, model["merges"])]}
        for same in (model, lines) if model["merges"] else ():
            found = find(same)
            assert found is not None
            np.testing.assert_array_equal(found, expected)
        # Python skips comments. Compiled code leaves them to Python.
        comment = {**lines, "merges": ["#version: 0.2", *lines["merges"]]}
        np.testing.assert_array_equal(read_merges(comment, read_vocabulary(model)[1]), expected)
        assert find(comment) is None
        other = spoiled(model, draw)
        assert read_merges(other, read_vocabulary(other)[1]) is None and find(other) is None
