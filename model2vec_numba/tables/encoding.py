"""Encode tables to a file or a stream. Reading, encoding and writing happen at the same time. Only a few batches are in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model2vec_numba.files.atomic import name_in_errors
from model2vec_numba.files.output import is_stream, open_output
from model2vec_numba.files.partial import PartialFile
from model2vec_numba.progress import NO_BAR, ProgressBar
from model2vec_numba.tables.columns import append_vectors, output_schema, regroup
from model2vec_numba.tables.inputs import InputTables
from model2vec_numba.tables.prefetch import Prefetcher
from model2vec_numba.tables.readers import file_state
from model2vec_numba.tables.sources import STANDARD_INPUT
from model2vec_numba.tables.writers import Writer, find_writer, open_text_writer

if TYPE_CHECKING:
    import pyarrow as pa

    from model2vec_numba.model import StaticModel

__all__ = ["EncodingJob"]

# The file is saved after this number of batches, so that an interrupted job can be resumed from there.
_BATCHES_PER_SAVE = 4
# How many seconds to wait at the end for a thread that reads standard input. The program at the other end of a pipe may never write again.
_MAX_WAIT_SECONDS = 1.0


class EncodingJob:
    """One run that encodes tables and writes them with a column of vectors after the kept columns.

    The output is a file that appears under its name when it is complete, or a stream. If the job is interrupted, the rows that are safely on the
    disk are kept, and a later job with the same arguments can resume after them.

    Args:
        tables: the inputs. The caller closes them.
        target: the file to write, or ``-`` for standard output. A stream gets CSV if its name ends in ``.csv``, else JSON lines.
        model: the model.
        settings: arguments of `StaticModel.encode_arrow`.
        compression: how the columns of a Parquet file are compressed, except the vectors.
        resume: whether to continue the file that an interrupted job left. If there is none, the job starts from the beginning.
        discard: whether to drop the rows that an interrupted job left, if they are not continued. Otherwise they are an error.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        tables: InputTables,
        target: str,
        model: StaticModel,
        settings: Mapping[str, Any],
        *,
        compression: str = "zstd",
        resume: bool = False,
        discard: bool = False,
    ) -> None:
        import pyarrow as pa

        self._tables = tables
        self._target = target
        self._model = model
        self._settings = settings
        self._compression = compression
        self._resume = resume
        self._discard = discard
        vectors = model.encode_arrow(pa.array([], pa.string()), **settings)
        self.rows_resumed = 0
        """The number of rows that an interrupted job had written, after `run` has begun."""
        self._schema = output_schema(tables.schema, tables.columns, vectors.type)
        self._partial = None if is_stream(target) else PartialFile(target, self._describe())

    @property
    def rows_kept(self) -> int:
        """The number of rows in an unfinished file that a later job can resume after. 0 if there is no such file."""
        return 0 if self._partial is None else self._partial.rows

    def run(self, bar: ProgressBar = NO_BAR) -> int:
        """Encode all rows and complete the output. Return the number of rows in it.

        Args:
            bar: a progress bar that counts the rows that were written.

        Raises:
            FileExistsError: an earlier run left rows, which are neither continued nor dropped.
            OSError: an input cannot be read, or the output cannot be written. The message names it.
            ValueError: an input is not in its format, or the output cannot hold its columns, or the unfinished file is from another job. The
                message names the file.
        """
        with ExitStack() as stack:
            prefetcher = stack.enter_context(Prefetcher())
            writer = self._open_writer(stack)
            bar.advance(self.rows_kept)
            reads_standard_input = any(given.name == STANDARD_INPUT for given in self._tables.inputs)
            batches = prefetcher.ahead(regroup(self._tables.batches(self.rows_kept)), _MAX_WAIT_SECONDS if reads_standard_input else None)
            return self._write(prefetcher.ahead(self._encode(batches)), writer, bar)

    def _open_writer(self, stack: ExitStack) -> Writer:
        """Open the output. The calls that end its use are put on `stack`."""
        if self._partial is None:
            return open_text_writer(self._target, stack.enter_context(open_output(self._target)), self._schema)
        open_writer = find_writer(self._target)
        if open_writer is None:
            raise ValueError(f"{self._target}: not a table file, expected a .parquet, .csv, .jsonl or .arrow file")
        stack.callback(self._partial.leave)
        self._partial.open(self._resume, self._discard)
        self.rows_resumed = self._partial.rows
        return open_writer(self._partial.path, self._schema, self._partial.rows, self._partial.size, self._compression)

    def _encode(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, int | None]]:
        """Yield the output of each batch, and an estimate of the number of all rows."""
        text = self._tables.columns.text
        for batch in batches:
            vectors = self._model.encode_arrow(batch[text], **self._settings)
            yield append_vectors(batch, vectors, self._schema), self._tables.estimate_rows()

    def _write(self, batches: Iterator[tuple[pa.RecordBatch, int | None]], writer: Writer, bar: ProgressBar) -> int:
        """Write all batches and complete the file. Each batch comes with an estimate of the number of all rows. Return the number of rows."""
        partial = self._partial
        done = self.rows_kept
        # A thread saves the file while the next rows are encoded: syncing it to the disk takes about as long as encoding them.
        with ThreadPoolExecutor(1) as executor:
            save: Future[None] | None = None
            try:
                for number, (batch, estimate) in enumerate(batches, 1):
                    with name_in_errors(self._target):
                        writer.write(batch)
                    done += batch.num_rows
                    if partial is not None and number % _BATCHES_PER_SAVE == 0:
                        if save is not None:
                            save.result()
                        with name_in_errors(self._target):
                            size = writer.checkpoint()
                        save = executor.submit(partial.save, writer.path, done, size)
                    bar.advance(batch.num_rows, estimate)
                with name_in_errors(self._target):
                    writer.close()
                if save is not None:
                    save.result()
            except BaseException:
                writer.abandon()
                if save is not None:
                    wait([save])
                raise
        if partial is not None:
            partial.finish(writer.path)
        return done

    def _describe(self) -> dict[str, Any]:
        """Return everything that the output depends on, as a dict that JSON can store. A job is resumed only if this dict is equal."""
        model, columns, settings = self._model, self._tables.columns, self._settings
        normalize = settings.get("normalize")
        ranges = settings.get("ranges")
        return {
            "inputs": [[os.path.realpath(given.name) if given.is_file else given.name, given.kind] for given in self._tables.inputs],
            **{f"contents of {given.name}": file_state(given.name) for given in self._tables.inputs if given.is_file},
            "format": Path(self._target).suffix.lower(),
            "column": columns.text,
            "keep": columns.keep,
            "vectors": columns.vectors,
            "model": _digest(model),
            "normalize": model.normalize if normalize is None else normalize,
            "max_length": settings.get("max_length", model.max_length),
            "dimensionality": settings.get("dimensionality"),
            "precision": settings.get("precision", "float32"),
            "ranges": None if ranges is None else np.asarray(ranges, np.float32).tolist(),
            "compression": self._compression,
        }


def _digest(model: StaticModel) -> str:
    """Return a digest of everything that a model consists of, except its settings."""
    table = model._table
    # `model.tokenizer` would be the library's object, which is slow to make, and has `max_length` in it.
    digest = hashlib.blake2b(model._spec.text.encode(), digest_size=16)
    digest.update(f"{table.dtype} {table.scale}".encode())
    for array in (table.matrix, table.weights, table.mapping):
        # The same bytes can be numbers of several types.
        digest.update(f"{array.dtype.name} {array.shape}".encode())
        digest.update(array.reshape(-1).data)
    return digest.hexdigest()
