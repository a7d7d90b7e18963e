"""Time several contenders in turns on the same texts. The result is a row for each contender, in the form that the report's JSON has.

The contenders use one thread in this process, or all cores in a process of their own.
"""

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
from model2vec_numba.cli.timing import time_in_turns

__all__ = ["compare_contenders", "compare_on_all_cores"]


def compare_contenders(found: Mapping[str, Contender], corpus: Corpus, model: str, threads: int | None, seconds: float) -> list[dict[str, Any]]:
    """Time contenders in turns.

    Args:
        found: the contenders. This package is one of them.
        corpus: the texts that they work on.
        model: the name of the model.
        threads: the number of threads that they use. ``None``: all cores.
        seconds: about how long all rounds take together.

    Returns:
        A row for each contender: its seconds, and how many times as long as this package it takes.
    """
    turns = time_in_turns({name: contender.run for name, contender in found.items()}, seconds=seconds, least=min(0.1, seconds / 10))
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


def compare_on_all_cores(
    folder: Path, corpus: Corpus, model: str, rust: Path | RustPeerError, seconds: float
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Time all encoders of the model in `folder`, in a process whose libraries may use all cores.

    Returns:
        The rows of `compare_contenders`, and the reason for each contender that could not take part.
    """
    request = {"folder": str(folder), "name": corpus.name, "texts": corpus.texts, "model": model, "seconds": seconds}
    request |= {"error": str(rust)} if isinstance(rust, RustPeerError) else {"rust": str(rust)}
    environment = {**os.environ, "MODEL2VEC_NUMBA_BENCHMARK": "all cores"}
    command = [sys.executable, "-m", "benchmarks.comparisons"]
    done = subprocess.run(command, input=json.dumps(request), env=environment, check=True, stdout=subprocess.PIPE, text=True)
    rows, absent = json.loads(done.stdout.splitlines()[-1])
    return rows, absent


def _main() -> None:
    """Answer one request of `compare_on_all_cores`."""
    request = json.load(sys.stdin)
    rust = Path(request["rust"]) if "rust" in request else RustPeerError(request["error"])
    corpus = Corpus(request["name"], request["texts"])
    with encoders(Path(request["folder"]), corpus.texts, None, rust) as (found, absent):
        rows = compare_contenders(found, corpus, request["model"], None, request["seconds"])
    sys.stdout.write(json.dumps([rows, absent]) + "\n")


if __name__ == "__main__":
    _main()
