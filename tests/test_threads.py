"""How many threads work, how they share it out, and that results do not depend on it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numba import config, njit, prange

import model2vec_numba
from model2vec_numba import StaticModel, crew
from model2vec_numba.threads import _container_limit, claim, get_num_threads, threads, threads_of_call


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
    # Enough for several batches.
    texts = ["It is cold today.", "", "The weather is chilly."] * 20_000
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


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine of two processors or more, for what starts Python's threads, not numba's."""
    monkeypatch.setattr(crew, "get_num_threads", lambda: 2)


def share_out_all(items: Iterable[int], work: Callable[[int], object], is_large: Callable[[int], bool] = lambda _: False) -> None:
    crew.share_out(iter(items), work, is_large)


def no_thread_is_left() -> None:
    """The crew's have no more to do but to end."""
    for thread in threading.enumerate():
        if thread.name.startswith("model2vec-numba"):
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.usefixtures("two_threads")
def test_share_out() -> None:
    """Every item is done once, by more than one thread, of which none is left behind."""
    for count in (0, 1, 2, 3, 500):
        done: list[int] = []
        workers = set()

        def work(item: int) -> None:
            done.append(item)  # noqa: B023
            workers.add(threading.current_thread())  # noqa: B023
            time.sleep(0.001)

        share_out_all(range(count), work)
        assert sorted(done) == list(range(count))
        assert len(workers) == min(count, 2)
        no_thread_is_left()


@pytest.mark.usefixtures("two_threads")
def test_large_items_come_last() -> None:
    """One after the other, and with all threads."""
    most = config.NUMBA_NUM_THREADS
    for large in (range(0, 60, 5), range(60), [1], []):
        done: list[tuple[int, int]] = []

        def work(item: int) -> None:
            with threads(10, 1) as count:
                done.append((item, count))  # noqa: B023

        share_out_all(range(60), work, lambda item: item in large)  # noqa: B023
        small = 60 - len(large)
        assert sorted(done[:small]) == [(item, 1) for item in range(60) if item not in large]
        assert done[small:] == [(item, most) for item in large]


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("large", [False, True])
def test_the_first_error_is_raised(large: bool) -> None:
    """Whichever thread met it, and whether in work, on a large item too, or when an item was asked for."""
    started: list[int] = []

    def work(item: int) -> None:
        started.append(item)
        if item >= 20:
            # The later ones fail sooner.
            time.sleep(0.02 if item == 20 else 0.005)
            raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 20"):
        share_out_all(range(100), work, lambda item: large and item >= 20)
    assert max(started) <= 21

    def items() -> Iterator[int]:
        yield from range(20)
        time.sleep(0.01)
        raise TypeError("no more")

    with pytest.raises(TypeError, match="no more"):
        share_out_all(items(), work)
    no_thread_is_left()
    # The right to a crew has been given back.
    test_share_out()


@pytest.mark.usefixtures("two_threads")
def test_one_crew_at_a_time() -> None:
    """Who comes meanwhile works alone, without numba's threads too."""
    workers = set()
    counts = []

    def inner(_: int) -> None:
        workers.add(threading.current_thread())
        with threads(10, 1) as count:
            counts.append(count)

    def outsider() -> None:
        share_out_all(range(10), inner)

    def outer(_: int) -> None:
        thread = threading.Thread(target=outsider)
        thread.start()
        thread.join()

    share_out_all(range(4), outer)
    assert len(workers) == 4
    assert counts == [1] * 40


@pytest.mark.usefixtures("two_threads")
def test_a_system_without_threads_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[int] = []
    share_out_all(range(10), done.append)
    assert done == list(range(10))


INTERRUPTED = """
import os, signal, sys, threading, time
from model2vec_numba import crew

signal.signal(signal.SIGINT, signal.default_int_handler)
crew.get_num_threads = lambda: 2
main = threading.current_thread()
started = []

def work(item):
    started.append(item)
    if item == 5:
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.02)

def last(item):
    # The caller has run out of items and waits.
    if threading.current_thread() is main and item:
        return
    started.append(item)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    started.append("done")

for items, do in ((1000, work), (2, last)):
    started.clear()
    try:
        crew.share_out(iter(range(items)), do, lambda item: False)
    except KeyboardInterrupt:
        assert len(started) < 20, started
        assert "done" in started or items > 2
        for thread in threading.enumerate():
            if thread is not main:
                thread.join(10)
        assert threading.active_count() == 1
    else:
        sys.exit("not interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_interrupt() -> None:
    """Ctrl-C ends the call, and no thread works on for it."""
    subprocess.run([sys.executable, "-c", INTERRUPTED], check=True, timeout=60)
