"""Embed the column `text` of Parquet files with Dask: ``python dask_dataframe.py IN-FOLDER OUT-FOLDER``."""

from __future__ import annotations

import sys

import dask.dataframe as dd
from distributed import Client

from model2vec_numba.integrations.dask import encode


def main(source: str, target: str) -> None:
    """Use two processes on this machine. ``Client("tcp://…")`` connects to a cluster of other machines instead."""
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None):
        frame = dd.read_parquet(source)
        encode(frame, "text").to_parquet(target, write_index=False)


if __name__ == "__main__":  # workers import this file
    main(*sys.argv[1:])
