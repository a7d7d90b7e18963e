#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox[uv]>=2025.10.14"]
# ///
"""The project's chores. ``nox`` runs those that every change must pass, ``nox -l`` lists all, ``nox -s NAME`` runs one."""

from __future__ import annotations

import os
import shutil
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


def install(session: nox.Session, group: str, *options: str) -> None:
    """Install the package, with its extras, and a dependency group."""
    session.install("-e.[cli]", *nox.project.dependency_groups(PROJECT, group), *options)


def numba_cache(session: nox.Session) -> dict[str, str]:
    """An environment with a fresh cache of compiled code, of the session's own.

    numba does not recompile a cached function when one that it calls from another file, or NUMBA_BOUNDSCHECK, has changed.
    """
    folder = Path(session.create_tmp()).resolve() / "numba-cache"
    shutil.rmtree(folder, ignore_errors=True)
    return {"NUMBA_CACHE_DIR": str(folder)}


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The test suite, on one Python."""
    install(session, "test")
    session.run("pytest", *session.posargs, env=numba_cache(session))


@nox.session
def boundscheck(session: nox.Session) -> None:
    """The test suite with the bounds of every array access in compiled code checked."""
    install(session, "test")
    session.run("pytest", *session.posargs, env={**numba_cache(session), "NUMBA_BOUNDSCHECK": "1"})


@nox.session(python=PYTHONS[0])
def minimums(session: nox.Session) -> None:
    """The test suite with the oldest versions of what the package depends on that it admits."""
    if session.venv_backend != "uv":
        session.skip("only uv can choose the oldest versions")
    install(session, "test", "--resolution=lowest-direct")
    session.run("pytest", *session.posargs, env=numba_cache(session))


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
    """The compiled tokeniser against the library on a million random texts and more; options follow ``--``."""
    install(session, "test")
    session.run("python", "tests/fuzz_wordpiece.py", *session.posargs, env=numba_cache(session))


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The benchmarks; what follows ``--`` goes to pytest."""
    install(session, "test")
    session.run("pytest", "benchmarks", *session.posargs, env=numba_cache(session))


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
