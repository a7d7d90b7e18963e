"""StaticModel: the public class, which loads and saves models, keeps their settings and calls the encoder."""

from __future__ import annotations

import dataclasses
import enum
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.checks import checked_count, checked_flag
from model2vec_numba.dtypes import Int8Scales
from model2vec_numba.errors import ModelFormatError, shortened
from model2vec_numba.files.card import card_source, make_card, model_facts
from model2vec_numba.files.hub import push
from model2vec_numba.files.locate import checked_subfolder, locate_model
from model2vec_numba.files.reading import ModelFiles, read_bytes
from model2vec_numba.files.writing import write_folder
from model2vec_numba.keywords import check_foreign, read_foreign
from model2vec_numba.pooling.table import EmbeddingTable, make_table
from model2vec_numba.provenance import Provenance, digest_of
from model2vec_numba.quantization.clustering import cluster_table
from model2vec_numba.quantization.tables import check_quantization, quantize_table
from model2vec_numba.starting.mode import VARIABLE
from model2vec_numba.starting.roads import CompiledTokenizer, Roads
from model2vec_numba.text.columns import column_of_strings, find_string_column
from model2vec_numba.tokenization.spec.spec import parse_tokenizer

if TYPE_CHECKING:
    import pyarrow as pa

    from model2vec_numba.encoder import Encoder
    from model2vec_numba.starting.encoder import PlainEncoder
    from model2vec_numba.tokenization.tokenizer import BatchTokenizer

__all__ = ["StaticModel", "quantize_model"]

DEFAULT_MAX_LENGTH = 512
_BATCH_SIZE = 1024
_MAX_LENGTH = sys.maxsize >> 16

Model = TypeVar("Model", bound="StaticModel")


class _Unset(enum.Enum):
    """The type of an argument that was not given, for arguments whose ``None`` has another meaning."""

    UNSET = "unset"


_UNSET: Literal[_Unset.UNSET] = _Unset.UNSET


