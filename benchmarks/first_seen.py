"""Time text that is seen for the first time, as in every real job, and the same text again: ``python -m benchmarks.first_seen``.

Other benchmarks encode the same texts again and again, and then a cache of words knows all of them. Here each contender is a fresh process
(`contenders`). After a warm-up on other texts, it works on texts that it has never seen (`new_texts`), each of them once. Then it works on some of
them again. The contenders take turns, round by round, and ratios are medians of the ratios of processor times in one round. The tables are:

- "encode" and "tokenise": one thread, 2,000 texts a round, in one call;
- "jobs": one thread, as many texts as there are, up to 100,000, after a warm-up of only ten texts: the first 1,000 texts, and all of them;
- "calls": the median wall time of a call of 1 to 10,000 texts, with as many threads as each contender takes by itself, on an idle machine and with a
  busy neighbour, a process that only computes, on each core. A busy core gives each of two processes half of its time. So the table also has the wall
  time of a loop that needs the processor time of this package's call.

A contender that is not installed is left out. ``--base FOLDER`` adds another revision of this package, which must be checked out there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contenders import BASE, ENCODERS, OURS, TOKENIZERS, AbsentError, Process, Settings, open_processes, vectors_differ
from benchmarks.corpora import Corpus, default_corpora
from benchmarks.machine import describe_machine
from benchmarks.made_models import TYPES, write_models
from benchmarks.new_texts import LANGUAGES, new_texts
from benchmarks.rust_peers import RustPeerError, build

__all__ = ["QUICK", "SIZES", "Amounts", "call_lines", "job_lines", "measure_calls", "measure_first_seen", "measure_job", "new_lines", "run"]

SIZES = (1, 10, 30, 100, 300, 1000, 3000, 10_000)
_SECTIONS = ("encode", "languages", "names", "tokenise", "jobs", "calls", "all cores")
_COMPARED = 300

Row = dict[str, Any]


class Amounts(NamedTuple):
    """How much is measured.

    Attributes:
        warm: the number of texts of the warm-up.
        texts: the number of texts of a round.
        rounds: the number of rounds of a process with new texts, and with the same texts again.
        processes: the number of fresh processes of each contender.
        job: the number of texts of a job.
        calls: the number of calls of each size, if there are enough texts.
    """

    warm: int = 2000
    texts: int = 2000
    rounds: int = 10
    processes: int = 2
    job: int = 100_000
    calls: int = 40


QUICK = Amounts(warm=200, texts=200, rounds=3, processes=1, job=5000, calls=5)


def measure_first_seen(
    task: str, names: Sequence[str], folder: Path, model: str, corpus: Corpus, settings: Settings, amounts: Amounts
) -> tuple[list[Row], dict[str, str]]:
    """Time contenders on new texts and on the same texts again, with one thread.

    Args:
        task: "encode" or "tokenise".
        names: the contenders, with `OURS`.
        folder: the model, in Model2Vec's layout.
        model: the name of the model.
        corpus: the texts. If there are too few for all rounds, there are fewer rounds.
        settings: what some contenders need.
        amounts: how much is measured.

    Returns:
        A row for each contender, and the reason for each contender that could not take part. A row has for "new" and "repeated" text the seconds of
        processor time for a text, and how many times the processor time of this package it is: the median, the lowest and the highest of all rounds.
    """
    size = min(amounts.texts, (len(corpus.texts) - amounts.warm) // 2)
    rounds = min(amounts.rounds, (len(corpus.texts) - amounts.warm) // size)
    texts = corpus.texts[: amounts.warm + rounds * size]
    taken: dict[str, dict[str, list[float]]] = {}
    labels: dict[str, str] = {}
    unlike: dict[str, str] = {}
    for _ in range(amounts.processes):
        with tempfile.TemporaryDirectory() as files:
            opening = open_processes(task, names, folder, texts, settings, threads=1, warm=amounts.warm, files=Path(files))
            with opening as (processes, absent):
                for number in range(2 * rounds + 1):
                    # After the new texts, the first ones come again. Their first repetition is not counted.
                    kind = "new" if number < rounds else "repeated"
                    first = amounts.warm + (size * number if number < rounds else 0)
                    for name in _order(processes, number):
                        processor = processes[name].calls(first, first + size, size).processor
                        if number != rounds:
                            taken.setdefault(name, {"new": [], "repeated": []})[kind].append(processor / size)
                labels |= {name: process.name for name, process in processes.items()}
                unlike |= _differences(processes, min(_COMPARED, amounts.warm))
    rows = []
    for name, seconds in taken.items():
        row: Row = {"task": task, "corpus": corpus.name, "model": model, "contender": name, "name": labels[name], "unlike": unlike[name]}
        row |= {"texts": rounds * size, "bytes": sum(len(text.encode()) for text in texts) / len(texts)}
        for kind, values in seconds.items():
            ratios = sorted(theirs / ours for theirs, ours in zip(values, taken[OURS][kind], strict=True))
            row[kind] = {"seconds": statistics.median(values), "ratio": statistics.median(ratios), "low": ratios[0], "high": ratios[-1]}
        rows.append(row)
    return rows, absent


def _order(processes: Mapping[str, Process], number: int) -> list[str]:
    """Return the names of the contenders in the order of a round. In every second round it is reversed."""
    return list(processes)[:: -1 if number % 2 else 1]


def _differences(processes: Mapping[str, Process], count: int) -> dict[str, str]:
    expected = processes[OURS].result(count)
    return {name: "" if name == OURS else vectors_differ(process.result(count), expected) for name, process in processes.items()}


def measure_job(names: Sequence[str], folder: Path, model: str, corpus: Corpus, settings: Settings, amounts: Amounts) -> list[Row]:
    """Time one job of many new texts with one thread, in calls of 1,000, with caches that know nothing.

    Returns:
        A row for each contender: the processor time of the first 1,000 texts and of all texts, in seconds. It is the median of all processes.
    """
    warm, first = 10, 1000
    texts = corpus.texts[: warm + min(amounts.job, len(corpus.texts) - warm)]
    taken: dict[str, list[tuple[float, float]]] = {}
    labels: dict[str, str] = {}
    for number in range(amounts.processes):
        with tempfile.TemporaryDirectory() as files:
            opening = open_processes("encode", names, folder, texts, settings, threads=1, warm=warm, files=Path(files))
            with opening as (processes, _):
                for name in _order(processes, number):
                    cold = processes[name].calls(warm, warm + first, first).processor
                    rest = processes[name].calls(warm + first, len(texts), first).processor
                    taken.setdefault(name, []).append((cold, cold + rest))
                    labels[name] = processes[name].name
    return [
        {
            "corpus": corpus.name,
            "model": model,
            "contender": name,
            "name": labels[name],
            "first": first,
            "texts": len(texts) - warm,
            "cold": statistics.median(cold for cold, _ in seconds),
            "all": statistics.median(whole for _, whole in seconds),
        }
        for name, seconds in taken.items()
    ]


def measure_calls(
    names: Sequence[str],
    folder: Path,
    model: str,
    corpus: Corpus,
    settings: Settings,
    amounts: Amounts,
    *,
    busy: bool = False,
    repeated: bool = False,
    sizes: Sequence[int] = SIZES,
) -> list[Row]:
    """Time single calls of several sizes on new texts, with as many threads as each contender takes by itself.

    Args:
        names, folder, model, corpus, settings, amounts: see `measure_first_seen`.
        busy: whether each core has a busy neighbour.
        repeated: whether all calls of a size have the same texts. The first one is then not counted.
        sizes: the numbers of texts of a call. A size is left out if there are not enough texts.

    Returns:
        A row for each size and contender: the median wall time and processor time of a call, the median of the ratios of the wall times to this
        package's, and for this package the median wall time of a loop that needs the processor time of a call.
    """
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as files:
        opening = open_processes("encode", names, folder, corpus.texts, settings, threads=None, warm=amounts.warm, files=Path(files))
        with opening as (processes, _), _busy_neighbours(busy):
            first = amounts.warm
            for size in sizes:
                share = (len(corpus.texts) - first) // (len(sizes) - sizes.index(size))
                count = min(amounts.calls, max(4, 20_000 // size), max(share, size) // size)
                if first + count * size > len(corpus.texts):
                    continue
                described = {"model": model, "corpus": corpus.name, "busy": busy, "repeated": repeated}
                if repeated:
                    _calls_of_size(processes, [first], size, described)
                begins = [first] * count if repeated else list(range(first, first + count * size, size))
                rows += _calls_of_size(processes, begins, size, described)
                first += count * size
    return rows


def _calls_of_size(processes: Mapping[str, Process], begins: Sequence[int], size: int, described: Row) -> list[Row]:
    """Return the rows of one size. Each call is on the `size` texts from one of `begins` on."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
    loops: list[float] = []
    for number, begin in enumerate(begins):
        for name in _order(processes, number):
            found = processes[name].calls(begin, begin + size, size)
            taken[name].append((found.seconds[0], found.processor))
        loops.append(_loop(taken[OURS][-1][1]))
    rows = []
    for name, times in taken.items():
        walls, processor = (list(values) for values in zip(*times, strict=True))
        ratios = [theirs[0] / ours[0] for theirs, ours in zip(times, taken[OURS], strict=True)]
        row = {**described, "size": size, "calls": len(begins), "contender": name, "name": processes[name].name}
        row |= {"seconds": statistics.median(walls), "processor": statistics.median(processor), "ratio": statistics.median(ratios)}
        rows.append(row | ({"loop": statistics.median(loops)} if name == OURS else {}))
    return rows


