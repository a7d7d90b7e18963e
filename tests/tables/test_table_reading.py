"""Tables as programs write them: large rows, late columns, odd values, compressed text. All is read, or an error says where it stops."""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import lzma
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Result

from model2vec_numba import StaticModel
from model2vec_numba.tables import csv_text, json_array, json_lines, plain_types, readers, sources
from model2vec_numba.tables.columns import Columns
from model2vec_numba.tables.readers import open_table
from model2vec_numba.tables.sources import format_of

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

ALL = Columns("text", None, "embedding")

pytestmark = pytest.mark.skipif(int(pa.__version__.partition(".")[0]) < 25, reason="older versions of pyarrow are not tested")


def rows_of(name: str | Path, kind: str, columns: Columns = ALL) -> list[dict[str, Any]]:
    reader = open_table(str(name), kind, columns)
    try:
        return [row for batch in reader.batches(0) for row in batch.to_pylist()]
    finally:
        reader.close()


def rows_of_jsonl(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def write_jsonl(path: str | Path, rows: list[Any]) -> None:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


# Columns


FILLER = [{"text": f"text {i}", "n": i, "deep": {"a": i, "list": []}} for i in range(2000)]


@pytest.mark.parametrize("size", [500, 8 << 20], ids=["many blocks", "one block"])
@pytest.mark.parametrize(
    ("late", "kind"),
    [
        ({"text": "a", "late": "x"}, None),
        ({"text": "a", "late": {"x": [1.5]}}, None),
        ({"text": "a", "deep": {"b": 7}}, None),
        ({"text": "a", "deep": {"list": [{"b": None}]}}, None),
        ({"text": "a", "n": 1.5}, pa.float64()),
        ({"text": "a", "n": 2**63 + 5}, pa.uint64()),
        ({"text": "a", "nothing": None}, None),
    ],
    ids=str,
)
def test_json_columns_that_come_late(late: Any, kind: Any, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", size)
    write_jsonl(tmp_path / "in.jsonl", [*FILLER, late, {"text": None}])
    reader = open_table(str(tmp_path / "in.jsonl"), "jsonl", ALL)
    assert kind is None or reader.schema.field("n").type == kind
    found = [row for batch in reader.batches(0) for row in batch.to_pylist()]
    reader.close()
    assert len(found) == len(FILLER) + 2
    for row, expected in zip(found, [*FILLER, late], strict=False):
        assert expected == without_missing(row, expected)
        assert all(value is None or name in expected for name, value in row.items())


def test_json_columns_that_come_after_megabytes(tmp_path: Path) -> None:
    """With real blocks, of which there are two."""
    rows = [{"text": "a", "deep": {"a": 1}, "filler": "x" * 500_000}] * 20
    write_jsonl(tmp_path / "in.jsonl", [*rows, {"text": "b", "deep": {"late": 2}, "late": 3}])
    (*_, last) = rows_of(tmp_path / "in.jsonl", "jsonl")
    assert last == {"text": "b", "deep": {"a": None, "late": 2}, "filler": None, "late": 3}


@pytest.mark.parametrize("nested", [False, True])
def test_thousands_of_json_columns(nested: bool, tmp_path: Path) -> None:
    """The time must not grow with the square of their number. It is about a second, and was a minute or more."""
    values = {f"k{i}": i for i in range(10_000)}
    row = {"text": "a", "n": values} if nested else {"text": "a", **values}
    write_jsonl(tmp_path / "in.jsonl", [row])
    began = time.process_time()
    assert rows_of(tmp_path / "in.jsonl", "jsonl") == [row]
    assert time.process_time() - began < 15


def without_missing(value: Any, expected: Any) -> Any:
    """Return a value without the fields that `expected` has not."""
    if isinstance(value, dict) and isinstance(expected, dict):
        return {name: without_missing(value[name], expected[name]) for name in expected}
    if isinstance(value, list) and isinstance(expected, list):
        return [without_missing(*pair) for pair in zip(value, expected, strict=True)]
    return value


@pytest.mark.parametrize(
    ("late", "says"),
    [
        ({"text": "a", "late": "x"}, "column 'late' is not in the first rows"),
        ({"text": "a", "deep": {"b": 7}}, "column 'deep' is of type struct"),
        ({"text": 7}, "line 2001: Column(/text) changed from string to number"),
        ({"text": "a", "n": "x"}, "line 2001: Column(/n) changed from number to string"),
    ],
    ids=str,
)
def test_json_columns_that_come_late_in_a_pipe(late: Any, says: str, tmp_path: Path) -> None:
    """A pipe cannot be read twice, so this is an error that names the column."""
    code = "from model2vec_numba.tables import json_lines; json_lines._BLOCK_BYTES = 500\nfrom model2vec_numba.cli import main; main()"
    given = "".join(json.dumps(row) + "\n" for row in [*FILLER, late]).encode()
    arguments = [sys.executable, "-c", code, "encode", "-", "--format", "jsonl", "-o", str(tmp_path / "out.parquet")]
    done = subprocess.run(arguments, input=given, capture_output=True, check=False)
    assert done.returncode == 1
    assert says in done.stderr.decode()
    assert "standard input: line" in done.stderr.decode()


def test_json_columns_of_several_files(call: Callable[..., Result]) -> None:
    write_jsonl("1.jsonl", [{"text": "a", "x": 1}])
    write_jsonl("2.jsonl", [{"text": "b", "y": {"z": 1}}])
    Path("3.json").write_text('[{"text": "c", "x": 1.5}, {"text": "d", "y": {"w": "v"}}]')
    assert call("encode", "1.jsonl", "2.jsonl", "3.json", "-o", "out.parquet").code == 0
    found = pq.read_table("out.parquet").drop_columns("embedding").to_pylist()
    assert [row["x"] for row in found] == [1.0, None, 1.5, None]
    assert [row["y"] for row in found] == [None, {"z": 1, "w": None}, None, {"z": None, "w": "v"}]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "arrow"])
