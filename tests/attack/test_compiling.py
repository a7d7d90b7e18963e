"""A small share of the ends while kernels are compiled, always the same. ``nox -s attack`` has more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("way", ["exit", "SIGTERM", "fork"])
def test_a_share_of_the_ends(way: str) -> None:
    program = Path(__file__).with_name("attack_compiling.py")
    command = [sys.executable, program, way, "--count", "3", "--seed", "1", "--short"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 + 1
