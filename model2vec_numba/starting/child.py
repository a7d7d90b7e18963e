"""The process that compiles the kernels of a model for another process; see `compiling.py`."""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import nullcontext, suppress
from typing import BinaryIO, NoReturn

from model2vec_numba.jit.folders import writable_folder
from model2vec_numba.jit.memory import kept_code
from model2vec_numba.starting.compiling import HEADER, KERNEL, READY
from model2vec_numba.starting.ready import is_ready, note_ready

__all__ = ["main"]

# The process gives way to the one that it works for.
_NICENESS = 3


def main() -> NoReturn:
    """Read what a model needs from standard input, compile it, and write messages to standard output."""
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
    needs = json.loads(given.readline())
    text = given.read(needs["bytes"])
    threading.Thread(target=_end_with_parent, args=(given,), daemon=True).start()
    with suppress(OSError):
        os.nice(_NICENESS)
    _wait_for_others()
    if is_ready(needs["key"]):
        _send(messages, READY, b"")
    else:
        _compile(text.decode(), needs, messages)


def _end_with_parent(given: BinaryIO) -> None:
    """End this process when the other one has ended, which closes its end of the pipe."""
    while given.read(1):
        pass
    # If the cache is not imported yet, no file is being written.
    cache = sys.modules.get("model2vec_numba.jit.cache")
    with getattr(cache, "ending", nullcontext()):
        os._exit(0)


def _wait_for_others() -> None:
    """Wait until no other process compiles for the same folder. A lock on a file ends with the process that holds it."""
    folder = writable_folder()
    if folder is None:
        return
    # The file stays open, and locked, until this process ends.
    file = os.open(folder / "compiling.lock", os.O_RDWR | os.O_CREAT, 0o666)
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


def _compile(text: str, needs: dict[str, str], messages: BinaryIO) -> None:
    """Compile what a model needs, say that it is ready, and then compile what only other forms of vectors and very long texts need."""
    kept_code.collects = True
    from model2vec_numba.jit.cache import counts
    from model2vec_numba.warmup import small_model, use, use_forms, use_long_text

    model = small_model(text, needs["dtype"], weights=bool(needs["weights"]))
    use(model)
    # Code that cannot be kept on the disk would not help the other process any more. The forms take a quarter of the time.
    if kept_code.files:
        use_forms(model)
    note_ready(needs["key"], [*counts.loaded, *counts.saved])
    for path, content in kept_code.files.items():
        _send(messages, KERNEL, path.encode() + b"\0" + content)
    _send(messages, READY, b"")
    if not kept_code.files:
        use_forms(model)
        use_long_text(model)


def _send(messages: BinaryIO, kind: bytes, content: bytes) -> None:
    messages.write(HEADER.pack(kind, len(content)) + content)
    messages.flush()
