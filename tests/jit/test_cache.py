"""The cache of compiled code is used, and damaged files, missing folders and changed sources do no harm."""

from __future__ import annotations

import errno
import importlib.util
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import njit
from numba.core import config
from numba.core.codegen import JITCPUCodegen

from model2vec_numba.jit import announcement, cache
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.memory import kept_code

SOURCE = """
from model2vec_numba.jit.decorators import compiled

@compiled()
def add(a, b):
    return a + b

@compiled()
def subtract(a, b):
    return a - b
"""

_numbers = itertools.count()


class Kernels:
    """The kernels of a source file, imported anew as in a new process."""

    def __init__(self, path: Path) -> None:
        spec = importlib.util.spec_from_file_location(f"kernels_{next(_numbers)}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.add: Callable[[Any, Any], Any] = module.add
        self.subtract: Callable[[Any, Any], Any] = module.subtract


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file with the kernels."""
    path = tmp_path / "sources" / "kernels.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as NUMBA_CACHE_DIR."""
    path = tmp_path / "cache"
    # Otherwise the first kernel that is compiled does it, and undoes the next line, if another test has changed a variable of numba.
    config.reload_config()
    monkeypatch.setattr(config, "CACHE_DIR", str(path))
    monkeypatch.setattr(cache, "counts", cache.Counts())
    cache.is_writable.cache_clear()
    return path


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def only_file(folder: Path) -> Path:
    (path,) = files(folder)
    return path


def done() -> tuple[int, int, int]:
    """Return how many kernels were loaded, compiled and saved."""
    return len(cache.counts.loaded), cache.counts.compiled, len(cache.counts.saved)


def test_it_is_used(source: Path, folder: Path) -> None:
    assert Kernels(source).add(1, 2) == 3
    assert done() == (0, 1, 1)
    assert cache.counts.saved == files(folder)
    again = Kernels(source)
    assert again.add(1, 2) == 3
    assert again.add(3, 2) == 5
    assert done() == (1, 1, 1)
    assert cache.counts.loaded == cache.counts.saved


def test_a_file_for_each_function_and_signature(source: Path, folder: Path) -> None:
    for _ in range(2):
        kernels = Kernels(source)
        assert kernels.subtract(5, 2) == 3
        assert kernels.subtract(5.5, 2) == 3.5
        assert kernels.add(5, 2) == 7
        read_only = np.arange(3)
        read_only.flags.writeable = False
        np.testing.assert_array_equal(kernels.add(np.arange(3), read_only), [0, 2, 4])
        np.testing.assert_array_equal(kernels.add(read_only, np.arange(3)), [0, 2, 4])
    assert done() == (5, 5, 5)
    assert len(files(folder)) == 5


def test_damage_is_seen(tmp_path: Path) -> None:
    """A change of any byte, and an end at any place."""
    path, identity = tmp_path / "file", bytes(32)
    cache._write(path, identity, ["some", "value"])
    whole = path.read_bytes()
    assert cache._read(path, identity) == ["some", "value"]
    damaged = [whole[:size] for size in range(len(whole))]
    damaged += [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in range(len(whole))]
    damaged += [whole + b"\0", np.random.default_rng(1).bytes(5000)]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged or stale"):
            cache._read(path, identity)
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="damaged or stale"):
        cache._read(path, bytes(31) + b"1")


@pytest.mark.parametrize("damage", ["truncated", "garbage"])
def test_a_damaged_file_is_replaced(damage: str, source: Path, folder: Path) -> None:
    Kernels(source).add(1, 2)
    path = only_file(folder)
    path.write_bytes(path.read_bytes()[:5000] if damage == "truncated" else np.random.default_rng(1).bytes(50_000))
    check_replaced(source, folder)


def test_another_function_s_code_is_not_taken(source: Path, folder: Path) -> None:
    Kernels(source).add(1, 2)
    path = only_file(folder)
    Kernels(source).subtract(1, 2)
    (other,) = set(files(folder)) - {path}
    path.write_bytes(other.read_bytes())
    assert Kernels(source).add(1, 2) == 3
    assert done() == (0, 3, 3)


