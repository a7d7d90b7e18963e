"""The whole road, from a list of strings to their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version

import model2vec
import numpy as np

from benchmarks.corpora import Corpus
from benchmarks.pairs import PairTimer
from model2vec_numba import StaticModel

_TOLERANCE = 2e-6


def test_encode(corpus: Corpus, ours: StaticModel, theirs: model2vec.StaticModel, pair: PairTimer) -> None:
    check_vectors(corpus.texts, ours, theirs)
    pair(
        partial(ours.encode, corpus.texts),
        # For more than 10,000 texts, model2vec would start processes.
        partial(theirs.encode, corpus.texts, use_multiprocessing=False),
        peer=f"model2vec {version('model2vec')}",
        texts=len(corpus.texts),
        size=corpus.size,
    )


def check_vectors(texts: Sequence[str], ours: StaticModel, theirs: model2vec.StaticModel) -> None:
    """Fail unless the vectors agree with model2vec's. The time of a wrong result is worth nothing."""
    expected = _Reference.of(theirs).encode(texts, use_multiprocessing=False)
    difference = np.abs(ours.encode(texts) - expected).max(axis=1)
    worst = int(difference.argmax())
    assert difference[worst] <= _TOLERANCE, f"{difference[worst]:.2e} apart on text {worst}: {texts[worst]!r:.200}"


class _Reference(model2vec.StaticModel):
    """model2vec, changed so that it computes what this package computes.

    It averages the stored values as float32 and not as float16. It cuts a text to `max_length` tokens after unknown tokens are dropped, as model2vec
    did before version 0.10.
    """

    @classmethod
    def of(cls, model: model2vec.StaticModel) -> _Reference:
        """Return the reference for a model that model2vec has loaded."""
        return cls(
            model.embedding.astype(np.float32),
            model.tokenizer,
            normalize=model.normalize,
            weights=model.weights,
            token_mapping=model.token_mapping,
            max_length=model.max_length,
        )

    def tokenize(self, sentences: Sequence[str]) -> list[list[int]]:
        self.tokenizer.no_truncation()
        return [ids[: self.max_length] for ids in super().tokenize(sentences)]
