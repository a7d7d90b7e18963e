"""The process that compiles the kernels of models for another process; see `compiling.py`."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, BinaryIO, NoReturn

from model2vec_numba.jit.folders import writable_folder
from model2vec_numba.jit.memory import kept_code
from model2vec_numba.starting.compiling import DONE, HEADER, KERNEL, READY
from model2vec_numba.starting.ready import is_ready, note_ready

__all__ = ["main"]

# The process gives way to the one that it works for.
_NICENESS = 3


def main() -> NoReturn:
    """Read what models need from standard input, compile it, and write messages to standard output."""
    code = 1
    try:
        _serve()
        code = 0
    finally:
        # The end of the interpreter would wait for the thread that reads standard input, and abort.
        os._exit(code)


def _serve() -> None:
    given, messages = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever prints must not write between the messages.
    os.dup2(2, 1)
    requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_read_requests, args=(given, requests), daemon=True).start()
    with suppress(OSError):
        os.nice(_NICENESS)
    _answer(requests, messages)


def _read_requests(given: BinaryIO, requests: SimpleQueue[dict[str, Any]]) -> None:
    """Read requests until the other process has ended, which closes its end of the pipe. Then end this process."""
    while line := given.readline():
        needs = json.loads(line)
        requests.put({**needs, "text": given.read(needs["bytes"]).decode()})
    # If the cache is not imported yet, no file is being written.
    cache = sys.modules.get("model2vec_numba.jit.cache")
    with getattr(cache, "ending", nullcontext()):
        os._exit(0)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait until no other process compiles what a model needs for the same folder, and keep others waiting during a ``with`` block."""
    folder = writable_folder()
    if folder is None:
        yield
        return
    # Closing the file ends the lock, and so does the end of this process.
    file = os.open(folder / "compiling.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _answer(requests: SimpleQueue[dict[str, Any]], messages: BinaryIO) -> None:
    """Answer requests, until there are no more and everything is compiled. What is needed less often is compiled while there is no request."""
    sent: set[str] = set()
    rarer: deque[Callable[[], None]] = deque()
    request: dict[str, Any] | None = requests.get()
    while request or rarer:
        if request:
            with _one_at_a_time():
                rarer += _compile(request, messages, sent)
        else:
            rarer.popleft()()
        request = None if requests.empty() else requests.get()
    # A request that comes now is lost. The other process then asks another one.
    _send(messages, DONE, b"")


def _compile(needs: dict[str, Any], messages: BinaryIO, sent: set[str]) -> list[Callable[[], None]]:
    """Compile what a model needs, and say that it is ready.

    Args:
        needs: the request.
        sent: the files that were sent to the other process. New ones are added.

    Returns:
        Functions that compile what only other forms of vectors and very long texts need.
    """
    rarer: list[Callable[[], None]] = []
    if not is_ready(needs["key"]):
        kept_code.collects = True
        from model2vec_numba.jit.cache import counts
        from model2vec_numba.warmup import FORMS, small_model, use, use_form, use_forms, use_long_text

        model = small_model(needs["text"], needs["dtype"], weights=needs["weights"])
        use(model)
        if kept_code.files:
            # Code that cannot be kept on the disk would not help the other process later. The forms take a quarter of the time.
            use_forms(model)
        else:
            rarer = [*(partial(use_form, model, precision) for precision in FORMS), partial(use_long_text, model)]
        # Kernels that were compiled for an earlier model are not counted again, so the note lists the files of all of them.
        note_ready(needs["key"], [*counts.loaded, *counts.saved])
        for path in kept_code.files.keys() - sent:
            _send(messages, KERNEL, path.encode() + b"\0" + kept_code.files[path])
            sent.add(path)
    _send(messages, READY, needs["key"].encode())
    return rarer


def _send(messages: BinaryIO, kind: bytes, content: bytes) -> None:
    messages.write(HEADER.pack(kind, len(content)) + content)
    messages.flush()