def test_what_cannot_be_rebuilt_is_replaced(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum of a file is right, but this version of numba cannot read it."""
    with monkeypatch.context() as patched:
        patched.setattr(cache, "dumps", lambda _: b"not a pickle")
        Kernels(source).add(1, 2)
    check_replaced(source, folder)


def check_replaced(source: Path, folder: Path) -> None:
    """Check that the file is ignored, and that the file which replaces it is good."""
    assert Kernels(source).add(1, 2) == 3
    assert done() == (0, 2, 2)
    only_file(folder)
    assert Kernels(source).add(1, 2) == 3
    assert done() == (1, 2, 2)


@pytest.mark.parametrize(("method", "number"), [("write_bytes", errno.ENOSPC), ("replace", errno.EACCES), ("mkdir", errno.EROFS)])
def test_a_failure_to_save_goes_unnoticed(method: str, number: int, source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Kernels(source).subtract(1, 2)

    def fail(self: Path, *arguments: Any, **_: Any) -> None:
        if method == "write_bytes":  # as much as the disk has room for
            with self.open("wb") as file:
                file.write(arguments[0][:100])
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(Path, method, fail)
        assert Kernels(source).add(1, 2) == 3
    assert done() == (0, 2, 1)
    only_file(folder)
    assert Kernels(source).add(1, 2) == 3
    assert done() == (0, 3, 2)


def test_an_interrupted_save_leaves_nothing(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Kernels(source).add(1, 2)
    assert files(folder) == []


def test_it_is_stale_when_another_file_of_the_package_changed(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Kernels(source).add(1, 2)
    monkeypatch.setattr(cache, "_SOURCES", "others")
    check_replaced(source, folder)


def test_every_file_with_kernels_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    (package / "part").mkdir(parents=True)
    (package / "jit").mkdir()

    def digest() -> str:
        monkeypatch.setattr(cache, "_PACKAGE", package)
        return cache._sources_digest()

    digests = set()
    kernel = "@compiled()\ndef kernel(): return {}\n"
    for path, text in [
        ("a.py", kernel.format(1)),
        ("a.py", kernel.format(2)),
        ("part/b.py", kernel.format(2)),
        ("part/b.py", "class Kernels:\n    " + kernel.format(2)),
        ("part/c.py", kernel.format(2).replace("compiled()", "inner")),
        ("jit/decorators.py", ""),
    ]:
        (package / path).write_text(text)
        digests.add(digest())
    assert len(digests) == 6
    # A file without kernels does not count, nor do the times of files and the folder that the package is in.
    (package / "model.json").write_text("{}")
    (package / "part/d.py").write_text("# @compiled() is only named here")
    os.utime(package / "a.py", (1, 1))
    package = package.rename(tmp_path / "moved")
    assert digest() in digests


def test_it_is_stale_when_the_function_changed(source: Path, folder: Path) -> None:
    Kernels(source).add(1, 2)
    source.write_text(SOURCE.replace("a + b", "a + b + 1"))
    assert Kernels(source).add(1, 2) == 4
    only_file(folder)


@pytest.mark.parametrize("setting", ["BOUNDSCHECK", "DEBUGINFO_DEFAULT"])
def test_code_for_debugging_is_compiled_apart(setting: str, source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, setting, 0)
    Kernels(source).add(1, 2)
    monkeypatch.setattr(config, setting, 1)
    Kernels(source).add(1, 2)
    assert done() == (0, 2, 2)
    assert len(files(folder)) == 2
    Kernels(source).add(1, 2)
    monkeypatch.setattr(config, setting, 0)
    Kernels(source).add(1, 2)
    assert done() == (2, 2, 2)


def test_the_compiler_is_made_ready_only_for_code_that_needs_it(source: Path, folder: Path) -> None:
    Kernels(source).add(np.arange(3), 1.5)
    symbols = cache._read(only_file(folder), _identity(source, (np.arange(3), 1.5)))[0]
    assert {"NRT_adapt_ndarray_from_python", "Py_DecRef"} <= set(symbols)
    refreshed = []

    class Context:
        refresh = staticmethod(lambda: refreshed.append(True))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cache, "rtsys", type("", (), {"initialize": staticmethod(lambda _: None)}))
        cache._provide(symbols, Context())
        assert not refreshed
        cache._provide([*symbols, "no_such_symbol"], Context())
        assert refreshed


def _identity(source: Path, arguments: tuple[Any, ...]) -> bytes:
    kernel: Any = Kernels(source).add
    identity: bytes = kernel._cache._name_and_identity(tuple(map(numba.typeof, arguments)), kernel.targetctx.codegen())[1]
    return identity


def test_places(source: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NUMBA_CACHE_DIR, or next to the source, or the user's folder, or none. A file in place of a folder makes it unusable."""
    home, beside = tmp_path / "home", source.parent / "__pycache__"
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    Kernels(source).add(1, 2)
    assert cache.counts.saved[-1].is_relative_to(folder)
    monkeypatch.setattr(config, "CACHE_DIR", "")
    Kernels(source).add(1, 2)
    assert cache.counts.saved[-1].parent == beside
    for path in files(beside):
        path.unlink()
    beside.rmdir()
    beside.touch()
    cache.is_writable.cache_clear()
    for _ in range(2):
        Kernels(source).add(1, 2)
    assert done() == (1, 3, 3)
    assert cache.counts.saved[-1].is_relative_to(home)
    cache.is_writable.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(beside))
    monkeypatch.setattr(cache, "is_writable", lambda _: False)
    kernels = Kernels(source)
    if sys.platform == "linux":
        assert kernels.add(1, 2) == 3
        assert done() == (1, 4, 3)


