"""StaticModel: joins the three stages, flatten, tokenise and pool, and only that."""

from __future__ import annotations

import dataclasses
import enum
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.arrow import StringColumn, column_of_strings, find_string_column
from model2vec_numba.checks import checked_count
from model2vec_numba.crew import share_out
from model2vec_numba.errors import ModelFormatError, ModelNotFoundError
from model2vec_numba.extras import require
from model2vec_numba.files.card import make_card
from model2vec_numba.files.hub import fetch, push
from model2vec_numba.files.origin import DEFAULT_MODEL, Origin, digest_of
from model2vec_numba.files.reading import ModelFiles, read_bytes
from model2vec_numba.files.writing import write_folder
from model2vec_numba.pooling import EmbeddingTable, make_table, narrow, pool, rows
from model2vec_numba.quantization import check_quantization, quantize_table
from model2vec_numba.storage import Int8Scales
from model2vec_numba.text import BatchLimits, Portion, check_sentences, portions, utf8_of
from model2vec_numba.threads import get_num_threads, threads_of_call
from model2vec_numba.tokenization import TokenBatch, choose_backend, parse_tokenizer

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["StaticModel", "quantize_model"]

DEFAULT_MAX_LENGTH = 512
_BUNDLED = "bundled"
_BATCH_SIZE = 1024

# The most texts of a batch that threads share out: so many empty ones are worth a turn, which takes 50 us.
_SHARED_TEXTS = 1 << 14
# All threads work on a longer text together, if the tokeniser can.
_LARGE_BYTES = 1 << 20

Model = TypeVar("Model", bound="StaticModel")


class _Unset(enum.Enum):
    """The type of an argument that was not given, where ``None`` means something else."""

    UNSET = "unset"


_UNSET: Literal[_Unset.UNSET] = _Unset.UNSET


