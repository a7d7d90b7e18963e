"""Programs that the tests of concurrency run in new processes: ``python stress_workers.py NAME ARGUMENT...``. Each prints a JSON object."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import model2vec_numba

if TYPE_CHECKING:
    from model2vec_numba import StaticModel

THREADS = 16
# The texts of a part this many times are enough batches for several threads.
MANY = 24
_OTHERS = ["\u4f60\u597d\uff0c\u4e16\u754c\u3002", "Gr\u00fc\u00dfe aus K\u00f6ln [MASK]", "\u041f\u0440\u0438\u0432\u0435\u0442", "", "x" * 300]

# Texts in several scripts, and characters whose normalised form is long.
_NEW = ["\u05d0\u05d1\u05d2 \u0928\u092e\u0938\u094d\u0924\u0947", "\ufdfa \ufb00", "\u0e2a\u0e27\u0e31\u0e2a", "\uc548\ub155 \ud55c\uad6d"]
# All code points of a text are filled in some milliseconds.
_SECONDS_BETWEEN_SIGNALS = 0.0005
_ATTEMPTS = 50


def load(folder: str | None = None) -> StaticModel:
    from model2vec_numba import StaticModel  # some programs do not need it

    return StaticModel.from_pretrained(folder)


def texts_of(part: int) -> list[str]:
    """Return the texts of one of `THREADS` threads or processes. Each has its own texts, and one of them is long."""
    prose = [paragraph for topic in sorted(topics) for paragraph in topics[topic].split("\n\n") if paragraph]
    mine = prose[part::THREADS]
    return [*mine[:60], *_OTHERS[part % 3 :], "\n".join(mine[60:100])]


def serially(model: StaticModel, texts: list[str]) -> NDArray[np.float32]:
    """Return the vectors of texts that are encoded one at a time."""
    return np.stack([model.encode(text) for text in texts])


def threads(layer: str, seconds: str) -> dict[str, Any]:
    """Many Python threads use one model at once, each with its own texts."""
    import numba

    model = load()
    expected = {part: serially(model, texts_of(part)) for part in range(THREADS)}
    prose = "\n".join(texts_of(0))
    document = prose * ((1 << 20) // len(prose) + 1)
    document_vector = model.encode(document, max_length=None, num_threads=1)
    start, calls, wrong = threading.Barrier(THREADS), [0] * THREADS, [0] * THREADS

    def work(part: int) -> None:
        texts = texts_of(part)
        start.wait()
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            how = calls[part] % 4
            found = serially(model, texts) if how == 0 else model.encode(texts if how == 1 else texts * MANY)
            calls[part] += 1
            wrong[part] += not (found.reshape(-1, *expected[part].shape) == expected[part]).all()
            if how == 3 and part % 4 == 0:
                # A text that is longer than a batch may be, among others.
                wrong[part] += not np.array_equal(model.encode([*texts, document] * 9, max_length=None)[len(texts)], document_vector)

    workers = [threading.Thread(target=work, args=(part,)) for part in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert numba.threading_layer() == layer, numba.threading_layer()
    return {"calls": calls, "wrong": sum(wrong)}


def start(folder: str, out: str) -> dict[str, Any]:
    """Load and encode when a line comes on standard input, so that many processes do it at the same moment."""
    from model2vec_numba.jit.cache import counts

    print("ready", flush=True)
    sys.stdin.readline()
    np.save(out, load(folder).encode(texts_of(3)))
    return {"compiled": counts.compiled, "loaded": len(counts.loaded), "package": str(Path(model2vec_numba.__file__).parent)}


def start_kernels(folder: str, dtypes: str) -> dict[str, Any]:
    """Compile small kernels for types in the given order, when a line comes on standard input."""
    sys.path.insert(0, folder)
    import small_kernels

    print("ready", flush=True)
    sys.stdin.readline()
    wrong = 0
    for dtype in dtypes.split(","):
        values = np.arange(9).astype(dtype)
        wrong += small_kernels.total(values) != 36
    return {"wrong": wrong}


def fork(layer: str) -> dict[str, Any]:
    """The parent uses parallel kernels. Then its children and their children encode."""
    import numba

    model = load()
    texts = texts_of(0) * MANY
    expected = model.encode(texts_of(0))
    assert numba.threading_layer() == layer

    def check() -> bool:
        found = model.encode(texts).reshape(MANY, *expected.shape)
        return bool((found == expected).all()) and np.array_equal(model.encode(texts_of(0)), expected)

    # Fork also while another thread encodes.
    stop = threading.Event()

    def keep_encoding() -> None:
        while not stop.is_set():
            model.encode(texts_of(1) * MANY)
            model.encode(texts_of(1))

    thread = threading.Thread(target=keep_encoding)
    thread.start()
    statuses = [_status_of_child(lambda: check() and _status_of_child(check) == 0 and check()) for _ in range(4)]
    stop.set()
    thread.join()
    return {"statuses": statuses, "parent": check()}


def fill(folder: str, how: str) -> dict[str, Any]:
    """Interrupt a thread that fills tables of code points: with a fork whose child fills them, or with a signal handler that fills them."""
    from model2vec_numba.tokenization.unicode.filling import fill_lock

    expected, model = load(folder).encode(_NEW), load(folder)
    # Many code points in one text, and some of them in a text for each.
    text, others = "".join(map(chr, range(0x100, 0xD700))), list(map(chr, range(0x100, 0xD700, 256)))
    begun, depth, wrong = 0, 0, 0

    def encode_new(*_: object) -> None:
        nonlocal begun, depth, wrong
        # On a busy machine a handler may take longer than the interval, and would be interrupted without end.
        if depth == 3:
            return
        number = begun % len(_NEW)
        begun += 1
        depth += 1
        wrong += not np.array_equal(model.encode(_NEW[number]), expected[number])
        depth -= 1

    if how == "fork":
        # Filling takes some milliseconds only, so this may need several attempts.
        sys.setswitchinterval(1e-5)
        for _ in range(_ATTEMPTS):
            model = load(folder)
            thread = threading.Thread(target=model.encode, args=(text,))
            thread.start()
            while thread.is_alive() and fill_lock.acquire(blocking=False):
                fill_lock.release()
            met = thread.is_alive()
            if met:
                break
            thread.join()
        status = _status_of_child(lambda: np.array_equal(model.encode(_NEW), expected))
        thread.join()
    else:
        # The first handlers fill tables while the long text fills them. Handlers interrupt each other too.
        signal.signal(signal.SIGALRM, encode_new)
        signal.setitimer(signal.ITIMER_REAL, _SECONDS_BETWEEN_SIGNALS, _SECONDS_BETWEEN_SIGNALS)
        model.encode(text)
        signal.setitimer(signal.ITIMER_REAL, 0)
        met, status = begun > len(_NEW), wrong
    fresh = load(folder)
    right = np.array_equal(model.encode(others), np.stack([fresh.encode(other) for other in others]))
    return {"met": met, "status": status, "right": right}


def load_in_child() -> dict[str, Any]:
    """The process forks while models are loaded for tasks. The child loads one too."""
    from model2vec_numba.integrations import model_reference

    with model_reference._loaded.lock:
        return {"status": _status_of_child(lambda: bool(model_reference.ModelReference(None).load().encode("a text").any()))}


def _status_of_child(task: Callable[[], bool]) -> int:
    """Fork, and return the status of the child: 0 if the task returns true."""
    child = os.fork()
    if child == 0:
        signal.alarm(120)
        done = False
        try:
            done = task()
        finally:
            os._exit(0 if done else 1)
    return os.waitpid(child, 0)[1]


_model: StaticModel | None = None


def _load_in_worker() -> None:
    global _model  # noqa: PLW0603
    _model = load()


def _encode_in_worker(part: int) -> NDArray[np.float32]:
    assert _model is not None
    return _model.encode(texts_of(part))


def pools(methods: str, workers: str) -> dict[str, Any]:
    """The parent encodes, and then pools of `workers` processes. With "loky", joblib's pool too if it is installed."""
    global _model  # noqa: PLW0603
    model = _model = load()
    texts = [texts_of(part) for part in range(4)]
    expected = [model.encode(each) for each in texts]
    found: dict[str, Any] = {}
    for method in methods.split(","):
        if method == "loky":
            with contextlib.suppress(ImportError):
                found["loky"] = _with_loky(model, texts, int(workers))
            continue
        context = multiprocessing.get_context(method)
        # A forked worker inherits the parent's model.
        initializer = None if method == "fork" else _load_in_worker
        with context.Pool(int(workers), initializer) as pool:
            found[f"pool, {method}"] = pool.map(_encode_in_worker, range(4))
        # The model is pickled.
        with concurrent.futures.ProcessPoolExecutor(int(workers), mp_context=context) as executor:
            found[f"executor, {method}"] = list(executor.map(model.encode, texts))
    return {name: all(map(np.array_equal, vectors, expected)) for name, vectors in found.items()}


def _with_loky(model: StaticModel, texts: list[list[str]], workers: int) -> list[NDArray[np.float32]]:
    import joblib
    from joblib.externals.loky import get_reusable_executor

    try:
        vectors: list[NDArray[np.float32]] = joblib.Parallel(workers, backend="loky")(joblib.delayed(model.encode)(each) for each in texts)
        return vectors
    finally:
        get_reusable_executor().shutdown(wait=True)


def main() -> None:
    name, *arguments = sys.argv[1:]
    tasks: dict[str, Callable[..., dict[str, Any]]] = {
        task.__name__: task for task in (threads, start, start_kernels, fork, fill, load_in_child, pools)
    }
    # Models are loaded by name, so the program must not depend on the current folder.
    os.chdir(Path(__file__).parent)
    print(json.dumps(tasks[name](*arguments)))


if __name__ == "__main__":
    main()
