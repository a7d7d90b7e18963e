"""Packages that use model2vec, with a model of this package. A test is skipped if its package is not installed: see `nox -s drop_in`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model2vec_numba import StaticModel as Ours
from model2vec_numba.integrations.model2vec import StaticModel, install

# These packages, and those that they import, give many warnings.
pytestmark = pytest.mark.filterwarnings("ignore")

TEXTS = [
    "Cats purr when they are happy.",
    "A kitten sleeps on the sofa.",
    "Dogs bark at the postman.",
    "The stock market fell today.",
    "Banks raised their interest rates.",
    "Investors sold their shares.",
]
REPEATED = [text for text in TEXTS for _ in range(6)]


@pytest.fixture
def model() -> StaticModel:
    return StaticModel.from_pretrained()


@pytest.fixture
def folder(model: StaticModel, tmp_path: Path) -> str:
    model.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def assert_vectors(found: Any) -> None:
    np.testing.assert_allclose(np.asarray(found), Ours.from_pretrained().encode(TEXTS), atol=2e-6)


def test_bertopic(model: StaticModel) -> None:
    backend = pytest.importorskip("bertopic.backend")
    select_backend = pytest.importorskip("bertopic.backend._utils").select_backend
    selected = select_backend(model)
    assert type(selected) is backend.Model2VecBackend and selected.embedding_model is model
    assert_vectors(selected.embed(TEXTS))


def test_keybert(model: StaticModel) -> None:
    keybert = pytest.importorskip("keybert").KeyBERT(model)
    assert keybert.model.embedding_model is model
    words = ["stock", "market", "fell", "today"]
    scores = dict(zip(words, model.similarity(model.encode(TEXTS[3]), model.encode(words))[0], strict=True))
    found = keybert.extract_keywords(TEXTS[3], top_n=2)
    assert [word for word, _ in found] == sorted(words, key=scores.__getitem__)[:1:-1]
    np.testing.assert_allclose([score for _, score in found], [scores[word] for word, _ in found], atol=1e-4)


def test_chonkie(model: StaticModel) -> None:
    chonkie = pytest.importorskip("chonkie")
    embeddings = chonkie.Model2VecEmbeddings(model)
    assert embeddings.model is model
    assert_vectors(embeddings.embed_batch(TEXTS))
    assert_vectors([embeddings.embed(text) for text in TEXTS])
    chunks = chonkie.SemanticChunker(embedding_model=embeddings, chunk_size=32).chunk(" ".join(REPEATED))
    assert "".join(chunk.text for chunk in chunks) == " ".join(REPEATED)


def test_semhash(model: StaticModel) -> None:
    semhash = pytest.importorskip("semhash").SemHash.from_records([*REPEATED, "Cats purr if they are happy."], model=model)
    selected = semhash.self_deduplicate(threshold=0.9).selected
    assert sorted(selected) == sorted(TEXTS)


def test_vicinity(model: StaticModel) -> None:
    vicinity = pytest.importorskip("vicinity").Vicinity.from_vectors_and_items(model.encode(TEXTS), TEXTS)
    [[(nearest, _)]] = vicinity.query(model.encode("interest rates of banks"), k=1)
    assert nearest == TEXTS[4]


def test_tokenlearn(model: StaticModel) -> None:
    pretrain = pytest.importorskip("tokenlearn.pretrain")
    torch = pytest.importorskip("torch")
    wide = StaticModel(np.array(model.embedding, np.float32), model.tokenizer, normalize=True)
    data = pretrain.TextDataset(TEXTS, torch.rand(len(TEXTS), 8), wide.tokenizer)
    trained = pretrain.train_supervised(data, data, wide, patience=1, device="cpu", batch_size=6)
    assert trained.tokens == wide.tokens and trained.encode(TEXTS).shape == (6, model.dim)
    # Some rows become NaN, with model2vec's class too.
    finite = np.isfinite(trained.embedding).all(axis=1)
    assert finite.mean() > 0.99 and not np.allclose(trained.embedding[finite], wide.embedding[finite], atol=1e-4)


def test_skeletoken(model: StaticModel) -> None:
    reshape = pytest.importorskip("skeletoken.external.model2vec").reshape_embeddings
    tokenizer = pytest.importorskip("skeletoken").TokenizerModel.from_tokenizer(model.tokenizer)
    wide = StaticModel(np.array(model.embedding, np.float32), model.tokenizer, normalize=True)
    larger = reshape(wide, tokenizer.add_addedtoken("zzyzx"))
    assert len(larger.tokens) == len(model.tokens) + 1
    assert_vectors(larger.encode(TEXTS))


INSTALLED = {
    "langchain_community": """
from langchain_community.embeddings import Model2vecEmbeddings
embeddings = Model2vecEmbeddings(folder)
loaded, vectors = embeddings._model, embeddings.embed_documents(texts)
""",
    "txtai": """
from txtai import Embeddings
index = Embeddings(path=folder, method="model2vec")
index.index(texts)
assert index.search("interest rates of banks", 1)[0][0] == 4
loaded, vectors = index.model.model, [index.transform(text) for text in texts]
""",
    "semble": """
import pathlib
from semble import SembleIndex
code = pathlib.Path(folder).parent / "code"
code.mkdir()
(code / "cats.py").write_text("def purr(cat):\\n    return cat.sound('purr')\\n")
(code / "banks.py").write_text("def raise_rates(bank):\\n    bank.interest += 1\\n")
index = SembleIndex.from_path(code, model_path=folder)
assert "banks" in str(index.search("interest rates of a bank", top_k=1)[0])
loaded, vectors = index.model, index.model.encode(texts)
""",
}


@pytest.mark.parametrize("package", INSTALLED)
def test_packages_that_import_model2vec(package: str, folder: str, tmp_path: Path) -> None:
    """These load their models themselves, so the class is put into model2vec before they are imported."""
    pytest.importorskip(package)
    code = f"""
from model2vec_numba.integrations.model2vec import StaticModel, install
install()
import numpy as np
folder, texts = {folder!r}, {TEXTS!r}
{INSTALLED[package]}
assert type(loaded) is StaticModel
np.testing.assert_allclose(np.asarray(vectors), StaticModel.from_pretrained().encode(texts), atol=2e-6)
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600, env=environment)


def test_install_is_undone() -> None:
    import model2vec

    original = model2vec.StaticModel
    with install():
        assert model2vec.StaticModel is StaticModel
    assert model2vec.StaticModel is original
