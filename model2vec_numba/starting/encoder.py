"""The encoder that needs no compiled code. It gives what `Encoder` gives, to the bit: the same ids, vectors and errors.

The `tokenizers` library tokenises, and NumPy adds the rows. When the compiled code is ready, also in the middle of a call, `Encoder` goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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

if TYPE_CHECKING:
    from model2vec_numba.encoder import Encoder
    from model2vec_numba.text.columns import ChunkGroup, StringColumn

__all__ = ["PlainEncoder"]

# The number of strings that are given to `Encoder` at a time if it goes on in the middle of a call.
_HANDED_OVER = 1 << 16


class PlainEncoder(NamedTuple):
    """Turns texts into vectors without compiled code, with the settings of one call.

    Attributes:
        spec: the tokenizer.
        table: the vectors of the tokens.
        compiled: returns what makes an `Encoder`, or ``None`` while the compiled code is not ready.
        The others are those of `Encoder`. The threads are those of the library, whatever `num_threads` is.
    """

    spec: TokenizerSpec
    table: EmbeddingTable
    compiled: Callable[[], Callable[..., Encoder] | None]
    max_tokens: int | None
    max_chars: int | None
    normalize: bool = False
    batch_size: int = 1024
    show_progress_bar: bool = False
    num_threads: int | None = None

    def encode_string(self, sentence: str) -> NDArray[np.float32]:
        """Return the vector of one string, float32 of shape (dim,)."""
        out = np.empty((1, self.table.dim), np.float32)
        self._encode_texts(cut_strings([sentence], self.max_chars), 0, out)
        return out[0]  # type: ignore[no-any-return]

    def encode_strings(self, sentences: Iterable[str]) -> NDArray[np.float32]:
        """Return the vectors of strings, float32 of shape (sentences, dim)."""
        strings = to_tuple(sentences)
        check_strings(strings)
        out = np.empty((len(strings), self.table.dim), np.float32)
        with progress_bar(len(strings), self.show_progress_bar) as bar:
            first = 0
            for texts in self._batches(strings):
                if first and (encoder := self._compiled_encoder()) is not None:
                    _hand_over(encoder, strings, first, out, bar)
                    break
                self._encode_texts(texts, first, out[first : first + len(texts)])
                first += len(texts)
                bar.advance(len(texts))
        return out

    def encode_column(self, column: StringColumn, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the vectors of a column's texts, `dtype` (float32 or float16) of shape (texts, dim). A null has zeros."""
        out = np.empty((len(column), self.table.dim), dtype)
        with progress_bar(len(column), self.show_progress_bar) as bar:
            first = 0
            for group in column.groups():
                part = out[first : first + len(group)]
                dictionary = group.dictionary_rows()
                if dictionary is None:
                    self._encode_group(group, part, first)
                else:
                    vectors = np.empty((len(dictionary.values), self.table.dim), dtype)
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
        """Yield the tokens of strings, batch by batch."""
        strings = to_tuple(sentences)
        check_strings(strings)
        with progress_bar(len(strings), self.show_progress_bar) as bar:
            first = 0
            for texts in self._batches(strings):
                yield self._tokenize(texts, first)
                first += len(texts)
                bar.advance(len(texts))

    def _batches(self, strings: tuple[str, ...]) -> Iterator[list[str]]:
        """Yield the strings in batches, cut to `max_chars`. Long texts make smaller batches."""
        limits = BatchLimits(self.batch_size)
        for begin in range(0, len(strings), self.batch_size):
            texts = cut_strings(strings[begin : begin + self.batch_size], self.max_chars)
            for first, last, _ in split_by_bytes(limits, np.fromiter(map(len, texts), np.int64, len(texts)), len(strings) - begin - len(texts)):
                yield texts[first:last]

    def _encode_group(self, group: ChunkGroup, out: NDArray[Any], position: int | None) -> None:
        """Write the vectors of consecutive texts of a column to `out`, float32 or float16 of shape (texts, dim).

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
        """Write the vectors of texts to `out`, float32 or float16 of shape (texts, dim). `first`: the position of the first text, for errors."""
        tokens = self._tokenize(texts, first)
        self.table.check_ids(tokens, self.spec.size)
        if out.dtype == np.float32:
            pool_plainly(self.table, tokens, self.normalize, out)
            return
        vectors = np.empty(out.shape, np.float32)
        pool_plainly(self.table, tokens, self.normalize, vectors)
        # A number that is too large for half precision becomes infinity, as in compiled code.
        with np.errstate(all="ignore"):
            out[...] = vectors

    def _tokenize(self, texts: list[str], first: int | None) -> TokenBatch:
        """Return the tokens of texts. `first`: the position of the first text, for errors."""
        try:
            lists = tokenize_with_library(self.spec, texts, self.max_tokens)
        except TokenizationError as error:
            # The library takes no lone surrogates.
            refuse_surrogates(texts, first or 0)
            error.move(first)
            raise
        return token_batch(lists)

    def _compiled_encoder(self) -> Encoder | None:
        """Return the encoder with compiled code and the same settings. ``None`` while it is not ready."""
        make = self.compiled()
        return None if make is None else make(self.max_tokens, self.max_chars, self.normalize, self.batch_size, False, self.num_threads)


def _hand_over(encoder: Encoder, strings: Sequence[str], first: int, out: NDArray[np.float32], bar: ProgressBar) -> None:
    """Write the vectors of the strings from number `first` on to their rows of `out`, with compiled code."""
    for begin in range(first, len(strings), _HANDED_OVER):
        some = strings[begin : begin + _HANDED_OVER]
        try:
            out[begin : begin + len(some)] = encoder.encode_strings(some)
        except ValueError as error:
            # The error must name the position among all strings.
            if isinstance(error, TokenizationError):
                error.move(begin)
            refuse_surrogates(cut_strings(some, encoder.max_chars), begin)
            raise
        bar.advance(len(some))
