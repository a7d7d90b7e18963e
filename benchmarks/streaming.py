"""Measure the command line on a large Parquet file: its peak memory, its rows per second compared with the same rows in memory, and resuming.

``python -m benchmarks.streaming FOLDER`` makes the file in a folder, which must have space for it and for the output. ``--help`` has the options.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpora import corpus_from_file, default_corpora
from model2vec_numba import StaticModel

_ROW_GROUP = 100_000


def make(path: Path, size: int, text: Path | None) -> None:
    """Write an uncompressed Parquet file of about `size` bytes: paragraphs in random order, each with a number."""
    corpus = corpus_from_file(text, paragraphs=True) if text else next(default_corpora())
    draw = random.Random(5)
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    rows = 0
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        while not path.exists() or path.stat().st_size < size:
            texts = draw.choices(corpus.texts, k=_ROW_GROUP)
            writer.write_table(pa.table([pa.array(range(rows, rows + _ROW_GROUP)), pa.array(texts, pa.string())], schema=schema))
            rows += _ROW_GROUP


def in_memory(path: Path, rows: int, dtype: Literal["float32", "float16"]) -> float:
    """Return the rows per second of `encode_arrow` on the first rows, the best of three runs."""
    texts = next(pq.ParquetFile(path).iter_batches(rows, columns=["text"]))["text"]
    model = StaticModel.from_pretrained()
    model.encode_arrow(texts, dtype=dtype)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        model.encode_arrow(texts, dtype=dtype)
        seconds.append(time.perf_counter() - start)
    return len(texts) / min(seconds)


def run(given: Path, out: Path, *options: str, kill_after: float | None = None) -> tuple[int, float, int]:
    """Run the command line. Return the exit code, the seconds, and the peak resident set in bytes."""
    start = time.perf_counter()
    peak = 0
    with subprocess.Popen([sys.executable, "-m", "model2vec_numba", "encode", given, "-o", out, "-q", *options]) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            if kill_after is not None and time.perf_counter() - start > kill_after:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
    return process.returncode, time.perf_counter() - start, peak


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
    return digest.hexdigest()


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=float, default=2.0, help="gigabytes of the input")
    parser.add_argument("--text", type=Path, help="a text file whose paragraphs are used (default: Python's documentation)")
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32", help="the type of the vectors' elements, also in memory")
    parser.add_argument("--suffix", default=".parquet", help="the format of the output")
    parser.add_argument("--kills", type=int, default=0, help="run once more, killed this many times at random moments and resumed")
    options = parser.parse_args()
    given, out = options.folder / "in.parquet", options.folder / f"out{options.suffix}"
    if not given.exists():
        make(given, int(options.size * 1e9), options.text)
    rows = pq.read_metadata(given).num_rows
    alone = in_memory(given, min(rows, 1_000_000), options.dtype)
    code, seconds, peak = run(given, out, "--dtype", options.dtype)
    print(f"{given.stat().st_size / 1e9:.2f} GB, {rows:,} rows; exit code {code}, peak resident set {peak / 1e6:,.0f} MB")  # noqa: T201
    print(f"{rows / seconds:,.0f} rows/s from start to end, {rows / seconds / alone:.0%} of the {alone:,.0f} rows/s in memory")  # noqa: T201
    if options.kills:
        whole = file_digest(out)
        out.unlink()
        for _ in range(options.kills):
            run(given, out, "--dtype", options.dtype, "--resume", kill_after=random.uniform(2, max(4, 2 * seconds / options.kills)))
        code, _, _ = run(given, out, "--dtype", options.dtype, "--resume")
        same = "equal" if file_digest(out) == whole else "DIFFERENT"
        print(f"killed up to {options.kills} times: exit code {code}, {same} to the file of one run")  # noqa: T201


if __name__ == "__main__":
    main()
