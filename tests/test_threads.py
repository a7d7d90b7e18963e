"""How many threads work, how they share it out, and that results do not depend on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numba import config, njit, prange

import model2vec_numba
from model2vec_numba import StaticModel
from model2vec_numba.threads import _container_limit, claim, get_num_threads, made_ahead, threads, threads_of_call


@pytest.fixture
def process_setting() -> Iterator[None]:
    yield
    model2vec_numba.set_num_threads(None)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"NUMBA_NUM_THREADS": "3"}, 3),
        ({"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, 3),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
    ],
)
def test_environment(environment: dict[str, str], expected: int) -> None:
    others = {name: value for name, value in os.environ.items() if name not in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")}
    code = "import model2vec_numba; print(model2vec_numba.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", code], env={**others, **environment}, check=True, capture_output=True, text=True)
    assert int(done.stdout) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 1 << 20),
        ({"cpu.max": "nonsense"}, 1 << 20),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1 << 20),
        ({}, 1 << 20),
    ],
)
def test_container_limit(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert _container_limit(tmp_path) == expected


@pytest.mark.usefixtures("process_setting")
def test_settings() -> None:
    most = config.NUMBA_NUM_THREADS
    model2vec_numba.set_num_threads(1)
    assert get_num_threads() == 1
    with threads(10, 1) as count:
        assert count == 1
    model2vec_numba.set_num_threads(10_000)
    assert get_num_threads() == most
    with threads_of_call(1):
        assert get_num_threads() == 1
    assert get_num_threads() == most
    for wrong in (0, -1, True, 1.5, "2"):
        with pytest.raises(ValueError, match="count must be None or an integer of 1 or more"):
            model2vec_numba.set_num_threads(wrong)  # type: ignore[arg-type]
    if most > 1:
        # One parallel kernel at a time: whoever comes meanwhile works alone.
        with threads(10, 1) as outer, threads(10, 1) as inner:
            assert (outer, inner) == (most, 1)
        with threads(10, 11) as count:
            assert count == 1


def test_number_of_a_call(default_model: StaticModel) -> None:
    texts = ["It is cold today.", "", "The weather is chilly."] * 2000
    expected = default_model.encode(texts)
    for count in (1, 2, 100):
        np.testing.assert_array_equal(default_model.encode(texts, num_threads=count), expected)
    for wrong in (0, True, "2"):
        with pytest.raises(ValueError, match="num_threads must be None or an integer of 1 or more"):
            default_model.encode(texts, num_threads=wrong)  # type: ignore[call-overload]


@njit(parallel=True)
def claims(workers, segments, taken):  # type: ignore[no-untyped-def]
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        segment = claim(counter)
        while segment < segments:
            taken[segment] += 1
            segment = claim(counter)


def test_claim() -> None:
    taken = np.zeros(100_000, np.int64)
    claims(config.NUMBA_NUM_THREADS, len(taken), taken)
    assert (taken == 1).all()


@pytest.mark.parametrize("dtype", ["float32", "int8", "float64"])
@pytest.mark.parametrize("weights", [False, True])
def test_long_documents(dtype: str, weights: bool, make_model: Callable[..., StaticModel]) -> None:
    """Documents that threads share out come out the same to the bit, alone or among others; nothing is lost where they are cut."""
    model = make_model("wordpiece-uncased", 40, dtype, weights=weights, max_length=None)
    sentence = "Documents of many words, caf\u00e9s among them; [MASK] \u4e16\u754c is one of them. "
    plain = sentence.replace("[MASK]", "this")
    documents = [plain * 9000, "short", "", "x" * 300_000, plain * 2000 + "y" * 150_000 + " end", sentence * 3000, "a " * 200_000, "words here"]
    ids = model.tokenize(documents)
    tokenizer = model.tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for document, found in zip(documents, ids, strict=True):
        expected = tokenizer.encode(document, add_special_tokens=False).ids
        assert found == [token for token in expected if token != model.unk_token_id]
    together = model.encode(documents)
    for count in (1, 2):
        np.testing.assert_array_equal(model.encode(documents, num_threads=count), together)
        for document, vector in zip(documents, together, strict=True):
            np.testing.assert_array_equal(model.encode(document, num_threads=count), vector)
    rows = model.embedding[ids[0]].astype(np.float64)
    if model.weights is not None:
        rows *= model.weights[ids[0]].astype(np.float64)[:, None]
    mean = rows.mean(axis=0)
    np.testing.assert_allclose(together[0], mean / np.linalg.norm(mean), atol=2e-6)


def test_made_ahead() -> None:
    assert list(made_ahead(iter("abc"))) == ["a", "b", "c"]
    assert list(made_ahead(iter(()))) == []

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    found = made_ahead(failing())
    assert next(found) == 1
    with pytest.raises(ValueError, match="no more"):
        next(found)
    # Whoever stops early leaves no thread behind.
    unfinished = made_ahead(iter(range(100)))
    assert next(unfinished) == 0
    unfinished.close()  # type: ignore[attr-defined]
