"""StaticModel: the public class, which loads and saves models, keeps their settings and calls the encoder."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tokenizers import Tokenizer

from model2vec_numba.checks import UNSET as _UNSET
from model2vec_numba.checks import Unset as _Unset
from model2vec_numba.checks import checked_count, checked_flag, checked_max_length, is_unset
from model2vec_numba.errors import ModelFormatError
from model2vec_numba.files.card import card_metadata, card_source, make_card, model_facts
from model2vec_numba.files.hub import push
from model2vec_numba.files.layouts import DEFAULT_MODEL
from model2vec_numba.files.locate import checked_subfolder, locate_model
from model2vec_numba.files.reading import ModelFiles, read_bytes
from model2vec_numba.files.writing import write_folder
from model2vec_numba.keywords import check_foreign, read_foreign
from model2vec_numba.parts import mapping_of, matrix_of, roads_with, table_of
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.provenance import Provenance, digest_of
from model2vec_numba.quantization.models import quantize_model
from model2vec_numba.settings import Kept, Settings
from model2vec_numba.starting.encoder import PlainEncoder
from model2vec_numba.starting.mode import VARIABLE
from model2vec_numba.starting.roads import CompiledTokenizer, Roads
from model2vec_numba.text.columns import column_of_strings, find_string_column
from model2vec_numba.tokenization.shown import EXCHANGING, ShownTokenizer, spec_of
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.vectors.form import WantedForm, wanted_form
from model2vec_numba.vectors.similarity import cosines

if TYPE_CHECKING:
    import pyarrow as pa

    from model2vec_numba.encoder import Encoder
    from model2vec_numba.tokenization.tokenizer import BatchTokenizer

__all__ = ["StaticModel"]

DEFAULT_MAX_LENGTH = 512
_BATCH_SIZE = 1024
_MAX_LENGTH = sys.maxsize >> 16

Model = TypeVar("Model", bound="StaticModel")


class StaticModel:
    """A static embedding model: the vector of a text is the mean of the vectors of its tokens.

    Load one with `from_pretrained` or `from_bytes`, or make one from arrays and a tokenizer.

    Args:
        vectors: the embedding matrix, shape (rows, dim): float32, float16, float64, int8 or bfloat16 (from `ml_dtypes`). A C-contiguous
            matrix is not copied.
        tokenizer: a `tokenizers.Tokenizer`. The model keeps a copy.
        config: metadata to keep with the model. The model keeps a copy.
        normalize: whether vectors are divided by their L2 norm. ``None``: the value in `config`, else False.
        base_model_name: the name of the model that this one was distilled from, for the model card.
        language: the language of the model, or a list of languages, for the model card.
        weights: floating point, shape (tokens,): a factor for each token's row. ``None``: ones.
        token_mapping: integers, shape (tokens,): each token's row. ``None``: token ``i`` has row ``i``.
        max_length: the number of tokens of a text that count. ``None``: all of them. Not given: the value in `config`, else 512.

    Raises:
        ModelFormatError: the matrix, the weights, the mapping and the tokenizer do not match.
        TypeError, ValueError: an argument has a wrong type or value.
    """

    def __init__(
        self,
        vectors: NDArray[Any],
        tokenizer: Tokenizer,
        config: Mapping[str, Any] | None = None,
        normalize: bool | None = None,
        base_model_name: str | list[str] | None = None,
        language: str | list[str] | None = None,
        weights: NDArray[Any] | None = None,
        token_mapping: NDArray[Any] | None = None,
        max_length: int | _Unset | None = _UNSET,
    ) -> None:
        settings = _checked_config(config)
        spec = spec_of(tokenizer, "tokenizer")
        table = table_of(*matrix_of(vectors), weights, token_mapping, spec, "vectors")
        from_config = bool(checked_flag(settings.get("normalize"), "normalize in config"))
        self._assemble(ModelFiles(settings, spec, table, from_config, None), normalize, max_length)
        self.base_model_name = base_model_name
        self.language = language

    def _assemble(self, files: ModelFiles, normalize: bool | None, max_length: int | _Unset | None) -> None:
        length: Any = files.config.get("max_length", DEFAULT_MAX_LENGTH) if is_unset(max_length) else max_length
        self._config = Settings(files.config, files.normalize if normalize is None else normalize, length)
        self._provenance: Provenance | None = None
        self._card_source = card_source(files.folder)
        # ``_UNSET``: the card states it.
        self._base_model_name: str | list[str] | _Unset | None = _UNSET
        self._language: str | list[str] | _Unset | None = _UNSET
        # The tokeniser and the table change together, in one assignment: other threads may encode meanwhile.
        self._roads = Roads(CompiledTokenizer(files.tokenizer), files.table)
        self._shown: ShownTokenizer | None = None
        # Arrays that were set after tokens were added, until all of them fit the new tokens.
        self._waiting: dict[str, Any] = {}

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
        source = None if folder == DEFAULT_MODEL else folder.absolute()
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
            TypeError: one of them is not bytes.
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
        card = make_card(name, facts, self._card_source, self.base_model_name, self.language)
        roads = self._checked_roads()
        write_folder(folder / inside, roads.tokenizer.spec.text, roads.table, self.config, card)

    def push_to_hub(self, repo_id: str, private: bool = False, token: str | bool | None = None, subfolder: str | None = None) -> None:
        """Upload the model to a repository of the Hugging Face Hub, as `save_pretrained` writes it.

        Args:
            repo_id: the name of the repository. It is created if it does not exist.
            private: whether a newly created repository is private.
            token: an access token of the Hub. ``None``: the token of the logged-in user.
            subfolder: the folder inside the repository.

        Raises:
            HfHubHTTPError: the Hub refuses. If it cannot be reached, there are other errors of `huggingface_hub`.
        """
        inside = checked_subfolder(subfolder)
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder, model_name=repo_id)
            push(Path(folder), repo_id, private=private, token=token, subfolder=inside or None)

    @overload
    def encode(
        self,
        sentences: str | Iterable[str],
        *,
        max_length: int | _Unset | None = ...,
        batch_size: int = ...,
        normalize: bool | None = ...,
        show_progress_bar: bool = ...,
        num_threads: int | None = ...,
        dimensionality: int | None = ...,
        precision: Literal["float32"] = ...,
        out: NDArray[np.float32] | None = ...,
        **foreign: Any,
    ) -> NDArray[np.float32]: ...

    @overload
    def encode(
        self,
        sentences: str | Iterable[str],
        *,
        max_length: int | _Unset | None = ...,
        batch_size: int = ...,
        normalize: bool | None = ...,
        show_progress_bar: bool = ...,
        num_threads: int | None = ...,
        dimensionality: int | None = ...,
        precision: str,
        ranges: ArrayLike | None = ...,
        out: NDArray[Any] | None = ...,
        **foreign: Any,
    ) -> NDArray[Any]: ...

    def encode(
        self,
        sentences: str | Iterable[str],
        *,
        max_length: int | _Unset | None = _UNSET,
        batch_size: int = _BATCH_SIZE,
        normalize: bool | None = None,
        show_progress_bar: bool = False,
        num_threads: int | None = None,
        dimensionality: int | None = None,
        precision: str = "float32",
        ranges: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        **foreign: Any,
    ) -> NDArray[Any]:
        """Return the vectors of sentences.

        Args:
            sentences: a string, or an iterable of strings: a list, a generator, a NumPy array, a pandas or Polars series, … If it exports
                strings through Arrow's PyCapsule interface and pyarrow is installed, they are read in place, without a Python object for each.
            max_length: the number of tokens of a text that count. ``None``: all of them. Not given: the model's setting.
            batch_size: the number of sentences in a batch. Threads that share many sentences may take more. The result does not depend on it.
            normalize: whether to divide each vector by its L2 norm. ``None``: the model's setting.
            show_progress_bar: whether to show a progress bar on standard error (needs `tqdm`).
            num_threads: the maximum number of threads. ``None``: the number of `set_num_threads`. The result does not depend on it.
            dimensionality: the number of dimensions to keep, the first ones. ``None``: all of them. Vectors are normalised after the cut, if they
                are normalised. The vectors are those of ``quantize_model(model, dimensionality=…)``, and fewer dimensions take less time.
            precision: the type of the elements of the vectors. The integers and bits are those of `quantize_embeddings` in sentence-transformers.

                - ``"float32"``.
                - ``"float16"``: rounded from float32.
                - ``"int8"`` and ``"uint8"``: each dimension of `ranges` is divided into 255 equal steps. An element is the number of its step, from 0
                  to 255 (``"uint8"``) or from -128 to 127 (``"int8"``). Values outside the ranges have the nearest step.
                - ``"ubinary"``: one bit for each dimension, 1 if the value is positive, in uint8. The first dimension is the highest bit of the
                  first byte. If the number of dimensions is no multiple of 8, the last byte ends with zeros.
                - ``"binary"``: the bytes of ``"ubinary"`` minus 128, in int8.
            ranges: shape (2, dimensions): the minimum and the maximum of each dimension, for ``"int8"`` and ``"uint8"``. `quantization_ranges`
                computes them from a sample. There is no default: with the ranges of the sentences of one call, vectors of different calls could
                not be compared.
            out: a NumPy array or memory map for the vectors, of the shape and type of the result. It need not be contiguous. It is returned. After
                an error its contents have no meaning.
            **foreign: keywords of model2vec and sentence-transformers. `use_multiprocessing`, `multiprocessing_threshold`, `device`, `pool` and
                `chunk_size` have no effect: the work is parallel without them. ``normalize_embeddings=True`` means ``normalize=True``.
                `truncate_dim` means `dimensionality`, but vectors are normalised before the cut, unless `normalize_embeddings` is true.
                `convert_to_numpy`, `convert_to_tensor`, `output_value`, `prompt` and `prompt_name` may have the values that change nothing.

        Returns:
            Shape (sentences, dimensions), or (sentences, dimensions / 8), rounded up, for the binary types. C-contiguous. For a string, one
            dimension less. A text without tokens has the zero vector.

        Raises:
            TypeError: a sentence is not a string (the message gives its position), a keyword is not known or cannot be honoured, or `out` has
                another type.
            ValueError: a sentence has no UTF-8 form (the message gives its position), an argument is out of range, `ranges` is missing, or `out`
                has another shape or is read-only.
        """
        cuts_last = False
        if foreign:
            normalize, dimensionality, cuts_last = read_foreign(foreign, normalize, dimensionality, self.dim)
        is_usual = max_length is _UNSET and normalize is None and batch_size is _BATCH_SIZE and not show_progress_bar and num_threads is None
        if is_usual and dimensionality is None and precision == "float32" and ranges is None:
            encoder = self._config.kept.encoder
            if encoder is None or self._shown is not None:
                encoder = self._usual_encoder()
        else:
            wanted = wanted_form(dimensionality, precision, ranges, cuts_last=cuts_last)
            encoder = self._encoder(self._length(max_length), normalize, batch_size, show_progress_bar, num_threads, wanted)
        # Most sentences are lists. Asking them what else they might be takes a tenth of the time of a short call.
        if type(sentences) is not list:
            if isinstance(sentences, str):
                vectors = encoder.encode_string(sentences, out)
                return vectors if out is None else out
            column = find_string_column(sentences)
            if column is not None:
                column.refuse_nulls()
                vectors = encoder.encode_column(column, out)
                return vectors if out is None else out
        try:
            vectors = encoder.encode_strings(sentences, out)
        except ImportError as error:
            if sys.is_finalizing():
                text = "encode cannot load its code while the interpreter shuts down; call it with a list before, then it works in __del__ too"
                raise RuntimeError(text) from error
            raise
        return vectors if out is None else out

    def encode_arrow(
        self,
        array: Any,
        *,
        max_length: int | _Unset | None = _UNSET,
        batch_size: int = _BATCH_SIZE,
        normalize: bool | None = None,
        dtype: Literal["float32", "float16"] | None = None,
        show_progress_bar: bool = False,
        num_threads: int | None = None,
        dimensionality: int | None = None,
        precision: str = "float32",
        ranges: ArrayLike | None = None,
    ) -> pa.Array | pa.ChunkedArray:
        """Return the vectors of an Arrow column of texts as an Arrow column. No Python object is made for a text or a vector.

        To write the vectors of an Arrow column to an array of your own, call `encode` with it.

        Args:
            array: a `pyarrow.Array` or `pyarrow.ChunkedArray`, or any object with ``__arrow_c_stream__`` or ``__arrow_c_array__`` (a Polars or
                pandas series, …). Its type is utf8, large_utf8, utf8_view, or a dictionary of these, whose used values are encoded once each. A
                column that has only nulls may have the type null.
            max_length, batch_size, normalize, show_progress_bar, num_threads, dimensionality, precision, ranges: as for `encode`.
            dtype: another name for the precisions ``"float32"`` and ``"float16"``.

        Returns:
            ``FixedSizeList<type>[columns]``: an array for an array, and a chunked array with the same chunks for a chunked array or a stream. The
            type is float, halffloat, int8 or uint8, and the number of columns is that of `encode`. It has the nulls of `array`, with zeros as
            their values. It shares the memory to which the vectors were written.

        Raises:
            TypeError: `array` is not a column of strings.
            ValueError: its buffers are not valid Arrow data (bytes that are not UTF-8, offsets out of range), an argument is out of range, or
                `ranges` is missing.
            ImportError: pyarrow is not installed.
        """
        if dtype is not None:
            if dtype not in {"float32", "float16"}:
                raise ValueError(f"dtype must be 'float32' or 'float16', not {dtype!r}")
            if precision not in {"float32", dtype}:
                raise ValueError(f"dtype={dtype!r} and precision={precision!r} contradict each other")
            precision = dtype
        wanted = wanted_form(dimensionality, precision, ranges)
        encoder = self._encoder(self._length(max_length), normalize, batch_size, show_progress_bar, num_threads, wanted)
        column = column_of_strings(array)
        return column.lists(encoder.encode_column(column))

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
        encoder = self._encoder(self._length(max_length), False, batch_size, show_progress_bar)
        if isinstance(sentences, str):
            return encoder.encode_tokens([sentences])[0]
        return encoder.encode_tokens(sentences)

    def tokenize(self, sentences: str | Iterable[str], *, max_length: int | _Unset | None = _UNSET) -> list[list[int]]:
        """Return the token ids of each sentence, without the unknown id.

        Args:
            sentences: a string, which is one sentence, or an iterable of strings.
            max_length: the number of tokens to keep of each sentence. ``None``: all of them. `encode` averages the vectors of the same tokens if it
                gets the same value. Not given: the model's setting. In this case long sentences may have more tokens here than in `encode`, because
                only `encode` first cuts a sentence to a number of characters. model2vec does the same.

        Raises:
            TypeError, ValueError: as for `encode`.
        """
        encoder = self._encoder(self._length(max_length))
        if is_unset(max_length):
            encoder = dataclasses.replace(encoder, max_chars=None)
        batches = encoder.tokenize([sentences] if isinstance(sentences, str) else sentences)
        return [tokens.ids[begin:end].tolist() for tokens in batches for begin, end in tokens.bounds()]

    def similarity(self, a: ArrayLike, b: ArrayLike) -> NDArray[np.float32]:
        """Return the cosine of each vector of `a` with each vector of `b`, as models of sentence-transformers do.

        Args:
            a, b: vectors, shape (vectors, dim), or one vector, shape (dim,). Floating point, or the integers of the precision ``"int8"``, whose
                cosines are near those of the vectors only if the ranges lie around 0.

        Returns:
            float32, shape (vectors of a, vectors of b). A zero vector has the cosine 0 with every vector.

        Raises:
            ValueError: the shapes do not match, or the elements are no numbers.
        """
        return cosines(a, b)

    def _encoder(
        self,
        max_length: int | None,
        normalize: bool | None = None,
        batch_size: int = _BATCH_SIZE,
        show_progress_bar: bool = False,
        num_threads: int | None = None,
        wanted: WantedForm | None = None,
    ) -> Encoder | PlainEncoder:
        """Return the encoder for a call with these arguments: without compiled code while that is not ready.

        Raises:
            ValueError: `batch_size`, `num_threads` or the form of the vectors is out of range.
        """
        # A longer limit might not fit the integers of compiled code, and no text reaches it.
        if max_length is not None and max_length > _MAX_LENGTH:
            max_length = None
        # Read once: another thread may change the tokeniser or the table.
        roads = self._roads
        max_chars = None if max_length is None else min(max_length * roads.tokenizer.spec.median_token_length, sys.maxsize)
        normalize = checked_flag(normalize, "normalize")
        divide = self._config.normalize if normalize is None else normalize
        batch_size = checked_count(batch_size, "batch_size", "an integer of 1 or more")
        if num_threads is not None:
            num_threads = checked_count(num_threads, "num_threads", "None or an integer of 1 or more")
        form = None if wanted is None else wanted.make(roads.table.dim, divide)
        make = roads.compiled or roads.find_compiled() or roads.plain
        return make(max_length, max_chars, divide, batch_size, show_progress_bar, num_threads, form)

    def _usual_encoder(self) -> Encoder | PlainEncoder:
        """Return the encoder with the model's own settings. It is kept, because making it takes a third of the time of a short call."""
        if self._shown is not None:
            self._heed_changes()
        # Read before the settings, the tokeniser and the table. If another thread changes them, it makes another place.
        kept = self._config.kept
        if kept.encoder is not None:
            return kept.encoder  # type: ignore[no-any-return]
        encoder = self._encoder(self._config.max_length)
        if not isinstance(encoder, PlainEncoder):
            kept.encoder = encoder
        return encoder

    @property
    def _tokenizer(self) -> BatchTokenizer:
        """The tokeniser with compiled code. It is made if it does not exist yet."""
        return self._roads.tokenizer.get()

    def _length(self, max_length: int | _Unset | None) -> int | None:
        """Return the `max_length` of a call. Each call starts here: changes of the tokeniser that the model shows are heeded."""
        if self._shown is not None:
            self._heed_changes()
        return self._config.max_length if isinstance(max_length, _Unset) or is_unset(max_length) else checked_max_length(max_length)

    def _heed_changes(self) -> None:
        """Do what the user's changes of the shown tokeniser say. If they are refused, nothing changes, and each later call refuses them too.

        Raises:
            ModelFormatError: a model cannot have this tokeniser, or the embedding matrix has no rows for its ids.
        """
        if self._shown is not None and self._shown.watched:
            self._change("tokenizer")

    def _change(self, source: str, **parts: Any) -> None:
        """Replace parts of the model, which are arguments of `roads_with`, as is `source`. Nothing changes before all parts are checked.

        If the user has added tokens, parts that fit the tokens before, but not those now, wait for the other parts.
        """
        while True:
            roads, shown, waiting = self._roads, self._shown, self._waiting
            changes = shown.changes() if shown is not None and shown.watched else None
            spec = None if changes is None else changes.spec
            if changes is None and not parts:
                return
            new, together = roads, {**waiting, **parts}
            if parts:
                new = roads_with(roads, source, **together)
            if spec is not None:
                try:
                    new = roads_with(roads, source, spec=spec, **together)
                except ModelFormatError as error:
                    if not parts:
                        hint = "set embedding, and weights and token_mapping if the model has them, to arrays for the new tokens"
                        raise ModelFormatError(f"{error}; {hint}") from None
                    with EXCHANGING:
                        if self._roads is roads and self._waiting is waiting:
                            self._waiting = together
                            return
                    continue
            with EXCHANGING:
                # Otherwise another thread has changed the model meanwhile.
                is_new = changes is None or (shown is not None and self._shown is shown and shown.is_new(changes))
                if self._roads is roads and self._waiting is waiting and is_new:
                    if changes is not None and shown is not None:
                        if changes.max_length is not None:
                            (self._config["max_length"],) = changes.max_length
                        shown.accept(changes)
                    if new is not roads:
                        self._use(new)
                    return

    def _checked_roads(self) -> Roads:
        """Return the roads after changes of the tokeniser are heeded. Their tokeniser and their table belong together."""
        self._heed_changes()
        return self._roads

    def _use(self, roads: Roads) -> None:
        # The files are no longer those of the model.
        self._provenance = None
        self._roads = roads
        self._waiting = {}
        # The encoder with the old ones must not be used. See `_usual_encoder`.
        self._config.kept = Kept()

    @property
    def _spec(self) -> TokenizerSpec:
        return self._checked_roads().tokenizer.spec

    @property
    def _table(self) -> EmbeddingTable:
        return self._roads.table

    @property
    def dim(self) -> int:
        """The number of dimensions of a vector."""
        return self._table.dim

    @property
    def normalize(self) -> bool:
        """Whether `encode` divides vectors by their L2 norm by default."""
        return self._config.normalize

    @normalize.setter
    def normalize(self, value: bool) -> None:
        self._config["normalize"] = value

    @property
    def max_length(self) -> int | None:
        """The number of tokens of a text that count in `encode` by default. ``None``: all of them."""
        return self._length(_UNSET)

    @max_length.setter
    def max_length(self, value: int | None) -> None:
        self._config["max_length"] = value
        if self._shown is not None:
            self._shown.truncate(self._config.max_length)

    @property
    def embedding(self) -> NDArray[Any]:
        """The embedding matrix as it is stored, read-only, shape (rows, dim). bfloat16 is given as the uint16 of its bits, int8 without its scale.

        It can be set to a matrix that fits the tokenizer, the weights and the mapping. Calls that run meanwhile use the old one.

        To add tokens, add them to `tokenizer`, and then set this to a matrix with rows for them. If the model has `weights` or a `token_mapping`, set
        them too. The model changes when all of them fit. Until then, each is the old one if it is read, and calls raise a `ModelFormatError`.
        """
        return self._table.matrix

    @embedding.setter
    def embedding(self, value: NDArray[Any]) -> None:
        self._change("embedding", vectors=np.asarray(value))

    @property
    def embedding_dtype(self) -> str:
        """The name of the type that the embedding matrix is stored in: float32, float16, bfloat16, float64 or int8."""
        return self._table.dtype

    @property
    def weights(self) -> NDArray[Any] | None:
        """The factor of each token's row, floating point of shape (tokens,), read-only. It includes the scale of int8 values. ``None``: each is 1.

        It can be set.
        """
        return self._table.all_weights

    @weights.setter
    def weights(self, value: NDArray[Any] | None) -> None:
        self._change("weights", weights=value)

    @property
    def token_mapping(self) -> NDArray[np.int32] | None:
        """The row of each token, int32 of shape (tokens,), read-only. ``None``: token ``i`` has row ``i``. It can be set."""
        return mapping_of(self._table)

    @token_mapping.setter
    def token_mapping(self, value: NDArray[Any] | None) -> None:
        self._change("token_mapping", mapping=value)

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
        """The model's tokeniser as an object of the `tokenizers` library, the same one each time. It is made when it is first needed.

        Its truncation is `max_length`, and it does not pad. The model follows changes of the object from its next call on. It refuses those that it
        cannot follow: then each call raises a `ModelFormatError`. While you hold the object, each call takes 15 µs longer, because the model looks
        for changes, or 0.35 ms if the normaliser has a table of SentencePiece. Afterwards calls take no longer than before. The model does not
        notice another vocabulary that has the size, the settings and some sampled tokens of the old one, nor the change of a part of the object,
        such as its normaliser, after you released the object: set `tokenizer` in these cases.

        It can be set to another tokeniser. The model then uses this object and sets its truncation.
        """
        while self._shown is None:
            roads = self._roads
            shown = ShownTokenizer(roads.tokenizer.spec.read_with_library(), self._config.max_length)
            with EXCHANGING:
                if self._shown is None and self._roads is roads:
                    self._shown = shown
        # If the table does not fit the user's changes, only the tokeniser can undo them.
        with suppress(ModelFormatError):
            self._heed_changes()
        return self._shown.show(self._config.max_length)

    @tokenizer.setter
    def tokenizer(self, value: Tokenizer) -> None:
        spec = spec_of(value, "tokenizer")
        while True:
            roads = self._roads
            new = roads_with(roads, "tokenizer", spec=spec)
            shown = ShownTokenizer(value, self._config.max_length)
            with EXCHANGING:
                # Otherwise another thread has changed the model meanwhile.
                if self._roads is roads:
                    self._shown = shown
                    self._use(new)
                    return

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
        """The model's configuration: the contents of its file, with the current `normalize` and `max_length`. Changes of it are changes of the model.

        A copy is kept if it is set.
        """
        self._heed_changes()
        return self._config

    @config.setter
    def config(self, value: Mapping[str, Any]) -> None:
        settings = {"normalize": self.normalize, "max_length": self.max_length, **_checked_config(value)}
        self._config = Settings(settings, settings["normalize"], settings["max_length"])

    @property
    def base_model_name(self) -> str | list[str] | None:
        """The name of the model that this one was distilled from, or a list of names, as the model card states it. It can be set."""
        if isinstance(self._base_model_name, _Unset):
            self._base_model_name = card_metadata(self._card_source).get("base_model")
        return self._base_model_name

    @base_model_name.setter
    def base_model_name(self, value: str | list[str] | None) -> None:
        self._base_model_name = _checked_names(value, "base_model_name")

    @property
    def language(self) -> str | list[str] | None:
        """The language of the model, or a list of languages, as the model card states it. It can be set."""
        if isinstance(self._language, _Unset):
            self._language = card_metadata(self._card_source).get("language")
        return self._language

    @language.setter
    def language(self, value: str | list[str] | None) -> None:
        self._language = _checked_names(value, "language")

    def __getstate__(self) -> dict[str, Any]:
        # The tokeniser's tables are made again when unpickling: they hold a lock, and are larger than the `tokenizer.json`.
        self._heed_changes()
        with EXCHANGING:
            roads, provenance = self._roads, self._provenance
        spec, table = roads.tokenizer.spec, roads.table
        state = {name: value for name, value in self.__dict__.items() if name != "_roads"}
        # A copy of the model must not share these.
        state |= {"_config": Settings(self._config, self._config.normalize, self._config.max_length), "_shown": None, "_waiting": {}}
        if provenance is not None and provenance.is_unchanged():
            # Every process of this machine can read the files, so a pickle of the model is small.
            state["_provenance"] = dataclasses.replace(provenance, digest=digest_of(spec, table))
            return state
        return state | {"_files": (spec, table)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        files = state.pop("_files", None)
        self.__dict__.update(state)
        if files is None:
            assert self._provenance is not None
            _, spec, table, _, _ = self._provenance.read()
        else:
            spec, table = files
        self._roads = Roads(CompiledTokenizer(spec), table)

    def _by_value(self: Model) -> Model:
        """Return an equal model that is pickled with its contents, for machines that do not have its files."""
        roads = self._checked_roads()
        return self._with_roads(Roads(roads.tokenizer, roads.table))

    def _with_roads(self: Model, roads: Roads) -> Model:
        """Return a model with these roads, which no other model has. The two models share the data that does not change."""
        other = type(self).__new__(type(self))
        config = Settings(self._config, self._config.normalize, self._config.max_length)
        other.__dict__.update(self.__dict__, _provenance=None, _config=config, _shown=None, _waiting={}, _roads=roads)
        return other

    def __repr__(self) -> str:
        # This must not wait for the compiler.
        known = self._roads.compiled is not None or self._roads.is_plain
        backend = f", tokenizer_backend={self.tokenizer_backend!r}" if known else ""
        return (
            f"{type(self).__name__}(dim={self.dim}, tokens={self._spec.size}, dtype={self.embedding_dtype}, normalize={self.normalize}, "
            f"max_length={self.max_length}{backend})"
        )


def _checked_config(config: Mapping[str, Any] | None) -> dict[str, Any]:
    if config is not None and not isinstance(config, Mapping):
        raise TypeError(f"config must be a mapping, not {type(config).__name__}; pass weights as weights=")
    return dict(config or {})


def _checked_names(value: Any, name: str) -> Any:
    names = value if isinstance(value, list) else [value]
    if value is not None and not all(isinstance(each, str) for each in names):
        raise TypeError(f"{name} must be a string, a list of strings or None, not {value!r:.80}")
    return value
