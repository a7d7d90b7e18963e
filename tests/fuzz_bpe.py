"""Compare the composed tokeniser's pre-tokenisers and BPE, WordLevel and WordPiece with the `tokenizers` library on far more text than the suite can.

Every code point through each pre-tokeniser; random texts through pipelines of all of them, with trained and with random models; and all texts in
``../shared/texts``, where there are any, through the shared byte-level model. Exits with 1 if any pieces or ids differ.
"""

# ruff: noqa: T201 - it is a program, and prints

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from fuzz_wordpiece import Report, shared_texts
from stage_cases import DISTINCT, MODELS, PRE_TOKENIZERS, PieceCase, PipelineCase, parts_of, random_model, sequence, trained_model
from wordpiece_cases import Parts, characters, natural_texts, pairs, random_texts

_MODEL = Path(__file__).parents[2] / "shared" / "models" / "bpe-multilingual-64-f16" / "tokenizer.json"


def _every_character() -> Iterator[str]:
    """All code points, alone, between letters, after an apostrophe and a space, and before a digit, many to a text."""
    every = characters()
    yield from iter(lambda: " ".join(f"{c} a{c}b '{c} {c}{c}1{c}" for c in islice(every, 48)), "")


def _pieces(draw: random.Random) -> int:
    """Check each pre-tokeniser by itself; returns how many of them differ."""
    wrong = 0
    for name, part in PRE_TOKENIZERS.items():
        case = PieceCase(part)
        try:
            if name in DISTINCT:
                case.check(_every_character())
                case.check(pairs())
            case.check(random_texts(5000, draw.random()))
        except AssertionError as error:
            wrong += 1
            print(f"{name}: {error}")
    print(f"5,000 random texts through {len(PRE_TOKENIZERS)} pre-tokenisers, every code point through some, {wrong} of them differ", flush=True)
    return wrong


def _pipelines(draw: random.Random) -> Iterator[tuple[str, Parts]]:
    """Pipelines of up to three pre-tokenisers and a model, most with ones that are used so, for ever."""
    usual = ("byte-level", "byte-level-prefix", "llama3-bytes", "qwen2-bytes", "starcoder", "whitespace", "bert")
    while True:
        names = [draw.choice(usual)] if draw.random() < 0.7 else draw.choices([*PRE_TOKENIZERS], k=draw.randint(0, 3))
        kind = draw.choice(MODELS)
        random_merges = draw.random() < 0.2
        model = random_model(draw) if random_merges else trained_model(kind, draw.choice(["byte-level", "whitespace"]), draw.choice([600, 3000]))
        if kind.startswith("BPE") and not random_merges:
            model = {**model, "ignore_merges": draw.random() < 0.3, "fuse_unk": draw.random() < 0.3, "unk_token": draw.choice([None, "[UNK]"])}
        yield f"{'+'.join(names)}, {'random merges' if random_merges else kind}", parts_of(sequence(*(PRE_TOKENIZERS[name] for name in names)), model)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strings", type=int, default=1_000_000, help="how many random texts (default: a million)")
    parser.add_argument("--seed", type=int, default=0, help="of the random texts")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    wrong = _pieces(draw)
    report = Report()
    shared = _MODEL.is_file()
    if shared:
        parts = {**json.loads(_MODEL.read_text(encoding="utf-8")), "truncation": None, "padding": None}
        case = PipelineCase(parts)
        for name, texts in {"natural texts": natural_texts(), **dict(shared_texts())}.items():
            report.compare(f"{name}, shared model", case, texts)
        report.compare("random texts, shared model", case, random_texts(options.strings, options.seed))
    # As many meet a pipeline for each four thousand.
    count = 0
    for number, (name, parts) in enumerate(_pipelines(draw)):
        if count >= options.strings:
            break
        report.compare(f"random texts, {name}", PipelineCase(parts), random_texts(min(4000, options.strings - count), f"{options.seed} {number}"))
        count += 4000
    print(f"{report.texts:,} texts in all, {report.mismatches} mismatches, {report.fallbacks / report.texts:.4%} fell back")
    return 1 if report.mismatches or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
