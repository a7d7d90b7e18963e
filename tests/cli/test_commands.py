"""The command line. Tests of signals, terminals and pipes start a process, and the others call `main` in this process."""

from __future__ import annotations

import errno
import importlib.metadata
import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import pytest
from helpers import ModelBytes, Result, model_bytes, new_tokenizer, one_error, write_model
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import pre_tokenizers

import model2vec_numba
from model2vec_numba import StaticModel, progress, quantize_model
from model2vec_numba.cli import commands
from model2vec_numba.cli.timing import time_in_turns, timed
from model2vec_numba.files.atomic import Output
from model2vec_numba.files.layouts import DEFAULT_MODEL
from model2vec_numba.starting.mode import VARIABLE
from model2vec_numba.tables.vector_files import find_format

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals, terminals and permissions as POSIX has them")

# These lines are more than a block, which is encoded and written at a time. Some of them are empty.
LINES = "\n".join(topics[topic] for topic in sorted(topics)).splitlines()[:5000]


@pytest.fixture(scope="module", autouse=True)
def compiled_before(default_model: StaticModel, tiny: ModelBytes) -> None:
    """Compile the kernels that these tests use. A process that compiles says so on standard error."""
    for model in (default_model, StaticModel.from_bytes(*tiny)):
        model.encode("text")
        model.encode(["text", "another"])


