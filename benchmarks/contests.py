"""Contests: contenders take turns, and what comes out is a row for each, as JSON has it. On one thread here, on all cores in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.corpora import Corpus
from benchmarks.peers import OURS, Contender, encoders
from benchmarks.rust_peers import RustPeerError
from model2vec_numba.cli.turns import take_turns

__all__ = ["contest", "contest_on_all_cores"]


def contest(found: Mapping[str, Contender], corpus: Corpus, model: str, threads: int | None, seconds: float) -> list[dict[str, Any]]:
    """Let contenders, this package among them, take turns: a row for each, its speed and how many times as long it takes as this package."""
    turns = take_turns({name: contender.run for name, contender in found.items()}, seconds=seconds, least=min(0.1, seconds / 10))
    rows = []
    for name, contender in found.items():
        ratios = turns.round_ratios(name, OURS)
        rows.append(
            {
                "corpus": corpus.name,
                "texts": len(corpus.texts),
                "bytes": corpus.size,
                "model": model,
                "threads": threads or "all",
                "contender": name,
                "name": contender.name,
                "seconds": turns.median(name),
                "rounds": len(ratios),
                "ratio": turns.ratio(name, OURS),
                "ratio_low": ratios[0],
                "ratio_high": ratios[-1],
                "unlike": contender.unlike,
            }
        )
    return rows


def contest_on_all_cores(
    folder: Path, corpus: Corpus, model: str, rust: Path | RustPeerError, seconds: float
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """`contest` of what encodes with the model in `folder`, in a process whose libraries may use all cores; and the reasons why others do not."""
    given = {"folder": str(folder), "name": corpus.name, "texts": corpus.texts, "model": model, "seconds": seconds}
    given |= {"error": str(rust)} if isinstance(rust, RustPeerError) else {"rust": str(rust)}
    environment = {**os.environ, "MODEL2VEC_NUMBA_BENCHMARK": "all cores"}
    command = [sys.executable, "-m", "benchmarks.contests"]
    done = subprocess.run(command, input=json.dumps(given), env=environment, check=True, stdout=subprocess.PIPE, text=True)
    rows, absent = json.loads(done.stdout.splitlines()[-1])
    return rows, absent


def _main() -> None:
    given = json.load(sys.stdin)
    rust = Path(given["rust"]) if "rust" in given else RustPeerError(given["error"])
    corpus = Corpus(given["name"], given["texts"])
    with encoders(Path(given["folder"]), corpus.texts, None, rust) as (found, absent):
        rows = contest(found, corpus, given["model"], None, given["seconds"])
    sys.stdout.write(json.dumps([rows, absent]) + "\n")


if __name__ == "__main__":
    _main()
