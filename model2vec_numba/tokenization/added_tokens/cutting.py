"""Cut texts at added tokens, as the `tokenizers` library does it, and put the ids of the parts together again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch, read_only
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import BLOCK, copy_bytes, trailing_zeros
from model2vec_numba.tokenization.added_tokens.boundaries import boundary_classes
from model2vec_numba.tokenization.added_tokens.finder import Finder
from model2vec_numba.tokenization.added_tokens.search import (
    LSTRIP,
    RSTRIP,
    SINGLE_WORD,
    SPACE,
    WORD,
    WORK_BYTES,
    find_candidates,
    find_holders,
    longest_token,
)
from model2vec_numba.tokenization.stages import DONE, FALLBACK
from model2vec_numba.tokenization.unicode.classes import FILLED, class_at
from model2vec_numba.tokenization.unicode.filling import nothing_missing

__all__ = ["Cut", "Cutter", "replace_held"]

# This number in place of an id means that the ids of the next span follow.
_SPAN = -1
_ONE = np.uint64(1)
# A batch ends with this many zero bytes, so that compiled code can read whole blocks.
_PADDING = BLOCK
_UNBOUNDED = 1 << 62


@dataclass(slots=True, eq=False)
class Cut:
    """Texts that are cut at added tokens. The parts between the tokens are called spans. A span is a text too.

    Attributes:
        spans: the spans of all texts. No span is empty.
        beginnings: uint8, shape (spans,): 1 if a span is at the beginning of its text, else 0.
        items: int32: the parts of each text in order. A part is the id of an added token, or -1 for the next span.
        offsets: int64, shape (texts + 1,): where the items of each text begin.
        status: uint8, shape (texts,): `FALLBACK` for texts that the library must tokenise. They have no items.
    """

    spans: TextBatch
    beginnings: NDArray[np.uint8]
    items: NDArray[np.int32]
    offsets: NDArray[np.int64]
    status: NDArray[np.uint8]

    def join(self, tokens: TokenBatch, span_status: NDArray[np.uint8], max_tokens: int | None) -> TokenBatch:
        """Return the ids of the texts, cut to the first `max_tokens`. A text with a span that is not `DONE` gets the status `FALLBACK`.

        Args:
            tokens: the ids of the spans.
            span_status: uint8, shape (spans,): the status of each span.
            max_tokens: the number of ids to keep of each text. ``None``: all.
        """
        ids, offsets = np.empty(int(tokens.offsets[-1]) + len(self.items), np.int32), np.empty(len(self.offsets), np.int64)
        limit = _UNBOUNDED if max_tokens is None else max_tokens
        join_spans(tokens.ids, tokens.offsets, span_status, self.items, self.offsets, limit, self.status, ids, offsets)
        return TokenBatch(ids, offsets)


class Cutter:
    """Cuts texts at added tokens.

    Args:
        finder: the tokens.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._classes = boundary_classes() if (finder.flags & (SINGLE_WORD | LSTRIP | RSTRIP)).any() else None

    def holders(self, texts: TextBatch) -> NDArray[np.uint8] | None:
        """Return which texts hold the content of a token: uint8, shape (texts,), 1 if a text holds one, else 0. ``None`` if no text does."""
        holds = np.empty(len(texts), np.uint8)
        return holds if find_holders(texts.data, texts.offsets, *self._finder.tables, holds) else None

    def cut(self, texts: TextBatch, holds: NDArray[np.uint8], status: NDArray[np.uint8], *, keeps_others: bool) -> Cut:
        """Return texts, cut at the added tokens.

        Args:
            texts: the texts.
            holds: uint8, shape (texts,): not 0 for the texts to cut.
            status: uint8, shape (texts,): the status of the texts.
            keeps_others: whether each other text becomes a span, unless it is empty. If not, the other texts have no items.
        """
        size = int(texts.offsets[-1] - texts.offsets[0])
        spans = np.empty(size + _PADDING + 8, np.uint8)
        max_items = size // 4 + len(texts) + 4 * BLOCK
        while True:
            items, offsets = np.empty(max_items, np.int32), np.empty(len(texts) + 1, np.int64)
            span_offsets, beginnings = np.empty(max_items + 1, np.int64), np.empty(max_items, np.uint8)
            outputs = spans, span_offsets, beginnings, items, offsets
            count = self._fill(texts, holds, keeps_others, found := status.copy(), outputs)
            if count >= 0:
                batch = TextBatch(read_only(spans), span_offsets[: count + 1])
                return Cut(batch, beginnings[:count], items[: offsets[-1]], offsets, found)
            max_items *= 4

    def _fill(
        self,
        texts: TextBatch,
        holds: NDArray[np.uint8],
        keeps_others: bool,
        status: NDArray[np.uint8],
        outputs: tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int32], NDArray[np.int64]],
    ) -> int:
        """Call `cut_texts`, and return its result."""
        finder = self._finder
        tables = *finder.tables, finder.tokens, finder.ids, finder.flags
        if self._classes is None:
            return cut_texts(texts.data, texts.offsets, *tables, _NO_CLASSES, nothing_missing(), holds, keeps_others, status, *outputs)
        count = 0
        before = status.copy()
        for missing in self._classes.filler.rounds():
            status[:] = before
            count = cut_texts(texts.data, texts.offsets, *tables, self._classes.classes, missing, holds, keeps_others, status, *outputs)
        return count


