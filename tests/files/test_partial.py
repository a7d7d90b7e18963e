"""Unfinished files: their owner, and what is left after a kill at any moment."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from model2vec_numba.files import lock
from model2vec_numba.files.lock import OwnerLock
from model2vec_numba.files.partial import PartialFile, successor

JOB = {"column": "text"}

HOLDER = """
import sys, time
from pathlib import Path
from model2vec_numba.files.lock import OwnerLock
lock = OwnerLock(Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
time.sleep(100)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        second = OwnerLock(path)
        assert not second.acquire()
        second.release()
        assert path.exists()
        holder.kill()
        holder.wait(60)
        assert second.acquire()
        assert not OwnerLock(path).acquire()
        second.release()
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no open file")
def test_a_lock_that_was_removed_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner removes the file between another process's opening and locking it."""
    path = tmp_path / "lock"
    wait = lock._lock
    calls = []

    def removed_first(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            path.unlink()
        wait(descriptor)

    monkeypatch.setattr(lock, "_lock", removed_first)
    one = OwnerLock(path)
    assert one.acquire()
    assert len(calls) == 2
    assert not OwnerLock(path).acquire()
    one.release()
    assert names(tmp_path) == []


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_run_is_refused(resume: bool, tmp_path: Path) -> None:
    first = PartialFile(str(tmp_path / "out.csv"), JOB)
    first.open(resume=False)
    first.path.write_bytes(b"text\n")
    first.save(first.path, 1, 5)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    second = PartialFile(str(tmp_path / "out.csv"), JOB)
    with pytest.raises(ValueError, match=r"out\.csv: another process is writing this file"):
        second.open(resume)
    second.leave()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    first.leave()
    second.open(resume=True)
    assert second.rows == 1
    second.finish(second.path)
    # What another process begins now must stay.
    third = PartialFile(str(tmp_path / "out.csv"), JOB)
    third.open(resume=False)
    during = names(tmp_path)
    second.leave()
    assert names(tmp_path) == during
    third.leave()
    assert names(tmp_path) == ["out.csv"]


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock, "_lock", refuse)
    partial = PartialFile(str(tmp_path / "out.csv"), JOB)
    partial.open(resume=False)
    assert "out.csv: the file system has no locks" in capsys.readouterr().err
    partial.finish(partial.path)
    partial.leave()
    assert names(tmp_path) == ["out.csv"]


class Killed(BaseException):
    """Ends a run like a kill: nothing is cleaned up."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["touch", "write_text", "replace", "unlink"])
@pytest.mark.parametrize("moment", ["open", "save", "successor"])
def test_nothing_is_left_of_a_killed_run(moment: str, name: str, resume: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is killed at a call that changes the folder. After the next run nothing is left of it."""
    target = str(tmp_path / "out.arrow")

    def run(partial: PartialFile, patched: Any) -> None:
        if moment == "open":
            patched.setattr(Path, name, killed)
        partial.open(resume=True)
        partial.path.write_bytes(b"one")
        partial.save(partial.path, 1, 3)
        following = successor(partial.path)
        following.write_bytes(b"two")
        assert successor(following) == partial.path
        if moment == "save":
            patched.setattr(Path, name, killed)
        partial.save(following, 2, 3)
        if moment == "successor":
            successor(following).write_bytes(b"three")
            raise Killed

    first = PartialFile(target, JOB)
    with monkeypatch.context() as patched, suppress(Killed):
        run(first, patched)
    first._lock.release()  # the operating system does so
    second = PartialFile(target, JOB)
    second.open(resume, discard=True)
    second.path.write_bytes(b"whole")
    second.finish(second.path)
    second.leave()
    assert names(tmp_path) == ["out.arrow"]
