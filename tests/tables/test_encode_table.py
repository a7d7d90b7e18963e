"""Tables from Python: `encode_table` against `encode` and the command line, its inputs, its errors, and how it is interrupted."""

from __future__ import annotations

import csv
import errno
import gzip
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Result

from model2vec_numba import EncodedTable, ModelNotFoundError, StaticModel, encode_table, quantization_ranges
from model2vec_numba.cli import commands
from model2vec_numba.tables import columns, encoding, readers, writers
from model2vec_numba.tables.parquet import ParquetWriter
from model2vec_numba.vectors.form import PRECISIONS

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")
import pyarrow.parquet as pq  # noqa: E402

TEXTS = ["a cat sat", "", "here", "na\u00efve \u65e5\u672c", "a, comma"] * 8


def table(first: int = 0, count: int = 40) -> Any:
    return pa.table({"id": pa.array(range(first, first + count), pa.int64()), "text": TEXTS[:count]})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder with a table, and small batches."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(columns, "_ROWS", 9)
    monkeypatch.setattr(encoding, "_BATCHES_PER_SAVE", 1)
    monkeypatch.setattr(readers, "_BLOCK_ROWS", 5)
    pq.write_table(table(), "in.parquet")
    yield tmp_path
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def vectors_of(path: str) -> Any:
    """Return the vectors in a file."""
    match Path(path).suffix:
        case ".parquet":
            return np.array(pq.read_table(path)["embedding"].to_pylist())
        case ".arrow":
            return np.array(pa.ipc.open_file(Path(path).read_bytes()).read_all()["embedding"].to_pylist())
        case ".csv":
            with Path(path).open(newline="", encoding="utf-8") as file:
                return np.array([json.loads(row["embedding"]) for row in csv.DictReader(file)])
    return np.array([json.loads(line)["embedding"] for line in Path(path).read_text(encoding="utf-8").splitlines()])


# Results


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "jsonl"])
def test_as_the_command_line(suffix: str, default_model: StaticModel, call: Callable[..., Result], here: Path) -> None:
    result = encode_table(here / "in.parquet", "text", here / f"out.{suffix}", model=default_model)
    assert result == EncodedTable(here / f"out.{suffix}", 40, 0)
    assert vectors_of(str(result.path)).astype(np.float32).tobytes() == default_model.encode(TEXTS).tobytes()
    assert call("encode", here / "in.parquet", "-o", f"out.{suffix}").code == 0
    assert Path(f"out.{suffix}").read_bytes() == result.path.read_bytes()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_precisions(precision: str, default_model: StaticModel, call: Callable[..., Result], here: Path) -> None:
    ranges = None
    if precision in {"int8", "uint8"}:
        ranges = quantization_ranges(default_model.encode(TEXTS, dimensionality=16))
        np.save(here / "ranges.npy", ranges)
    options: dict[str, Any] = {"dimensionality": 16, "precision": precision, "ranges": ranges}
    expected = default_model.encode(TEXTS, **options)
    for suffix in ("parquet", "arrow", "csv", "jsonl"):
        path = here / f"out.{suffix}"
        encode_table(here / "in.parquet", "text", path, model=default_model, num_threads=1, **options)
        assert vectors_of(str(path)).astype(expected.dtype).tobytes() == expected.tobytes()
    kind = pq.read_schema(here / "out.parquet").field("embedding").type
    assert kind == pa.list_(pa.from_numpy_dtype(PRECISIONS[precision]), expected.shape[1])
    arguments = ["--dimensionality", "16", "--precision", precision, *([] if ranges is None else ["--ranges", here / "ranges.npy"])]
    assert call("encode", here / "in.parquet", "-o", "out.parquet", *arguments).code == 0
    assert Path("out.parquet").read_bytes() == (here / "out.parquet").read_bytes()
    # Files of vectors alone, from the command line.
    for suffix in ("npy", "json"):
        assert call("encode", "--text", *TEXTS, "-o", f"out.{suffix}", *arguments).code == 0
    stored = np.load("out.npy")
    assert (stored.dtype, stored.tobytes()) == (expected.dtype, expected.tobytes())
    assert np.array(json.loads(Path("out.json").read_text())).astype(expected.dtype).tobytes() == expected.tobytes()