class StaticModel:
    """A static embedding model: a text's vector is the mean of its tokens' vectors.

    Make one with `from_pretrained`, `from_bytes`, or from its parts.

    Args:
        vectors: the embedding matrix, shape (rows, dim): float32, float16, float64, int8 or (from `ml_dtypes`) bfloat16. Not copied when
            C-contiguous.
        tokenizer: a `tokenizers.Tokenizer`. The model keeps a copy.
        weights: floating point, shape (tokens,): a factor for each token's row. ``None``: ones.
        token_mapping: integers, shape (tokens,): each token's row. ``None``: token ``i`` has row ``i``.
        normalize: whether vectors are divided by their L2 norm. ``None``: as `config` says, else no.
        max_length: the number of tokens of a text that count; ``None``: all of them. Not given: as `config` says, else 512.
        config: metadata to keep with the model.

    Raises:
        ModelFormatError: the parts do not fit each other.
        TypeError, ValueError: an argument is not of the kind described.
    """

    def __init__(
        self,
        vectors: NDArray[Any],
        tokenizer: Tokenizer,
        weights: NDArray[Any] | None = None,
        token_mapping: NDArray[Any] | None = None,
        normalize: bool | None = None,
        max_length: int | _Unset | None = _UNSET,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(weights, Mapping):
            raise TypeError("weights must be an array, not a mapping; a configuration is passed as config=")
        try:
            text = tokenizer.to_str()
        except AttributeError:
            raise TypeError(f"tokenizer must be a tokenizers.Tokenizer, not {type(tokenizer).__name__}") from None
        except Exception as error:
            raise ModelFormatError(f"tokenizer: cannot be written as tokenizer.json: {error}") from error
        spec = parse_tokenizer(text, "tokenizer")
        matrix = np.asarray(vectors)
        dtype = matrix.dtype.name
        if dtype == "bfloat16":
            matrix = matrix.view(np.uint16)
        table = make_table(
            matrix,
            dtype,
            None if weights is None else np.asarray(weights),
            None if token_mapping is None else np.asarray(token_mapping),
            size=spec.size,
            source="vectors",
        )
        settings = dict(config or {})
        self._assemble(ModelFiles(settings, spec, table, bool(settings.get("normalize")), None), normalize, max_length)

    def _assemble(self, files: ModelFiles, normalize: bool | None, max_length: int | _Unset | None) -> None:
        self._origin: Origin | None = None
        # Not as a path, which another operating system could not unpickle.
        self._card_folder = None if files.folder is None else _BUNDLED if files.folder == DEFAULT_MODEL else str(files.folder)
        self._config = files.config
        self._spec = files.tokenizer
        self._table = files.table
        self._backend = choose_backend(files.tokenizer)
        files.tokenizer.forget()
        self.normalize = files.normalize if normalize is None else normalize
        self.max_length = files.config.get("max_length", DEFAULT_MAX_LENGTH) if isinstance(max_length, _Unset) else max_length

    @classmethod
    def from_pretrained(
        cls: type[Model],
        path: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        normalize: bool | None = None,
        subfolder: str | None = None,
        quantize_to: str | None = None,
        dimensionality: int | None = None,
        vocabulary_quantization: int | None = None,
        max_length: int | _Unset | None = _UNSET,
        force_download: bool = False,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> Model:
        """Load a model from a folder or from the Hugging Face Hub.

        Args:
            path: a folder, else the name of a Hub repository; ``None`` for the model that comes with this package.
            token: the Hub's access token, for private repositories; ``None`` for the one that is logged in.
            normalize: whether vectors are divided by their L2 norm. ``None``: as the model's files say.
            subfolder: the folder inside `path` that holds the model.
            quantize_to, dimensionality, vocabulary_quantization: make the model smaller, as `quantize_model` does.
            max_length: the number of tokens of a text that count; ``None``: all of them. Not given: as the model's files say, else 512.
            force_download: fetch from the Hub even what is cached. Otherwise a model that is whole in the cache is used without a question.
            revision: the Hub repository's branch, tag or commit; ``None`` for its main branch.
            cache_dir: the Hub's cache folder; ``None`` for the usual one.
            local_files_only: never ask the network.

        Raises:
            ModelNotFoundError: there is no such model, or it cannot be reached.
            ModelFormatError: a file is not what it should be.
            ValueError: an argument is out of range.
            ImportError: `vocabulary_quantization` is given and scikit-learn is not installed.
        """
        folder = _locate(path, token, subfolder, force_download, revision, cache_dir, local_files_only) / (subfolder or "")
        source = None if path is None else folder.absolute()
        if isinstance(quantize_to, str):
            # Of model2vec's DType, a string of a kind of its own, no pickle shall tell.
            quantize_to = str.__str__(quantize_to)
        if vocabulary_quantization is not None:
            # Such a model is pickled with its contents: to cluster takes longer than to send them.
            whole = cls._from_files(Origin(source, None, None).read(), normalize, max_length)
            return quantize_model(whole, vocabulary_quantization, quantize_to, dimensionality)
        origin = Origin(source, quantize_to, dimensionality)
        files = origin.read()
        model = cls._from_files(files, normalize, max_length)
        model._origin = origin
        return model

    @classmethod
    def from_sentence_transformers(cls: type[Model], path: str | os.PathLike[str], **arguments: Any) -> Model:
        """Load a static embedding model of sentence-transformers: `from_pretrained`, which knows its layouts too, by the name that older versions
        of model2vec have for this.
        """
        return cls.from_pretrained(path, **arguments)

    @classmethod
    def from_bytes(
        cls: type[Model],
        tokenizer: bytes,
        model: bytes,
        config: bytes,
        normalize: bool | None = None,
        max_length: int | _Unset | None = _UNSET,
    ) -> Model:
        """Load a model from the contents of its files, for files that are not on a disk.

        Args:
            tokenizer: the contents of `tokenizer.json`.
            model: the contents of `model.safetensors`. The matrix is a view of it.
            config: the contents of `config.json`.
            normalize, max_length: as for `from_pretrained`.

        Raises:
            ModelFormatError: one of them is not what it should be.
        """
        for name, content in (("tokenizer", tokenizer), ("model", model), ("config", config)):
            if not isinstance(content, bytes):
                raise TypeError(f"{name} must be bytes, not {type(content).__name__}")
        return cls._from_files(read_bytes(tokenizer, model, config), normalize, max_length)

    @classmethod
    def _from_files(cls: type[Model], files: ModelFiles, normalize: bool | None, max_length: int | _Unset | None) -> Model:
        model = cls.__new__(cls)
        model._assemble(files, normalize, max_length)
        return model

    def save_pretrained(self, path: str | os.PathLike[str], model_name: str | None = None, subfolder: str | None = None) -> None:
        """Save the model to a folder, in Model2Vec's layout: `model2vec`, `sentence-transformers` and this package can load it from there.

        The files are complete before they get their names; what had those names is replaced. A model that was loaded from the same folder, here or
        in another process, goes on with what it has mapped (on Windows a file that is mapped cannot be replaced). A scale of int8 values is saved
        as weights, all the same, which model2vec, sentence-transformers 6.2 and the Rust crate model2vec-rs heed. Older versions of
        sentence-transformers and the Rust crate model2vec pass over weights: theirs are the same vectors only where all weights are the same
        and vectors are normalised.

        Args:
            path: the folder; it is made if need be.
            model_name: the name in the model card, `README.md`; ``None``: the folder's. The card's licence, languages and base model are those in
                the card of the model that this one was loaded from.
            subfolder: the folder inside `path` to save to.

        Raises:
            OSError: a file cannot be written; it is named, and nothing is left of it.
        """
        folder = Path(path).expanduser()
        name = model_name or folder.resolve().name
        write_folder(folder / (subfolder or ""), self._spec.text, self._table, self.config, make_card(name, self._facts(), self._card()))

    def push_to_hub(self, repo_id: str, private: bool = False, token: str | bool | None = None, subfolder: str | None = None) -> None:
        """Upload the model to a repository of the Hugging Face Hub, as `save_pretrained` writes it.

        Args:
            repo_id: the repository's name; it is made if need be.
            private: whether a repository that is made now is private.
            token: the Hub's access token; ``None`` for the one that is logged in.
            subfolder: the folder inside the repository.

        Raises:
            Whatever `huggingface_hub` raises where the Hub cannot be reached or refuses.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder, model_name=repo_id)
            push(Path(folder), repo_id, private=private, token=token, subfolder=subfolder)

    def _card(self) -> Path | None:
        """The card of the model that this one was loaded from."""
        if self._card_folder is None:
            return None
        return (DEFAULT_MODEL if self._card_folder == _BUNDLED else Path(self._card_folder)) / "README.md"

    def _facts(self) -> dict[str, str]:
        """What a model card says of the model."""
        facts = {"Dimensions": f"{self.dim:,}", "Tokens": f"{len(self.tokens):,}", "Stored as": self.embedding_dtype}
        if self.vocabulary_quantization is not None:
            facts["Vectors that the tokens share"] = f"{self.vocabulary_quantization:,}"
        length = "unlimited" if self.max_length is None else f"{self.max_length:,} tokens; the rest of a longer text is not read"
        return {**facts, "Normalised": "yes" if self.normalize else "no", "Length of a text": length}

    @overload
    def encode(self, sentences: str, **arguments: Any) -> NDArray[np.float32]: ...

    @overload
    def encode(
        self,
        sentences: Iterable[str],
        *,
        max_length: int | _Unset | None = ...,
        batch_size: int = ...,
        normalize: bool | None = ...,
        show_progress_bar: bool = ...,
        num_threads: int | None = ...,
        **ignored: Any,
    ) -> NDArray[np.float32]: ...

    def encode(
        self,
        sentences: str | Iterable[str],
        *,
        max_length: int | _Unset | None = _UNSET,
        batch_size: int = _BATCH_SIZE,
        normalize: bool | None = None,
        show_progress_bar: bool = False,
        num_threads: int | None = None,
        **ignored: Any,
    ) -> NDArray[np.float32]:
        """The vectors of sentences.

        Args:
            sentences: a string, or an iterable of strings: a list, a generator, a NumPy array, a pandas or Polars series, … What holds its
                strings as Arrow does is read from there when pyarrow is installed, without a Python object for each.
            max_length: the number of tokens of a text that count; ``None``: all of them. Not given: the model's.
            batch_size: the number of sentences to work on at a time; where threads share many out, they may take more. The result does not
                depend on it.
            normalize: whether to divide each vector by its L2 norm. ``None``: as the model does.
            show_progress_bar: show one on standard error (needs `tqdm`).
            num_threads: the most threads to use. ``None``: see `set_num_threads`. The result does not depend on it.
            **ignored: model2vec's `use_multiprocessing` and `multiprocessing_threshold`, and whatever else callers pass to an `encode` of
                this kind. The work is parallel as it is. Of sentence-transformers' arguments, ``normalize_embeddings=True`` is
                ``normalize=True``.

        Returns:
            float32, C-contiguous, shape (sentences, dim); shape (dim,) for a string. A text without tokens has the zero vector.

        Raises:
            TypeError: a sentence is not a string; its position is named.
            ValueError: a sentence cannot be UTF-8 (its position is named), or an argument is out of range.
            RuntimeError: the list was made shorter meanwhile.
        """
        if normalize is None and ignored.get("normalize_embeddings"):
            normalize = True
        batch_size = _checked_batch_size(batch_size)
        if isinstance(sentences, str):
            return self._encode_one(sentences, self._length(max_length), self.normalize if normalize is None else normalize)
        column = find_string_column(sentences)
        if column is not None:
            column.refuse_nulls()
            with threads_of_call(num_threads):
                return self._encode_column(column, np.dtype(np.float32), max_length, batch_size, normalize, show_progress_bar)
        texts = check_sentences(sentences)
        max_tokens, max_chars = self._limits(self._length(max_length))
        out = np.empty((len(texts), self.dim), np.float32)
        with threads_of_call(num_threads), _progress(len(texts), show_progress_bar) as advance:
            taken = portions(texts, max_chars, _shared_limits(batch_size))
            self._encode_portions(_advancing(taken, advance), max_tokens, normalize, out)
        return out

    def encode_arrow(
        self,
        array: Any,
        *,
        max_length: int | _Unset | None = _UNSET,
        batch_size: int = _BATCH_SIZE,
        normalize: bool | None = None,
        dtype: Literal["float32", "float16"] = "float32",
        show_progress_bar: bool = False,
    ) -> pa.Array | pa.ChunkedArray:
        """The vectors of a column of texts that Arrow holds, as an Arrow column: no Python object for each text, none for each vector.

        Args:
            array: a `pyarrow.Array` or `pyarrow.ChunkedArray`, or whatever has ``__arrow_c_stream__`` or ``__arrow_c_array__`` (a Polars or
                pandas series, …), of strings: utf8, large_utf8, utf8_view, or a dictionary of these, of which each used value is encoded
                once. A column of nothing but nulls may have Arrow's type null.
            max_length, batch_size, normalize, show_progress_bar: as for `encode`.
            dtype: the type of the vectors' elements, ``"float32"`` or ``"float16"`` (rounded from float32).

        Returns:
            ``FixedSizeList<dtype>[dim]``: an array for an array, a chunked array with the same chunks for a chunked array or a stream. A null
            has a null. The values are the memory that the vectors were written to; in a null's place they are zeros.

        Raises:
            TypeError: `array` is not of strings.
            ValueError: its buffers are not what Arrow promises (bytes that are not UTF-8, offsets out of range), or an argument is out of
                range.
            ImportError: pyarrow is not installed.
        """
        if dtype not in {"float32", "float16"}:
            raise ValueError(f"dtype must be 'float32' or 'float16', not {dtype!r}")
        column = column_of_strings(array)
        return column.lists(self._encode_column(column, np.dtype(dtype), max_length, batch_size, normalize, show_progress_bar))

    def _encode_column(
        self,
        column: StringColumn,
        dtype: np.dtype[Any],
        max_length: int | _Unset | None,
        batch_size: int,
        normalize: bool | None,
        show_progress_bar: bool,
    ) -> NDArray[Any]:
        """The vectors of a column, shape (texts, dim)."""
        max_tokens, max_chars = self._limits(self._length(max_length))
        out = np.empty((len(column), self.dim), dtype)

        def encode(texts: Iterator[Portion], rows: NDArray[Any]) -> None:
            self._encode_portions(texts, max_tokens, normalize, rows)

        with _progress(len(column), show_progress_bar) as advance:
            column.encode(encode, max_chars, _shared_limits(_checked_batch_size(batch_size)), advance, out)
        return out

    def _encode_portions(self, texts: Iterator[Portion], max_tokens: int | None, normalize: bool | None, out: NDArray[Any]) -> None:
        """Flatten, tokenise and pool portions, each into the next rows of `out`, float32 or float16 of shape (texts, dim)."""
        divide = self.normalize if normalize is None else normalize

        def encode(portion_and_rows: tuple[Portion, NDArray[Any]]) -> None:
            portion, rows = portion_and_rows
            vectors = rows if out.dtype == np.float32 else np.empty(rows.shape, np.float32)
            pool(self._table, self._backend.tokenize(portion.flatten(), max_tokens), divide, vectors)
            if vectors is not rows:
                narrow(vectors, rows.view(np.uint16))

        def is_large(portion_and_rows: tuple[Portion, NDArray[Any]]) -> bool:
            return portion_and_rows[0].size > _LARGE_BYTES and self._backend.divides_texts

        share_out(_with_rows(texts, out), encode, is_large)

    def _encode_one(self, sentence: str, max_length: int | None, normalize: bool) -> NDArray[np.float32]:
        """The vector of a single sentence, float32 of shape (dim,), without what only batches need: that took four times as long."""
        max_length, max_chars = self._limits(max_length)
        out = np.empty((1, self._table.dim), np.float32)
        self._backend.tokenize_one(utf8_of(sentence, max_chars), max_length, lambda tokens: pool(self._table, tokens, normalize, out))
        vector: NDArray[np.float32] = out[0]
        return vector

    @overload
    def encode_as_sequence(self, sentences: str, **arguments: Any) -> NDArray[np.float32]: ...

    @overload
    def encode_as_sequence(
        self,
        sentences: Iterable[str],
        *,
        max_length: int | None = ...,
        batch_size: int = ...,
        show_progress_bar: bool = ...,
        **ignored: Any,
    ) -> list[NDArray[np.float32]]: ...

    def encode_as_sequence(
        self,
        sentences: str | Iterable[str],
        *,
        max_length: int | None = None,
        batch_size: int = _BATCH_SIZE,
        show_progress_bar: bool = False,
        **ignored: Any,
    ) -> list[NDArray[np.float32]] | NDArray[np.float32]:
        """The vectors of the tokens of sentences, one by one: not pooled and not normalised.

        Args:
            sentences: a string, or an iterable of strings.
            max_length: the number of tokens of a text that count; ``None``: all of them.
            batch_size, show_progress_bar, **ignored: as for `encode`.

        Returns:
            A float32 array of shape (tokens, dim) for each sentence; for a string, the one array.

        Raises:
            TypeError, ValueError: as for `encode`.
        """
        if isinstance(sentences, str):
            return self.encode_as_sequence([sentences], max_length=max_length, batch_size=batch_size)[0]
        texts = check_sentences(sentences)
        sequences: list[NDArray[np.float32]] = []
        for tokens in self._tokenized(texts, self._length(max_length), batch_size, show_progress_bar):
            sequences.extend(rows(self._table, tokens.ids[first:last]) for first, last in tokens.bounds())
        return sequences

    def tokenize(self, sentences: str | Iterable[str], max_length: int | None = None) -> list[list[int]]:
        """The token ids of sentences, unknown ones dropped.

        Args:
            sentences: a string, which counts as one sentence, or an iterable of strings.
            max_length: the number of tokens to keep of each; ``None``: all of them.

        Raises:
            TypeError, ValueError: as for `encode`.
        """
        texts = check_sentences([sentences] if isinstance(sentences, str) else sentences)
        return [
            tokens.ids[first:last].tolist()
            for tokens in self._tokenized(texts, self._length(max_length), _BATCH_SIZE, False)
            for first, last in tokens.bounds()
        ]

    def _tokenized(self, sentences: Sequence[str], max_length: int | None, batch_size: int, show_progress_bar: bool) -> Iterator[TokenBatch]:
        """Flatten and tokenise sentences batch by batch."""
        max_tokens, max_chars = self._limits(max_length)
        with _progress(len(sentences), show_progress_bar) as advance:
            for texts in _advancing(portions(sentences, max_chars, BatchLimits(_checked_batch_size(batch_size))), advance):
                yield self._backend.tokenize(texts.flatten(), max_tokens)

    def _limits(self, max_length: int | None) -> tuple[int | None, int | None]:
        """The numbers of tokens and of characters that count."""
        # A limit that no text reaches is none; as it is, it might not fit the integers of compiled code.
        if max_length is None or max_length > sys.maxsize >> 16:
            return None, None
        return max_length, max_length * self.median_token_length

    def _length(self, max_length: int | _Unset | None) -> int | None:
        return self.max_length if isinstance(max_length, _Unset) else _checked_max_length(max_length)

    @property
    def dim(self) -> int:
        """The number of dimensions of a vector."""
        return self._table.dim

    @property
    def normalize(self) -> bool:
        """Whether `encode` divides vectors by their L2 norm unless told otherwise."""
        return self._normalize

    @normalize.setter
    def normalize(self, value: bool) -> None:
        self._normalize = bool(value)

    @property
    def max_length(self) -> int | None:
        """The number of tokens of a text that count in `encode` unless it is told otherwise; ``None``: all of them."""
        return self._max_length

    @max_length.setter
    def max_length(self, value: int | None) -> None:
        self._max_length = _checked_max_length(value)

    @property
    def embedding(self) -> NDArray[Any]:
        """The embedding matrix as it is stored, read-only, shape (rows, dim); bfloat16 as the uint16 of its bits, int8 without its scale."""
        return self._table.matrix

    @property
    def embedding_dtype(self) -> str:
        """The name of the type that the embedding matrix is stored in: float32, float16, bfloat16, float64 or int8."""
        return self._table.dtype

    @property
    def weights(self) -> NDArray[np.float32] | None:
        """The factor of each token's row, float32 of shape (tokens,), read-only; ``None`` where each is 1. A scale of int8 values is part of it."""
        return self._table.all_weights

    @property
    def token_mapping(self) -> NDArray[np.int32] | None:
        """The row of each token, int32 of shape (tokens,); ``None`` where token ``i`` has row ``i``."""
        return self._table.mapping if len(self._table.mapping) else None

    @property
    def vocabulary_quantization(self) -> int | None:
        """The number of rows that the tokens share, where they do; else ``None``."""
        return None if self.token_mapping is None else len(self.embedding)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The vocabulary's tokens in the order of their ids."""
        return self._spec.tokens

    @property
    def tokenizer(self) -> Tokenizer:
        """The `tokenizers` library's tokeniser of this model, with truncation and padding off: a copy, free to change."""
        return self._spec.make_library()

    @property
    def tokenizer_backend(self) -> str:
        """What tokenises: ``"tokenizers"`` is the library; ``"wordpiece"``, ``"unigram"``, ``"bpe"`` and ``"wordlevel"`` are compiled."""
        return self._backend.name

    @property
    def median_token_length(self) -> int:
        """The median length of the vocabulary's tokens, in characters: texts are cut to `max_length` times this before tokenising."""
        return self._spec.median_token_length

    @property
    def unk_token_id(self) -> int | None:
        """The id of the unknown token, which is dropped; ``None`` where there is none."""
        return self._spec.unk_token_id

    @property
    def config(self) -> dict[str, Any]:
        """The model's configuration: what its file holds, with `normalize` and `max_length` as they are now. A copy."""
        return {**self._config, "normalize": self.normalize, "max_length": self.max_length}

    def __getstate__(self) -> dict[str, Any]:
        # The backend's tables are made again from the tokenizer: they hold a lock, and are larger than it.
        state = {name: value for name, value in self.__dict__.items() if name != "_backend"}
        if self._origin is not None and self._origin.is_unchanged():
            # The files are there for every process of this machine, which then share the matrix's memory.
            state["_origin"] = dataclasses.replace(self._origin, digest=digest_of(self._spec, self._table))
            del state["_spec"], state["_table"], state["_config"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._origin is not None and "_table" not in state:
            files = self._origin.read()
            self._config, self._spec, self._table = files.config, files.tokenizer, files.table
        self._backend = choose_backend(self._spec)
        self._spec.forget()

    def _by_value(self: Model) -> Model:
        """The same model, but one that pickles with its contents, for where its files are not."""
        return self._with_table(self._table)

    def _with_table(self: Model, table: EmbeddingTable) -> Model:
        """A model with another embedding table for the same tokens. What both are otherwise made of they share."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, _origin=None, _table=table)
        return other

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(dim={self.dim}, tokens={self._spec.size}, dtype={self.embedding_dtype}, normalize={self.normalize}, "
            f"max_length={self.max_length}, tokenizer_backend={self.tokenizer_backend!r})"
        )


def quantize_model(
    model: Model,
    vocabulary_quantization: int | None = None,
    quantize_to: str | None = None,
    dimensionality: int | None = None,
    *,
    int8_scales: Int8Scales = "matrix",
    show_progress_bar: bool = False,
) -> Model:
    """A smaller model: tokens that share rows, narrower numbers, fewer dimensions. In this order, where several are asked for.

    What each costs was measured on all-MiniLM-L6-v2 distilled to 256 dimensions in float32, with the 4,314 pairs of sentences of STSbenchmark in
    English: the rank correlation (Spearman's) of their cosines with those of the model as it was, and the mean and the worst cosine between a
    sentence's vector before and after. `python -m benchmarks.quality` does so for any model.

    Args:
        model: the model, which stays as it is.
        vocabulary_quantization: the number of rows that the tokens share (k-means of the rows' directions; their lengths become weights). Needs
            scikit-learn, and a copy of the matrix in float32 while it works. The most lossy: with 8,192 rows for 29,525 tokens the correlation
            is 0.973 (cosines 0.871, worst 0.63), with 2,048 it is 0.939 (0.759, worst 0.45).
        quantize_to: the type to store the matrix in. ``"float16"`` and ``"bfloat16"``: 1.00000 (cosines above 0.99999); ``"int8"``: see
            `int8_scales`; ``"float32"``, ``"float64"``: nothing of what is narrower is lost.
        dimensionality: the number of dimensions to keep, the first ones, which say most in models that were distilled with a PCA, as most are.
            128 of 256: 0.993 (what is cut counting as zeros, cosines 0.886, worst 0.70); 64: 0.973; 32: 0.944.
        int8_scales: for int8, ``"matrix"``: one scale for all values, so that the largest magnitude is 127, with the integers that model2vec
            has where float16 has room for the values: 0.99996 (cosines 0.99932, worst 0.9961); or ``"row"``: one for each row: 1.00000
            (0.99997, worst 0.99993), and `encode` takes a third longer. With either, vectors that are not normalised are in the original units
            (model2vec drops the scale): their lengths are within 1 % with ``"row"``; with ``"matrix"`` not where a text's rows are all short,
            such as those of punctuation.
        show_progress_bar: show one on standard error while rows are clustered (needs `tqdm`).

    Returns:
        A model of the same class. What is not converted is shared with `model`.

    Raises:
        ValueError: an argument is out of range, or the vocabulary is quantised already, or the type has no room for what the matrix holds.
        ImportError: scikit-learn is not installed, or `tqdm`.
    """
    table = model._table
    check_quantization(table, quantize_to, dimensionality, int8_scales)
    if vocabulary_quantization is not None:
        from model2vec_numba.clustering import cluster_table

        table = cluster_table(table, vocabulary_quantization, show_progress_bar)
        quantize_to = quantize_to or model.embedding_dtype
    return model._with_table(quantize_table(table, quantize_to, dimensionality, int8_scales))


def _locate(
    path: str | os.PathLike[str] | None,
    token: str | bool | None,
    subfolder: str | None,
    force_download: bool,
    revision: str | None,
    cache_dir: str | os.PathLike[str] | None,
    local_files_only: bool,
) -> Path:
    """The local folder of the model that `path` names."""
    if path is None:
        return DEFAULT_MODEL
    folder = Path(path).expanduser()
    try:
        is_folder, exists = folder.is_dir(), folder.exists()
    except OSError as error:
        raise ModelNotFoundError(f"{folder}: no such folder: {error.strerror or error}") from error
    if is_folder:
        return folder
    if exists:
        raise ModelNotFoundError(f"{folder}: a file, expected a model's folder or the name of a Hub repository")
    if folder.is_absolute() or os.fspath(path).startswith((".", "~")):
        raise ModelNotFoundError(f"{folder}: no such folder")
    return fetch(
        Path(path).as_posix(),
        token=token,
        revision=revision,
        cache_dir=None if cache_dir is None else Path(cache_dir),
        subfolder=subfolder,
        force_download=force_download,
        local_files_only=local_files_only,
    )


def _checked_max_length(value: int | None) -> int | None:
    return None if value is None else checked_count(value, "max_length", "None or an integer of 1 or more")


def _checked_batch_size(value: int) -> int:
    return checked_count(value, "batch_size", "an integer of 1 or more")


def _shared_limits(batch_size: int) -> BatchLimits:
    """The limits of batches for threads to share out, if there are several."""
    threads = get_num_threads()
    if threads == 1:
        return BatchLimits(batch_size)
    return BatchLimits(max(batch_size, _SHARED_TEXTS), threads=threads)


def _with_rows(texts: Iterator[Portion], out: NDArray[Any]) -> Iterator[tuple[Portion, NDArray[Any]]]:
    """Each portion with the rows of `out`, shape (texts, dim), that are its texts'."""
    done = 0
    for portion in texts:
        yield portion, out[done : done + len(portion)]
        done += len(portion)
    if done != len(out):
        raise RuntimeError(f"sentences changed while it was encoded: of {len(out)} sentences, {done} are left")


def _progress(total: int, show: bool) -> AbstractContextManager[Callable[[int], object]]:
    """Give a function to call with the number of texts just done, which moves a progress bar if one is to be shown."""
    return _progress_bar(total) if show else _NO_PROGRESS


@contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[int], object]]:
    tqdm = require("tqdm.auto", "show_progress_bar", "cli").tqdm
    with tqdm(total=total, unit=" texts", unit_scale=True) as bar:
        yield bar.update


_NO_PROGRESS = nullcontext[Callable[[int], object]](lambda _: None)


def _advancing(texts: Iterator[Portion], advance: Callable[[int], object]) -> Iterator[Portion]:
    """The same portions; `advance` is told of each when the next is asked for."""
    for portion in texts:
        yield portion
        advance(len(portion))
