"""The example of README.md runs, its commands for developers are where other programs find them, and its links are absolute."""

from __future__ import annotations

import re
from pathlib import Path

from pages import ROOT, run_code

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_example(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    texts = ["The winter is very cold here.", "", *(f"He has {count} apples." for count in range(12))]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    found = run_code(code, tmp_path)
    assert len(found) == 10
    assert found[0].endswith(texts[0])


def test_commands_for_developers() -> None:
    """They are the two blocks of `sh`, under the last heading."""
    (*_, last) = re.split(r"^## ", README, flags=re.MULTILINE)
    assert last.startswith("Develop\n")
    assert len(re.findall(r"^```sh\n", README, re.MULTILINE)) == len(re.findall(r"^```sh\n", last, re.MULTILINE)) == 2


def test_place_of_the_speeds() -> None:
    """`python -m benchmarks.report --readme` writes the table between these marks."""
    assert re.search(r"<!-- speed -->\n(\|.*\n)+<!-- /speed -->\n", README)


def test_links_are_absolute() -> None:
    """A package index shows the page too, and has no other files. `nox -s docs` checks where the links lead."""
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", README)
    assert len(links) > 10
    assert [link for link in map(max, links) if not link.startswith("https://")] == []