def process(*arguments: str | Path, code: str | None = None, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command line, or other `code`, in a new process."""
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    result: subprocess.CompletedProcess[bytes] = subprocess.run(
        command(*arguments, code=code), capture_output=True, check=False, timeout=120, **options
    )
    return result


def command(*arguments: str | Path, code: str | None = None) -> list[str]:
    return [sys.executable, *(("-m", "model2vec_numba") if code is None else ("-c", textwrap.dedent(code))), *map(str, arguments)]


def write_lines(path: Path) -> None:
    path.write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")


def folder_is_empty() -> bool:
    return not list(Path.cwd().iterdir())


def read(path: Path) -> NDArray[np.float32]:
    """Return the vectors of a file that the command line has written."""
    match path.suffix.lower():
        case ".npy":
            array: NDArray[np.float32] = np.load(path)
            return array
        case ".safetensors":
            tensors = load_file(path)
            assert list(tensors) == ["embeddings"]
            return tensors["embeddings"]
        case ".json":
            return np.array(json.loads(path.read_bytes()), np.float32)
    return np.array([json.loads(line)["embedding"] for line in path.read_bytes().splitlines()], np.float32)


def assert_same(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Check that vectors are equal to the bit, also the signs of zeros."""
    assert (found.dtype.name, found.shape) == ("float32", expected.shape)
    assert found.tobytes() == expected.tobytes()


# Formats


@pytest.mark.parametrize("name", ["out.npy", "out.safetensors", "out.json", "out.jsonl", "OUT.NPY"])
def test_file_of_texts(name: str, call: Callable[..., Result], tmp_path: Path, default_model: StaticModel, monkeypatch: pytest.MonkeyPatch) -> None:
    # Several blocks of vectors are written.
    monkeypatch.setattr(commands, "_BLOCK", 200)
    lines = LINES[:500]
    (tmp_path / "texts.txt").write_text("\n".join(lines), encoding="utf-8")
    result = call("encode", tmp_path / "texts.txt", "-o", name)
    assert (result.code, result.out, result.err) == (0, "", "")
    assert_same(read(Path(name)), default_model.encode(lines))
    assert [path.name for path in Path.cwd().iterdir()] == [name]
    if name.endswith(".jsonl"):
        assert [json.loads(line)["text"] for line in Path(name).read_bytes().splitlines()] == lines


def test_npy_is_what_numpy_writes(call: Callable[..., Result], default_model: StaticModel) -> None:
    assert call("encode", "one text", "another", "-o", "out.npy").code == 0
    expected = io.BytesIO()
    np.save(expected, default_model.encode(["one text", "another"]))
    assert Path("out.npy").read_bytes() == expected.getvalue()


def test_safetensors_values_are_aligned(call: Callable[..., Result]) -> None:
    for count in (1, 10, 100):
        assert call("encode", *["text"] * count, "-o", "out.safetensors").code == 0
        assert (8 + int.from_bytes(Path("out.safetensors").read_bytes()[:8], "little")) % 64 == 0


def test_json_lines_keep_any_text(call: Callable[..., Result]) -> None:
    texts = ['quote " backslash \\', "tab\tnew\nline", "\u2028 \u00e9 \U0001f600", ""]
    assert call("encode", *texts, "-o", "out.jsonl").code == 0
    written = Path("out.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line)["text"] for line in written[:-1]] == texts
    assert "\U0001f600" in written[2]


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".json", ".jsonl"])
def test_no_texts(suffix: str, call: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    out = Path(f"out{suffix}")
    assert call("encode", tmp_path / "empty.txt", "-o", out).code == 0
    if suffix in {".npy", ".safetensors"}:
        assert read(out).shape == (0, 256)
    else:
        assert out.read_text() == ("[]\n" if suffix == ".json" else "")


class Memory(Output):
    """Output to memory."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes | memoryview) -> None:
        self.data += bytes(data)


def write(name: str, blocks: Iterable[NDArray[np.float32]]) -> bytes:
    """Return the bytes that a format writes for vectors."""
    memory = Memory()
    blocks = list(blocks)
    shape = (sum(map(len, blocks)), blocks[0].shape[1])
    find_format(name)(memory, np.dtype(np.float32), shape, [([f"text {i}" for i in range(len(block))], block) for block in blocks])
    return memory.data


@given(st_numpy.arrays(np.uint32, (3, 4), elements=st.integers(0, 2**32 - 1)))
def test_json_numbers_read_back_and_are_shortest(bits: NDArray[np.uint32]) -> None:
    vectors = bits.view(np.float32)
    vectors[~np.isfinite(vectors)] = -0.0
    data = write("x.json", [vectors[:2], vectors[2:]])
    assert_same(np.array(json.loads(data), np.float32), vectors)
    digits = [len(re.sub(r"^[-0.]+|e.*|\.|", "", number).rstrip("0")) for number in re.findall(r"[-+.e\d]+", data.decode())]
    assert max(digits) <= 9
    assert all(np.float32(f"{value:.{count - 2}e}") != value for value, count in zip(vectors.ravel(), digits, strict=True) if count > 1)


def test_json_is_fast_enough() -> None:
    vectors = np.random.default_rng(1).standard_normal((1000, 256)).astype(np.float32)
    start = time.perf_counter()
    write("x.json", [vectors])
    assert time.perf_counter() - start < 60 * 1000 / 66_000 * 4  # 66,000 in a minute, on a machine four times as slow


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".npy"])
@pytest.mark.filterwarnings("ignore:.* hold NaN or infinity:RuntimeWarning")
def test_values_that_json_cannot_write(suffix: str, call: Callable[..., Result], tmp_path: Path) -> None:
    vectors = np.array([[0, 1], [np.inf, 1]], np.float32)
    model = write_model(tmp_path / "model", model_bytes(new_tokenizer("far"), {"embeddings": vectors}, {"normalize": False}))
    result = call("encode", "far", "-m", model, "-o", f"out{suffix}")
    if suffix == ".npy":
        assert result.code == 0
        assert_same(read(Path("out.npy")), vectors[1:])
    else:
        assert "not finite" in result.error()
        assert folder_is_empty()


# Input


@pytest.mark.parametrize(
    "how", ["pipe", pytest.param("dash", marks=pytest.mark.exhaustive), pytest.param("redirection", marks=pytest.mark.exhaustive)]
)
def test_standard_input(how: str, tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "texts.txt").write_bytes(b"the cat\nsat\n")
    if how == "redirection":
        with (tmp_path / "texts.txt").open("rb") as redirected:
            result = process("encode", "-m", tiny_folder, stdin=redirected)
    else:
        result = process("encode", *(["-"] if how == "dash" else []), "-m", tiny_folder, input=b"the cat\nsat\n"[: 11 if how == "dash" else 12])
    assert (result.returncode, result.stderr) == (0, b"")
    expected = StaticModel.from_pretrained(tiny_folder).encode(["the cat", "sat"])
    assert_same(np.array(json.loads(result.stdout), np.float32), expected)


def test_arguments_of_all_kinds_in_order(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"the cat\n\nsat\n")
    result = process("encode", "the", "a.txt", "-", "b.5", "-m", tiny_folder, "--", "--cat", input=b"sat here\n", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")
    texts = ["the", "the cat", "", "sat", "sat here", "b.5", "--cat"]
    assert_same(np.array(json.loads(result.stdout), np.float32), StaticModel.from_pretrained(tiny_folder).encode(texts))


def test_lines_are_those_of_open(call: Callable[..., Result], tmp_path: Path, tiny_folder: Path) -> None:
    content = "\ufeffthe cat\r\nthe\rcat\n\n sat \x0b the\x85cat\u2028sat\x1c here\n\r\n\tsat"
    path = tmp_path / "texts.txt"
    path.write_bytes(content.encode())
    assert call("encode", path, "-m", tiny_folder, "-o", "out.jsonl").code == 0
    with path.open(encoding="utf-8") as lines:
        expected = [line.removesuffix("\n") for line in lines]
    assert len(expected) == 7
    assert [json.loads(line)["text"] for line in Path("out.jsonl").read_bytes().split(b"\n")[:-1]] == expected


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"\xff\xfea\x00", "line 1: not UTF-8 at character 1"),
        (b"fine\r\n\nna\xc3\xafve\xe9 text\nfine\n", "line 3: not UTF-8 at character 6"),
        (b"x\n" * 30_000 + b"the \xed\xa0\x80", "line 30001: not UTF-8 at character 5"),
        (b"cut short \xe2\x82", "line 1: not UTF-8 at character 11"),
    ],
)
def test_not_utf8(content: bytes, where: str, call: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    assert call("encode", "fine", path, "-o", "out.npy").error() == f"{path}: {where}"
    assert folder_is_empty()


@posix
def test_not_utf8_elsewhere(tmp_path: Path, call: Callable[..., Result]) -> None:
    result = process("encode", "-", input=b"fine\nb\xff", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, b"")
    assert one_error(result.stderr.decode()) == "standard input: line 2: not UTF-8 at character 2"
    for command_name, where in (("encode", "argument 1"), ("encode-single", "TEXT")):
        assert call(command_name, os.fsdecode(b"\xffoo")).error() == f"{where}: not UTF-8 at character 1"


def test_a_text_may_be_long(call: Callable[..., Result], default_model: StaticModel) -> None:
    text = " ".join(LINES[:900])
    result = call("encode", text)
    assert result.code == 0
    assert_same(np.array(json.loads(result.out), np.float32), default_model.encode([text]))


PATHS = [
    "texts.txt",
    "mistyped.txt",
    "dir/a.txt",
    "dir/a",
    "./a",
    "~/a",
    "/nowhere/a",
    "data.csv.gz",
    "a.JSON",
    "*.txt",
    "dir/*.csv",
    "s3://bucket/a.parquet",
    "there/some texts.txt",
]
# Words that are texts, though they have dots.
TEXTS = ["3.14", "1.5.2", "end.", "...", "e.g.", "a text that names data.csv", "either/or this", "what is dir/a.txt?", "", "no\nfile.txt"]


@pytest.mark.parametrize("options", [[], ["-o", "out.npy"], ["-o", "out.jsonl"], ["-o", "out.parquet"], ["--column", "body", "-o", "out.csv"]])
@pytest.mark.parametrize("argument", PATHS)
def test_what_looks_like_a_path_must_be_a_file(argument: str, options: list[str], call: Callable[..., Result]) -> None:
    Path("there").mkdir()
    result = call("encode", "a text", argument, *options)
    assert (result.code, result.out) == (2, "")
    assert f"{argument}: no such file. To encode the argument itself, add --text" in result.err
    assert [path.name for path in Path.cwd().iterdir()] == ["there"]


def test_other_arguments_are_texts(call: Callable[..., Result], default_model: StaticModel) -> None:
    Path("a text").write_text("not this")
    for arguments, texts in ((TEXTS, TEXTS), (["--text", *PATHS, "a text", "-"], [*PATHS, "a text", "-"])):
        assert call("encode", *arguments, "-o", "out.jsonl").code == 0
        assert [json.loads(line)["text"] for line in Path("out.jsonl").read_text().splitlines()] == texts
        assert_same(read(Path("out.jsonl")), default_model.encode(texts))


@pytest.mark.parametrize("arguments", [["--text"], ["--text", "a", "--format", "csv"], ["--text", "a", "--column", "b"]])
def test_text_that_cannot_be(arguments: list[str], call: Callable[..., Result]) -> None:
    result = call("encode", *arguments, "-o", "out.csv")
    assert result.code == 2
    assert "--text needs texts" in result.err or "--column needs a table, and this is a text" in result.err


@pytest.mark.parametrize("name", ["data.dat", "data", "data.txt", "strings.json"])
@pytest.mark.parametrize("out", ["out.npy", "out.parquet", "-"])
def test_a_column_of_a_file_that_is_no_table(out: str, name: str, call: Callable[..., Result]) -> None:
    """The header would be taken for a text."""
    Path(name).write_text('["text", "a"]' if name.endswith("json") else "text\na\n")
    result = call("encode", name, "--column", "text", "-o", out)
    assert (result.code, result.out) == (2, "")
    assert f"{name}: --column needs a table" in result.err and "give --format, one of parquet, csv" in result.err
    if name == "data.dat":
        assert call("encode", name, "--column", "text", "--format", "csv", "-o", "out.jsonl").code == 0
        assert len(read(Path("out.jsonl"))) == 1


def test_a_folder_is_no_text(call: Callable[..., Result]) -> None:
    assert call("encode", ".").error().startswith(".: ")


# Files that are replaced


@pytest.mark.parametrize("name", ["out.npy", "out.parquet"])
def test_a_file_that_is_replaced(name: str, call: Callable[..., Result], tiny_folder: Path) -> None:
    """It is said on standard error, and it can be forbidden."""
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow.parquet")
    arguments = ["encode", "the cat", "-m", tiny_folder, "-o", name]

    def said(*options: str) -> str:
        result = call(*arguments, *options)
        assert (result.code, result.out) == (0, "")
        return result.err

    assert said() == ""
    content = Path(name).read_bytes()
    assert said() == f"{name} exists. It is replaced when the new file is complete\n"
    assert said("-q") == said("--overwrite") == ""
    assert call(*arguments, "sat", "--no-overwrite").error() == f"{name}: {os.strerror(errno.EEXIST)}"
    assert Path(name).read_bytes() == content
    assert [path.name for path in Path.cwd().iterdir()] == [name]
    Path(name).unlink()
    assert call(*arguments, "--no-overwrite").code == 0


def test_wrong_arguments_replace_nothing(call: Callable[..., Result]) -> None:
    Path("out.npy").touch()
    result = call("encode", "the cat", "-o", "out.npy", "--compression", "zstd")
    assert (result.code, "is replaced" in result.err) == (2, False)


def test_a_model_that_is_replaced(call: Callable[..., Result], tiny_folder: Path) -> None:
    assert call("convert", tiny_folder, "-o", "half", "--quantize-to", "float16").err == ""
    assert call("convert", tiny_folder, "-o", "half").err == "half holds a model. It is replaced when the new one is complete\n"
    assert call("convert", tiny_folder, "-o", "half", "-q").err == ""
    config = "half/config.json"
    assert call("convert", tiny_folder, "-o", config).error() == f"{config}: {os.strerror(errno.ENOTDIR)}"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "ranges.npy: No such file or directory"),
        (b"text", "ranges.npy: expected a .npy file"),
        (b"", "ranges.npy: expected a .npy file"),
    ],
    ids=str,
)
def test_ranges_that_cannot_be_read(content: bytes | None, says: str, call: Callable[..., Result]) -> None:
    if content is not None:
        Path("ranges.npy").write_bytes(content)
    result = call("encode", "text", "--precision", "int8", "--ranges", "ranges.npy", "-o", "out.npy")
    assert (result.code, result.out) == (2, "")
    assert says in result.err


def test_precisions_of_one_text(call: Callable[..., Result], default_model: StaticModel) -> None:
    assert call("encode-single", "a cat", "--precision", "binary", "--dimensionality", "64", "-o", "one.safetensors").code == 0
    found = load_file("one.safetensors")["embeddings"]
    expected = default_model.encode("a cat", precision="binary", dimensionality=64)
    assert (found.dtype, found.tolist()) == (expected.dtype, expected.tolist())
    for command_name in ("encode-single", "encode"):
        result = call(command_name, "a cat", "--precision", "int8", "-o", "two.npy")
        assert (result.code, Path("two.npy").exists()) == (2, False)
        assert "--precision int8 needs --ranges FILE" in result.err


# Standard streams that are closed or full


@posix
@pytest.mark.parametrize(
    ("redirection", "error"),
    [
        (">&-", "standard output: closed"),
        pytest.param("- <&-", "standard input: closed", marks=pytest.mark.exhaustive),
        (">/dev/full", "standard output: No space left on device"),
    ],
)
def test_standard_streams_that_fail(redirection: str, error: str, tiny_folder: Path) -> None:
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    script = f'"$0" -m model2vec_numba encode -m "$1" the cat {redirection}'
    result = subprocess.run(["sh", "-c", script, sys.executable, tiny_folder], capture_output=True, check=False)
    assert (result.returncode, result.stdout) == (1, b"")
    assert one_error(result.stderr.decode()) == error


@posix
def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    # More output than a pipe can hold.
    with subprocess.Popen(command("encode", *LINES[:200]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.read(2) == b"[["
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 141


@posix
def test_ctrl_c_while_waiting_for_input(tmp_path: Path) -> None:
    code = """
        from model2vec_numba.cli import main
        main()
    """
    arguments = command("encode", "-", "-o", tmp_path / "out.npy", code=code)
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        wait_for(lambda: bool(list(tmp_path.iterdir())))
        # A signal at the very moment when the file is made would leave it.
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
        assert running.stderr is not None
        assert running.stderr.read() == b""
    assert list(tmp_path.iterdir()) == []


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError


# A file is complete, or it does not exist


@posix
@pytest.mark.parametrize(
    ("suffix", "sent", "code"),
    [
        (".npy", signal.SIGINT, 130),
        pytest.param(".npy", signal.SIGTERM, 143, marks=pytest.mark.exhaustive),
        pytest.param(".json", signal.SIGINT, 130, marks=pytest.mark.exhaustive),
        (".json", signal.SIGTERM, 143),
    ],
)
def test_a_signal_in_the_middle_of_writing(sent: signal.Signals, code: int, suffix: str, tmp_path: Path) -> None:
    script = """
        import sys, time
        from model2vec_numba import StaticModel
        from model2vec_numba.cli import main
        encode, calls = StaticModel.encode, []
        def slow(*arguments, **options):
            calls.append(None)
            if len(calls) == 2:
                sys.stderr.write("second block")
                sys.stderr.flush()
                time.sleep(100)
            return encode(*arguments, **options)
        StaticModel.encode = slow
        main()
    """
    write_lines(tmp_path / "texts.txt")
    out = tmp_path / f"out{suffix}"
    out.write_text("as before")
    arguments = command("encode", tmp_path / "texts.txt", "-o", out, "-q", code=script)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        assert running.stderr.read(len("second block")) == b"second block"
        (partial,) = tmp_path.glob(".*")
        assert partial.stat().st_size >= 4096 * 256 * 4
        assert out.read_text() == "as before"
        running.send_signal(sent)
        assert running.wait(60) == code
        assert running.stderr.read() == b""
    assert out.read_text() == "as before"
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, "texts.txt"]


@posix
def test_a_file_that_grows_too_large(tmp_path: Path) -> None:
    script = """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        from model2vec_numba.cli import main
        main()
    """
    write_lines(tmp_path / "texts.txt")
    result = process("encode", tmp_path / "texts.txt", "-o", "out.npy", code=script, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, b"")
    assert one_error(result.stderr.decode()) == "out.npy: File too large"
    assert [path.name for path in tmp_path.iterdir()] == ["texts.txt"]


def fail_at(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an operation on files fail as on a full disk."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a temporary file")

    if function == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk(function: str, existing: bool, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    if existing:
        Path("out.npy").write_text("as before")
    fail_at(function, monkeypatch)
    assert call("encode", "text", "-o", "out.npy", "-q").error() == "out.npy: " + os.strerror(errno.ENOSPC)
    assert [path.read_text() for path in Path.cwd().iterdir()] == ["as before"] * existing


def test_an_error_in_the_middle(call: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "texts.txt")
    encode = StaticModel.encode
    sizes: list[int] = []

    def failing(model: StaticModel, sentences: list[str], **options: Any) -> NDArray[np.float32]:
        sizes.append(len(sentences))
        if len(sizes) == 2:
            raise MemoryError("Unable to allocate 9 TiB")
        return encode(model, sentences, **options)

    monkeypatch.setattr(StaticModel, "encode", failing)
    assert call("encode", tmp_path / "texts.txt", "-o", "out.npy").error() == "MemoryError: Unable to allocate 9 TiB"
    assert sizes == [4096, 904]
    assert folder_is_empty()


def test_a_model_that_does_not_load(call: Callable[..., Result]) -> None:
    assert "nowhere" in call("encode", "text", "-m", "./nowhere", "-o", "out.npy").error()
    assert folder_is_empty()


def test_an_unusable_model_is_one_line(call: Callable[..., Result], tmp_path: Path, tiny: ModelBytes) -> None:
    folder = write_model(tmp_path / "broken", tiny._replace(model=tiny.model[:40]))
    for arguments in (("encode", "text", "-o", "out.npy", "-m"), ("encode-single", "text", "-m"), ("info",)):
        assert "model.safetensors" in call(*arguments, folder).error()
    assert folder_is_empty()


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions(umask: int, mode: int, call: Callable[..., Result], tiny_folder: Path) -> None:
    Path("old.npy").touch()
    Path("old.npy").chmod(0o751)
    before = os.umask(umask)
    try:
        for name in ("new.npy", "old.npy"):
            assert call("encode", "text", "-m", tiny_folder, "-o", name).code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("new.npy").stat().st_mode) == mode
    assert stat.S_IMODE(Path("old.npy").stat().st_mode) == 0o751
    assert read(Path("old.npy")).shape == (1, 3)


@posix
@pytest.mark.parametrize("exists", [True, False])
def test_links_are_followed(exists: bool, call: Callable[..., Result], tiny_folder: Path) -> None:
    Path("data").mkdir()
    if exists:
        Path("data/real.npy").touch()
    Path("out.npy").symlink_to("data/real.npy")
    assert call("encode", "text", "-m", tiny_folder, "-o", "out.npy").code == 0
    assert Path("out.npy").is_symlink()
    assert read(Path("data/real.npy")).shape == (1, 3)
    assert [path.name for path in Path("data").iterdir()] == ["real.npy"]


def test_output_may_replace_the_input(call: Callable[..., Result], tiny_folder: Path) -> None:
    Path("texts.json").write_text('["the cat", "sat"]')
    assert call("encode", "texts.json", "-m", tiny_folder, "-o", "texts.json").code == 0
    assert read(Path("texts.json")).shape == (2, 3)


@pytest.mark.parametrize("name", ["nowhere/out.npy", "file/out.npy", "folder.json", "x" * 300 + ".npy"])
def test_output_that_cannot_be_written_is_found_first(name: str, call: Callable[..., Result]) -> None:
    Path("file").write_bytes(b"\xff")
    Path("folder.json").mkdir()
    # The input and the model are wrong too, but the output is checked first.
    assert call("encode", "file", "-m", "./nowhere", "-o", name, "-q").error().startswith(f"{name}: ")
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["file", "folder.json"]
    assert not list(Path("folder.json").iterdir())


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("existing", [True, False])
def test_output_that_may_not_be_written(existing: bool, call: Callable[..., Result]) -> None:
    Path("data").mkdir()
    if existing:
        Path("data/out.npy").touch(0o444)
    else:
        Path("data").chmod(0o555)
    assert call("encode", "text", "-m", "./nowhere", "-o", "data/out.npy").error() == "data/out.npy: " + os.strerror(errno.EACCES)


# Output that is not a regular file


@posix
def test_named_pipes_are_written_to_as_they_are(call: Callable[..., Result], tiny_folder: Path) -> None:
    os.mkfifo("pipe.npy")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(Path("pipe.npy").read_bytes()))
    reader.start()
    assert call("encode", "the cat", "-m", tiny_folder, "-o", "pipe.npy").code == 0
    reader.join(60)
    assert np.load(io.BytesIO(received[0])).shape == (1, 3)
    assert Path("pipe.npy").is_fifo()


class Reluctant(io.FileIO):
    """A file that takes three bytes at a time, and nothing every second time. A pipe that does not block may do this."""

    refuses = True

    def write(self, data: Any) -> int | None:  # type: ignore[override]  # typeshed has no None, which the documentation does
        self.refuses = not self.refuses
        return None if self.refuses else super().write(data[:3])


def test_all_is_written(tmp_path: Path) -> None:
    with Reluctant(tmp_path / "out", "w") as file:
        Output(file, "out").write(b"ten bytes.")
        Output(file, "out").write(np.arange(6, dtype=np.float32).reshape(2, 3).data)
    assert (tmp_path / "out").read_bytes() == b"ten bytes." + np.arange(6, dtype=np.float32).tobytes()


@posix
@pytest.mark.parametrize(
    ("out", "to_file"),
    [
        ("-", False),
        pytest.param("-", True, marks=pytest.mark.exhaustive),
        pytest.param("/dev/stdout", False, marks=pytest.mark.exhaustive),
        ("/dev/stdout", True),
        # With a redirection this name is a regular file.
        ("/dev/fd/1", False),
    ],
)
def test_standard_output_by_name(out: str, to_file: bool, tiny_folder: Path, tmp_path: Path) -> None:
    script = '"$0" -m model2vec_numba encode -m "$1" -o "$2" the cat' + (" >> log; cat log" if to_file else " | cat")
    (tmp_path / "log").write_text("[0]\n")
    result = subprocess.run(["sh", "-c", script, sys.executable, tiny_folder, out], capture_output=True, check=False, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert np.array(json.loads(result.stdout.removeprefix(b"[0]\n"))).shape == (2, 3)
    assert result.stdout.startswith(b"[0]\n") == to_file


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_device(call: Callable[..., Result], tiny_folder: Path) -> None:
    assert call("encode", "text", "-m", tiny_folder, "-o", "/dev/full").error() == "/dev/full: " + os.strerror(errno.ENOSPC)
    assert call("encode", "text", "-m", tiny_folder, "-o", "/dev/null").code == 0


# Models and options


def test_options_reach_the_model(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tiny_folder: Path) -> None:
    seen: list[dict[str, Any]] = []
    batch_sizes: list[int | None] = []
    model = StaticModel.from_pretrained(tiny_folder)
    encode = StaticModel.encode

    def from_pretrained(path: str | None, **options: Any) -> StaticModel:
        seen.append({"path": path, **options})
        return model

    def recording_encode(model: StaticModel, texts: Any, **options: Any) -> NDArray[np.float32]:
        batch_sizes.append(options.get("batch_size"))
        return encode(model, texts, **options)

    monkeypatch.setattr(StaticModel, "from_pretrained", from_pretrained)
    monkeypatch.setattr(StaticModel, "encode", recording_encode)
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
    hub = ["--subfolder", "a/b", "--revision", "v1", "--token", "secret", "--cache-dir", "cache", "--local-files-only", "--force-download"]
    length = ["--max-length", "7", "--no-normalize"]
    assert call("encode", "text", "-m", "some/model", "--batch-size", "3", *hub, *length).code == 0
    assert call("encode-single", "text", "-m", "some/model", *hub, *length).code == 0
    named = {
        "subfolder": "a/b",
        "revision": "v1",
        "token": "secret",
        "cache_dir": "cache",
        "local_files_only": True,
        "force_download": True,
    }
    assert seen == [{"path": "some/model", **named, "max_length": 7, "normalize": False}] * 2
    assert batch_sizes[0] == 3
    assert "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ
    seen.clear()
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "0")
    assert call("encode", "text", "--quiet", "--max-length", "none", "--normalize").code == 0
    assert call("encode", "text").code == 0
    named = {"subfolder": None, "revision": None, "token": None, "cache_dir": None, "local_files_only": False, "force_download": False}
    assert seen == [{"path": None, **named, "max_length": None, "normalize": True}, {"path": None, **named, "normalize": None}]
    assert os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] == "1"


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (["--max-length", "2"], {"max_length": 2}),
        (["--max-length", "none"], {"max_length": None}),
        (["--normalize"], {"normalize": True}),
        (["--no-normalize"], {"normalize": False}),
        (["--batch-size", "1"], {}),
    ],
)
def test_options_do_what_they_do_in_python(options: list[str], arguments: dict[str, Any], call: Callable[..., Result]) -> None:
    texts = [" ".join(LINES[:100]), *filter(None, LINES[:20])]
    assert call("encode", *texts, *options, "-o", "out.npy").code == 0
    assert_same(read(Path("out.npy")), StaticModel.from_pretrained().encode(texts, **arguments))


def test_a_model_of_the_hub(call: Callable[..., Result], tmp_path: Path, tiny: ModelBytes) -> None:
    repository = tmp_path / "cache" / "models--some--model"
    write_model(repository / "snapshots" / ("0" * 40) / "sub", tiny)
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text("0" * 40)
    where = ["some/model", "--revision", "v1", "--cache-dir", str(tmp_path / "cache"), "--subfolder", "sub", "--local-files-only"]
    result = call("encode", "the cat", "-m", *where)
    assert np.array(json.loads(result.out)).shape == (1, 3)
    facts = json.loads(call("info", *where, "--json").out)
    assert facts["bytes_on_disk"] == sum(map(len, tiny))
    assert Path(facts["folder"]).name == "sub"
    assert "cache" in call("info", "some/model", "--cache-dir", str(tmp_path), "--local-files-only").error()


def test_encode_single(call: Callable[..., Result], default_model: StaticModel) -> None:
    # The argument is a text even if a file has its name.
    Path("a text").write_text("something else")
    expected = default_model.encode("a text")
    result = call("encode-single", "a text")
    assert (result.code, result.err) == (0, "")
    assert result.out.count("\n") == 1
    assert_same(np.array(json.loads(result.out), np.float32), expected)
    for name in ("out.npy", "out.safetensors", "out.json"):
        assert call("encode-single", "a text", "-o", name).code == 0
        assert_same(read(Path(name)), expected)
    assert call("encode-single", "a text", "-o", "out.jsonl").code == 0
    assert_same(read(Path("out.jsonl")), expected[None])


def test_info_of_the_default_model(call: Callable[..., Result], default_model: StaticModel) -> None:
    sizes = {path.name: path.stat().st_size for path in DEFAULT_MODEL.iterdir()}
    facts = json.loads(call("info", "--json").out)
    assert facts == {
        "folder": str(DEFAULT_MODEL),
        "dimensions": 256,
        "vocabulary": len(default_model.tokens),
        "rows": len(default_model.embedding),
        "storage_dtype": "int8",
        "weights": False,
        "mapping": False,
        "bytes_on_disk": sizes["config.json"] + sizes["tokenizer.json"] + sizes["model.safetensors"],
        "bytes_in_memory": default_model.embedding.size,
        "normalize": True,
        "max_length": 512,
        "median_token_length": default_model.median_token_length,
        "unknown_id": default_model.unk_token_id,
        "tokenizer_backend": default_model.tokenizer_backend,
        "uncompiled_part": None,
    }
    lines = call("info").out.splitlines()
    assert [line.split(":")[0].replace(" ", "_") for line in lines] == list(facts)
    values = [re.split(r":\s+", line, maxsplit=1)[1] for line in lines]
    assert len({line.index(value) for line, value in zip(lines, values, strict=True)}) == 1
    assert values[1] == "256"
    assert values[5:7] == ["no", "no"]
    assert values[7] == f"{facts['bytes_on_disk']:,} (7.6 MiB)"


def test_warmup_without_a_compiler(call: Callable[..., Result], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert call("warmup", "-m", tiny_folder).error() == "RuntimeError: nothing can be compiled, because NUMBA_DISABLE_JIT is set"


def test_info_with_an_empty_variable(call: Callable[..., Result], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It means the same as none, so the command says when kernels are compiled."""
    monkeypatch.setenv(VARIABLE, " ")
    assert call("info", tiny_folder).code == 0
    assert os.environ[VARIABLE] == "wait"


def test_info_of_a_quantised_vocabulary(call: Callable[..., Result], tmp_path: Path) -> None:
    tensors: dict[str, NDArray[Any]] = {
        "embeddings": np.ones((2, 3), np.float16),
        "weights": np.arange(1.0, 5.0),
        "mapping": np.array([0, 1, 1, 0], np.int64),
    }
    contents = model_bytes(new_tokenizer("a", "b", "c"), tensors, {"normalize": False, "max_length": None})
    folder = write_model(tmp_path / "model", contents, layout=3)
    facts = json.loads(call("info", folder, "--json").out)
    assert (facts["vocabulary"], facts["rows"], facts["dimensions"], facts["storage_dtype"]) == (4, 2, 3, "float16")
    assert (facts["weights"], facts["mapping"], facts["max_length"], facts["unknown_id"]) == (True, True, None, 0)
    assert facts["bytes_on_disk"] == sum(map(len, contents))
    assert facts["bytes_in_memory"] == 2 * 3 * 2 + 4 * 4 + 4 * 4 + 8 * 4
    assert re.search(r"^max length: +none$", call("info", folder).out, re.MULTILINE)


def test_a_warning_is_one_line(tmp_path: Path) -> None:
    matrix = np.full((3000, 2), 0.5, np.float32)
    matrix[7] = np.nan
    folder = write_model(tmp_path / "model", model_bytes(new_tokenizer("wordpiece-uncased"), {"embeddings": matrix}))
    done = subprocess.run(command("info", folder), check=False, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout
    where = f"{folder / 'model.safetensors'}: 1 of 3000 rows of the embedding matrix hold NaN or infinity"
    assert done.stderr.startswith(f"warning: {where}") and done.stderr.count("\n") == 1


def test_info_names_the_part_that_is_not_compiled(call: Callable[..., Result], tmp_path: Path) -> None:
    tokenizer = new_tokenizer("a", "b")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.UnicodeScripts()])
    contents = model_bytes(tokenizer, {"embeddings": np.ones((3, 2), np.float32)}, {})
    folder = write_model(tmp_path / "model", contents)
    found = call("info", folder).out
    assert re.search(r"^tokenizer backend: +tokenizers$", found, re.MULTILINE)
    assert re.search(r'^uncompiled part: +pre_tokenizer: no compiled code for {"type": "UnicodeScripts"}$', found, re.MULTILINE)


