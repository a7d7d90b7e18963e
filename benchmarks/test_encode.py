"""The whole way, from a list of strings to their vectors."""

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
        # Above 10,000 texts model2vec would start threads of its own.
        partial(theirs.encode, corpus.texts, use_multiprocessing=False),
        peer=f"model2vec {version('model2vec')}",
        texts=len(corpus.texts),
        size=corpus.size,
    )


def check_vectors(texts: Sequence[str], ours: StaticModel, theirs: model2vec.StaticModel) -> None:
    """Fail unless the vectors are those of model2vec: a wrong answer's time is of no interest."""
    expected = _Reference.of(theirs).encode(texts, use_multiprocessing=False)
    difference = np.abs(ours.encode(texts) - expected).max(axis=1)
    worst = int(difference.argmax())
    assert difference[worst] <= _TOLERANCE, f"{difference[worst]:.2e} apart on text {worst}: {texts[worst]!r:.200}"


class _Reference(model2vec.StaticModel):
    """model2vec where it and this package mean the same.

    It averages the stored values as float32, not as float16, and it cuts a text to `max_length` tokens after the unknown ones are dropped,
    as it did before version 0.10.
    """

    @classmethod
    def of(cls, model: model2vec.StaticModel) -> _Reference:
        """The reference for a model that model2vec has loaded."""
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