def test_a_column_of_a_later_file(suffix: str, call: Callable[..., Result]) -> None:
    for name, content in (("1", {"text": ["a"]}), ("2", {"text": ["b"], "late": ["x"]})):
        table = pa.table(content)
        if suffix == "csv":
            Path(f"{name}.csv").write_text(",".join(content) + "\n" + ",".join(values[0] for values in content.values()) + "\n")
        elif suffix == "parquet":
            pq.write_table(table, f"{name}.parquet")
        else:
            with pa.OSFile(f"{name}.arrow", "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
    error = call("encode", f"*.{suffix}", "-o", "out.jsonl").error()
    assert error.startswith(f"2.{suffix}: column 'late' is not in 1.{suffix}")
    assert call("encode", f"*.{suffix}", "-o", "out.jsonl", "--keep", "text").code == 0
    assert len(rows_of_jsonl("out.jsonl")) == 2


def test_two_columns_of_one_name(call: Callable[..., Result]) -> None:
    table = pa.table([pa.array(["a"]), pa.array([1]), pa.array([2])], names=["text", "x", "x"])
    pq.write_table(table, "in.parquet")
    assert call("encode", "in.parquet", "-o", "out.jsonl").error().startswith("in.parquet: 2 columns have the name 'x'")
    assert call("encode", "in.parquet", "-o", "out.jsonl", "--keep", "text").code == 0


# Values


@pytest.mark.parametrize("size", [10, 200_000], ids=["small blocks", "one block"])
def test_integers_keep_their_digits(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", size)
    path = tmp_path / "in.jsonl"
    for values in ([2**63 - 1, -(2**63)], [2**63, 2**64 - 1, 0], [1.5, 2**53, 10**20, -1e300]):
        write_jsonl(path, [{"text": "a", "n": value} for value in values])
        assert [row["n"] for row in rows_of(path, "jsonl")] == values
    for values in ([2**64 + 1], [-(2**63) - 1], [1.5, 2**53 + 1], [1.5, 2**63 + 1], [2**63 + 1, -1]):
        write_jsonl(path, [{"text": "a", "n": value} for value in values])
        with pytest.raises(ValueError, match=r"in.jsonl: (line \d: .*'n' has the integer|.*Failed to convert JSON to uint64)"):
            rows_of(path, "jsonl")
    write_jsonl(path, [{"text": "a", "n": {"list": [2**63 + 1]}}])
    with pytest.raises(ValueError, match="line 1: column 'n' has the integer 9223372036854775809"):
        rows_of(path, "jsonl")


@pytest.mark.parametrize("digits", [309, 400, 5000])
@pytest.mark.parametrize("before", ["", '{"text": "a", "n": 1}\n', '{"text": "a", "n": 0.5}\n'])
def test_integers_beyond_all_types(before: str, digits: int, tmp_path: Path) -> None:
    """Python itself reads no integer of 5,000 digits."""
    (tmp_path / "in.jsonl").write_text(f'{before}{{"text": "a", "n": -{"9" * digits}}}\n')
    line = 1 + before.count("\n")
    with pytest.raises(ValueError, match=rf"in.jsonl: line {line}: column 'n' has the integer -9{{39}}\.\.\., which would lose digits"):
        rows_of(tmp_path / "in.jsonl", "jsonl")
    (tmp_path / "in.json").write_text(f'["a", {"9" * digits}]')
    with pytest.raises(ValueError, match=r"in.json: element 2: expected an object or a string, found 9"):
        rows_of(tmp_path / "in.json", "json")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("nested", [False, True])
def test_numbers_that_json_has_not(nested: bool, value: float, call: Callable[..., Result]) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "x": [{"y": [1.0]}, {"y": [value]}] if nested else [1.0, value]}), "in.parquet")
    assert "JSON cannot hold column 'x' with the value" in call("encode", "in.parquet", "-o", "out.jsonl").error()
    assert call("encode", "in.parquet", "-o", "out.parquet").code == 0
    assert nested or call("encode", "in.parquet", "-o", "out.csv").code == 0


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4)], ids=str)
def test_bytes(kind: Any, call: Callable[..., Result]) -> None:
    """Bytes that are UTF-8 are text, and others are refused."""
    for content in ("na\u00ef".encode(), b"\xff\xfe12"):
        array = pa.array([content, None], kind)
        for column in (array, array.dictionary_encode()) if kind == pa.binary() else (array,):
            with pa.OSFile("in.arrow", "wb") as file, pa.ipc.new_file(file, pa.schema([("text", pa.string()), ("x", column.type)])) as writer:
                writer.write_batch(pa.record_batch([pa.array(["a", "b"]), column], names=["text", "x"]))
            for out in ("out.jsonl", "out.csv"):
                result = call("encode", "in.arrow", "-o", out)
                if content[0] == 0xFF:
                    assert "cannot hold column 'x' of type" in result.error()
                else:
                    assert result.code == 0
                    assert "na\u00ef" in Path(out).read_text(encoding="utf-8")
            assert call("encode", "in.arrow", "-o", "out.parquet").code == 0
            assert pq.read_table("out.parquet")["x"].to_pylist() == [content, None]
    pq.write_table(pa.table({"text": ["a"], "x": [{"y": [b"\xff"]}]}), "in.parquet")
    assert "JSON cannot hold column 'x' with bytes" in call("encode", "in.parquet", "-o", "out.jsonl").error()


