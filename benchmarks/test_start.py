"""The time of a whole process: its start, the import, loading a model of each kind, and the first text.

``pytest benchmarks/test_start.py --rounds N`` times N processes of each side. ``-k int8`` measures the bundled model only.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import model2vec_numba
from benchmarks.processes import run_first_texts, run_start, run_until_ready
from model2vec_numba.starting.mode import VARIABLE

PACKAGE = Path(model2vec_numba.__file__).parent
_TOLERANCE = 2e-6
_ROUNDS = 15
_EMPTY_ROUNDS = 3

Report = Callable[[str], None]


def test_start_with_a_warm_cache(folder: Path, tmp_path: Path, pytestconfig: pytest.Config, report: Report) -> None:
    """Time both packages in turns. The compiled code of the model is in the cache. Processor time says more if the machine is busy."""
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), VARIABLE: "background"}
    command = [sys.executable, "-m", PACKAGE.name, "warmup", "-m", str(folder), "-q"]
    subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)
    packages = ("model2vec", "model2vec_numba")
    theirs, ours = (run_start(package, environment, folder) for package in packages)
    np.testing.assert_allclose(ours["vector"], theirs["vector"], rtol=0, atol=_TOLERANCE)
    rounds = [[run_start(package, environment, folder) for package in packages] for _ in range(pytestconfig.getoption("rounds") or _ROUNDS)]
    for kind in ("seconds", "processor"):
        ratios = sorted(ours[kind] / theirs[kind] for theirs, ours in rounds)
        median_theirs, median_ours = (statistics.median(found[side][kind] for found in rounds) for side in (0, 1))
        report(
            f"a process, import to first vector, {folder.name}, warm cache, {kind}: model2vec {version('model2vec')} {median_theirs:.3f} s, "
            f"this package {median_ours:.3f} s: {statistics.median(ratios):.2f} times ({ratios[0]:.2f} to {ratios[-1]:.2f}; at most 0.9 is the aim)"
        )
    report(
        f"resident after it, {folder.name}: model2vec {theirs['resident'] / 1e6:.0f} MB, this package {ours['resident'] / 1e6:.0f} MB "
        "(at most 100 is the aim)"
    )


@pytest.mark.parametrize("place", ["an empty cache", "no folder"])
def test_first_texts(place: str, folder: Path, tmp_path: Path, pytestconfig: pytest.Config, report: Report) -> None:
    """Time both packages in turns. This package encodes without compiled code, and starts a process that compiles."""
    ratios, ours = [], []
    for number in range(pytestconfig.getoption("rounds") or _ROUNDS):
        environment = {"NUMBA_CACHE_DIR": str(tmp_path / str(number))} if place == "an empty cache" else unwritable_package(tmp_path)
        ours.append(run_first_texts("model2vec_numba", {**environment, VARIABLE: "background"}, folder))
        ratios.append(ours[-1] / run_first_texts("model2vec", environment, folder))
    report(
        f"a process, import to the vectors of 100 texts, {folder.name}, {place}: {statistics.median(ours):.2f} s, "
        f"{statistics.median(ratios):.2f} times model2vec's time ({min(ratios):.2f} to {max(ratios):.2f}; at most 1.5 is the aim)"
    )


def test_until_kernels_are_ready(folder: Path, tmp_path: Path, pytestconfig: pytest.Config, report: Report) -> None:
    """Compare the speed until then with model2vec's, and the time until then with the time of compiling in the first call."""
    for number in range(min(pytestconfig.getoption("rounds") or _EMPTY_ROUNDS, _EMPTY_ROUNDS)):
        caches = {mode: {"NUMBA_CACHE_DIR": str(tmp_path / f"{mode}-{number}"), VARIABLE: mode} for mode in ("background", "wait")}
        found = run_until_ready("model2vec_numba", caches["background"], folder)
        theirs = run_until_ready("model2vec", {}, folder)
        foreground = run_first_texts("model2vec_numba", caches["wait"], folder)
        report(
            f"without compiled code, {folder.name}: {found['rate']:,.0f} texts/s, {found['rate'] / theirs['rate']:.2f} times model2vec's; "
            f"kernels ready after {found['seconds']:.1f} s, {found['seconds'] / foreground:.2f} times the {foreground:.1f} s "
            "of compiling in the first call"
        )


def unwritable_package(folder: Path) -> dict[str, str]:
    """Return an environment in which this package has no folder for compiled code: there is a file in place of each."""
    target = folder / "package" / PACKAGE.name
    if not target.exists():
        shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
        for path in [target, *target.rglob("*")]:
            if path.is_dir():
                (path / "__pycache__").touch()
    return {"NUMBA_CACHE_DIR": "/dev/null/a", "XDG_CACHE_HOME": "/dev/null/b", "PYTHONPATH": str(target.parent)}