# For tokens that do not look at the characters next to them.
_NO_CLASSES = np.zeros(0, np.uint8)


@compiled()
def cut_texts(
    data: NDArray[np.uint8],
    text_offsets: NDArray[np.int64],
    first_bytes: NDArray[np.uint8],
    grams: NDArray[np.uint8],
    lengths: NDArray[np.uint8],
    longer: NDArray[np.uint8],
    prefixes: NDArray[np.uint8],
    units: NDArray[np.uint64],
    tokens: NDArray[np.int32],
    ids: NDArray[np.int32],
    flags: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    missing: NDArray[np.int32],
    holds: NDArray[np.uint8],
    keeps_others: bool,
    status: NDArray[np.uint8],
    spans: NDArray[np.uint8],
    span_offsets: NDArray[np.int64],
    beginnings: NDArray[np.uint8],
    items: NDArray[np.int32],
    offsets: NDArray[np.int64],
) -> int:
    """Cut texts at added tokens.

    Args:
        data, text_offsets: the batch; see `TextBatch`.
        first_bytes, grams, lengths, longer, prefixes, units, tokens, ids, flags: see `Finder`.
        classes: the classes of `boundary_classes`. It may be empty if no token has flags.
        missing: int32, output: which of `classes` are needed and not filled; see `nothing_missing`.
        holds, keeps_others: see `Cutter.cut`.
        status: uint8, shape (texts,), input and output. `FALLBACK` is written for texts for which the library fails.
        spans: uint8, output: the bytes of the spans and then `_PADDING` zeros. It must have room for all texts, these zeros and eight more bytes.
        span_offsets: int64, one longer than `beginnings`, output: where the spans begin.
        beginnings, items: output: see `Cut`. They are equally long.
        offsets: int64, shape (texts + 1,), output: where the items of each text begin.

    Returns:
        The number of spans, or -1 if `items` is too short.
    """
    work = np.zeros(WORK_BYTES, np.uint8)
    at, count, item = np.int64(0), np.int64(0), np.int64(0)
    span_offsets[0] = 0
    for text in range(len(holds)):
        offsets[text] = item
        begin, end = text_offsets[text], text_offsets[text + 1]
        if item + 1 >= len(items):
            return -1
        if status[text] != DONE or (not holds[text] and not keeps_others) or begin == end:
            continue
        first_at, first_count = at, count
        done = begin  # the text before this position is in the items
        resume = begin  # the next token begins there or later
        spaces_end = begin  # the end of the white space that the last token took
        i = begin if holds[text] else end
        while i < end and status[text] == DONE:
            # Each byte of a block may be a token with a span before it. One more span may follow.
            if item + 2 * BLOCK + 1 > len(items):
                return -1
            candidates = find_candidates(data, i, end, first_bytes, grams, lengths, longer, prefixes, work)
            while candidates != 0:
                start = i + trailing_zeros(candidates)
                candidates &= candidates - _ONE
                if start < resume:
                    continue
                token, stop = longest_token(units, tokens, data, start, end)
                if token < 0:
                    continue
                # A token that fails the next test uses up its bytes too: no other token is looked for in them.
                resume = stop
                if flags[token] & SINGLE_WORD and (
                    (start > begin and _class_before(data, start, classes, missing)[0] == WORD)
                    or (stop < end and class_at(data, stop, classes, missing)[0] == FILLED | WORD)
                ):
                    continue
                if flags[token] & LSTRIP:
                    while start > done:
                        kind, size = _class_before(data, start, classes, missing)
                        if kind != SPACE:
                            break
                        start -= size
                    start = max(start, done)
                if flags[token] & RSTRIP:
                    stop = max(stop, spaces_end)
                    while stop < end:
                        kind, size = class_at(data, stop, classes, missing)
                        if kind != FILLED | SPACE:
                            break
                        stop += size
                    spaces_end = stop
                if start > stop:
                    # The token before has taken white space beyond the end of this one. The library panics.
                    status[text] = FALLBACK
                    break
                if done < start:
                    at = copy_bytes(data, done, start, spans, at)
                    beginnings[count] = done == begin
                    count += 1
                    span_offsets[count] = at
                    items[item] = _SPAN
                    item += 1
                # The library drops a token if another one has taken all of it.
                if start < stop and ids[token] >= 0:
                    items[item] = ids[token]
                    item += 1
                # This may be before `spaces_end`, if the token is in white space that an earlier token took. Then more tokens may be in it.
                done = stop
            i += BLOCK
        if status[text] != DONE:
            at, count, item = first_at, first_count, offsets[text]
        elif done < end:
            at = copy_bytes(data, done, end, spans, at)
            beginnings[count] = done == begin
            count += 1
            span_offsets[count] = at
            items[item] = _SPAN
            item += 1
    offsets[len(holds)] = item
    for k in range(_PADDING):
        spans[at + k] = 0
    return count


