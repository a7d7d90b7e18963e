"""The function that encodes a column of tables in files, for Python and for the command line."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import ArrayLike

from model2vec_numba.checks import UNSET, Unset
from model2vec_numba.extras import OLDEST_FOR_TABLES, require
from model2vec_numba.files.output import is_stream
from model2vec_numba.model import StaticModel
from model2vec_numba.progress import progress_bar
from model2vec_numba.tables.columns import Columns
from model2vec_numba.tables.encoding import EncodingJob
from model2vec_numba.tables.finding import find_inputs
from model2vec_numba.tables.inputs import InputTables
from model2vec_numba.tables.parquet import COMPRESSIONS
from model2vec_numba.tables.sources import FORMATS, STANDARD_INPUT, Input
from model2vec_numba.tables.writers import TABLE_SUFFIXES, find_writer

if TYPE_CHECKING:
    # A file, or an input that the command line has found.
    Source = str | os.PathLike[str] | Input

__all__ = ["EncodedTable", "encode_table"]


class EncodedTable(NamedTuple):
    """The result of `encode_table`.

    Attributes:
        path: the file that was written.
        rows: the number of rows in it.
        rows_resumed: the number of these rows that an interrupted call had written.
    """

    path: Path
    rows: int
    rows_resumed: int


def encode_table(
    source: Source | Sequence[Source],
    column: str,
    output: str | os.PathLike[str],
    *,
    model: StaticModel | str | os.PathLike[str] | Callable[[], StaticModel] | None = None,
    keep: Sequence[str] | None = None,
    vectors: str = "embedding",
    format: str | None = None,
    resume: bool = False,
    overwrite: bool | None = None,
    batch_size: int = 1024,
    max_length: int | Unset | None = UNSET,
    normalize: bool | None = None,
    dimensionality: int | None = None,
    precision: str = "float32",
    ranges: ArrayLike | None = None,
    num_threads: int | None = None,
    compression: str | None = None,
    show_progress_bar: bool = False,
) -> EncodedTable:
    """Encode a column of texts of tables in files, and write all rows with a column of vectors to a new file.

    Tables are read, encoded and written at the same time, and only a few batches are in memory. The file appears under its name when it is complete.
    If the call is interrupted (an exception, Ctrl-C, a kill), the rows that are safely on the disk are kept in hidden files next to `output`. A
    call with the same arguments and ``resume=True`` continues after them, and writes the same file to the byte as a call that is not interrupted.
    ``model2vec-numba encode`` calls this function.

    Args:
        source: a file, a folder, a pattern such as ``"data/*.parquet"``, or a list of these. Their rows are read one file after the other, like one
            table. A folder means all tables in it and in its folders, in the order of their names. The suffix decides how a file is read: .parquet,
            .csv, .tsv, .jsonl, .ndjson, .json, .arrow, .feather or .ipc. Any other file is text with one row in each line, in the column ``"text"``.
            Text may be compressed (.csv.gz, .jsonl.zst, .txt.xz, .json.bz2). ``"-"`` is standard input.
        column: the column of texts. A null text gets a null vector.
        output: the file to write: .parquet, .csv, .jsonl, .arrow, .feather or .ipc. ``"-"`` is standard output, which gets JSON lines.
        model: a model, or the folder or the name of one, or a function that returns one. ``None``: the bundled model. It is loaded after the first
            file was opened.
        keep: the columns to copy, in this order. ``None``: all columns.
        vectors: the name of the new column.
        format: the format of all files in `source`, whatever their suffixes: ``"parquet"``, ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"json"``,
            ``"arrow"`` or ``"lines"``.
        resume: whether to continue what an interrupted call has left. If there is nothing, the call starts from the beginning.
        overwrite: ``None``: an existing file is replaced, but rows that an interrupted call has left are not dropped (it is an error if they are not
            resumed). ``True``: they are dropped. With `resume`, only rows of a call with other arguments are dropped. ``False``: an existing file is
            an error too.
        batch_size, max_length, normalize, dimensionality, precision, ranges, num_threads: as for `StaticModel.encode`.
        compression: how a Parquet file's columns are compressed: ``"zstd"`` (the default), ``"snappy"``, ``"gzip"``, ``"lz4"`` or ``"none"``. Vectors
            are not compressed: that would make the file 15 % smaller and the call take twice as long. A smaller `precision` saves more.
        show_progress_bar: whether to show a progress bar on standard error (needs `tqdm`).

    Returns:
        The path, and the numbers of rows.

    Raises:
        FileNotFoundError: there is no such file in `source`.
        FileExistsError: rows of an interrupted call are kept, or `output` exists and `overwrite` is false.
        OSError: a file cannot be read or written. The message names it.
        ValueError: the content of a file is not in its format, a column is missing, `output` cannot hold a column, another process writes `output`,
            the interrupted call had other arguments, or an argument is out of range. The message names the file.
        TypeError: an argument has a wrong type.
        ModelError: the model cannot be loaded or used.
        ImportError: pyarrow is not installed, or tqdm if a progress bar is asked for.
    """
    target = os.fspath(output)
    inputs = _find(source, format)
    keep = _checked_keep(keep)
    _check_output(target, inputs, resume, overwrite, compression)
    settings: dict[str, Any] = {"batch_size": batch_size, "normalize": normalize, "num_threads": num_threads}
    settings |= {"dimensionality": dimensionality, "precision": precision, "ranges": ranges}
    if max_length is not UNSET:
        settings["max_length"] = max_length
    require("pyarrow", "reading and writing tables", "arrow", OLDEST_FOR_TABLES)
    with progress_bar(None, show_progress_bar) as bar:
        bar.describe("opening")
        with InputTables(inputs, Columns(column, keep, vectors)) as tables:
            if not isinstance(model, StaticModel):
                bar.describe("loading the model")
                model = model() if callable(model) else StaticModel.from_pretrained(model)
            job = EncodingJob(tables, target, model, settings, compression=compression or COMPRESSIONS[0], resume=resume, discard=overwrite is True)
            bar.describe("")
            try:
                rows = job.run(bar)
            except BaseException as error:
                if job.rows_kept:
                    _add_note(
                        error,
                        f"{job.rows_kept:,} rows are kept. To continue after them, do the same again with resume (--resume on the command line)",
                    )
                raise
    return EncodedTable(Path(target), rows, job.rows_resumed)


def _find(source: Source | Sequence[Source], kind: str | None) -> list[Input]:
    """Return the inputs that `source` means."""
    if kind is not None and kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(map(repr, FORMATS))}, not {kind!r}")
    if isinstance(source, (str, os.PathLike, Input)):
        source = [source]
    inputs: list[Input] = []
    for given in source:
        if isinstance(given, Input):
            inputs.append(given)
            continue
        path = os.path.expanduser(os.fspath(given))  # noqa: PTH111 - keeps a pattern as it is
        found = find_inputs(path, kind)
        if not found:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        inputs += found
    if not inputs:
        raise ValueError("source has no files")
    return inputs


def _checked_keep(keep: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the different names of the columns to copy."""
    if isinstance(keep, str):
        raise TypeError(f"keep must be a list of names of columns, not the string {keep!r}")
    return None if keep is None else tuple(dict.fromkeys(keep))


