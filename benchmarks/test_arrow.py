"""Arrow columns: `encode_arrow` compared with `encode` of the same texts as a list of strings."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.corpora import Corpus
from benchmarks.pairs import PairTimer
from benchmarks.processes import memory
from model2vec_numba import StaticModel

_ROWS = 1_000_000
# All texts are in memory twice.
_MOST_BYTES = 1 << 30


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary"])
def test_encode_arrow(kind: str, corpus: Corpus, ours: StaticModel, pair: PairTimer) -> None:
    column = pa.array(corpus.texts, "large_string")
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(kind)
    expected = ours.encode(corpus.texts)
    assert np.array_equal(ours.encode_arrow(column).values.to_numpy().reshape(expected.shape), expected)
    pair(
        partial(ours.encode_arrow, column),
        partial(ours.encode, corpus.texts),
        peer="encode of list[str]",
        texts=len(corpus.texts),
        size=corpus.size,
    )


@pytest.mark.parametrize("held", ["list", "column"])
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_encode_a_million_rows(held: str, corpus: Corpus, ours: StaticModel, pair: PairTimer, report: Callable[[str], None]) -> None:
    """Texts in random order, each in memory of its own, as if they were read from a file. It also reports the memory used besides the vectors.

    The peer encodes a list, or makes the list from the column first.
    """
    if corpus.size / len(corpus.texts) * _ROWS > _MOST_BYTES:
        pytest.skip("a million of these take too much memory")
    column = pa.array(random.Random(6).choices(corpus.texts, k=_ROWS), pa.large_string())
    sentences = column.to_pylist()
    ours.encode_arrow(column[:10_000])
    before = memory("VmRSS")
    # This resets the maximum of the resident set.
    Path("/proc/self/clear_refs").write_text("5")
    vectors = ours.encode_arrow(column)
    vectors_size = _ROWS * ours.dim * 4
    extra = memory("VmHWM") - before - vectors_size
    report(f"encode_arrow of {_ROWS:,} rows of {corpus.name}: {extra / 1e6:.0f} MB in addition to {vectors_size / 1e6:.0f} MB for the vectors")
    assert np.array_equal(vectors.values.to_numpy().reshape(_ROWS, ours.dim), ours.encode(sentences))
    del vectors
    if held == "column":
        del sentences
    pair(
        partial(ours.encode_arrow, column),
        partial(ours.encode, sentences) if held == "list" else lambda: ours.encode(column.to_pylist()),
        peer="encode of list[str]" if held == "list" else "encode of column.to_pylist()",
        texts=_ROWS,
        size=column.nbytes,
        rounds=5,
    )
