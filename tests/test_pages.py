"""The programs in the pages of the documentation run as they are printed, and print what their comments say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from pages import DOCS, PARTS, ROOT, Part, blocks, run_code, said

import model2vec_numba
from model2vec_numba import StaticModel


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_programs(part: Part, tmp_path: Path) -> None:
    lines = run_code(part.code, tmp_path)
    expected = said(part.code)
    assert expected is None or lines == expected


def test_all_pages_are_found() -> None:
    names = {part.name for part in PARTS}
    assert {"quickstart.md", "data-frames.md:pandas", "recipes/classification.md"} <= names


@pytest.mark.parametrize("texts", ["['', 'It is cold today.', '', NULL, ' ', 'He plays the violin.']", "['\u200b', 'It is cold today.']"])
def test_queries_with_empty_texts(texts: str, tmp_path: Path) -> None:
    """A query gives the right row even if a text has no tokens, or is null."""
    (part,) = (part for part in PARTS if part.name == "data-frames.md:DuckDB")
    changed = part.code.replace("['It is cold today.', 'He plays the violin.', '']", texts)
    assert changed != part.code
    assert run_code(changed, tmp_path) == ["[('It is cold today.',)]"]


def test_data_frames_and_parquet(tmp_path: Path) -> None:
    """What the page says about Parquet files of pandas and DuckDB."""
    start, pandas = blocks("data-frames.md")[""], blocks("data-frames.md")["pandas"]
    check = """
import duckdb
import pyarrow.parquet
from model2vec_numba.integrations.duckdb import register

frame.to_parquet("frame.parquet")
print(pd.read_parquet("frame.parquet", dtype_backend="pyarrow")["embedding"].isna().tolist())
with duckdb.connect() as connection:
    register(connection, model)
    connection.execute("COPY (SELECT embed(text)::FLOAT[] AS v FROM (SELECT unnest(['a', NULL]) AS text)) TO 'lists.parquet'")
print(pyarrow.parquet.read_table("lists.parquet")["v"].null_count)
"""
    assert run_code("\n".join([*start, *pandas, check]), tmp_path) == ["[False, True]", "1"]


def test_smaller_models(tmp_path: Path) -> None:
    (code,) = blocks("models.md")["Make smaller"]
    run_code(code, tmp_path)
    assert StaticModel.from_pretrained(tmp_path / "smaller").dim == 128


def test_code_for_loading_models() -> None:
    """The names of functions and arguments exist. The files do not."""
    (code,) = blocks("models.md")["Load"]
    model = DOCS.parents[0] / "model2vec_numba" / "default_model"
    lines = code.replace('"path/to/a/folder"', repr(str(model))).splitlines()
    exec("\n".join(line for line in lines if "owner/name" not in line), {})


def commands() -> list[tuple[str, str]]:
    """Return the commands of this package in all pages and in README.md, without comments, each with its page."""
    found = []
    for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))):
        for block in re.findall(r"^```(?:console|sh|dockerfile)\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            found += [(path.name, command) for command in re.findall(r"(?:model2vec-numba|-m model2vec_numba) ([a-z-]+ ?[^#|\n]*)", block)]
    return found


def test_commands_exist() -> None:
    """The names of commands and of their options in the pages are those of the command line."""
    from model2vec_numba.cli.commands import cli

    assert len(commands()) > 15
    for page, text in commands():
        name, *words = shlex.split(text.partition(" && ")[0].partition(" > ")[0])
        options = {option for parameter in cli.commands[name].params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("-") and word != "-"} <= options, f"{page}: {text}"


def test_reference_has_all_public_names() -> None:
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert [name for name in model2vec_numba.__all__ if not name.startswith("_") and f".{name}\n" not in text] == []
