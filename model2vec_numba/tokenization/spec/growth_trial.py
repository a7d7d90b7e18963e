"""Try by how much the components of a tokenizer lengthen a text, one after the other, and stop in time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer

from model2vec_numba.errors import ModelFormatError
from model2vec_numba.tokenization.components import is_library_error

__all__ = ["check_growth"]

# The growth that is allowed, and the characters that the text of the trial, and what a component writes, may have.
_MAX_GROWTH, _MAX_CHARS = 1024, 1 << 12
_CHARACTERS = "a A1 é 一 \U0001f600 \u2581"
_MODEL = {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}


def check_growth(config: dict[str, Any], source: str) -> None:
    """Let a text pass through the normalisers and pre-tokenisers, one after the other, and check its length after each.

    The text holds what the components search and write, so that each can feed the next one. In a usual chain of `Replace`, few of them search what
    another one writes, and the text stays short.

    Args:
        config: a `tokenizer.json`.
        source: the name of the file in error messages.

    Raises:
        ModelFormatError: the text has become more than 1,024 times as long, or a component writes a string of more than 4,096 characters.
    """
    normalizers = list(_components(config.get("normalizer"), "normalizers"))
    pre_tokenizers = list(_components(config.get("pre_tokenizer"), "pretokenizers"))
    words: dict[str, None] = {}
    for component in normalizers + pre_tokenizers:
        searched, written = _words(component)
        words[searched] = words[written] = None
        if len(written) > _MAX_CHARS:
            raise ModelFormatError(f"{source}: a {component.get('type')} writes a string of {len(written)} characters, expected at most {_MAX_CHARS}")
    parts = [" ".join([_CHARACTERS, *words])[:_MAX_CHARS]]
    limit = len(parts[0]) * _MAX_GROWTH
    for kind, components in (("normalizer", normalizers), ("pre_tokenizer", pre_tokenizers)):
        for component in components:
            parts = _pass(kind, component, parts)
            if sum(map(len, parts)) > limit:
                raise ModelFormatError(
                    f"{source}: the {kind.replace('_', '-')} makes texts exponentially longer: as far as {component.get('type')}, "
                    f"{len(normalizers)} normalizers and {len(pre_tokenizers)} pre-tokenizers make them more than {_MAX_GROWTH} times as long"
                )


def _components(component: Any, members: str) -> Iterator[dict[str, Any]]:
    """Yield the components of the JSON of a normaliser or pre-tokeniser in their order. A sequence holds others in its member `members`."""
    if not isinstance(component, dict):
        return
    inside = component.get(members)
    if component.get("type") == "Sequence" and isinstance(inside, list):
        for one in inside:
            yield from _components(one, members)
    else:
        yield component


def _words(component: dict[str, Any]) -> tuple[str, str]:
    """Return the string that a component searches and the one that it writes. They are empty if it has none."""
    pattern = component.get("pattern")
    searched = pattern.get("String") if isinstance(pattern, dict) else None
    written = component.get("prepend") if component.get("type") == "Prepend" else component.get("content")
    return searched if isinstance(searched, str) else "", written if isinstance(written, str) else ""


def _pass(kind: str, component: dict[str, Any], parts: list[str]) -> list[str]:
    """Return the texts `parts` as one component changes them. If the library refuses the component or a text, they stay as they are."""
    try:
        tokenizer = Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": _MODEL, kind: component}))
        if kind == "normalizer":
            return [tokenizer.normalizer.normalize_str(part) for part in parts]
        return [piece for part in parts for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(part)]
    except BaseException as error:
        if is_library_error(error):
            return parts
        raise
