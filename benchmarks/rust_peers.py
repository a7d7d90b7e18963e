"""The Rust crates that read Model2Vec models, as peers. The Cargo project in the folder `rust_peers` calls them in a process of its own.

A peer encodes on request, so that it can take turns with this package:

    executable = build()
    with RustPeer(executable, "model2vec-rs", folder, texts, threads=1) as peer:
        check(peer.vectors())
        seconds = [peer.run() for _ in range(rounds)]

In some cases the vectors of a crate differ from those of this package. `rust_peers/README.md` lists them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

__all__ = ["CRATES", "RustPeer", "RustPeerError", "build", "find_cargo"]

CRATES = ("model2vec-rs", "model2vec")

_PROJECT = Path(__file__).with_suffix("")
_LAST_LINES = 20
_SECONDS_TO_END = 60.0


class RustPeerError(RuntimeError):
    """A peer cannot be built, cannot read a model, or has ended too early. The message is that of the compiler or the crate."""


def find_cargo() -> Path | None:
    """Return Cargo's executable: the one on the search path, else the one in the folder where rustup installs it. ``None``: there is none."""
    if found := shutil.which("cargo"):
        return Path(found)
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    found = shutil.which("cargo", path=str(home / "bin"))
    return Path(found) if found else None


def build(target: Path | None = None) -> Path:
    """Compile the project for this machine's processor. The first time it takes minutes and downloads the newest crates that `Cargo.toml` allows.

    Args:
        target: the folder for Cargo's output. ``None``: `rust_peers/target`.

    Returns:
        The executable, which has both crates.

    Raises:
        RustPeerError: Cargo is not installed, or it failed. The message has its last lines.
    """
    cargo = find_cargo()
    if cargo is None:
        raise RustPeerError("cargo is neither on the search path nor in the folder where rustup installs it")
    target = (target or _PROJECT / "target").resolve()
    # Cargo prints the path of the executable as JSON on standard output. Its other messages are on standard error.
    command = [str(cargo), "build", "--release", "--quiet", "--target-dir", str(target), "--message-format", "json-render-diagnostics"]
    path = os.pathsep.join([str(cargo.parent), os.environ.get("PATH", os.defpath)])  # Cargo starts rustc, which is in the same folder
    environment = {**os.environ, "PATH": path, "RUSTFLAGS": "-C target-cpu=native"}
    done = subprocess.run(
        command,
        cwd=_PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-_LAST_LINES:])
        raise RustPeerError(f"cargo build failed with exit code {done.returncode}. Its last lines:\n{last}")
    messages: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    executables = [Path(message["executable"]) for message in messages if message.get("executable")]
    if len(executables) != 1:
        raise RustPeerError(f"cargo build made {len(executables)} executables, expected one")
    return executables[0]


class RustPeer:
    """A process that has loaded a model with one of the crates, and encodes the same texts again and again.

    Args:
        executable: the executable that `build` returned.
        crate: one of `CRATES`.
        folder: the model, in Model2Vec's layout.
        texts: the texts to encode. None may contain a line feed, because the process reads a text a line.
        threads: the number of threads that the crate may use. ``None``: one for each processor.
        warm: the number of texts that the process encodes before the first round. ``None``: all of them.

    Attributes:
        crate: the crate's name.
        version: the crate's version.
        pid: the number of the process.
        load_seconds: the seconds that the crate took to load the model.

    Raises:
        RustPeerError: the crate cannot read the model or encode the texts. The message has the crate's own.
        ValueError: an argument is out of range, or a text contains a line feed.
    """

    def __init__(self, executable: Path, crate: str, folder: Path, texts: Sequence[str], threads: int | None = 1, *, warm: int | None = None) -> None:
        if crate not in CRATES:
            raise ValueError(f"crate {crate!r}: expected one of {', '.join(CRATES)}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads}: expected at least 1, or None")
        for position, text in enumerate(texts):
            if "\n" in text:
                raise ValueError(f"text {position} contains a line feed: {text!r:.100}")
        self.crate = crate
        self._model = folder.name
        self._folder = Path(tempfile.mkdtemp(prefix="rust-peer-"))
        self._errors: IO[bytes] | None = None
        self._process: subprocess.Popen[str] | None = None
        try:
            file, self._vectors = self._folder / "texts.txt", self._folder / "vectors.f32"
            file.write_bytes("".join(f"{text}\n" for text in texts).encode())
            self._errors = (self._folder / "errors.txt").open("w+b")
            self._process = subprocess.Popen(
                [
                    *(str(executable), crate, str(folder.resolve()), str(file), "--vectors", str(self._vectors)),
                    *(() if warm is None else ("--warm", str(warm))),
                ],
                env=_environment(threads),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                encoding="utf-8",
            )
            start = self._answer()
        except BaseException:
            self.close()
            raise
        self.pid = self._running().pid
        self.version: str = start["version"]
        self.load_seconds: float = start["load_seconds"]
        self._shape: tuple[int, int] = start["texts"], start["dim"]

    def __enter__(self) -> RustPeer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def vectors(self) -> npt.NDArray[np.float32]:
        """Return the vectors of the texts that the crate encoded before the first round, float32 of shape (texts, dim)."""
        return np.fromfile(self._vectors, dtype="<f4").reshape(self._shape).astype(np.float32, copy=False)

    def run(self) -> float:
        """Let the crate encode all texts once more, and return the seconds that it took, as measured by the process itself."""
        seconds: float = self._ask("go")["seconds"]
        return seconds

    def calls(self, first: int, last: int, size: int) -> list[float]:
        """Let the crate encode texts `first` to ``last - 1`` in calls of `size` texts, and return the seconds of each call."""
        seconds: list[float] = self._ask(f"{first} {last} {size}")["calls"]
        return seconds

    def close(self) -> None:
        """End the process, and remove its files. A second call does nothing."""
        if self._process is not None:
            process, self._process = self._process, None
            try:
                process.communicate(timeout=_SECONDS_TO_END)  # this closes the input, which ends the process
            except BaseException:
                process.kill()
                process.communicate()
                raise
        if self._errors is not None:
            self._errors.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RustPeerError(f"{self.crate}: the process has been closed")
        return self._process

    def _ask(self, request: str) -> dict[str, Any]:
        """Send a line to the process, and return its answer."""
        pipe = self._running().stdin
        assert pipe is not None
        try:
            pipe.write(f"{request}\n")
            pipe.flush()
        except BrokenPipeError:
            pass  # the process has ended, and `_answer` says why
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        """Return the next line of the process, as JSON. Raise a `RustPeerError` with its message if it has ended."""
        process = self._running()
        assert process.stdout is not None and self._errors is not None
        if line := process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = process.wait()
        self._errors.seek(0)
        message = self._errors.read().decode("utf-8", "replace").strip()
        raise RustPeerError(f"{self.crate} on {self._model}, exit code {code}: {message or 'no message'}")


def _environment(threads: int | None) -> dict[str, str]:
    """Return the environment of the process. The variables that limit the threads of this process are removed or set anew."""
    environment = {name: value for name, value in os.environ.items() if name not in {"RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM"}}
    environment["RUST_BACKTRACE"] = "0"
    if threads is not None:
        environment |= {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false" if threads == 1 else "true"}
    return environment
