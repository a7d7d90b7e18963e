"""The writer of Parquet files against libraries that read them, and the Thrift protocol against the metadata of pyarrow."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model2vec_numba.tables import parquet
from model2vec_numba.tables.parquet import ParquetWriter
from model2vec_numba.tables.thrift import BINARY, I32, I64, LIST, STRUCT, Field, Items, read_struct, varint, write_struct

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")
import pyarrow.parquet as pq  # noqa: E402


def batch_of(vectors: list[Any], dim: int, dtype: Any, others: dict[str, Any]) -> Any:
    kind = pa.list_(dtype, dim)
    return pa.record_batch({**{name: pa.array(values) for name, values in others.items()}, "embedding": pa.array(vectors, kind)})


def footer_of(content: bytes) -> bytes:
    length = int.from_bytes(content[-8:-4], "little")
    return content[-8 - length : -8]


def random_vectors(count: int, dim: int, dtype: Any, seed: int, *, nulls: bool) -> list[Any]:
    draw = np.random.default_rng(seed)
    # pyarrow's own conversion needs pandas in pyarrow 25.
    kind = np.dtype({"float": "float32", "halffloat": "float16"}.get(str(dtype), str(dtype)))
    values = draw.standard_normal((count, dim)).astype(kind) if np.issubdtype(kind, np.floating) else draw.integers(0, 256, (count, dim)).astype(kind)
    return [None if nulls and draw.random() < 0.3 else list(row) for row in values]


def with_pyarrow(path: Path) -> list[Any]:
    return list(pq.read_table(path)["embedding"].to_pylist())


def with_polars(path: Path) -> list[Any]:
    polars = pytest.importorskip("polars")
    return [None if row is None else list(row) for row in polars.read_parquet(path)["embedding"].to_list()]


def with_duckdb(path: Path) -> list[Any]:
    duckdb = pytest.importorskip("duckdb")
    return [None if row is None else list(row) for (row,) in duckdb.sql(f"SELECT embedding FROM '{path}'").fetchall()]


READERS = [with_pyarrow, with_polars, with_duckdb]
# Older versions read such lists as null lists, or refuse them.
NULLS = pytest.mark.skipif(int(pa.__version__.partition(".")[0]) < 26, reason="pyarrow before version 26 does not read null vectors from Parquet")


# Vectors


@pytest.mark.parametrize("nulls", [False, pytest.param(True, marks=NULLS)], ids=["whole", "nulls"])
@pytest.mark.parametrize("dim", [1, 2, 63, 64, 256, 300])
@pytest.mark.parametrize("dtype", [pa.float32(), pa.float16(), pa.int8(), pa.uint8()], ids=str)
@pytest.mark.parametrize("read", READERS)
def test_readers(read: Callable[[Path], list[Any]], dtype: Any, dim: int, nulls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several row groups, one of several pages, and a slice that begins in the middle of an array."""
    monkeypatch.setattr(parquet, "_PAGE_BYTES", 1 << 13)
    if dtype == pa.float16() and read is with_duckdb:
        pytest.skip("DuckDB has no float16")
    counts = [1, (5 << 12) // (dim * dtype.byte_width) + 3, 7]
    vectors = random_vectors(sum(counts) + 3, dim, dtype, dim, nulls=nulls)
    whole = batch_of(vectors, dim, dtype, {"id": list(range(len(vectors)))})
    path = tmp_path / "vectors.parquet"
    path.touch()
    sink = ParquetWriter(path, whole.schema, 0)
    first = 3
    for count in counts:
        sink.write(whole.slice(first, count))
        first += count
    sink.close()
    assert read(path) == vectors[3:]
    assert pq.read_table(path)["id"].to_pylist() == list(range(3, len(vectors)))
    assert pq.read_metadata(path).num_row_groups == len(counts)


@pytest.mark.parametrize("dtype", [pa.int8(), pa.uint8()], ids=str)
def test_integers_take_a_byte(dtype: Any, tmp_path: Path) -> None:
    """All integers, and pages whose last group of indices is not full."""
    values = np.arange(125 * 19).astype(np.uint8)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.view(str(dtype))), 125)
    batch = pa.record_batch({"embedding": vectors})
    path = tmp_path / "vectors.parquet"
    path.touch()
    sink = ParquetWriter(path, batch.schema, 0)
    sink.write(batch)
    sink.close()
    assert pq.read_table(path).schema.equals(batch.schema)
    for read in READERS:
        with suppress(pytest.skip.Exception):
            assert list(map(list, read(path))) == vectors.to_pylist()
    assert pq.read_metadata(path).row_group(0).total_byte_size < len(values) + 1300


@NULLS
@pytest.mark.parametrize("vectors", [[None, None, None], [None, [1.0, 2.0]], [[1.0, 2.0], None], []], ids=str)
def test_nulls_at_the_edges(vectors: list[Any], tmp_path: Path) -> None:
    batch = batch_of(vectors, 2, pa.float32(), {})
    path = tmp_path / "vectors.parquet"
    path.touch()
    sink = ParquetWriter(path, batch.schema, 0)
    sink.write(batch)
    sink.close()
    assert with_pyarrow(path) == vectors
    assert pq.read_schema(path).equals(batch.schema)


