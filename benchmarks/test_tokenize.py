"""Tokenising alone: from UTF-8 bytes to ids, compared with the fastest call of the `tokenizers` library on the same texts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks.corpora import Corpus, documents
from benchmarks.pairs import PairTimer
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.library import tokenize_with_library
from model2vec_numba.tokenization.spec.spec import parse_tokenizer
from model2vec_numba.tokenization.tokenizer import make_tokenizer


@pytest.fixture(autouse=True)
def library_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limit the library to one thread. It reads this variable at each call."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    yield
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"


@pytest.mark.parametrize("as_documents", [False, True], ids=["as-given", "10kB"])
def test_tokenize(corpus: Corpus, as_documents: bool, folder: Path, pair: PairTimer, capsys: pytest.CaptureFixture[str]) -> None:
    texts = documents(corpus.texts) if as_documents else corpus.texts
    spec = parse_tokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"), str(folder))
    tokenizer = make_tokenizer(spec)
    scratch = tokenizer.take_scratch()
    batch = flatten(texts)
    tokens = tokenizer.tokenize(batch, None, scratch)
    assert [tokens.ids[begin:end].tolist() for begin, end in tokens.bounds()] == tokenize_with_library(spec, texts, None)
    fallbacks = tokenizer.fallback_count(batch)
    with capsys.disabled():
        print(f"\n{fallbacks:,} of {len(texts):,} texts fall back to the library ({fallbacks / len(texts):.2%})")  # noqa: T201
    pair(
        partial(tokenizer.tokenize, batch, None, scratch),
        partial(spec.library.encode_batch_fast, texts, add_special_tokens=False),
        peer=f"tokenizers {version('tokenizers')}",
        texts=len(texts),
        size=int(batch.offsets[-1]),
    )
