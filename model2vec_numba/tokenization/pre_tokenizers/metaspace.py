"""Metaspace: puts a visible character in the place of spaces and before pieces, and cuts before it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.tokenization.byte_level import spelled_out
from model2vec_numba.tokenization.character_sets import member_at, skips_graphic
from model2vec_numba.tokenization.code_points import are_in
from model2vec_numba.tokenization.library_parts import has_form
from model2vec_numba.tokenization.pre_tokenizers.whitespace_split import white_space
from model2vec_numba.tokenization.stages import DONE, PieceBatch, PreTokenizer
from model2vec_numba.words import graphic_length, load_word, store_word

__all__ = ["Metaspace", "WordsInMetaspace", "asks_for_beginning", "make_metaspace", "make_words_in_metaspace"]

_SCHEMES = ("always", "first", "never")
_FORM = {"replacement": str, "prepend_scheme": str, "split": bool}


def _has_form(part: Any) -> bool:
    return has_form(part, _FORM) and part["type"] == "Metaspace" and len(part["replacement"]) == 1 and part["prepend_scheme"] in _SCHEMES


def make_metaspace(part: dict[str, Any]) -> PreTokenizer | None:
    """The pre-tokeniser for a ``Metaspace``."""
    if not _has_form(part):
        return None
    # It comes first, or does not ask whether a piece does: the pieces are whole texts, or it is all the same.
    return Metaspace(part["replacement"], prepends=part["prepend_scheme"] != "never", splits=part["split"])


def make_words_in_metaspace(parts: list[Any]) -> PreTokenizer | None:
    """The pre-tokeniser for the sequence of ``WhitespaceSplit`` and ``Metaspace``, in one; ``None`` for other parts."""
    if len(parts) != 2 or not has_form(parts[0], {}) or parts[0]["type"] != "WhitespaceSplit" or not _has_form(parts[1]):
        return None
    return WordsInMetaspace(parts[1]["replacement"], prepends=parts[1]["prepend_scheme"] != "never", splits=parts[1]["split"])


def asks_for_beginning(part: Any) -> bool:
    """Whether the part is a ``Metaspace``, or a sequence with one, that treats a piece otherwise if it stands at its text's beginning."""
    if not isinstance(part, dict):
        return False
    if part.get("type") == "Sequence" and isinstance(part.get("pretokenizers"), list):
        return any(map(asks_for_beginning, part["pretokenizers"]))
    return part.get("type") == "Metaspace" and part.get("prepend_scheme") == "first"


class Metaspace:
    """Puts `replacement` in the place of each space, and before each piece that does not begin with it; cuts before each."""

    def __init__(self, replacement: str, *, prepends: bool, splits: bool) -> None:
        self._replacement = np.frombuffer(replacement.encode("utf-8"), np.uint8)
        self._prepends = prepends
        self._splits = splits

    def split(self, pieces: PieceBatch, status: NDArray[np.uint8]) -> PieceBatch:
        """See `PreTokenizer.split`."""
        pieces = spelled_out(pieces)
        # At worst every byte is a space.
        spaces = count_byte(pieces.data, pieces.begins, pieces.ends, 0x20)
        width = len(self._replacement)
        out = np.empty(pieces.size + width * (spaces + len(pieces.begins)), np.uint8)
        most = len(out) + len(pieces.begins) if self._splits else len(pieces.begins)
        begins, ends, offsets = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(len(pieces.offsets), np.int64)
        count = replace_spaces(
            pieces.data,
            pieces.begins,
            pieces.ends,
            pieces.offsets,
            self._replacement,
            self._prepends,
            self._splits,
            status,
            out,
            begins,
            ends,
            offsets,
        )
        return PieceBatch(out, begins[:count], ends[:count], offsets)


class WordsInMetaspace:
    """`WhitespaceSplit`, then `Metaspace`, in one pass."""

    def __init__(self, replacement: str, *, prepends: bool, splits: bool) -> None:
        self._replacement = np.frombuffer(replacement.encode("utf-8"), np.uint8)
        self._prepends = prepends
        self._splits = splits
        self._spaces = white_space()

    def split(self, pieces: PieceBatch, status: NDArray[np.uint8]) -> PieceBatch:
        """See `PreTokenizer.split`."""
        pieces = spelled_out(pieces)
        # A word is at least one byte, and between two is one more; and what is copied overshoots by up to seven bytes. There are no more pieces
        # than that if each after a word's first begins with two bytes or more. Less room counts: of arrays of four megabytes NumPy has the system
        # clear huge pages, and for 700 kB of Japanese that took up to an eighth of the time.
        words = (pieces.size + len(pieces.begins) + 1) // 2
        out = np.empty(pieces.size + words * len(self._replacement) + 8, np.uint8)
        most = pieces.size + 1 if self._splits and len(self._replacement) == 1 else words
        begins, ends, offsets = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(len(pieces.offsets), np.int64)
        source = (
            pieces.data,
            pieces.begins,
            pieces.ends,
            pieces.offsets,
            self._replacement,
            self._prepends,
            self._splits,
            self._spaces.members,
            self._spaces.outside,
        )
        count = self._spaces.pages.complete(lambda missing: words_with_prefix(*source, missing, status, out, begins, ends, offsets))
        return PieceBatch(out, begins[:count], ends[:count], offsets)