@pytest.mark.parametrize("of_list", [True, False])
@pytest.mark.parametrize("of_elements", [True, False])
def test_what_may_not_be_null(of_list: bool, of_elements: bool, tmp_path: Path) -> None:
    kind = pa.list_(pa.field("element", pa.float32(), nullable=of_elements), 2)
    schema = pa.schema([pa.field("embedding", kind, nullable=of_list)])
    batch = pa.record_batch([pa.array([[1.0, 2.0], [3.0, 4.0]], kind)], schema=schema)
    path = tmp_path / "vectors.parquet"
    path.touch()
    sink = ParquetWriter(path, schema, 0)
    sink.write(batch)
    sink.close()
    assert with_pyarrow(path) == [[1.0, 2.0], [3.0, 4.0]]
    assert pq.read_schema(path).equals(schema)


def test_batches_without_rows(tmp_path: Path) -> None:
    batch = batch_of([[1.0, 2.0]], 2, pa.float32(), {"id": [1]})
    path = tmp_path / "vectors.parquet"
    path.touch()
    sink = ParquetWriter(path, batch.schema, 0)
    for part in (batch.slice(1), batch, batch.slice(1)):
        sink.write(part)
    sink.close()
    assert pq.read_table(path).equals(pa.Table.from_batches([batch]))


# All columns but the vectors are the same as in a file of pyarrow.
COLUMNS = {
    "id": [5, None, 7],
    "a.b": ["x", "y", "\u65e5\u672c"],
    "nested": [{"p": [1, 2], "q": None}, {"p": [], "q": 2.5}, None],
    "flags": [True, False, None],
    "words": [["a"], None, ["b", "c"]],
}


@pytest.mark.parametrize("names", [[], ["id"], ["a.b", "nested"], list(COLUMNS)], ids=str)
def test_other_columns(names: list[str], tmp_path: Path) -> None:
    batch = batch_of([[1.0], [2.0], [3.0]], 1, pa.float32(), {name: COLUMNS[name] for name in names})
    if "id" in names:
        batch = batch.set_column(0, "id", batch["id"].dictionary_encode())
    path = tmp_path / "ours.parquet"
    path.touch()
    sink = ParquetWriter(path, batch.schema, 0, "snappy")
    sink.write(batch)
    sink.write(batch)
    sink.close()
    with pq.ParquetWriter(tmp_path / "theirs.parquet", batch.schema) as writer:
        writer.write_batch(batch)
        writer.write_batch(batch)
    ours, theirs = (pq.ParquetFile(tmp_path / name) for name in ("ours.parquet", "theirs.parquet"))
    assert ours.read().equals(theirs.read())
    assert ours.schema_arrow.equals(theirs.schema_arrow, check_metadata=True)
    assert ours.schema.equals(theirs.schema)
    for i in range(2):
        mine, yours = ours.metadata.row_group(i), theirs.metadata.row_group(i)
        assert mine.num_rows == yours.num_rows
        for j in range(yours.num_columns):
            one, other = mine.column(j), yours.column(j)
            assert (one.path_in_schema, one.physical_type, one.num_values) == (other.path_in_schema, other.physical_type, other.num_values)
            if not one.path_in_schema.startswith("embedding"):
                assert one.statistics == other.statistics
                assert (one.compression, one.total_compressed_size) == (other.compression, other.total_compressed_size)


def test_metadata_for_readers(tmp_path: Path) -> None:
    """Who wrote the file, and the smallest and largest values, which readers use to leave out row groups."""
    batch = batch_of([[1.0], [2.0], [3.0]], 1, pa.float32(), {"id": [5, None, 7], "word": ["b", "a", "c"]})
    path = tmp_path / "vectors.parquet"
    path.touch()
    sink = ParquetWriter(path, batch.schema, 0)
    sink.write(batch)
    size = sink.checkpoint()
    sink.abandon()
    sink = ParquetWriter(path, batch.schema, size)
    sink.write(batch.slice(2))
    sink.close()
    metadata = pq.read_metadata(path)
    assert re.fullmatch(r"model2vec-numba version [\w.+-]+ \(build pyarrow-[\w.+-]+\)", metadata.created_by)
    statistics = [[metadata.row_group(i).column(j).statistics for j in range(2)] for i in range(2)]
    assert [[(one.min, one.max, one.null_count) for one in group] for group in statistics] == [
        [(5, 7, 1), ("a", "c", 0)],
        [(7, 7, 0), ("c", "c", 0)],
    ]
    assert pq.read_table(path, filters=[("word", "<", "b")])["id"].to_pylist() == [None]
    duckdb = pytest.importorskip("duckdb")
    query = f"SELECT path_in_schema, stats_min_value, stats_max_value FROM parquet_metadata('{path}') WHERE path_in_schema = 'word'"
    assert duckdb.sql(query).fetchall() == [("word", "a", "c"), ("word", "c", "c")]
    assert duckdb.sql(f"SELECT id FROM '{path}' WHERE word > 'b' AND id > 6").fetchall() == [(7,), (7,)]
    polars = pytest.importorskip("polars")
    assert polars.scan_parquet(path).filter(polars.col("word") == "a").select("id").collect()["id"].to_list() == [None]


