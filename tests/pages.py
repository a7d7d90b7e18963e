"""The pages of the documentation: their blocks of code, and programs made of them that run as a reader would run them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["DOCS", "PARTS", "ROOT", "Part", "blocks", "parts", "run_code", "said"]

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

# The recipes say 100,000 texts. `nox -s recipes` uses as many.
_COUNT = int(os.environ.get("RECIPE_TEXTS", "2000"))


class Part(NamedTuple):
    """A program: the blocks of Python before the first heading of a page, and those under one heading."""

    page: str
    heading: str
    code: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.heading}" if self.heading else self.page


def blocks(page: str, language: str = "python") -> dict[str, list[str]]:
    """Return the blocks of a page in a language, by the heading of the second level that they are under. The first key is empty."""
    text = (DOCS / page).read_text(encoding="utf-8")
    pieces = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    headings = ["", *pieces[1::2]]
    return {
        heading: re.findall(rf"^```{language}\n(.*?)^```", piece, re.MULTILINE | re.DOTALL)
        for heading, piece in zip(headings, pieces[::2], strict=True)
    }


def parts(page: str) -> list[Part]:
    """Return the programs of a page. A page whose blocks continue each other under several headings is one program."""
    found = {heading: "\n".join(code) for heading, code in blocks(page).items()}
    if not found[""] or page in _CONTINUOUS:
        return [Part(page, "", "\n".join(found.values()))] if any(found.values()) else []
    alone = [Part(page, heading, f"{found['']}\n{code}") for heading, code in found.items() if heading and code]
    return alone or [Part(page, "", found[""])]


_CONTINUOUS = {"recipes/classification.md", "recipes/datasets.md", "vectors.md"}
# The first shows calls whose files do not exist. The others are not programs of their own, and have tests of their own.
_OTHERS = {"models.md", *(f"recipes/{name}.md" for name in ("duplicates", "notebook", "read-only", "search", "web-service"))}
PARTS = [part for path in sorted(DOCS.rglob("*.md")) if (page := path.relative_to(DOCS).as_posix()) not in _OTHERS for part in parts(page)]


def imported(code: str) -> set[str]:
    """Return the names of the packages that code imports."""
    nodes = list(ast.walk(ast.parse(code)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def said(code: str) -> list[str] | None:
    """Return the lines that a program prints according to the comments after its prints. ``None`` if a print has no comment."""
    lines = [line for line in code.splitlines() if re.match(r"\s*print\(", line)]
    found = [re.search(r"\)  # (.*)", line) for line in lines]
    return [match[1] for match in found if match] if all(found) else None


def run_code(code: str, folder: Path, **variables: str) -> list[str]:
    """Run a program in a folder, and return the lines that it prints. A warning is an error. Skip the test if a package is missing."""
    for package in sorted(imported(code)):
        if not (folder / f"{package}.py").exists():
            pytest.importorskip(package)
    code = code.replace("count = 100_000\n", f"count = {_COUNT}\n")
    path = folder / "program.py"
    path.write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]), **variables}
    # The libraries may write to their logs.
    done = subprocess.run([sys.executable, path], cwd=folder, env=environment, check=False, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
    return done.stdout.splitlines()
