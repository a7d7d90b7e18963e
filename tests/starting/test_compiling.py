"""Another process compiles: what it says is heeded, and it does no harm when either process ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model2vec_numba import StaticModel
from model2vec_numba.jit.folders import package_folders
from model2vec_numba.jit.memory import kept_code
from model2vec_numba.starting import compiling, ready
from model2vec_numba.starting.mode import VARIABLE

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no other process compiles here")

# Programs in place of the one that compiles. Each reads what it is given.
READS = "import json, os, sys, time; given = sys.stdin.buffer; given.readline(); needs = json.loads(given.readline()); given.read(needs['bytes']);"
SAYS_READY = READS + "os.write(1, b'R' + bytes(8))"
SENDS_CODE = READS + "code = bytes(300_000); out = sys.stdout.buffer; out.write(b'K' + (len(code) + 5).to_bytes(8, 'little') + b'a.nb\\0' + code);"
SENDS_CODE += "out.flush(); out.write(b'R' + bytes(8))"
WAITS = READS + "given.read()"


@pytest.fixture
def background(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, "background")
    monkeypatch.setattr(compiling._compilations, "by_key", {})
    monkeypatch.setattr(kept_code, "files", {})
    monkeypatch.setattr("model2vec_numba.starting.roads.is_ready", lambda _: False)
    yield
    for compilation in compiling._compilations.by_key.values():
        if hasattr(compilation, "_process"):
            compilation._process.kill()
            compilation._process.wait()


def model_and_state(model: StaticModel, state: str) -> StaticModel:
    """Return a model in the background mode, when its compilation has a state."""
    other = model._by_value()
    np.testing.assert_array_equal(
        other._roads.plain(None, None).encode_strings(["a cold day", "ok"]), model.encode(["a cold day", "ok"], normalize=False)
    )
    deadline = time.monotonic() + 30
    while (found := compiling.compilation_state(other._spec, other._table)) != state:
        assert found == "running" and time.monotonic() < deadline
        time.sleep(0.001)
    return other


@pytest.mark.usefixtures("background")
def test_a_module_path_with_other_entries(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python ignores a `Path` there."""
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path, b"bytes", None, "/\udcff"])
    monkeypatch.setattr(compiling, "_PROGRAM", SAYS_READY)
    model_and_state(default_model, "ready")


