"""The examples of README.md run, and print what their comments say."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks(section: str) -> list[str]:
    """Return the blocks of Python code under a heading."""
    text = README.read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```python\n(.*?)^```", found, re.MULTILINE | re.DOTALL)


def imported(code: str) -> set[str]:
    """Return the names of the packages that code imports."""
    nodes = list(ast.walk(ast.parse(code)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


COLUMNS = blocks("Columns and data frames")


@pytest.mark.parametrize("number", range(1, len(COLUMNS)))
def test_columns_and_data_frames(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the first block and one of the others, which continue it. A comment says what a block prints."""
    names: dict[str, Any] = {}
    for code in (COLUMNS[0], COLUMNS[number]):
        for package in imported(code):
            pytest.importorskip(package)
        capsys.readouterr()
        exec(compile(code, README.name, "exec"), names)
        said = re.findall(r"print\(.*  # (.*)", code)
        assert capsys.readouterr().out.splitlines() == said


@pytest.mark.parametrize("texts", ["['', 'It is cold today.', '', NULL, ' ', 'He plays the violin.']", "['\u200b', 'It is cold today.']"])
def test_queries_with_empty_texts(texts: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A query gives the right row even if a text has no tokens, or is null."""
    pytest.importorskip("duckdb")
    (query,) = (code for code in COLUMNS if "duckdb" in code)
    changed = re.sub(r"\['It is cold.*?\]", texts, query, count=1)
    assert texts in changed
    names: dict[str, Any] = {}
    exec(compile(COLUMNS[0], README.name, "exec"), names)
    capsys.readouterr()
    exec(compile(changed, README.name, "exec"), names)
    assert capsys.readouterr().out == "[('It is cold today.',)]\n"


def test_data_frames_and_parquet(tmp_path: Path) -> None:
    """What README says about Parquet files of pandas and DuckDB."""
    pandas, duckdb = pytest.importorskip("pandas"), pytest.importorskip("duckdb")
    parquet = pytest.importorskip("pyarrow.parquet")
    from model2vec_numba.integrations.duckdb import register

    names: dict[str, Any] = {}
    for code in COLUMNS:
        if code is COLUMNS[0] or "pandas" in code:
            exec(compile(code, README.name, "exec"), names)
    names["frame"].to_parquet(tmp_path / "frame.parquet")
    found = pandas.read_parquet(tmp_path / "frame.parquet", dtype_backend="pyarrow")
    assert found["embedding"].isna().tolist() == [False, True]
    with duckdb.connect() as connection:
        register(connection, names["model"])
        query = f"COPY (SELECT embed(text)::FLOAT[] AS v FROM (SELECT unnest(['a', NULL]) AS text)) TO '{tmp_path / 'lists.parquet'}'"
        connection.execute(query)
    assert parquet.read_table(tmp_path / "lists.parquet")["v"].null_count == 1


def test_smaller_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("Smaller models")
    names: dict[str, Any] = {}
    exec(compile(code, README.name, "exec"), names)
    assert names["StaticModel"].from_pretrained("smaller").dim == 128
