"""Run contenders, each in a fresh process, so that they can take turns on texts that none of them has seen.

The processes are `contender_server.py` for Python packages, and the Cargo project of `rust_peers` for Rust crates. All of them load a model, and then
work on request on some of the texts of a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from benchmarks.rust_peers import RustPeer, RustPeerError

__all__ = ["BASE", "ENCODERS", "OURS", "TOKENIZERS", "AbsentError", "Calls", "Process", "Settings", "open_processes", "vectors_differ"]

OURS, BASE = "model2vec-numba", "base"
ENCODERS = (OURS, BASE, "model2vec-rs", "model2vec", "laghu")
TOKENIZERS = (OURS, "nanotoken", "gigatoken", "tokenizers", "tokenizers 1")

_SERVER = Path(__file__).with_name("contender_server.py")
_LAST_LINES = 5
# Some contenders average in half precision, which has three digits.
_TOLERANCE = 5e-3
_THREAD_LIMITS = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Calls(NamedTuple):
    """The times of some calls.

    Attributes:
        seconds: the wall time of each call.
        processor: the processor time of all calls together, of all threads.
    """

    seconds: list[float]
    processor: float


class Process(Protocol):
    """A contender in a process of its own."""

    name: str

    def wait(self) -> None:
        """Wait until it is loaded."""

    def calls(self, first: int, last: int, size: int) -> Calls:
        """Work on texts `first` to ``last - 1`` in calls of `size` texts."""

    def result(self, count: int) -> Any:
        """Return the vectors of the first `count` texts, float of shape (count, dim), or the ids of each of them."""

    def close(self) -> None:
        """End the process."""


class Settings(NamedTuple):
    """The settings of the contenders.

    Attributes:
        base: a checkout of another revision of this package. ``None``: there is no contender "base".
        rust: the executable that `rust_peers.build` returned, or the error that it raised.
        tokenizers_1: a Python that has version 1 of `tokenizers`, which cannot be installed together with this package.
    """

    base: Path | None
    rust: Path | RustPeerError
    tokenizers_1: Path | None = None


class AbsentError(Exception):
    """A contender cannot take part, or has failed. The message says why."""


def _processor_time(pid: int) -> float:
    """Return the processor time of a process, in seconds. Where the system has no exact one, return the wall time."""
    # The number of the clock of another process, as Linux has it.
    return time.clock_gettime((~pid << 3) | 2) if sys.platform == "linux" else time.perf_counter()


class _PythonProcess:
    """A process of `contender_server.py`."""

    def __init__(self, contender: str, folder: Path, texts: Path, threads: int | None, checkout: Path | None, python: Path) -> None:
        self.name = contender
        self._errors = texts.with_name(f"errors-{contender.replace(':', '').replace(' ', '-')}-{id(self)}.txt").open("w+b")
        self._result = Path(self._errors.name).with_suffix(".npy")
        environment = {name: value for name, value in os.environ.items() if name not in _THREAD_LIMITS}
        environment["TOKENIZERS_PARALLELISM"] = "false" if threads == 1 else "true"
        if threads is not None:
            environment |= dict.fromkeys(_THREAD_LIMITS, str(threads))
        command = [str(python), str(_SERVER), contender, str(folder), str(texts), *([] if checkout is None else [str(checkout)])]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, encoding="utf-8"
        )

    def wait(self) -> None:
        """Wait until the contender is loaded."""
        self.name = self._answer()["name"]

    def calls(self, first: int, last: int, size: int) -> Calls:
        before = _processor_time(self._process.pid)
        seconds: list[float] = self._ask({"do": "calls", "first": first, "last": last, "size": size})["calls"]
        return Calls(seconds, _processor_time(self._process.pid) - before)

    def result(self, count: int) -> Any:
        self._ask({"do": "result", "first": 0, "last": count, "file": str(self._result)})
        data = self._result.read_bytes()
        return np.load(self._result) if data.startswith(b"\x93NUMPY") else json.loads(data)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended, and `_answer` says why
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            code = self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().decode("utf-8", "replace").splitlines()[-_LAST_LINES:]
            raise AbsentError(f"{self.name} ended with exit code {code}: {' / '.join(last) or 'no message'}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise AbsentError(" ".join(answer["failed"].split())[:300])
        return answer


class _RustProcess:
    """A Rust crate."""

    def __init__(self, rust: Path | RustPeerError, crate: str, folder: Path, texts: Sequence[str], threads: int | None, warm: int) -> None:
        self.name = crate
        self._make = partial(RustPeer, _executable(rust), crate, folder, texts, threads, warm=warm)
        self._peer: RustPeer | None = None

    def wait(self) -> None:
        """Wait until the crate has loaded the model and worked on the first texts."""
        try:
            self._peer = self._make()
        except (OSError, RustPeerError) as error:
            raise AbsentError(" ".join(str(error).split())[:300]) from error
        self.name = f"{self._peer.crate} {self._peer.version} (Rust)"

    def calls(self, first: int, last: int, size: int) -> Calls:
        assert self._peer is not None
        before = _processor_time(self._peer.pid)
        try:
            seconds = self._peer.calls(first, last, size)
        except RustPeerError as error:
            raise AbsentError(str(error)) from error
        return Calls(seconds, _processor_time(self._peer.pid) - before)

    def result(self, count: int) -> Any:
        assert self._peer is not None
        return self._peer.vectors()[:count]

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()


def _executable(rust: Path | RustPeerError) -> Path:
    if isinstance(rust, RustPeerError):
        raise AbsentError(" ".join(str(rust).split())[:300])
    return rust


@contextmanager
def open_processes(
    task: str, names: Sequence[str], folder: Path, texts: Sequence[str], settings: Settings, *, threads: int | None, warm: int, files: Path
) -> Iterator[tuple[dict[str, Process], dict[str, str]]]:
    """Start contenders, and let each work on the first texts once, so that code is compiled and files are mapped.

    Args:
        task: "encode" or "tokenise".
        names: some of `ENCODERS` or `TOKENIZERS`.
        folder: the model, in Model2Vec's layout.
        texts: the texts. Each must be on one line.
        settings: what some contenders need.
        threads: the number of threads that each may use. ``None``: as many as it takes by itself.
        warm: the number of texts that each works on first.
        files: an existing folder for files of the processes.

    Yields:
        The contenders that could be loaded, and for each of the others the reason.
    """
    found: dict[str, Process] = {}
    absent: dict[str, str] = {}
    file = files / "texts.txt"
    file.write_text("\n".join(texts), encoding="utf-8")
    with ExitStack() as stack:

        def start(name: str) -> None:
            try:
                found[name] = _start(task, name, folder, file, texts, settings, threads, warm)
                stack.callback(found[name].close)
            except AbsentError as error:
                absent[name] = str(error)

        def wait(name: str) -> None:
            try:
                found[name].wait()
                found[name].calls(0, warm, warm)
            except AbsentError as error:
                absent[name] = str(error)
                del found[name]

        # They load at the same time.
        for name in names:
            start(name)
        for name in list(found):
            wait(name)
        yield found, absent


def _start(task: str, name: str, folder: Path, file: Path, texts: Sequence[str], settings: Settings, threads: int | None, warm: int) -> Process:
    """Start the process of a contender."""
    if name == "model2vec-rs":
        return _RustProcess(settings.rust, name, folder, texts, threads, warm)
    checkout, python = None, Path(sys.executable)
    if name in (OURS, BASE):
        checkout = Path(__file__).resolve().parents[1] if name == OURS else settings.base
        if checkout is None:
            raise AbsentError("no other revision was given")
    if name == "tokenizers 1":
        if settings.tokenizers_1 is None:
            raise AbsentError("no Python with version 1 of tokenizers was given")
        python = settings.tokenizers_1
    key = "ours" if checkout else name.split(maxsplit=1)[0]
    return _PythonProcess(f"{task}: {key}", folder, file, threads, checkout, python)


def vectors_differ(found: Any, expected: Any) -> str:
    """Return how many results differ from the expected ones, in words. "": none. The results are arrays of vectors, or lists of ids."""
    if isinstance(expected, list):
        different = sum(a != b for a, b in zip(found, expected, strict=True))
        return f"{different:,} of {len(expected):,} texts have other ids" if different else ""
    difference = np.abs(np.asarray(found, np.float32) - expected).max(axis=1)
    different = int((difference > _TOLERANCE).sum())
    return f"{different:,} of {len(expected):,} vectors differ, by up to {difference.max():.1g}" if different else ""