@pytest.mark.usefixtures("background")
@pytest.mark.parametrize("program", [SAYS_READY, SENDS_CODE])
def test_compiled_code_is_used_when_it_is_ready(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(compiling, "_PROGRAM", program)
    model = model_and_state(default_model, "ready")
    assert "tokenizer_backend" not in repr(model)
    vector = model.encode("It is cold today.")
    assert model._roads.compiled is not None
    (compilation,) = compiling._compilations.by_key.values()
    deadline = time.monotonic() + 30
    # The operating system no longer lists the process.
    while compilation._process.returncode is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "tokenizer_backend='wordpiece'" in repr(model)
    np.testing.assert_array_equal(vector, default_model.encode("It is cold today."))
    assert {path: len(code) for path, code in kept_code.files.items()} == ({"a.nb": 300_000} if program == SENDS_CODE else {})


@pytest.mark.usefixtures("background")
def test_the_name_of_the_tokeniser_waits(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_PROGRAM", READS + "time.sleep(0.3); os.write(1, b'R' + bytes(8))")
    model = default_model._by_value()
    assert "tokenizer_backend" not in repr(model)
    assert model._roads.compiled is None
    assert model.tokenizer_backend == "wordpiece"
    assert model._roads.compiled is not None


@pytest.mark.usefixtures("background")
@pytest.mark.parametrize("program", [READS + "sys.exit(1)", READS, "raise SystemExit", READS + "os.write(1, b'R')"])
def test_this_process_compiles_if_the_other_one_fails(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(compiling, "_PROGRAM", program)
    model = model_and_state(default_model, "failed")
    np.testing.assert_array_equal(model.encode("It is cold today."), default_model.encode("It is cold today."))
    assert model._roads.compiled is not None


@pytest.mark.usefixtures("background")
def test_a_process_that_was_killed_is_not_repeated(
    default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There may not be enough memory to compile."""
    monkeypatch.setattr(compiling, "_PROGRAM", READS + "os.kill(os.getpid(), 9)")
    model = model_and_state(default_model, "killed")
    for _ in range(2):
        np.testing.assert_array_equal(model.encode("It is cold today."), default_model.encode("It is cold today."))
    assert model._roads.compiled is None
    assert capsys.readouterr().err.count("was ended by a signal") == 1


@pytest.mark.usefixtures("background")
@pytest.mark.parametrize("executable", ["", None, "/no/such/python3", "/bin/true"])
def test_without_an_interpreter_this_process_compiles(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, executable: str | None) -> None:
    """A frozen program, or a server with an embedded interpreter, must not be started again."""
    monkeypatch.setattr(sys, "executable", executable)
    model = default_model._by_value()
    assert model._roads.compiled is not None


@pytest.mark.usefixtures("background")
def test_models_with_the_same_needs_share_a_process(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_PROGRAM", WAITS)
    for _ in range(3):
        default_model._by_value().encode("a")
    assert len(compiling._compilations.by_key) == 1


def test_a_note_counts_while_its_files_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    files = [tmp_path / "a.nbc", tmp_path / "b.nbc"]
    for file in files:
        file.touch()
    assert not ready.is_ready("key")
    ready.note_ready("key", files)
    assert ready.is_ready("key") and not ready.is_ready("other")
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(moved))
    assert ready.is_ready("key")
    (moved / "a.nbc").unlink()
    assert not ready.is_ready("key")
    (moved / "a.nbc").touch()
    ready._circumstances.cache_clear()
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert not ready.is_ready("key")
    ready._circumstances.cache_clear()
    ready.note_ready(ready.EVERYTHING, files[:0] or [moved / "a.nbc"])
    assert ready.is_ready("other")
    ready._circumstances.cache_clear()


def test_the_folders_are_those_of_numba(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from model2vec_numba import encoder
    from model2vec_numba.jit import cache

    monkeypatch.setattr(cache.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert list(package_folders()) == list(cache._folders(Path(encoder.__file__)))


# Real processes

USE = """
import json, os, random, signal, sys, time
from model2vec_numba import StaticModel
from model2vec_numba.starting import compiling

texts = ["It is cold today.", "Caf\\u00e9 \\u4f60\\u597d", ""] * 20
model = StaticModel.from_pretrained()
right = model.encode(texts).tobytes()
(compilation,) = compiling._compilations.by_key.values() or [None]
print(compilation and compilation._process.pid, flush=True)

def check():
    assert model.encode(texts).tobytes() == right
"""
UNTIL_READY = """
while model._roads.compiled is None:
    check()
from model2vec_numba.jit.cache import counts
check()
model.encode("a"), model.tokenize(texts), model.encode_as_sequence(texts)
print(counts.compiled, flush=True)
"""


def environment(folder: Path | None) -> dict[str, str]:
    return {**os.environ, VARIABLE: "background", **({} if folder is None else {"NUMBA_CACHE_DIR": str(folder)})}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("cache", ["shared cache", pytest.param("empty cache", marks=pytest.mark.exhaustive)])
def test_the_kernels_become_ready(cache: str, tmp_path: Path) -> None:
    """Several processes start at once. One of them compiles, and the others use its result."""
    folder = tmp_path if cache == "empty cache" else None
    for note in next(package_folders()).glob("ready.*") if folder is None else ():
        note.unlink()
    processes = [
        subprocess.Popen([sys.executable, "-c", USE + UNTIL_READY], env=environment(folder), stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in processes:
        out, _ = process.communicate(timeout=600)
        assert process.returncode == 0
        assert out.split()[-1] == "0"
    # The next process knows it at once.
    done = subprocess.run(
        [sys.executable, "-c", USE + UNTIL_READY], env=environment(folder), check=True, stdout=subprocess.PIPE, text=True, timeout=60
    )
    assert done.stdout.split() == ["None", "0"]


@pytest.mark.exhaustive
def test_without_a_folder_the_code_comes_through_the_pipe(tmp_path: Path) -> None:
    """A file in place of each folder makes it unusable."""
    package = Path(compiling.__file__).parents[1]
    for path in package.rglob("*"):
        if "__pycache__" not in path.parts and path.is_file():
            target = tmp_path / package.name / path.relative_to(package)
            target.parent.mkdir(parents=True, exist_ok=True)
            (target.parent / "__pycache__").touch()
            target.symlink_to(path) if path.suffix != ".py" else target.write_bytes(path.read_bytes())
    places = {"NUMBA_CACHE_DIR": "/dev/null/a", "XDG_CACHE_HOME": "/dev/null/b", "HOME": "/dev/null/c", "PYTHONPATH": str(tmp_path)}
    variables: dict[str, Any] = {**environment(None), **places}
    done = subprocess.run(
        [sys.executable, "-c", USE + UNTIL_READY], env=variables, check=True, capture_output=True, text=True, timeout=600, cwd=tmp_path
    )
    assert done.stdout.split()[-1] == "0"
    assert done.stderr == ""
    assert json.loads("[]") == list(tmp_path.rglob("*.nbc"))
