"""The page about vector columns: it is that of the results, and engines that are installed in its versions still give them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from columns_page import columns_text
from engines import ENGINES
from run_columns import compare_rows, describe_text, part_of, run

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DOCS / "vector-columns.json").read_text(encoding="utf-8"))
    return content


def test_the_page_is_that_of_the_results(results: dict[str, Any]) -> None:
    """If this fails, run ``python tests/conformance/columns/columns_page.py``, or ``nox -s conformance`` for new results."""
    same = (DOCS / "vector-columns.md").read_text(encoding="utf-8") == columns_text(results)
    assert same


def test_engines_give_the_results_again(results: dict[str, Any]) -> None:
    # Spark and Dask take long to start. `nox -s conformance` runs all engines.
    quick = [engine for engine in ENGINES if engine.name not in ("Spark", "Dask", "Lance")]
    installed = [engine for engine in quick if (versions := engine.versions()) and versions.items() <= results["versions"].items()]
    if not installed:
        pytest.skip("no engine is installed in the version of the page")
    found, expected = run(installed), part_of(results, installed)
    # NumPy has no entry of its own among the versions. Its integers wrap around in every version.
    assert found == expected


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([[1.0, 2.0], None], ""),
        ([[1.0, 2.0]], "1 rows instead of 2"),
        (["[1. 2.]", None], "rows are text"),
        ([[1.0, 2.0], []], "a null becomes an empty list"),
        ([[1.0, 2.0], [0.0, 0.0]], "a null becomes a vector"),
        ([None, None], "a vector becomes a null"),
        ([[1.0, None], None], "numbers become nulls"),
        ([[1.0, 2.5], None], "other values"),
        ([[1, 2], float("nan")], ""),
    ],
)
def test_compare_rows(found: list[Any], words: str) -> None:
    assert compare_rows(found, [[1.0, 2.0], None]) == words


def test_describe_text() -> None:
    assert describe_text("0.33333334 " * 1500) == "all 1,500 numbers"
    assert describe_text("0.333 " * 1500) == "all 1,500 numbers, rounded to 0.333"
    assert describe_text("[0.33333334 ... 0.33333334]") == "2 of 1,500 numbers, and '...' for the others"