def test_turns() -> None:
    """Each contestant runs once a round, in the same order. The number of rounds is odd. The time of the first call does not count."""
    calls: list[str] = []

    def contestant(name: str, *seconds: float) -> Callable[[], float]:
        given = iter(seconds)

        def run() -> float:
            calls.append(name)
            return next(given)

        return run

    turns = time_in_turns({"slow": contestant("slow", 99, 4, 6, 8), "fast": contestant("fast", 99, 1, 2, 4)}, rounds=3)
    assert calls == ["slow", "fast"] * 4
    assert turns.seconds == {"slow": [4, 6, 8], "fast": [1, 2, 4]}
    assert (turns.median("slow"), turns.ratio("slow", "fast"), turns.round_ratios("slow", "fast")) == (6, 3, [2, 3, 4])
    assert len(time_in_turns({"one": lambda: 0.3}, seconds=1.0).seconds["one"]) == 5
    assert len(time_in_turns({"one": lambda: 0.1}, seconds=1.0).seconds["one"]) == 11
    # Fast work is repeated, and the mean counts.
    repeated = time_in_turns(
        {"slow": contestant("slow", 9, 0.25, *[0.25] * 5), "fast": contestant("fast", 9, 0.05, *[0.1, 0.3] * 9)}, rounds=5, least=0.1
    )
    assert (repeated.seconds["slow"], repeated.seconds["fast"]) == ([0.25] * 5, [0.2] * 5)
    assert timed(lambda: None)() >= 0


