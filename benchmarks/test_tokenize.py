"""Tokenising alone: from the texts' UTF-8 bytes to ids, beside the `tokenizers` library's fastest call on the same texts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from benchmarks.corpora import Corpus, documents
from benchmarks.pairs import PairTimer
from model2vec_numba.text import flatten
from model2vec_numba.tokenization import choose_backend, parse_tokenizer
from model2vec_numba.tokenization.library import LibraryBackend


@pytest.fixture(autouse=True)
def library_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The library asks for this variable at each call."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    yield
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"


@pytest.mark.parametrize("as_documents", [False, True], ids=["as-given", "10kB"])
def test_tokenize(corpus: Corpus, as_documents: bool, folder: Path, pair: PairTimer, capsys: pytest.CaptureFixture[str]) -> None:
    texts = documents(corpus.texts) if as_documents else corpus.texts
    spec = parse_tokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"), str(folder))
    backend = choose_backend(spec)
    batch = flatten(texts)
    expected = LibraryBackend(spec).tokenize(batch, None)
    found = backend.tokenize(batch, None)
    assert np.array_equal(found.ids, expected.ids) and np.array_equal(found.offsets, expected.offsets)
    fallbacks = backend.fallback_count(batch)
    with capsys.disabled():
        print(f"\n{fallbacks:,} of {len(texts):,} texts fall back to the library ({fallbacks / len(texts):.2%})")  # noqa: T201
    pair(
        partial(backend.tokenize, batch, None),
        partial(spec.library.encode_batch_fast, texts, add_special_tokens=False),
        peer=f"tokenizers {version('tokenizers')}",
        texts=len(texts),
        size=len(batch.data),
    )
