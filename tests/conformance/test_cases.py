"""This package's answers to the conformance cases, with compiled code and without. The cases are as `make_cases.py` writes them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparing import compare
from compatibility_page import page_text
from definitions import CASES
from make_cases import CASES_FOLDER, case_files
from run_cases import read_cases

from model2vec_numba import ModelError, StaticModel

NAMES = [case.name for case in CASES]


def read_case(name: str) -> dict[str, Any]:
    """Return the content of `case.json`."""
    content: dict[str, Any] = json.loads((CASES_FOLDER / name / "case.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("road", ["wait", "never"])
@pytest.mark.parametrize("name", NAMES)
def test_answers(name: str, road: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL2VEC_NUMBA_COMPILE", road)
    case = read_case(name)
    folder = CASES_FOLDER / name / case["model"]
    texts = [text["text"] for text in case["texts"]]
    if case["refused"]:
        with pytest.raises(ModelError):
            StaticModel.from_pretrained(folder)
        return
    with warnings.catch_warnings():
        # Rows with NaN are a warning, and one case is about them.
        warnings.simplefilter("ignore", RuntimeWarning)
        model = StaticModel.from_pretrained(folder)
    vectors = model.encode(texts)
    assert compare(case, vectors.tolist()) == "agrees"
    # A text alone has the same vector, to the bit.
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_array_equal(model.encode(text), vector)


def test_the_files_are_those_of_the_definitions() -> None:
    """If this fails, run ``python tests/conformance/make_cases.py``."""
    found = {path.relative_to(CASES_FOLDER).as_posix(): path.read_bytes() for path in CASES_FOLDER.rglob("*") if path.is_file()}
    expected = {f"{case.name}/{path}": content for case in CASES for path, content in case_files(case).items()}
    assert {path for path in found.keys() | expected.keys() if found.get(path) != expected.get(path)} == set()


def test_names_differ() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 40


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([[0, 2, 0, 0], [0, 0.5, 0, 0]], "agrees"),
        ([[0, 2.00001, 0, 0], [0, 0.5, 0, 0]], "differs: off by up to 1.0e-05"),
        ([[0, 1, 0, 0], [0, 1, 0, 0]], "differs: is normalised"),
        ([[0, 4, 0, 0], [0, 0.5, 0, 0]], "differs: doubles"),
        ([[0, 1, 0, 0], [1, 0, 0, 0]], "differs: doubles, and is normalised"),
        ([[0, 7, 0, 0], [0, 0.5, 0, 0]], "differs: off by up to 5"),
        ([[0, 2, 0], [0, 0.5, 0]], "differs: has 3 dimensions instead of 4"),
        ([[0, 2, 0, 0]], "differs: gives 1 vectors for 2 texts"),
        ([[0, None, 0, 0], [0, 0.5, 0, 0]], "differs: gives NaN"),
        ("no such file", "refuses: no such file"),
    ],
)
def test_comparing(answer: Any, words: str) -> None:
    """The words for an answer: the case itself, another answer of the case, and what the numbers show."""
    texts = [{"mean": [0, 2, 0, 0], "vector": [0, 2, 0, 0]}, {"mean": [0, 0.5, 0, 0], "vector": [0, 0.5, 0, 0]}]
    case = {"refused": False, "normalize": False, "texts": texts, "others": [{"answer": "doubles", "means": [[0, 4, 0, 0], [3, 0, 0, 0]]}]}
    assert compare(case, answer) == words


def test_comparing_refusals() -> None:
    case = {"refused": True, "normalize": False, "texts": [{"text": "a"}], "others": [{"answer": "reads bytes", "means": [[1, 0]]}]}
    assert compare(case, "the type is wrong") == "agrees: refuses: the type is wrong"
    assert compare(case, [[1, 0]]) == "differs: reads bytes"
    assert compare(case, [[1, 1]]) == "differs: gives vectors"


def test_the_page_is_that_of_the_results() -> None:
    """If this fails, run ``python tests/conformance/compatibility_page.py``, or ``nox -s conformance`` for new results."""
    docs = Path(__file__).parents[2] / "docs"
    readers = json.loads((docs / "compatibility.json").read_text(encoding="utf-8"))["readers"]
    assert len(readers) >= 8
    # pytest would take minutes to show the difference of two long texts.
    same = (docs / "compatibility.md").read_text(encoding="utf-8") == page_text(readers, read_cases(CASES_FOLDER))
    assert same
    (ours,) = (reader for reader in readers if reader["name"] == "model2vec-numba")
    assert all(result.startswith("agrees") for result in ours["results"].values())
