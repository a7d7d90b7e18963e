"""Compare the composed backend with the `tokenizers` library on far more text than the test suite can.

Every code point, alone and between letters, for each normaliser; random pipelines of the covered components on random texts; and, where there are
any, the Unigram models of ``../shared`` on all of its texts and on random ones. Exits with 1 if anything differs.
"""

# ruff: noqa: T201 - it is a program, and prints

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline_cases import (
    NORMALIZERS,
    PRE_TOKENIZERS,
    PipelineCase,
    normalizer_mismatches,
    sequence,
    tied_vocabulary,
    tokenizer_parts,
    trained_vocabulary,
)
from wordpiece_cases import characters, random_texts

_SHARED = Path(__file__).parents[2] / "shared"
_SHOWN = 5
_GROUP = 2000


def _shared_cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """The tokenizers of `_SHARED` that are Unigram."""
    for path in sorted(_SHARED.glob("*/**/tokenizer.json")):
        parts = json.loads(path.read_text(encoding="utf-8"))
        if parts["model"]["type"] == "Unigram":
            yield path.parent.name, parts


def _shared_texts() -> Iterator[str]:
    for path in sorted((_SHARED / "texts").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        yield from text.split("\n")
        yield from text.split("\n\n")
        yield from (text[first : first + 10_000] for first in range(0, len(text), 10_000))
    for path in sorted((_SHARED / "texts").glob("*.json")):
        yield from json.loads(path.read_text(encoding="utf-8"))


def _random_pipeline(draw: random.Random) -> dict[str, Any]:
    names = draw.choices([*NORMALIZERS], k=draw.randint(0, 4))
    # A Metaspace that asks for a text's beginning is left to the library behind most normalisers.
    pre_tokenizer = PRE_TOKENIZERS[draw.choice([name for name in PRE_TOKENIZERS if "first" not in name or not names])]
    vocabulary = trained_vocabulary(draw.random() < 0.5) if draw.random() < 0.5 else tied_vocabulary(draw.randrange(1 << 30))
    normalizer = sequence(*(NORMALIZERS[name] for name in names)) if names else None
    return tokenizer_parts(vocabulary, normalizer, pre_tokenizer, unknown=draw.randrange(9))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strings", type=int, default=1_000_000, help="how many random texts for each model (default: a million)")
    parser.add_argument("--seed", type=int, default=0, help="of the random texts and pipelines")
    parser.add_argument("--no-code-points", action="store_true", help="leave out the normalisers on every code point")
    options = parser.parse_args()
    wrong = 0

    def report(name: str, count: int, found: list[Any], fallbacks: int, start: float) -> None:
        nonlocal wrong
        wrong += len(found)
        seconds = time.perf_counter() - start
        print(f"{name}: {count:,} texts, {len(found)} mismatches, {fallbacks / max(1, count):.4%} fell back, {seconds:.0f} s", flush=True)
        for example in found[:_SHOWN]:
            print(f"    {example!a:.300}")

    if not options.no_code_points:
        # Eight to a text, next to each other and apart; what is next to each other is another code point each time.
        every = iter(characters())
        texts = [text for group in iter(lambda: "".join(islice(every, 8)), "") for text in (group, "a ".join(group), "b".join(group[::-1]))]
        for name, part in NORMALIZERS.items():
            start = time.perf_counter()
            found, fallbacks = normalizer_mismatches(part, texts)
            report(f"every code point, {name}", len(texts), found, fallbacks, start)
    for name, parts in _shared_cases():
        start = time.perf_counter()
        case = PipelineCase(parts)
        found = case.mismatches(_shared_texts())
        report(f"{name}, shared texts", case.texts, found, case.fallbacks, start)
        start = time.perf_counter()
        case = PipelineCase(parts)
        found = case.mismatches(random_texts(options.strings, options.seed))
        report(f"{name}, random texts", case.texts, found, case.fallbacks, start)
    draw = random.Random(options.seed)
    for number in range(options.strings // 2 // _GROUP):
        start = time.perf_counter()
        parts = _random_pipeline(draw)
        case = PipelineCase(parts)
        found = case.mismatches(random_texts(_GROUP, options.seed + number + 1))
        kinds = [part["type"] for part in (parts["normalizer"] or {"normalizers": []})["normalizers"]]
        report(f"pipeline {number}: {'+'.join(kinds)}, {json.dumps(parts['pre_tokenizer'])}", case.texts, found, case.fallbacks, start)
    print(f"{wrong} mismatches in all")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
