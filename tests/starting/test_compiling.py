"""Another process compiles: what it says is heeded, and it does no harm when either process ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

from model2vec_numba import StaticModel, warmup
from model2vec_numba.jit.folders import package_folders
from model2vec_numba.jit.memory import kept_code
from model2vec_numba.starting import child, compiling, ready
from model2vec_numba.starting.mode import VARIABLE

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no other process compiles here")

# Programs in place of the one that compiles.
TALKS = """
import json, os, select, sys
given = sys.stdin.buffer
given.readline()

def read():
    needs = json.loads(given.readline())
    given.read(needs["bytes"])
    return needs["key"].encode()

def say(kind, content=b""):
    sys.stdout.buffer.write(kind + len(content).to_bytes(8, "little") + content)
    sys.stdout.buffer.flush()

"""
SAYS_READY = TALKS + "say(b'R', read())"
SENDS_CODE = TALKS + "key = read(); say(b'K', b'a.nb\\0' + bytes(300_000)); say(b'R', key)"
WAITS = TALKS + "given.read()"


@pytest.fixture
def background(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Give the tests the processes that are started."""
    processes = []

    def start() -> Any:
        started = real_start()
        processes.append(started[0])
        return started

    real_start = compiling._start
    monkeypatch.setattr(compiling, "_start", start)
    monkeypatch.setenv(VARIABLE, "background")
    monkeypatch.setattr(compiling, "_compilations", compiling._Compilations())
    monkeypatch.setattr(kept_code, "files", {})
    monkeypatch.setattr("model2vec_numba.starting.roads.is_ready", lambda _: False)
    yield processes
    for process in processes:
        process.kill()
        process.wait()
    if compiling._compilations.compiler is not None:
        compiling._compilations.compiler.end()


def wait_for_states(model: StaticModel, states: dict[str | None, str]) -> None:
    """Ask for the kernels of a model under several keys, in turns, until they have these states."""
    deadline = time.monotonic() + 30
    found: dict[str | None, str] = {}
    while found != states:
        assert time.monotonic() < deadline, found
        found = {key: compiling.compilation_state(model._spec, model._table, key) for key in states}
        assert all(found[key] in ("running", states[key]) for key in states)
        time.sleep(0.001)


def model_and_state(model: StaticModel, state: str) -> StaticModel:
    """Return a model in the background mode, when its compilation has a state."""
    other = model._by_value()
    np.testing.assert_array_equal(
        other._roads.plain(None, None).encode_strings(["a cold day", "ok"]), model.encode(["a cold day", "ok"], normalize=False)
    )
    wait_for_states(other, {None: state})
    return other


