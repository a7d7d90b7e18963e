"""Dask, Ray Data and Spark, on clusters of several processes on this machine, against `encode` with a list of the same texts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model2vec_numba import StaticModel

pytest.importorskip("pyarrow")

# These libraries warn about their own affairs: pandas 3 with Spark, sockets that are not closed, names that are deprecated.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.filterwarnings("ignore::ResourceWarning")]

TEXTS = ["some text", None, "na\u00efve \u65e5\u672c\u8a9e", "", "more of it, and longer than the others by some words", None] * 50
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def cached(default_model: StaticModel) -> None:
    """Compile the kernels that the workers need, so that no two workers compile them."""
    import numba

    default_model.encode([text or "" for text in TEXTS])
    numba.set_num_threads(1)
    default_model.encode([text or "" for text in TEXTS])
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


def assert_rows(numbers: list[int], vectors: list[Any], model: StaticModel, **options: Any) -> None:
    """Check that every row exists once, with the vector of its text to the bit. A null text has None."""
    expected = model.encode([text or "" for text in TEXTS], **options)
    assert sorted(numbers) == list(range(len(TEXTS)))
    for number, vector in zip(numbers, vectors, strict=True):
        assert vector is None if TEXTS[number] is None else np.array(vector, np.float32).tobytes() == expected[number].tobytes()


def run_example(name: str, tmp_path: Path, model: StaticModel) -> None:
    """Run an example on files of a few rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    given, out = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    numbers = pa.array(range(len(TEXTS)), pa.int64())
    for part, (first, stop) in enumerate(((0, 100), (100, 100), (100, len(TEXTS)))):
        texts = pa.array(TEXTS[first:stop], pa.string())
        pq.write_table(pa.table({"id": numbers[first:stop], "text": texts}), given / f"{part}.parquet")
    subprocess.run([sys.executable, EXAMPLES / name, given, out], check=True, timeout=240, capture_output=True)
    found = pq.read_table(out)
    assert_rows(found["id"].to_pylist(), found["embedding"].to_pylist(), model)


# Dask


@pytest.fixture(scope="module")
def dask_client(cached: None) -> Iterator[Any]:
    pytest.importorskip("dask.dataframe")
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.mark.parametrize("scheduler", ["distributed", "threads", "synchronous"])
@pytest.mark.parametrize("by", ["name", "value"])
def test_dask(by: str, scheduler: str, dask_client: Any, default_model: StaticModel) -> None:
    import dask.dataframe as dd
    import pandas as pd

    from model2vec_numba.integrations.dask import encode

    assert len(set(dask_client.run(os.getpid).values())) == 2
    frame = dd.from_pandas(pd.DataFrame({"id": range(len(TEXTS)), "text": TEXTS}), npartitions=4)
    # One partition is empty.
    frame = dd.concat([frame, frame[frame["id"] < 0].partitions[:1]])
    made = encode(frame, "text", None if by == "name" else default_model)
    assert str(made.dtypes["embedding"]) == f"fixed_size_list<item: float>[{default_model.dim}][pyarrow]"
    found = made.compute(scheduler=dask_client if scheduler == "distributed" else scheduler)
    assert list(found.columns) == ["id", "text", "embedding"]
    assert_rows(found["id"].tolist(), [None if vector is pd.NA else vector for vector in found["embedding"]], default_model)


def test_dask_options(dask_client: Any, tiny_folder: Path) -> None:
    import dask.dataframe as dd
    import pandas as pd

    from model2vec_numba.integrations.dask import encode

    frame = dd.from_pandas(pd.DataFrame({"body": ["the cat sat", "here"]}), npartitions=2)
    found = encode(frame, "body", tiny_folder, output="v", max_length=2, normalize=True).compute()
    expected = StaticModel.from_pretrained(tiny_folder).encode(["the cat sat", "here"], max_length=2, normalize=True)
    assert np.array(found["v"].tolist(), np.float32).tobytes() == expected.tobytes()


def test_dask_example(cached: None, tmp_path: Path, default_model: StaticModel) -> None:
    pytest.importorskip("dask.dataframe")
    run_example("dask_dataframe.py", tmp_path, default_model)


# Ray Data


@pytest.fixture(scope="module")
def ray(cached: None) -> Iterator[Any]:
    module = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    # Two processors for the workers, and one for the tasks that read. With two they would wait for each other.
    module.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield module
    module.shutdown()


