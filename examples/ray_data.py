"""Embed the column `text` of Parquet files with Ray Data: ``python ray_data.py IN-FOLDER OUT-FOLDER``."""

from __future__ import annotations

import sys

import ray

from model2vec_numba.integrations.ray import encode


def main(source: str, target: str) -> None:
    """Use two processes on this machine, and a CPU for reading and writing. ``ray.init(address="auto")`` connects to a cluster instead."""
    ray.init(num_cpus=3, include_dashboard=False)
    dataset = ray.data.read_parquet(source)
    encode(dataset, "text", workers=2).write_parquet(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