@inner
def _class_before(data: NDArray[np.uint8], i: int, classes: NDArray[np.uint8], missing: NDArray[np.int32]) -> tuple[int, int]:
    """Return the class of the character that ends at `i`, and its number of bytes. `missing`: see `class_at`."""
    i -= 1
    while data[i] & 0xC0 == 0x80:
        i -= 1
    kind, size = class_at(data, i, classes, missing)
    return kind & ~FILLED, size


@compiled()
def join_spans(
    span_ids: NDArray[np.int32],
    span_offsets: NDArray[np.int64],
    span_status: NDArray[np.uint8],
    items: NDArray[np.int32],
    item_offsets: NDArray[np.int64],
    max_tokens: int,
    status: NDArray[np.uint8],
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
) -> None:
    """Write the ids of texts.

    Args:
        span_ids, span_offsets, span_status: the ids of the spans, and the status of each.
        items, item_offsets: see `Cut`.
        max_tokens: the number of ids to keep of each text.
        status: uint8, shape (texts,), input and output. `FALLBACK` is written for texts with a span that is not `DONE`. They have no ids.
        ids, offsets: output: the ids of the texts, and where those of each text begin. `ids` needs room for all of `span_ids` and `items`.
    """
    at, span = np.int64(0), np.int64(0)
    for text in range(len(status)):
        offsets[text] = at
        stop = at + max_tokens
        for item in range(item_offsets[text], item_offsets[text + 1]):
            if items[item] == _SPAN:
                if span_status[span] != DONE:
                    status[text] = FALLBACK
                for k in range(span_offsets[span], min(span_offsets[span + 1], span_offsets[span] + stop - at)):
                    ids[at] = span_ids[k]
                    at += 1
                span += 1
            elif at < stop:
                ids[at] = items[item]
                at += 1
        if status[text] != DONE:
            at = offsets[text]
    offsets[len(status)] = at


@compiled()
def replace_held(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    held_ids: NDArray[np.int32],
    held_offsets: NDArray[np.int64],
    holds: NDArray[np.uint8],
    new_ids: NDArray[np.int32],
    new_offsets: NDArray[np.int64],
) -> None:
    """Write the ids of texts to `new_ids` and `new_offsets`.

    The ids of a text are taken from `held_ids` if its element of `holds` is not 0, else from `ids`. The batches have an offset for each text.
    """
    at = np.int64(0)
    for text in range(len(holds)):
        new_offsets[text] = at
        source, begin, end = ids, offsets[text], offsets[text + 1]
        if holds[text]:
            source, begin, end = held_ids, held_offsets[text], held_offsets[text + 1]
        for k in range(begin, end):
            new_ids[at] = source[k]
            at += 1
    new_offsets[len(holds)] = at