def _check_output(target: str, inputs: Sequence[Input], resume: bool, overwrite: bool | None, compression: str | None) -> None:
    """Raise an error if the output cannot be written as it is asked for."""
    if is_stream(target):
        if resume:
            raise ValueError(f"{target}: resume needs a file as output")
    elif find_writer(target) is None:
        raise ValueError(f"{target}: tables can only be written to a file with one of the suffixes {', '.join(TABLE_SUFFIXES)}")
    elif overwrite is False and os.path.exists(target):  # noqa: PTH110 - as a file of any kind
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    if resume and any(given.name == STANDARD_INPUT for given in inputs):
        raise ValueError("standard input: resume needs files as input")
    if len(inputs) > 1 and any(given.is_file and os.path.realpath(given.name) == os.path.realpath(target) for given in inputs):
        raise ValueError(f"{target}: this file is one of several inputs: write the output to another folder")
    if compression is not None:
        if compression not in COMPRESSIONS:
            raise ValueError(f"compression must be one of {', '.join(map(repr, COMPRESSIONS))}, not {compression!r}")
        if Path(target).suffix.lower() != ".parquet":
            raise ValueError(f"{target}: compression is for .parquet files")


def _add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception. Python 3.11 and newer show it after the message."""
    if hasattr(error, "add_note"):
        error.add_note(note)
    else:
        error.__notes__ = [*getattr(error, "__notes__", ()), note]  # type: ignore[attr-defined]
