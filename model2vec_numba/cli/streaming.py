"""Tables through a model: reading, encoding and writing at the same time, with a few batches of each in memory."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from model2vec_numba.cli.output import is_standard_output, is_stream, open_output
from model2vec_numba.cli.partial import PartialFile
from model2vec_numba.cli.progress import progress
from model2vec_numba.cli.sinks import Sink, find_sink, open_text_sink
from model2vec_numba.cli.tables import STANDARD_INPUT, TEXT_COLUMN, Table, open_table, table_of_texts
from model2vec_numba.files.whole_file import naming

if TYPE_CHECKING:
    import pyarrow as pa

    from model2vec_numba.model import StaticModel

__all__ = ["Columns", "Input", "encode_tables"]

Item = TypeVar("Item")

# A batch, and a row group of Parquet: 32 MB of vectors of 256 dimensions, or this much of other columns.
_ROWS = 32768
_BYTES = 32 << 20
# Batches to a part, after which the work could go on.
_PART = 4
# Batches that a stage may be ahead of the next.
_AHEAD = 2
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class Input:
    """An argument.

    Attributes:
        name: a file's path, ``-`` for standard input, or a text.
        kind: the format, one of `tables.FORMATS`; ``None`` for a text.
    """

    name: str
    kind: str | None


@dataclass(frozen=True)
class Columns:
    """What to do with columns.

    Attributes:
        text: the column of texts.
        keep: the columns to copy, in this order; ``None``: all, in theirs.
        vectors: the column to write vectors to.
    """

    text: str
    keep: tuple[str, ...] | None
    vectors: str

    def choose(self, names: Sequence[str]) -> list[str]:
        """Those of an input's columns that are to be read: the ones to keep, and the text behind them if it is not among them.

        Raises:
            ValueError: one is not there, or is in the way of the vectors.
        """
        keep = names if self.keep is None else self.keep
        wanted = [*keep, *([] if self.text in keep else [self.text])]
        for name in wanted:
            if name not in names:
                raise ValueError(f"no column {name!r}: there are {', '.join(map(repr, names)) or 'none'}")
        if self.vectors in keep:
            raise ValueError(f"there is a column {self.vectors!r} already: name that of the vectors with --vectors, or leave it out with --keep")
        return wanted


def encode_tables(
    inputs: Sequence[Input],
    target: str,
    columns: Columns,
    load: Callable[[], StaticModel],
    *,
    batch_size: int,
    dtype: str,
    resume: bool,
    quiet: bool,
) -> None:
    """Write tables with a column of vectors behind those that are kept.

    Args:
        inputs: the tables, one after the other.
        target: the file to write, or standard output.
        columns: what to read, keep and write.
        load: loads the model.
        batch_size: texts to work on at a time.
        dtype: the type of the vectors' elements.
        resume: go on with the parts that an interrupted run left.
        quiet: no progress bar.

    Raises:
        OSError, ValueError: an input or the output is not usable; the message names it.
    """
    with ExitStack() as stack:
        stages = _Stages()
        reader = stack.enter_context(_Reader(inputs, columns, stages))
        stack.enter_context(stages)
        model = load()
        schema = _output_schema(reader.schema, columns, model.dim, dtype)
        partial = None
        if is_stream(target):
            sink: Sink = open_text_sink(target, stack.enter_context(open_output(target)).write, schema)
        else:
            partial = PartialFile(target, _job(inputs, target, columns, model, dtype))
            stack.callback(partial.leave)
            partial.open(resume)
            opener = find_sink(target)
            assert opener is not None
            sink = opener(partial.path, schema, partial.rows, partial.size)
        done = 0 if partial is None else partial.rows

        # Whoever writes to standard input may never do so again.
        patience = _PATIENCE_SECONDS if any(given.name == STANDARD_INPUT for given in inputs) else None

        def encoded() -> Iterator[tuple[pa.RecordBatch, int | None]]:
            for batch in stages.ahead(_regrouped(reader.batches(done)), patience):
                vectors = model.encode_arrow(batch[columns.text], batch_size=batch_size, dtype=dtype)  # type: ignore[arg-type]
                yield _with_vectors(batch, vectors, schema), reader.estimate()

        on_screen = is_standard_output(target) and os.isatty(1)
        with progress(reader.rows(), show=not quiet and not on_screen) as advance:
            advance(done)
            _write(stages.ahead(encoded()), sink, target, partial, advance)


def _write(
    batches: Iterator[tuple[pa.RecordBatch, int | None]], sink: Sink, target: str, partial: PartialFile | None, advance: Callable[..., object]
) -> None:
    """Write the batches, each of which comes with an estimate of the number of all rows, and complete the file."""
    done = 0 if partial is None else partial.rows
    # A disk takes as long for a part as it takes to encode it: that goes on meanwhile.
    with ThreadPoolExecutor(1) as keeper:
        kept: Future[None] | None = None
        try:
            for number, (batch, estimate) in enumerate(batches, 1):
                with naming(target):
                    sink.write(batch)
                done += batch.num_rows
                if partial is not None and number % _PART == 0:
                    if kept is not None:
                        kept.result()
                    with naming(target):
                        size = sink.checkpoint()
                    kept = keeper.submit(partial.save, sink.path, done, size)
                advance(batch.num_rows, estimate)
            with naming(target):
                sink.close()
            if kept is not None:
                kept.result()
        except BaseException:
            sink.abandon()
            if kept is not None:
                wait([kept])
            if partial is not None and partial.rows:
                click.echo(f"{partial.rows:,} rows are kept: the same command with --resume goes on behind them", err=True)
            raise
    if partial is not None:
        partial.finish(sink.path)


def _open(given: Input, columns: Columns) -> Table:
    """Open an input, having seen that its texts are texts."""
    from model2vec_numba.arrow import holds_strings

    if given.kind is None:
        columns.choose([TEXT_COLUMN])
        return table_of_texts([given.name])
    table = open_table(given.name, given.kind, columns.choose)
    kind = table.schema.field(columns.text).type
    if not holds_strings(kind):
        table.close()
        raise ValueError(f"{given.name}: column {columns.text!r} is of type {kind}, expected strings")
    return table


class _Reader:
    """Reads inputs one after the other. The first, whose schema is that of all, is opened at once, each other when it is its turn."""

    def __init__(self, inputs: Sequence[Input], columns: Columns, stages: _Stages) -> None:
        self._inputs = inputs
        self._columns = columns
        self._stages = stages
        self._sizes = [0 if given.kind is None or given.name == STANDARD_INPUT else Path(given.name).stat().st_size for given in inputs]
        self._read_rows = 0
        self._read_files = 0
        self._table = _open(inputs[0], columns)
        self._rows = self._table.rows
        self.schema = self._table.schema

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        # A thread that waits for standard input holds it.
        if not self._stages.running():
            self._table.close()

    def rows(self) -> int | None:
        """The number of all rows, where one file is all and tells."""
        return self._rows if len(self._inputs) == 1 else None

    def estimate(self) -> int | None:
        """The number of all rows, if those to come are about as long as those that have been read."""
        read = sum(self._sizes[: self._read_files]) + (self._table.position() if self._read_files < len(self._sizes) else 0)
        return int(self._read_rows * sum(self._sizes) / read) if read and all(self._sizes) else None

    def batches(self, skip: int) -> Iterator[pa.RecordBatch]:
        """The rows from number `skip` on."""
        for number, given in enumerate(self._inputs):
            if number:
                self._table.close()
                self._table = _open(given, self._columns)
            table = self._table
            if table.rows is not None and skip >= table.rows:
                skip -= table.rows
            else:
                # How many rows there are in a file that does not tell shows when they are read.
                found, skip = (table.batches(0), skip) if table.rows is None else (table.batches(skip), 0)
                for batch in found:
                    self._read_rows += batch.num_rows
                    rest = batch.slice(min(skip, batch.num_rows))
                    skip -= batch.num_rows - rest.num_rows
                    yield _cast(rest, self.schema, given.name)
            self._read_files += 1


def _cast(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> pa.RecordBatch:
    """A batch with the columns of the first input."""
    import pyarrow as pa

    if batch.schema.equals(schema):
        return batch
    try:
        return pa.RecordBatch.from_arrays([batch[field.name].cast(field.type) for field in schema], schema=schema)
    except (KeyError, pa.ArrowException) as error:
        raise ValueError(f"{name}: its columns are not those of the first input: {error}") from None


def _output_schema(schema: pa.Schema, columns: Columns, dim: int, dtype: str) -> pa.Schema:
    """The columns that are kept, and behind them the vectors."""
    import pyarrow as pa

    kept = [field for field in schema if columns.keep is None or field.name in columns.keep]
    elements = pa.float16() if dtype == "float16" else pa.float32()
    return pa.schema([*kept, pa.field(columns.vectors, pa.list_(elements, dim))])


def _with_vectors(batch: pa.RecordBatch, vectors: pa.Array, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([*(batch[name] for name in schema.names[:-1]), vectors], schema=schema)


def _regrouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that are worth a row group of their own."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = size = 0
    for given in batches:
        batch = given
        while batch.num_rows:
            part = batch.slice(0, _ROWS - rows)
            while part.nbytes > _BYTES - size and part.num_rows > 1:
                part = part.slice(0, part.num_rows // 2)
            if held and size + part.nbytes > _BYTES:
                yield pa.concat_batches(held)
                held, rows, size = [], 0, 0
            held.append(part)
            rows += part.num_rows
            size += part.nbytes
            batch = batch.slice(part.num_rows)
            if rows == _ROWS:
                yield pa.concat_batches(held)
                held, rows, size = [], 0, 0
    if held:
        yield pa.concat_batches(held)


class _Stages:
    """Threads, each of which makes items for the next, or for the one that leaves the context, which ends them all."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: dict[threading.Thread, float | None] = {}

    def __enter__(self) -> _Stages:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        # One that is in C++ when Python ends would abort the process.
        for thread, seconds in self._threads.items():
            thread.join(seconds)

    def running(self) -> bool:
        """Whether a thread has not come to its end."""
        return any(thread.is_alive() for thread in self._threads)

    def ahead(self, items: Iterable[Item], patience: float | None = None) -> Iterator[Item]:
        """The same items, made in a thread of their own, a few before they are asked for.

        When it is all over, the thread is waited for until it is done with the item that it is at, or for that many seconds.
        """
        made: queue.Queue[tuple[list[Item], BaseException | None]] = queue.Queue(_AHEAD)
        thread = threading.Thread(target=self._make, args=(items, made), daemon=True)
        self._threads[thread] = patience
        thread.start()
        while not self._stop.is_set():
            try:
                # With a limit, because on Windows Ctrl-C does not end a wait without one.
                found, error = made.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            yield from found
            if error is not None:
                raise error
            if not found:
                return

    def _make(self, items: Iterable[Item], made: queue.Queue[tuple[list[Item], BaseException | None]]) -> None:
        try:
            for item in items:
                self._put(([item], None), made)
                if self._stop.is_set():
                    return
        except BaseException as error:
            self._put(([], error), made)
        else:
            self._put(([], None), made)

    def _put(self, item: tuple[list[Item], BaseException | None], made: queue.Queue[tuple[list[Item], BaseException | None]]) -> None:
        while not self._stop.is_set():
            try:
                made.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return


def _job(inputs: Sequence[Input], target: str, columns: Columns, model: StaticModel, dtype: str) -> dict[str, Any]:
    """What an output depends on."""
    files = []
    for given in inputs:
        if given.kind is None or given.name == STANDARD_INPUT:
            files.append([given.name, given.kind, 0, 0])
        else:
            status = Path(given.name).stat()
            files.append([os.path.realpath(given.name), given.kind, status.st_size, status.st_mtime_ns])
    digest = hashlib.blake2b(model.tokenizer.to_str().encode(), digest_size=16)
    for array in (model.embedding, model.weights, model.token_mapping):
        digest.update(b"" if array is None else array.data.cast("B"))
    return {
        "inputs": files,
        "format": Path(target).suffix.lower(),
        "column": columns.text,
        "keep": columns.keep,
        "vectors": columns.vectors,
        "model": digest.hexdigest(),
        "normalize": model.normalize,
        "max_length": model.max_length,
        "dtype": dtype,
    }
