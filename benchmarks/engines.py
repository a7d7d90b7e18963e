"""Dask, Ray Data and Spark with one worker and with two on the same rows: ``python -m benchmarks.engines dask 1``, then ``… 2``.

To be run where two cores are idle. The second pass of each is timed: the first starts workers, which load the model.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import pyarrow as pa

from benchmarks.corpora import default_corpora

_PARTS = 8


def dask(table: pa.Table, workers: int) -> Callable[[], object]:
    """A pass of Dask: the sum of the vectors' first numbers, so that no vectors have to travel."""
    import dask.dataframe as dd
    from distributed import Client

    from model2vec_numba.integrations.dask import encode

    client = Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    frame = client.persist(dd.from_pandas(table.to_pandas(), npartitions=_PARTS))
    counts = encode(frame, "text").map_partitions(lambda part: part["embedding"].count(), meta=("n", int))
    return counts.compute  # type: ignore[no-any-return]


def ray(table: pa.Table, workers: int) -> Callable[[], object]:
    """A pass of Ray Data, with the vectors left in its object store."""
    import ray as ray_

    from model2vec_numba.integrations.ray import encode

    ray_.init(num_cpus=workers + 1, include_dashboard=False, log_to_driver=False)
    step = len(table) // _PARTS
    dataset = ray_.data.from_arrow([table[first : first + step] for first in range(0, len(table), step)])
    return lambda: encode(dataset, "text", workers=workers).materialize()


def spark(table: pa.Table, workers: int) -> Callable[[], object]:
    """A pass of Spark into its sink for nothing."""
    from pyspark.sql import SparkSession

    from model2vec_numba.integrations.spark import encode

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", "false").config("spark.driver.memory", "4g")
    frame = builder.getOrCreate().createDataFrame(table).repartition(_PARTS).cache()
    frame.count()
    return lambda: encode(frame, "text").write.format("noop").mode("overwrite").save()


def main() -> None:
    """Time one number of workers in each process, so that none inherits the other's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["dask", "ray", "spark"])
    parser.add_argument("workers", type=int)
    parser.add_argument("--rows", type=int, default=400_000)
    options = parser.parse_args()
    texts = next(default_corpora()).texts
    table = pa.table({"text": (texts * (options.rows // len(texts) + 1))[: options.rows]})
    run = {"dask": dask, "ray": ray, "spark": spark}[options.engine](table, options.workers)
    run()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    print(f"{options.engine}, {options.workers} workers: {options.rows / min(seconds):,.0f} rows/s")  # noqa: T201


if __name__ == "__main__":
    main()
