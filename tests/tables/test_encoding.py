"""Tables on the command line: every input and output format, small batches, interruptions and resumed runs."""

from __future__ import annotations

import csv
import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import ml_dtypes
import numpy as np
import pytest
from helpers import Result

from model2vec_numba import StaticModel, quantize_model
from model2vec_numba.files.partial import PartialFile
from model2vec_numba.tables import columns, encoding, json_lines, prefetch, readers, writers
from model2vec_numba.tables.parquet import ParquetWriter

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")
import pyarrow.parquet as pq  # noqa: E402

# Older versions write such files, and other programs read them.
pytestmark = pytest.mark.skipif(
    int(pa.__version__.partition(".")[0]) < 26, reason="pyarrow before version 26 does not read null lists of fixed size back from Parquet"
)

WORDS = ["cat", "sat", "the", "here", "na\u00efve", "\u65e5\u672c", 'quoted "word"', "a, comma", "line\nbreak"]
IN = ["parquet", "arrow", "csv", "jsonl"]
OUT = ["parquet", "arrow", "csv", "jsonl"]


def texts(count: int) -> list[str | None]:
    draw = random.Random(7)
    return [None if i % 7 == 3 else " ".join(draw.choices(WORDS, k=draw.randint(0, 6))) for i in range(count)]


def table(count: int = 100) -> Any:
    return pa.table({"id": pa.array(range(count), pa.int64()), "text": texts(count), "tag": [f"tag {i % 3}" for i in range(count)]})


