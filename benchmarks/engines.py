"""Measure Dask, Ray Data and Spark with one worker process and with two: ``python -m benchmarks.engines dask``, or ``ray`` or ``spark``.

The input is a folder of Parquet files with long documents, all of which are encoded. This needs two idle cores.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpora import default_corpora

_DOCUMENT_BYTES = 8000
_FILE_BYTES = 32 << 20


def make(folder: Path, size: int) -> int:
    """Write files of documents, about `size` bytes together, and return the number of documents. A document is made of random paragraphs."""
    paragraphs = next(default_corpora()).texts
    draw = random.Random(3)
    count = _FILE_BYTES // _DOCUMENT_BYTES
    files = max(2, size // _FILE_BYTES)
    for number in range(files):
        documents = []
        for _ in range(count):
            document: list[str] = []
            while sum(map(len, document)) < _DOCUMENT_BYTES:
                document.append(draw.choice(paragraphs))
            documents.append("\n".join(document))
        pq.write_table(pa.table({"text": documents}), folder / f"{number:04}.parquet", compression="none", use_dictionary=False)
    return files * count


def seconds_of(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def dask(folder: str, workers: int) -> float:
    """Return the seconds of Dask for all files. Only the number of vectors is sent back, not the vectors."""
    import dask.dataframe as dd
    from distributed import Client

    from model2vec_numba.integrations.dask import encode

    def run(name: str) -> object:
        # The name differs in each run, because Dask keeps the results of equal tasks.
        frame = encode(dd.read_parquet(folder), "text", output=name, max_length=None)
        return frame.map_partitions(lambda part: part[name].count(), meta=("n", int)).compute()

    with Client(n_workers=workers, threads_per_worker=1, dashboard_address=None):
        # The first run loads the model in the workers.
        run("first")
        return seconds_of(partial(run, "second"))


def ray(folder: str, workers: int) -> float:
    """Return the seconds of Ray Data for all files, without the start of its workers, which it starts again for each dataset.

    The start cancels out in the difference between a dataset and one of three times as many blocks.
    """
    import ray as ray_

    from model2vec_numba.integrations.ray import encode

    ray_.init(num_cpus=workers + 1, include_dashboard=False, log_to_driver=False)
    # The blocks come from Ray's object store and go back to it: without a network, Ray's own reader took 20 seconds to list files.
    blocks = [ray_.put(pq.read_table(path)) for path in sorted(Path(folder).iterdir())]

    def run(times: int) -> object:
        return encode(ray_.data.from_arrow_refs(blocks * times), "text", workers=workers, batch_size=512, max_length=None).materialize()

    run(1)
    few, many = (seconds_of(partial(run, times)) for times in (1, 3))
    return (many - few) / 2


def spark(folder: str, workers: int) -> float:
    """Return the seconds of Spark for all files. Its "noop" sink discards the result."""
    from pyspark.sql import SparkSession

    from model2vec_numba.integrations.spark import encode

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", "false").config("spark.driver.memory", "4g").getOrCreate()

    def run() -> object:
        return encode(session.read.parquet(folder), "text", max_length=None).write.format("noop").mode("overwrite").save()

    # The first run loads the model in the workers, and Java compiles.
    run()
    return seconds_of(run)


_ENGINES = {"dask": dask, "ray": ray, "spark": spark}


def measured(engine: str, workers: int, folder: str) -> float:
    """Return the seconds of an engine in a process of its own, so that it does not inherit another engine's workers."""
    command = [sys.executable, "-m", "benchmarks.engines", engine, "--workers", str(workers), "--folder", folder]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> None:
    """Measure one and two workers in turns, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=_ENGINES)
    parser.add_argument("--size", type=float, default=2.0, help="gigabytes of the input")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.workers:
        print(_ENGINES[options.engine](options.folder, options.workers))  # noqa: T201
        return
    with tempfile.TemporaryDirectory() as folder:
        documents = make(Path(folder), int(options.size * 1e9))
        rounds = [[measured(options.engine, workers, folder) for workers in (1, 2)] for _ in range(options.rounds)]
    one, two = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    ratios = sorted(first / second for first, second in rounds)
    print(f"{options.engine}: {documents / one:,.0f} documents/s with one worker, {documents / two:,.0f} with two")  # noqa: T201
    print(f"two workers are {one / two:.2f} times as fast ({ratios[0]:.2f} to {ratios[-1]:.2f})")  # noqa: T201


if __name__ == "__main__":
    main()
