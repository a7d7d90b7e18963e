"""A parsed `tokenizer.json`: its components, its vocabulary, and the properties that a model needs with every tokeniser core.

"The library" is the Hugging Face `tokenizers` library.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.errors import ModelFormatError, shortened
from model2vec_numba.starting.mode import compile_mode
from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.spec.canonical import CanonicalTokenizer, read_canonically
from model2vec_numba.tokenization.spec.growth import MAX_GROWTH, find_growth
from model2vec_numba.tokenization.spec.growth_trial import check_growth
from model2vec_numba.tokenization.spec.json_text import ParsedText, parse_text
from model2vec_numba.tokenization.spec.vocabulary import are_dense, is_unknown_id, read_merges, read_unigram_vocabulary, read_vocabulary

if TYPE_CHECKING:
    from model2vec_numba.batches import TextBatch
    from model2vec_numba.tokenization.spec.model_arrays import ModelArrays

__all__ = ["TokenizerSpec", "parse_tokenizer"]

# The properties that take much memory.
_LARGE = ("_parsed", "_canonical", "_file_vocabulary", "arrays", "config", "vocabulary", "plain_vocabulary", "mapped_vocabulary", "merges")
# Compiled code reads files with at least this many characters. It is loaded in the time that Python takes to read half of them.
_KERNEL_CHARACTERS = 1 << 20


@dataclass(frozen=True, eq=False)
class TokenizerSpec:
    """A parsed `tokenizer.json`.

    Attributes:
        text: the text of the file.
        source: the name of the file in error messages.
    """

    text: str
    source: str

    @cached_property
    def config(self) -> dict[str, Any]:
        """The JSON object of the file in canonical spelling; see `CanonicalTokenizer`. Its `truncation` and `padding` are ignored.

        If `plain_vocabulary` is ``None``, the object may be in the spelling of the file instead. Large arrays may be
        left out; see `ParsedText.config`.

        Raises:
            ModelFormatError: the text is not JSON, or not a tokenizer.
        """
        if self._canonical is None:
            return self._parsed.config
        config, added_ids = self._canonical
        if added_ids is not None:
            return config
        return {**config, "added_tokens": [{**token, "id": self.vocabulary[token["content"]]} for token in config["added_tokens"]]}

    @cached_property
    def _canonical(self) -> CanonicalTokenizer | None:
        """The tokenizer as the library reads it, apart from BPE's merges. ``None`` if the library may read the model's vocabulary differently."""
        if not self._parsed.read_alike or not self._file_vocabulary:
            return None
        return read_canonically(self._parsed, self._file_vocabulary)

    @cached_property
    def _parsed(self) -> ParsedText:
        """The JSON as the file spells it."""
        return parse_text(self.text, self.source, uses_kernels=len(self.text) >= _KERNEL_CHARACTERS and self._may_use_kernels())

    def _may_use_kernels(self) -> bool:
        """Return whether compiled code may read the file. If nobody has decided it, it may if no one has to wait for the compiler."""
        if "_kernels" in self.__dict__:
            return bool(self.__dict__["_kernels"])
        if compile_mode() == "wait":
            return True
        # Importing numba takes as long as loading a model.
        if "numba" not in sys.modules:
            return False
        from model2vec_numba.tokenization.spec.model_arrays import are_compiled

        return are_compiled(self.text)

    def use_kernels(self, allowed: bool) -> None:
        """Decide whether compiled code may read the file from now on, also if it must be compiled first. If the file was read already, do nothing."""
        self.__dict__["_kernels"] = allowed

    def forget(self) -> None:
        """Free the parsed data, which takes ten times as much memory as the text. The text is parsed again if the data are needed later."""
        # These are small and are needed often, so they are kept.
        _ = self.size, self.required_rows, self.median_token_length, self.unk_token_id
        for name in _LARGE:
            self.__dict__.pop(name, None)

    def __reduce__(self) -> tuple[Any, ...]:
        # The library's tokeniser is not pickled: it would be pickled as the JSON that it writes, which is not always the JSON that it read.
        return parse_tokenizer, (self.text, self.source)

    @cached_property
    def library(self) -> Tokenizer:
        """The tokeniser of the `tokenizers` library for this file, made by `make_library` at the first use."""
        return self.make_library()

    def make_library(self) -> Tokenizer:
        """Return a new tokeniser of the `tokenizers` library for this file, with truncation and padding off.

        Raises:
            ModelFormatError: the library refuses the file.
        """
        tokenizer = self.read_with_library()
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def read_with_library(self) -> Tokenizer:
        """Return a new tokeniser of the `tokenizers` library for this file, as it is.

        Raises:
            ModelFormatError: the library refuses the file.
        """
        try:
            return Tokenizer.from_str(self.text)
        except BaseException as error:
            if is_library_error(error):
                raise ModelFormatError(f"{self.source}: not a tokenizer that the tokenizers library can read: {shortened(error)}") from error
            raise

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """The id that the library gives each token, added tokens included."""
        plain = self.plain_vocabulary
        added_ids = self._canonical.added_ids if self._canonical is not None else None
        # Making the library's tokeniser takes four times as long as parsing the file. So it is made only where it is needed.
        if plain is None or added_ids is None:
            return self.library.get_vocab(with_added_tokens=True)
        return plain | added_ids if added_ids else plain

    @cached_property
    def plain_vocabulary(self) -> dict[str, int] | None:
        """The id of each token of the model. ``None`` if the library may read the model or the added tokens differently than this package."""
        if self._canonical is None or (self._canonical.config["model"]["type"] == "BPE" and self.merges is None):
            return None
        return self._file_vocabulary

    @cached_property
    def _file_vocabulary(self) -> dict[str, int]:
        """The id of each token of the model, as this package reads the file. Empty if the vocabulary has an unknown form."""
        model, arrays = self._parsed.config["model"], self._parsed.arrays
        if arrays is not None:
            return arrays.vocabulary if arrays.ids is not None or is_unknown_id(model.get("unk_id"), len(arrays.texts)) else {}
        return read_unigram_vocabulary(model) if isinstance(model.get("vocab"), list) else self.mapped_vocabulary[0]

    @cached_property
    def mapped_vocabulary(self) -> tuple[dict[str, int], NDArray[np.int32]]:
        """The ids of the model's tokens as a dict and as an array. Both are empty if `vocab` is not an object; see `read_vocabulary`."""
        arrays = self._parsed.arrays
        if arrays is not None and arrays.ids is not None:
            return arrays.vocabulary, arrays.ids
        return read_vocabulary(self._parsed.config["model"])

    def mapped_tokens(self) -> tuple[TextBatch, NDArray[np.int32]] | None:
        """Return the tokens and their ids if the model's `vocab` is an object.

        The result is ``None`` for any other model, if a token cannot be encoded as UTF-8, or if an id is too large for the tables of compiled code.
        """
        ids = self.mapped_vocabulary[1]
        try:
            return (self.mapped_texts(), ids) if are_dense(ids) else None
        except ValueError:
            return None

    def mapped_texts(self) -> TextBatch:
        """Return the tokens of `mapped_vocabulary` in their order there.

        Raises:
            ValueError: a token holds a lone surrogate.
        """
        # This imports numba, which takes as long as loading a model.
        from model2vec_numba.text.strings import flatten

        arrays = self._parsed.arrays
        return flatten(self.mapped_vocabulary[0]) if arrays is None or arrays.ids is None else arrays.texts

    @cached_property
    def merges(self) -> NDArray[np.int64] | None:
        """The merges of BPE, int64 of shape (merges, 3). ``None`` if the library may read them differently; see `read_merges`."""
        arrays = self._parsed.arrays
        if arrays is not None and arrays.merge_parts is not None:
            return arrays.merges()
        return read_merges(self._parsed.config["model"], self.mapped_vocabulary[1])

    @cached_property
    def arrays(self) -> ModelArrays | None:
        """The vocabulary and the merges of the model as compiled code reads them. ``None`` if it cannot read them."""
        return self._parsed.arrays or parse_text(self.text, self.source, uses_kernels=True).arrays

    @property
    def keeps_ids(self) -> bool:
        """Whether the post-processor does not change the ids of a text if no special tokens are added. False if `plain_vocabulary` is ``None``."""
        return self.plain_vocabulary is not None and _keeps_ids(self.config.get("post_processor"))

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """The tokens in the order of their ids."""
        tokens = tuple(sorted(self.vocabulary, key=self.vocabulary.__getitem__))
        self.forget()
        return tokens

    @cached_property
    def size(self) -> int:
        """One more than the largest id."""
        return max(self.vocabulary.values()) + 1

    @cached_property
    def required_rows(self) -> int:
        """The minimum number of rows of an embedding table.

        This is `size`. If the vocabulary is a list, as Unigram's is, it is the number of different tokens. A list may hold a token twice, and only
        the last of equal tokens has an id. Other implementations make a row for each different token, so the largest ids have no row; see `Encoder`.
        """
        listed = self.plain_vocabulary is not None and self.config["model"]["type"] == "Unigram"
        return len(self.vocabulary) if listed else self.size

    @cached_property
    def median_token_length(self) -> int:
        """The median length of the tokens, in code points, rounded down."""
        return int(np.median(np.fromiter(map(len, self.vocabulary), np.int64, len(self.vocabulary))))

    @cached_property
    def unk_token_id(self) -> int | None:
        """The unknown id, which is dropped: `model.unk_id` if the file has one (Unigram), else the id of `model.unk_token`, else ``None``."""
        if self._canonical is not None:
            model = self._canonical.config["model"]
        elif hasattr(self.library.model, "unk_token"):
            # The file may have members that the library ignores, such as an `unk_id` of WordPiece.
            model = {"unk_token": self.library.model.unk_token}
        else:
            model = json.loads(self.library.to_str())["model"]
        unk_id, unk_token = model.get("unk_id"), model.get("unk_token")
        if isinstance(unk_id, int):
            return unk_id
        return self.vocabulary.get(unk_token) if isinstance(unk_token, str) else None