def write(path: Path, content: Any) -> Path:
    """Write a table in the format of a file's suffix."""
    match path.suffix:
        case ".parquet":
            pq.write_table(content, path, row_group_size=17)
        case ".arrow":
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, content.schema) as writer:
                writer.write_table(content, max_chunksize=13)
        case ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file)
                rows.writerow(content.column_names)
                rows.writerows(["" if value is None else value for value in row.values()] for row in content.to_pylist())
        case _:
            path.write_text("".join(json.dumps(row) + "\n" for row in content.to_pylist()), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file in the format of its suffix, with vectors as lists."""
    match path.suffix:
        case ".parquet":
            return list(pq.read_table(path).to_pylist())
        case ".arrow":
            return list(pa.ipc.open_file(path.read_bytes()).read_all().to_pylist())
        case ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                return [{**row, "embedding": json.loads(row["embedding"]) if row["embedding"] else None} for row in csv.DictReader(file)]
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def assert_rows(found: list[dict[str, Any]], expected: list[dict[str, Any]], model: StaticModel) -> None:
    """Check the rows, and that the last column has each vector to the bit. In CSV missing and empty texts are the same."""
    assert [list(row) for row in found] == [[*row, "embedding"] for row in expected]
    plain = [{name: value for name, value in row.items() if name != "embedding"} for row in found]
    assert [list(map(text_of, row.values())) for row in plain] == [list(map(text_of, row.values())) for row in expected]
    vectors = model.encode([row["text"] or "" for row in expected])
    for row, wanted, vector in zip(found, expected, vectors, strict=True):
        if row["embedding"] is None:
            assert wanted["text"] is None
        else:
            assert np.array(row["embedding"], np.float32).tobytes() == vector.tobytes()


def text_of(value: Any) -> str:
    return "" if value is None else str(value)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make batches of a few rows, and parts of two batches."""
    monkeypatch.setattr(columns, "_ROWS", 9)
    monkeypatch.setattr(encoding, "_BATCHES_PER_SAVE", 2)
    monkeypatch.setattr(readers, "_BLOCK_ROWS", 5)


# Formats


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("out", OUT)
@pytest.mark.parametrize("given", IN)
def test_formats(given: str, out: str, call: Callable[..., Result], default_model: StaticModel) -> None:
    content = table()
    write(Path(f"in.{given}"), content)
    result = call("encode", f"in.{given}", "-o", f"out.{out}")
    assert (result.code, result.out, result.err) == (0, "", "")
    rows = content.to_pylist()
    if given == "csv":
        rows = [{**row, "text": row["text"] or ""} for row in rows]
    found = read(Path(f"out.{out}"))
    assert_rows(found, rows, default_model)
    assert [row["embedding"] is None for row in found] == [row["text"] is None for row in rows]
    assert sorted(path.name for path in Path.cwd().iterdir()) == sorted([f"in.{given}", f"out.{out}"])


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_types_of_text(kind: Any, call: Callable[..., Result], default_model: StaticModel) -> None:
    plain = table()
    strings = pa.array(plain["text"].to_pylist())
    content = plain.set_column(1, "text", strings.dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(strings.to_pylist(), kind))
    for suffix in ("arrow", "parquet"):
        write(Path(f"in.{suffix}"), content)
        assert call("encode", f"in.{suffix}", "-o", "out.parquet").code == 0
        assert_rows(read(Path("out.parquet")), plain.to_pylist(), default_model)


def test_types_stay(call: Callable[..., Result], default_model: StaticModel) -> None:
    content = pa.table(
        {
            "text": ["a", None, "b"],
            "nested": [{"x": [1, 2]}, None, {"x": []}],
            "when": pa.array([0, None, 2], pa.timestamp("us")),
            "word": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    )
    write(Path("in.parquet"), content)
    for out in ("out.parquet", "out.arrow"):
        assert call("encode", "in.parquet", "-o", out).code == 0
        found = pq.read_table(out) if out.endswith("parquet") else pa.ipc.open_file(Path(out).read_bytes()).read_all()
        assert found.schema.equals(content.schema.append(pa.field("embedding", pa.list_(pa.float32(), default_model.dim))))
        assert found.drop_columns("embedding").equals(content)
    assert call("encode", "in.parquet", "-o", "out.jsonl").code == 0
    assert read(Path("out.jsonl"))[0]["when"] == "1970-01-01 00:00:00"
    result = call("encode", "in.parquet", "-o", "out.csv")
    assert (result.code, result.err) == (
        1,
        "error: CSV cannot hold column 'nested' of type struct<x: list<element: int64>>: do not copy this column (keep)\n",
    )
    assert call("encode", "in.parquet", "-o", "out.csv", "--keep", "word,when").code == 0


def test_float16(call: Callable[..., Result], default_model: StaticModel) -> None:
    write(Path("in.parquet"), table())
    for out in OUT:
        assert call("encode", "in.parquet", "-o", f"out.{out}", "-q", "--precision", "float16").code == 0
        expected = default_model.encode([text or "" for text in texts(100)]).astype(np.float16)
        for row, vector in zip(read(Path(f"out.{out}")), expected, strict=True):
            assert row["embedding"] is None or np.array(row["embedding"], np.float16).tobytes() == vector.tobytes()
    assert pq.read_schema("out.parquet").field("embedding").type == pa.list_(pa.float16(), default_model.dim)


@pytest.mark.parametrize("out", OUT)
@pytest.mark.parametrize("given", IN)
def test_no_rows(given: str, out: str, call: Callable[..., Result]) -> None:
    write(Path(f"in.{given}"), table(0))
    result = call("encode", f"in.{given}", "-o", f"out.{out}")
    if given == "jsonl":  # an empty file has no columns
        assert (result.code, result.err) == (1, "error: in.jsonl: no column 'text': there are none\n")
        return
    assert result.code == 0
    assert read(Path(f"out.{out}")) == []
    if out == "csv":
        assert Path("out.csv").read_text(encoding="utf-8").strip() == '"id","text","tag","embedding"'
    if out == "parquet":
        assert pq.read_schema("out.parquet").names == ["id", "text", "tag", "embedding"]


@pytest.mark.usefixtures("small_batches")
def test_opens_elsewhere(call: Callable[..., Result], default_model: StaticModel) -> None:
    polars, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    content = table()
    write(Path("in.parquet"), content)
    assert call("encode", "in.parquet", "-o", "out.parquet").code == 0
    frame = polars.read_parquet("out.parquet")
    assert frame.schema["embedding"] == polars.Array(polars.Float32, default_model.dim)
    assert_rows(frame.to_dicts(), content.to_pylist(), default_model)
    assert_rows(polars.scan_parquet("out.parquet").tail(20).collect().to_dicts(), content.to_pylist()[-20:], default_model)
    with duckdb.connect() as connection:
        rows = connection.execute("SELECT id, text, tag, embedding FROM 'out.parquet' ORDER BY id").fetchall()
    names = ("id", "text", "tag", "embedding")
    assert_rows([dict(zip(names, row, strict=True)) for row in rows], content.to_pylist(), default_model)


# Columns


def test_columns(call: Callable[..., Result], default_model: StaticModel) -> None:
    content = table().rename_columns(["embedding", "body", "tag"])
    write(Path("in.parquet"), content)
    for keep, names in (("tag,body", ["tag", "body"]), ("", []), ("body", ["body"]), ("tag,tag", ["tag"])):
        for out in OUT:
            assert call("encode", "in.parquet", "--column", "body", "--keep", keep, "-o", f"out.{out}").code == 0
            if (out, names) == ("csv", []):  # a null is a blank line, which readers skip
                assert Path("out.csv").read_bytes().count(b"\n") == 101
                continue
            found = read(Path(f"out.{out}"))
            assert [list(row) for row in found] == [[*names, "embedding"]] * 100
            expected = default_model.encode([text or "" for text in texts(100)])
            assert np.array(found[4]["embedding"], np.float32).tobytes() == expected[4].tobytes()
    assert call("encode", "in.parquet", "--column", "body", "--vectors", "v", "-o", "out.parquet").code == 0
    assert pq.read_schema("out.parquet").names == ["embedding", "body", "tag", "v"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--column", "nonesuch"], "in.{}: no column 'nonesuch': there are 'id', 'text', 'tag'"),
        (["--keep", "id,nonesuch"], "in.{}: no column 'nonesuch': there are 'id', 'text', 'tag'"),
        (["--vectors", "tag"], "in.{}: there is a column 'tag' already"),
    ],
    ids=str,
)
@pytest.mark.parametrize("given", IN)
def test_columns_that_are_not_there(given: str, options: list[str], error: str, call: Callable[..., Result]) -> None:
    write(Path(f"in.{given}"), table())
    result = call("encode", f"in.{given}", "-o", "out.parquet", *options)
    assert result.code == 1
    assert result.err.startswith(f"error: {error.format(given)}")
    assert [path.name for path in Path.cwd().iterdir()] == [f"in.{given}"]


@pytest.mark.parametrize("given", ["parquet", "arrow", "jsonl"])
def test_a_column_of_something_else(given: str, call: Callable[..., Result]) -> None:
    write(Path(f"in.{given}"), table())
    result = call("encode", f"in.{given}", "-o", "out.parquet", "--column", "id")
    assert (result.code, result.err) == (1, f"error: in.{given}: column 'id' is of type int64, expected strings\n")


# Inputs


@pytest.mark.usefixtures("small_batches")
def test_several_files_and_patterns(call: Callable[..., Result], default_model: StaticModel) -> None:
    content = table()
    for number, first in enumerate((0, 30, 31)):
        write(Path(f"part-{number}.parquet"), content[first : (30, 31, 100)[number]])
    for arguments in (["part-0.parquet", "part-1.parquet", "part-2.parquet"], ["part-*.parquet"], ["part-[01].parquet", "part-2.parquet"]):
        assert call("encode", *arguments, "-o", "out.jsonl").code == 0
        assert_rows(read(Path("out.jsonl")), content.to_pylist(), default_model)
    write(Path("more.jsonl"), content[:9])
    assert call("encode", "part-0.parquet", "more.jsonl", "-o", "out.jsonl").code == 0
    assert_rows(read(Path("out.jsonl")), [*content[:30].to_pylist(), *content[:9].to_pylist()], default_model)
    write(Path("other.parquet"), content.drop_columns("tag"))
    result = call("encode", "part-0.parquet", "other.parquet", "-o", "out.jsonl")
    assert result.code == 1
    assert "other.parquet: " in result.err


@pytest.mark.parametrize("name", ["nonesuch.parquet", "nonesuch-*.csv"])
def test_files_that_are_not_there(name: str, call: Callable[..., Result]) -> None:
    result = call("encode", name, "-o", "out.parquet")
    assert result.code == 2
    assert f"{name}: no such file" in result.err
    assert not list(Path.cwd().iterdir())


def test_texts_and_lines_are_tables_too(call: Callable[..., Result], default_model: StaticModel) -> None:
    Path("texts.txt").write_text("one\n\nthree\n", encoding="utf-8")
    assert call("encode", "texts.txt", "a text that names data.csv", "-o", "out.parquet").code == 0
    expected = [{"text": text} for text in ("one", "", "three", "a text that names data.csv")]
    assert_rows(read(Path("out.parquet")), expected, default_model)
    Path("bad.txt").write_bytes(b"one\n\xff\n")
    result = call("encode", "bad.txt", "-o", "out.arrow")
    assert (result.code, result.err) == (1, "error: bad.txt: line 2: not UTF-8 at character 1\n")


def test_csv_values_stay(call: Callable[..., Result], default_model: StaticModel) -> None:
    content = b'\xef\xbb\xbfid,"the, text"\r\n007,"two\r\nlines"\r\nNA,"say ""hi"""\r\n1.50,\r\n'
    Path("in.csv").write_bytes(content)
    assert call("encode", "in.csv", "--column", "the, text", "-o", "out.csv").code == 0
    found = read(Path("out.csv"))
    assert [row["id"] for row in found] == ["007", "NA", "1.50"]
    assert [row["the, text"] for row in found] == ["two\r\nlines", 'say "hi"', ""]
    assert np.array(found[1]["embedding"], np.float32).tobytes() == default_model.encode('say "hi"').tobytes()


def test_json_values_stay(call: Callable[..., Result]) -> None:
    rows = [{"when": "2020-01-01T00:00:00", "text": "2021-02-03", "deep": {"when": ["2020-01-01"], "n": i}, "none": None} for i in range(9)]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert call("encode", "in.jsonl", "-o", "out.jsonl").code == 0
    found = read(Path("out.jsonl"))
    assert [{name: row[name] for name in rows[0]} for row in found] == rows


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.parquet", b"not Parquet"),
        ("in.arrow", b"not Arrow"),
        ("in.csv", b"text,b\n1,2\n1,2,3\n"),
        ("in.csv", b"text,text\n1,2\n"),
        ("in.csv", b"text\n\xff\n"),
        ("in.csv", b""),
        ("in.jsonl", b"{]\n"),
        ("in.jsonl", b'{"text": "a"}\n{"text": 7}\n'),
        ("in.jsonl", b'["text"]\n'),
    ],
    ids=str,
)
def test_bad_files(name: str, content: bytes, call: Callable[..., Result]) -> None:
    Path(name).write_bytes(content)
    result = call("encode", name, "-o", "out.parquet")
    assert result.code == 1
    assert result.err.startswith(f"error: {name}: ")
    assert result.err.count("\n") == 1
    assert [path.name for path in Path.cwd().iterdir()] == [name]


