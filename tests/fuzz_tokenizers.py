"""Compare the compiled tokenisers with the `tokenizers` library on far more text than the tests do.

``python fuzz_tokenizers.py [PART ...]``; without parts, all of them run:

- ``bert``: every code point and every pair of some characters, for BERT's normaliser in all its settings;
- ``normalizers``, ``pre-tokenizers``: every code point, pairs and random texts through each of them;
- ``table``: natural texts through every tokenizer of the tests' table;
- ``random``: random texts through random tokenizers;
- ``shared``: the texts in ``../shared`` through the tokenizers there, if there are any;
- ``families``: random texts that are made for each tokenizer, of its own tokens among others, through the tokenizers of the tests' table, those in
  ``../shared`` and those of ``--file``. It prints a line for each family: WordPiece, byte-level BPE, other BPE, Unigram and WordLevel.

The number of texts is that of each part, and in ``families`` that of each family. It exits with 1 if any ids differ.
"""

# ruff: noqa: T201 - it is a program, and prints

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from tokenization.cases import CASES, Comparison
from tokenization.components import PreTokenizerComparison, check_normalizer
from tokenization.configs import (
    BERT_SETTINGS,
    BERT_VARIANTS,
    DISTINCT,
    NORMALIZERS,
    PRE_TOKENIZERS,
    SMALL,
    Config,
    alphabet_config,
    config_of,
    normalizer_sequence,
    random_bpe_model,
    random_unigram_model,
    sequence,
    small_model,
)
from tokenization.hostile import FAMILIES, family_of, hostile_texts, tokenizer_files
from tokenization.texts import REPRESENTATIVES, assigned_characters, characters, every_code_point, joined, natural_texts, pairs, random_texts

_SHARED = Path(__file__).parents[2] / "shared"
# The number of examples that are printed of each comparison, and of texts for each random tokenizer.
_EXAMPLES = 5
_TEXTS = 2000


