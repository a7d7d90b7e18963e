"""A small share of the attacks on jobs, always the same. ``nox -s attack`` has more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")


@pytest.mark.skipif(os.name != "posix", reason="forks")
@pytest.mark.parametrize("name", ["kills", "pairs", "limits", "changes"])
def test_a_share_of_the_attacks(name: str) -> None:
    program = Path(__file__).with_name("attack_jobs.py")
    command = [sys.executable, program, name, "--count", "2", "--seed", "1", "--formats", "parquet", "jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 + 2