# Parts


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.booleans()), max_size=6), st.booleans())
def test_parts(batches: list[tuple[int, bool, bool]], nulls: bool) -> None:
    """A file that is cut after any part is complete. Writing continues there, also if an incomplete part follows."""
    if nulls and int(pa.__version__.partition(".")[0]) < 26:
        nulls = False
    vectors = random_vectors(sum(count for count, _, _ in batches), 3, pa.float32(), 1, nulls=nulls)
    whole = batch_of(vectors, 3, pa.float32(), {"text": [f"text {i % 5}" for i in range(len(vectors))]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vectors.parquet")
        path.touch()
        sink = ParquetWriter(path, whole.schema, 0)
        done = 0
        for count, part, again in batches:
            sink.write(whole.slice(done, count))
            done += count
            if part:
                size = sink.checkpoint()
                assert size == path.stat().st_size
                assert pq.read_table(path).equals(pa.Table.from_batches([whole.slice(0, done)]))
                if again:
                    sink.write(whole.slice(0, min(2, done)))
                    sink.abandon()
                    with path.open("ab") as file:
                        file.write(b"torn")
                    sink = ParquetWriter(path, whole.schema, size)
        sink.close()
        assert pq.read_table(path).equals(pa.Table.from_batches([whole]) if len(whole) else whole.schema.empty_table())


def test_a_page_of_a_million_bytes(tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).standard_normal((5000, 256)).astype(np.float32)
    batch = pa.record_batch({"embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 256)})
    path = tmp_path / "vectors.parquet"
    path.touch()
    sink = ParquetWriter(path, batch.schema, 0)
    sink.write(batch)
    sink.close()
    assert pq.read_table(path)["embedding"].combine_chunks().values.to_numpy().tobytes() == vectors.tobytes()
    # Levels and headers take little space.
    assert path.stat().st_size < vectors.nbytes * 1.01


def test_many_row_groups(tmp_path: Path) -> None:
    batch = batch_of([[1.0, 2.0]], 2, pa.float32(), {"id": [1]})
    path = tmp_path / "vectors.parquet"
    path.touch()
    sink = ParquetWriter(path, batch.schema, 0)
    for _ in range(300):
        sink.write(batch)
    size = sink.checkpoint()
    sink.abandon()
    sink = ParquetWriter(path, batch.schema, size)
    sink.write(batch)
    sink.close()
    assert pq.read_metadata(path).num_row_groups == 301
    assert pq.read_table(path)["id"].to_pylist() == [1] * 301


# Thrift


@pytest.mark.parametrize("columns", [1, 14, 15, 16, 200])
def test_metadata_of_pyarrow_reads_back(columns: int) -> None:
    draw = random.Random(columns)
    table = pa.table({f"column {i}": [draw.random(), None, -draw.random()] for i in range(columns)} | {"flag": [True, False, None]})
    out = pa.BufferOutputStream()
    pq.write_table(table, out, row_group_size=1, write_page_index=True, sorting_columns=[pq.SortingColumn(0, descending=True)])
    footer = footer_of(out.getvalue().to_pybytes())
    assert write_struct(read_struct(footer)) == footer
    for length in range(0, len(footer), max(1, len(footer) // 15)):
        with pytest.raises(ValueError, match="ends"):
            read_struct(footer[:length])


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1), st.binary(max_size=300), st.lists(st.integers(0, 2**40), max_size=40))
def test_structures_read_back(long: int, short: int, data: bytes, numbers: list[int]) -> None:
    struct = {
        1: Field(I64, long),
        2: Field(I32, short),
        40: Field(BINARY, data),
        41: Field(LIST, Items(I64, numbers)),
        300: Field(STRUCT, {7: Field(1, False), 8: Field(1, True)}),
    }
    found = read_struct(write_struct(struct))
    assert [field.value for field in list(found.values())[:4]] == [long, short, data, Items(I64, numbers)]
    assert [field.value for field in found[300].value.values()] == [False, True]
    assert write_struct({**struct, 300: Field(STRUCT, write_struct(struct[300].value))}) == write_struct(struct)


@pytest.mark.parametrize(("number", "coded"), [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_varint(number: int, coded: bytes) -> None:
    """The examples of the protocol's specification, and the limits of a byte."""
    assert varint(number) == coded


def test_doubles_stay_bytes() -> None:
    """Statistics of geographic columns hold doubles."""
    coded = b"\x17" + np.float64(2.5).tobytes() + b"\x19\x17" + np.float64(-1).tobytes() + b"\x00"
    assert write_struct(read_struct(coded)) == coded
    with pytest.raises(ValueError, match="ends"):
        read_struct(coded[:5])


def test_a_type_that_parquet_does_not_have() -> None:
    with pytest.raises(ValueError, match="type 11"):
        read_struct(b"\x1b\x00")
