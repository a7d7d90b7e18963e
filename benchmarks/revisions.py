"""Check out two revisions of this repository, and run the package of each in a process of its own.

The two sides are called "base" and "head". Each side's process (`revision_server.py`) imports the package from a checkout of its own, in a
temporary folder, and compiles it into a cache of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

__all__ = ["CompareError", "RequestError", "Revision", "Side", "ask_both", "checkouts", "end_on_signals", "open_sides", "say"]

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGE = "model2vec_numba"
_SERVER = Path(__file__).with_name("revision_server.py")

# An error message quotes this many of the last lines that a process wrote.
_LAST_LINES = 5
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
# git sets these for its hooks. They would lead git to another repository.
_GIT_VARIABLES = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"}


class CompareError(RuntimeError):
    """The comparison cannot continue: a revision does not exist, or a process has ended. The message says which."""


class RequestError(Exception):
    """A side could not do what it was asked for.

    Attributes:
        side: "base" or "head".
        kind: "absent" if the revision lacks something, else "failed".
        reason: the message.
    """

    def __init__(self, side: str, kind: str, reason: str) -> None:
        super().__init__(side, kind, reason)
        self.side = side
        self.kind = kind
        self.reason = reason

    def note(self) -> str:
        """The error in one line, which may stand in a cell of a Markdown table."""
        return f"{self.kind}: {self.side}, {' '.join(self.reason.split())}".replace("|", "\\|")


class Side:
    """The process of one side.

    Args:
        name: "base" or "head".
        checkout: the folder that the process imports the package from.
        texts: the file of the corpora; see `revision_server.Server`.
        folder: an empty folder for the process.
        threads: the number of threads that the process may use.
    """

    def __init__(self, name: str, checkout: Path, texts: Path, folder: Path, threads: int) -> None:
        self.name = name
        # Messages are shown without these. The longest come first: the environment may be inside the checkout, and has packages of its own.
        self._prefixes = [f"{path}{os.sep}" for path in (checkout, folder, sys.prefix, _ROOT)]
        self._errors = (folder / "errors.txt").open("w+b")
        environment = {
            **os.environ,
            "NUMBA_NUM_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false",
            "NUMBA_CACHE_DIR": str(folder / "cache"),
            # Sets have the same order on both sides.
            "PYTHONHASHSEED": "0",
        }
        self._process = subprocess.Popen(
            [sys.executable, str(_SERVER), str(checkout), str(texts)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # Ctrl-C must not reach this process: the parent ends it
        )

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def send(self, request: dict[str, Any]) -> None:
        """Send a request. `receive` returns the answer."""
        pipe = self._process.stdin
        assert pipe is not None
        try:
            pipe.write(json.dumps(request) + "\n")
            pipe.flush()
        except BrokenPipeError:
            pass  # the process has ended, and `receive` says why

    def receive(self) -> dict[str, Any]:
        """Return the answer to the oldest request that has no answer yet.

        Raises:
            CompareError: the process has ended.
        """
        pipe = self._process.stdout
        assert pipe is not None
        if line := pipe.readline():
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode("utf-8", "replace").splitlines()[-_LAST_LINES:]
        raise CompareError(f"{self.name}: the process has ended with exit code {code}; {self._shorten(' / '.join(last)) or 'it wrote no message'}")

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its answer.

        Raises:
            CompareError: the process has ended.
            RequestError: the side could not do it.
        """
        self.send(request)
        answer = self.receive()
        self.check(answer)
        return answer

    def check(self, answer: dict[str, Any]) -> None:
        """Raise a `RequestError` if an answer says that the side could not do what it was asked for."""
        if "absent" in answer:
            raise RequestError(self.name, "absent", answer["absent"])
        if "failed" in answer:
            # If an older revision fails, it lacks something.
            raise RequestError(self.name, "absent" if self.name == "base" else "failed", self._shorten(answer["failed"]))

    def _shorten(self, message: str) -> str:
        for prefix in self._prefixes:
            message = message.replace(prefix, "")
        return message