def test_bench(call: Callable[..., Result], tiny_folder: Path) -> None:
    """On Python's documentation and on a file, with model2vec installed."""
    result = call("bench", "--seconds", "0.1", "-m", tiny_folder)
    assert result.code == 0
    assert re.search(r"model2vec-numba, one thread +[\d,]+ texts/s", result.out)
    assert re.search(r"model2vec-numba, one thread is [\d.]+ times as fast as model2vec \d", result.out)
    Path("texts.txt").write_text("the cat\n\nsat\n")
    assert "2 texts of 5 bytes" in call("bench", "texts.txt", "--seconds", "0.1", "-m", tiny_folder).out
    Path("empty.txt").write_text("\n")
    assert "no text" in call("bench", "empty.txt", "-m", tiny_folder).err


def test_bench_without_the_peer(call: Callable[..., Result], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "model2vec", None)
    result = call("bench", "--seconds", "0.1", "-m", tiny_folder)
    assert result.code == 0 and "model2vec: not installed" in result.out


CONVERSIONS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "as it is": ([], {}),
    "int8": (["--quantize-to", "int8"], {"quantize_to": "int8"}),
    "int8, a scale a row": (["--quantize-to", "int8", "--int8-scales", "row"], {"quantize_to": "int8", "int8_scales": "row"}),
    "dims": (["--dimensionality", "2", "--quantize-to", "float16"], {"dimensionality": 2, "quantize_to": "float16"}),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_convert(name: str, call: Callable[..., Result], tiny_folder: Path) -> None:
    """The command saves the model that `quantize_model` returns, and prints the facts of both models."""
    options, arguments = CONVERSIONS[name]
    model = StaticModel.from_pretrained(tiny_folder)
    expected = quantize_model(model, **arguments)
    texts = ["the cat", "sat here the", ""]
    result = call("convert", tiny_folder, "-o", "smaller", *options)
    assert (result.code, result.err) == (0, "")
    loaded = StaticModel.from_pretrained("smaller")
    np.testing.assert_array_equal(loaded.encode(texts), expected.encode(texts))
    _, before, after, cosines = result.out.splitlines()
    assert before.split()[0] == "before" and f" {model.dim} " in before and model.embedding_dtype in before
    assert after.split()[0] == "after" and f" {expected.dim} " in after and expected.embedding_dtype in after
    assert f"{Path('smaller/model.safetensors').stat().st_size / 1e6:.2f} MB" in after
    assert "cosine with the original" in cosines