class StaticModel:
    """A static embedding model: the vector of a text is the mean of the vectors of its tokens.

    Load one with `from_pretrained` or `from_bytes`, or make one from arrays and a tokenizer.

    Args:
        vectors: the embedding matrix, shape (rows, dim): float32, float16, float64, int8 or bfloat16 (from `ml_dtypes`). A C-contiguous
            matrix is not copied.
        tokenizer: a `tokenizers.Tokenizer`. The model keeps a copy.
        weights: floating point, shape (tokens,): a factor for each token's row. ``None``: ones.
        token_mapping: integers, shape (tokens,): each token's row. ``None``: token ``i`` has row ``i``.
        normalize: whether vectors are divided by their L2 norm. ``None``: the value in `config`, else False.
        max_length: the number of tokens of a text that count. ``None``: all of them. Not given: the value in `config`, else 512.
        config: metadata to keep with the model.

    Raises:
        ModelFormatError: the matrix, the weights, the mapping and the tokenizer do not match.
        TypeError, ValueError: an argument has a wrong type or value.
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
            raise TypeError("weights must be an array, not a mapping; pass a configuration as config=")
        try:
            text = tokenizer.to_str()
        except AttributeError:
            raise TypeError(f"tokenizer must be a tokenizers.Tokenizer, not {type(tokenizer).__name__}") from None
        except Exception as error:
            raise ModelFormatError(f"tokenizer: cannot be written as tokenizer.json: {shortened(error)}") from error
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
            size=spec.required_rows,
            source="vectors",
        )
        settings = dict(config or {})
        from_config = bool(checked_flag(settings.get("normalize"), "normalize in config"))
        self._assemble(ModelFiles(settings, spec, table, from_config, None), normalize, max_length)

    def _assemble(self, files: ModelFiles, normalize: bool | None, max_length: int | _Unset | None) -> None:
        self._provenance: Provenance | None = None
        self._card_source = card_source(files.folder)
        self._config = files.config
        self._spec = files.tokenizer
        self._table = files.table
        self._roads = Roads(CompiledTokenizer(files.tokenizer), files.table)
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
            path: a local folder, or the name of a Hub repository. ``None``: the model that comes with this package.
            token: an access token of the Hub, for private repositories. ``None``: the token of the logged-in user.
            normalize: whether vectors are divided by their L2 norm. ``None``: the setting in the model's files.
            subfolder: the folder inside `path` that holds the model.
            quantize_to, dimensionality, vocabulary_quantization: make the model smaller, as `quantize_model` does.
            max_length: the number of tokens of a text that count. ``None``: all of them. Not given: the setting in the model's files, else 512.
            force_download: download files even if they are in the cache. Otherwise a complete model in the cache is used without a request.
            revision: a branch, tag or commit of the Hub repository. ``None``: its main branch.
            cache_dir: the cache folder of the Hub. ``None``: the default folder.
            local_files_only: never use the network.

        Raises:
            ModelNotFoundError: the model does not exist, or it cannot be downloaded.
            ModelFormatError: a file does not hold what it should.
            ValueError: an argument is out of range.
            ImportError: `vocabulary_quantization` is given and scikit-learn is not installed.
        """
        inside = checked_subfolder(subfolder)
        folder = locate_model(path, token, subfolder, force_download, revision, cache_dir, local_files_only) / inside
        source = None if path is None else folder.absolute()
        if isinstance(quantize_to, str):
            # A plain string, so that a pickle does not refer to model2vec's DType, which is a subclass of str.
            quantize_to = str.__str__(quantize_to)
        if vocabulary_quantization is not None:
            # This model is pickled with its contents: clustering it again would take longer than sending them.
            original = cls._from_files(Provenance(source, None, None).read(), normalize, max_length)
            return quantize_model(original, vocabulary_quantization, quantize_to, dimensionality)
        provenance = Provenance(source, quantize_to, dimensionality)
        model = cls._from_files(provenance.read(), normalize, max_length)
        model._provenance = provenance
        return model

    @classmethod
    def from_sentence_transformers(cls: type[Model], path: str | os.PathLike[str], **arguments: Any) -> Model:
        """Load a static embedding model of sentence-transformers.

        It calls `from_pretrained`, which reads these layouts too. Older versions of model2vec have a method of this name.
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
        """Load a model from the contents of its files.

        Args:
            tokenizer: the contents of `tokenizer.json`.
            model: the contents of `model.safetensors`. The matrix is a view of it.
            config: the contents of `config.json`.
            normalize, max_length: as for `from_pretrained`.

        Raises:
            ModelFormatError: one of them does not hold what it should.
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
        """Save the model to a folder in Model2Vec's layout. `model2vec`, `sentence-transformers` and this package can load it.

        The files are written under temporary names. When all are complete, they are renamed, and existing files of these names are replaced. A
        model that was loaded from the same folder, in any process, does not change.

        The scale of int8 values is saved in the tensor `weights`: the same value for each token if the matrix has one scale, and different
        values if each row has its own. model2vec, sentence-transformers 6.2 and the Rust crate model2vec-rs read this tensor. Older versions
        of sentence-transformers and the Rust crate model2vec ignore it. With one scale, their vectors differ only in length, and not at all if
        they are normalised. With a scale for each row, or if the model has other weights, their vectors are different.

        Args:
            path: the folder. It is created if it does not exist.
            model_name: the name in the model card, `README.md`. ``None``: the name of the folder. The card takes its licence, languages and
                base model from the card of the model that this one was loaded from.
            subfolder: the folder inside `path` to save to.

        Raises:
            OSError: a file cannot be written. The message names it, and no incomplete file remains.
        """
        inside = checked_subfolder(subfolder)
        folder = Path(path).expanduser()
        name = model_name or folder.resolve().name
        facts = model_facts(self.dim, len(self.tokens), self.embedding_dtype, self.vocabulary_quantization, self.max_length, self.normalize)
        card = make_card(name, facts, self._card_source)
        write_folder(folder / inside, self._spec.text, self._table, self.config, card)

    def push_to_hub(self, repo_id: str, private: bool = False, token: str | bool | None = None, subfolder: str | None = None) -> None:
        """Upload the model to a repository of the Hugging Face Hub, as `save_pretrained` writes it.

        Args:
            repo_id: the name of the repository. It is created if it does not exist.
            private: whether a newly created repository is private.
            token: an access token of the Hub. ``None``: the token of the logged-in user.
            subfolder: the folder inside the repository.

        Raises:
            The errors of `huggingface_hub`, if the Hub cannot be reached or refuses.
        """
        inside = checked_subfolder(subfolder)
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder, model_name=repo_id)
            push(Path(folder), repo_id, private=private, token=token, subfolder=inside or None)

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
        **foreign: Any,
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
        **foreign: Any,
    ) -> NDArray[np.float32]:
        """Return the vectors of sentences.

        Args:
            sentences: a string, or an iterable of strings: a list, a generator, a NumPy array, a pandas or Polars series, … If it exports
                strings through Arrow's PyCapsule interface and pyarrow is installed, they are read in place, without a Python object for each.
            max_length: the number of tokens of a text that count. ``None``: all of them. Not given: the model's setting.
            batch_size: the number of sentences in a batch. Threads that share many sentences may take more. The result does not depend on it.
            normalize: whether to divide each vector by its L2 norm. ``None``: the model's setting.
            show_progress_bar: whether to show a progress bar on standard error (needs `tqdm`).
            num_threads: the maximum number of threads. ``None``: the number of `set_num_threads`. The result does not depend on it.
            **foreign: keywords of model2vec and sentence-transformers. `use_multiprocessing`, `multiprocessing_threshold`, `device`, `pool` and
                `chunk_size` have no effect: the work is parallel without them. ``normalize_embeddings=True`` means ``normalize=True``.
                `truncate_dim` keeps the first dimensions, and `normalize_embeddings` comes after it. `precision` may be ``"float32"``,
                ``"ubinary"`` or ``"binary"`` (one bit for each dimension, as uint8 or int8). `convert_to_numpy`, `convert_to_tensor`,
                `output_value`, `prompt` and `prompt_name` may have the values that change nothing.

        Returns:
            float32, C-contiguous, shape (sentences, dim). For a string, shape (dim,). A text without tokens has the zero vector.

        Raises:
            TypeError: a sentence is not a string (the message gives its position), or a keyword is not known or cannot be honoured.
            ValueError: a sentence has no UTF-8 form (the message gives its position), or an argument is out of range.
        """
        if foreign:
            wanted = read_foreign(foreign, normalize, self.dim)
            if wanted.normalize_embeddings and wanted.truncate_dim is None:
                normalize = True
            keywords: dict[str, Any] = {"batch_size": batch_size, "show_progress_bar": show_progress_bar, "num_threads": num_threads}
            return wanted.apply(self.encode(sentences, max_length=max_length, normalize=normalize, **keywords))
        encoder = self._encoder(self._length(max_length), normalize, batch_size, show_progress_bar, num_threads)
        if isinstance(sentences, str):
            return encoder.encode_string(sentences)
        column = find_string_column(sentences)
        if column is None:
            try:
                return encoder.encode_strings(sentences)
            except ImportError as error:
                if sys.is_finalizing():
                    text = "encode cannot load its code while the interpreter shuts down; call it with a list before, then it works in __del__ too"
                    raise RuntimeError(text) from error
                raise
        column.refuse_nulls()
        return encoder.encode_column(column, np.dtype(np.float32))

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
        """Return the vectors of an Arrow column of texts as an Arrow column. No Python object is made for a text or a vector.

        Args:
            array: a `pyarrow.Array` or `pyarrow.ChunkedArray`, or any object with ``__arrow_c_stream__`` or ``__arrow_c_array__`` (a Polars or
                pandas series, …). Its type is utf8, large_utf8, utf8_view, or a dictionary of these, whose used values are encoded once each. A
                column that has only nulls may have the type null.
            max_length, batch_size, normalize, show_progress_bar: as for `encode`.
            dtype: the type of the vectors' elements: ``"float32"``, or ``"float16"``, which is rounded from float32.

        Returns:
            ``FixedSizeList<dtype>[dim]``: an array for an array, and a chunked array with the same chunks for a chunked array or a stream. It
            has the nulls of `array`, with zeros as their values. It shares the memory to which the vectors were written.

        Raises:
            TypeError: `array` is not a column of strings.
            ValueError: its buffers are not valid Arrow data (bytes that are not UTF-8, offsets out of range), or an argument is out of range.
            ImportError: pyarrow is not installed.
        """
        encoder = self._encoder(self._length(max_length), normalize, batch_size, show_progress_bar)
        return _encode_arrow(encoder, array, dtype)

    def _encode_arrow_singly(
        self,
        array: Any,
        max_length: int | _Unset | None = _UNSET,
        batch_size: int = _BATCH_SIZE,
        normalize: bool | None = None,
        dtype: Literal["float32", "float16"] = "float32",
    ) -> pa.Array | pa.ChunkedArray:
        """Return what `encode_arrow` returns, computed by one thread, for engines that run many workers."""
        return _encode_arrow(self._encoder(self._length(max_length), normalize, batch_size, num_threads=1), array, dtype)

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
        **foreign: Any,
    ) -> list[NDArray[np.float32]]: ...

    def encode_as_sequence(
        self,
        sentences: str | Iterable[str],
        *,
        max_length: int | None = None,
        batch_size: int = _BATCH_SIZE,
        show_progress_bar: bool = False,
        **foreign: Any,
    ) -> list[NDArray[np.float32]] | NDArray[np.float32]:
        """Return the vector of each token of sentences. The vectors are not pooled and not normalised.

        Args:
            sentences: a string, or an iterable of strings.
            max_length: the number of tokens of a text that count. ``None``: all of them.
            batch_size, show_progress_bar: as for `encode`.
            **foreign: model2vec's `use_multiprocessing` and `multiprocessing_threshold`, which have no effect.

        Returns:
            A float32 array of shape (tokens, dim) for each sentence. For a string, one array.

        Raises:
            TypeError, ValueError: as for `encode`.
        """
        check_foreign("encode_as_sequence", foreign, ("sentences", "max_length", "batch_size", "show_progress_bar"))
        encoder = self._encoder(_checked_max_length(max_length), False, batch_size, show_progress_bar)
        if isinstance(sentences, str):
            return encoder.encode_tokens([sentences])[0]
        return encoder.encode_tokens(sentences)

    def tokenize(self, sentences: str | Iterable[str], max_length: int | None = None) -> list[list[int]]:
        """Return the token ids of each sentence, without the unknown id.

        Args:
            sentences: a string, which is one sentence, or an iterable of strings.
            max_length: the number of tokens to keep of each sentence. ``None``: all of them.

        Raises:
            TypeError, ValueError: as for `encode`.
        """
        encoder = self._encoder(_checked_max_length(max_length))
        batches = encoder.tokenize([sentences] if isinstance(sentences, str) else sentences)
        return [tokens.ids[begin:end].tolist() for tokens in batches for begin, end in tokens.bounds()]

    def _encoder(
        self,
        max_length: int | None,
        normalize: bool | None = None,
        batch_size: int = _BATCH_SIZE,
        show_progress_bar: bool = False,
        num_threads: int | None = None,
    ) -> Encoder | PlainEncoder:
        """Return the encoder for a call with these arguments: without compiled code while that is not ready.

        Raises:
            ValueError: `batch_size` or `num_threads` is out of range.
        """
        # A longer limit might not fit the integers of compiled code, and no text reaches it.
        if max_length is not None and max_length > _MAX_LENGTH:
            max_length = None
        max_chars = None if max_length is None else max_length * self._spec.median_token_length
        normalize = checked_flag(normalize, "normalize")
        divide = self._normalize if normalize is None else normalize
        batch_size = checked_count(batch_size, "batch_size", "an integer of 1 or more")
        if num_threads is not None:
            num_threads = checked_count(num_threads, "num_threads", "None or an integer of 1 or more")
        make = self._roads.compiled or self._roads.find_compiled() or self._roads.plain
        return make(max_length, max_chars, divide, batch_size, show_progress_bar, num_threads)

    @property
    def _tokenizer(self) -> BatchTokenizer:
        """The tokeniser with compiled code. It is made if it does not exist yet."""
        return self._roads.tokenizer.get()

    def _length(self, max_length: int | _Unset | None) -> int | None:
        return self.max_length if isinstance(max_length, _Unset) else _checked_max_length(max_length)

    @property
    def dim(self) -> int:
        """The number of dimensions of a vector."""
        return self._table.dim

    @property
    def normalize(self) -> bool:
        """Whether `encode` divides vectors by their L2 norm by default."""
        return self._normalize

    @normalize.setter
    def normalize(self, value: bool) -> None:
        self._normalize = bool(checked_flag(value, "normalize"))

    @property
    def max_length(self) -> int | None:
        """The number of tokens of a text that count in `encode` by default. ``None``: all of them."""
        return self._max_length

    @max_length.setter
    def max_length(self, value: int | None) -> None:
        self._max_length = _checked_max_length(value)

    @property
    def embedding(self) -> NDArray[Any]:
        """The embedding matrix as it is stored, read-only, shape (rows, dim). bfloat16 is given as the uint16 of its bits, int8 without its scale."""
        return self._table.matrix

    @property
    def embedding_dtype(self) -> str:
        """The name of the type that the embedding matrix is stored in: float32, float16, bfloat16, float64 or int8."""
        return self._table.dtype

    @property
    def weights(self) -> NDArray[np.float32] | None:
        """The factor of each token's row, float32 of shape (tokens,), read-only. It includes the scale of int8 values. ``None`` if each is 1."""
        return self._table.all_weights

    @property
    def token_mapping(self) -> NDArray[np.int32] | None:
        """The row of each token, int32 of shape (tokens,). ``None`` if token ``i`` has row ``i``."""
        return self._table.mapping if len(self._table.mapping) else None

    @property
    def vocabulary_quantization(self) -> int | None:
        """The number of rows, if tokens share rows; else ``None``."""
        return None if self.token_mapping is None else len(self.embedding)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens of the vocabulary in the order of their ids."""
        return self._spec.tokens

    @property
    def tokenizer(self) -> Tokenizer:
        """A copy of the model's tokeniser as an object of the `tokenizers` library, with truncation and padding off."""
        return self._spec.make_library()

    @property
    def tokenizer_backend(self) -> str:
        """The tokeniser in use: ``"wordpiece"``, ``"unigram"``, ``"bpe"`` or ``"wordlevel"`` are compiled; ``"tokenizers"`` is the library.

        While another process compiles, this waits for the compiled tokeniser, which will be in use.
        """
        self._roads.wait()
        return "tokenizers" if self._roads.is_plain else self._tokenizer.name

    @property
    def uncompiled_part(self) -> str | None:
        """The part of the tokenizer that is not compiled, and why. ``None`` if `tokenizer_backend` is not ``"tokenizers"``."""
        if self.tokenizer_backend != "tokenizers":
            return None
        if self._roads.is_plain:
            return f"nothing is compiled: {VARIABLE} or NUMBA_DISABLE_JIT forbids it"
        from model2vec_numba.tokenization.support import uncompiled_part

        part = uncompiled_part(self._spec)
        self._spec.forget()
        return part

    @property
    def median_token_length(self) -> int:
        """The median length of the tokens of the vocabulary, in code points. Texts are cut to `max_length` times this before tokenising."""
        return self._spec.median_token_length

    @property
    def unk_token_id(self) -> int | None:
        """The id of the unknown token, which is dropped. ``None`` if there is none."""
        return self._spec.unk_token_id

    @property
    def config(self) -> dict[str, Any]:
        """A copy of the model's configuration: the contents of its file, with the current `normalize` and `max_length`."""
        return {**self._config, "normalize": self.normalize, "max_length": self.max_length}

    def __getstate__(self) -> dict[str, Any]:
        # The tokeniser's tables are made again when unpickling: they hold a lock, and are larger than the `tokenizer.json`.
        state = {name: value for name, value in self.__dict__.items() if name != "_roads"}
        if self._provenance is not None and self._provenance.is_unchanged():
            # Every process of this machine can read the files, and they then share the memory of the matrix.
            state["_provenance"] = dataclasses.replace(self._provenance, digest=digest_of(self._spec, self._table))
            del state["_spec"], state["_table"], state["_config"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._provenance is not None and "_table" not in state:
            files = self._provenance.read()
            self._config, self._spec, self._table = files.config, files.tokenizer, files.table
        self._roads = Roads(CompiledTokenizer(self._spec), self._table)

    def _by_value(self: Model) -> Model:
        """Return an equal model that is pickled with its contents, for machines that do not have its files."""
        return self._with_table(self._table)

    def _with_table(self: Model, table: EmbeddingTable) -> Model:
        """Return a model with another embedding table for the same tokens. The two models share everything else."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, _provenance=None, _table=table, _roads=Roads(self._roads.tokenizer, table))
        return other

    def __repr__(self) -> str:
        # This must not wait for the compiler.
        known = self._roads.compiled is not None or self._roads.is_plain
        backend = f", tokenizer_backend={self.tokenizer_backend!r}" if known else ""
        return (
            f"{type(self).__name__}(dim={self.dim}, tokens={self._spec.size}, dtype={self.embedding_dtype}, normalize={self.normalize}, "
            f"max_length={self.max_length}{backend})"
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
    """Return a smaller model. It lets tokens share rows, converts the matrix to a smaller type, and drops dimensions, in this order.

    The figures for the quality below were measured on all-MiniLM-L6-v2 distilled to 256 dimensions in float32, with the 4,314 English sentence pairs
    of STSbenchmark. They are the rank correlation (Spearman's) of the pairs' cosines with those of the original model, and the mean and the lowest
    cosine between the vectors of a sentence in both models. `python -m benchmarks.quality` measures them for any model.

    Args:
        model: the model. It is not changed.
        vocabulary_quantization: the number of rows that the tokens share. The directions of the rows are clustered by k-means, and their L2
            norms become weights. It needs scikit-learn, and memory for a copy of the matrix in float32. It loses the most: with 8,192 rows
            for 29,525 tokens the correlation is 0.973 (mean cosine 0.871, lowest 0.63), with 2,048 rows 0.939 (0.759, 0.45).
        quantize_to: the type to store the matrix in. ``"float16"`` and ``"bfloat16"``: correlation 1.00000 (cosines above 0.99999).
            ``"int8"``: see `int8_scales`. Converting from a smaller type to ``"float32"`` or ``"float64"`` loses nothing.
        dimensionality: the number of dimensions to keep. The first ones are kept, which hold the most information in models that were distilled
            with a PCA, as most are. 128 of 256: correlation 0.993 (removed dimensions counted as zeros: mean cosine 0.886, lowest 0.70); 64:
            0.973; 32: 0.944.
        int8_scales: for int8, ``"matrix"``: one scale for all values, so that the largest magnitude is 127. The integers are those of model2vec
            if the values fit into float16. Correlation 0.99996 (mean cosine 0.99932, lowest 0.9961). Or ``"row"``: one scale for each row.
            Correlation 1.00000 (0.99997, 0.99993), and `encode` takes a third longer than with ``"matrix"``. With both, vectors that are not
            normalised are in the original units (model2vec drops the scale). With ``"row"`` their norms are within 1 % of the original ones.
            With ``"matrix"`` they are not if all rows of a text have small norms, such as the rows of punctuation.
        show_progress_bar: whether to show a progress bar on standard error while rows are clustered (needs `tqdm`).

    Returns:
        A model of the same class. It shares the data that does not change with `model`.

    Raises:
        ValueError: an argument is out of range, the tokens share rows already, or a value does not fit into the type.
        ImportError: scikit-learn or `tqdm` is needed and not installed.
    """
    table = model._table
    check_quantization(table, quantize_to, dimensionality, int8_scales)
    if vocabulary_quantization is not None:
        table = cluster_table(table, vocabulary_quantization, show_progress_bar)
        # Clustering gives float32, so convert the rows back to the type of the model.
        quantize_to = quantize_to or model.embedding_dtype
    return model._with_table(quantize_table(table, quantize_to, dimensionality, int8_scales))


def _checked_max_length(value: int | None) -> int | None:
    return None if value is None else checked_count(value, "max_length", "None or an integer of 1 or more")


def _encode_arrow(encoder: Encoder | PlainEncoder, array: Any, dtype: str) -> pa.Array | pa.ChunkedArray:
    if dtype not in {"float32", "float16"}:
        raise ValueError(f"dtype must be 'float32' or 'float16', not {dtype!r}")
    column = column_of_strings(array)
    return column.lists(encoder.encode_column(column, np.dtype(dtype)))