TYPES = {
    "string view": (lambda: pa.array(["a", None], pa.string_view()), "a"),
    "binary view": (lambda: pa.array([b"a", None], pa.binary_view()), "a"),
    "views in a dictionary": (
        lambda: pa.DictionaryArray.from_arrays(pa.array([0, None], pa.uint32()), pa.array(["a", "b"], pa.string_view())),
        "a",
    ),
    "run ends": (lambda: pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array(["a", None])), "a"),
    "uuid": (
        lambda: pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(15) + b"\7", None], pa.binary(16))),
        "00000000-0000-0000-0000-000000000007",
    ),
    "bool8": (lambda: pa.ExtensionArray.from_storage(pa.bool8(), pa.array([2, None], pa.int8())), True),
    "json": (lambda: pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', None])), '{"a": 1}'),
    "nanoseconds": (lambda: pa.array([1, None], pa.timestamp("ns")), "1970-01-01 00:00:00.000000001"),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_of_other_libraries(name: str, call: Callable[..., Result]) -> None:
    make, expected = TYPES[name]
    column = make()
    with pa.OSFile("in.arrow", "wb") as file, pa.ipc.new_file(file, pa.schema([("text", column.type), ("x", column.type)])) as writer:
        writer.write_batch(pa.record_batch([column, column], names=["text", "x"]))
    options = ["--column", "text"] if name in {"string view", "views in a dictionary"} else ["--column", "t"]
    if options[1] == "t":
        with pa.OSFile("in.arrow", "wb") as file, pa.ipc.new_file(file, pa.schema([("t", pa.string()), ("x", column.type)])) as writer:
            writer.write_batch(pa.record_batch([pa.array(["a", None]), column], names=["t", "x"]))
    for out in ("out.jsonl", "out.csv", "out.parquet", "out.arrow"):
        assert call("encode", "in.arrow", "-o", out, *options).code == 0, out
    assert [row["x"] for row in rows_of_jsonl("out.jsonl")] == [expected, None]
    assert str(expected).lower().replace('"', '""') in Path("out.csv").read_text(encoding="utf-8")
    assert pq.read_table("out.parquet", columns=["x"])["x"].null_count == 1
    assert pa.ipc.open_file("out.arrow").schema.field("x").type == column.type


@pytest.mark.parametrize("out", ["csv", "parquet"])
def test_types_that_are_refused_are_named(out: str, call: Callable[..., Result]) -> None:
    column = pa.nulls(2, pa.month_day_nano_interval())
    with pa.OSFile("in.arrow", "wb") as file, pa.ipc.new_file(file, pa.schema([("text", pa.string()), ("x", column.type)])) as writer:
        writer.write_batch(pa.record_batch([pa.array(["a", "b"]), column], names=["text", "x"]))
    assert "cannot hold column 'x' of type month_day_nano_interval" in call("encode", "in.arrow", "-o", f"out.{out}").error()
    assert [path.name for path in Path.cwd().iterdir()] == ["in.arrow"]


def test_polars_files(call: Callable[..., Result]) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {"text": ["a", None, "b" * 30], "word": polars.Series(["x", "y", "x"], dtype=polars.Categorical), "b": [b"1", None, b"2"]}
    )
    frame.write_ipc("in.arrow")
    for out in ("out.parquet", "out.csv", "out.jsonl", "out.arrow"):
        assert call("encode", "in.arrow", "-o", out, "--column", "text").code == 0
    assert [row["word"] for row in rows_of_jsonl("out.jsonl")] == ["x", "y", "x"]
    assert polars.read_parquet("out.parquet")["word"].to_list() == ["x", "y", "x"]