def test_what_was_compiled_beside_a_source_serves_those_who_may_not_write_there(
    source: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "CACHE_DIR", "")
    Kernels(source).add(1, 2)
    monkeypatch.setattr(cache, "is_writable", lambda path: tmp_path / "sources" not in path.parents)
    assert Kernels(source).add(1, 2) == 3
    assert done() == (1, 1, 1)


def test_a_function_without_a_file() -> None:
    """As in a frozen program. Then numba's own cache is used, or none."""
    space: dict[str, Any] = {}
    exec("def triple(a):\n    return 3 * a", space)
    assert compiled()(space["triple"])(2) == 6


def test_the_lock_is_free_after_a_fork(source: Path, folder: Path) -> None:
    """A child that is forked while another thread compiles can compile."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    code = f"""
        import os, sys, threading, time
        sys.path.insert(0, {str(source.parent)!r})
        import kernels
        from numba.core.compiler_lock import global_compiler_lock

        held = threading.Event()
        def compile_long():
            with global_compiler_lock:
                held.set()
                time.sleep(1)
                kernels.add(1, 2)

        threading.Thread(target=compile_long).start()
        held.wait()
        child = os.fork()
        if child == 0:
            import signal
            signal.alarm(60)
            os._exit(0 if kernels.subtract(5, 2) == 3 else 1)
        status = os.waitpid(child, 0)[1]
        print(status, kernels.add(1, 2))
    """
    assert run(code, folder).stdout == "0 3\n"


def run(code: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    lines = code.split("\n")
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    code = "\n".join(line[indent:] for line in lines)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        **{"stderr": subprocess.PIPE, **options},
    )


def test_a_long_wait_is_announced_once(source: Path, folder: Path) -> None:
    """Nothing is said about less than two seconds. The time is changed here, because how long the compiler takes is not known."""
    code = f"""
        import sys
        from model2vec_numba.jit import announcement
        announcement._SHORT_SECONDS = 0.0
        sys.path.insert(0, {str(source.parent)!r})
        import kernels
        print(kernels.add(1, 2), kernels.add(1.5, 2), kernels.subtract(1, 2))
    """
    first = run(code, folder)
    assert first.stdout == "3 3.5 -1\n"
    assert re.fullmatch(r"model2vec-numba: compiling for this processor, which takes 10 to 60 seconds; later runs use the result\n", first.stderr)
    second = run(code, folder)
    assert (second.stdout, second.stderr) == (first.stdout, "")
    for path in folder.rglob("*.nbc"):
        path.unlink()
    assert re.search("which took [0-9]+ seconds last time", run(code, folder).stderr)
    for path in folder.rglob("*.nbc"):
        path.unlink()
    assert run(code.replace("announcement._SHORT_SECONDS = 0.0", "announcement._SHORT_SECONDS = 1e6"), folder).stderr == ""


@pytest.mark.parametrize(
    "stderr", ["None", pytest.param("closed", marks=pytest.mark.exhaustive), pytest.param("broken", marks=pytest.mark.exhaustive)]
)
def test_it_does_without_standard_error(stderr: str, source: Path, folder: Path) -> None:
    code = f"""
        import io, os, sys
        stderr = {stderr!r}
        if stderr == "None":
            sys.stderr = None
        elif stderr == "closed":
            sys.stderr.close()
        else:
            reader, writer = os.pipe()
            os.close(reader)
            sys.stderr = os.fdopen(writer, "w")
        from model2vec_numba.jit import announcement
        announcement._SHORT_SECONDS = 0.0
        sys.path.insert(0, {str(source.parent)!r})
        import kernels
        print(kernels.add(1, 2), flush=True)
        os._exit(0)
    """
    assert run(code, folder).stdout == "3\n"


def test_where_nothing_can_be_written_it_says_so(
    source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cache, "is_writable", lambda _: False)
    monkeypatch.setattr(announcement, "_SHORT_SECONDS", 0.0)
    monkeypatch.setattr(cache, "announcement", announcement.Announcement())
    assert Kernels(source).add(1, 2) == 3
    assert "NUMBA_CACHE_DIR" in capsys.readouterr().err
    assert done() == (0, 1, 0)
    assert files(folder) == []


def test_code_is_kept_in_memory_where_nothing_can_be_written(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "is_writable", lambda _: False)
    monkeypatch.setattr(kept_code, "files", {})
    monkeypatch.setattr(kept_code, "collects", True)
    assert Kernels(source).add(1, 2) == 3
    assert len(kept_code.files) == 1
    assert Kernels(source).add(1, 2) == 3
    assert done() == (0, 1, 0)
    ((path, content),) = kept_code.files.items()
    kept_code.files[path] = content[:-1]
    assert Kernels(source).add(1, 2) == 3
    assert done() == (0, 2, 0)
    assert files(folder) == []


def test_inner_functions_become_machine_code_in_their_callers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """For two callers of a function that calls another, LLVM gets two modules."""

    @inner
    def next_to(word: int) -> int:
        return word + 1

    @inner
    def far(word: int) -> int:
        return next_to(word) * next_to(word + 7)

    given = []
    add_module = JITCPUCodegen._add_module
    monkeypatch.setattr(JITCPUCodegen, "_add_module", lambda self, module: (given.append(module.name), add_module(self, module))[1])

    @njit  # type: ignore[untyped-decorator]
    def one(word: int) -> int:
        return far(word) + next_to(word)

    @njit  # type: ignore[untyped-decorator]
    def other(word: int) -> int:
        return far(word) - next_to(word)

    assert (one(2), other(2)) == (33, 27)
    assert [name.rpartition(".")[2] for name in given if name != "nrt"] == ["one", "other"]


def test_inner_functions_are_for_compiled_code() -> None:
    """A call from Python raises an error and does not end the process. Compiled code can call it."""

    @njit  # type: ignore[untyped-decorator]
    def twice(word: int) -> int:
        return doubled(word)

    assert twice(21) == 42
    with pytest.raises(TypeError, match="doubled is for compiled code only"):
        doubled(21)


@inner
def doubled(word: int) -> int:
    return 2 * word
