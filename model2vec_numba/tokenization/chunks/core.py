"""A tokeniser core with a cache of chunks in front.

Words come again and again, with the same punctuation. So most chunks of a text, the bytes between white space, are in a cache as they are, before any
normalisation. A look-up takes 10 ns. Only the chunks that are not in the cache go to the core, each once, as a batch of short texts.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch, read_only
from model2vec_numba.jit.pointers import address_of, pack
from model2vec_numba.jit.simd import BLOCK
from model2vec_numba.tokenization.chunks.cache import ChunkCache
from model2vec_numba.tokenization.chunks.kernel import (
    LONG_CHUNKS,
    MAX_GAPS,
    NO_GAPS,
    SLOTS,
    State,
    fill_gaps,
    gather_chunks,
    insert_chunks,
    look_up_chunks,
    look_up_packed,
)
from model2vec_numba.tokenization.chunks.rows import MAX_IDS
from model2vec_numba.tokenization.chunks.rules import ChunkRule
from model2vec_numba.tokenization.chunks.windows import make_window
from model2vec_numba.tokenization.stages import DONE, SHORT_BYTES, PackedCore
from model2vec_numba.tokenization.subsets import replace_texts, select_texts

__all__ = ["ChunkedCore"]

_UNBOUNDED = 1 << 62


class _WrappedCore(Protocol):
    """The core that finds the ids of chunks; see `Core`."""

    name: str
    cuts_at_spaces: bool

    def make_scratch(self) -> Any: ...

    def tokenize(self, texts: TextBatch, max_tokens: int | None, scratch: Any) -> tuple[TokenBatch, NDArray[np.uint8] | None]: ...


class _Scratch:
    """Memory that one call works in. It is kept for the next call.

    Attributes:
        state, gaps, missing, slots: see `look_up_chunks`.
        window: see `make_window`.
        tokens: the ids of a short text.
        core: the memory of the core. ``None``: it was not needed yet.
    """

    __slots__ = ("core", "gaps", "missing", "slots", "state", "tokens", "window")

    def __init__(self) -> None:
        self.state = np.zeros(State.SIZE, np.int64)
        self.gaps, self.missing = np.empty((MAX_GAPS, 3), np.int64), np.empty((MAX_GAPS, 3), np.int64)
        self.slots, self.window = np.zeros(SLOTS, np.int32), make_window()
        self.tokens = TokenBatch(np.empty(SHORT_BYTES + MAX_IDS, np.int32), np.zeros(2, np.int64))
        self.core: Any = None


class ChunkedCore:
    """A tokeniser core that looks up chunks first.

    Args:
        core: the core that finds the ids of chunks.
        rule: how texts are cut into chunks.
    """

    def __init__(self, core: _WrappedCore, rule: ChunkRule) -> None:
        self.name = core.name
        self.cuts_at_spaces = core.cuts_at_spaces
        self._core = core
        self._cache = ChunkCache()
        self._edges = rule.edges
        self._drops_space = rule.drops_space
        self._settings = rule.trims, rule.after_newline, rule.drops_space, rule.edges is not None

    def make_scratch(self) -> _Scratch:
        """Return the memory of one call, as `Core.make_scratch` describes."""
        return _Scratch()

    def pack(self, max_texts: int) -> PackedCore | None:
        """Return what tokenises a few texts with one call, as `Core.pack` describes."""
        scratch = self.make_scratch()
        data, offsets, ids = read_only(np.zeros(BLOCK, np.uint8)), np.zeros(2, np.int64), scratch.tokens.ids
        memory = scratch.state, scratch.gaps, scratch.missing, scratch.slots, scratch.window
        arguments = (data, offsets, *self._settings, _UNBOUNDED, self._cache.rows, False, *memory, offsets, ids)
        kernel = address_of(look_up_chunks, arguments)
        packed = pack([kernel or 0, *map(int, self._settings)], memory)
        address = address_of(look_up_packed, (packed, _UNBOUNDED, self._cache.rows, data, offsets, offsets, ids))
        return None if kernel is None or address is None else PackedCore(address, packed, self._cache, memory)

    def tokenize(self, texts: TextBatch, max_tokens: int | None, scratch: _Scratch) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        """Tokenise each text, as `Core.tokenize` describes."""
        tokens = scratch.tokens
        if len(texts) != 1 or len(texts.data) > SHORT_BYTES:
            size = int(texts.offsets[-1] - texts.offsets[0])
            tokens = TokenBatch(np.empty(size + MAX_IDS + 1, np.int32), np.empty(len(texts) + 1, np.int64))
        limit = _UNBOUNDED if max_tokens is None else max_tokens
        gaps = self._look_up(texts, tokens, limit, scratch, goes_on=False)
        if gaps == NO_GAPS:
            return tokens, None
        if scratch.core is None:
            scratch.core = self._core.make_scratch()
        if gaps == LONG_CHUNKS:
            return self._core.tokenize(texts, max_tokens, scratch.core)
        # The texts that have to be tokenised whole.
        whole = np.zeros(len(texts), np.uint8)
        while gaps != NO_GAPS:
            tokens = self._fill(texts, tokens, gaps, limit, whole, scratch)
            if scratch.state[State.TEXT] == len(texts):
                break
            gaps = self._look_up(texts, tokens, limit, scratch, goes_on=True)
        return self._tokenize_whole(texts, tokens, whole, max_tokens, scratch) if np.count_nonzero(whole) else (tokens, None)

    def _look_up(self, texts: TextBatch, tokens: TokenBatch, limit: int, scratch: _Scratch, *, goes_on: bool) -> int:
        """Copy the ids of chunks to `tokens`, and return the number of gaps, as `look_up_chunks` describes."""
        memory = scratch.gaps, scratch.missing, scratch.slots, scratch.window
        arguments = *self._settings, limit, self._cache.rows, goes_on, scratch.state
        return look_up_chunks(texts.data, texts.offsets, *arguments, *memory, tokens.offsets, tokens.ids)

    def _fill(self, texts: TextBatch, tokens: TokenBatch, gaps: int, limit: int, whole: NDArray[np.uint8], scratch: _Scratch) -> TokenBatch:
        """Find the ids of the missing chunks, insert them into `tokens` and into the cache, and return `tokens`, or a larger copy.

        1 is written to `whole` for the texts that hold a chunk whose ids depend on the text around it, or that the core does not support.
        """
        state = scratch.state
        count, size = int(state[State.MISSING]), int(state[State.MISSING_BYTES])
        ids = tokens.ids
        if count:
            data, offsets, kept = np.empty(size + BLOCK, np.uint8), np.empty(count + 1, np.int64), np.empty(count, np.uint8)
            gather_chunks(texts.data, scratch.missing, scratch.slots, data, offsets, kept)
            chunks = TextBatch(read_only(data), offsets)
            found, status = self._core.tokenize(chunks, None, scratch.core)
            refused = np.zeros(count, np.uint8) if status is None else status
            if self._edges is not None:
                refused |= self._edges.unsafe(chunks)
            if self._drops_space:
                # Only a text that begins with a space has such a chunk.
                refused |= data[offsets[:-1]] == ord(" ")
            if np.count_nonzero(refused):
                kept[refused != 0] = 0
                filled = scratch.gaps[:gaps]
                whole[filled[refused[filled[:, 1]] != 0, 2]] = 1
            insert_chunks(chunks.data, chunks.offsets, kept, found.ids, found.offsets, self._cache.rows)
            self._cache.grow()
            arguments = scratch.gaps, gaps, found.offsets, found.ids, limit, state, tokens.offsets
            needed = fill_gaps(*arguments, ids)
            if needed > len(ids):
                ids = _larger(ids, needed)
                fill_gaps(*arguments, ids)
        if state[State.TEXT] < len(texts) and state[State.AT] + MAX_IDS >= len(ids):
            ids = _larger(ids, len(ids))
        return TokenBatch(ids, tokens.offsets)

    def _tokenize_whole(
        self, texts: TextBatch, tokens: TokenBatch, whole: NDArray[np.uint8], max_tokens: int | None, scratch: _Scratch
    ) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        """Tokenise the texts that `whole` marks with the core, and return what `tokenize` returns. `tokens` has the ids of the other texts."""
        positions = whole.nonzero()[0]
        found, found_status = self._core.tokenize(select_texts(texts, positions), max_tokens, scratch.core)
        tokens = replace_texts(tokens, positions, found)
        if found_status is None:
            return tokens, None
        status = np.full(len(texts), DONE, np.uint8)
        status[positions] = found_status
        return tokens, status


def _larger(ids: NDArray[np.int32], needed: int) -> NDArray[np.int32]:
    """Return a copy of `ids` with more than twice as many elements as needed."""
    larger = np.empty(2 * needed + 2 * MAX_IDS, np.int32)
    larger[: len(ids)] = ids
    return larger
