"""Compare the speed of two revisions, in turns on this machine: ``python -m benchmarks.compare BASE [HEAD]``, with ``--help`` for the options.

BASE and HEAD are any names that git has for revisions. Without HEAD, it is the working tree as it is when the run starts. Each side is a process
with one thread; see `revisions`. The processes take turns (base, head, head, base, and so on), so that anything that slows the machine slows both.

    $ python -m benchmarks.compare main                    # what the working tree makes faster or slower
    $ python -m benchmarks.compare v0.1.0 HEAD --json FILE
    $ python -m benchmarks.compare main --case encode --fail-slower 10

Before the cases are timed, the vectors of both sides are compared to the bit. Differences are printed and do not stop the run. `equality` compares
every kind of result.

The ratio is base / head, of the medians: above 1, head is faster. The verdict is "faster" or "slower" if the ratio is more than 3 % from 1 and the
quartiles of the rounds' ratios are on the same side of 1. Otherwise it is "same". A wide spread means that the machine was busy, and then "same"
says little. Two processes of the same revision can differ by a few per cent for their whole lives, so believe a small difference only if a second
run shows it too. A case is "absent" if a side lacks the function that it calls, or if base fails. If head fails, the case has "failed".

The exit code is 0. It is 1 if ``--fail-slower`` applies, and 2 if something has failed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.corpora import Corpus, corpus_from_file, default_corpora
from benchmarks.machine import describe_machine
from benchmarks.revisions import CompareError, RequestError, Revision, Side, ask_both, end_on_signals, open_sides, say
from model2vec_numba.cli.timing import Timings, time_in_turns

__all__ = ["CASES", "Difference", "Result", "compare", "compare_vectors", "main"]

# Each case runs for every corpus, except "load", which runs once for each model.
CASES = ("encode", "encode_arrow", "tokenise", "one sentence", "long document", "load")

_MARGIN = 0.03
_SENTENCES = 200
_DOCUMENT_CHARACTERS = 1_000_000
# A turn repeats its work until it takes this long: the first repetition after the other side's turn is not yet at full speed.
_TURN_SECONDS = 0.02


@dataclass(frozen=True)
class Difference:
    """The difference between the vectors of both sides.

    Attributes:
        model, corpus: the names of the model and the corpus.
        texts: the number of texts.
        different: the number of texts whose vectors are not equal to the bit. ``None``: the vectors cannot be compared.
        largest: the largest difference of two numbers.
        note: why the vectors cannot be compared.
    """

    model: str
    corpus: str
    texts: int
    different: int | None
    largest: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        where = f"Vectors of {self.corpus}, {self.model}"
        if self.different is None:
            return f"{where}: not compared, {self.note}."
        if not self.different:
            return f"{where}: equal to the bit, {self.texts:,} texts."
        return f"{where}: **{self.different:,} of {self.texts:,} texts differ, by {self.largest:.3g} at most**."


@dataclass(frozen=True)
class Result:
    """The result of a case.

    Attributes:
        model, case, corpus: the names. The corpus is "" if the case concerns the model alone.
        turns: the seconds of "base" and "head". ``None``: the case could not be timed.
        note: why it could not be timed: "absent" or "failed", and the reason.
    """

    model: str
    case: str
    corpus: str
    turns: Timings | None
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times as fast head is: the ratio of the medians. NaN if the case could not be timed."""
        return math.nan if self.turns is None else self.turns.ratio("base", "head")

    @property
    def spread(self) -> list[float]:
        """The rounds' ratios: the lowest, the three quartiles and the highest. Empty if the case could not be timed."""
        if self.turns is None:
            return []
        ratios = self.turns.round_ratios("base", "head")
        return [ratios[0], *statistics.quantiles(ratios, n=4, method="inclusive"), ratios[-1]]

    @property
    def verdict(self) -> str:
        """The verdict, as the module's documentation explains it."""
        if self.turns is None:
            return self.note
        _, lower, _, upper, _ = self.spread
        if lower > 1 and self.ratio > 1 + _MARGIN:
            return "faster"
        if upper < 1 and 1 / self.ratio > 1 + _MARGIN:
            return "slower"
        return "same"

    def is_slower_by(self, percent: float) -> bool:
        """Return whether the verdict is "slower" and head takes more than `percent` per cent longer than base."""
        return self.verdict == "slower" and 1 / self.ratio > 1 + percent / 100

    def row(self) -> str:
        """Return the case's line of the table."""
        name = ", ".join(filter(None, (self.case, self.corpus, self.model)))
        if self.turns is None:
            return f"| {name} | | | | | {self.note} |"
        spread = " / ".join(f"{ratio:.3f}" for ratio in self.spread)
        seconds = [_readable(self.turns.median(side)) for side in ("base", "head")]
        return f"| {name} | {seconds[0]} | {seconds[1]} | {self.ratio:.3f} | {spread} | {self.verdict} |"


