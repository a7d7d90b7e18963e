#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox[uv]>=2025.10.14"]
# ///
"""The project's checks and reports. ``nox`` runs the checks for every change, ``nox -l`` lists all sessions, ``nox -s NAME`` runs one."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
# The tests run on each of `PYTHONS` that is installed. A missing one is not downloaded, and it is not an error.
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

# By default uv trusts only its own certificates. Like pip it must trust the machine's, which may have a proxy.
os.environ.setdefault("UV_SYSTEM_CERTS", "1")

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]

# pyenv puts only the selected versions on the path. All installed versions are wanted.
_PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
os.environ["PATH"] = os.pathsep.join([*map(str, sorted(_PYENV.glob("versions/3.*/bin"))), os.environ["PATH"]])

# The version of model2vec whose tests `drop_in` runs, and those of its tests that must fail: see `docs/migration.md`.
_MODEL2VEC = "0.10.0"
_DELIBERATE = (
    "tests.test_model.test_encode_single_sentence_empty_float16",
    "tests.test_persistence.test_local_loading",
    "tests.test_persistence.test_hub_subfolder_loading",
)
# At least this many of its 712 tests must pass. `docs/migration.md` says how many did.
_MODEL2VEC_PASSES = 705
# The version of SemHash whose tests `drop_in` runs. The source distributions of the other packages have no tests that use model2vec.
_SEMHASH = "0.5.0"
# Packages that use model2vec.
_USERS = (
    "bertopic",
    "chonkie[model2vec,semantic]",
    "keybert",
    "langchain-community",
    "semble",
    "skeletoken",
    "tokenlearn",
    "txtai",
    "vicinity",
)

# Two processes that run the tests. More gain little, because some tests start processes and threads of their own.
WORKERS = ("-n", "2")


def install(session: nox.Session, group: str, *options: str, extras: str = "cli") -> None:
    """Install the package with extras, and a dependency group."""
    session.install(f"-e.[{extras}]", *nox.project.dependency_groups(PROJECT, group), *options)


def kernel_cache(session: nox.Session) -> dict[str, str]:
    """Return an environment with a cache of compiled code that all sessions share, or the one that is set.

    Code of another Python, numba or source is kept under other names or replaced, so sharing is safe. It saves a minute a session.
    """
    return {"NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR") or str(Path(session.cache_dir).resolve() / "numba-cache")}


def empty_cache(session: nox.Session) -> dict[str, str]:
    """Return an environment with an empty cache of compiled code."""
    folder = Path(session.create_tmp()).resolve() / "numba-cache"
    shutil.rmtree(folder, ignore_errors=True)
    return {"NUMBA_CACHE_DIR": str(folder)}


def read_outcomes(report: Path) -> dict[str, str]:
    """Return the outcome of each test in a report of pytest: ``"passed"``, ``"failure"``, ``"error"`` or ``"skipped"``.

    A test is named after its module, its function and its parameters.
    """
    outcomes = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        found = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        outcomes[f"{case.get('classname')}.{case.get('name')}"] = found[0] if found else "passed"
    return outcomes


def own_tests(session: nox.Session, package: str, version: str, *options: str) -> dict[str, str]:
    """Run the tests in a package's source distribution with `StaticModel` of this package in place of model2vec's. Return their outcomes."""
    folder = Path(session.create_tmp()).resolve() / package
    shutil.rmtree(folder, ignore_errors=True)
    download = ("download", "--quiet", "--no-binary", package, "--no-deps", "--dest", str(folder))
    session.run("python", "-m", "pip", *download, f"{package}=={version}")
    shutil.unpack_archive(folder / f"{package}-{version}.tar.gz", folder)
    source = folder / f"{package}-{version}"
    # The installed package is tested, not the source beside the tests.
    shutil.rmtree(source / package)
    (source / "drop_in.py").write_text("from model2vec_numba.integrations.model2vec import install\n\ninstall()\n")
    report = folder / "report.xml"
    with session.chdir(source):
        environment = {**kernel_cache(session), "PYTHONPATH": str(source)}
        # Without the file, pytest would take its configuration from this project, where a warning is an error.
        arguments = ("-c", "pyproject.toml", "-p", "drop_in", "tests", f"--junitxml={report}", *options)
        session.run("pytest", *arguments, env=environment, success_codes=[0, 1])
    return read_outcomes(report)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on one Python, without the exhaustive ones. Arguments after ``--`` go to pytest."""
    install(session, "test")
    session.run("pytest", *(session.posargs or WORKERS), env=kernel_cache(session))


