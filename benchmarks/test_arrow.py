"""What an Arrow column saves: `encode_arrow` beside `encode` of the same texts as a list of strings."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.corpora import Corpus
from benchmarks.pairs import PairTimer
from model2vec_numba import StaticModel


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
