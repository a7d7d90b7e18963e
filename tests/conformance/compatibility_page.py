"""Write `docs/compatibility.md` from `docs/compatibility.json` and the cases: ``python tests/conformance/compatibility_page.py``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from run_cases import CASES_FOLDER, read_cases

__all__ = ["page_text", "write_page"]

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_SIGNS = {"agrees": "=", "differs": "≠", "refuses": "!"}
# An outcome of more cases than this is summed up. The table at the end has them all.
_MOST_NAMES = 8

_INTRODUCTION = """\
# Compatibility

One file, many readers: a Model2Vec model on the Hub is read by model2vec, by two Rust crates, by sentence-transformers, by fastembed, by laghu, by
static-embed-runner and by this package. They do not agree on everything, and a difference rarely makes an error. This page says what you will see
when you move a model between one of them and this package.

Everything in the tables is the result of a run: `nox -s conformance` gives each reader {cases} small models, one for each question that the format
leaves open, and compares its vectors with those that were worked out by hand. The models, the questions and the working are plain files in
[tests/conformance](../tests/conformance/README.md), for other implementations to use. The results as JSON are in
[compatibility.json](compatibility.json).

"Agrees" means equal to within 2e-6 of the largest number of a vector. This package agrees in all cases, which its tests check. Where a reader
differs, that need not be an error of the reader: the format has no other specification than what its readers do.
"""


def page_text(readers: Sequence[Mapping[str, Any]], cases: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text of the page.

    Args:
        readers: the entries of the JSON file.
        cases: the content of each `case.json`, by the name of the case.
    """
    parts = [_INTRODUCTION.format(cases=len(cases)), _summary(readers)]
    parts += [_section(reader, cases) for reader in readers if reader["name"] != "model2vec-numba"]
    parts += [_questions(cases), _matrix(readers, cases)]
    return "\n".join(parts)


def write_page() -> None:
    """Write the page."""
    readers = json.loads((_DOCS / "compatibility.json").read_text(encoding="utf-8"))["readers"]
    (_DOCS / "compatibility.md").write_text(page_text(readers, read_cases(CASES_FOLDER)), encoding="utf-8")


def _kind(result: str) -> str:
    return result.partition(":")[0]


def _cell(text: str) -> str:
    """Return text for a cell of a table."""
    return text.replace("|", "\\|")


def _literal(text: str) -> str:
    """Return text as code."""
    return f"`{text}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _summary(readers: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for reader in readers:
        kinds = [_kind(result) for result in reader["results"].values()]
        versions = ", ".join(f"{name} {version}" for name, version in reader["versions"].items())
        rows.append([reader["name"], _literal(reader["call"]), *(str(kinds.count(kind)) for kind in _SIGNS), versions])
    return "## The readers\n\n" + _table(["reader", "called as", "agrees", "differs", "refuses", "with"], rows)


def _section(reader: Mapping[str, Any], cases: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the section about one reader: its other answers, and the models that it refuses."""
    outcomes: dict[str, dict[str, list[str]]] = {kind: {} for kind in _SIGNS}
    for name, result in reader["results"].items():
        if name not in cases:
            continue
        kind, _, words = result.partition(": ")
        outcomes[kind].setdefault(words, []).append(name)
    lines = [f"## {reader['name']}", ""]
    for kind, sentence in (("differs", "It gives other vectors. It"), ("refuses", "It refuses a model, with the message")):
        if outcomes[kind]:
            lines += [f"{sentence}", ""]
            lines += [
                _outcome(kind, words, names, cases) for words, names in sorted(outcomes[kind].items(), key=lambda item: (-len(item[1]), item[0]))
            ]
            lines.append("")
    if not outcomes["differs"] and not outcomes["refuses"]:
        lines += ["It agrees in all cases.", ""]
    return "\n".join(lines)


def _outcome(kind: str, words: str, names: Sequence[str], cases: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the line for one outcome of a reader."""
    what = _literal(words.replace("`", "'")) if kind == "refuses" else f"**{words}**"
    if kind == "differs" and all(cases[name]["refused"] for name in names):
        what += ", where this package refuses the model"
    if len(names) == 1:
        return f"- {what}: {cases[names[0]]['question']} ({_literal(names[0])})"
    listed = ", ".join(map(_literal, names[:_MOST_NAMES]))
    return f"- {what}, in {len(names)} cases: {listed}" + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


def _link(name: str) -> str:
    return f"[{name}](../tests/conformance/cases/{name}/case.json)"


def _questions(cases: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [[_link(name), case["question"], case["answer"], case["reason"]] for name, case in cases.items()]
    introduction = "## The questions, and this package's answers\n\n"
    return introduction + _table(["case", "question", "answer", "when a user meets it"], rows)


def _matrix(readers: Sequence[Mapping[str, Any]], cases: Mapping[str, Mapping[str, Any]]) -> str:
    head = ["case", *(reader["name"] for reader in readers)]
    rows = [[name, *(_SIGNS[_kind(reader["results"][name])] if name in reader["results"] else "?" for reader in readers)] for name in cases]
    signs = ", ".join(f"{_literal(sign)} {kind}" for kind, sign in _SIGNS.items())
    return f"## All cases and readers\n\n{signs}, `?` not run yet.\n\n" + _table(head, rows)


if __name__ == "__main__":
    write_page()