@pytest.mark.usefixtures("background")
def test_a_module_path_with_other_entries(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python ignores a `Path` there."""
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path, b"bytes", None, "/\udcff"])
    monkeypatch.setattr(compiling, "_PROGRAM", SAYS_READY)
    model_and_state(default_model, "ready")


@pytest.mark.parametrize("program", [SAYS_READY, SENDS_CODE])
def test_compiled_code_is_used_when_it_is_ready(
    default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, background: list[Any], program: str
) -> None:
    monkeypatch.setattr(compiling, "_PROGRAM", program)
    model = model_and_state(default_model, "ready")
    assert "tokenizer_backend" not in repr(model)
    vector = model.encode("It is cold today.")
    assert model._roads.compiled is not None
    (process,) = background
    deadline = time.monotonic() + 30
    # The operating system no longer lists the process.
    while process.returncode is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "tokenizer_backend='wordpiece'" in repr(model)
    np.testing.assert_array_equal(vector, default_model.encode("It is cold today."))
    assert {path: len(code) for path, code in kept_code.files.items()} == ({"a.nb": 300_000} if program == SENDS_CODE else {})


@pytest.mark.usefixtures("background")
def test_the_name_of_the_tokeniser_waits(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_PROGRAM", TALKS + "key = read(); select.select([], [], [], 0.3); say(b'R', key)")
    model = default_model._by_value()
    assert "tokenizer_backend" not in repr(model)
    assert model._roads.compiled is None
    assert model.tokenizer_backend == "wordpiece"
    assert model._roads.compiled is not None


def test_a_process_that_reads_nothing_does_not_end_this_one() -> None:
    """A program in a pipe of the shell may have set the signal back to what it was before Python."""
    program = (
        "import signal, time; signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "from model2vec_numba import StaticModel\n"
        "from model2vec_numba.starting import compiling\n"
        "compiling._PROGRAM = 'pass'\n"
        "model = StaticModel.from_pretrained()._by_value()\n"
        "model._roads.plain(None, None).encode_strings(['a cold day'])\n"
        "while compiling.compilation_state(model._spec, model._table) == 'running': time.sleep(0.01)\n"
    )
    environment = {**os.environ, VARIABLE: "background"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("background")
@pytest.mark.parametrize("program", [TALKS + "sys.exit(1)", TALKS + "read()", "raise SystemExit", TALKS + "os.write(1, b'R')"])
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
    monkeypatch.setattr(compiling, "_PROGRAM", TALKS + "read(); os.kill(os.getpid(), 9)")
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


@pytest.mark.parametrize("program", [WAITS, SAYS_READY])
def test_models_with_the_same_needs_are_compiled_once(
    default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, background: list[Any], program: str
) -> None:
    monkeypatch.setattr(compiling, "_PROGRAM", program)
    for _ in range(3):
        default_model._by_value().encode("a")
    assert len(compiling._compilations.states) == len(background) == 1


def test_one_process_compiles_for_all_models(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, background: list[Any]) -> None:
    """Also for those that are loaded later, while it compiles what is needed less often. The requests are larger than a pipe."""
    monkeypatch.setattr(compiling, "_PROGRAM", TALKS + "while True: say(b'R', read())")
    wait_for_states(default_model, dict.fromkeys("abc", "ready"))
    wait_for_states(default_model, dict.fromkeys("def", "ready"))
    assert list(compiling._compilations.states) == list("abcdef")
    assert len(background) == 1


def test_a_request_that_comes_too_late_is_repeated(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, background: list[Any]) -> None:
    """The process ends when it has nothing to do, and does not read what is sent at this moment."""
    monkeypatch.setattr(compiling, "_PROGRAM", TALKS + "say(b'R', read()); select.select([given], [], []); say(b'D')")
    wait_for_states(default_model, dict.fromkeys("abc", "ready"))
    assert len(background) == 3


@pytest.mark.parametrize(("end", "state"), [("os.kill(os.getpid(), 9)", "killed"), ("sys.exit(1)", "failed")])
def test_the_end_of_a_process_concerns_the_model_that_it_compiled_for(
    default_model: StaticModel, monkeypatch: pytest.MonkeyPatch, background: list[Any], end: str, state: str
) -> None:
    """The other models that wait get another process."""
    program = f"while True:\n    key = read()\n    if key == b'b':\n        read(); {end}\n    say(b'R', key)"
    monkeypatch.setattr(compiling, "_PROGRAM", TALKS + program)
    wait_for_states(default_model, {"a": "ready", "b": state, "c": "ready", "d": "ready"})
    assert len(background) == 2


class FakeWork:
    """A process that is asked for the models "a" and "b". It writes down what it would compile.

    Attributes:
        done: the work, in its order.
        requests: what it is asked for.
    """

    def __init__(self) -> None:
        self.done: list[str] = []
        self.requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self.ask("a")
        self.ask("b")

    def ask(self, key: str) -> None:
        self.requests.put({"key": key, "text": key, "dtype": "float32", "weights": False})

    def use_form(self, model: str, precision: str) -> None:
        self.done.append(f"{model} {precision}")
        if self.done[-1] == "a float16":
            self.ask("c")

    def messages(self) -> bytes:
        messages = io.BytesIO()
        child._answer(self.requests, messages)
        return messages.getvalue()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeWork:
    work = FakeWork()
    monkeypatch.setattr(child, "writable_folder", lambda: tmp_path)
    monkeypatch.setattr(child, "is_ready", lambda _: False)
    monkeypatch.setattr(child, "note_ready", lambda *_: None)
    monkeypatch.setattr(kept_code, "collects", False)
    monkeypatch.setattr(kept_code, "files", {})
    monkeypatch.setattr(warmup, "FORMS", ("float16", "int8"))
    monkeypatch.setattr(warmup, "small_model", lambda text, *_, **__: text)
    monkeypatch.setattr(warmup, "use", work.done.append)
    monkeypatch.setattr(warmup, "use_form", work.use_form)
    monkeypatch.setattr(warmup, "use_long_text", lambda model: work.done.append(f"{model} long"))
    return work


def test_all_models_get_ready_before_what_is_needed_less_often(work: FakeWork) -> None:
    """The model "c" is asked for meanwhile."""
    assert work.messages() == b"".join(compiling.HEADER.pack(b"R", 1) + key for key in (b"a", b"b", b"c")) + compiling.HEADER.pack(b"D", 0)
    rarer = ("a int8", "a long", *(f"{model} {use}" for model in "bc" for use in ("float16", "int8", "long")))
    assert work.done == ["a", "b", "a float16", "c", *rarer]


def test_another_process_does_not_wait_for_what_is_needed_less_often(work: FakeWork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")

    def note(model: str, *_: str) -> None:
        with (tmp_path / "compiling.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                work.done.append("free")
            except BlockingIOError:
                work.done.append("locked")

    monkeypatch.setattr(warmup, "use", note)
    monkeypatch.setattr(warmup, "use_form", note)
    monkeypatch.setattr(warmup, "use_long_text", note)
    work.messages()
    assert work.done == ["locked"] * 2 + ["free"] * 6


def test_code_that_cannot_be_kept_is_sent_once(work: FakeWork, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together with that of the forms, before the message that a model is ready."""
    monkeypatch.setattr(warmup, "use", lambda model: kept_code.files.update({"shared": b"1", model: b"2"}))
    monkeypatch.setattr(warmup, "use_forms", lambda model: kept_code.files.update({f"forms {model}": b"3"}))
    sent = work.messages()
    assert [sent.count(code) for code in (b"shared\x001", b"a\x002", b"forms a\x003", b"b\x002", b"forms b\x003")] == [1] * 5
    first, second, last = sent.split(compiling.HEADER.pack(b"R", 1))
    assert b"forms a" in first and b"shared" in first and b"forms b" not in first
    assert second.startswith(b"a") and b"forms b" in second and last == b"b" + compiling.HEADER.pack(b"D", 0)
    assert work.done == []


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
compiler = compiling._compilations.compiler
print(compiler and compiler._process.pid, flush=True)

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
