"""Loading: a tokeniser, compared with the library, and a Unigram model of half a million tokens, compared with model2vec; and encoding with it."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from pathlib import Path

import model2vec
import numpy as np
import pytest
from tokenizers import Tokenizer

from benchmarks.corpora import Corpus
from benchmarks.large_models import write_unigram_model
from benchmarks.pairs import PairTimer
from benchmarks.test_encode import check_vectors
from model2vec_numba import StaticModel
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.spec.spec import parse_tokenizer
from model2vec_numba.tokenization.tokenizer import BatchTokenizer, make_tokenizer

_PIECES, _DIM = 500_000, 256
_PEER = f"model2vec {version('model2vec')}"


def test_build_tokenizer(folder: Path, pair: PairTimer) -> None:
    path = folder / "tokenizer.json"

    def ours() -> BatchTokenizer:
        # The file is read in the same way as the files of a model.
        return make_tokenizer(parse_tokenizer(path.read_bytes().decode("utf-8"), str(path)))

    theirs = partial(Tokenizer.from_file, str(path))
    text = "It is cold today."
    tokenizer = ours()
    tokens = tokenizer.tokenize(flatten([text]), None, tokenizer.take_scratch())
    assert tokens.ids[: tokens.offsets[-1]].tolist() == theirs().encode(text, add_special_tokens=False).ids
    pair(ours, theirs, peer=f"tokenizers {version('tokenizers')}", texts=1, size=path.stat().st_size)


@pytest.fixture(scope="module")
def large_folder(tmp_path_factory: pytest.TempPathFactory, corpora: list[Corpus]) -> Path:
    folder = tmp_path_factory.mktemp("models") / "large"
    write_unigram_model(folder, _PIECES, _DIM, (text for corpus in corpora for text in corpus.texts))
    return folder


def test_load_half_a_million_pieces(large_folder: Path, pair: PairTimer) -> None:
    text = "It is cold today."
    ours, theirs = partial(StaticModel.from_pretrained, large_folder), partial(model2vec.StaticModel.from_pretrained, large_folder)
    np.testing.assert_allclose(ours().encode(text), theirs().encode(text), rtol=0, atol=2e-6)
    pair(ours, theirs, peer=_PEER, texts=1, size=(large_folder / "tokenizer.json").stat().st_size, rounds=5)


def test_encode_half_a_million_pieces(large_folder: Path, corpus: Corpus, pair: PairTimer) -> None:
    ours, theirs = StaticModel.from_pretrained(large_folder), model2vec.StaticModel.from_pretrained(large_folder)
    assert ours.tokenizer_backend == "unigram"
    check_vectors(corpus.texts, ours, theirs)
    pair(
        partial(ours.encode, corpus.texts),
        partial(theirs.encode, corpus.texts, use_multiprocessing=False),
        peer=_PEER,
        texts=len(corpus.texts),
        size=corpus.size,
    )
