"""Long texts, which several threads divide, have the same vectors as with one thread, to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import random_matrix
from numba import config as numba_config
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba import StaticModel, batches, encoder
from model2vec_numba.encoder import Encoder

SENTENCE = "Documents of many words, caf\u00e9s among them; [MASK] \u4e16\u754c is one of them. "
PLAIN = SENTENCE.replace("[MASK]", "this")
SEVERAL_THREADS = numba_config.NUMBA_NUM_THREADS > 1


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of threads of each text that several threads divided."""
    counts: list[int] = []
    encode_long_text = Encoder._encode_long_text

    def count(self: Encoder, texts: Any, out: NDArray[Any], threads: int) -> None:
        counts.append(threads)
        encode_long_text(self, texts, out, threads)

    monkeypatch.setattr(Encoder, "_encode_long_text", count)
    return counts


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are long if they have a tenth of the usual bytes, so that the tests are quicker."""
    monkeypatch.setattr(encoder, "_LONG_BYTES", encoder._LONG_BYTES // 10)
    monkeypatch.setattr(encoder, "_LONG_SINGLE_BYTES", encoder._LONG_SINGLE_BYTES // 10)
    monkeypatch.setattr(batches, "_MIN_SHARED_BYTES", batches._MIN_SHARED_BYTES // 10)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("dtype", ["float32", "int8", "float64"])
@pytest.mark.parametrize("weights", [False, True])
def test_long_documents(dtype: str, weights: bool, make_model: Callable[..., StaticModel], divided: list[int]) -> None:
    """Alone or among other texts, and nothing is lost where a text is cut."""
    model = make_model("wordpiece-uncased", 40, dtype, weights=weights, max_length=None)
    documents = [PLAIN * 2000, "short", "", "x" * 30_000, PLAIN * 200 + "y" * 15_000 + " end", SENTENCE * 300, "a " * 60_000, "words here"]
    ids = model.tokenize(documents)
    tokenizer = model.tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for document, found in zip(documents, ids, strict=True):
        expected = tokenizer.encode(document, add_special_tokens=False).ids
        assert found == [token for token in expected if token != model.unk_token_id]
    alone = np.array([model.encode(document, num_threads=1) for document in documents])
    np.testing.assert_array_equal(model.encode(documents, num_threads=1), alone)
    assert divided == []
    np.testing.assert_array_equal(model.encode(documents, num_threads=2), alone)
    for document, vector in zip(documents, alone, strict=True):
        np.testing.assert_array_equal(model.encode(document, num_threads=2), vector)
    if SEVERAL_THREADS:
        # Two texts are longer than `_LONG_BYTES`, and five than `_LONG_SINGLE_BYTES`.
        assert divided == [2] * 7
    rows = model.embedding[ids[0]].astype(np.float64)
    if model.weights is not None:
        rows *= model.weights[ids[0]].astype(np.float64)[:, None]
    mean = rows.mean(axis=0)
    np.testing.assert_allclose(alone[0], mean / np.linalg.norm(mean), atol=2e-6)


def test_a_thread_alone(make_model: Callable[..., StaticModel], divided: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """It divides very long texts, so that Ctrl-C is noticed in the middle of one."""
    model = make_model("wordpiece-uncased", 40, "int8", max_length=None)
    documents = ["short", PLAIN * 2000, "", PLAIN * 1000]
    expected = model.encode(documents, num_threads=1)
    assert divided == []
    monkeypatch.setattr(encoder, "_LONG_ALONE_BYTES", len(PLAIN) * 1500)
    np.testing.assert_array_equal(model.encode(documents, num_threads=1), expected)
    np.testing.assert_array_equal(model.encode(documents[1], num_threads=1), expected[1])
    assert divided == [1]


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("content", ["newyork", "new york"])
def test_added_tokens(content: str, tokenizers: dict[str, Tokenizer], divided: list[int]) -> None:
    """A text is cut at spaces unless an added token holds one."""
    config = json.loads(tokenizers["wordpiece-uncased"].to_str())
    config |= {"truncation": None, "padding": None}
    # The added token takes the place of a word, because the vocabulary must have it.
    token = config["model"]["vocab"].pop("this")
    config["model"]["vocab"][content] = token
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    config["added_tokens"].append({"id": token, "content": content, **flags})
    tokenizer = Tokenizer.from_str(json.dumps(config))
    model = StaticModel(random_matrix(tokenizer.get_vocab_size(), 16, "float32"), tokenizer, max_length=None)
    document = ("Texts about new york and newyork,withnew yorktokens. " + SENTENCE) * 1500
    assert len(document) > encoder._LONG_BYTES
    expected = model.encode([document, "short"], num_threads=1)
    np.testing.assert_array_equal(model.encode([document, "short"], num_threads=2), expected)
    np.testing.assert_array_equal(model.encode(document, num_threads=2), expected[0])
    if SEVERAL_THREADS:
        assert divided == ([] if " " in content else [2, 2])
    ids = tokenizer.encode(document, add_special_tokens=False).ids
    assert ids.count(token) >= 1500
    assert model.tokenize(document) == [[each for each in ids if each != model.unk_token_id]]


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_columns(dtype: str, make_model: Callable[..., StaticModel], divided: list[int]) -> None:
    """Vectors of Arrow columns, in half precision too, with a dictionary and without."""
    pa = pytest.importorskip("pyarrow")
    model = make_model(dim=24, max_length=None)
    texts = ["short", None, PLAIN * 2000, "", PLAIN * 1500 + "end", "x " * 5]
    expected = model.encode([text or "" for text in texts], num_threads=1).astype(dtype)
    for column in (pa.array(texts), pa.chunked_array([pa.array(texts[:3]), pa.array(texts[3:])]), pa.array(texts).dictionary_encode()):
        found = model.encode_arrow(column, dtype=dtype)
        chunks = found.chunks if isinstance(found, pa.ChunkedArray) else [found]
        # `flatten` leaves out the nulls.
        values = np.concatenate([chunk.flatten().to_numpy() for chunk in chunks])
        present = [i for i, text in enumerate(texts) if text is not None]
        assert values.tobytes() == expected[present].tobytes()
        if SEVERAL_THREADS:
            assert divided == [2, 2]
        divided.clear()


def test_real_limits(default_model: StaticModel, divided: list[int]) -> None:
    """One text that is longer than a million bytes, with the limits that users have."""
    document = PLAIN * (encoder._LONG_BYTES // len(PLAIN.encode()) + 1)
    expected = default_model.encode([document, "short"], max_length=None, num_threads=1)
    np.testing.assert_array_equal(default_model.encode([document, "short"], max_length=None, num_threads=2), expected)
    if SEVERAL_THREADS:
        assert divided == [2]


INTERRUPTED = """
import os, signal, threading, time
from model2vec_numba import StaticModel

model = StaticModel.from_pretrained(max_length=None)
model.encode(["it is cold " * 400_000, "a"])
text = "The weather is chilly, and it is cold today. " * 4_500_000
begin = time.process_time()
model.encode(text, num_threads=1)
whole = time.process_time() - begin
sent = 0.0

def send():
    global sent
    sent = time.process_time()
    os.kill(os.getpid(), signal.SIGINT)

worst = 0.0
for moment in (0.2, 0.6, 1.0):
    timer = threading.Timer(moment, send)
    try:
        timer.start()
        model.encode(text, num_threads=1)
        timer.join()
    except KeyboardInterrupt:
        worst = max(worst, time.process_time() - sent)
print(worst / whole)
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to its own process")
def test_ctrl_c_in_one_text_of_200_mb() -> None:
    """The call does not go on to its end. The first signal comes in its first half."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], check=True, capture_output=True, text=True)
    assert float(done.stdout) < 0.5
