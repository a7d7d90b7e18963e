"""`parallel_for_each` against a loop: each item is done once, errors are those of the first item, and no thread works when its call is over."""

from __future__ import annotations

import _thread
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from model2vec_numba.parallel import kept_threads, workers
from model2vec_numba.parallel.workers import parallel_for_each


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 200])
def test_each_item_is_done_once(count: int, threads: int) -> None:
    done: list[int] = []
    used: set[int] = set()

    def work(item: int) -> None:
        done.append(item)
        used.add(threading.get_ident())
        time.sleep(0.002)

    parallel_for_each(work, range(count), threads)
    assert sorted(done) == list(range(count))
    # One item needs no other thread.
    assert len(used) <= min(count, threads)
    if count == 200 and threads > 1:
        assert len(used) > 1
    if threads == 1 or count < 2:
        assert used <= {threading.get_ident()}


def test_threads_are_kept() -> None:
    """Many calls use the same threads."""
    threads_of_call(3)
    count = _thread._count()
    used = {thread for _ in range(20) for thread in threads_of_call(3)}
    assert _thread._count() == count
    # Other tests may have started more threads. The count leaves out the main thread.
    assert 2 <= len(used) <= count + 1


def threads_of_call(threads: int) -> set[int]:
    """Return the threads that work on the items of a call."""
    used: set[int] = set()

    def work(_: int) -> None:
        used.add(threading.get_ident())
        time.sleep(0.001)

    parallel_for_each(work, range(10), threads)
    assert len(used) <= threads
    return used


def test_a_call_does_not_wait_for_a_thread_that_has_no_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a thread takes up an offer when the call is over, it does nothing. The offer does not keep the function and the items until then."""

    class Value:
        """A value that has weak references."""

    offered: list[kept_threads.Work] = []
    monkeypatch.setattr(workers, "offer", lambda work, _: offered.append(work))
    items = [Value() for _ in range(5)]
    kept, done = [weakref.ref(item) for item in items], []
    parallel_for_each(lambda item, items=items: done.append(items.index(item)), items, 4)  # type: ignore[misc]
    assert done == list(range(5))
    assert len(offered) == 3
    del items
    gc.collect()
    assert [item() for item in kept] == [None] * 5
    for work in offered:
        work.take_part()
    assert done == list(range(5))


def test_nothing_is_kept_after_a_call() -> None:
    """No thread that waits for the next call refers to the items of the last one."""

    class Value:
        """A value that has weak references."""

    items = [Value() for _ in range(20)]
    kept = [weakref.ref(item) for item in items]
    parallel_for_each(lambda _: time.sleep(0.002), items, 3)
    del items
    for _ in range(1000):
        if not any(item() for item in kept):
            return
        time.sleep(0.01)
    raise AssertionError("items are kept")


def test_offers_that_no_thread_takes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the threads may not run for a while."""
    monkeypatch.setattr(_thread, "start_new_thread", lambda *_: None)
    threads = kept_threads._KeptThreads()
    monkeypatch.setattr(kept_threads, "_kept_threads", threads)
    done: list[int] = []
    for _ in range(200):
        parallel_for_each(done.append, range(3), 2)
    assert done == [0, 1, 2] * 200
    assert threads._offers.qsize() == kept_threads._MAX_OFFERS


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
    monkeypatch.setattr(kept_threads, "_kept_threads", kept_threads._KeptThreads())
    done: list[int] = []
    parallel_for_each(done.append, range(10), 2)
    assert done == list(range(10))
    assert kept_threads._kept_threads._offers.empty()


def run(code: str) -> str:
    """Run a program in a new process, and return what it prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.PIPE, text=True).stdout


def test_no_thread_until_it_is_needed() -> None:
    code = """
import _thread, model2vec_numba
from model2vec_numba.parallel.workers import parallel_for_each
before = _thread._count()
parallel_for_each(str, range(1), 2)
parallel_for_each(str, range(9), 1)
print(before, _thread._count())
"""
    assert run(code) == "0 0\n"


def test_the_end_of_the_process() -> None:
    """Neither kept threads nor a daemon thread in a call hold up the end of the process."""
    code = """
import threading, time
from model2vec_numba.parallel.workers import parallel_for_each

def forever():
    while True:
        parallel_for_each(lambda _: time.sleep(0.001), range(20), 3)

threading.Thread(target=forever, daemon=True).start()
parallel_for_each(lambda _: time.sleep(0.001), range(20), 3)
time.sleep(0.05)
print("end")
"""
    begin = time.monotonic()
    assert run(code) == "end\n"
    assert time.monotonic() - begin < 30


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_forks() -> None:
    """A child starts threads of its own, also if the parent forks while another thread is in a call."""
    code = """
import os, signal, threading, time, warnings
from model2vec_numba.parallel.workers import parallel_for_each

warnings.simplefilter("ignore")

def call():
    used = set()

    def work(item):
        used.add(threading.get_ident())
        time.sleep(0.001)

    parallel_for_each(work, range(10), 2)
    return len(used)

def keep_calling():
    while not stop.is_set():
        call()

stop = threading.Event()
thread = threading.Thread(target=keep_calling)
thread.start()
for _ in range(60):
    call()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        found = max(call() for _ in range(5))
        os._exit(0 if found == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
thread.join()
print("end")
"""
    assert run(code) == "end\n"


INTERRUPTED = """
import _thread, os, signal, sys, threading, time
from model2vec_numba.parallel.workers import parallel_for_each

signal.signal(signal.SIGINT, signal.default_int_handler)
main = threading.get_ident()
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
        # No thread goes on working.
        time.sleep(0.1)
        count = len(started)
        time.sleep(0.1)
        assert len(started) == count
        assert _thread._count() <= 1
    else:
        sys.exit("not interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_interrupt() -> None:
    """Ctrl-C ends the call, and no thread continues to work."""
    subprocess.run([sys.executable, "-c", INTERRUPTED], check=True, timeout=60)
