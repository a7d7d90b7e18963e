"""Change JSON at random, with respect for its structure: the results are mostly JSON, and some are nearly a valid file."""

from __future__ import annotations

import base64
import json
import math
from collections import UserList
from collections.abc import Callable
from random import Random
from typing import Any, Union

__all__ = ["mutated_json"]


class Literal:
    """Text that is written into the JSON as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


class Members(UserList[tuple[str, Any]]):
    """The members of an object. Unlike a dict, it can hold a name twice."""


Node = Union["Members", "Literal", list[Any], str, int, float, bool, None]

_LITERALS = (
    *("-0", "1e999", "-1e999", "1e-999", "0.0", "1.0", "-1", "1e2", "NaN", "Infinity", "-Infinity", "01", "1.", "+1", "0x10", ""),
    *(str(2**k + d) for k in (8, 16, 31, 32, 53, 63, 64) for d in (-1, 0, 1)),
    *("9" * 400, "0." + "1" * 400, "12345678901234567890.123456789e-5", "nul", "'a'", "[" * 200 + "]" * 200, '{"a":' * 150 + "1" + "}" * 150),
)
_STRINGS = (
    "",
    " ",
    "\0",
    "\n",
    "a",
    "ab",
    "\u00e9",
    "e\u0301",
    "\u4e00",
    "\U0001f600",
    "\u2581",
    "\u0120",
    "##",
    "##a",
    "[UNK]",
    "<unk>",
    "<0x41>",
    "x" * 5000,
)
_ESCAPES = (r'"\ud800"', r'"\ud83d\ude00"', r'"\ude00\ud83d"', r'"\u0000"', r'"\u00e9"', r'"\x41"', '"\t"', r'"\\"', r'"\""', r'"a\\\"b"')
_NAMES = (
    *("type", "vocab", "merges", "unk_token", "unk_id", "byte_fallback", "dropout", "fuse_unk", "ignore_merges", "continuing_subword_prefix"),
    *("end_of_word_suffix", "max_input_chars_per_word", "normalizer", "normalizers", "pre_tokenizer", "pretokenizers", "post_processor"),
    *("added_tokens", "truncation", "padding", "pattern", "Regex", "String", "content", "behavior", "invert", "id", "special", "normalized"),
    *("lstrip", "rstrip", "single_word", "prepend_scheme", "split", "replacement", "add_prefix_space", "use_regex", "trim_offsets", "lowercase"),
    *("precompiled_charsmap", "dtype", "shape", "data_offsets", "embeddings", "0", "embedding.weight", "weights", "mapping", "__metadata__"),
    *("normalize", "max_length", "language", "default_prompt_name", "prompts", "query", "idx", "path", "name", "version", "strip_accents"),
)
_WORDS = (
    *("BPE", "WordPiece", "WordLevel", "Unigram", "Sequence", "BertNormalizer", "BertPreTokenizer", "ByteLevel", "Metaspace", "Split", "Whitespace"),
    *("WhitespaceSplit", "Punctuation", "Digits", "NFC", "NFKC", "NFD", "NFKD", "Lowercase", "StripAccents", "Strip", "Prepend", "Replace", "Nmt"),
    *("Precompiled", "UnicodeScripts", "CharDelimiterSplit", "FixedLength", "TemplateProcessing", "RobertaProcessing", "BertProcessing"),
    *("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous", "always", "never", "first", "F32", "F16", "BF16", "F64", "I8"),
    *(
        "I32",
        "I64",
        "U8",
        "BOOL",
        "F8_E4M3",
        "sentence_transformers.models.Normalize",
        "sentence_transformers.models.Dense",
        "\\s+",
        "a|b",
        "[a-z",
        "(?i)a",
    ),
)


def mutated_json(content: bytes, random: Random, donor: bytes | None = None) -> bytes:
    """Return the UTF-8 of a JSON text with one to four random changes.

    Args:
        content: the JSON.
        random: decides on the changes.
        donor: another JSON text, of which parts may be taken.
    """
    tree = json.loads(content, object_pairs_hook=Members)
    others = _containers(json.loads(donor, object_pairs_hook=Members)) if donor is not None else []
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        tree = _change(tree, random, others)
    text = _write(tree)
    return text.encode("utf-8", "surrogatepass")


def _write(tree: Node) -> str:
    """Return the JSON of a tree. `json` writes placeholders where it cannot write what is needed, because it is much faster than a function here."""
    texts: dict[str, str] = {}

    def placeholder(text: str) -> str:
        name = f"@@{len(texts)}@@"
        texts[f'"{name}"'] = text
        return name

    def convert(node: Any) -> Any:
        if isinstance(node, Literal):
            return placeholder(node.text)
        members = dict(node)
        if len(members) == len(node):
            return members
        seen: set[str] = set()
        converted = {}
        for name, value in node:
            converted[placeholder(json.dumps(name)) if name in seen else name] = value
            seen.add(name)
        return converted

    text = json.dumps(tree, default=convert)
    for name, replacement in texts.items():
        text = text.replace(name, replacement)
    return text


def _containers(tree: Node) -> list[Any]:
    """Return all objects and lists that are not empty, the outermost first."""
    found, rest = [], [tree]
    while rest:
        node = rest.pop(0)
        if isinstance(node, (list, Members)) and node:
            found.append(node)
            # Vocabularies are lists of thousands of lists. Some of them are enough.
            children = [value for _, value in node] if isinstance(node, Members) else node
            rest.extend(child for child in children[:40] if isinstance(child, (list, Members)))
    return found


def _change(tree: Node, random: Random, others: list[Any]) -> Node:
    containers = _containers(tree)
    if not containers:
        return _value(random, others)
    # Half of the changes are in the components, which are near the root.
    container = random.choice(containers[:60] if random.random() < 0.7 else containers)
    i = random.randrange(len(container))
    change = random.choice((_replace, _replace, _tweak, _tweak, _tweak, _delete, _repeat, _swap, _insert, _rename))
    change(container, i, random, others)
    return tree


def _get(container: Any, i: int) -> Any:
    return container[i][1] if isinstance(container, Members) else container[i]


def _set(container: Any, i: int, value: Any) -> None:
    container[i] = (container[i][0], value) if isinstance(container, Members) else value


def _value(random: Random, others: list[Any]) -> Any:
    """Return a random value, mostly one at the limits of a type."""
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: random.choice((None, True, False, 0, 1, -1, 2, 7, 0.5)),
        lambda: Literal(random.choice(_LITERALS)),
        lambda: random.choice(_STRINGS),
        lambda: Literal(random.choice(_ESCAPES)),
        lambda: random.choice(_WORDS),
        lambda: random.choice((Members(), [], [[]], [None], Members([("type", "Sequence")]), Members([("a", 1), ("a", 1)]))),
        lambda: random.choice(others) if others else None,
    )
    return random.choice(kinds)()


def _replace(container: Any, i: int, random: Random, others: list[Any]) -> None:
    _set(container, i, _value(random, others))


def _delete(container: Any, i: int, _random: Random, _others: list[Any]) -> None:
    del container[i]


def _repeat(container: Any, i: int, random: Random, _others: list[Any]) -> None:
    for _ in range(random.choice((1, 1, 1, 50))):
        container.insert(random.randrange(len(container) + 1), container[i])


def _swap(container: Any, i: int, random: Random, _others: list[Any]) -> None:
    j = random.randrange(len(container))
    a, b = _get(container, i), _get(container, j)
    _set(container, i, b)
    _set(container, j, a)


def _insert(container: Any, i: int, random: Random, others: list[Any]) -> None:
    value = _value(random, others)
    container.insert(i, (random.choice(_NAMES), value) if isinstance(container, Members) else value)


def _rename(container: Any, i: int, random: Random, others: list[Any]) -> None:
    if isinstance(container, Members):
        container[i] = (random.choice((*_NAMES, *_STRINGS)), container[i][1])
    else:
        _tweak(container, i, random, others)


def _tweak(container: Any, i: int, random: Random, others: list[Any]) -> None:
    """Change a value a little."""
    value = _get(container, i)
    if isinstance(value, bool):
        value = not value
    elif isinstance(value, int):
        value = random.choice((value + 1, value - 1, -value, value * 2, value + 2**32, value / 1 if abs(value) < 2**64 else 0.5, str(value)))
    elif isinstance(value, float):
        whole = int(value) if math.isfinite(value) else 0
        value = random.choice((-value, value * 1e3, value + 1e-9, whole, Literal(f"{value!r}{random.randrange(10**6)}")))
    elif isinstance(value, str) and len(value) > 1000:
        value = _tweaked_base64(value, random)
    elif isinstance(value, str):
        at = random.randrange(len(value) + 1)
        inserted = random.choice((*_STRINGS[:14], "\ud800", "\udc00", "\u0301", "(", "[", "*", "+", "\\", "|", "$", "{1,3}", "^", "A", " "))
        value = random.choice((value[:at] + inserted + value[at:], value[:at] + value[at + 1 :], value.upper(), value * 2, inserted))
    else:
        value = _value(random, others)
    _set(container, i, value)


def _tweaked_base64(value: str, random: Random) -> str:
    """Return the base64 of changed bytes. The first four bytes, a length, are changed most often."""
    try:
        data = bytearray(base64.b64decode(value))
    except ValueError:
        return value[:-1]
    for _ in range(random.choice((1, 1, 3, 30))):
        if data:
            at = random.randrange(4 if random.random() < 0.4 else len(data)) % len(data)
            data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    if random.random() < 0.2:
        del data[random.randrange(len(data)) :]
    return base64.b64encode(data).decode("ascii")
