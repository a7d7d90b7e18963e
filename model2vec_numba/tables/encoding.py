"""Encode tables to a file or a stream. Reading, encoding and writing happen at the same time. Only a few batches are in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
        batch_size: the number of texts that the model encodes at a time.
        dtype: the type of the elements of a vector.
        resume: whether to continue the file that an interrupted job left. If there is none, the job starts from the beginning.
    """

    def __init__(
        self,
        tables: InputTables,
        target: str,
        model: StaticModel,
        *,
        batch_size: int = 1024,
        dtype: Literal["float32", "float16"] = "float32",
        resume: bool = False,
    ) -> None:
        self._tables = tables
        self._target = target
        self._model = model
        self._batch_size = batch_size
        self._dtype = dtype
        self._resume = resume
        self._schema = output_schema(tables.schema, tables.columns, model.dim, dtype)
        self._partial = None if is_stream(target) else PartialFile(target, self._describe())

    @property
    def rows_kept(self) -> int:
        """The number of rows in an unfinished file that a later job can resume after. 0 if there is no such file."""
        return 0 if self._partial is None else self._partial.rows

    def run(self, bar: ProgressBar = NO_BAR) -> None:
        """Encode all rows and complete the output.

        Args:
            bar: a progress bar that counts the rows that were written.

        Raises:
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
            self._write(prefetcher.ahead(self._encode(batches)), writer, bar)

    def _open_writer(self, stack: ExitStack) -> Writer:
        """Open the output. The calls that end its use are put on `stack`."""
        if self._partial is None:
            return open_text_writer(self._target, stack.enter_context(open_output(self._target)), self._schema)
        open_writer = find_writer(self._target)
        if open_writer is None:
            raise ValueError(f"{self._target}: not a table file, expected a .parquet, .csv, .jsonl or .arrow file")
        stack.callback(self._partial.leave)
        self._partial.open(self._resume)
        return open_writer(self._partial.path, self._schema, self._partial.rows, self._partial.size)

    def _encode(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, int | None]]:
        """Yield the output of each batch, and an estimate of the number of all rows."""
        text = self._tables.columns.text
        for batch in batches:
            vectors = self._model.encode_arrow(batch[text], batch_size=self._batch_size, dtype=self._dtype)
            yield append_vectors(batch, vectors, self._schema), self._tables.estimate_rows()

    def _write(self, batches: Iterator[tuple[pa.RecordBatch, int | None]], writer: Writer, bar: ProgressBar) -> None:
        """Write all batches and complete the file. Each batch comes with an estimate of the number of all rows."""
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

    def _describe(self) -> dict[str, Any]:
        """Return everything that the output depends on, as a dict that JSON can store. A job is resumed only if this dict is equal."""
        model, columns = self._model, self._tables.columns
        return {
            "inputs": [[os.path.realpath(given.name) if given.is_file else given.name, given.kind] for given in self._tables.inputs],
            **{f"contents of {given.name}": file_state(given.name) for given in self._tables.inputs if given.is_file},
            "format": Path(self._target).suffix.lower(),
            "column": columns.text,
            "keep": columns.keep,
            "vectors": columns.vectors,
            "model": _digest(model),
            "normalize": model.normalize,
            "max_length": model.max_length,
            "dtype": self._dtype,
        }


def _digest(model: StaticModel) -> str:
    """Return a digest of everything that a model consists of."""
    digest = hashlib.blake2b(model.tokenizer.to_str().encode(), digest_size=16)
    for array in (model.embedding, model.weights, model.token_mapping):
        # The same bytes can be numbers of several types.
        digest.update(b"none" if array is None else f"{array.dtype.name} {array.shape}".encode())
        digest.update(b"" if array is None else array.data.cast("B"))
    digest.update(model.embedding_dtype.encode())
    return digest.hexdigest()
