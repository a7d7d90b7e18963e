"""Embed the column `text` of Parquet files with Spark: ``python spark_arrow.py IN-FOLDER OUT-FOLDER``."""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession

from model2vec_numba.integrations.spark import encode


def main(source: str, target: str) -> None:
    """Use two processes on this machine. ``spark-submit`` can set another master."""
    session = SparkSession.builder.master("local[2]").getOrCreate()
    encode(session.read.parquet(source), "text").write.parquet(target)
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
