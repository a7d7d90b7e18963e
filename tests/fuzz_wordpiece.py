"""Compare the compiled WordPiece backend with the `tokenizers` library on far more text than the test suite can.

Every code point, alone and between letters, for each of the tests' variants of BERT's normaliser; pairs of code points of all classes and
random texts for every normaliser there is; and all texts in ``../shared/texts``, where there are any. Exits with 1 if any ids differ.
"""

# ruff: noqa: T201 - it is a program, and prints

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from wordpiece_cases import (
    ALL_VARIANTS,
    REPRESENTATIVES,
    VARIANTS,
    Case,
    alphabet_parts,
    assigned_characters,
    bundled_parts,
    characters,
    natural_texts,
    pairs,
    random_texts,
    trained_parts,
    with_normalizer,
)

_TEXTS = Path(__file__).parents[2] / "shared" / "texts"
_SHOWN = 5


class Report:
    """Counts what was compared, and prints it."""

    def __init__(self) -> None:
        self.mismatches = 0
        self.texts = 0
        self.fallbacks = 0

    def compare(self, name: str, case: Case, texts: Iterable[str], *, size: int = 8192) -> None:
        """Compare all of the texts."""
        start = time.perf_counter()
        before = case.texts, case.fallbacks
        found = case.mismatches(texts, size, count_fallbacks=True)
        count, fallbacks = case.texts - before[0], case.fallbacks - before[1]
        self.mismatches += len(found)
        self.texts += count
        self.fallbacks += fallbacks
        share = fallbacks / max(1, count)
        seconds = time.perf_counter() - start
        print(f"{name}: {count:,} texts, {len(found)} mismatches, {share:.4%} fell back, {seconds:.0f} s", flush=True)
        for text in found[:_SHOWN]:
            print(f"    {case.describe(text)}")


def _lone() -> Iterator[str]:
    """Texts in which every code point stands alone and between letters, those that nobody has assigned many to a text."""
    assigned = assigned_characters()
    yield from assigned
    yield from (f"a{c}b" for c in assigned)
    rest = iter(sorted(set(characters()) - set(assigned)))
    yield from iter(lambda: " ".join(f"{c} a{c}b" for c in islice(rest, 64)), "")


def shared_texts() -> Iterator[tuple[str, list[str]]]:
    """The files of `_TEXTS`, in lines and in paragraphs."""
    for path in sorted(_TEXTS.glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        yield f"{path.name}, lines", text.split("\n")
        yield f"{path.name}, paragraphs", text.split("\n\n")
        yield f"{path.name}, whole", [text]
    for path in sorted(_TEXTS.glob("*.json")):
        yield path.name, json.loads(path.read_text(encoding="utf-8"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strings", type=int, default=1_000_000, help="how many random texts (default: a million)")
    parser.add_argument("--seed", type=int, default=0, help="of the random texts")
    options = parser.parse_args()
    report = Report()
    vocabularies = {
        "bundled": bundled_parts(),
        "trained": trained_parts(),
        "trained, @@": trained_parts("@@", 1000),
        "trained, none": trained_parts("", 5),
    }
    everything = alphabet_parts(assigned_characters())
    for variant, settings in VARIANTS.items():
        report.compare(f"every code point, {variant}", Case(with_normalizer(everything, settings)), _lone(), size=1 << 15)
    representatives = alphabet_parts(REPRESENTATIVES)
    # Half of the random texts meet a vocabulary with tokens for all characters, in which nothing is unknown.
    count = -(-options.strings // (2 * len(ALL_VARIANTS)))
    for number, settings in enumerate(ALL_VARIANTS):
        name = ", ".join(f"{key}={value}" for key, value in settings.items())
        report.compare(f"pairs, {name}", Case(with_normalizer(representatives, settings)), pairs())
        seed = options.seed * len(ALL_VARIANTS) + number
        every = Case(with_normalizer(everything, settings))
        report.compare(f"random texts, all characters, {name}", every, random_texts(count, 2 * seed))
        vocabulary = [*vocabularies][number % len(vocabularies)]
        trained = Case(with_normalizer(vocabularies[vocabulary], settings))
        report.compare(f"random texts, {vocabulary}, {name}", trained, random_texts(count, 2 * seed + 1))
    files = {"natural texts": natural_texts(), **dict(shared_texts())}
    for variant, settings in VARIANTS.items():
        for vocabulary, parts in vocabularies.items():
            case = Case(with_normalizer(parts, settings))
            for name, texts in files.items():
                if vocabulary != "bundled" and name.endswith(("paragraphs", "whole")):
                    continue
                report.compare(f"{name}, {vocabulary}, {variant}", case, texts)
    print(f"{report.texts:,} texts in all, {report.mismatches} mismatches, {report.fallbacks / report.texts:.4%} fell back")
    return 1 if report.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