def test_convert_of_the_default_model(call: Callable[..., Result], default_model: StaticModel) -> None:
    """The cosines are those that NumPy computes for half of the dimensions."""
    result = call("convert", "-o", "half", "--dimensionality", "128")
    sample = (Path(model2vec_numba.__file__).parent / "cli" / "sample.txt").read_text(encoding="utf-8").splitlines()
    vectors = default_model.encode(sample, normalize=False).astype(np.float64)
    vectors = vectors[vectors.any(axis=1)]
    shares = np.linalg.norm(vectors[:, :128], axis=1) / np.linalg.norm(vectors, axis=1)
    assert len(shares) > 100
    assert f"{len(shares)} sample texts: mean {shares.mean():.5f}, worst {shares.min():.5f}" in result.out
    # The output may be the folder of the input.
    again = call("convert", "half", "-o", "half", "--dimensionality", "64")
    assert again.code == 0
    assert StaticModel.from_pretrained("half").dim == 64
    assert " 128 " in again.out.splitlines()[1] and " 64 " in again.out.splitlines()[2]


def test_convert_a_vocabulary(call: Callable[..., Result], tiny_folder: Path) -> None:
    pytest.importorskip("sklearn")
    result = call("convert", tiny_folder, "-o", "smaller", "--vocabulary-quantization", "3")
    assert (result.code, result.err) == (0, "")
    assert StaticModel.from_pretrained("smaller").vocabulary_quantization == 3
    assert "already quantised" in call("convert", "smaller", "-o", "other", "--vocabulary-quantization", "2").error()


