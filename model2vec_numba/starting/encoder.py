"""The encoder that needs no compiled code. It gives what `Encoder` gives, to the bit: the same ids, vectors and errors.

The `tokenizers` library tokenises, and NumPy adds the rows. When compiled code may be used, also in the middle of a call, `Encoder` goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import BatchLimits, TokenBatch, split_by_bytes, token_batch
from model2vec_numba.errors import TokenizationError
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.progress import ProgressBar, progress_bar
from model2vec_numba.starting.pooling import pool_plainly, rows_plainly
from model2vec_numba.starting.texts import check_strings, cut_strings, refuse_surrogates
from model2vec_numba.text.sentences import to_tuple
from model2vec_numba.tokenization.library import tokenize_with_library
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.vectors.form import FORM_TEXTS, Form, output_array, output_shape
from model2vec_numba.vectors.plain import write_plainly

if TYPE_CHECKING:
    from model2vec_numba.encoder import Encoder
    from model2vec_numba.starting.roads import Roads
    from model2vec_numba.text.columns import ChunkGroup, StringColumn

__all__ = ["PlainEncoder"]

# The number of strings that are given to `Encoder` at a time if it goes on in the middle of a call.
_HANDED_OVER = 1 << 16
# A call with more texts than this uses compiled code from the start, if that is ready. And about the time that a text takes without compiled code.
_MANY, _SECONDS_PER_TEXT = 1 << 14, 2e-5


@dataclass(slots=True, eq=False)
class PlainEncoder:
    """Turns texts into vectors without compiled code, with the settings of one call.

    Attributes:
        spec: the tokenizer.
        table: the vectors of the tokens.
        roads: finds the compiled code, and takes note of the time that is spent without it.
        The others are those of `Encoder`. The threads are those of the library, whatever `num_threads` is.
    """

    spec: TokenizerSpec
    table: EmbeddingTable
    roads: Roads
    max_tokens: int | None
    max_chars: int | None
    normalize: bool = False
    batch_size: int = 1024
    show_progress_bar: bool = False
    num_threads: int | None = None
    form: Form | None = None

    def encode_string(self, sentence: str, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the vector of one string, shape (dim,). It is written to `out`, which is checked, or to a new array."""
        vector = output_array(out, *output_shape(self.form, self.table.dim))
        self._encode_texts(cut_strings([sentence], self.max_chars), 0, vector[None])
        return vector

    def encode_strings(self, sentences: Iterable[str], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the vectors of strings, shape (sentences, dim). They are written to `out`, which is checked, or to a new array."""
        strings = to_tuple(sentences)
        check_strings(strings)
        out = output_array(out, *output_shape(self.form, self.table.dim, len(strings)))
        is_long = self._is_long(len(strings))
        with progress_bar(len(strings), self.show_progress_bar) as bar:
            first = 0
            for texts in self._batches(strings):
                if (first or is_long) and (encoder := self._compiled_encoder()) is not None:
                    _hand_over(encoder, strings, first, out, bar)
                    break
                self._encode_texts(texts, first, out[first : first + len(texts)])
                first += len(texts)
                bar.advance(len(texts))
        return out

    def encode_column(self, column: StringColumn, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the vectors of a column's texts, shape (texts, dim). A null has no meaning.

        They are written to `out`, which is checked, or to a new array.
        """
        out = output_array(out, *output_shape(self.form, self.table.dim, len(column)))
        self._is_long(len(column))
        with progress_bar(len(column), self.show_progress_bar) as bar:
            first = 0
            for group in column.groups():
                part = out[first : first + len(group)]
                dictionary = group.dictionary_rows()
                if dictionary is None:
                    self._encode_group(group, part, first)
                else:
                    vectors = np.empty((len(dictionary.values), out.shape[1]), out.dtype)
                    self._encode_group(dictionary.values, vectors, None)
                    dictionary.take(vectors, part)
                first += len(group)
                bar.advance(len(group))
        return out

    def encode_tokens(self, sentences: Iterable[str]) -> list[NDArray[np.float32]]:
        """Return the vectors of the tokens of each string, float32 of shape (tokens, dim)."""
        vectors: list[NDArray[np.float32]] = []
        for tokens in self.tokenize(sentences):
            self.table.check_ids(tokens, self.spec.size)
            vectors += [rows_plainly(self.table, tokens.ids[begin:end]) for begin, end in tokens.bounds()]
        return vectors

    def tokenize(self, sentences: Iterable[str]) -> Iterator[TokenBatch]:
        """Yield the tokens of strings, batch by batch. A batch must be used before the next one is asked for."""
        strings = to_tuple(sentences)
        check_strings(strings)
        is_long = self._is_long(len(strings))
        with progress_bar(len(strings), self.show_progress_bar) as bar:
            first = 0
            for texts in self._batches(strings):
                if (first or is_long) and (encoder := self._compiled_encoder()) is not None:
                    for tokens in _tokenize_rest(encoder, strings, first):
                        yield tokens
                        bar.advance(len(tokens))
                    break
                yield self._tokenize(texts, first)
                first += len(texts)
                bar.advance(len(texts))

    def _is_long(self, texts: int) -> bool:
        """Return whether a call with this number of texts would take long, and if so take note of it now."""
        if texts > _MANY:
            self.roads.spend(texts * _SECONDS_PER_TEXT)
        return texts > _MANY

    def _batches(self, strings: tuple[str, ...]) -> Iterator[list[str]]:
        """Yield the strings in batches, cut to `max_chars`. Long texts make smaller batches."""
        limits = BatchLimits(self.batch_size)
        for begin in range(0, len(strings), self.batch_size):
            texts = cut_strings(strings[begin : begin + self.batch_size], self.max_chars)
            for first, last, _ in split_by_bytes(limits, np.fromiter(map(len, texts), np.int64, len(texts)), len(strings) - begin - len(texts)):
                yield texts[first:last]

    def _encode_group(self, group: ChunkGroup, out: NDArray[Any], position: int | None) -> None:
        """Write the vectors of consecutive texts of a column to `out`, shape (texts, dim).

        `position` is that of the first text, for errors. ``None``: the texts have no position.
        """
        first = 0
        for block in group.blocks():
            encoder = self._compiled_encoder()
            at = None if position is None else position + first
            if encoder is None:
                done = 0
                for texts in self._batches(block.strings()):
                    self._encode_texts(texts, None if at is None else at + done, out[first + done : first + done + len(texts)])
                    done += len(texts)
            else:
                encoder.encode_group(block, out[first : first + len(block)], at)
            first += len(block)

    def _encode_texts(self, texts: list[str], first: int | None, out: NDArray[Any]) -> None:
        """Write the vectors of texts to `out`, shape (texts, dim). `first`: the position of the first text, for errors."""
        tokens = self._tokenize(texts, first)
        self.table.check_ids(tokens, self.spec.size)
        if self.form is None or self.form.is_pooled_directly:
            pool_plainly(self.table, tokens, self.normalize, out)
            return
        for at in range(0, len(tokens), FORM_TEXTS):
            some = TokenBatch(tokens.ids, tokens.offsets[at : at + FORM_TEXTS + 1])
            vectors = np.empty((len(some), self.form.pooled), np.float32)
            pool_plainly(self.table, some, self.normalize, vectors)
            write_plainly(vectors, self.form, out[at : at + len(some)])

    def _tokenize(self, texts: list[str], first: int | None) -> TokenBatch:
        """Return the tokens of texts. `first`: the position of the first text, for errors."""
        # Making the library's tokeniser does not count: that is done once.
        _ = self.spec.library
        begin = time.process_time()
        try:
            lists = tokenize_with_library(self.spec, texts, self.max_tokens)
        except TokenizationError as error:
            # The library takes no lone surrogates.
            refuse_surrogates(texts, first or 0)
            error.move(first)
            raise
        # Adding the rows takes about as long.
        self.roads.spend(2 * (time.process_time() - begin))
        return token_batch(lists)

    def _compiled_encoder(self) -> Encoder | None:
        """Return the encoder with compiled code and the same settings. ``None`` while that may not be used."""
        make = self.roads.find_compiled()
        return None if make is None else make(self.max_tokens, self.max_chars, self.normalize, self.batch_size, False, self.num_threads, self.form)


def _hand_over(encoder: Encoder, strings: Sequence[str], first: int, out: NDArray[Any], bar: ProgressBar) -> None:
    """Write the vectors of the strings from number `first` on to their rows of `out`, with compiled code."""
    for begin in range(first, len(strings), _HANDED_OVER):
        some = strings[begin : begin + _HANDED_OVER]
        with _moved_errors(encoder, some, begin):
            encoder.encode_strings(some, out[begin : begin + len(some)])
        bar.advance(len(some))


def _tokenize_rest(encoder: Encoder, strings: tuple[str, ...], first: int) -> Iterator[TokenBatch]:
    """Yield the tokens of the strings from number `first` on, batch by batch, with compiled code."""
    rest = strings[first:]
    with _moved_errors(encoder, rest, first):
        yield from encoder.tokenize(rest)


@contextmanager
def _moved_errors(encoder: Encoder, strings: Sequence[str], first: int) -> Iterator[None]:
    """Make errors name the position among all strings of a call. `first`: the number of the first of `strings`, which `encoder` gets."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, TokenizationError):
            error.move(first)
        refuse_surrogates(cut_strings(strings, encoder.max_chars), first)
        raise