@dataclass
class Total:
    """Counts of comparisons: the texts, the ids lists that were compared with the library's, those that differ, and the texts left to the library."""

    texts: int = 0
    compared: int = 0
    wrong: int = 0
    fallbacks: int = 0

    def __add__(self, other: Total) -> Total:
        return Total(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        return f"{self.texts:,} texts, {self.wrong} mismatches, {self.fallbacks / max(1, self.compared):.4%} fell back"


class Report:
    """Counts what is wrong, and prints the results."""

    def __init__(self) -> None:
        self.wrong = 0

    def mismatches(self, name: str, case: Comparison, texts: Iterable[str]) -> Total:
        """Compare a tokenizer with the library on texts. Print some of the texts whose ids differ, and return the counts."""
        texts_before, fallbacks_before = case.texts, case.fallbacks
        found = list(case.mismatches(texts, count_fallbacks=True))
        self.wrong += len(found)
        for core, text in found[:_EXAMPLES]:
            print(f"    {name}: {case.describe(core, text)}", flush=True)
        count = case.texts - texts_before
        return Total(count, count * len(case.tokenizers), len(found), case.fallbacks - fallbacks_before)

    def compare(self, name: str, case: Comparison, texts: Iterable[str]) -> None:
        """Compare a tokenizer with the library on texts, and print the counts."""
        start = time.perf_counter()
        total = self.mismatches(name, case, texts)
        print(f"{name}: {total}, {time.perf_counter() - start:.0f} s", flush=True)

    def check(self, name: str, check: Callable[[], object]) -> None:
        """Print whether a check fails."""
        start = time.perf_counter()
        try:
            check()
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        except AssertionError as error:
            self.wrong += 1
            print(f"{name}: {error!a:.300}", flush=True)


def _bert(report: Report, count: int, seed: int) -> None:
    for variant, settings in BERT_VARIANTS.items():
        report.compare(f"every code point, {variant}", Comparison(alphabet_config(assigned_characters(), settings)), every_code_point())
    for settings in BERT_SETTINGS:
        name = ", ".join(f"{key}={value}" for key, value in settings.items())
        report.compare(f"pairs, {name}", Comparison(alphabet_config(REPRESENTATIVES, settings)), pairs())
        texts = random_texts(count // len(BERT_SETTINGS), f"{seed} {name}")
        report.compare(f"random texts, {name}", Comparison(alphabet_config(assigned_characters(), settings)), texts)


def _normalizers(report: Report, count: int, seed: int) -> None:
    # Eight characters in a text, next to each other and apart.
    every = iter(characters())
    groups = list(iter(lambda: "".join(islice(every, 8)), ""))
    texts = [text for group in groups for text in (group, "a ".join(group), "b".join(group[::-1]))]
    for name, config in NORMALIZERS.items():
        report.check(f"every code point, {name}", lambda config=config: check_normalizer(config, texts))  # type: ignore[misc]
        several = [*pairs(REPRESENTATIVES), *random_texts(count // len(NORMALIZERS), f"{seed} {name}")]
        report.check(f"pairs and random texts, {name}", lambda config=config, several=several: check_normalizer(config, several))  # type: ignore[misc]


def _pre_tokenizers(report: Report, count: int, seed: int) -> None:
    for name, config in PRE_TOKENIZERS.items():
        case = PreTokenizerComparison(config)
        texts = random_texts(count // len(PRE_TOKENIZERS), f"{seed} {name}")
        report.check(f"random texts, {name}", lambda case=case, texts=texts: case.check(texts))  # type: ignore[misc]
        if name in DISTINCT:
            every = joined((f"{c} a{c}b '{c} {c}{c}1{c}" for c in characters()), 48)
            report.check(f"every code point, {name}", lambda case=case, every=every: case.check(every))  # type: ignore[misc]
            report.check(f"pairs, {name}", lambda case=case: case.check(pairs()))  # type: ignore[misc]


def _table(report: Report, count: int, seed: int) -> None:
    for name, entry in CASES.items():
        if entry.cores:
            case = Comparison(entry.make())
            report.compare(f"natural texts, {name}", case, natural_texts())


def _random_config(draw: random.Random) -> tuple[str, Config]:
    """Return the name and the config of a tokenizer of random parts."""
    normalizers = draw.choices([*NORMALIZERS], k=draw.randint(0, 4)) if draw.random() < 0.5 else []
    # After most normalisers and all pre-tokenisers, a Metaspace that asks for the beginning of a text is left to the library.
    usual = ("byte-level", "byte-level-prefix", "llama3-bytes", "qwen2-bytes", "starcoder", "whitespace", "bert", "spaces-metaspace-always-\u2581")
    names = [name for name, config in PRE_TOKENIZERS.items() if config is not None and "first" not in name]
    pre_tokenizers = [draw.choice(usual)] if draw.random() < 0.7 else draw.choices(names, k=draw.randint(0, 3))
    model: Config
    kind = draw.choice(["random BPE", "random Unigram", *SMALL])
    if kind == "random BPE":
        model = random_bpe_model(draw)
    elif kind == "random Unigram":
        model = random_unigram_model(draw.randrange(1 << 30), unknown=draw.randrange(9))
    elif kind.startswith("bpe"):
        model = small_model(kind, ignore_merges=draw.random() < 0.3, fuse_unk=draw.random() < 0.3, unk_token=draw.choice([None, "[UNK]"]))
    else:
        model = small_model(kind)
    normalizer = normalizer_sequence(*(NORMALIZERS[name] for name in normalizers)) if normalizers else None
    pre_tokenizer = sequence(*(PRE_TOKENIZERS[name] for name in pre_tokenizers))
    return f"{'+'.join(normalizers)} {'+'.join(pre_tokenizers)} {kind}", config_of(model, pre_tokenizer, normalizer)


def _random(report: Report, count: int, seed: int) -> None:
    draw = random.Random(seed)
    for number in range(count // _TEXTS):
        name, config = _random_config(draw)
        case = Comparison(config)
        if not case.tokenizers:
            print(f"{name}: no core")
            report.wrong += 1
        report.compare(name, case, random_texts(_TEXTS, f"{seed} {number}"))


def _shared_texts() -> Iterator[tuple[str, list[str]]]:
    """Give the shared texts in lines, in paragraphs and in long pieces."""
    for path in sorted((_SHARED / "texts").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        yield f"{path.name}, lines", text.split("\n")
        yield f"{path.name}, paragraphs", text.split("\n\n")
        yield f"{path.name}, pieces", [text[first : first + 10_000] for first in range(0, len(text), 10_000)]
    for path in sorted((_SHARED / "texts").glob("*.json")):
        yield path.name, json.loads(path.read_text(encoding="utf-8"))


def _shared(report: Report, count: int, seed: int) -> None:
    for name, path in tokenizer_files(_SHARED).items():
        case = Comparison(_read(path))
        if not case.tokenizers:
            print(f"{name}: no core")
            continue
        for texts_name, texts in _shared_texts():
            report.compare(f"{texts_name}, {name}", case, texts)


def _read(path: Path) -> Config:
    config: Config = json.loads(path.read_text(encoding="utf-8"))
    return config


def _families(report: Report, count: int, seed: int, families: Sequence[str], files: dict[str, Path]) -> None:
    """Compare hostile texts, `count` for each family: half of them for the tests' tokenizers, and half for the files, if there are any."""
    members: dict[str, list[tuple[str, Callable[[], Config], bool]]] = {family: [] for family in FAMILIES}
    for name, case in CASES.items():
        if case.cores:
            members[family_of(case.make())].append((name, case.make, False))
    for name, path in files.items():
        members[family_of(_read(path))].append((name, partial(_read, path), True))
    for family in families:
        start, total, without = time.perf_counter(), Total(), []
        of_files = sum(is_file for *_, is_file in members[family])
        for name, make, is_file in members[family]:
            config = make()
            case = Comparison(config)
            share = count if of_files in (0, len(members[family])) else count / 2
            texts = hostile_texts(config, math.ceil(share / (of_files if is_file else len(members[family]) - of_files)), f"{seed} {name}")
            if case.tokenizers:
                total += report.mismatches(name, case, texts)
            else:
                without.append(name)
        no_core = f"; no core: {', '.join(without)}" if without else ""
        print(f"{family}, {len(members[family])} tokenizers: {total}, {time.perf_counter() - start:.0f} s{no_core}", flush=True)


_PARTS: dict[str, Callable[..., None]] = {
    "bert": _bert,
    "normalizers": _normalizers,
    "pre-tokenizers": _pre_tokenizers,
    "table": _table,
    "random": _random,
    "shared": _shared,
    "families": _families,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="the comparisons to run (default: all)")
    parser.add_argument("--strings", type=int, default=1_000_000, help="the number of random texts of each part (default: a million)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the random texts and tokenizers")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="only this family, in the part families (default: all)")
    parser.add_argument("--file", action="append", type=Path, default=[], help="a tokenizer.json, for the part families")
    options = parser.parse_args()
    if unknown := set(options.parts) - _PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}; the parts are {', '.join(_PARTS)}")
    files = tokenizer_files(_SHARED) | {str(path): path for path in options.file}
    parts = {**_PARTS, "families": partial(_families, families=options.family or FAMILIES, files=files)}
    report = Report()
    for part in options.parts or parts:
        parts[part](report, options.strings, options.seed)
    print(f"{report.wrong} mismatches in all")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