@nox.session
def exhaustive(session: nox.Session) -> None:
    """Run the tests that take long and have the same result on every Python."""
    install(session, "test", extras="cli,quantization")
    session.run("pytest", *WORKERS, "-m", "exhaustive", *session.posargs, env=kernel_cache(session))


@nox.session
def boundscheck(session: nox.Session) -> None:
    """Run the tests of kernels with checks of all array bounds in compiled code. All kernels are compiled again for this."""
    install(session, "test")
    files = ("tests/text", "tests/pooling", "tests/tokenization", "tests/test_encode.py", "tests/test_long_texts.py")
    arguments = session.posargs or (*WORKERS, "--compile-all", *(file for file in files if Path(file).exists()))
    session.run("pytest", *arguments, env={**kernel_cache(session), "NUMBA_BOUNDSCHECK": "1"})


@nox.session(python=PYTHONS[0])
def minimums(session: nox.Session) -> None:
    """Run the tests with the oldest supported Python and the oldest supported version of each dependency."""
    if session.venv_backend != "uv":
        session.skip("only uv can choose the oldest versions")
    install(session, "test", "--resolution=lowest-direct")
    session.run("pytest", *(session.posargs or WORKERS), env=kernel_cache(session))
    # Columns of texts need no tables. Many projects keep an old pyarrow.
    session.install("pyarrow==18.*")
    session.run("pytest", "tests/text/test_columns.py", env=kernel_cache(session))


@nox.session(default=False)
def prereleases(session: nox.Session) -> None:
    """Run the tests with the newest versions of all dependencies, including pre-releases.

    If the newest tokenizers is a version that this package does not support, check instead that the package says so.
    """
    option = "--prerelease=allow" if session.venv_backend == "uv" else "--pre"
    install(session, "test", "--upgrade", option)
    session.run("pytest", *(session.posargs or WORKERS), env=kernel_cache(session))
    session.install("--upgrade", option, "--no-deps", "tokenizers")
    code = """
import importlib.metadata
try:
    import model2vec_numba.model
except ImportError as error:
    print(error)
    assert f"found {importlib.metadata.version('tokenizers')}" in str(error).replace("-rc.", "rc")
else:
    print("tokenizers", importlib.metadata.version("tokenizers"), "is supported")
"""
    session.run("python", "-c", code, env=kernel_cache(session))


@nox.session
def integrations(session: nox.Session) -> None:
    """Run the tests of columns, tables and quantisation with pandas, Polars, DuckDB and scikit-learn installed."""
    install(session, "test", extras="arrow,cli,duckdb,pandas,polars,quantization,scikit-learn")
    files = ("tests/text/test_columns.py", "tests/tables", "tests/integrations", "tests/quantization", "tests/test_pages.py", "tests/conformance")
    session.run("pytest", *(session.posargs or files), env=kernel_cache(session))


