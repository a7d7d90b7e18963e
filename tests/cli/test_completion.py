"""Shell completion: the scripts that shells load, and the words that they are given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from model2vec_numba.cli import commands

COMMANDS = ["bench", "convert", "encode", "encode-single", "info", "warmup"]


def completed(*words: str) -> list[tuple[str, str]]:
    """Return the types and values that complete the last word."""
    *before, last = words
    found = ShellComplete(commands.cli, {}, "model2vec-numba", "_X").get_completions(list(before), last)
    return [(item.type, item.value) for item in found]


def plain(*values: str) -> list[tuple[str, str]]:
    return [("plain", value) for value in values]


def shell(instruction: str, **variables: str) -> str:
    """Run the program as a shell does."""
    environment = {**os.environ, "_MODEL2VEC_NUMBA_COMPLETE": instruction, **variables}
    command = [sys.executable, "-c", "from model2vec_numba.cli import main; main()"]
    return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60).stdout.decode()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], plain(*COMMANDS)),
        (["en"], plain("encode", "encode-single")),
        (["encode", "--pre"], plain("--precision")),
        (["encode", "--precision", ""], plain(*commands._PRECISIONS)),
        (["encode", "--precision", "u"], plain("uint8", "ubinary")),
        (["encode", "--format", "js"], plain("jsonl", "json")),
        (["encode", "--compression", "z"], plain("zstd")),
        (["encode", "--over"], plain("--overwrite")),
        (["convert", "--quantize-to", "bf"], plain("bfloat16")),
        (["convert", "-o", "sm"], [("dir", "sm")]),
        (["encode", "-m", ""], [("dir", "")]),
        (["encode", "-o", "ou"], [("file", "ou")]),
        (["encode", "--ranges", "ra"], [("file", "ra")]),
        (["encode", "a.txt", "da"], [("file", "da")]),
        (["info", "mo"], [("dir", "mo")]),
        (["bench", "te"], [("file", "te")]),
    ],
    ids=str,
)
def test_words(words: Sequence[str], expected: list[tuple[str, str]]) -> None:
    assert completed(*words) == expected


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_scripts(name: str, tmp_path: Path) -> None:
    if name == "bash" and shutil.which("bash") is None:
        pytest.skip("click asks bash for its version")
    script = shell(f"{name}_source")
    assert f"_MODEL2VEC_NUMBA_COMPLETE={name}_complete" in script
    if shutil.which(name) is not None:
        (tmp_path / "script").write_text(script)
        assert subprocess.run([name, "-n", tmp_path / "script"], check=False, timeout=60).returncode == 0


def test_bash_gets_words() -> None:
    answer = shell("bash_complete", COMP_WORDS="model2vec-numba encode --precision ub", COMP_CWORD="3")
    assert answer == "plain,ubinary\n"
