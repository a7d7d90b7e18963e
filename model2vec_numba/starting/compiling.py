"""Compile the kernels of a model in another process, and ask without waiting whether they are ready.

The process (`child.py`) ends when this one ends, because it then reads the end of its standard input. It writes the kernels to the cache on disk, and
messages to a pipe. No thread of this process waits for them: a call that could use the kernels looks into the pipe, which takes a microsecond.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal

from model2vec_numba.jit.memory import kept_code
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.starting.mode import VARIABLE
from model2vec_numba.starting.ready import key_of
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

__all__ = ["HEADER", "KERNEL", "READY", "State", "compilation_state"]

# "failed": the kernels must be compiled by this process.
State = Literal["running", "ready", "failed", "killed"]

# A message is a letter and the number of bytes that follow. `KERNEL` has a path, a zero byte and the contents of a file that could not be written.
HEADER = struct.Struct("<cQ")
READY, KERNEL = b"R", b"K"
_READ_BYTES = 1 << 20
_MAX_WAIT_SECONDS = 0.2

# The child gets the path of this process first, so that it imports the same modules. The first entry is removed because it may be the current folder.
_PROGRAM = (
    "import sys; sys.path.pop(0); import json; sys.path[:] = json.loads(sys.stdin.buffer.readline());"
    "from model2vec_numba.starting.child import main; main()"
)


class _Child(subprocess.Popen[bytes]):
    """A process that may still run when this one ends."""

    def __del__(self, *_: Any) -> None:
        """Do nothing. `Popen` would warn about a process that still runs; this one ends by itself."""


class _Compilation:
    """One process that compiles the kernels for one key."""

    def __init__(self, spec: TokenizerSpec, table: EmbeddingTable) -> None:
        self.state: State = "running"
        self._received = bytearray()
        try:
            self._process, self._given, self._messages = _start(spec, table)
        except (OSError, ValueError, subprocess.SubprocessError):
            self.state = "failed"

    def look(self) -> State:
        """Read the messages that are there, and return the state."""
        if self.state == "running":
            with contextlib.suppress(BlockingIOError):
                # A single read may not empty the pipe. The child writes more while this process reads.
                while True:
                    content = os.read(self._messages, _READ_BYTES)
                    self._received += content
                    if self._take_messages():
                        self._end("ready")
                        self._reap()
                        break
                    if not content:
                        self._end(self._reason())
                        self._reap()
                        break
        return self.state

    def _take_messages(self) -> bool:
        """Act on the complete messages that were received, and return whether the kernels are ready."""
        while len(self._received) >= HEADER.size:
            kind, size = HEADER.unpack_from(self._received)
            if len(self._received) < HEADER.size + size:
                break
            content = bytes(self._received[HEADER.size : HEADER.size + size])
            del self._received[: HEADER.size + size]
            if kind == KERNEL:
                path, _, code = content.partition(b"\0")
                kept_code.files[path.decode()] = code
            elif kind == READY:
                return True
        return False

    def _reason(self) -> State:
        """Return why the process ended before the kernels were ready. A signal may mean that there was not enough memory."""
        try:
            return "killed" if self._process.wait(_MAX_WAIT_SECONDS) < 0 else "failed"
        except subprocess.TimeoutExpired:
            return "failed"

    def _end(self, state: State) -> None:
        """Set the state and close the pipes. A process that is ready goes on until it has compiled what is needed less often."""
        self.state = state
        os.close(self._messages)
        if state != "ready":
            os.close(self._given)

    def _reap(self) -> None:
        """Let a thread wait for the end of the process. Otherwise the operating system would keep the process in its list after it."""
        with contextlib.suppress(RuntimeError):
            _thread.start_new_thread(self._process.wait, ())

    def forget(self) -> None:
        """Close the pipes in a forked child, in which nobody may wait for the process."""
        if self.state == "running":
            self._process.returncode = 0
            self._end("failed")
        elif self.state == "ready":
            os.close(self._given)


class _Compilations:
    """The compilations of this process, by their keys."""

    def __init__(self) -> None:
        self.by_key: dict[str, _Compilation] = {}
        self.lock = threading.Lock()

    def after_fork(self) -> None:
        """Forget the processes in a forked child: they end when the parent ends. If the child needs kernels, it starts its own process."""
        self.lock = threading.Lock()
        for compilation in self.by_key.values():
            compilation.forget()
        self.by_key = {}


_compilations = _Compilations()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_compilations.after_fork)


def compilation_state(spec: TokenizerSpec, table: EmbeddingTable, key: str | None = None) -> State:
    """Return the state of the compilation for a model, and start it if it does not exist. This does not wait.

    Args:
        spec, table: the model.
        key: its key, if it is known.
    """
    # Another thread looks.
    if not _compilations.lock.acquire(blocking=False):
        return "running"
    try:
        key = key or key_of(spec, table)
        compilation = _compilations.by_key.get(key)
        if compilation is None:
            compilation = _compilations.by_key[key] = _Compilation(spec, table)
        return compilation.look()
    finally:
        _compilations.lock.release()


def _start(spec: TokenizerSpec, table: EmbeddingTable) -> tuple[_Child, int, int]:
    """Start the process, and return it with the pipe that it reads and the pipe that it writes.

    Raises:
        OSError, ValueError, subprocess.SubprocessError: no process can be started, or this is a program that is not Python's own.
    """
    # In a frozen program or a server with an embedded interpreter, this would start the program again.
    if os.name != "posix" or getattr(sys, "frozen", False) or not Path(sys.executable or "").name.startswith("python"):
        raise OSError("no interpreter to start")
    # Pipes of `Popen` are objects that warn if they are not closed.
    (given, to_child), (from_child, messages) = os.pipe(), os.pipe()
    try:
        process = _Child(
            [sys.executable, *subprocess._args_from_interpreter_flags(), "-c", _PROGRAM],  # type: ignore[attr-defined]
            stdin=given,
            stdout=messages,
            stderr=subprocess.DEVNULL,
            env={**os.environ, VARIABLE: "wait"},
            start_new_session=True,
        )
    except BaseException:
        os.close(to_child)
        os.close(from_child)
        raise
    finally:
        os.close(given)
        os.close(messages)
    os.set_blocking(from_child, False)
    text = spec.text.encode()
    needs = {"dtype": table.dtype, "weights": table.factors is not None, "key": key_of(spec, table), "bytes": len(text)}
    # Python ignores entries that are no strings, such as a `Path`, and JSON cannot hold them.
    entries: list[Any] = sys.path
    path = [entry for entry in entries if isinstance(entry, str)]
    content = b"".join(json.dumps(line).encode() + b"\n" for line in (path, needs)) + text
    # The pipe does not hold all of it, and the child needs some time to start.
    _thread.start_new_thread(_send, (to_child, content))
    return process, to_child, from_child


def _send(pipe: int, content: bytes) -> None:
    """Write to a pipe. If the process at its other end is gone, do nothing."""
    with contextlib.suppress(OSError):
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(pipe, rest) :]
