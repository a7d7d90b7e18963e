"""Write `docs/vector-columns.md` from `docs/vector-columns.json`: ``python tests/conformance/columns/columns_page.py``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from column_data import COLUMNS

__all__ = ["columns_text", "write_page"]

_DOCS = Path(__file__).resolve().parents[3] / "docs"

_INTRODUCTION = """\
# Vector columns in other engines

A column of vectors leaves this package as a `FixedSizeList` of Arrow, or in a Parquet file. This page says what becomes of it in other engines: its
type, its nulls, and which vectors a search finds. Everything in the tables is the result of a run with these versions:

{versions}

`nox -s conformance` runs them again, and the tests do so for the engines that are installed in these versions.

The columns are:

{columns}

All of them are written with pyarrow, as `encode_arrow` and the command line give them.
"""

_ADVICE = """\
## What follows

- Keep vectors in Parquet, Arrow's own files, or Lance. In CSV, a vector is refused, or becomes text, or loses its numbers.
- Write float32 for Spark. It reads no float16.
- For DuckDB, write a list and cast it to `FLOAT[n]` in the query. A table with `FLOAT[n]` columns and nulls should be cast to `FLOAT[]` before it is
  written to Parquet.
- For Dask, pass Arrow's types to `to_parquet` as `schema`, and set `dataframe.convert-string` to false before `from_pandas`. The vectors of
  `model2vec_numba.integrations.dask.encode` have Arrow's type from the start.
- With int8 vectors, cast before you multiply. NumPy and Polars multiply in int8.
- A text without a known token has a vector of zeros. Leave such rows out before you search: most engines put them first or last.
"""


def columns_text(results: Mapping[str, Any]) -> str:
    """Return the text of the page."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    versions = textwrap.fill(versions, 150)
    columns = "\n".join(f"- {name}: {what}" for name, what in COLUMNS.items())
    parts = [_INTRODUCTION.format(versions=versions, columns=columns), _types(results["types"])]
    parts += [_written(results["written"])]
    parts.append(_asked("The nearest neighbours", _NEIGHBOURS, "order, the best first", results["neighbours"]))
    parts.append(_asked("Products of int8 vectors", _PRODUCTS, "answer", results["products"]))
    parts.append(_asked("Text formats", _TEXTS, "what is written", results["texts"]))
    return "\n".join([*parts, _ADVICE])


_NEIGHBOURS = """\
The query is `[1, 0]`. The rows are vectors in the same direction, near it, at a right angle and in the opposite direction, a vector of zeros, one
with NaN, and a null. `score` is the cosine similarity."""
_PRODUCTS = "The product of the int8 vector `[127, 0]` with itself is 16,129."
_TEXTS = "A vector of 1,500 dimensions, each of them a third in float32."


def write_page() -> None:
    """Write the page."""
    results = json.loads((_DOCS / "vector-columns.json").read_text(encoding="utf-8"))
    (_DOCS / "vector-columns.md").write_text(columns_text(results), encoding="utf-8")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _types(types: Mapping[str, Mapping[str, str]]) -> str:
    rows = [[engine, *(f"`{cells[name]}`" for name in COLUMNS)] for engine, cells in types.items() if engine != "DuckDB's ARRAY"]
    return "## The types\n\nThe type of the column, read from the file. Rows and nulls are the same unless the cell says so.\n\n" + _table(
        ["engine", *COLUMNS], rows
    )


def _written(written: Mapping[str, Mapping[str, Mapping[str, str]]]) -> str:
    """Return the section about files that one engine writes and another reads. What all readers read alike is one line."""
    text = (
        "## Written by one, read by another\n\nEach engine reads the file and writes it again as Parquet, and each of the others reads that. "
        "The numbers and\nthe nulls are compared, not the types.\n\n"
    )
    rows = []
    for column, writers in written.items():
        for writer, cells in writers.items():
            if "" in cells:
                rows.append([column, writer, f"cannot be written: `{cells['']}`"])
                continue
            different: dict[str, list[str]] = {}
            for reader, cell in cells.items():
                if cell != "=":
                    different.setdefault(cell, []).append(reader)
            same = "the same for all" if not different else f"the same for {', '.join(reader for reader, cell in cells.items() if cell == '=')}"
            others = [f"{', '.join(readers)}: `{cell}`" for cell, readers in different.items()]
            rows.append([column, writer, "; ".join([same, *others])])
    return text + _table(["column", "written by", "read"], rows)


def _asked(title: str, introduction: str, head: str, entries: Sequence[Mapping[str, str]]) -> str:
    rows = [[entry["engine"], f"`{entry['how']}`", entry["answer"]] for entry in entries]
    return f"## {title}\n\n{introduction}\n\n" + _table(["engine", "how", head], rows)


if __name__ == "__main__":
    write_page()
