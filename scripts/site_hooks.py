"""A hook of the site: links from a page to a file outside of `docs` lead to the project's repository, because the site does not have the file."""

from __future__ import annotations

import posixpath
import re
from typing import Any

REPOSITORY = "https://github.com/model2vec-numba/model2vec-numba/blob/main/"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the text of a page with such links changed."""
    folder = posixpath.dirname(f"docs/{page.file.src_uri}")

    def changed(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[1]))
        return match[0] if path.startswith("docs/") else f"]({REPOSITORY}{path}"

    return re.sub(r"\]\((\.\./[^)#\s]*)", changed, markdown)
