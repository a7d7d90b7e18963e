"""Fixtures that the tests share, and the compilation of all kernels before a run with several workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import KINDS, ModelBytes, Result, corpus, model_bytes, new_tokenizer, random_parts, sample_texts, train_tokenizer, write_model
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer

from model2vec_numba import StaticModel
from model2vec_numba.cli import main

# The first call of a kernel compiles it, which takes seconds. Every run uses the same examples, so that a failure can be seen again.
_SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("default", derandomize=True, max_examples=60, **_SLOW)  # type: ignore[arg-type]
# `nox -s fuzz` uses other examples each time.
settings.register_profile("fuzz", max_examples=20_000, **_SLOW)  # type: ignore[arg-type]
settings.load_profile("default")

# The tests are about compiled code, unless they choose another road. Processes that they start inherit this.
os.environ.setdefault("MODEL2VEC_NUMBA_COMPILE", "wait")

# The background jobs of a shell ignore Ctrl-C. The processes that the tests start, and send Ctrl-C to, would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("model2vec-numba")
    group.addoption("--compile-all", action="store_true", help="compile all kernels first, also in a run of named tests")
    group.addoption("--seconds", type=float, default=0.5, metavar="N", help="in the tests of concurrency: the seconds that threads encode")
    group.addoption("--rounds", type=int, default=1, metavar="N", help="in the tests of concurrency: the number of times that processes start")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile all kernels before a run of all tests with several workers, so that no two workers compile the same kernel.

    A run without pytest-xdist, or of named tests, compiles only what its tests need.
    """
    config = session.config
    has_workers = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    names_tests = config.args_source == pytest.Config.ArgsSource.ARGS and not config.option.compile_all
    if has_workers and not names_tests and not config.option.collectonly:
        compile_kernels()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker consecutive tests, which share fixtures. A worker that has finished takes tests from another one."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


def compile_kernels() -> None:
    """Fill the cache of compiled code with two processes, which share the kernels."""
    script = Path(__file__).with_name("compile_kernels.py")
    processes = [subprocess.Popen([sys.executable, script, part], stderr=subprocess.PIPE, text=True) for part in ("pooling", "tokenization")]
    for process in processes:
        _, err = process.communicate()
        if process.returncode:
            raise pytest.UsageError(f"{script.name} ended with exit code {process.returncode}: {err}")


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Tokenizer]:
    """A trained tokenizer of each of `KINDS`. Tests must not change them."""
    lines = corpus()
    return {kind: train_tokenizer(kind, lines) for kind in KINDS}


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Edge cases and texts of all lengths."""
    return sample_texts(120)


@pytest.fixture(scope="session")
def default_model() -> StaticModel:
    """The bundled model. Tests must not change it."""
    return StaticModel.from_pretrained()


@pytest.fixture(scope="session")
def tiny() -> ModelBytes:
    """The files of a model of five tokens and three float32 dimensions."""
    tokenizer = new_tokenizer("the", "cat", "sat", "here")
    return model_bytes(tokenizer, {"embeddings": np.arange(15, dtype=np.float32).reshape(5, 3) - 7}, {"normalize": False})


@pytest.fixture
def tiny_folder(tmp_path: Path, tiny: ModelBytes) -> Path:
    """A folder with the tiny model."""
    return write_model(tmp_path / "tiny", tiny)


@pytest.fixture(scope="session")
def make_model(tokenizers: dict[str, Tokenizer]) -> Callable[..., StaticModel]:
    """A function that makes a model with random tensors: `make_model(kind, dim, dtype, weights=False, mapping=False, **settings)`."""

    def make(
        kind: str = "wordpiece-uncased",
        dim: int = 16,
        dtype: str = "float32",
        *,
        weights: bool = False,
        mapping: bool = False,
        normalize: bool = True,
        max_length: int | None = 512,
    ) -> StaticModel:
        tokenizer = tokenizers[kind]
        parts = random_parts(tokenizer.get_vocab_size(), dim, dtype, weights=weights, mapping=mapping)
        tensors = {"weights": parts.get("weights"), "token_mapping": parts.get("mapping")}
        return StaticModel(parts["embeddings"], tokenizer, normalize=normalize, max_length=max_length, **tensors)

    return make


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of models, recorded vectors and texts next to the checkout. Tests that need it are skipped if there is none."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "models").is_dir():
        pytest.skip("no ../shared here")
    return folder


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Run `main` here, in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: str | Path) -> Result:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with pytest.raises(SystemExit) as end:
                main([str(argument) for argument in arguments])
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        assert isinstance(end.value.code, int)
        return Result(end.value.code, *capfd.readouterr())

    return run
