"""The resident memory of a large int8 model: 500,000 rows of 256, and a tokenizer of as many tokens."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.large_models import write_wordpiece_model
from benchmarks.processes import run_steps

_ROWS, _DIM = 500_000, 256


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_large_model(tmp_path: Path, report: Callable[[str], None]) -> None:
    write_wordpiece_model(tmp_path / "small", 10, _DIM)
    write_wordpiece_model(tmp_path / "large", _ROWS, _DIM)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    # Compiling takes memory of its own.
    run_steps("model2vec_numba", tmp_path, environment)
    size = _ROWS * _DIM
    report(f"an int8 model of {_ROWS:,} x {_DIM}, {size / 1e6:.0f} MB; resident, in MB:")
    for package in ("model2vec", "model2vec_numba"):
        found = {name: value / 1e6 for name, value in run_steps(package, tmp_path, environment).items()}
        added = (found["touched"] - found["loaded"]) * 1e6 / size
        report(
            f"  {package}: imported {found['imported']:.0f}, loaded {found['loaded']:.0f} (peak {found['loaded_peak']:.0f}), "
            f"every row touched {found['touched']:.0f} (peak {found['touched_peak']:.0f}): rows added {added:.2f} times the matrix"
        )