_HEADER = (
    "| case | base | head | ratio | rounds: lowest / quartiles / highest | verdict |",
    "| --- | --: | --: | --: | --- | --- |",
)


def compare_vectors(model: str, corpus: str, base: NDArray[Any], head: NDArray[Any]) -> Difference:
    """Return how the vectors of both sides differ. Each array has shape (texts, dim)."""
    if base.shape != head.shape or base.dtype != head.dtype:
        kinds = [f"{vectors.dtype}{list(vectors.shape)}" for vectors in (base, head)]
        return Difference(model, corpus, len(head), None, note=f"base has {kinds[0]} and head {kinds[1]}")
    bits = [np.ascontiguousarray(vectors).view(np.uint8).reshape(len(vectors), -1) for vectors in (base, head)]
    rows = (bits[0] != bits[1]).any(axis=1)
    largest = float(np.abs(base[rows].astype(np.float64) - head[rows]).max(initial=0.0))
    return Difference(model, corpus, len(head), int(rows.sum()), largest)


def compare(
    base: Revision,
    head: Revision,
    corpora: Sequence[Corpus],
    models: Sequence[Path | None],
    *,
    cases: Sequence[str] = CASES,
    rounds: int | None = None,
) -> Iterator[Difference | Result]:
    """Compare two revisions.

    Args:
        base, head: the revisions.
        corpora: the texts.
        models: the models' folders. ``None`` is each side's bundled model.
        cases: the cases of `CASES` to time.
        rounds: the number of rounds of each case, plus one if it is odd. ``None``: as many as take about five seconds.

    Yields:
        For each model and corpus the difference of the vectors, then the results of its cases, each as soon as it is known.

    Raises:
        CompareError: git failed, or a process has ended.
    """
    with open_sides(base, head, {corpus.name: _content(corpus) for corpus in corpora}, threads=1) as (sides, folders):
        for folder in models:
            model = "" if folder is None else folder.name
            chosen = [(case, corpus) for corpus in corpora for case in cases if case != "load"]
            if "load" in cases:
                chosen.append(("load", Corpus("", [])))
            try:
                ask_both(sides, [{"do": "open", "model": None if folder is None else os.fspath(folder)}] * 2)
            except RequestError as error:
                yield from (Result(model, case, corpus.name, None, error.note()) for case, corpus in chosen)
                continue
            for corpus in corpora:
                yield _difference(sides, folders, model or "the bundled model", corpus)
            for case, corpus in chosen:
                yield _result(sides, model, case, corpus, rounds)


