"""The inputs of a command: which format each has, and how to open it. Compressed text is decompressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO

from model2vec_numba.extras import require

__all__ = ["FORMATS", "STANDARD_INPUT", "TEXT_COLUMN", "Input", "Source", "format_of", "name_errors", "shown_name"]

FORMATS = ("parquet", "csv", "tsv", "jsonl", "json", "arrow", "lines")
_SUFFIXES = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
# These may follow the suffix of a text format.
_COMPRESSED_SUFFIXES = {".gz", ".zst", ".bz2", ".xz"}

STANDARD_INPUT = "-"
TEXT_COLUMN = "text"
"""The name of the only column of texts without a table."""

# The number of bytes that are read from a file at a time.
_BUFFER_BYTES = 1 << 20
# The first element of a JSON array is looked for in this many bytes.
_HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Input:
    """A file, standard input or a text.

    Attributes:
        name: the path of a file, ``-`` for standard input, or a text.
        kind: the format, one of `FORMATS`. ``None`` for a text.
    """

    name: str
    kind: str | None

    @property
    def is_file(self) -> bool:
        """Whether the input is a file with a path."""
        return self.kind is not None and self.name != STANDARD_INPUT

    @property
    def holds_columns(self) -> bool:
        """Whether the input is a table. Otherwise it consists only of texts, such as lines, or a JSON array of strings."""
        if self.kind != "json":
            return self.kind not in {None, "lines"}
        return not (self.is_file and _is_array_of_strings(self.name))


def format_of(name: str) -> str | None:
    """Return the table format of a file by its suffix, one of `FORMATS`. ``None`` if the suffix is not one of a table."""
    path = PurePath(name)
    if path.suffix.lower() in _COMPRESSED_SUFFIXES:
        path = path.with_suffix("")
    return _SUFFIXES.get(path.suffix.lower())


def shown_name(name: str) -> str:
    """Return what errors call a file."""
    return "standard input" if name == STANDARD_INPUT else name


@contextmanager
def name_errors(name: str) -> Iterator[None]:
    """In a ``with`` block, make the message of each error name a file. Libraries raise errors of many types for bad content."""
    try:
        yield
    except ImportError:
        raise
    except MemoryError as error:
        raise MemoryError(f"{name}: there is not enough memory to read it: a line, a row or an Arrow batch may be very large") from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(f"{name}: {error.strerror or error}") from error
    except Exception as error:
        message = str(error) if isinstance(error, (ValueError, EOFError, lzma.LZMAError)) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{name}: {message}") from error


class Source:
    """An open file of text, or standard input, to read decompressed bytes from. It is a context manager that closes the file.

    Args:
        name: the path, or ``-`` for standard input.

    Attributes:
        file: the decompressed bytes.
        can_reopen: whether the content can be read again by opening it again.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, name: str) -> None:
        standard = name == STANDARD_INPUT
        if standard and sys.stdin is None:  # another file may have its number
            raise OSError("closed")
        self._raw = io.FileIO(sys.stdin.fileno() if standard else name, closefd=not standard)
        self._raw_buffer = io.BufferedReader(self._raw, _BUFFER_BYTES)
        self.can_reopen = not standard and self._raw.seekable()
        try:
            self.file = _decompressed(self._raw_buffer)
        except BaseException:
            self._raw_buffer.close()
            raise

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not self._raw_buffer:
            self.file.close()
        self._raw_buffer.close()

    def position(self) -> int:
        """Return the number of bytes of the file that were read, before decompression. 0 for a pipe and for a closed file."""
        if self._raw.closed or not self._raw.seekable():
            return 0
        return self._raw_buffer.tell()


class _Streams(io.RawIOBase):
    """The content of a file of bz2 or xz, which may have several streams. Python's own files drop a later stream that is damaged without an error.

    Args:
        file: the compressed bytes.
        make: returns a decompressor for one stream.
    """

    def __init__(self, file: BinaryIO, make: Callable[[], Any]) -> None:
        self._file = file
        self._make = make
        self._decompressor = make()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = b""
        while not content:
            given = b""
            if self._decompressor.eof:
                given = self._next_stream()
                if not given:
                    return 0
                self._decompressor = self._make()
            elif self._decompressor.needs_input:
                given = self._file.read(_BUFFER_BYTES)
                if not given:
                    raise EOFError("the compressed file is cut off")
            content = self._decompressor.decompress(given, len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _next_stream(self) -> bytes:
        """Return the bytes from the next stream on. Zeros between two streams of xz mean nothing. Empty: there is no other stream."""
        given: bytes = self._decompressor.unused_data.lstrip(b"\0")
        while not given:
            read = self._file.read(_BUFFER_BYTES)
            if not read:
                break
            given = read.lstrip(b"\0")
        return given


def _zstd(file: BinaryIO) -> Any:
    """Return a file of the content of a zstd file."""
    pa = require("pyarrow", "reading zstd", "arrow")
    return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")


# The first bytes of compressed files. None of them are UTF-8.
_DECOMPRESSORS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"\x28\xb5\x2f\xfd": _zstd,
    b"\xfd7zXZ\x00": lambda file: _Streams(file, lzma.LZMADecompressor),
}


def _decompressed(file: Any) -> Any:
    """Return a file, or its decompressed content if its first bytes are those of a compressed file."""
    head: bytes = file.peek(1)
    for magic, decompressor in _DECOMPRESSORS.items():
        if head.startswith(magic):
            return io.BufferedReader(decompressor(file), _BUFFER_BYTES)
    # Only bz2's first bytes are ASCII. The digit and the magic number of the first block follow them.
    if head[:3] == b"BZh" and head[4:10] == b"1AY&SY":
        return io.BufferedReader(_Streams(file, bz2.BZ2Decompressor), _BUFFER_BYTES)
    return file


def _is_array_of_strings(name: str) -> bool:
    """Return whether a JSON file is an array that is empty or begins with a string, or cannot be read."""
    try:
        with Source(name) as source:
            head = source.file.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    except (OSError, EOFError, ValueError, lzma.LZMAError):
        return True  # every kind of output reads texts, and that says what is wrong
    return head[:1] == b"[" and head[1:].lstrip()[:1] in {b'"', b"]"}
