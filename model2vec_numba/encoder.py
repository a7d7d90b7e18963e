"""The encoder turns texts into vectors. It makes batches of texts, tokenises them and pools the tokens. Threads share the batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import BatchLimits, LazyBatch, TextBatch, TokenBatch
from model2vec_numba.errors import ModelFormatError
from model2vec_numba.parallel.threads import claim_threads
from model2vec_numba.parallel.workers import parallel_for_each
from model2vec_numba.pooling.half import to_half
from model2vec_numba.pooling.kernels import pool, pool_long_text, rows
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.progress import progress_bar
from model2vec_numba.text.columns import StringColumn
from model2vec_numba.text.strings import Strings, encode_utf8, single_text
from model2vec_numba.tokenization.tokenizer import BatchTokenizer, cut_at_spaces

__all__ = ["Encoder"]

# The maximum number of texts in a batch if several threads share the batches. It is large, so that a batch of very short texts is worth a thread.
_SHARED_TEXTS = 1 << 14
# All threads work together on a text of more bytes than this, after all other texts. One thread alone would end later than the others. The only text
# of a call is divided if it has more than `_LONG_SINGLE_BYTES`.
_LONG_BYTES = 1 << 20
_LONG_SINGLE_BYTES = 1 << 17
# With several sections for each thread, a thread that is held up leaves the other sections to the others.
_SECTIONS_PER_THREAD = 4
_FLOAT32_BYTES = 4


class Encoder(NamedTuple):
    """Turns texts into vectors, with the settings of one call.

    Attributes:
        tokenizer: turns texts into tokens.
        table: the vectors of the tokens.
        max_tokens: the number of tokens of a text that count. ``None``: all of them.
        max_chars: a text is first cut to this number of code points. ``None``: it is not cut.
        normalize: whether vectors are divided by their L2 norm.
        batch_size: the number of texts in a batch. Threads that share many texts may take more.
        show_progress_bar: whether to show a progress bar.
        num_threads: the maximum number of threads. ``None``: the number of `set_num_threads`.
    """

    tokenizer: BatchTokenizer
    table: EmbeddingTable
    max_tokens: int | None
    max_chars: int | None
    normalize: bool = False
    batch_size: int = 1024
    show_progress_bar: bool = False
    num_threads: int | None = None

    def encode_string(self, sentence: str) -> NDArray[np.float32]:
        """Return the vector of one string, float32 of shape (dim,). Making batches for one string would take four times as long."""
        data = encode_utf8(sentence, self.max_chars)
        if len(data) > _LONG_SINGLE_BYTES:
            return self.encode_strings([sentence])[0]  # type: ignore[no-any-return]
        out = np.empty((1, self.table.dim), np.float32)
        self._encode_batch(single_text(data), out)
        return out[0]  # type: ignore[no-any-return]

    def encode_strings(self, sentences: Iterable[str]) -> NDArray[np.float32]:
        """Return the vectors of strings, float32 of shape (sentences, dim)."""
        strings = Strings(sentences, self.max_chars)
        out = np.empty((len(strings), self.table.dim), np.float32)
        with claim_threads(self.num_threads) as threads, progress_bar(len(strings), self.show_progress_bar) as bar:
            self.encode_batches(bar.track(strings.batches(self._limits(threads))), out, threads)
        return out

    def encode_column(self, column: StringColumn, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the vectors of a column's texts, `dtype` (float32 or float16) of shape (texts, dim). A null has zeros."""
        out = np.empty((len(column), self.table.dim), dtype)
        with claim_threads(self.num_threads) as threads, progress_bar(len(column), self.show_progress_bar) as bar:
            limits = self._limits(threads)
            first = 0
            for group in column.groups():
                part = out[first : first + len(group)]
                first += len(group)
                dictionary = group.dictionary_rows()
                if dictionary is None:
                    self.encode_batches(bar.track(group.batches(self.max_chars, limits)), part, threads)
                else:
                    # Each value that is used is encoded once.
                    vectors = np.empty((len(dictionary.values), self.table.dim), dtype)
                    self.encode_batches(dictionary.values.batches(self.max_chars, limits), vectors, threads)
                    dictionary.take(vectors, part)
                    bar.advance(len(group))
        return out

    def encode_tokens(self, sentences: Iterable[str]) -> list[NDArray[np.float32]]:
        """Return the vectors of the tokens of each string, float32 of shape (tokens, dim)."""
        vectors: list[NDArray[np.float32]] = []
        for tokens in self.tokenize(sentences):
            self._check_ids(tokens)
            vectors += [rows(self.table, tokens.ids[begin:end]) for begin, end in tokens.bounds()]
        return vectors

    def tokenize(self, sentences: Iterable[str]) -> Iterator[TokenBatch]:
        """Yield the tokens of strings, batch by batch. A batch must be used before the next one is asked for."""
        strings = Strings(sentences, self.max_chars)
        scratch = self.tokenizer.take_scratch()
        with progress_bar(len(strings), self.show_progress_bar) as bar:
            for batch in bar.track(strings.batches(self._limits(1))):
                yield self.tokenizer.tokenize(batch.make(), self.max_tokens, scratch)
        self.tokenizer.give_back(scratch)

    def _limits(self, threads: int) -> BatchLimits:
        """Return the largest size of a batch for a number of threads."""
        return BatchLimits(self.batch_size if threads == 1 else max(self.batch_size, _SHARED_TEXTS), threads=threads)

    def encode_batches(self, batches: Iterator[LazyBatch], out: NDArray[Any], threads: int) -> None:
        """Write the vectors of the texts of all batches to the rows of `out`, float32 or float16 of shape (texts, dim)."""
        long_texts: list[tuple[LazyBatch, NDArray[Any]]] = []

        def encode(batch_and_part: tuple[LazyBatch, NDArray[Any]]) -> None:
            batch, part = batch_and_part
            if threads > 1 and self._is_long(batch, len(out)):
                long_texts.append(batch_and_part)
            else:
                self._encode_batch(batch.make(), part)

        parallel_for_each(encode, _with_rows(batches, out), threads)
        for batch, part in long_texts:
            self._encode_long_text(batch.make(), part, threads)

    def _encode_batch(self, texts: TextBatch, out: NDArray[Any]) -> None:
        """Write the vectors of texts to `out`, float32 or float16 of shape (texts, dim)."""
        scratch = self.tokenizer.take_scratch()
        tokens = self.tokenizer.tokenize(texts, self.max_tokens, scratch)
        self._check_ids(tokens)
        vectors = out if out.itemsize == _FLOAT32_BYTES else np.empty(out.shape, np.float32)
        pool(self.table, tokens, self.normalize, vectors)
        self.tokenizer.give_back(scratch)
        if vectors is not out:
            to_half(vectors, out.view(np.uint16))

    def _check_ids(self, tokens: TokenBatch) -> None:
        """Raise an error if a token has no row. This can only happen if the vocabulary lists a token twice; see `TokenizerSpec.required_rows`."""
        if self.tokenizer.size <= self.table.size:
            return
        largest = tokens.ids[: tokens.offsets[-1]].max(initial=0)
        if largest >= self.table.size:
            raise ModelFormatError(
                f"token {largest} has no vector: the model has vectors for {self.table.size} tokens, but ids up to {self.tokenizer.size - 1}, "
                "because the vocabulary lists a token twice"
            )

    def _is_long(self, batch: LazyBatch, texts: int) -> bool:
        """Return whether a batch is one long text that several threads can work on."""
        limit = _LONG_SINGLE_BYTES if texts == 1 else _LONG_BYTES
        return batch.max_bytes > limit and len(batch) == 1 and self.max_tokens is None and self.tokenizer.cuts_at_spaces

    def _encode_long_text(self, texts: TextBatch, out: NDArray[Any], threads: int) -> None:
        """Write the vector of one long text to `out`, float32 or float16 of shape (1, dim), with several threads."""
        sections = cut_at_spaces(texts, _SECTIONS_PER_THREAD * threads)
        ids: list[NDArray[np.int32]] = [np.empty(0, np.int32)] * len(sections)

        def tokenize(section: int) -> None:
            scratch = self.tokenizer.take_scratch()
            tokens = self.tokenizer.tokenize(TextBatch(sections.data, sections.offsets[section : section + 2]), None, scratch)
            # Sections have more than `SHORT_BYTES` bytes, so their ids are not in the memory of `scratch`.
            self._check_ids(tokens)
            ids[section] = tokens.ids[: tokens.offsets[-1]]
            self.tokenizer.give_back(scratch)

        parallel_for_each(tokenize, range(len(sections)), threads)
        vector = np.empty(self.table.dim, np.float32)
        pool_long_text(self.table, np.concatenate(ids), self.normalize, vector, threads)
        out[0] = vector


def _with_rows(batches: Iterator[LazyBatch], out: NDArray[Any]) -> Iterator[tuple[LazyBatch, NDArray[Any]]]:
    """Yield each batch with the rows of `out`, shape (texts, dim), for its texts."""
    done = 0
    for batch in batches:
        yield batch, out[done : done + len(batch)]
        done += len(batch)