@pytest.mark.parametrize("by", ["name", "value"])
def test_ray(by: str, ray: Any, default_model: StaticModel) -> None:
    import pyarrow as pa

    from model2vec_numba.integrations.ray import encode

    table = pa.table({"id": range(len(TEXTS)), "text": pa.array(TEXTS, pa.string())})
    dataset = ray.data.from_arrow([table[:100], table[100:100], table[100:]])
    made = encode(dataset, "text", None if by == "name" else default_model, workers=2, batch_size=50)
    found = pa.concat_tables(ray.get(made.to_arrow_refs()))
    assert found.schema.names == ["id", "text", "embedding"]
    assert found.schema.field("embedding").type == pa.list_(pa.float32(), default_model.dim)
    assert_rows(found["id"].to_pylist(), found["embedding"].to_pylist(), default_model)


def test_ray_options(ray: Any, tiny_folder: Path) -> None:
    import pyarrow as pa

    from model2vec_numba.integrations.ray import encode

    dataset = ray.data.from_arrow(pa.table({"body": ["the cat sat"] * 3}))
    made = encode(dataset, "body", tiny_folder, output="v", workers=(1, 2), max_length=2, normalize=True)
    found = pa.concat_tables(ray.get(made.to_arrow_refs()))["v"].to_pylist()
    expected = StaticModel.from_pretrained(tiny_folder).encode(["the cat sat"] * 3, max_length=2, normalize=True)
    assert np.array(found, np.float32).tobytes() == expected.tobytes()


def test_ray_example(cached: None, tmp_path: Path, default_model: StaticModel) -> None:
    pytest.importorskip("ray.data")
    run_example("ray_data.py", tmp_path, default_model)


# Spark


@pytest.fixture(scope="module")
def spark(cached: None) -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1").getOrCreate()
    yield session
    session.stop()


@pytest.mark.parametrize("by", ["name", "value"])
def test_spark(by: str, spark: Any, default_model: StaticModel) -> None:
    from model2vec_numba.integrations.spark import encode

    frame = spark.createDataFrame(list(enumerate(TEXTS)), "id long, text string").repartition(4, "id")
    # Some partitions are empty.
    frame = frame.union(spark.createDataFrame([], "id long, text string").repartition(2))
    made = encode(frame, "text", None if by == "name" else default_model)
    assert made.schema["embedding"].dataType.simpleString() == "array<float>"
    found = made.collect()
    assert_rows([row.id for row in found], [row.embedding for row in found], default_model)
    workers = frame.rdd.mapPartitions(lambda _: [os.getpid()]).distinct().count()
    assert workers >= 2


def test_spark_options(spark: Any, tiny_folder: Path) -> None:
    from model2vec_numba.integrations.spark import encode

    frame = spark.createDataFrame([("the cat sat",), ("here",)], "body string")
    found = encode(frame, "body", tiny_folder, output="v", max_length=2, normalize=True).collect()
    expected = StaticModel.from_pretrained(tiny_folder).encode(["the cat sat", "here"], max_length=2, normalize=True)
    assert sorted(np.array(row.v, np.float32).tobytes() for row in found) == sorted(row.tobytes() for row in expected)


def test_spark_example(cached: None, tmp_path: Path, default_model: StaticModel) -> None:
    pytest.importorskip("pyspark.sql")
    run_example("spark_arrow.py", tmp_path, default_model)


# References to models


def test_a_model_is_loaded_once_in_a_process(default_model: StaticModel, tiny_folder: Path) -> None:
    import pickle

    from model2vec_numba.integrations import model_reference
    from model2vec_numba.integrations.model_reference import ModelReference

    named = ModelReference(tiny_folder)
    assert len(pickle.dumps(named)) < 1000
    assert pickle.loads(pickle.dumps(named)).load() is named.load()
    by_value = ModelReference(default_model)
    copies = [pickle.loads(pickle.dumps(by_value)) for _ in range(2)]
    assert copies[0].load() is copies[1].load()
    np.testing.assert_array_equal(copies[0].load().encode("a text"), default_model.encode("a text"))
    assert ModelReference(None).load() is not copies[0].load()
    for number in range(9):
        folder = tiny_folder.with_name(f"tiny-{number}")
        tiny_folder.rename(folder)
        ModelReference(folder).load()
        folder.rename(tiny_folder)
    assert len(model_reference._loaded.models) <= model_reference._MAX_MODELS
