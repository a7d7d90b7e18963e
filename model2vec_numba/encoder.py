"""The encoder turns texts into vectors. It makes batches of texts, tokenises them and pools the tokens. Threads share the batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import BatchLimits, LazyBatch, TextBatch, TokenBatch
from model2vec_numba.errors import TokenizationError
from model2vec_numba.few_texts import MAX_BYTES, MAX_TEXTS, FewTexts
from model2vec_numba.parallel.threads import claim_threads, has_threading_layer
from model2vec_numba.parallel.workers import parallel_for_each
from model2vec_numba.pooling.kernels import pool, pool_long_text, rows
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.progress import progress_bar
from model2vec_numba.text.columns import ChunkGroup, StringColumn
from model2vec_numba.text.sentences import to_tuple
from model2vec_numba.text.strings import Strings
from model2vec_numba.tokenization.tokenizer import BatchTokenizer, cut_at_spaces
from model2vec_numba.vectors.form import Form, make_form, output_array, output_shape
from model2vec_numba.vectors.kernels import pool_in_form, write_vectors

__all__ = ["Encoder"]

# The maximum number of texts in a batch if several threads share the batches. It is large, so that a batch of very short texts is worth a thread.
_SHARED_TEXTS = 1 << 14
# All threads work together on a text of more bytes than this, after all other texts. One thread alone would end later than the others. The only text
# of a call is divided if it has more than `_LONG_SINGLE_BYTES`.
_LONG_BYTES = 1 << 20
_LONG_SINGLE_BYTES = 1 << 17
# A thread that works alone divides a text of more bytes too, so that Ctrl-C is noticed between two sections.
_LONG_ALONE_BYTES = 1 << 24
# With several sections for each thread, a thread that is held up leaves the other sections to the others.
_SECTIONS_PER_THREAD = 4

# NumPy takes 50 ns to find this by the type.
_FLOAT32 = np.dtype(np.float32)


@dataclass(slots=True, eq=False)
class Encoder:
    """Turns texts into vectors, with the settings of one call, which do not change.

    Attributes:
        tokenizer: turns texts into tokens.
        table: the vectors of the tokens.
        few_texts: encodes a few short strings.
        max_tokens: the number of tokens of a text that count. ``None``: all of them.
        max_chars: a text is first cut to this number of code points. ``None``: it is not cut.
        normalize: whether vectors are divided by their L2 norm.
        batch_size: the number of texts in a batch. Threads that share many texts may take more.
        show_progress_bar: whether to show a progress bar.
        num_threads: the maximum number of threads. ``None``: the number of `set_num_threads`.
        form: the form of the vectors. ``None``: all dimensions in float32.
    """

    tokenizer: BatchTokenizer
    table: EmbeddingTable
    few_texts: FewTexts
    max_tokens: int | None
    max_chars: int | None
    normalize: bool = False
    batch_size: int = 1024
    show_progress_bar: bool = False
    num_threads: int | None = None
    form: Form | None = None

    def encode_string(self, sentence: str, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the vector of one string, shape (dim,). It is written to `out`, which is checked, or to a new array."""
        if out is None and self.form is None:
            vector = np.empty(self.table.dim, _FLOAT32)
            if self.few_texts.encode((sentence,), self.max_tokens, self.max_chars, self.normalize, vector) is None:
                self._write_many((sentence,), vector[None])
            return vector
        vector = output_array(out, *output_shape(self.form, self.table.dim))
        self._write_strings((sentence,), vector[None])
        return vector

    def encode_strings(self, sentences: Iterable[str], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the vectors of strings, shape (sentences, dim). They are written to `out`, which is checked, or to a new array."""
        kind = type(sentences)
        if (kind is list or kind is tuple) and out is None and self.form is None and not self.show_progress_bar:
            # The kernel also makes the array. For a short string this takes half of the time of `_write_strings`.
            vectors = self.few_texts.encode(sentences, self.max_tokens, self.max_chars, self.normalize)
            if vectors is not None:
                return vectors
        # A copy, because another thread may change a list.
        strings = to_tuple(sentences)
        out = output_array(out, *output_shape(self.form, self.table.dim, len(strings)))
        self._write_strings(strings, out)
        return out

    def _write_strings(self, sentences: tuple[str, ...], out: NDArray[Any]) -> None:
        """Write the vectors of any number of strings to `out`, shape (sentences, dim)."""
        if not self._write_few(sentences, out):
            self._write_many(sentences, out)

    def _write_many(self, sentences: tuple[str, ...], out: NDArray[Any]) -> None:
        """Write the vectors of strings to `out`, as `_write_strings` does, in batches that threads share."""
        strings = Strings(sentences, self.max_chars)
        with claim_threads(self.num_threads) as threads, progress_bar(len(strings), self.show_progress_bar) as bar:
            self.encode_batches(bar.track(strings.batches(self._limits(threads))), out, threads)

    def _write_few(self, sentences: tuple[str, ...], out: NDArray[Any]) -> bool:
        """Write the vectors of a few short strings to `out`, shape (sentences, dim). Return whether it was possible; see `encode_few`."""
        if self.show_progress_bar or len(sentences) > MAX_TEXTS:
            return False
        if self._is_direct(out):
            return self.few_texts.encode(sentences, self.max_tokens, self.max_chars, self.normalize, out) is not None
        form = self.form or make_form(self.table.dim)
        vectors = np.empty((len(sentences), form.pooled), np.float32)
        if self.few_texts.encode(sentences, self.max_tokens, self.max_chars, self.normalize, vectors) is None:
            return False
        write_vectors(vectors, form, out)
        return True

    def encode_column(self, column: StringColumn, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the vectors of a column's texts, shape (texts, dim). A null has no meaning.

        They are written to `out`, which is checked, or to a new array.
        """
        out = output_array(out, *output_shape(self.form, self.table.dim, len(column)))
        strings = column.few_strings(MAX_TEXTS, MAX_BYTES)
        if strings is not None and self._write_few(strings, out):
            return out
        with claim_threads(self.num_threads) as threads, progress_bar(len(column), self.show_progress_bar) as bar:
            limits = self._limits(threads)
            first = 0
            for group in column.groups():
                part = out[first : first + len(group)]
                dictionary = group.dictionary_rows()
                if dictionary is None:
                    self.encode_batches(bar.track(group.batches(self.max_chars, limits)), part, threads, first)
                else:
                    # Each value that is used is encoded once.
                    vectors = np.empty((len(dictionary.values), out.shape[1]), out.dtype)
                    self.encode_batches(dictionary.values.batches(self.max_chars, limits), vectors, threads, None)
                    dictionary.take(vectors, part)
                    bar.advance(len(group))
                first += len(group)
        return out

    def encode_group(self, group: ChunkGroup, out: NDArray[Any], first: int | None) -> None:
        """Write the vectors of some of a column's texts, which have no dictionary, to `out`, shape (texts, dim).

        `first` is the position of the first text, for errors.
        """
        with claim_threads(self.num_threads) as threads:
            self.encode_batches(group.batches(self.max_chars, self._limits(threads)), out, threads, first)

    def encode_tokens(self, sentences: Iterable[str]) -> list[NDArray[np.float32]]:
        """Return the vectors of the tokens of each string, float32 of shape (tokens, dim)."""
        vectors: list[NDArray[np.float32]] = []
        for tokens in self.tokenize(sentences):
            self.table.check_ids(tokens, self.tokenizer.size)
            vectors += [rows(self.table, tokens.ids[begin:end]) for begin, end in tokens.bounds()]
        return vectors

    def tokenize(self, sentences: Iterable[str]) -> Iterator[TokenBatch]:
        """Yield the tokens of strings, batch by batch. A batch must be used before the next one is asked for."""
        strings = Strings(sentences, self.max_chars)
        scratch = self.tokenizer.take_scratch()
        first = 0
        with progress_bar(len(strings), self.show_progress_bar) as bar:
            for batch in bar.track(strings.batches(self._limits(1))):
                try:
                    tokens = self.tokenizer.tokenize(batch.make(), self.max_tokens, scratch)
                except TokenizationError as error:
                    error.move(first)
                    raise
                yield tokens
                first += len(batch)
        self.tokenizer.give_back(scratch)

    def _limits(self, threads: int) -> BatchLimits:
        """Return the largest size of a batch for a number of threads."""
        return BatchLimits(self.batch_size if threads == 1 else max(self.batch_size, _SHARED_TEXTS), threads=threads)

    def encode_batches(self, batches: Iterator[LazyBatch], out: NDArray[Any], threads: int, first: int | None = 0) -> None:
        """Write the vectors of the texts of all batches to the rows of `out`, shape (texts, dim).

        Args:
            batches: the batches.
            out: the vectors, output.
            threads: the number of threads.
            first: the position of the first text, for errors. ``None``: the texts have no position.
        """
        long_texts: list[tuple[int, LazyBatch, NDArray[Any]]] = []

        def encode(numbered: tuple[int, LazyBatch, NDArray[Any]], long: bool = False) -> None:
            position, batch, part = numbered
            try:
                if long:
                    self._encode_long_text(batch.make(), part, threads)
                elif self._is_long(batch, len(out), threads):
                    long_texts.append(numbered)
                else:
                    self._encode_batch(batch.make(), part)
            except TokenizationError as error:
                error.move(None if first is None else first + position)
                raise

        parallel_for_each(encode, _with_rows(batches, out), threads)
        for numbered in long_texts:
            encode(numbered, long=True)
        self.few_texts.heed_growth()

    def _encode_batch(self, texts: TextBatch, out: NDArray[Any]) -> None:
        """Write the vectors of texts to `out`, shape (texts, dim)."""
        scratch = self.tokenizer.take_scratch()
        tokens = self.tokenizer.tokenize(texts, self.max_tokens, scratch)
        self.table.check_ids(tokens, self.tokenizer.size)
        if self._is_direct(out):
            pool(self.table, tokens, self.normalize, out)
        else:
            pool_in_form(self.table, tokens, self.normalize, self.form or make_form(self.table.dim), out)
        self.tokenizer.give_back(scratch)

    def _is_direct(self, out: NDArray[Any]) -> bool:
        """Return whether pooling can write vectors to `out` as they are."""
        return (self.form is None or self.form.is_pooled_directly) and out.flags.carray

    def _is_long(self, batch: LazyBatch, texts: int, threads: int) -> bool:
        """Return whether a batch is one long text that is divided."""
        several = _LONG_SINGLE_BYTES if texts == 1 else _LONG_BYTES
        limit = _LONG_ALONE_BYTES if threads == 1 else several
        fits = batch.max_bytes > limit and len(batch) == 1 and self.max_tokens is None and self.tokenizer.cuts_at_spaces
        return fits and (threads == 1 or has_threading_layer())

    def _encode_long_text(self, texts: TextBatch, out: NDArray[Any], threads: int) -> None:
        """Write the vector of one long text to `out`, shape (1, dim), with `threads` threads."""
        sections = cut_at_spaces(texts, _SECTIONS_PER_THREAD * threads)
        ids: list[NDArray[np.int32]] = [np.empty(0, np.int32)] * len(sections)

        def tokenize(section: int) -> None:
            scratch = self.tokenizer.take_scratch()
            tokens = self.tokenizer.tokenize(TextBatch(sections.data, sections.offsets[section : section + 2]), None, scratch)
            # Sections have more than `SHORT_BYTES` bytes, so their ids are not in the memory of `scratch`.
            self.table.check_ids(tokens, self.tokenizer.size)
            ids[section] = tokens.ids[: tokens.offsets[-1]]
            self.tokenizer.give_back(scratch)

        parallel_for_each(tokenize, range(len(sections)), threads)
        form = self.form or make_form(self.table.dim)
        vector = np.empty((1, form.pooled), np.float32)
        pool_long_text(self.table, np.concatenate(ids), self.normalize, vector[0], threads)
        write_vectors(vector, form, out)


def _with_rows(batches: Iterator[LazyBatch], out: NDArray[Any]) -> Iterator[tuple[int, LazyBatch, NDArray[Any]]]:
    """Yield the position of the first text of each batch, the batch, and the rows of `out`, shape (texts, dim), for its texts."""
    done = 0
    for batch in batches:
        yield done, batch, out[done : done + len(batch)]
        done += len(batch)
