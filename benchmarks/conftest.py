"""The options and fixtures of the benchmarks, and the table at the end of a run."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import model2vec
import numba
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.corpora import Corpus, corpus_from_file, default_corpora
from benchmarks.made_models import KINDS, TYPES, write_models
from benchmarks.pairs import PairResult, PairTimer, markdown_table
from model2vec_numba import StaticModel

_PIECES = 60_000
_RESULTS = pytest.StashKey[list[PairResult]]()
_LINES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("model2vec-numba")
    group.addoption("--text", type=Path, action="append", metavar="FILE", help="UTF-8 text to use, one text a line, instead of the default texts")
    group.addoption("--paragraphs", action="store_true", help="split the files of --text on blank lines, not on every line")
    group.addoption("--model", type=Path, action="append", metavar="FOLDER", help="a model to use instead of one of every kind")
    group.addoption("--limit", type=int, metavar="N", help="use only the first N texts of each corpus")
    group.addoption("--rust", type=Path, metavar="FILE", help="the executable of the Rust peers, instead of building it")
    group.addoption("--rounds", type=int, metavar="N", help="time N rounds of each case, not as many as take five seconds")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RESULTS] = []
    config.stash[_LINES] = []


def pytest_report_header() -> list[str]:
    packages = ", ".join(f"{name} {version(name)}" for name in ("model2vec-numba", "model2vec", "numba", "numpy", "tokenizers"))
    return [f"benchmarks: one thread, {platform.machine()}, {packages}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    if "corpus" in metafunc.fixturenames:
        limited = _corpora(config)
        metafunc.parametrize("corpus", limited, ids=[corpus.name for corpus in limited])
    if "folder" in metafunc.fixturenames:
        folders = config.getoption("--model")
        names = [folder.name for folder in folders] if folders else [*TYPES, *KINDS]
        metafunc.parametrize("folder", folders or names, ids=names, scope="session", indirect=True)


def _corpora(config: pytest.Config) -> list[Corpus]:
    """Return the texts of the files that the command line names, or the default texts."""
    files: list[Path] = config.getoption("--text") or []
    corpora = [corpus_from_file(path, config.getoption("--paragraphs")) for path in files] or list(default_corpora())
    return [corpus.limited(config.getoption("--limit")) for corpus in corpora]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if results := config.stash[_RESULTS]:
        terminalreporter.section("this package and its peers, one thread, in turns")
        for line in markdown_table(results):
            terminalreporter.write_line(line)
    if lines := config.stash[_LINES]:
        terminalreporter.section("processes")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Limit numba's kernels to one thread, like the peers."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(threads)


@pytest.fixture(scope="session")
def corpora(pytestconfig: pytest.Config) -> list[Corpus]:
    """Return all texts of the run."""
    return _corpora(pytestconfig)


@pytest.fixture(scope="session")
def made_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a model of every kind, and return their folders by name."""
    return write_models(tmp_path_factory.mktemp("models"), _PIECES)


@pytest.fixture(scope="session")
def folder(request: pytest.FixtureRequest) -> Path:
    """Return the folder of a model: one that the command line names, or one of every kind."""
    if isinstance(request.param, Path):
        return request.param
    models: dict[str, Path] = request.getfixturevalue("made_models")
    return models[request.param]


@pytest.fixture(scope="session")
def ours(folder: Path) -> StaticModel:
    """Return the model, loaded by this package."""
    return StaticModel.from_pretrained(folder)


@pytest.fixture(scope="session")
def theirs(folder: Path) -> model2vec.StaticModel:
    """Return the same model, loaded by model2vec."""
    return model2vec.StaticModel.from_pretrained(folder)


@pytest.fixture
def report(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Return a function that adds a line to the end of the run."""
    return pytestconfig.stash[_LINES].append


@pytest.fixture
def pair(request: pytest.FixtureRequest, benchmark: BenchmarkFixture) -> PairTimer:
    """Return a timer that compares this package with a peer."""
    case = request.node.name.removeprefix("test_")
    return PairTimer(benchmark, case, request.config.getoption("--rounds"), request.config.stash[_RESULTS].append)