# Large rows


@pytest.mark.parametrize("where", [0, 50])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_rows_larger_than_a_block(kind: str, where: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(json_array, "_CHUNK_CHARS", 1000)
    monkeypatch.setattr(csv_text, "_BLOCK_BYTES", 1000)
    texts = [f"text {i}" for i in range(100)]
    texts[where] = "long " * 20_000
    path = tmp_path / f"in.{kind}"
    if kind == "csv":
        path.write_text("text,n\n" + "".join(f'"{text}",{i}\n' for i, text in enumerate(texts)))
    elif kind == "jsonl":
        write_jsonl(path, [{"text": text} for text in texts])
    else:
        path.write_text(json.dumps(texts))
    assert [row["text"] for row in rows_of(path, kind)] == texts


@pytest.mark.parametrize("where", [0, 2])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_rows_of_20_megabytes(kind: str, where: int, tmp_path: Path) -> None:
    """With real blocks."""
    texts = ["a", "b", "c"]
    texts[where] = "long " * 4_200_000
    path = tmp_path / f"in.{kind}"
    if kind == "csv":
        path.write_text("text\n" + "".join(f"{text}\n" for text in texts))
    elif kind == "jsonl":
        write_jsonl(path, [{"text": text} for text in texts])
    else:
        path.write_text(json.dumps(texts))
    assert [row["text"] for row in rows_of(path, kind)] == texts


def test_rows_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "_BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr(csv_text, "_MAX_BLOCK_BYTES", 1 << 20)
    path = tmp_path / "in.csv"
    path.write_text("text\n" + "short\n" * 3 + "long " * 500_000)
    with pytest.raises(ValueError, match=r"in.csv: row \d after the header, or one soon after it, is larger than 1 MB: close a quote"):
        rows_of(path, "csv")


@pytest.mark.parametrize("size", [30, 1000])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('text\na\n"b\nc\nd\n', "row 2 after the header: a quote is opened and not closed"),
        ('text\na\n"b', "row 2 after the header: a quote is opened and not closed"),
        ('text\n"', "row 1 after the header: a quote is opened and not closed"),
        ('text,x\na,b\nc,"d\ne,f\n', "row 2.*: a quote is opened and not closed"),
        ('x,text\n"a,b\nc,d\n', "row 1.*: a quote is opened and not closed"),
        ("text,x\na,b\na,b,c\n", "row 2 after the header: expected 2 columns, got 3"),
        ("text,x\na,b\n\na\n", "row 2 after the header: expected 2 columns, got 1"),
        ("text\n" + "a\n" * 9 + "\udcff\n", "invalid UTF8"),
    ],
    ids=str,
)
def test_csv_that_is_broken(content: str, says: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "_BLOCK_BYTES", size)
    (tmp_path / "in.csv").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=rf"in\.csv: .*{says}" if "UTF8" in says else rf"in\.csv: {says}"):
        rows_of(tmp_path / "in.csv", "csv")


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\r"])
@pytest.mark.parametrize("content", ['text,x\na,"b\nc"', 'text,x\na,5" disk', 'text,x\n"say ""hi""",""', "text,x"])
def test_ends_of_csv(content: str, ending: str, tmp_path: Path) -> None:
    import csv

    path = tmp_path / "in.csv"
    path.write_text(content + ending, newline="")
    with path.open(newline="") as file:
        assert rows_of(path, "csv") == list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"text": "a"}\n\n{"text": "b"\n', "line 3: not JSON"),
        (b'{"text": "a"}\n["b"]\n', "line 2: expected a JSON object, found \\["),
        (b'{"text": "a"}\n"b"\n', "line 2: expected a JSON object"),
        (b'{"text": "a"}\n\n{"text": 7}\n', "line 3: Column.*changed from string to number"),
        (b'{"text": "a"}\n{"text": "\xff"}\n', "line 2: not UTF-8"),
        (b'{"text": "a", "text": "b"}\n', "line 1: .*twice"),
        (b'{"text": "a", "x": 1}\n{"x": {}}\n', "line 2: Column.*changed"),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [5, 1000])
