"""`parallel_for_each` against a loop: each item is done once, errors are those of the first item, and no thread survives the call."""

from __future__ import annotations

import _thread
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from model2vec_numba.parallel.workers import parallel_for_each


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 200])
def test_each_item_is_done_once(count: int, threads: int) -> None:
    before = _thread._count()
    done: list[int] = []
    workers: set[int] = set()

    def work(item: int) -> None:
        done.append(item)
        workers.add(threading.get_ident())
        time.sleep(0.002)

    parallel_for_each(work, range(count), threads)
    assert sorted(done) == list(range(count))
    # One item needs no other thread.
    assert len(workers) <= min(count, threads)
    if count == 200 and threads > 1:
        assert len(workers) > 1
    if threads == 1 or count < 2:
        assert workers <= {threading.get_ident()}
    wait_for_threads(before)


def wait_for_threads(before: int) -> None:
    """Wait until only the threads that existed before remain. A thread of a call has nothing more to do, but it may not have ended yet."""
    for _ in range(1000):
        if _thread._count() <= before:
            return
        time.sleep(0.01)
    raise AssertionError(f"{_thread._count()} threads, expected {before}")


def test_items_are_taken_in_order_and_when_needed() -> None:
    """No more items are taken than threads can work on."""
    taken: list[int] = []
    ahead: list[int] = []

    def items() -> Iterator[int]:
        for item in range(50):
            taken.append(item)
            yield item

    def work(item: int) -> None:
        ahead.append(len(taken) - item)
        time.sleep(0.001)

    parallel_for_each(work, items(), 3)
    assert taken == list(range(50))
    assert max(ahead) <= 4


def test_the_first_error_is_raised() -> None:
    """The error of the first failing item counts, even if a later item fails sooner. An error of the iterator counts in the same way."""
    before = _thread._count()
    started: list[int] = []

    def work(item: int) -> None:
        started.append(item)
        if item >= 20:
            time.sleep(0.05 if item == 20 else 0.005)
            raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 20"):
        parallel_for_each(work, range(100), 2)
    assert max(started) <= 22

    def items() -> Iterator[int]:
        yield from range(20)
        time.sleep(0.01)
        raise TypeError("no more")

    with pytest.raises(TypeError, match="no more"):
        parallel_for_each(work, items(), 2)
    wait_for_threads(before)


def test_calls_within_calls() -> None:
    done: list[tuple[int, int]] = []

    def outer(first: int) -> None:
        parallel_for_each(lambda second: done.append((first, second)), range(10), 2)

    parallel_for_each(outer, range(10), 2)
    assert sorted(done) == [(first, second) for first in range(10) for second in range(10)]


def test_a_system_that_allows_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    done: list[int] = []
    parallel_for_each(done.append, range(10), 2)
    assert done == list(range(10))


INTERRUPTED = """
import _thread, os, signal, sys, threading, time
from model2vec_numba.parallel.workers import parallel_for_each

signal.signal(signal.SIGINT, signal.default_int_handler)
main = threading.get_ident()
before = _thread._count()
started = []

def work(item):
    started.append(item)
    if item == 5:
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.02)

def last(item):
    # The calling thread has no more items and waits for the other one.
    if threading.get_ident() == main and item:
        return
    started.append(item)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    started.append("done")

for items, function in ((1000, work), (2, last)):
    started.clear()
    try:
        parallel_for_each(function, range(items), 2)
    except KeyboardInterrupt:
        assert len(started) < 20, started
        assert "done" in started or items > 2
        time.sleep(0.1)
        assert _thread._count() == before
    else:
        sys.exit("not interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_interrupt() -> None:
    """Ctrl-C ends the call, and no thread continues to work."""
    subprocess.run([sys.executable, "-c", INTERRUPTED], check=True, timeout=60)