def test_the_command_line_knows_all_precisions() -> None:
    assert tuple(PRECISIONS) == commands._PRECISIONS


def test_settings(default_model: StaticModel) -> None:
    encode_table("in.parquet", "text", "out.parquet", model=default_model, keep=["id"], vectors="v", normalize=False, max_length=1)
    found = pq.read_table("out.parquet")
    assert found.column_names == ["id", "v"]
    expected = default_model.encode(TEXTS, normalize=False, max_length=1)
    assert np.array(found["v"].to_pylist(), np.float32).tobytes() == expected.tobytes()
    # The model keeps its own settings.
    assert (default_model.normalize, default_model.max_length) == (True, 512)


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "none", None])
def test_compression(compression: str | None, default_model: StaticModel) -> None:
    encode_table("in.parquet", "text", "out.parquet", model=default_model, compression=compression)
    group = pq.read_metadata("out.parquet").row_group(0)
    expected = {None: "ZSTD", "none": "UNCOMPRESSED"}.get(compression, str(compression).upper())
    assert [group.column(i).compression for i in range(3)] == [expected, expected, "UNCOMPRESSED"]


def test_models(tiny_folder: Path) -> None:
    model = StaticModel.from_pretrained(tiny_folder)
    for given in (model, tiny_folder, str(tiny_folder), lambda: StaticModel.from_pretrained(tiny_folder)):
        encode_table("in.parquet", "text", "out.jsonl", model=given)
        assert vectors_of("out.jsonl").astype(np.float32).tobytes() == model.encode(TEXTS).tobytes()


def test_progress(default_model: StaticModel, capfd: pytest.CaptureFixture[str]) -> None:
    encode_table("in.parquet", "text", "out.jsonl", model=default_model)
    assert capfd.readouterr() == ("", "")
    encode_table("in.parquet", "text", "out.jsonl", model=default_model, show_progress_bar=True)
    out, error = capfd.readouterr()
    assert not out
    assert "40.0/40.0" in error


# Inputs


def test_many_files(default_model: StaticModel) -> None:
    """A folder, a pattern and a list. Files that are no data are left out."""
    Path("data/more/_temporary").mkdir(parents=True)
    pq.write_table(table(0, 3), "data/b.parquet")
    pq.write_table(table(3, 2), "data/a.parquet")
    pq.write_table(table(5, 4), "data/more/c.parquet")
    pq.write_table(table(9, 1), "data/more/_temporary/d.parquet")
    for name in ("data/_SUCCESS", "data/README.md", "data/.hidden.parquet"):
        Path(name).write_text("no data")
    expected = [3, 4, 0, 1, 2, 5, 6, 7, 8]
    for source in ("data", Path("data"), "data/", "data/**/[abc].parquet", ["data/a.parquet", "data/b*", Path("data/more")]):
        assert encode_table(source, "text", "out.parquet", model=default_model).rows == 9
        assert pq.read_table("out.parquet")["id"].to_pylist() == expected
    pq.write_table(table(), "data/all.parquet")
    with pytest.raises(ValueError, match=r"data/all\.parquet: this file is one of several inputs"):
        encode_table("data", "text", "data/all.parquet", model=default_model)


def test_folders_that_are_no_tables(default_model: StaticModel) -> None:
    Path("empty").mkdir()
    with pytest.raises(ValueError, match="empty: there are no tables in this folder"):
        encode_table("empty", "text", "out.parquet", model=default_model)
    Path("parts/lang=de").mkdir(parents=True)
    pq.write_table(table(), "parts/lang=de/1.parquet")
    with pytest.raises(ValueError, match="'lang=de' is the value of a column, which would be lost"):
        encode_table("parts", "text", "out.parquet", model=default_model)
    assert encode_table("parts/**/*.parquet", "text", "out.parquet", model=default_model).rows == 40