def test_json_that_is_broken(content: bytes, says: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", size)
    (tmp_path / "in.jsonl").write_bytes(content)
    if size == 5:  # types of blocks are compared
        says = re.sub("line (.): Column.*", r"(line|lines . to) \1: .*", says)
    with pytest.raises(ValueError, match=rf"in\.jsonl: {says}"):
        rows_of(tmp_path / "in.jsonl", "jsonl")


@pytest.mark.parametrize("form", ["lists", "objects"])
def test_deep_nesting_is_refused_at_once(form: str, tmp_path: Path) -> None:
    def nested(depth: int) -> str:
        return "[" * depth + "]" * depth if form == "lists" else '{"a":' * depth + "1" + "}" * depth

    path = tmp_path / "in.jsonl"
    path.write_text(f'{{"text": "[[[ {"[" * 500}", "x": {nested(90)}}}\n')
    assert len(rows_of(path, "jsonl")) == 1
    path.write_text(f'{{"text": "a"}}\n{{"text": "a", "x": {nested(500)}}}\n')
    began = time.perf_counter()
    with pytest.raises(ValueError, match=r"in.jsonl: line 2: lists and objects are nested more than 100 deep"):
        rows_of(path, "jsonl")
    assert time.perf_counter() - began < 5


# Compressed text, TSV and JSON arrays


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": lambda content: pa.compress(content, "zstd", asbytes=True),
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "ndjson", "json", "txt"])
def test_compressed_text(kind: str, compression: str, call: Callable[..., Result], default_model: StaticModel) -> None:
    texts = ["a text", "", "na\u00efve, \u65e5\u672c", "quote"]
    content = {
        "csv": 'text,n\na text,1\n"",2\n"na\u00efve, \u65e5\u672c",3\nquote,4\n',
        "tsv": 'text\tn\na text\t1\n\t2\nna\u00efve, \u65e5\u672c\t3\n"quote"\t4\n',
        "json": json.dumps([{"text": text} for text in texts], indent=2),
        "txt": "\n".join(texts),
    }.get(kind, "".join(json.dumps({"text": text}) + "\n" for text in texts))
    compress = COMPRESSORS[compression]
    half = len(content) // 2
    # Several parts one after the other are one file.
    parts = compress(content[:half].encode()) + compress(content[half:].encode())
    for name, data in (
        (f"in.{kind}", content.encode()),
        (f"in.{kind}.{compression}", compress(content.encode())),
        (f"2.{kind}.{compression}", parts),
    ):
        Path(name).write_bytes(data)
        assert call("encode", name, "-o", "out.arrow").code == 0, name
        found = pa.ipc.open_file(Path("out.arrow").read_bytes()).read_all()
        assert found["text"].to_pylist() == texts
        vectors = np.stack(found["embedding"].to_numpy(zero_copy_only=False))
        assert vectors.tobytes() == default_model.encode(texts).tobytes()
    whole = compress(content.encode() * 50)
    Path(f"cut.{kind}.{compression}").write_bytes(whole[: len(whole) * 2 // 3])
    error = call("encode", f"cut.{kind}.{compression}", "-o", "out.arrow").error()
    assert error.startswith(f"cut.{kind}.{compression}: ")
    # No part is lost without a word.
    damaged = compress(content[half:].encode())
    for name, later in (("tail", b"no part"), ("part", bytes([damaged[0] ^ 0x55]) + damaged[1:])):
        Path(f"{name}.{kind}.{compression}").write_bytes(compress(content.encode()) + later)
        error = call("encode", f"{name}.{kind}.{compression}", "-o", "out.arrow").error()
        assert error.startswith(f"{name}.{kind}.{compression}: "), error
    if kind == "txt":
        assert call("encode", f"in.txt.{compression}", "-o", "out.npy").code == 0
        assert np.load("out.npy").tobytes() == default_model.encode(texts).tobytes()


def test_padding_after_xz(call: Callable[..., Result]) -> None:
    Path("in.txt.xz").write_bytes(lzma.compress(b"a\n") + bytes(8) + lzma.compress(b"b\n") + bytes(4))
    assert call("encode", "in.txt.xz", "-o", "out.npy").code == 0
    assert len(np.load("out.npy")) == 2


def test_an_array_that_cannot_be_decompressed(call: Callable[..., Result]) -> None:
    whole = gzip.compress(json.dumps(["a text"] * 1000).encode())
    for content in (whole[:20], whole[:-8] + bytes(8)):
        Path("in.json.gz").write_bytes(content)
        assert call("encode", "in.json.gz", "-o", "out.npy").error().startswith("in.json.gz: ")


@pytest.mark.parametrize("name", ["in.txt", "in.jsonl"])
def test_too_little_memory(name: str, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line may be longer than the memory, and a small compressed file may hold it."""

    def refuse(*_: object) -> int:
        raise MemoryError

    monkeypatch.setattr(sources._Streams, "readinto", refuse)
    Path(f"{name}.xz").write_bytes(lzma.compress(b'{"text": "a"}\n'))
    error = call("encode", f"{name}.xz", "-o", "out.parquet").error()
    assert error == f"MemoryError: {name}.xz: there is not enough memory to read it: a line, a row or an Arrow batch may be very large"


def test_formats_of_names() -> None:
    names = {
        "a.csv": "csv",
        "a.CSV.GZ": "csv",
        "b.jsonl.zst": "jsonl",
        "c.tsv": "tsv",
        "d.json.xz": "json",
        "e.txt.gz": None,
        "f.gz": None,
        "g": None,
    }
    assert {name: format_of(name) for name in names} == names


@pytest.mark.parametrize("name", ["out.npy", "out.safetensors", "out.json", "out.jsonl", "out.parquet"])
def test_an_array_of_strings(name: str, call: Callable[..., Result], default_model: StaticModel) -> None:
    texts = ["a text", "", "two\nlines", "\U0001f600 \u65e5\u672c", "]"]
    Path("in.json").write_text("\ufeff \n" + json.dumps(texts, indent=1), encoding="utf-8")
    assert call("encode", "in.json", "-o", name).code == 0
    expected = default_model.encode(texts)
    match name:
        case "out.npy":
            assert np.load(name).tobytes() == expected.tobytes()
        case "out.json":
            assert np.array(json.loads(Path(name).read_text()), np.float32).tobytes() == expected.tobytes()
        case "out.jsonl":
            assert [json.loads(line)["text"] for line in Path(name).read_text(encoding="utf-8").split("\n")[:-1]] == texts
        case "out.parquet":
            assert pq.read_table(name)["text"].to_pylist() == texts


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no column 'text'|expected a JSON array"),
        ("[", "element 1: not JSON"),
        ('["a"', 'element 1: expected "," or "]" after it, found \'the end'),
        ('["a" "b"]', 'element 1: expected "," or "]" after it'),
        ('["a",]', "element 2: not JSON"),
        ('["a"] x', 'expected the end of the file after the last "]"'),
        ('["a", 7]', "element 2: expected an? (object or a )?string, found 7"),
        ('[{"text": "a"}, [1]]', "element 2: expected an object or a string"),
        ('[{"text": "a"}, {"text": 7}]', "element 2: Column"),
        ("a\nb\n", "line 1: not JSON"),
    ],
    ids=str,
)
def test_arrays_that_are_broken(content: str, says: str, call: Callable[..., Result]) -> None:
    Path("in.json").write_text(content)
    for name in ("out.npy", "out.parquet") if content.startswith('["') else ("out.parquet",):
        error = call("encode", "in.json", "-o", name).error()
        assert re.match(rf"in\.json: ({says})", error), error


def test_any_array_in_any_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(3)
    for _ in range(50):
        monkeypatch.setattr(json_array, "_CHUNK_CHARS", draw.randint(1, 40))
        rows = [
            {"text": "".join(draw.choices('a"\\\n\u00ef]},', k=draw.randint(0, 30))), "n": draw.choice([None, 1.5, 12345678])}
            for _ in range(draw.randint(1, 9))
        ]
        (tmp_path / "in.json").write_text(json.dumps(rows, indent=draw.choice([None, 2]), ensure_ascii=draw.random() < 0.5), encoding="utf-8")
        assert rows_of(tmp_path / "in.json", "json") == [{**row, "n": row["n"]} for row in rows]


# Files that change or are damaged


def test_no_file_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may cut it off, and some file systems map no files."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(pa, "memory_map", refuse)
    table = pa.table({"text": ["a", None]})
    with pa.OSFile(str(tmp_path / "in.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    pq.write_table(table, tmp_path / "in.parquet")
    for kind in ("arrow", "parquet"):
        assert rows_of(tmp_path / f"in.{kind}", kind) == table.to_pylist()


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv", "jsonl", "lines"])
@pytest.mark.parametrize("how", ["shorter", "other"])
def test_a_file_that_changes_while_it_is_read(how: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a file that another program cuts off, which ends a process that has mapped it."""
    for module, name in ((readers, "_BLOCK_ROWS"), (readers, "_BLOCK_BYTES"), (json_lines, "_BLOCK_BYTES"), (csv_text, "_BLOCK_BYTES")):
        monkeypatch.setattr(module, name, 4096)
    path = tmp_path / "in"
    table = pa.table({"text": [f"text {i}" for i in range(100_000)]})
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=5000)
    elif kind == "arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=5000)
    else:
        lines = ("text\n" if kind == "csv" else "") + "".join(f"text {i}\n" for i in range(100_000))
        path.write_text(lines if kind != "jsonl" else "".join(f'{{"text": "text {i}"}}\n' for i in range(100_000)))
    content, status = path.read_bytes(), path.stat()
    reader = open_table(str(path), kind, ALL)
    batches = reader.batches(0)
    next(batches)
    time.sleep(0.02)
    with path.open("r+b") as file:
        if how == "shorter":
            file.truncate(len(content) // 3)
        else:
            file.seek(len(content) // 2)
            file.write(content[len(content) // 2 :].replace(b"8", b"9"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises((ValueError, OSError), match=str(path)):
        list(batches)
    reader.close()


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_damaged_files_are_named(suffix: str, call: Callable[..., Result]) -> None:
    """Whatever is wrong, the error is one line that names the file, or the values have changed."""
    table = pa.table({"text": [f"text {i}" for i in range(3000)], "n": range(3000)})
    if suffix == "parquet":
        pq.write_table(table, "in.parquet", compression="snappy", row_group_size=500)
    else:
        with pa.OSFile("in.arrow", "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=500)
    whole = Path(f"in.{suffix}").read_bytes()
    draw = random.Random(5)
    for _ in range(40):
        content = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            first = draw.randrange(len(content))
            content[first : first + 20] = draw.randbytes(len(content[first : first + 20]))
        Path(f"in.{suffix}").write_bytes(content)
        result = call("encode", f"in.{suffix}", "-o", "out.jsonl", "--keep", "")
        if result.code:
            assert f"in.{suffix}: " in result.error()


def test_errors_have_plain_names() -> None:
    assert str(plain_types.cannot_hold("CSV", "x", "of type t")) == "CSV cannot hold column 'x' of type t: do not copy this column (keep)"
