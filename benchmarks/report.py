"""Make the whole report with one command: ``python -m benchmarks.report``, or ``nox -s report``, which also installs the peers.

It begins with text that is seen for the first time (`first_seen`), and goes on with the same texts again and again. It writes `benchmarks.json`,
`benchmarks.md` and the figures to a folder, and the table of speeds to README.md. All contenders take turns on the same files and texts. The results
of each contender are compared with this package's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import model2vec_numba
from benchmarks.comparisons import compare_contenders, compare_on_all_cores
from benchmarks.contenders import BASE, ENCODERS, Settings
from benchmarks.corpora import Corpus, default_corpora, documents
from benchmarks.figures import COLOURS, markdown_picture, note_of, save_figure
from benchmarks.first_seen import QUICK, Amounts, call_lines, job_lines, new_lines, run
from benchmarks.growth import measure_growth
from benchmarks.growth_pages import CAPTIONS, draw_growth, growth_tables
from benchmarks.large_models import write_wordpiece_model
from benchmarks.machine import describe_machine
from benchmarks.made_models import KINDS, TYPES, write_models
from benchmarks.peers import OURS, Contender, encoders, tokenizers
from benchmarks.processes import run_start, run_steps
from benchmarks.rust_peers import RustPeerError, build
from model2vec_numba import StaticModel
from model2vec_numba.batches import BatchLimits, TextBatch
from model2vec_numba.cli.timing import time_in_turns, timed
from model2vec_numba.pooling.kernels import pool
from model2vec_numba.starting.mode import VARIABLE
from model2vec_numba.text.strings import Strings

_README = Path(__file__).parents[1] / "README.md"
_RUST_README = {"model2vec (Rust), its README": 8000, "model2vec (Python), the same README": 4650}

_ENCODERS = tuple(name for name in ENCODERS if name != BASE)

_FIRST_SEEN = """\
A real job encodes each text once. So here each contender is a fresh process that works, after a warm-up on 2,000 other texts, on texts that it has
never seen, with one thread. Then it works on the first 2,000 of them again and again ("repeated"). Speeds count processor time, and a ratio is the
median of the ratios of all rounds. English is what the installed Python packages say in docstrings, comments and pages: technical English with
some code. The other languages are generated: the letters are real, most words are not, and new words come all the time, as in real text.
`benchmarks/new_texts.py` says how."""

_JOBS = "One job in a fresh process after a warm-up on ten texts: its first 1,000 texts, while all caches are empty, and the whole job."

_CALLS = """\
The median wall time of a call on new texts, with as many threads as each contender takes by itself. On busy cores, each core also has a process that
only computes. A busy core gives each of two processes half of its time, in slices of some milliseconds. So the table also has the wall time of a loop
that needs the processor time of this package's call. "Times as long" is the ratio of wall times to this package's."""

_METHOD = (
    "The contenders, this package and others, use the same texts and model files, and take turns. Speeds are medians. A ratio is that of two medians,"
    " and the brackets show the lowest and the highest ratio of any one round. The vectors of each contender are compared with this package's"
    " before it is timed, and the last column says where they differ."
)

Row = dict[str, Any]


def main() -> None:
    """Measure everything, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"), help="the folder to write to")
    parser.add_argument("--quick", action="store_true", help="measure little of everything, to check that it works")
    parser.add_argument("--text", type=Path, metavar="FILE", help="UTF-8 text in paragraphs, to use instead of Python's documentation")
    parser.add_argument("--tokenizers-1", type=Path, metavar="PYTHON", help="a Python that has version 1 of tokenizers")
    parser.add_argument("--readme", action="store_true", help="also write the table of speeds to README.md")
    parser.add_argument("--draw", action="store_true", help="measure nothing, and write the page and the figures from the existing JSON")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "benchmarks.json"
    if arguments.draw:
        results = json.loads(path.read_text(encoding="utf-8"))
    else:
        results = measure(arguments.quick, arguments.text, arguments.tokenizers_1)
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    figures = {"speed": lambda: draw_speed(results), **draw_growth(results["growth"])}
    for name, draw in figures.items():
        save_figure(draw, arguments.output / name, note_of(name, results["machine"]))
    (arguments.output / "benchmarks.md").write_text(page(results, list(figures)), encoding="utf-8")
    if arguments.readme:
        text = _README.read_text(encoding="utf-8")
        table = "\n".join(speed_table(results))
        _README.write_text(re.sub(r"(?<=<!-- speed -->\n).*?(?=\n<!-- /speed -->)", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


def measure(quick: bool, text: Path | None, tokenizers_1: Path | None) -> dict[str, Any]:
    """Return all results, in the form that the JSON file has."""
    seconds = 0.5 if quick else 5.0
    corpora = _corpora(300 if quick else 20_000, text)
    try:
        rust: Path | RustPeerError = build()
    except RustPeerError as error:
        rust = error
    with tempfile.TemporaryDirectory() as folder:
        models = write_models(Path(folder), 3000 if quick else 60_000)
        results: dict[str, Any] = {"machine": describe_machine(), "quick": quick, "encode": [], "absent": {}}
        results["first_seen"] = run(models, Settings(None, rust, tokenizers_1), QUICK if quick else Amounts(), encoders=_ENCODERS)
        for corpus in corpora:
            for name in TYPES:
                _encode(results, corpus, models, name, rust, seconds)
        for name in KINDS:
            for corpus in corpora[:3]:
                _encode(results, corpus, models, name, rust, seconds)
        for name in ("int8", "float32"):
            rows, absent = compare_on_all_cores(models[name], corpora[0], name, rust, seconds)
            results["encode"] += rows
            results["absent"] |= {f"{peer}, {name}": reason for peer, reason in absent.items()}
        results["tokenize"] = [
            row
            for name in ("int8", *KINDS)
            for corpus in (corpora[0], corpora[2], corpora[3])
            for row in _tokenize(results, corpus, models[name], name, seconds)
        ]
        results["stages"] = [_stages(models[name], corpora[0], name, seconds) for name in TYPES]
        results["latency"] = [row for name in TYPES for row in _latency(models[name], name, seconds)]
        results["processes"] = _processes(Path(folder), 1 if quick else 9, quick)
    results["growth"] = measure_growth(quick=quick)
    return results


def _corpora(limit: int, text: Path | None) -> list[Corpus]:
    """Return paragraphs, lines, names and documents. Each text is on one line, because the Rust programs read a text a line."""
    corpora = list(default_corpora())
    if text is not None:
        paragraphs = [part for part in re.split(r"\n\s*\n", text.read_text(encoding="utf-8-sig")) if part.strip()]
        corpora[0], corpora[3] = Corpus(text.stem, paragraphs), Corpus(f"{text.stem}-documents", documents(paragraphs))
    return [Corpus(corpus.name, [" ".join(part.split()) for part in corpus.texts][:limit]) for corpus in corpora]


def _encode(results: dict[str, Any], corpus: Corpus, models: dict[str, Path], name: str, rust: Path | RustPeerError, seconds: float) -> None:
    with encoders(models[name], corpus.texts, 1, rust) as (found, absent):
        results["absent"] |= {f"{peer}, {name}": reason for peer, reason in absent.items()}
        results["encode"] += compare_contenders(found, corpus, name, 1, seconds)


def _tokenize(results: dict[str, Any], corpus: Corpus, folder: Path, name: str, seconds: float) -> list[Row]:
    found, absent = tokenizers(folder, corpus.texts)
    results["absent"] |= {f"{peer}, {name}": reason for peer, reason in absent.items()}
    return compare_contenders(found, corpus, name, 1, seconds)


def _stages(folder: Path, corpus: Corpus, name: str, seconds: float) -> Row:
    """Return the seconds of `encode` on one thread, and of each of its stages alone."""
    model = StaticModel.from_pretrained(folder)
    tokenizer, table = model._tokenizer, model._table

    def flatten_all() -> list[TextBatch]:
        return [batch.make() for batch in Strings(corpus.texts, None).batches(BatchLimits(1024))]

    batches = flatten_all()
    # A result may refer to its scratch memory, so each of the results that are kept has scratch memory of its own.
    tokens = [tokenizer.tokenize(batch, model.max_length, tokenizer.take_scratch()) for batch in batches]
    out = np.empty((max(map(len, batches)), model.dim), np.float32)

    def tokenize_all() -> None:
        scratch = tokenizer.take_scratch()
        for batch in batches:
            tokenizer.tokenize(batch, model.max_length, scratch)
        tokenizer.give_back(scratch)

    def pool_all() -> None:
        for token_batch in tokens:
            pool(table, token_batch, True, out[: len(token_batch)])

    turns = time_in_turns(
        {
            "encode": timed(lambda: model.encode(corpus.texts, num_threads=1)),
            "flatten": timed(flatten_all),
            "tokenise": timed(tokenize_all),
            "pool": timed(pool_all),
        },
        seconds=seconds,
        least=min(0.1, seconds / 10),
    )
    return {
        "model": name,
        "tokens": sum(int(token_batch.offsets[-1]) for token_batch in tokens),
        **{stage: turns.median(stage) for stage in turns.seconds},
    }


def _latency(folder: Path, name: str, seconds: float) -> Iterator[Row]:
    """Give the rows of calls with one sentence."""
    text = "The train to Vienna leaves at seven in the morning, and the next one at nine."
    with encoders(folder, [text], 1, RustPeerError("a call in another process cannot be compared")) as (found, _):
        ours, theirs = StaticModel.from_pretrained(folder), found["model2vec"]
        pair = {OURS: Contender(found[OURS].name, timed(lambda: ours.encode(text)), lambda: None), "model2vec": theirs}
        yield from compare_contenders(pair, Corpus("one sentence", [text]), name, 1, min(seconds, 2.0))


def _processes(folder: Path, rounds: int, quick: bool) -> dict[str, Any]:
    """Measure starts with an empty and a warm cache, and the memory of a large model, each in a process of its own."""
    environment = {"NUMBA_CACHE_DIR": str(folder / "cache"), VARIABLE: "background"}
    starts: dict[str, list[float]] = {"model2vec": [], OURS: []}
    empty = [run_start("model2vec_numba", {**environment, "NUMBA_CACHE_DIR": str(folder / f"cache-{i}")})["seconds"] for i in range(rounds)]
    rows = 5000 if quick else 500_000
    write_wordpiece_model(folder / "small", 10, 256)
    write_wordpiece_model(folder / "large", rows, 256)
    for model in ("default", folder / "small", folder / "large"):
        command = [sys.executable, "-m", "model2vec_numba", "warmup", "-m", str(model), "-q"]
        subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)
    for _ in range(rounds):
        starts["model2vec"].append(run_start("model2vec", environment)["seconds"])
        starts[OURS].append(run_start("model2vec_numba", environment)["seconds"])
    memory = {package: run_steps(package, folder, environment) for package in ("model2vec", "model2vec_numba")}
    return {"empty cache": float(np.median(empty)), "starts": starts, "rows": rows, "memory": memory}


def _speed(row: Row) -> float:
    return float(row["texts"] / row["seconds"])


def _headline(results: dict[str, Any], threads: int | str = 1) -> list[Row]:
    """Return the rows of the paragraphs."""
    corpus = results["encode"][0]["corpus"]
    return [row for row in results["encode"] if row["corpus"] == corpus and row["threads"] == threads and row["model"] in TYPES]


def speed_table(results: dict[str, Any]) -> list[str]:
    """Return the lines of README's table: English on one thread, seen for the first time and repeated."""
    rows = _english(results)
    contenders = [name for name in dict.fromkeys(row["contender"] for row in rows) if name != OURS]
    named = {row["contender"]: row["name"] for row in rows}
    lines = [
        f"| texts/s | {' | '.join(named[name] for name in contenders)} | this package | times model2vec |",
        "| --- |" + " --: |" * (len(contenders) + 2),
    ]
    for model in dict.fromkeys(row["model"] for row in rows):
        found = {row["contender"]: row for row in rows if row["model"] == model}
        for kind, title in (("new", "seen for the first time"), ("repeated", "repeated")):
            speeds = [f"{1 / found[name][kind]['seconds']:,.0f}" if name in found else "-" for name in (*contenders, OURS)]
            peer = found["model2vec"][kind]
            lines.append(f"| {model}, {title} | {' | '.join(speeds)} | {peer['ratio']:.1f} ({peer['low']:.1f} to {peer['high']:.1f}) |")
    return lines


def _english(results: dict[str, Any]) -> list[Row]:
    """Return the rows of English texts that are seen for the first time, of the bundled model."""
    return [row for row in results["first_seen"]["encode"] if row["corpus"] == "English" and row["model"] in TYPES]


def draw_speed(results: dict[str, Any]) -> Figure:
    """Draw bars: the texts per second of each contender on English with one thread. The full bar is new text, and the pale one repeated text."""
    figure = Figure(figsize=(8, 4))
    panels = figure.subplots(1, 2, sharex=True)
    rows = _english(results)
    colours = dict(zip(dict.fromkeys(row["contender"] for row in rows), COLOURS, strict=False))
    longest = max(1 / row["repeated"]["seconds"] for row in rows) / 1e3
    for panel, model in zip(panels, ("int8", "float32"), strict=True):
        chosen = [row for row in rows if row["model"] == model][::-1]
        names = [row["contender"] for row in chosen]
        new, repeated = ([1 / row[kind]["seconds"] / 1e3 for row in chosen] for kind in ("new", "repeated"))
        panel.barh(names, repeated, color=[colours[name] for name in names], alpha=0.35)
        bars = panel.barh(names, new, color=[colours[name] for name in names])
        panel.bar_label(bars, [f"{speed:,.0f}" for speed in new], padding=3, fontsize=8)
        panel.set(title=model, xlabel="thousand texts/s (pale: repeated)", xlim=(0, 1.2 * longest))
        panel.grid(axis="y", visible=False)
    figure.tight_layout()
    return figure


def _table(rows: Sequence[Row], what: str) -> list[str]:
    head = ("texts", "model", "threads", "contender", f"{what}/s", "MB/s", "times as long as this package (rounds)", "")
    lines = [f"| {' | '.join(head)} |", "| --- | --- | --- | --- | --: | --: | --: | --- |"]
    for row in rows:
        ratio = "" if row["contender"] == OURS else f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
        size = row["bytes"] / row["seconds"] / 1e6
        lines.append(
            f"| {row['corpus']} | {row['model']} | {row['threads']} | {row['name']} | {_speed(row):,.0f} | {size:,.1f} | {ratio} | {row['unlike']} |"
        )
    return lines


def page(results: dict[str, Any], figures: Sequence[str]) -> str:
    """Return the page of the documentation."""
    encode, processes = results["encode"], results["processes"]
    corpora = {row["corpus"]: row for row in encode}
    lines = [
        "# Benchmarks",
        "",
        f"{results['machine']} Made by `nox -s report`.",
        "",
        _METHOD,
        "",
        "The texts, each on one line: "
        + "; ".join(f"{name}, {row['texts']:,} of {row['bytes'] / row['texts']:,.0f} bytes" for name, row in corpora.items())
        + ". The models int8, float16 and float32 are the bundled model (WordPiece, 256 dimensions) in these types. The models unigram and bpe are"
        " made by a script and have float32 vectors.",
        "",
        *(["**This was a quick run. It shows only that everything works.**", ""] if results["quick"] else []),
        markdown_picture("speed", "Bars: the texts per second of each contender, on new texts and on repeated ones"),
        "",
        *_first_seen_lines(results["first_seen"]),
        "## Encode the same texts again",
        "",
        *_table(encode, "texts"),
        "",
        *(["Contenders that could not take part:", ""] if results["absent"] else []),
        *(f"- {name}: {reason}" for name, reason in results["absent"].items()),
        "",
        "Since version 0.4, the crate model2vec-rs has its own tokenisers for WordPiece and Unigram. Most other peers tokenise with the `tokenizers`",
        "library, which takes most of their time.",
        "",
        "## The Rust crate's headline",
        "",
        "Samples per second on one thread: the numbers in the README of the crate `model2vec`, and the speeds measured here (paragraphs, float32).",
        "",
        "| | samples/s |",
        "| --- | --: |",
        *(f"| {name} | {speed:,} |" for name, speed in _RUST_README.items()),
        *(f"| {row['name']}, here | {_speed(row):,.0f} |" for row in _headline(results) if row["model"] == "float32"),
        "",
        "## Where the time goes",
        "",
        "Each step of `encode` alone, over all batches of the paragraphs, on one thread.",
        "",
        "| model | tokens | encode, ms | flatten, ms | tokenise, ms | pool, ms |",
        "| --- | --: | --: | --: | --: | --: |",
        *(
            f"| {row['model']} | {row['tokens']:,} | " + " | ".join(f"{row[s] * 1e3:.1f}" for s in ("encode", "flatten", "tokenise", "pool")) + " |"
            for row in results["stages"]
        ),
        "",
        "## Tokenise",
        "",
        *_table(results["tokenize"], "texts"),
        "",
        "## One sentence",
        "",
        *_table(results["latency"], "calls"),
        "",
        "## Processes",
        "",
        *_process_lines(processes),
        "",
        "## How cost grows",
        "",
        *(line for name in figures if name != "speed" for line in (markdown_picture(name, CAPTIONS[name]), "")),
        *growth_tables(results["growth"]),
    ]
    return "\n".join(lines) + "\n"


def _first_seen_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines about text that is seen for the first time."""
    yield from ("## Text that is seen for the first time", "", _FIRST_SEEN, "", *new_lines(found["encode"]), "")
    yield from ("### Tokenise", "", "From a list of strings to ids.", "", *new_lines(found["tokenise"]), "")
    yield from (f"- {name} did not take part: {reason}" for name, reason in found["absent"].items())
    yield from ("", "### A job from its first text", "", _JOBS, "", *job_lines(found["jobs"]), "")
    yield from ("### Calls beside busy processes", "", _CALLS, "", *call_lines(found["calls"]), "")
    yield from ("All cores, idle:", "", *call_lines(found["all cores"]), "")


def _process_lines(processes: dict[str, Any]) -> Iterator[str]:
    theirs, ours = (float(np.median(processes["starts"][name])) for name in ("model2vec", OURS))
    yield f"- From the start of a process to its first vector, with a warm cache of compiled code: {ours:.2f} s. model2vec: {theirs:.2f} s."
    yield f"- The same with an empty cache: {processes['empty cache']:.2f} s. The first vector does not wait for the compiler."
    for package, steps in processes["memory"].items():
        found = {step: size / 1e6 for step, size in steps.items()}
        yield (
            f"- Resident memory of {package} with an int8 model of {processes['rows']:,} x 256: {found['loaded']:.0f} MB after loading (peak "
            f"{found['loaded_peak']:.0f}), {found['touched']:.0f} MB after every row was used (peak {found['touched_peak']:.0f})."
        )


if __name__ == "__main__":
    model2vec_numba.set_num_threads(1)
    main()