def test_a_torn_parquet_file(call: Callable[..., Result]) -> None:
    write(Path("in.parquet"), table())
    content = bytearray(Path("in.parquet").read_bytes())
    content[200:1500] = bytes(1300)
    Path("in.parquet").write_bytes(content)
    result = call("encode", "in.parquet", "-o", "out.parquet")
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert [path.name for path in Path.cwd().iterdir()] == ["in.parquet"]


def run(*arguments: str | Path, code: str = "", **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a new process, after other code."""
    return subprocess.run(command(*arguments, code=code), capture_output=True, check=False, timeout=120, **options)


def command(*arguments: str | Path, code: str = "") -> list[str]:
    return [sys.executable, "-c", f"{code}\nfrom model2vec_numba.cli import main\nmain()", *map(str, arguments)]


def test_standard_streams(tmp_path: Path, default_model: StaticModel) -> None:
    content = table()
    given = write(tmp_path / "in.jsonl", content).read_bytes()
    done = run("encode", "-", "--format", "jsonl", input=given)
    assert (done.returncode, done.stderr) == (0, b"")
    (tmp_path / "out.jsonl").write_bytes(done.stdout)
    assert_rows(read(tmp_path / "out.jsonl"), content.to_pylist(), default_model)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, content.schema) as writer:
        writer.write_table(content, max_chunksize=13)
    done = run("encode", "-", "--format", "arrow", "-o", tmp_path / "out.parquet", input=sink.getvalue().to_pybytes())
    assert (done.returncode, done.stderr) == (0, b"")
    assert_rows(read(tmp_path / "out.parquet"), content.to_pylist(), default_model)


@pytest.mark.exhaustive
def test_parquet_cannot_be_a_stream(tmp_path: Path) -> None:
    done = run("encode", "-", "--format", "parquet", "-o", tmp_path / "out.parquet", input=b"")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"standard input: Parquet cannot be read from standard input" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["in.parquet", "-o", "out.npy"], "out.npy: tables can only be written to"),
        (["in.parquet", "--resume"], "--resume needs files"),
        (["-", "--format", "csv", "--resume", "-o", "out.parquet"], "--resume needs files"),
        (["in.parquet", "-o", "out.txt"], "unknown suffix"),
    ],
    ids=str,
)
def test_usage_errors(arguments: list[str], says: str, call: Callable[..., Result]) -> None:
    write(Path("in.parquet"), table())
    result = call("encode", *arguments)
    assert result.code == 2
    assert says in result.err


def test_without_pyarrow(tmp_path: Path) -> None:
    write(tmp_path / "in.parquet", table())
    done = run("encode", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", code="import sys; sys.modules['pyarrow'] = None")
    assert done.returncode == 1
    assert done.stderr == b"error: ImportError: reading and writing tables needs pyarrow: pip install 'model2vec-numba[arrow]'\n"


def test_an_old_pyarrow(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\na\n")
    code = "import pyarrow; pyarrow.__version__ = '24.0.0'; from model2vec_numba.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "encode", "in.csv", "-o", "out.parquet"], cwd=tmp_path, check=False, capture_output=True)
    message = (
        b"error: ImportError: reading and writing tables needs pyarrow 25 or newer, found 24.0.0: pip install --upgrade 'model2vec-numba[arrow]'\n"
    )
    assert (done.returncode, done.stderr) == (1, message)
    assert not (tmp_path / "out.parquet").exists()


# Interruptions


class Interrupted:
    """Raises an error after a number of batches have been written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int, error: BaseException) -> None:
        self.left = after
        self.error = error
        for sink in (ParquetWriter, writers._ArrowFile, writers._TextFile):
            monkeypatch.setattr(sink, "write", self.wrapped(sink.write))

    def wrapped(self, method: Callable[..., None]) -> Callable[..., None]:
        def write(sink: Any, batch: Any) -> None:
            self.left -= 1
            if self.left < 0:
                raise self.error
            method(sink, batch)

        return write