def _loop(seconds: float) -> float:
    """Compute for some seconds of processor time, and return the wall time that this took."""
    begin, end = time.perf_counter(), time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return time.perf_counter() - begin


@contextmanager
def _busy_neighbours(busy: bool) -> Iterator[None]:
    """Run a process that only computes on each core."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    code = "import os, sys\nif hasattr(os, 'sched_setaffinity'):\n    os.sched_setaffinity(0, [int(sys.argv[1])])\nwhile True:\n    pass"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(core)]) for core in cores] if busy else []
    try:
        time.sleep(0.5 * busy)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def new_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a table of `measure_first_seen`."""
    yield "| texts | model | contender | new, texts/s | repeated, texts/s | times as long as this package: new (rounds) | repeated (rounds) |  |"
    yield "| --- | --- | --- | --: | --: | --: | --: | --- |"
    for row in rows:
        speeds = [f"{1 / row[kind]['seconds']:,.0f}" for kind in ("new", "repeated")]
        ratios = ["" if row["contender"] == OURS else _spread(row[kind]) for kind in ("new", "repeated")]
        yield f"| {' | '.join([row['corpus'], row['model'], _label(row), *speeds, *ratios, row['unlike']])} |"


def _spread(found: Mapping[str, float]) -> str:
    return f"{found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def _label(row: Row) -> str:
    return f"{row['name']}, base" if row["contender"] == BASE else str(row["name"])


