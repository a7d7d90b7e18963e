"""The time of a whole process: its start, the import, loading the bundled model, and the first text.

``pytest benchmarks/test_start.py --rounds N`` times N processes of each side.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from benchmarks.processes import run_start

_TOLERANCE = 2e-6
_ROUNDS = 15
_EMPTY_ROUNDS = 3

Report = Callable[[str], None]


def test_start_with_a_warm_cache(tmp_path: Path, pytestconfig: pytest.Config, report: Report) -> None:
    """Time both packages in turns. Each has run once before."""
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    ours, theirs = run_start("model2vec_numba", environment), run_start("model2vec", environment)
    np.testing.assert_allclose(ours["vector"], theirs["vector"], rtol=0, atol=_TOLERANCE)
    seconds: dict[str, list[float]] = {"model2vec": [], "model2vec_numba": []}
    for _ in range(pytestconfig.getoption("rounds") or _ROUNDS):
        for package, times in seconds.items():
            times.append(run_start(package, environment)["seconds"])
    medians = {package: statistics.median(times) for package, times in seconds.items()}
    ratios = sorted(ours / theirs for ours, theirs in zip(seconds["model2vec_numba"], seconds["model2vec"], strict=True))
    report(
        f"a process, import to first vector, warm cache: model2vec {version('model2vec')} {medians['model2vec']:.3f} s, this package "
        f"{medians['model2vec_numba']:.3f} s: {medians['model2vec_numba'] / medians['model2vec']:.2f} times ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


def test_start_with_an_empty_cache(tmp_path: Path, pytestconfig: pytest.Config, report: Report) -> None:
    """Time this package alone. It compiles everything that the first text needs."""
    rounds = pytestconfig.getoption("rounds") or _EMPTY_ROUNDS
    seconds = [run_start("model2vec_numba", {"NUMBA_CACHE_DIR": str(tmp_path / str(i))})["seconds"] for i in range(min(rounds, _EMPTY_ROUNDS))]
    report(f"the same, empty cache: {statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})")
