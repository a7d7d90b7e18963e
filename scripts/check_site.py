"""Check the links of the built site and of README.md, without a network: ``python scripts/check_site.py FOLDER``.

A link inside the site must lead to a file, and to an element with the name after its ``#``. A link to a file of this project's repository must lead
to a file of the checkout, and a link to this project's site to one of its pages. Links to other sites are not followed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/model2vec-numba/model2vec-numba"
RAW = "https://raw.githubusercontent.com/model2vec-numba/model2vec-numba/main/"
SITE = "https://model2vec-numba.github.io/model2vec-numba/"


class Page(HTMLParser):
    """Collects the links of a page, and the names that links may lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is not None and name in {"href", "src", "srcset"}:
                self.links.append(value)
            elif value is not None and name in {"id", "name"}:
                self.names.add(value)


def problems(site: Path) -> Iterator[str]:
    """Yield a line for each link that leads nowhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    for path, page in pages.items():
        # The page for missing files is shown at any address, so its links begin at the root of the site.
        links = [link for link in page.links if path.name != "404.html"]
        for link in links:
            if not reaches(link, path, site, pages):
                yield f"{path.relative_to(site)}: {link}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", readme):
        address = link[0] or link[1]
        if not address.startswith(("#", "https://")):
            yield f"README.md: {address} is not absolute, so it leads nowhere on package indexes"
        elif not reaches(address, site / "index.html", site, pages):
            yield f"README.md: {address}"


def reaches(link: str, path: Path, site: Path, pages: dict[Path, Page]) -> bool:
    """Return whether a link on a page leads to something that exists. Links to other sites count as such."""
    for start in (f"{REPOSITORY}/blob/main/", f"{REPOSITORY}/tree/main/", f"{REPOSITORY}/edit/main/", RAW):
        if link.startswith(start):
            return (ROOT / unquote(urlsplit(link.removeprefix(start)).path)).exists()
    if link.startswith(SITE):
        link, path = link.removeprefix(SITE) or "index.html", site / "index.html"
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
    if target.is_dir():
        target /= "index.html"
    return target.is_file() and (target not in pages or unquote(parts.fragment) in pages[target].names)


def main() -> None:
    site = Path(sys.argv[1]).resolve()
    found = sorted(set(problems(site)))
    print(*found, f"{len(found)} links lead nowhere", sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