def ask_both(sides: Sequence[Side], requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send a request to each side, and return both answers. The sides work at the same time.

    Raises:
        CompareError: a process has ended.
        RequestError: a side could not do it. If neither could, the error is that of the last side.
    """
    for side, request in zip(sides, requests, strict=True):
        side.send(request)
    answers = [side.receive() for side in sides]
    for side, answer in reversed(list(zip(sides, answers, strict=True))):
        side.check(answer)
    return answers


@contextmanager
def open_sides(base: Revision, head: Revision, corpora: Mapping[str, Any], threads: int) -> Iterator[tuple[list[Side], list[Path]]]:
    """Start a process for each of two revisions. Give the sides, and a folder for files of each side.

    Args:
        base, head: the revisions.
        corpora: the texts; see `revision_server.Server`.
        threads: the number of threads that each process may use.

    Raises:
        CompareError: git failed, or the package of a side cannot be imported.
    """
    with ExitStack() as stack:
        folders = list(stack.enter_context(checkouts(base, head)))
        texts = folders[0].parent / "texts.json"
        texts.write_text(json.dumps(corpora), encoding="utf-8")
        sides = [stack.enter_context(Side(folder.name, folder / "checkout", texts, folder, threads)) for folder in folders]
        try:
            for side in sides:
                side.check(side.receive())
        except RequestError as error:
            raise CompareError(f"{error.side}: the package cannot be imported: {error.reason}") from None
        yield sides, folders


@contextmanager
def _held_signals() -> Iterator[None]:
    """Make Ctrl-C and similar signals wait for the end of a ``with`` block."""
    caught: list[int] = []
    before = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])


def _git(*arguments: str) -> str:
    """Run git and return its output.

    Raises:
        CompareError: git failed, or is not installed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_VARIABLES} | {"GIT_OPTIONAL_LOCKS": "0"}
    # No hook of the repository runs, and Ctrl-C does not reach git.
    command = ["git", "-C", str(_ROOT), "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False, start_new_session=True
        )
    except OSError as error:
        raise CompareError(f"git: {error.strerror}") from error
    if done.returncode:
        raise CompareError(f"git {arguments[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Revision:
    """A revision of this repository.

    Attributes:
        name: the name that the user gave it.
        commit: the digest of its commit. For the working tree, the digest of the commit that is checked out.
        is_tree: whether it is the working tree.
    """

    name: str
    commit: str
    is_tree: bool = False

    @classmethod
    def find(cls, name: str | None) -> Revision:
        """Return the revision of that name. ``None``: the working tree.

        Raises:
            CompareError: there is no such revision.
        """
        if name is None:
            return cls("the working tree", _git("rev-parse", "HEAD"), is_tree=True)
        try:
            return cls(name, _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"))
        except CompareError:
            raise CompareError(f"{name}: no such revision") from None

    def describe(self) -> str:
        """Return the revision in words: its name, its commit and the commit's subject."""
        commit = _git("log", "-1", "--format=%h (%s)", self.commit)
        if not self.is_tree:
            return commit if self.commit.startswith(self.name) else f"{self.name}, {commit}"
        changed = len(_git("status", "--porcelain", "--", _PACKAGE).splitlines())
        files = f"{changed} changed file{'s' * (changed != 1)}" if changed else "no changes"
        return f"{self.name}, {commit} with {files} in the package"

    def check_out(self, folder: Path) -> None:
        """Write the revision to a folder, which must not exist yet. The working tree is copied, so that later edits do not reach the run.

        Raises:
            CompareError: git failed.
        """
        if self.is_tree:
            shutil.copytree(_ROOT / _PACKAGE, folder / _PACKAGE, ignore=shutil.ignore_patterns("__pycache__", "*.nbc", "*.nbi"))
        else:
            _git("worktree", "add", "--detach", str(folder), self.commit)


@contextmanager
def checkouts(base: Revision, head: Revision) -> Iterator[tuple[Path, Path]]:
    """Check out two revisions. Give two temporary folders, each with a revision in ``checkout``. Both are removed at the end, from git too.

    Raises:
        CompareError: git failed.
    """
    folder: Path | None = None
    # The names have the same length, because the layout of a process's memory depends on its arguments and its environment.
    revisions = {"base": base, "head": head}
    try:
        with _held_signals():
            folder = Path(tempfile.mkdtemp(prefix="compare-"))
            for name, revision in revisions.items():
                (folder / name).mkdir()
                revision.check_out(folder / name / "checkout")
        yield folder / "base", folder / "head"
    finally:
        with _held_signals():
            if folder is not None:
                for name in revisions:
                    if (folder / name / "checkout" / ".git").exists():
                        with suppress(CompareError):
                            _git("worktree", "remove", "--force", "--force", str(folder / name / "checkout"))
                shutil.rmtree(folder, ignore_errors=True)
            _git("worktree", "prune")


def say(*lines: str) -> None:
    """Print lines, and flush: each must be seen as soon as it is known."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def end_on_signals() -> None:
    """Make signals end this program through its ``finally`` blocks, which remove the checkouts."""
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, _: FrameType | None) -> None:
    """End the program. Further signals are ignored, so that they do not interrupt the clean-up."""
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)
