"""The frame around a tokeniser core. It keeps memory for later calls, and calls the `tokenizers` library for texts that the core does not support.

There are two cores. The core in `bert.core` does all of BERT's pipeline in one pass. The core in `pipeline` is composed of a normaliser, a
pre-tokeniser and a model, as a `tokenizer.json` lists them. If neither supports a tokenizer, there is no core, and the library tokenises all texts.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch, token_batch
from model2vec_numba.errors import TokenizationError
from model2vec_numba.tokenization.added_tokens.reading import read_added_tokens
from model2vec_numba.tokenization.bert.core import BertCore
from model2vec_numba.tokenization.bert.tables import make_bert_core
from model2vec_numba.tokenization.chunks.core import ChunkedCore
from model2vec_numba.tokenization.chunks.rules import chunk_rule
from model2vec_numba.tokenization.library import tokenize_with_library
from model2vec_numba.tokenization.pipeline import make_pipeline
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.stages import PackedCore

__all__ = ["BatchTokenizer", "Core", "cut_at_spaces", "make_tokenizer"]

# The minimum and maximum bytes of a section of a long text. Smaller sections are not worth a thread's turn. Larger ones do not fit into the caches.
_MIN_SECTION_BYTES, _MAX_SECTION_BYTES = 1 << 15, 1 << 18


class Core(Protocol):
    """Tokenises texts with compiled code. The ids are those of the `tokenizers` library without the unknown id."""

    name: str
    cuts_at_spaces: bool
    """Whether the sections of a text that is cut at spaces have the same ids as the whole text, if no added token contains a space."""

    def make_scratch(self) -> Any:
        """Return memory for one call of `tokenize`. No two calls may use the same memory at once."""

    def pack(self, max_texts: int) -> PackedCore | None:
        """Return what tokenises at most `max_texts` texts with one call. ``None`` if this core cannot, or this version of numba."""

    def tokenize(self, texts: TextBatch, max_tokens: int | None, scratch: Any) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        """Tokenise each text: unknown ids are dropped, then the ids are cut to the first `max_tokens`.

        Returns:
            The ids, and the status of each text: uint8, shape (texts,). The ids may be in the memory of `scratch` if the texts have at most
            `SHORT_BYTES` bytes. The library must tokenise the texts whose status is not `DONE`; their ids have no meaning. The status is
            ``None`` if all texts are `DONE`.
        """


class BatchTokenizer:
    """Turns batches of texts into batches of token ids: those of the `tokenizers` library without the unknown id.

    Args:
        spec: the `tokenizer.json`.
        core: the core. ``None``: the library tokenises all texts.
        cuts_at_spaces: whether a text may be cut at spaces.
    """

    def __init__(self, spec: TokenizerSpec, core: Core | None, *, cuts_at_spaces: bool) -> None:
        self._spec = spec
        self._core = core
        self._scratches: list[Any] = []
        self.name = "tokenizers" if core is None else core.name
        self.cuts_at_spaces = cuts_at_spaces
        self.size = spec.size

    def take_scratch(self) -> Any:
        """Take memory for a call of `tokenize`. Give it back with `give_back` when its result is no longer used."""
        # Other threads see `pop` and `append` as single steps.
        try:
            return self._scratches.pop()
        except IndexError:
            return None if self._core is None else self._core.make_scratch()

    def give_back(self, scratch: Any) -> None:
        """Keep memory for the next call."""
        self._scratches.append(scratch)

    def pack(self, max_texts: int) -> PackedCore | None:
        """Return what `Core.pack` returns. ``None`` if there is no core."""
        return None if self._core is None else self._core.pack(max_texts)

    def tokenize(self, texts: TextBatch, max_tokens: int | None, scratch: Any) -> TokenBatch:
        """Return the ids of each text: unknown ids are dropped, then the ids are cut to the first `max_tokens` (``None``: not cut).

        The result may refer to the memory of `scratch`, see `take_scratch`.

        Raises:
            TokenizationError: the library refuses a text.
        """
        if self._core is None:
            return token_batch(tokenize_with_library(self._spec, [texts.text(i) for i in range(len(texts))], max_tokens))
        tokens, status = self._core.tokenize(texts, max_tokens, scratch)
        if status is not None:
            positions = status.nonzero()[0]
            try:
                lists = tokenize_with_library(self._spec, [texts.text(int(i)) for i in positions], max_tokens)
            except TokenizationError as error:
                error.position = None if error.position is None else int(positions[error.position])
                raise
            tokens = tokens.replace(positions, lists)
        return tokens

    def fallback_count(self, texts: TextBatch) -> int:
        """Return the number of texts that the library must tokenise."""
        if self._core is None:
            return len(texts)
        _, status = self._core.tokenize(texts, None, self._core.make_scratch())
        return 0 if status is None else int(np.count_nonzero(status))


def cut_at_spaces(texts: TextBatch, sections: int) -> TextBatch:
    """Cut a batch of one long text before spaces, so that several threads can tokenise it.

    Args:
        texts: the batch.
        sections: about how many sections to cut it into. There are fewer if they would be very small, and more if they would be very large.
    """
    begin, end = texts.offsets.tolist()
    size = min(_MAX_SECTION_BYTES, max(_MIN_SECTION_BYTES, (end - begin) // sections))
    cuts = [begin]
    for at in range(begin + size, end - size // 2, size):
        # The last section has at least a quarter of the size.
        space = texts.data[at : at + size // 4].tobytes().find(b" ")
        if space >= 0:
            cuts.append(at + space)
    return TextBatch(texts.data, np.array([*cuts, end], np.int64))


def make_tokenizer(spec: TokenizerSpec) -> BatchTokenizer:
    """Return the fastest tokeniser that gives exactly what the `tokenizers` library gives."""
    spec.use_kernels(True)
    added = read_added_tokens(spec)
    core: Core | None = None
    if spec.keeps_ids and added is not None:
        core = make_bert_core(spec, added) or make_pipeline(spec, added)
        # The core for BERT's pipeline has a cache of chunks of its own.
        rule = None if core is None or isinstance(core, BertCore) else chunk_rule(spec, added)
        if core is not None and rule is not None:
            core = ChunkedCore(core, rule)
    # If no added token holds white space, none lies in two sections. A token may take white space of the next section, but no token is found there.
    cuts_at_spaces = core is not None and core.cuts_at_spaces and added is not None and not added.hold_white_space
    return BatchTokenizer(spec, core, cuts_at_spaces=cuts_at_spaces)