@inner
def _is_at(data: NDArray[np.uint8], i: int, end: int, replacement: NDArray[np.uint8]) -> bool:
    if data[i] != replacement[0] or i + len(replacement) > end:
        return False
    for k in range(1, len(replacement)):
        if data[i + k] != replacement[k]:
            return False
    return True


@compiled()
def count_byte(data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64], byte: int) -> int:
    """How often a byte stands in pieces."""
    count = 0
    for piece in range(len(begins)):
        for i in range(begins[piece], ends[piece]):
            count += data[i] == byte
    return count


@compiled()
def replace_spaces(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    replacement: NDArray[np.uint8],
    prepends: bool,
    splits: bool,
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_begins: NDArray[np.int64],
    out_ends: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
) -> int:
    """`Metaspace` on pieces; returns the number of pieces. Texts that are not `DONE` get none.

    See `PieceBatch` for the batch that comes in and for that which goes out; `out` is the latter's data.
    """
    width = len(replacement)
    at = 0
    count = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = count
        if status[text] != DONE:
            continue
        for piece in range(offsets[text], offsets[text + 1]):
            i, end = begins[piece], ends[piece]
            if i == end:
                continue
            begin = at
            if prepends and data[i] != 0x20 and not _is_at(data, i, end, replacement):
                for k in range(width):
                    out[at + k] = replacement[k]
                at += width
            while i < end:
                space = data[i] == 0x20
                if space or _is_at(data, i, end, replacement):
                    if splits and at > begin:
                        out_begins[count], out_ends[count] = begin, at
                        count += 1
                        begin = at
                    for k in range(width):
                        out[at + k] = replacement[k]
                    at += width
                    i += 1 if space else width
                else:
                    out[at] = data[i]
                    at += 1
                    i += 1
            out_begins[count], out_ends[count] = begin, at
            count += 1
    out_offsets[len(offsets) - 1] = count
    return count


@compiled()
def words_with_prefix(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    replacement: NDArray[np.uint8],
    prepends: bool,
    splits: bool,
    members: NDArray[np.uint8],
    outside: NDArray[np.uint64],
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_begins: NDArray[np.int64],
    out_ends: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
) -> int:
    """Cut pieces at the members of a set, see `CharacterSet`, then `replace_spaces`; the arguments are its, and those of `split_at_members`.

    The members have the space among them, so there is none left to replace.
    """
    width = len(replacement)
    lead = replacement[0]
    # Whether ASCII from ! on, neither members nor of the replacement, can be passed over.
    skips = lead >= 0x80 and skips_graphic(members)
    at = 0
    count = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = count
        if status[text] != DONE:
            continue
        for piece in range(offsets[text], offsets[text + 1]):
            i, end = begins[piece], ends[piece]
            while i < end:
                member, size = member_at(data, i, members, missing)
                if member:
                    i += size
                    continue
                # A word.
                first = i
                inner = False
                while i < end:
                    byte = data[i]
                    if skips and 0x20 < byte < 0x80 and i + 8 <= end:
                        i += graphic_length(load_word(data, i))
                    elif byte < 0x80:
                        if members[byte] == 2:
                            break
                        inner |= byte == lead
                        i += 1
                    else:
                        if i + 8 <= end:
                            word = load_word(data, i)
                            if are_in(outside, word):
                                inner |= byte == lead or np.uint8(word >> np.uint64(24)) == lead
                                i += 6
                                continue
                        member, size = member_at(data, i, members, missing)
                        if member:
                            break
                        inner |= byte == lead
                        i += size
                begin = at
                inner = inner and splits
                if prepends and not _is_at(data, first, i, replacement):
                    for k in range(width):
                        out[at + k] = replacement[k]
                    at += width
                if not inner:
                    length = i - first
                    if i + 8 <= len(data):
                        for k in range(0, length, 8):
                            store_word(out, at + k, load_word(data, first + k))
                    else:
                        for k in range(length):
                            out[at + k] = data[first + k]
                    at += length
                else:
                    for j in range(first, i):
                        if at > begin and _is_at(data, j, i, replacement):
                            out_begins[count], out_ends[count] = begin, at
                            count += 1
                            begin = at
                        out[at] = data[j]
                        at += 1
                out_begins[count], out_ends[count] = begin, at
                count += 1
    out_offsets[len(offsets) - 1] = count
    return count
