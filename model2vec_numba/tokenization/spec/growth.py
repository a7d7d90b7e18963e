"""Find a bound on how much longer the components of a tokenizer make a text.

The `tokenizers` library sets no limit, and nothing can interrupt it. So a file whose bound is large is tried; see `growth_trial`.
"""

from __future__ import annotations

import base64
import re
from typing import Any, NamedTuple

__all__ = ["MAX_GROWTH", "Growth", "find_growth"]

MAX_GROWTH = 1 << 14
"""The largest factor of a file that is accepted without a trial. The factors of most real files are below 100."""


class Growth(NamedTuple):
    """Bounds on how many times longer the components of a tokenizer make a text.

    Attributes:
        replacements: the bound of all components of the type `Replace`. It may be much too large: most do not search what another one writes.
        others: the bound of the other components, without what one component of each type adds.
    """

    replacements: float
    others: float


# By how much a second component of the type lengthens a text: bounds on UTF-8 bytes. What one component of each type adds is not counted, because
# real files have one. `ByteLevel` may also put a space before each pre-token.
_REPEATED = {
    "ByteLevel": 4,
    "NFD": 3,
    "NFC": 3,
    "NFKD": 11,
    "NFKC": 11,
    "Lowercase": 2,
    "BertNormalizer": 5,
    "Metaspace": 4,
}
# SentencePiece's own rules make 33 bytes of a ligature.
_USUAL_CHARSMAP = 64
_PARTS = ("normalizers", "pretokenizers", "processors")
# A regular expression without these matches at least one character.
_MAY_BE_EMPTY = re.compile(r"[*?|^$()]|\{[^1-9]|\\[bBAGKXyYzZ]")


def find_growth(config: dict[str, Any]) -> Growth:
    """Return bounds on how many times longer the components of a tokenizer make a text.

    Args:
        config: a `tokenizer.json` in canonical spelling.
    """
    factor = replacements = 1.0
    seen: set[str] = set()
    # Each component, and whether it is a post-processor. Such a `ByteLevel` does not lengthen a text.
    rest: list[Any] = [(config.get(name), name == "post_processor") for name in ("normalizer", "pre_tokenizer", "post_processor")]
    while rest:
        component, is_last = rest.pop()
        if not isinstance(component, dict):
            continue
        kind = component.get("type")
        if kind == "Replace":
            replacements *= _replace_growth(component)
        elif kind == "TemplateProcessing":
            factor *= _template_growth(component)
        elif kind == "Precompiled":
            growth = _charsmap_growth(component)
            factor *= growth if kind in seen else max(1, growth / _USUAL_CHARSMAP)
            seen.add(kind)
        elif isinstance(kind, str) and not is_last:
            factor *= _REPEATED.get(kind, 1) if kind in seen else 1
            seen.add(kind)
        for name in _PARTS:
            parts = component.get(name)
            rest += [(part, is_last) for part in parts] if isinstance(parts, list) else []
    return Growth(replacements, factor)


def _replace_growth(component: dict[str, Any]) -> float:
    """Return by how much a `Replace` can lengthen a text."""
    pattern, content = component.get("pattern"), component.get("content")
    if not isinstance(pattern, dict) or not isinstance(content, str):
        return 1
    size = len(content.encode("utf-8", "surrogatepass"))
    literal, regex = pattern.get("String"), pattern.get("Regex")
    if isinstance(literal, str) and literal:
        return max(1, size / len(literal.encode("utf-8", "surrogatepass")))
    if isinstance(regex, str) and regex and not _MAY_BE_EMPTY.search(regex):
        return max(1, size)
    return 1 + size


def _charsmap_growth(component: dict[str, Any]) -> int:
    """Return the number of bytes of the longest string in the rules of SentencePiece. Each rule replaces at least a byte."""
    charsmap = component.get("precompiled_charsmap")
    try:
        data = base64.b64decode(charsmap) if isinstance(charsmap, str) else b""
    except ValueError:
        return 1  # the library refuses it
    # The length of a table, the table, and the strings, each with a zero byte at its end.
    strings = data[4 + int.from_bytes(data[:4], "little") :].split(b"\0")
    return max(1, *map(len, strings))


def _template_growth(component: dict[str, Any]) -> int:
    """Return how often a template repeats the text."""
    template = component.get("single")
    return max(1, sum("Sequence" in item for item in template)) if isinstance(template, list) else 1