def files() -> list[str]:
    return sorted(path.name for path in Path.cwd().iterdir())


# Each writer once. The other combinations are exhaustive.
QUICK = [("parquet", "parquet", True), ("csv", "arrow", True), ("csv", "csv", False), ("parquet", "jsonl", False)]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(
    ("given", "out", "torn"),
    [
        pytest.param(given, out, torn, marks=() if (given, out, torn) in QUICK else pytest.mark.exhaustive)
        for given in ("parquet", "csv")
        for out in OUT
        for torn in (False, True)
    ],
)
def test_resume(given: str, out: str, torn: bool, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt a run in each part in turn. If `torn`, there are more bytes after the last complete part, as after a kill."""
    name = f"out.{out}"
    write(Path(f"in.{given}"), table())
    write(Path(f"more.{given}"), table(13))
    arguments = ["encode", f"in.{given}", f"more.{given}", "-o", name, "-q"]
    assert call(*arguments).code == 0
    whole = Path(name).read_bytes()
    Path(name).write_bytes(b"the old one")
    for kept in (18, 36, 72, 90):
        with monkeypatch.context() as patch:
            Interrupted(patch, 5 if kept == 72 else 3, KeyboardInterrupt())
            result = call(*arguments, "--resume")
        assert result.code == 130
        assert result.err == f"{kept} rows are kept. To continue after them, do the same again with resume (--resume on the command line)\n"
        assert Path(name).read_bytes() == b"the old one"
        assert len(files()) == 5
        if torn:
            (left,) = (path for path in Path.cwd().iterdir() if ".tmp" in path.name)
            left.write_bytes(left.read_bytes() + b"torn")
    result = call(*arguments, "--resume")
    assert (result.code, result.err) == (0, "")
    assert Path(name).read_bytes() == whole
    assert files() == sorted([f"in.{given}", f"more.{given}", name])
    # Without anything to resume, the option has no effect.
    assert call(*arguments, "--resume").code == 0
    assert Path(name).read_bytes() == whole


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OSError(os.strerror(errno.ENOSPC))], ids=repr)
@pytest.mark.parametrize("out", OUT)
def test_a_full_disk(out: str, error: OSError, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("in.parquet"), table())
    Interrupted(monkeypatch, 3, error)
    result = call("encode", "in.parquet", "-o", f"out.{out}")
    assert result.code == 1
    assert f"out.{out}: {os.strerror(errno.ENOSPC)}" in result.err
    assert "rows are kept" in result.err


@pytest.mark.usefixtures("small_batches")
def test_interrupted_before_the_first_part(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("in.parquet"), table())
    Interrupted(monkeypatch, 1, KeyboardInterrupt())
    result = call("encode", "in.parquet", "-o", "out.parquet")
    assert (result.code, result.err) == (130, "")
    assert files() == ["in.parquet"]


@pytest.mark.usefixtures("small_batches")
def test_what_was_left_is_dropped_only_if_it_is_asked_for(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("in.parquet"), table())
    with monkeypatch.context() as patch:
        Interrupted(patch, 3, OSError(28, "No space left on device"))
        result = call("encode", "in.parquet", "-o", "out.parquet")
        assert result.code == 1
        assert result.err.endswith("\nerror: out.parquet: No space left on device\n")
    left = files()
    assert len(left) == 3
    result = call("encode", "in.parquet", "-o", "out.parquet")
    assert result.code == 1
    assert result.err == (
        "error: out.parquet: 18 rows of an interrupted run are kept: continue after them with resume, or drop them with overwrite\n"
    )
    assert files() == left
    # Another job is not resumed, unless it may drop the rows.
    assert call("encode", "in.parquet", "-o", "out.parquet", "--keep", "id", "--resume").code == 1
    assert files() == left
    with monkeypatch.context() as patch:
        Interrupted(patch, 5, KeyboardInterrupt())
        result = call("encode", "in.parquet", "-o", "out.parquet", "--keep", "id", "--resume", "--overwrite")
        assert result.err.startswith("36 rows are kept")
    assert call("encode", "in.parquet", "-o", "out.parquet", "--overwrite").code == 0
    assert files() == ["in.parquet", "out.parquet"]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(
    ("changed", "differing"),
    [
        (["--keep", "id"], "keep"),
        (["--no-normalize"], "normalize"),
        (["--max-length", "3"], "max_length"),
        (["--precision", "float16"], "precision"),
        (["--dimensionality", "64"], "dimensionality"),
        (["--compression", "snappy"], "compression"),
        (["--column", "tag"], "column"),
        ([], "contents of in.parquet"),
        (["more.parquet"], "inputs, contents of more.parquet"),
        (["-m"], "model"),
        (["-m", "bfloat16"], "model"),
    ],
    ids=str,
)
def test_another_job_is_not_resumed(
    changed: list[str], differing: str, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    write(Path("in.parquet"), table())
    arguments = ["encode", "in.parquet", "-o", "out.parquet"]
    if changed == ["-m", "bfloat16"]:
        # The same bytes in another storage type.
        half = quantize_model(StaticModel.from_pretrained(tiny_folder), quantize_to="float16")
        StaticModel(half.embedding.view(ml_dtypes.bfloat16), half.tokenizer).save_pretrained("bfloat16")
        half.save_pretrained("float16")
        arguments += ["-m", "float16"]
    with monkeypatch.context() as patch:
        Interrupted(patch, 3, KeyboardInterrupt())
        assert call(*arguments).code == 130
    before = files()
    if differing == "contents of in.parquet":
        # Other contents of the same size, and at the same time.
        status, content = Path("in.parquet").stat(), Path("in.parquet").read_bytes()
        Path("in.parquet").write_bytes(content.replace(b"tag 1", b"tag 7"))
        os.utime("in.parquet", ns=(status.st_atime_ns, status.st_mtime_ns))
    if "more.parquet" in changed:
        write(Path("more.parquet"), table(3))
        before = files()
    if changed == ["-m", "bfloat16"]:
        del arguments[-2:]
    if changed == ["-m"]:
        changed = ["-m", str(tiny_folder), "--normalize", "--max-length", "512"]
    result = call(*arguments, *changed, "--resume")
    assert (result.code, result.err) == (
        1,
        f"error: out.parquet: the unfinished file is from a run with different {differing} and cannot be resumed: start again with overwrite\n",
    )
    assert files() == before


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"file": "../x", "rows": 1, "bytes": 1, "job": {}}', b'{"file": "x", "rows": 1}', b"\xff"])
def test_a_journal_of_nonsense(content: bytes, call: Callable[..., Result], default_model: StaticModel) -> None:
    write(Path("in.parquet"), table())
    Path("../x").write_bytes(b"not ours")
    Path(".out.parquet.model2vec-numba.json").write_bytes(content)
    assert call("encode", "in.parquet", "-o", "out.parquet", "--resume").code == 0
    assert_rows(read(Path("out.parquet")), table().to_pylist(), default_model)
    assert files() == ["in.parquet", "out.parquet"]
    assert Path("../x").read_bytes() == b"not ours"


@pytest.mark.usefixtures("small_batches")
def test_errors_in_the_middle(call: Callable[..., Result]) -> None:
    """A bad row near the end is an error, and there is no file under the final name."""
    lines = "".join(f'"{text or ""}"\n' for text in ["fine"] * 200)
    Path("in.csv").write_text(f"text\n{lines}one,too many\n", encoding="utf-8")
    result = call("encode", "in.csv", "-o", "out.parquet")
    assert result.code == 1
    assert "error: in.csv: " in result.err
    assert not Path("out.parquet").exists()


# Each kill takes a process that loads a model.
KILLS = int(os.environ.get("MODEL2VEC_NUMBA_KILLS", "1"))

SLOW = """
import time
from model2vec_numba.tables import columns, encoding
from model2vec_numba.tables.parquet import ParquetWriter
columns._ROWS, encoding._BATCHES_PER_SAVE = 500, 1
write = ParquetWriter.write
def slow(sink, batch):
    write(sink, batch)
    time.sleep(0.05)
ParquetWriter.write = slow
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals as POSIX has them")
def test_killed_and_resumed(tmp_path: Path, default_model: StaticModel) -> None:
    """At random moments."""
    content = table(10_000)
    given, out = write(tmp_path / "in.parquet", content), tmp_path / "out.parquet"
    assert len(content) // 500 > KILLS
    draw = random.Random()
    for _ in range(KILLS):
        with subprocess.Popen(command("encode", given, "-o", out, "--resume", code=SLOW), stderr=subprocess.PIPE) as process:
            journal = tmp_path / ".out.parquet.model2vec-numba.json"
            start = time.monotonic()
            before = journal.read_bytes() if journal.exists() else b""
            while time.monotonic() - start < 60 and (not journal.exists() or journal.read_bytes() == before):
                time.sleep(0.005)
            time.sleep(draw.uniform(0, 0.3))
            process.send_signal(draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM]))
            process.wait(timeout=60)
        assert process.returncode in {-signal.SIGKILL, 130, 143}
        assert not out.exists()
    done = run("encode", given, "-o", out, "--resume")
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]
    assert pq.read_table(out, columns=["id", "text", "tag"]).equals(content)
    expected = default_model.encode_arrow(content["text"])
    assert pq.read_table(out)["embedding"].equals(expected)