def job_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a table of `measure_job`."""
    yield "| texts | model | contender | number | the first 1,000, texts/s | all, texts/s |"
    yield "| --- | --- | --- | --: | --: | --: |"
    for row in rows:
        speeds = f"{row['first'] / row['cold']:,.0f} | {row['texts'] / row['all']:,.0f}"
        yield f"| {row['corpus']} | {row['model']} | {_label(row)} | {row['texts']:,} | {speeds} |"


def call_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a table of `measure_calls`."""
    yield "| texts a call | model | cores | contender | wall time, ms | processor time, ms | a loop of it, ms | times as long |"
    yield "| --: | --- | --- | --- | --: | --: | --: | --: |"
    for row in rows:
        times = " | ".join(f"{row[kind] * 1e3:.3f}" if kind in row else "" for kind in ("seconds", "processor", "loop"))
        ratio = "" if row["contender"] == OURS else f"{row['ratio']:.2f}"
        size = f"{row['size']:,}" + ", repeated" * row["repeated"]
        yield f"| {size} | {row['model']} | {'busy' if row['busy'] else 'idle'} | {_label(row)} | {times} | {ratio} |"


def run(
    models: Mapping[str, Path], settings: Settings, amounts: Amounts, *, sections: Sequence[str] = _SECTIONS, encoders: Sequence[str] = ENCODERS
) -> dict[str, Any]:
    """Measure some sections.

    Args:
        models: folders of models: "int8", "float32", "bpe", and any others. "languages" uses all that are not the bundled model.
        settings: what some contenders need.
        amounts: how much is measured.
        sections: some of `_SECTIONS`.
        encoders: some of `ENCODERS`.

    Returns:
        The rows of each table: "encode", "tokenise", "jobs", "calls" and "all cores". "absent" has the reason for each contender that could not take
        part.
    """
    wanted = amounts.warm + amounts.texts * amounts.rounds
    many = {"jobs", "calls", "all cores"} & set(sections)
    found: dict[str, Any] = {"encode": [], "tokenise": [], "jobs": [], "calls": [], "all cores": [], "absent": {}}
    english = new_texts("English", max(wanted, amounts.job if many else 0))

    def measure(task: str, names: Sequence[str], model: str, corpus: Corpus, amounts: Amounts = amounts) -> None:
        with failures(f"{task}, {model}, {corpus.name}"):
            rows, absent = measure_first_seen(task, names, models[model], model, corpus, settings, amounts)
            found[task] += rows
            found["absent"] |= {f"{name}, {task}, {model}": reason for name, reason in absent.items()}

    @contextmanager
    def failures(what: str) -> Iterator[None]:
        """Go on with the next table if a contender fails."""
        try:
            yield
        except AbsentError as error:
            found["absent"][what] = str(error)

    if "encode" in sections:
        for model in ("int8", "float32"):
            measure("encode", encoders, model, english)
    if "languages" in sections:
        others = [name for name in encoders if name in (OURS, BASE)] if BASE in encoders else encoders
        fewer = amounts._replace(rounds=(amounts.rounds + 1) // 2)
        for model in (name for name in models if name not in TYPES):
            for corpus in (english, *(new_texts(language, wanted) for language in LANGUAGES)):
                measure("encode", others, model, corpus, fewer)
    if "names" in sections:
        measure("encode", encoders, "int8", _names())
    if "tokenise" in sections:
        for model in ("int8", "bpe"):
            measure("tokenise", TOKENIZERS, model, english)
    if "jobs" in sections:
        with failures("jobs"):
            found["jobs"] += measure_job(encoders, models["int8"], "int8", english, settings, amounts)
    for busy in (False, True) if "calls" in sections else ():
        with failures(f"calls, {'busy' if busy else 'idle'}"):
            found["calls"] += measure_calls(encoders, models["int8"], "int8", english, settings, amounts, busy=busy)
    for repeated in (False, True) if "all cores" in sections else ():
        with failures("all cores"):
            found["all cores"] += measure_calls(encoders, models["int8"], "int8", english, settings, amounts, repeated=repeated, sizes=(2600,))
    return found


def _names() -> Corpus:
    """Return names in thirty languages, in random order and each once."""
    (corpus,) = [corpus for corpus in default_corpora() if corpus.name.startswith("names")]
    texts = [" ".join(text.split()) for text in dict.fromkeys(corpus.texts)]
    return Corpus(corpus.name, texts)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="a checkout of another revision, as a further contender")
    parser.add_argument("--model", type=Path, action="append", default=[], metavar="FOLDER", help="a model for all languages, instead of made ones")
    parser.add_argument("--section", action="append", choices=_SECTIONS, help="measure only this section; may be given more than once")
    parser.add_argument("--contender", action="append", choices=ENCODERS, help="only these encoders; may be given more than once")
    parser.add_argument("--tokenizers-1", type=Path, metavar="PYTHON", help="a Python that has version 1 of tokenizers")
    parser.add_argument("--rust", type=Path, metavar="FILE", help="the executable of the Rust peers, instead of building it")
    parser.add_argument("--quick", action="store_true", help="measure little of everything, to check that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args()
    rust: Path | RustPeerError
    try:
        rust = options.rust or build()
    except RustPeerError as error:
        rust = error
    settings = Settings(options.base, rust, options.tokenizers_1)
    encoders = tuple(options.contender or ENCODERS)
    encoders = (OURS, *(name for name in encoders if name != OURS and (name != BASE or options.base)))
    with tempfile.TemporaryDirectory() as folder:
        models = write_models(Path(folder), 3000 if options.quick else 60_000)
        if options.model:
            # The tokenisers are compared on the made model.
            models = {name: models[name] for name in ("int8", "float32", "bpe")} | {path.name: path for path in options.model}
        results = run(models, settings, QUICK if options.quick else Amounts(), sections=options.section or _SECTIONS, encoders=encoders)
    print(describe_machine(), "\n")  # noqa: T201
    for name, lines in {"encode": new_lines, "tokenise": new_lines, "jobs": job_lines, "calls": call_lines, "all cores": call_lines}.items():
        if rows := results.get(name):
            print(*lines(rows), "", sep="\n")  # noqa: T201
    for name, reason in results["absent"].items():
        print(f"- {name}: {reason}")  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