def test_convert_what_knows_none_of_the_sample(call: Callable[..., Result], tmp_path: Path) -> None:
    write_model(tmp_path / "odd", model_bytes(new_tokenizer("xyzzy"), {"embeddings": np.ones((2, 3), np.float32)}))
    result = call("convert", tmp_path / "odd", "-o", "smaller")
    assert result.code == 0 and "no tokens in this vocabulary" in result.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dimensionality", "9999"], "dimensionality must be an integer from 1 to "),
        (["--vocabulary-quantization", "9999"], "vocabulary_quantization must be an integer"),
    ],
)
def test_convert_that_cannot_be(options: list[str], says: str, call: Callable[..., Result], tiny_folder: Path) -> None:
    assert says in call("convert", tiny_folder, "-o", "smaller", *options).error()
    assert not Path("smaller").exists()


# Usage, help and missing packages


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command"),
        (["encode", "--nonsense"], "No such option"),
        (["encode-single"], "Missing argument"),
        (["encode-single", "a", "b"], "unexpected extra argument"),
        (["info", "a", "b"], "unexpected extra argument"),
        (["encode", "a", "-o", "out.pt"], "unknown suffix '.pt', expected one of .npy, .safetensors, .json, .jsonl, or for tables one of .parquet, "),
        (["encode", "a", "-o", "out"], "unknown suffix ''"),
        (["encode-single", "a", "-o", "nowhere/out.txt"], "unknown suffix '.txt'"),
        (["encode", "a", "--batch-size", "0"], "--batch-size"),
        (["encode", "a", "--max-length", "0"], "expected an integer of 1 or more, or none, not '0'"),
        (["encode", "a", "--max-length", "many"], "expected an integer of 1 or more, or none, not 'many'"),
        (["convert"], "Missing option '-o'"),
        (["convert", "-o", "out", "--quantize-to", "int4"], "'int4' is not one of"),
        (["convert", "-o", "out", "--dimensionality", "0"], "--dimensionality"),
        (["encode", "a", "--max-length", "-1"], "expected an integer of 1 or more, or none, not '-1'"),
    ],
)
def test_usage_errors(arguments: list[str], says: str, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StaticModel, "from_pretrained", None)  # no work is done
    result = call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert folder_is_empty()


