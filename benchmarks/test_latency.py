"""Single texts, as a server gets them."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

import model2vec
import pytest

from benchmarks.pairs import PairTimer
from benchmarks.test_encode import check_vectors
from model2vec_numba import StaticModel

_TEXTS = {
    "a few words": "how to boil an egg",
    "a sentence": "It is cold today, and the weather is not going to change before the end of the week.",
    "a paragraph": " ".join(["The mean of the vectors of its tokens is the vector of a text, whatever the order that they come in."] * 8),
}
_ROUNDS = 2000


@pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS.keys())
def test_encode_one(text: str, ours: StaticModel, theirs: model2vec.StaticModel, pair: PairTimer) -> None:
    check_vectors([text], ours, theirs)
    pair(
        partial(ours.encode, text),
        partial(theirs.encode, text),
        peer=f"model2vec {version('model2vec')}",
        texts=1,
        size=len(text.encode()),
        rounds=_ROUNDS,
    )