def _content(corpus: Corpus) -> dict[str, Any]:
    """Return a corpus as the sides get it. The single sentences come from all parts of it, so that they have the length of its texts."""
    step = max(1, len(corpus.texts) // _SENTENCES)
    document = "\n".join(corpus.texts)[:_DOCUMENT_CHARACTERS]
    return {"texts": corpus.texts, "sentences": corpus.texts[::step][:_SENTENCES], "document": document}


def _difference(sides: Sequence[Side], folders: Sequence[Path], model: str, corpus: Corpus) -> Difference:
    files = [folder / "vectors.npy" for folder in folders]
    try:
        ask_both(sides, [{"do": "vectors", "corpus": corpus.name, "file": str(file)} for file in files])
    except RequestError as error:
        return Difference(model, corpus.name, len(corpus.texts), None, note=error.note())
    return compare_vectors(model, corpus.name, np.load(files[0]), np.load(files[1]))


def _result(sides: Sequence[Side], model: str, case: str, corpus: Corpus, rounds: int | None) -> Result:
    request = {"do": "time", "case": case, "corpus": corpus.name}
    try:
        # Both may have to compile the first time.
        ask_both(sides, [{**request, "repeat": 1}] * 2)
        once = statistics.geometric_mean(_seconds(side, {**request, "repeat": 1}) for side in sides)
        repeat = max(1, math.ceil(_TURN_SECONDS / max(once, 1e-9)))
        base, head = (partial(_seconds, side, {**request, "repeat": repeat}) for side in sides)
        turns = _alternate(base, head, rounds)
    except RequestError as error:
        return Result(model, case, corpus.name, None, error.note())
    units = repeat * (len(_content(corpus)["sentences"]) if case == "one sentence" else 1)
    return Result(model, case, corpus.name, Timings({name: [value / units for value in seconds] for name, seconds in turns.seconds.items()}))


def _seconds(side: Side, request: dict[str, Any]) -> float:
    seconds: float = side.ask(request)["seconds"]
    return seconds


def _alternate(base: Callable[[], float], head: Callable[[], float], rounds: int | None) -> Timings:
    """Call `time_in_turns`, with the other order in every second round: two of these rounds are one round of its four contenders."""
    taken = time_in_turns(
        {"base": base, "head": head, "head again": head, "base again": base},
        rounds=None if rounds is None else (rounds + 1) // 2,
    ).seconds
    merged = {name: zip(taken[name], taken[f"{name} again"], strict=True) for name in ("base", "head")}
    return Timings({name: [seconds for both in pairs for seconds in both] for name, pairs in merged.items()})


def _readable(seconds: float) -> str:
    """Return seconds with a suitable unit and four digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds / 1e-6:.4g} µs"


def _as_json(result: Result) -> dict[str, Any]:
    content: dict[str, Any] = {"model": result.model or None, "case": result.case, "corpus": result.corpus or None, "verdict": result.verdict}
    if result.turns is None:
        return content
    names = ("lowest", "lower_quartile", "median", "upper_quartile", "highest")
    seconds = {f"{name}_seconds": list(values) for name, values in result.turns.seconds.items()}
    return {**content, "ratio_of_medians": result.ratio, "round_ratios": dict(zip(names, result.spread, strict=True)), **seconds}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("base", metavar="BASE", help="the revision to compare with")
    parser.add_argument("head", metavar="HEAD", nargs="?", help="the revision to judge (default: the working tree)")
    parser.add_argument("--model", type=Path, action="append", metavar="FOLDER", help="a model to use in addition to the bundled one")
    parser.add_argument("--text", type=Path, action="append", metavar="FILE", help="UTF-8 text to use, one text a line, instead of the default texts")
    parser.add_argument("--paragraphs", action="store_true", help="split the files of --text on blank lines, not on every line")
    parser.add_argument("--case", choices=CASES, action="append", help="time only this case; may be given more than once")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="time N rounds of each case, not as many as take five seconds")
    parser.add_argument("--fail-slower", type=float, metavar="PERCENT", help='exit with 1 if a case is "slower" by more than this')
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results, with every round, to this file")
    options = parser.parse_args(arguments)
    for folder in options.model or []:
        if not folder.is_dir():
            parser.error(f"--model {folder}: no such folder")
    if options.json and not options.json.parent.is_dir():
        parser.error(f"--json {options.json}: no such folder")
    return options


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected an integer of 1 or more")
    return int(text)


def _corpora(files: Sequence[Path], paragraphs: bool) -> list[Corpus]:
    """Return the texts of the files, or the default texts if there are no files.

    Raises:
        CompareError: a file has no texts, or two files have the same name.
        OSError, UnicodeError: a file cannot be read.
    """
    corpora = [corpus_from_file(path, paragraphs) for path in files] or list(default_corpora())
    if empty := [corpus.name for corpus in corpora if not corpus.texts]:
        raise CompareError(f"{', '.join(empty)}: no texts")
    if len({corpus.name for corpus in corpora}) < len(corpora):
        raise CompareError("--text: two files have the same name")
    return corpora


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print each result as soon as it is known.

    Returns:
        The exit code.
    """
    options = _parse(arguments)
    cases = [case for case in CASES if case in (options.case or CASES)]
    differences: list[Difference] = []
    results: list[Result] = []
    in_table = False
    try:
        corpora = _corpora(options.text or [], options.paragraphs)
        base, head = Revision.find(options.base), Revision.find(options.head)
        described = {"base": base.describe(), "head": head.describe(), "machine": describe_machine()}
        say(f"Base: {described['base']}. Head: {described['head']}.", "", described["machine"], "")
        sys.stderr.write("First both sides compile, which takes up to a minute.\n")
        for found in compare(base, head, corpora, [None, *(options.model or [])], cases=cases, rounds=options.rounds):
            if isinstance(found, Difference):
                differences.append(found)
                say(*[""] * in_table, f"- {found}")
                in_table = False
            else:
                results.append(found)
                say(*[] if in_table else ["", *_HEADER], found.row())
                in_table = True
        if options.json:
            content = {**described, "differences": [asdict(found) for found in differences], "cases": [_as_json(found) for found in results]}
            options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except (CompareError, OSError, UnicodeError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    if any(note.startswith("failed") for note in [*(found.note for found in differences), *(found.note for found in results)]):
        return 2
    return int(options.fail_slower is not None and any(found.is_slower_by(options.fail_slower) for found in results))


if __name__ == "__main__":
    end_on_signals()
    raise SystemExit(main())