@posix
def test_no_input_at_a_terminal() -> None:
    result = terminal(command("encode"))
    assert result.code == 2
    assert "nothing to encode" in result.err


@pytest.mark.parametrize("arguments", [["--help"], ["encode", "--help"], ["info", "-h"], ["encode-single", "--help"], ["convert", "-h"]])
def test_help(arguments: list[str], call: Callable[..., Result]) -> None:
    result = call(*arguments)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Usage: model2vec-numba")


def test_version(call: Callable[..., Result]) -> None:
    try:
        version = importlib.metadata.version("model2vec-numba")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed")
    result = call("--version")
    assert (result.code, result.out, result.err) == (0, f"model2vec-numba, version {version}\n", "")


@pytest.mark.parametrize("arguments", ["", "--help", "encode --help", "encode text -o out.txt", "encode text -o nowhere/out.npy"])
def test_help_and_mistakes_do_not_wait_for_numba(arguments: str, tmp_path: Path) -> None:
    code = """
        import sys
        from model2vec_numba.cli import main
        try:
            main()
        finally:
            slow = {"numba", "numpy", "tokenizers", "huggingface_hub", "tqdm"} & set(sys.modules)
            if slow:
                raise AssertionError(slow)
    """
    assert b"AssertionError" not in process(*arguments.split(), code=code, cwd=tmp_path).stderr


