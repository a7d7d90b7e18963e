"""The programs in `benchmarks` that no other check runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]


@pytest.mark.exhaustive
def test_table_of_tokenizers(tmp_path: Path) -> None:
    """A row for each file, and a note for the one that is not compiled."""
    file = _ROOT / "tests" / "data" / "wordpiece.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps({**config, "pre_tokenizer": {"type": "UnicodeScripts"}}), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.tokenizers", "--markdown", "--seconds", "0.05", str(file), str(tmp_path)]
    found = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True).stdout
    assert "| wordpiece | wordpiece | none | " in found
    assert f"| {tmp_path.name} | tokenizers | all | " in found
    assert f'- {tmp_path.name} is not compiled. `` pre_tokenizer: no compiled code for {{"type": "UnicodeScripts"}} ``' in found