@pytest.mark.skipif(os.name != "posix", reason="needs signals as POSIX has them")
def test_ctrl_c_while_waiting_for_input(tmp_path: Path) -> None:
    arguments = ["encode", "-", "--format", "csv", "-o", tmp_path / "out.parquet"]
    with subprocess.Popen(command(*arguments), stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"text\nfirst\n")
        process.stdin.flush()
        start = time.monotonic()
        while not list(tmp_path.iterdir()) and time.monotonic() - start < 60:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert not list(tmp_path.iterdir())


def test_other_processes_on_one_file(tmp_path: Path, default_model: StaticModel) -> None:
    """They are refused, and the file of the first one is right."""
    slow = """
import sys
from model2vec_numba import StaticModel
encode = StaticModel.encode_arrow
batches = 0
def wait_and_encode(*arguments, **options):
    global batches
    batches += 1
    if batches == 2:
        sys.stdin.readline()
    return encode(*arguments, **options)
StaticModel.encode_arrow = wait_and_encode
"""
    # Two batches.
    content = pa.table({"text": ["a cat", None] * 20_000})
    given, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(content, given)
    with subprocess.Popen(command("encode", given, "-o", out, code=slow), stdin=subprocess.PIPE) as first:
        assert first.stdin is not None
        start = time.monotonic()
        while len(list(tmp_path.iterdir())) == 1 and time.monotonic() - start < 60:
            time.sleep(0.01)
        for resume in ([], ["--resume"]):
            other = run("encode", given, "-o", out, *resume)
            assert other.returncode == 1
            assert other.stderr.decode() == f"error: {out}: another process is writing this file: wait until it has ended, or end it\n"
        first.stdin.write(b"\n")
        first.stdin.flush()
        assert first.wait(timeout=60) == 0
    found = pq.read_table(out)
    assert found.drop_columns("embedding").equals(content)
    assert found["embedding"].combine_chunks().equals(default_model.encode_arrow(content["text"]).combine_chunks())
    assert sorted(tmp_path.iterdir()) == [given, out]


