#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox[uv]>=2025.10.14"]
# ///
"""The project's chores. ``nox`` runs those that every change must pass, ``nox -l`` lists all, ``nox -s NAME`` runs one."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
# The tests run on every Python that is here; one that is not is neither downloaded nor an error.
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

# uv would trust its own certificates alone; like pip it shall trust the machine's, for the sake of proxies.
os.environ.setdefault("UV_SYSTEM_CERTS", "1")

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]

# pyenv puts only the selected versions' programs in reach; all that it has installed are wanted.
_PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
os.environ["PATH"] = os.pathsep.join([*map(str, sorted(_PYENV.glob("versions/3.*/bin"))), os.environ["PATH"]])


def install(session: nox.Session, group: str, *options: str, extras: str = "cli") -> None:
    """Install the package, with extras, and a dependency group."""
    session.install(f"-e.[{extras}]", *nox.project.dependency_groups(PROJECT, group), *options)


def numba_cache(session: nox.Session) -> dict[str, str]:
    """An environment with an empty cache of compiled code, of the session's own: what it finds does not depend on what ran before."""
    folder = Path(session.create_tmp()).resolve() / "numba-cache"
    shutil.rmtree(folder, ignore_errors=True)
    return {"NUMBA_CACHE_DIR": str(folder)}


def shared_cache(session: nox.Session) -> dict[str, str]:
    """An environment with a cache of compiled code that sessions share which are not about compiling: it takes each of them a minute or two."""
    return {"NUMBA_CACHE_DIR": str(Path(session.cache_dir).resolve() / "numba-cache")}


# What is the same on every Python, and takes long, is left to the run that README's command is.
QUICK = ("-m", "not exhaustive")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The test suite on one Python, less the exhaustive tests; options follow ``--``, and then it is the whole suite."""
    install(session, "test")
    session.run("pytest", *(session.posargs or QUICK), env=numba_cache(session))


@nox.session
def boundscheck(session: nox.Session) -> None:
    """What `tests` runs, with the bounds of every array access in compiled code checked."""
    install(session, "test")
    session.run("pytest", *(session.posargs or QUICK), env={**numba_cache(session), "NUMBA_BOUNDSCHECK": "1"})


@nox.session(python=PYTHONS[0])
def minimums(session: nox.Session) -> None:
    """What `tests` runs, with the oldest versions of what the package depends on that it admits."""
    if session.venv_backend != "uv":
        session.skip("only uv can choose the oldest versions")
    install(session, "test", "--resolution=lowest-direct")
    session.run("pytest", *(session.posargs or QUICK), env=numba_cache(session))


@nox.session
def integrations(session: nox.Session) -> None:
    """Arrow, pandas, Polars, DuckDB and scikit-learn: the tests of what works with the real libraries."""
    install(session, "test", extras="arrow,cli,duckdb,pandas,polars,quantization,scikit-learn")
    files = (
        "tests/test_arrow.py",
        "tests/test_integrations.py",
        "tests/test_parquet.py",
        "tests/test_readme.py",
        "tests/test_tables.py",
        "tests/test_workshop.py",
    )
    session.run("pytest", *(session.posargs or files), env=shared_cache(session))


@nox.session
def peers(session: nox.Session) -> None:
    """Models that go to sentence-transformers and come from there, with the library, which brings PyTorch."""
    install(session, "test", extras="cli,quantization")
    session.install("sentence-transformers>=6.2")
    session.run("pytest", *(session.posargs or ("tests/test_sentence_transformers.py",)), env=shared_cache(session))


@nox.session
def engines(session: nox.Session) -> None:
    """Dask, Ray Data and Spark (which needs Java): the tests and examples on clusters of several processes."""
    install(session, "test", extras="cli,dask,ray,spark")
    # nox's folder for temporary files is in the virtual environment, where Ray's workers refuse to start, and their driver waits for ever.
    environment = {**shared_cache(session), "RAY_TMPDIR": tempfile.gettempdir()}
    session.run("pytest", *(session.posargs or ("tests/test_engines.py",)), env=environment)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, common mistakes, and the layout of the project."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("sp-repo-review", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    install(session, "types")
    session.run("mypy")


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """The compiled tokenisers against the library on a million random texts each and more; options follow ``--``.

    The first of them may be the name of one of the programs, such as `fuzz_pipeline.py`; else all run.
    """
    install(session, "test")
    programs = ["fuzz_wordpiece.py", "fuzz_pipeline.py", "fuzz_bpe.py"]
    chosen, options = (
        (session.posargs[:1], session.posargs[1:]) if session.posargs[:1] in ([name] for name in programs) else (programs, session.posargs)
    )
    for program in chosen:
        session.run("python", f"tests/{program}", *options, env=numba_cache(session))


@nox.session(default=False)
def stress(session: nox.Session) -> None:
    """Threads and processes for half an hour or more: ``--seconds N`` each threading layer, ``--rounds N`` starts on an empty cache."""
    install(session, "test")
    session.install("joblib", "tbb")
    # One test with all its rounds takes half an hour.
    options = ["--stress", "--seconds=60", "--rounds=50", "--override-ini=faulthandler_timeout=7200", *session.posargs]
    # Without the path numba does not find the TBB that pip has installed.
    environment = {**numba_cache(session), "LD_LIBRARY_PATH": str(Path(session.virtualenv.location) / "lib")}
    session.run("pytest", "tests/test_concurrency.py", "tests/test_warmup.py", *options, env=environment)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The benchmarks; what follows ``--`` goes to pytest, files of theirs among it."""
    install(session, "bench")
    named = any(argument.startswith("benchmarks") for argument in session.posargs)
    session.run("pytest", *([] if named else ["benchmarks"]), *session.posargs, env=shared_cache(session))


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """The whole report with all peers, those in Rust where Cargo is: pages and figures in ``docs``, and README's table. Half an hour."""
    install(session, "report", extras="cli,quantization")
    session.run("python", "-m", "benchmarks.report", *(session.posargs or ("--readme",)), env=shared_cache(session))


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the wheel and the source archive into ``dist``, and use the wheel."""
    session.install("build")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    (wheel,) = Path("dist").resolve().glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in sorted(Path("model2vec_numba").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.as_posix() not in names:
            session.error(f"{path} is not in {wheel.name}")
    session.install(f"{wheel}[cli]")
    # Away from the checkout, so that it is the installed package that answers.
    with session.chdir(session.create_tmp()):
        session.run("model2vec-numba", "encode-single", "It is cold today.", env=numba_cache(session), silent=True)


if __name__ == "__main__":
    nox.main()