def test_formats(default_model: StaticModel) -> None:
    with gzip.open("in.csv.gz", "wt", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *enumerate(TEXTS)])
    Path("in.data").write_bytes(gzip.decompress(Path("in.csv.gz").read_bytes()))
    Path("in.txt").write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    for source, options in (("in.csv.gz", {}), ("in.data", {"format": "csv"}), ("in.txt", {})):
        assert encode_table(source, "text", "out.parquet", model=default_model, **options).rows == 40
        assert vectors_of("out.parquet").astype(np.float32).tobytes() == default_model.encode(TEXTS).tobytes()


def test_a_file_is_replaced_by_itself(default_model: StaticModel) -> None:
    assert encode_table("in.parquet", "text", "in.parquet", model=default_model).rows == 40
    assert pq.read_schema("in.parquet").names == ["id", "text", "embedding"]


# Errors


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (("none.parquet", "text", "out.parquet"), {}, FileNotFoundError, "none.parquet"),
        (("none*.parquet", "text", "out.parquet"), {}, FileNotFoundError, "none"),
        (([], "text", "out.parquet"), {}, ValueError, "source has no files"),
        ((3, "text", "out.parquet"), {}, TypeError, ""),
        (("in.parquet", "body", "out.parquet"), {}, ValueError, "in.parquet: no column 'body': there are 'id', 'text'"),
        (("in.parquet", "id", "out.parquet"), {}, ValueError, "column 'id' is of type int64, expected strings"),
        (("in.parquet", "text", "out.npy"), {}, ValueError, "out.npy: tables can only be written to a file with one of the suffixes .parquet"),
        (("in.parquet", "text", "nowhere/out.parquet"), {}, FileNotFoundError, "nowhere"),
        (("in.parquet", "text", "out.parquet"), {"keep": "id"}, TypeError, "keep must be a list"),
        (("in.parquet", "text", "out.parquet"), {"keep": ["no"]}, ValueError, "no column 'no'"),
        (("in.parquet", "text", "out.parquet"), {"vectors": "id"}, ValueError, "there is a column 'id' already"),
        (("in.parquet", "text", "out.parquet"), {"format": "xml"}, ValueError, "format must be one of 'parquet'"),
        (("in.parquet", "text", "out.parquet"), {"compression": "zip"}, ValueError, "compression must be one of 'zstd'"),
        (("in.parquet", "text", "out.csv"), {"compression": "zstd"}, ValueError, "compression is for .parquet files"),
        (("-", "text", "out.parquet"), {"resume": True}, ValueError, "standard input: resume needs files as input"),
        (("in.parquet", "text", "-"), {"resume": True}, ValueError, "resume needs a file as output"),
        (("in.parquet", "text", "out.parquet"), {"batch_size": 0}, ValueError, "batch_size"),
        (("in.parquet", "text", "out.parquet"), {"precision": "int8"}, ValueError, "quantization_ranges"),
        (("in.parquet", "text", "out.parquet"), {"dimensionality": 999}, ValueError, "dimensionality"),
        (("in.parquet", "text", "out.parquet"), {"model": "no/such/model/here"}, ModelNotFoundError, "no/such"),
    ],
    ids=str,
)
def test_errors(arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], says: str, default_model: StaticModel) -> None:
    with pytest.raises(error) as raised:
        encode_table(*arguments, **{"model": default_model, **options})
    assert says in str(raised.value)
    assert [path.name for path in Path.cwd().iterdir()] == ["in.parquet"]


# Interruptions


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., BaseException]:
    """A function that calls `encode_table` and interrupts it after two batches. It returns the exception."""

    def run(model: StaticModel, out: str = "out.parquet", error: BaseException | None = None, **options: Any) -> BaseException:
        error = error or KeyboardInterrupt()
        with monkeypatch.context() as patch:
            for writer in (ParquetWriter, writers._ArrowFile, writers._TextFile):
                batches: list[int] = []

                def write(sink: Any, batch: Any, plain: Any = writer.write, batches: list[int] = batches) -> None:
                    batches.append(1)
                    if len(batches) > 2:
                        raise error
                    plain(sink, batch)

                patch.setattr(writer, "write", write)
            with pytest.raises(type(error)) as raised:
                encode_table("in.parquet", "text", out, model=model, **options)
        return raised.value

    return run