@pytest.mark.skipif(os.name != "posix", reason="needs signals as POSIX has them")
@pytest.mark.parametrize("pause", [0.03, 0.5])
@pytest.mark.parametrize(
    ("first", "second", "code"),
    [(signal.SIGINT, signal.SIGINT, 130), (signal.SIGTERM, signal.SIGINT, 143), (signal.SIGINT, signal.SIGTERM, 130)],
)
def test_two_signals(first: signal.Signals, second: signal.Signals, code: int, pause: float, tmp_path: Path) -> None:
    """The first one counts, nothing is printed, and the process does not wait for a thread that compiles or encodes."""
    slow = """
import sys, time
from model2vec_numba import StaticModel
def slow(*arguments, **options):
    sys.stderr.write("began,")
    sys.stderr.flush()
    time.sleep(60)
StaticModel.encode_arrow = slow
"""
    given = write(tmp_path / "in.parquet", table())
    with subprocess.Popen(command("encode", given, "-o", tmp_path / "out.parquet", code=slow), stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.read(len("began,")) == b"began,"
        began = time.monotonic()
        process.send_signal(first)
        time.sleep(pause)
        process.send_signal(second)
        assert process.wait(timeout=60) == code
        assert process.stderr.read() == b""
        assert time.monotonic() - began < 20
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


@pytest.mark.skipif(os.name != "posix", reason="needs signals as POSIX has them")
@pytest.mark.parametrize(("first", "second", "code"), [(signal.SIGTERM, signal.SIGINT, 143), (signal.SIGINT, signal.SIGTERM, 130)])
def test_two_signals_before_one_is_handled(first: signal.Signals, second: signal.Signals, code: int) -> None:
    """Python handles no signal during a call of C, and then handles them in the order of their numbers."""
    slow = """
from model2vec_numba import StaticModel
def load(*arguments, **options):
    print("began", flush=True)
    sum(range(100_000_000))
StaticModel.from_pretrained = load
"""
    with subprocess.Popen(command("encode-single", "a", code=slow), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        for number in (first, second):
            process.send_signal(number)
            time.sleep(0.05)
        assert process.wait(timeout=60) == code
        assert process.stderr.read() == b""


def interrupted(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


# Ctrl-C before each of the calls that make a file.
@pytest.mark.parametrize("name", ["touch", "open", "write_text", "replace", "unlink"])
def test_ctrl_c_while_a_file_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    partial = PartialFile(str(tmp_path / "out.csv"), {})
    with monkeypatch.context() as patched:
        patched.setattr(Path, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            partial.open(resume=False)
    partial.leave()
    assert not list(tmp_path.iterdir())


def test_ctrl_c_before_what_was_left_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = str(tmp_path / "out.csv")
    first = PartialFile(target, {"column": "text"})
    first.open(resume=False)
    first.path.write_bytes(b"text\n1\n")
    first.save(first.path, 1, 7)
    # The next save is interrupted.
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            first.save(first.path, 2, 7)
    first.leave()
    PartialFile(target, {"column": "text"}).leave()
    second = PartialFile(target, {"column": "text"})
    second.open(resume=True)
    assert (second.path, second.rows, second.size) == (first.path, 1, 7)
    second.finish(second.path)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


# The stages


def test_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither many rows nor large rows make a large batch, and small batches are joined."""
    monkeypatch.setattr(columns, "_ROWS", 100)
    monkeypatch.setattr(columns, "_BYTES", 10_000)
    column = pa.array(["x" * 5] * 250 + ["y" * 1000] * 40 + ["z" * 30_000] * 2 + ["w"] * 7)
    given = pa.record_batch({"text": column})
    for step in (1, 7, 1000):
        found = list(columns.regroup(given[first : first + step] for first in range(0, len(given), step)))
        assert pa.Table.from_batches(found).equals(pa.Table.from_batches([given]))
        assert max(map(len, found)) <= 100
        assert all(batch.nbytes < 25_000 or len(batch) == 1 for batch in found)
        assert len(found) < 20
    assert list(columns.regroup(iter([]))) == []


def test_stages_are_a_few_items_ahead() -> None:
    made = []

    def numbers() -> Any:
        for number in range(1000):
            made.append(number)
            yield number

    with prefetch.Prefetcher() as stages:
        items = stages.ahead(number * 2 for number in stages.ahead(numbers()))
        assert next(items) == 0
        time.sleep(0.3)
        assert len(made) < 20
        assert list(items) == [2 * number for number in range(1, 1000)]
    with prefetch.Prefetcher() as stages:
        next(stages.ahead(stages.ahead(numbers())))
    assert not [thread for thread in stages._threads if thread.is_alive()]


def test_ctrl_c_while_a_stage_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch.threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), prefetch.Prefetcher() as stages:
        next(stages.ahead([1]))


def test_an_error_passes_through_the_stages() -> None:
    def numbers() -> Any:
        yield from range(5)
        raise ValueError("after five")

    found = []
    with prefetch.Prefetcher() as stages, pytest.raises(ValueError, match="after five"):  # noqa: PT012
        for number in stages.ahead(stages.ahead(numbers())):
            found.append(number)  # noqa: PERF402
    assert found == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("given", IN)
def test_progress(given: str, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """The total is known, or it is estimated and the estimate becomes good."""
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 4096)
    seen: list[tuple[int, int | None]] = []
    described: list[str] = []

    class Bar:
        total: int | None = None

        def __init__(self, total: int | None, **_: Any) -> None:
            self.known = total

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def set_description(self, text: str) -> None:
            described.append(text)

        def update(self, count: int) -> None:
            seen.append((count, self.total))

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    write(Path(f"in.{given}"), table(1000))
    assert call("encode", f"in.{given}", "-o", "out.parquet").code == 0
    assert described == ["opening", "loading the model", ""]
    assert sum(count for count, _ in seen) == 1000
    # pyarrow reads text ahead, so the first estimates are too low for such a small file.
    assert seen[-1][1] == pytest.approx(1000, rel=0.03)
