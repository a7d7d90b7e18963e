"""Single texts and short lists, as a server gets them.

The short lists are compared with the crate model2vec-rs, which encodes them in a loop of its own process. ``--rust FILE`` names the executable that
`rust_peers.build` made; otherwise it is built.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import model2vec
import numpy as np
import pytest

from benchmarks.pairs import PairTimer
from benchmarks.rust_peers import RustPeer, RustPeerError, build
from benchmarks.test_encode import check_vectors
from model2vec_numba import StaticModel

_TEXTS = {
    "a few words": "how to boil an egg",
    "a sentence": "It is cold today, and the weather is not going to change before the end of the week.",
    "a paragraph": " ".join(["The mean of the vectors of its tokens is the vector of a text, whatever the order that they come in."] * 8),
}
_ROUNDS = 2000
# For each number of texts in a list, how many times model2vec-rs's time a call should take at most.
_LISTS = {1: 1.5, 3: 1.2, 10: 1.0, 30: 0.7, 100: 0.5}
_LIST_ROUNDS, _CALLS = 20, 100
_TOLERANCE = 1e-5


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


@pytest.fixture(scope="session")
def rust(pytestconfig: pytest.Config) -> Path:
    """Return the executable of the Rust peers."""
    try:
        return pytestconfig.getoption("rust") or build()
    except RustPeerError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("count", _LISTS)
def test_short_lists(count: int, folder: Path, ours: StaticModel, rust: Path, pytestconfig: pytest.Config, report: Callable[[str], None]) -> None:
    """Compare the median time of a call. A call of some microseconds is seldom interrupted, so this works on a busy machine too."""
    lists = [[f"It is cold today, and it was {number + k} degrees yesterday." for k in range(count)] for number in range(_CALLS)]
    texts = [text for some in lists for text in some]
    ratios, medians = [], []
    with RustPeer(rust, "model2vec-rs", folder, texts) as peer:
        agrees = np.allclose(ours.encode(texts), peer.vectors(), rtol=0, atol=_TOLERANCE)
        for _ in range(pytestconfig.getoption("rounds") or _LIST_ROUNDS):
            theirs = statistics.median(peer.calls(0, len(texts), count))
            medians.append(statistics.median(map(partial(_seconds, ours), lists)))
            ratios.append(medians[-1] / theirs)
        report(
            f"a list of {count}, {folder.name}: {statistics.median(medians) * 1e6:.1f} us, {statistics.median(ratios):.2f} times the time of "
            f"model2vec-rs {peer.version} ({min(ratios):.2f} to {max(ratios):.2f}; at most {_LISTS[count]} is the aim)"
            f"{'' if agrees else '; its vectors are different'}"
        )


def _seconds(model: StaticModel, texts: list[str]) -> float:
    """Return the seconds that a call takes."""
    begin = time.perf_counter()
    model.encode(texts)
    return time.perf_counter() - begin
