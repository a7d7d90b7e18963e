"""The Rust crates that read Model2Vec models, as peers. The Cargo project in the folder `rust_peers` calls them, in a process of its own.

A peer encodes when it is told to, so that it can take turns with this package:

    executable = build()
    with RustPeer(executable, "model2vec-rs", folder, texts, threads=1) as peer:
        check(peer.vectors())
        seconds = [peer.run() for _ in range(rounds)]

Where a crate means something else than this package, its vectors differ; `rust_peers/README.md` says where.
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
    """A peer cannot be built, does not read a model, or has ended before its time. The message is the compiler's or the crate's own."""


def find_cargo() -> Path | None:
    """Cargo's executable: the one on the search path, else the one where rustup installs it."""
    if found := shutil.which("cargo"):
        return Path(found)
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    found = shutil.which("cargo", path=str(home / "bin"))
    return Path(found) if found else None


def build(target: Path | None = None) -> Path:
    """Compile the project for this machine's processor. It takes minutes the first time, and fetches the newest crates that `Cargo.toml` admits.

    Args:
        target: Cargo's folder for what it makes; ``None`` for `rust_peers/target`.

    Returns:
        The executable, which has both crates.

    Raises:
        RustPeerError: there is no Cargo, or it fails; the message has its last lines.
    """
    cargo = find_cargo()
    if cargo is None:
        raise RustPeerError("cargo is neither on the search path nor where rustup installs it")
    target = (target or _PROJECT / "target").resolve()
    # Cargo says by itself what it has made, and where; its messages to people are on standard error.
    command = [str(cargo), "build", "--release", "--quiet", "--target-dir", str(target), "--message-format", "json-render-diagnostics"]
    path = os.pathsep.join([str(cargo.parent), os.environ.get("PATH", os.defpath)])  # Cargo starts rustc, which is beside it
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
        raise RustPeerError(f"cargo build made {len(executables)} executables, not one")
    return executables[0]


class RustPeer:
    """A process that has loaded a model with one of the crates, and encodes the same texts again and again.

    Args:
        executable: what `build` has returned.
        crate: one of `CRATES`.
        folder: the model, in Model2Vec's layout.
        texts: what to encode. A line feed in a text is a ``ValueError``: the process reads a text a line.
        threads: how many the crate may use; ``None`` for as many as the process has processors.

    Attributes:
        crate: the crate's name.
        version: the crate's version.
        load_seconds: how long the crate took to load the model.

    Raises:
        RustPeerError: the crate does not read the model, or fails to encode the texts; the message has its own.
    """

    def __init__(self, executable: Path, crate: str, folder: Path, texts: Sequence[str], threads: int | None = 1) -> None:
        if crate not in CRATES:
            raise ValueError(f"crate {crate!r}: expected one of {', '.join(CRATES)}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads}: expected at least 1, or None")
        for position, text in enumerate(texts):
            if "\n" in text:
                raise ValueError(f"text {position} has a line feed: {text!r:.100}")
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
                [str(executable), crate, str(folder.resolve()), str(file), "--vectors", str(self._vectors)],
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
        self.version: str = start["version"]
        self.load_seconds: float = start["load_seconds"]
        self._shape: tuple[int, int] = start["texts"], start["dim"]

    def __enter__(self) -> RustPeer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def vectors(self) -> npt.NDArray[np.float32]:
        """The texts' vectors, a row for each, as the crate computed them before the first round."""
        return np.fromfile(self._vectors, dtype="<f4").reshape(self._shape).astype(np.float32, copy=False)

    def run(self) -> float:
        """The seconds in which the crate encodes all texts, once more. The process measures them itself."""
        pipe = self._running().stdin
        assert pipe is not None
        try:
            pipe.write("go\n")
            pipe.flush()
        except BrokenPipeError:
            pass  # it has ended, and `_answer` says why
        seconds: float = self._answer()["seconds"]
        return seconds

    def close(self) -> None:
        """End the process, and remove what it has read and written. A second time it does nothing."""
        if self._process is not None:
            process, self._process = self._process, None
            try:
                process.communicate(timeout=_SECONDS_TO_END)  # closes its input, which ends it
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

    def _answer(self) -> dict[str, Any]:
        """The next line of the process, or why there is none."""
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
    """What the process shall see of the environment, in which this one's own threads may be limited."""
    environment = {name: value for name, value in os.environ.items() if name not in {"RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM"}}
    environment["RUST_BACKTRACE"] = "0"
    if threads is not None:
        environment |= {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false" if threads == 1 else "true"}
    return environment
