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


@pytest.mark.exhaustive
def test_first_seen() -> None:
    """Each contender that is installed has a row, and their results agree."""
    command = [sys.executable, "-m", "benchmarks.first_seen", "--quick", "--rust", "none", "--contender", "model2vec"]
    sections = [part for name in ("encode", "calls") for part in ("--section", name)]
    found = subprocess.run([*command, *sections], cwd=_ROOT, check=True, capture_output=True, text=True).stdout
    for model in ("int8", "float32"):
        rows = [line for line in found.splitlines() if line.startswith(f"| English | {model} | ")]
        assert [row.split(" | ")[2].split()[0] for row in rows][:1] == ["model2vec-numba"]
        assert len(rows) >= 2
    assert " differ" not in found
    assert [row for row in found.splitlines() if row.startswith("| 1,000 | int8 | busy | model2vec-numba ")]