@nox.session(default=False)
def recipes(session: nox.Session) -> None:
    """Run the programs in the documentation with the real libraries, on as many texts as they say."""
    install(session, "recipes", extras="arrow,cli,duckdb,pandas,polars,quantization,scikit-learn")
    environment = {**kernel_cache(session), "RECIPE_TEXTS": "100_000", "HF_HUB_OFFLINE": "1"}
    files = ("tests/test_readme.py", "tests/test_pages.py", "tests/test_recipes.py")
    session.run("pytest", "-m", "", *(session.posargs or files), env=environment)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the site into ``site``, without warnings, and check that no link leads nowhere. ``recipes`` runs the programs in it."""
    session.install(*nox.project.dependency_groups(PROJECT, "docs"))
    # The theme prints a warning about a version of another program that is not used.
    session.run("properdocs", "build", "--strict", *session.posargs, env={"NO_MKDOCS_2_WARNING": "true"})
    session.run("python", "scripts/check_site.py", "site")


@nox.session(default=False)
def peers(session: nox.Session) -> None:
    """Exchange models with sentence-transformers, which installs PyTorch."""
    install(session, "test", extras="cli,quantization")
    session.install("sentence-transformers>=6.2")
    files = ("tests/integrations/test_sentence_transformers.py",)
    session.run("pytest", *(session.posargs or files), env=kernel_cache(session))


@nox.session(python="3.11", default=False)
def drop_in(session: nox.Session) -> None:
    """Run the tests of model2vec and SemHash with the class of this package in place of model2vec's, and tests of other packages that use it.

    Arguments after ``--`` go to the first pytest. It fails if a test fails that `docs/migration.md` does not list.
    """
    install(session, "test", extras="cli,quantization")
    session.install("pip", f"model2vec[distill,onnx,quantization,train]=={_MODEL2VEC}", "skops")
    # The tests of the folder `integration` download models.
    outcomes = own_tests(session, "model2vec", _MODEL2VEC, "--ignore=tests/integration", *session.posargs)
    unexpected = [name for name, outcome in outcomes.items() if outcome in ("failure", "error") and name.partition("[")[0] not in _DELIBERATE]
    passed = sum(outcome == "passed" for outcome in outcomes.values())
    if unexpected or (not session.posargs and passed < _MODEL2VEC_PASSES):
        session.error(f"{passed} of model2vec's tests pass, expected {_MODEL2VEC_PASSES} or more. These must not fail: {unexpected}")
    session.install(*_USERS, f"semhash=={_SEMHASH}")
    outcomes = own_tests(session, "semhash", _SEMHASH)
    if set(outcomes.values()) != {"passed"}:
        session.error(f"all tests of semhash must pass, found {outcomes}")
    report = Path(session.create_tmp()).resolve() / "report.xml"
    session.run("pytest", "tests/test_drop_in.py", "tests/integrations/test_drop_in_packages.py", f"--junitxml={report}", env=kernel_cache(session))
    skipped = [name for name, outcome in read_outcomes(report).items() if outcome == "skipped"]
    if skipped:
        session.error(f"these tests must not be skipped: {skipped}")


@nox.session(default=False)
def engines(session: nox.Session) -> None:
    """Run the tests and examples of Dask, Ray Data and Spark on clusters of several processes. Spark needs Java."""
    install(session, "test", extras="cli,dask,ray,spark")
    # Ray's workers refuse to start in a folder of the virtual environment, which nox's temporary folder is in. Their driver would wait for ever.
    environment = {**kernel_cache(session), "RAY_TMPDIR": tempfile.gettempdir()}
    session.run("pytest", *(session.posargs or ("tests/integrations/test_engines.py",)), env=environment)


@nox.session(default=False)
def conformance(session: nox.Session) -> None:
    """Run other readers of models, and engines that read vector columns, and write the pages about them. Rust crates need Cargo, and Spark Java.

    Each reader is installed in an environment of its own, with PyTorch for some. ``-- --check`` writes nothing and fails if a result has changed.
    """
    install(session, "test")
    session.install("uv")
    environments = Path(session.cache_dir).resolve() / "conformance"
    session.run("python", "tests/conformance/compatibility.py", "--environments", str(environments), *session.posargs, env=kernel_cache(session))


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style, common mistakes and the layout of the project."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("sp-repo-review", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with mypy in strict mode."""
    install(session, "types")
    session.run("mypy")


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Compare the compiled tokenisers with the library on a million random texts or more, and load files that are broken at random.

    The first argument after ``--`` may be the name of a program, such as ``fuzz_tokenizers.py``. The other arguments go to the programs:
    ``nox -s fuzz -- fuzz_tokenizers.py families --strings 1000000 --seed 7 --family Unigram --file tokenizer.json``.
    """
    install(session, "test")
    programs = sorted(path.name for path in Path("tests").rglob("fuzz_*.py"))
    arguments = list(session.posargs)
    if arguments and arguments[0] in programs:
        programs = [arguments.pop(0)]
    else:
        options = (*WORKERS, "--hypothesis-profile=fuzz", "-k", "fuzz")
        session.run("pytest", *options, "tests/test_errors.py", env=kernel_cache(session))
    for path in sorted(path for path in Path("tests").rglob("fuzz_*.py") if path.name in programs):
        session.run("python", str(path), *arguments, env=kernel_cache(session))


@nox.session(default=False)
def attack(session: nox.Session) -> None:
    """Load mutants of model files, kill jobs, start two on one output, fill disks, change files while they are read, and end processes that compile.

    The first argument after ``--`` may be the name of a program, such as ``attack_jobs.py``. The other arguments go to it:
    ``nox -s attack -- attack_jobs.py kills pairs --count 200 --seed 7``.
    """
    install(session, "test")
    programs = sorted(path.name for path in Path("tests/attack").glob("attack_*.py"))
    arguments = list(session.posargs)
    if arguments and arguments[0] in programs:
        programs = [arguments.pop(0)]
    environment = {**kernel_cache(session), "PYTHONPATH": str(Path("tests").resolve())}
    for name in programs:
        session.run("python", f"tests/attack/{name}", *arguments, env=environment)


@nox.session(default=False)
def stress(session: nox.Session) -> None:
    """Run many threads and processes for half an hour or more.

    ``--seconds N`` says how long each threading layer is used, ``--rounds N`` how often processes start together with an empty cache. Processes that
    encode, which takes longer, start together a tenth of that.
    """
    install(session, "test")
    session.install("joblib", "tbb")
    # On a busy machine, one test may take much longer than the limit of the suite.
    options = ["-m", "", "--seconds=60", "--rounds=50", "--override-ini=faulthandler_timeout=7200", *session.posargs]
    # numba finds the TBB that pip has installed only on this path.
    environment = {**empty_cache(session), "LD_LIBRARY_PATH": str(Path(session.virtualenv.location) / "lib")}
    session.run("pytest", "tests/test_concurrency.py", "tests/test_warmup.py", "tests/starting/test_compiling.py", *options, env=environment)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Run the benchmarks. Arguments after ``--`` go to pytest. They may name files of benchmarks."""
    install(session, "bench")
    named = any(argument.startswith("benchmarks") for argument in session.posargs)
    session.run("pytest", *([] if named else ["benchmarks"]), *session.posargs, env=kernel_cache(session))


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """Write the report with all peers: pages and figures in ``docs``, and README's table. It takes an hour. Rust peers need Cargo."""
    install(session, "report", extras="cli,quantization")
    # This package does not support version 1 of tokenizers, so that one has an environment of its own.
    folder = Path(session.create_tmp()).resolve() / "tokenizers-1"
    session.run("python", "-m", "venv", "--clear", str(folder))
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    session.run(str(python), "-m", "pip", "install", "--quiet", "--pre", "tokenizers>=1.0.0rc0", external=True)
    arguments = ["--tokenizers-1", str(python), *(session.posargs or ("--readme",))]
    session.run("python", "-m", "benchmarks.report", *arguments, env=kernel_cache(session))


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the wheel and the source archive into ``dist``, check what they say of themselves, and use both in empty environments."""
    session.install("build", "twine>=6.1")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    (wheel,) = Path("dist").resolve().glob("*.whl")
    (source,) = Path("dist").resolve().glob("*.tar.gz")
    session.run("twine", "check", "--strict", str(wheel), str(source))
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in sorted(Path("model2vec_numba").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.as_posix() not in names:
            session.error(f"{path} is not in {wheel.name}")
    for archive in (wheel, source):
        folder = Path(session.create_tmp()).resolve() / archive.suffix
        session.run("python", "-m", "venv", "--clear", str(folder))
        python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        session.run(str(python), "-m", "pip", "install", "--quiet", f"{archive}[cli]", external=True)
        # In another folder, so that Python imports the installed package and not the checkout.
        with session.chdir(folder):
            command = (str(python), "-m", "model2vec_numba", "encode-single", "It is cold today.")
            session.run(*command, env={"MODEL2VEC_NUMBA_COMPILE": "never"}, silent=True, external=True)


if __name__ == "__main__":
    nox.main()