def test_without_click() -> None:
    code = """
        import sys
        sys.modules["click"] = None
        from model2vec_numba.cli import main
        main(["--help"])
    """
    result = process(code=code)
    assert (result.returncode, result.stdout) == (1, b"")
    assert one_error(result.stderr.decode()).endswith("pip install 'model2vec-numba[cli]'")


def test_another_missing_module_is_not_blamed_on_click(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
        import sys
        sys.modules["model2vec_numba.tables.lines"] = None
        from model2vec_numba.cli import main
        main(["--help"])
    """
    result = process(code=code)
    assert result.returncode == 1
    assert b"model2vec_numba.tables.lines" in result.stderr
    assert b"pip install" not in result.stderr
    monkeypatch.setattr(StaticModel, "from_pretrained", raiser(ModuleNotFoundError("No module named 'numba'", name="numba")))
    assert call("encode", "a").error() == "ModuleNotFoundError: No module named 'numba'"


def raiser(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_unexpected_errors_are_one_line(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StaticModel, "from_pretrained", raiser(KeyError("a\nb")))
    assert call("encode", "a").error() == r"KeyError: 'a\nb'"
    monkeypatch.setattr(StaticModel, "from_pretrained", raiser(RuntimeError("two\n  lines")))
    assert call("encode", "a").error() == "RuntimeError: two lines"


@pytest.mark.exhaustive
def test_development_mode_shows_where() -> None:
    code = """
        import sys
        from model2vec_numba import StaticModel
        from model2vec_numba.cli import main
        StaticModel.from_pretrained = None
        main(["encode", "a"])
    """
    assert b"Traceback" in process(code=code, env={**os.environ, "PYTHONDEVMODE": "1", "PYTHONWARNINGS": "ignore"}).stderr


# The progress bar


def bar_after(seconds: float, before: str = "") -> str:
    """Return code that runs the command line with another delay of the bar, after the code `before`."""
    return f"""
        import sys
        from model2vec_numba import progress
        from model2vec_numba.cli import main
        progress._DELAY_SECONDS = {seconds}
        {before}
        main()
    """


def terminal(arguments: list[str], *, stdout: bool = False) -> Result:
    """Run a process with a terminal as its standard input and standard error, and if `stdout` as its standard output."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    with subprocess.Popen(arguments, stdin=theirs, stdout=theirs if stdout else subprocess.PIPE, stderr=theirs) as running:
        os.close(theirs)
        # A process that waits for keys would wait for ever.
        timeout = threading.Timer(120, running.kill)
        timeout.start()
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # Linux says so that the other end is closed
            pass
        out = b"" if running.stdout is None else running.stdout.read()
        timeout.cancel()
    os.close(ours)
    return Result(running.returncode, out.decode(), shown.decode())


@posix
def test_bar_on_a_terminal(tmp_path: Path) -> None:
    write_lines(tmp_path / "texts.txt")
    arguments = ["encode", str(tmp_path / "texts.txt"), "-o", str(tmp_path / "out.npy")]
    result = terminal(command(*arguments, code=bar_after(0)))
    assert result.code == 0
    assert "5.00k/5.00k" in result.err
    assert read(tmp_path / "out.npy").shape == (5000, 256)


@posix
@pytest.mark.exhaustive
def test_terminal_without_a_bar(tmp_path: Path) -> None:
    """With `--quiet` nothing is shown, and without tqdm no bar."""
    arguments = ["encode", "text", "-o", str(tmp_path / "out.npy")]
    assert terminal(command(*arguments, "--quiet", code=bar_after(0))).err == ""
    assert "|" not in terminal(command(*arguments, code=bar_after(0, "sys.modules['tqdm'] = None"))).err
    assert read(tmp_path / "out.npy").shape == (1, 256)


@posix
def test_a_message_while_the_model_is_loaded(tiny_folder: Path, tmp_path: Path) -> None:
    code = "from model2vec_numba import progress; progress._DELAY_SECONDS = 0.01\nfrom model2vec_numba.cli import main; main()"
    result = terminal(command("encode", "text", "-m", tiny_folder, "-o", tmp_path / "out.npy", code=code))
    assert result.code == 0
    text = "loading the model ..."
    assert f"{text}\r{' ' * len(text)}\r" in result.err


@posix
def test_no_bar_for_short_work(tiny_folder: Path, tmp_path: Path) -> None:
    # The usual half second may pass while kernels are compiled.
    result = terminal(command("encode", "text", "-m", tiny_folder, "-o", tmp_path / "out.npy", code=bar_after(1000)))
    assert (result.code, result.err) == (0, "")


@posix
@pytest.mark.exhaustive
def test_no_bar_among_the_output(tiny_folder: Path) -> None:
    result = terminal(command("encode", "text", "-m", tiny_folder, code=bar_after(0)), stdout=True)
    assert (result.code, result.err) == (0, "[[0.0, 0.0, 0.0]]\r\n")


def test_no_bar_without_a_terminal(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_DELAY_SECONDS", 0)
    monkeypatch.setattr(commands, "_BLOCK", 10)
    result = call("encode", *["text"] * 50, "-o", "out.npy")
    assert (result.code, result.out, result.err) == (0, "", "")


# The installed command


def test_installed_command(tmp_path: Path, tiny_folder: Path) -> None:
    script = shutil.which("model2vec-numba", path=str(Path(sys.executable).parent))
    if script is None:
        pytest.skip("the package is not installed")
    result = subprocess.run([script, "encode-single", "the cat", "-m", tiny_folder], capture_output=True, check=True, cwd=tmp_path)
    assert len(json.loads(result.stdout)) == 3


@pytest.mark.exhaustive
def test_war_and_peace(shared: Path, tmp_path: Path, default_model: StaticModel) -> None:
    path = shared / "texts" / "war-and-peace.txt"
    assert process("encode", path, "-o", "out.npy", cwd=tmp_path).returncode == 0
    with path.open(encoding="utf-8") as lines:
        texts = [line.removesuffix("\n") for line in lines]
    assert len(texts) > 60_000
    assert_same(read(tmp_path / "out.npy"), default_model.encode(texts))
