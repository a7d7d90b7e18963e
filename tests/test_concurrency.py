"""Many threads, many processes, forks and pools: nothing crashes, and all vectors are right.

``nox -s stress`` runs these for longer: see the options ``--seconds`` and ``--rounds``.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stress_workers
from helpers import DTYPES, model_bytes, new_tokenizer, random_matrix, write_model
from tokenizers import Tokenizer

import model2vec_numba
from model2vec_numba import StaticModel

WORKERS = Path(stress_workers.__file__)
PROCESSES = 8
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def command(name: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-W", "ignore", str(WORKERS), name, *map(str, arguments)]


def worker(name: str, *arguments: str | Path, timeout: float = 300, **environment: str) -> Any:
    """Run a program of `stress_workers.py` in a new process, and return its JSON object."""
    environment = {**os.environ, **environment}
    # Some programs wait for a line.
    done = subprocess.run(command(name, *arguments), env=environment, check=False, capture_output=True, input="go\n", text=True, timeout=timeout)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(
    scope="module", params=["omp", pytest.param("workqueue", marks=pytest.mark.exhaustive), pytest.param("tbb", marks=pytest.mark.exhaustive)]
)
def layer(request: pytest.FixtureRequest) -> str:
    """A threading layer of numba that is installed."""
    name: str = request.param
    code = "import numba; numba.config.THREADING_LAYER = '{}'; numba.set_num_threads(1)"
    if subprocess.run([sys.executable, "-c", code.format(name)], check=False, capture_output=True).returncode != 0:
        pytest.skip(f"numba does not find {name} here")
    return name


def test_threads(layer: str, pytestconfig: pytest.Config) -> None:
    seconds = pytestconfig.getoption("seconds")
    result = worker("threads", layer, str(seconds), timeout=120 + 3 * seconds, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    assert result["wrong"] == 0
    assert min(result["calls"]) > 0
    logging.getLogger(__name__).info("%s: %d calls by %d threads", layer, sum(result["calls"]), len(result["calls"]))


@needs_fork
def test_fork(layer: str) -> None:
    result = worker("fork", layer, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    assert result == {"statuses": [0] * 4, "parent": True}


@needs_fork
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("wordpiece-uncased", "fork"),
        pytest.param("wordpiece-uncased", "signal", marks=pytest.mark.exhaustive),
        pytest.param("unigram", "fork", marks=pytest.mark.exhaustive),
        ("unigram", "signal"),
    ],
)
def test_fill_while_forking(kind: str, how: str, tmp_path: Path, tokenizers: dict[str, Tokenizer]) -> None:
    parts = {"embeddings": random_matrix(tokenizers[kind].get_vocab_size(), 8, "float32")}
    folder = write_model(tmp_path / "model", model_bytes(tokenizers[kind], parts, {"normalize": True}))
    assert worker("fill", folder, how, timeout=150) == {"met": True, "status": 0, "right": True}


@needs_fork
def test_fork_while_a_model_is_loaded_for_tasks() -> None:
    assert worker("load_in_child") == {"status": 0}


@needs_fork
def test_pools_of_forked_processes() -> None:
    assert worker("pools", "fork", "1", NUMBA_NUM_THREADS="2") == {"pool, fork": True, "executor, fork": True}


@pytest.mark.stress
def test_pools() -> None:
    methods = multiprocessing.get_all_start_methods()
    result = worker("pools", ",".join([*methods, "loky"]), "2", NUMBA_NUM_THREADS="2")
    assert {"pool, spawn", "executor, spawn"} <= result.keys()
    assert all(result.values()), result


SMALL_KERNELS = """
from model2vec_numba.jit.decorators import compiled

@compiled()
def total(values):
    found = values.dtype.type(0)
    for value in values:
        found += value
    return found
