"""The resident memory of a large model, 500,000 rows of 256 dimensions: of an int8 model, and of a conversion from float32 to int8."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.large_models import write_wordpiece_model
from benchmarks.processes import run_conversion, run_steps

_ROWS, _DIM = 500_000, 256


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_large_model(tmp_path: Path, report: Callable[[str], None]) -> None:
    write_wordpiece_model(tmp_path / "small", 10, _DIM)
    write_wordpiece_model(tmp_path / "large", _ROWS, _DIM)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    # The first run compiles, which takes memory too.
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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_conversion(tmp_path: Path, report: Callable[[str], None]) -> None:
    write_wordpiece_model(tmp_path / "large", _ROWS, _DIM, "float32")
    found = {name: value / 1e6 for name, value in run_conversion(tmp_path / "large", {}).items()}
    before, after = ((tmp_path / name / "model.safetensors").stat().st_size / 1e6 for name in ("large", "large-int8"))
    report(
        f"{_ROWS:,} x {_DIM} from float32, {before:.0f} MB, to int8, {after:.0f} MB, saved: the process's peak is {found['converted_peak']:.0f} MB "
        f"(when only loaded {found['loaded_peak']:.0f}), {(found['converted_peak'] - after) / before:.2f} times the float32 file plus the result"
    )
