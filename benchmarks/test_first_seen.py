"""Text that is seen for the first time, from a list of strings to their vectors, in calls of several sizes, against model2vec.

Each round has other texts (`new_texts`), and each case loads the models anew, so that no cache knows the texts. `first_seen` measures more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import model2vec
import pytest

from benchmarks.corpora import Corpus
from benchmarks.new_texts import english
from benchmarks.pairs import PairTimer
from benchmarks.test_encode import check_vectors
from model2vec_numba import StaticModel

_TEXTS, _ROUNDS = 1000, 10


@pytest.fixture(scope="module")
def new_english(pytestconfig: pytest.Config) -> list[list[str]]:
    """Return the texts of each round. The first ones are for the call that is not timed."""
    rounds = 1 + (pytestconfig.getoption("--rounds") or _ROUNDS)
    texts = english(rounds * (pytestconfig.getoption("--limit") or _TEXTS)).texts
    return [texts[number::rounds] for number in range(rounds)]


@pytest.mark.parametrize("size", [1, 30, 1000])
def test_first_seen(size: int, folder: Path, new_english: list[list[str]], pair: PairTimer) -> None:
    ours, theirs = StaticModel.from_pretrained(folder), model2vec.StaticModel.from_pretrained(folder)
    corpus = Corpus("new", [text for texts in new_english[1:] for text in texts])
    rounds = len(new_english) - 1
    pair(
        partial(_encode_next, iter(new_english), size, ours.encode),
        # For more than 10,000 texts, model2vec would start processes.
        partial(_encode_next, iter(new_english), size, partial(theirs.encode, use_multiprocessing=False)),
        peer=f"model2vec {version('model2vec')}",
        texts=len(corpus.texts) // rounds,
        size=corpus.size // rounds,
        rounds=rounds,
    )
    check_vectors(new_english[0], ours, theirs)


def _encode_next(rounds: Iterator[list[str]], size: int, encode: Callable[[list[str]], object]) -> None:
    """Encode the texts of the next round in calls of `size` texts."""
    texts = next(rounds)
    for first in range(0, len(texts), size):
        encode(texts[first : first + size])