"""


def together(commands: list[list[str]], folder: Path) -> list[Any]:
    """Run programs with one cache at the same moment, when all are ready, and return the JSON object of each."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(each, env=environment, text=True, **pipes) for each in commands]  # type: ignore[call-overload]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        results = []
        for process in processes:
            out, err = process.communicate(timeout=600)
            assert process.returncode == 0, f"exit code {process.returncode}: {err[-4000:]}"
            results.append(json.loads(out))
        return results
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_processes_that_start_together_compile_small_kernels(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Each process compiles for two types, and two processes write each file. All of them add signatures at once."""
    (tmp_path / "small_kernels.py").write_text(SMALL_KERNELS)
    types = ["int8", "int16", "int32", "int64", "float32", "float64", "uint8", "uint16"]
    # Many processes take long. They are for runs of several rounds.
    types = types[: PROCESSES if pytestconfig.getoption("rounds") > 1 else 3]
    for number in range(pytestconfig.getoption("rounds")):
        cache = tmp_path / f"cache-{number}"
        pairs = [f"{first},{second}" for first, second in zip(types, [*types[1:], types[0]], strict=True)]
        results = together([command("start_kernels", tmp_path, pair) for pair in pairs], cache)
        assert results == [{"wrong": 0}] * len(types)
        assert len(list(cache.rglob("*.nbc"))) == len(types)
        assert not list(cache.rglob("*.tmp"))
        shutil.rmtree(cache)


def model_folders(tmp_path: Path) -> dict[str, Path]:
    """Write a model of each storage type, with a tokenizer of whole words."""
    words = sorted({word for part in range(3) for text in stress_workers.texts_of(part) for word in text.split()})
    tokenizer = new_tokenizer(*words)
    size, folders = tokenizer.get_vocab_size(), {}
    for dtype in set(DTYPES) - {"bfloat16"}:
        folders[dtype] = write_model(tmp_path / dtype, model_bytes(tokenizer, {"embeddings": random_matrix(size, 32, dtype)}))
    return folders


@pytest.mark.stress
def test_processes_that_start_together_encode(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Two processes for each of four storage types, with an empty cache."""
    folders = model_folders(tmp_path)
    expected = {dtype: StaticModel.from_pretrained(folder).encode(stress_workers.texts_of(3)) for dtype, folder in folders.items()}
    # A round takes a minute, because it compiles a whole pipeline. The small kernels above have the many rounds.
    for number in range(max(1, pytestconfig.getoption("rounds") // 10)):
        cache = tmp_path / f"cache-{number}"
        runs = [(dtype, tmp_path / f"{dtype}-{i}.npy") for i in range(2) for dtype in sorted(folders)]
        results = together([command("start", folders[dtype], out) for dtype, out in runs], cache)
        assert sum(result["compiled"] for result in results) >= len(folders)
        for dtype, out in runs:
            np.testing.assert_array_equal(np.load(out), expected[dtype])
        shutil.rmtree(cache)


@pytest.mark.stress
def test_a_copy_that_cannot_be_written_to(tmp_path: Path, default_model: StaticModel) -> None:
    """In the package's folder no cache can be made. It is in the user's folder, and the next process finds it there."""
    package = Path(model2vec_numba.__file__).parent
    copy = tmp_path / "site" / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in {path.parent for path in copy.rglob("*.py")}:
        (folder / "__pycache__").touch()  # a file: whoever runs the tests, and be it root, cannot make a folder of it
    home = tmp_path / "home"
    environment = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE")}
    environment |= {"NUMBA_CACHE_DIR": "", "PYTHONPATH": str(copy.parent)}
    out = tmp_path / "out.npy"
    results = []
    for _ in range(2):
        results.append(worker("start", copy / "default_model", out, **environment))
        np.testing.assert_array_equal(np.load(out), default_model.encode(stress_workers.texts_of(3)))
    assert [result["package"] for result in results] == [str(copy)] * 2
    assert results[0]["compiled"] > 0 and results[1]["compiled"] == 0
    assert list(home.rglob("*.nbc"))
    assert not list(copy.rglob("*.nbc"))