def _keeps_ids(post_processor: Any) -> bool:
    """Return `TokenizerSpec.keeps_ids` for the JSON of a post-processor."""
    if post_processor is None:
        return True
    if not isinstance(post_processor, dict):
        return False
    if post_processor.get("type") == "Sequence":
        processors = post_processor.get("processors")
        return isinstance(processors, list) and all(map(_keeps_ids, processors))
    if post_processor.get("type") == "TemplateProcessing":
        # A template may also repeat the text, or have no text at all.
        template = post_processor.get("single")
        texts = [item for item in template if "SpecialToken" not in item] if isinstance(template, list) else []
        return len(texts) == 1 and texts[0].get("Sequence", {}).get("id") == "A"
    return post_processor.get("type") in ("BertProcessing", "RobertaProcessing", "ByteLevel")


def _library_components(library: Tokenizer) -> dict[str, Any]:
    """Return the components of a tokeniser of the library as in its JSON. Its whole JSON takes time for each number up to the largest id."""
    components = {name: getattr(library, name) for name in ("normalizer", "pre_tokenizer", "post_processor")}
    return {name: None if component is None else json.loads(component.__getstate__()) for name, component in components.items()}


def parse_tokenizer(text: str, source: str, *, uses_kernels: bool | None = None) -> TokenizerSpec:
    """Return the parsed text of a `tokenizer.json`.

    Args:
        text: the text.
        source: the name of the file in error messages.
        uses_kernels: whether compiled code may read large files. ``None``: if no one has to wait for the compiler.

    Raises:
        ModelFormatError: the text is not JSON, not a tokenizer, has no tokens, or would make texts too long.
    """
    spec = TokenizerSpec(text, source)
    if uses_kernels is not None:
        spec.use_kernels(uses_kernels)
    if not spec.vocabulary:
        raise ModelFormatError(f"{source}: the tokenizer has no tokens")
    # If this package cannot read the file, only the library knows what the components are.
    config = spec.config if spec._canonical is not None else _library_components(spec.library)
    growth = find_growth(config)
    if growth.others > MAX_GROWTH:
        raise ModelFormatError(f"{source}: the tokenizer can make a text {growth.others:.1g} times longer, expected at most {MAX_GROWTH} times")
    if growth.replacements * growth.others > MAX_GROWTH:
        check_growth(config, source)
    return spec