@pytest.mark.parametrize("out", ["out.parquet", "out.arrow", "out.csv", "out.jsonl"])
def test_resume(out: str, interrupted: Callable[..., BaseException], default_model: StaticModel) -> None:
    encode_table("in.parquet", "text", f"whole-{out}", model=default_model)
    error = interrupted(default_model, out)
    assert error.__notes__ == [  # type: ignore[attr-defined]
        "18 rows are kept. To continue after them, do the same again with resume (--resume on the command line)"
    ]
    with pytest.raises(FileExistsError, match="18 rows of an interrupted run are kept: continue after them with resume, or drop them with overwrite"):
        encode_table("in.parquet", "text", out, model=default_model)
    with pytest.raises(ValueError, match="different normalize"):
        encode_table("in.parquet", "text", out, model=default_model, normalize=False, resume=True)
    assert encode_table("in.parquet", "text", out, model=default_model, resume=True) == EncodedTable(Path(out), 40, 18)
    assert Path(out).read_bytes() == Path(f"whole-{out}").read_bytes()
    assert encode_table("in.parquet", "text", out, model=default_model, resume=True) == EncodedTable(Path(out), 40, 0)


def test_overwrite(interrupted: Callable[..., BaseException], default_model: StaticModel) -> None:
    interrupted(default_model)
    assert encode_table("in.parquet", "text", "out.parquet", model=default_model, overwrite=True).rows_resumed == 0
    # A call with other arguments cannot be continued, and its rows are dropped.
    interrupted(default_model, normalize=False)
    assert encode_table("in.parquet", "text", "out.parquet", model=default_model, resume=True, overwrite=True).rows_resumed == 0
    interrupted(default_model)
    assert encode_table("in.parquet", "text", "out.parquet", model=default_model, resume=True, overwrite=True).rows_resumed == 18
    before = Path("out.parquet").stat()
    with pytest.raises(FileExistsError) as raised:
        encode_table("in.parquet", "text", "out.parquet", model=default_model, overwrite=False)
    assert raised.value.filename == "out.parquet"
    assert Path("out.parquet").stat() == before
    assert encode_table("in.parquet", "text", "other.parquet", model=default_model, overwrite=False).rows == 40


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk(number: int, interrupted: Callable[..., BaseException], default_model: StaticModel) -> None:
    error = interrupted(default_model, error=OSError(number, "no space"))
    assert isinstance(error, OSError)
    assert (error.errno, error.filename) == (number, "out.parquet")
    assert encode_table("in.parquet", "text", "out.parquet", model=default_model, resume=True).rows_resumed == 18


def test_threads_and_signals(default_model: StaticModel) -> None:
    """Several calls in threads at the same time. Signals are left alone."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    results: list[EncodedTable] = []

    def work(number: int) -> None:
        results.append(encode_table("in.parquet", "text", f"out-{number}.parquet", model=default_model))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.path.name for result in results) == [f"out-{number}.parquet" for number in range(4)]
    assert len({Path(f"out-{number}.parquet").read_bytes() for number in range(4)}) == 1
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("model2vec-numba stage")]


def test_two_calls_on_one_file(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []
    plain = ParquetWriter.write

    def write(sink: ParquetWriter, batch: Any) -> None:
        if not refused:
            with pytest.raises(ValueError, match="another process") as raised:
                encode_table("in.parquet", "text", "out.parquet", model=default_model)
            refused.append(str(raised.value))
        plain(sink, batch)

    monkeypatch.setattr(ParquetWriter, "write", write)
    assert encode_table("in.parquet", "text", "out.parquet", model=default_model).rows == 40
    assert refused == ["out.parquet: another process is writing this file: wait until it has ended, or end it"]
