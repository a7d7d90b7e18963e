"""A small part of the attack with mutants of model files. `attack_model_files.py` makes as many as it is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from attack.judging import judge

_MUTANTS = 40


@pytest.mark.parametrize("first", [1_000, 2_000])
def test_mutants(first: int, tmp_path: Path) -> None:
    """The same mutants in each run. Some are refused and some work."""
    results = [judge(seed, tmp_path) for seed in range(first, first + _MUTANTS)]
    assert set(results) == {"refused", "works"}


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform == "win32", reason="select needs POSIX")
def test_many_mutants() -> None:
    program = Path(__file__).with_name("attack_model_files.py")
    done = subprocess.run([sys.executable, program, "--first", "10000", "--mutants", "1000"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
