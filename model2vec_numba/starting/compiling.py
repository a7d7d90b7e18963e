"""Compile the kernels of models in another process, and ask without waiting whether they are ready.

One process (`child.py`) compiles for all models of this process, one after the other, and ends when there is nothing left to compile. It also ends
when this process ends, because it then reads the end of its standard input. It writes the kernels to the cache on disk, and messages to a pipe. No
thread of this process waits for them: a call that could use the kernels looks into the pipe, which takes a few microseconds.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from model2vec_numba.jit.memory import kept_code
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.starting.mode import VARIABLE
from model2vec_numba.starting.ready import key_of
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

__all__ = ["DONE", "HEADER", "KERNEL", "READY", "State", "compilation_state"]

# "failed": the kernels must be compiled by this process.
State = Literal["running", "ready", "failed", "killed"]

# A message is a letter and the number of bytes that follow. `KERNEL` has a path, a zero byte and the contents of a file that could not be written.
# `READY` has a key. `DONE` is the last message of a process that has answered everything that it has read.
HEADER = struct.Struct("<cQ")
READY, KERNEL, DONE = b"R", b"K", b"D"
# This process makes this message itself when the other one ended without `DONE`.
_GONE = b""
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


class _Compiler:
    """A process that compiles. It gets requests and sends messages."""

    def __init__(self) -> None:
        self._process, self._requests, self._messages = _start()
        self._received = bytearray()
        # Python ignores entries that are no strings, such as a `Path`, and JSON cannot hold them.
        entries: list[Any] = sys.path
        path = [entry for entry in entries if isinstance(entry, str)]
        self._unsent = deque([json.dumps(path).encode() + b"\n"])
        self._sending = threading.Lock()
        self._is_awaited = False

    def ask(self, request: bytes) -> None:
        """Let a thread send a request. The pipe may not hold all of it, and the process needs some time to start."""
        self._unsent.append(request)
        _thread.start_new_thread(self._send, ())

    def _send(self) -> None:
        """Send the requests in their order. If the process is gone, do nothing."""
        # Many programs let this signal end them. Blocked in this thread, it makes an `OSError` of a write to a process that is gone.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        with self._sending, contextlib.suppress(OSError):
            while self._unsent:
                rest = memoryview(self._unsent.popleft())
                while rest:
                    rest = rest[os.write(self._requests, rest) :]

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the messages that are there: the kind and the content of each. The last one of a process that has ended is `DONE` or `_GONE`."""
        with contextlib.suppress(BlockingIOError):
            # A single read may not empty the pipe. The process writes more while this one reads.
            while content := os.read(self._messages, _READ_BYTES):
                self._received += content
                yield from self._complete_messages()
            yield _GONE, b""

    def _complete_messages(self) -> Iterator[tuple[bytes, bytes]]:
        while len(self._received) >= HEADER.size:
            kind, size = HEADER.unpack_from(self._received)
            if len(self._received) < HEADER.size + size:
                break
            content = bytes(self._received[HEADER.size : HEADER.size + size])
            del self._received[: HEADER.size + size]
            yield kind, content

    def reason(self) -> State:
        """Return why the process ended before the kernels were ready. A signal may mean that there was not enough memory."""
        try:
            return "killed" if self._process.wait(_MAX_WAIT_SECONDS) < 0 else "failed"
        except subprocess.TimeoutExpired:
            return "failed"

    def reap(self) -> None:
        """Let a thread wait for the end of the process. Otherwise the operating system would keep the process in its list after it."""
        if not self._is_awaited:
            self._is_awaited = True
            with contextlib.suppress(RuntimeError):
                _thread.start_new_thread(self._wait, ())

    def _wait(self) -> None:
        self._process.wait()
        # A thread that sends must not find another file with the same number.
        with self._sending:
            self._close_requests()

    def _close_requests(self) -> None:
        pipe, self._requests = self._requests, -1
        if pipe >= 0:
            os.close(pipe)

    def end(self) -> None:
        """Read no more messages."""
        os.close(self._messages)
        self.reap()

    def forget(self) -> None:
        """Close the pipes in a forked child, in which nobody may wait for the process."""
        os.close(self._messages)
        self._close_requests()


class _Compilations:
    """The compilations of this process.

    Attributes:
        states: their states by their keys, in the order in which they were asked for.
        compiler: the process that compiles. ``None`` if there is none.
        lock: is held while one of these is read or changed.
    """

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.compiler: _Compiler | None = None
        self.lock = threading.Lock()

    def after_fork(self) -> None:
        """Forget the process in a forked child: it ends when the parent ends. If the child needs kernels, it starts its own process."""
        self.lock = threading.Lock()
        compiler, self.compiler, self.states = self.compiler, None, {}
        if compiler is not None:
            compiler.forget()

    def look(self) -> None:
        """Act on the messages that are there."""
        compiler = self.compiler
        if compiler is None:
            return
        for kind, content in compiler.messages():
            if kind == KERNEL:
                path, _, code = content.partition(b"\0")
                kept_code.files[path.decode()] = code
            elif kind == READY:
                self.states[content.decode()] = "ready"
            elif kind in (DONE, _GONE):
                self.compiler = None
                self._give_back(compiler.reason if kind == _GONE else None)
                compiler.end()
                return
        if "running" not in self.states.values():
            compiler.reap()

    def _give_back(self, reason: Callable[[], State] | None) -> None:
        """Forget the kernels that are not ready, so that the next looks ask another process for them.

        Args:
            reason: returns the state of those that were compiled when the process ended, which are the first. ``None``: none were compiled.
        """
        running = [key for key, state in self.states.items() if state == "running"]
        for key in running:
            del self.states[key]
        if reason is not None and running:
            self.states[running[0]] = reason()

    def ask(self, spec: TokenizerSpec, table: EmbeddingTable, key: str) -> None:
        """Ask for the kernels of a model. If there is no process, start one."""
        text = spec.text.encode()
        needs = {"dtype": table.dtype, "weights": table.factors is not None, "key": key, "bytes": len(text)}
        try:
            self.compiler = self.compiler or _Compiler()
            self.compiler.ask(json.dumps(needs).encode() + b"\n" + text)
            self.states[key] = "running"
        # A `RuntimeError`: there are too many threads.
        except (OSError, ValueError, RuntimeError, subprocess.SubprocessError):
            self.states[key] = "failed"


_compilations = _Compilations()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_compilations.after_fork)


def compilation_state(spec: TokenizerSpec, table: EmbeddingTable, key: str | None = None) -> State:
    """Return the state of the compilation for a model, and ask for it if nobody has. This does not wait.

    Args:
        spec, table: the model.
        key: its key, if it is known.
    """
    # Another thread looks.
    if not _compilations.lock.acquire(blocking=False):
        return "running"
    try:
        key = key or key_of(spec, table)
        if _compilations.states.get(key, "running") == "running":
            _compilations.look()
        if key not in _compilations.states:
            _compilations.ask(spec, table, key)
        return _compilations.states[key]
    finally:
        _compilations.lock.release()


def _start() -> tuple[_Child, int, int]:
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
    return process, to_child, from_child
