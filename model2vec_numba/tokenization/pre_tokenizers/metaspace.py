"""Metaspace: it replaces spaces by a visible character, puts this character before pre-tokens, and cuts before each one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import graphic_length, length_before, load_padded_word, load_word, store_word
from model2vec_numba.tokenization.byte_alphabet import spelled_out
from model2vec_numba.tokenization.components import has_form
from model2vec_numba.tokenization.pre_tokenizers.whitespace_split import white_space
from model2vec_numba.tokenization.stages import DONE, PreTokenBatch, PreTokenizer
from model2vec_numba.tokenization.unicode.classes import MEMBER, has_no_graphic, member_at
from model2vec_numba.tokenization.unicode.utf8 import are_in

__all__ = ["Metaspace", "WordsInMetaspace", "asks_for_beginning", "make_metaspace", "make_words_in_metaspace"]

_SCHEMES = ("always", "first", "never")
_FORM = {"replacement": str, "prepend_scheme": str, "split": bool}


def _has_form(config: Any) -> bool:
    """Return whether the JSON is a ``Metaspace`` of a known form."""
    return has_form(config, _FORM) and config["type"] == "Metaspace" and len(config["replacement"]) == 1 and config["prepend_scheme"] in _SCHEMES


def make_metaspace(config: dict[str, Any]) -> PreTokenizer | None:
    """Return the pre-tokeniser for a ``Metaspace``, or ``None`` if its JSON has an unknown form."""
    if not _has_form(config):
        return None
    return Metaspace(config["replacement"], config["prepend_scheme"], splits=config["split"])


def make_words_in_metaspace(members: list[Any]) -> PreTokenizer | None:
    """Return one pre-tokeniser for a sequence of ``WhitespaceSplit`` and ``Metaspace``, or ``None`` for other members."""
    if len(members) != 2 or not has_form(members[0], {}) or members[0]["type"] != "WhitespaceSplit" or not _has_form(members[1]):
        return None
    return WordsInMetaspace(members[1]["replacement"], prepends=members[1]["prepend_scheme"] != "never", splits=members[1]["split"])


def asks_for_beginning(config: Any) -> bool:
    """Return whether a pre-tokeniser is, or contains, a ``Metaspace`` that treats pre-tokens at the beginning of a text differently."""
    if not isinstance(config, dict):
        return False
    if config.get("type") == "Sequence" and isinstance(config.get("pretokenizers"), list):
        return any(map(asks_for_beginning, config["pretokenizers"]))
    return config.get("type") == "Metaspace" and config.get("prepend_scheme") == "first"


class Metaspace:
    """Replaces each space by a character, and cuts before each such character.

    Args:
        replacement: the character.
        scheme: the pre-tokens before which to put the character, unless they begin with it or with a space. ``"always"``: all pre-tokens.
            ``"never"``: none. ``"first"``: those at the beginning of a text. `make_sequence` accepts ``"first"`` only in the first member, where
            pre-tokens are whole texts.
        splits: whether to cut.
    """

    def __init__(self, replacement: str, scheme: str, *, splits: bool) -> None:
        self._replacement = np.frombuffer(replacement.encode("utf-8"), np.uint8)
        self._scheme = scheme
        self._splits = splits

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens, as `PreTokenizer.split` describes."""
        prepends = np.full(len(pre_tokens.offsets) - 1, self._scheme != "never", np.uint8)
        if self._scheme == "first" and pre_tokens.beginnings is not None:
            prepends = pre_tokens.beginnings
        pre_tokens = spelled_out(pre_tokens)
        used = pre_tokens.data[pre_tokens.begins[0] : pre_tokens.ends[-1]] if len(pre_tokens.begins) else pre_tokens.data[:0]
        spaces = int(np.count_nonzero(used == 0x20))
        width = len(self._replacement)
        # Eight bytes are written at a time, so some may be written after the last pre-token.
        out = np.empty(pre_tokens.size + width * (spaces + len(pre_tokens.begins)) + 8, np.uint8)
        max_count = len(pre_tokens.begins)
        if self._splits:
            max_count += spaces + int(np.count_nonzero(used == self._replacement[0]))
        begins, ends, offsets = np.empty(max_count, np.int64), np.empty(max_count, np.int64), np.empty(len(pre_tokens.offsets), np.int64)
        count = replace_spaces(
            pre_tokens.data,
            pre_tokens.begins,
            pre_tokens.ends,
            pre_tokens.offsets,
            self._replacement,
            prepends,
            self._splits,
            status,
            out,
            begins,
            ends,
            offsets,
        )
        return PreTokenBatch(out, begins[:count], ends[:count], offsets)


class WordsInMetaspace:
    """Applies `WhitespaceSplit` and then `Metaspace` in one pass.

    Args:
        replacement, splits: see `Metaspace`.
        prepends: whether to put the replacement before each word that does not begin with it.
    """

    def __init__(self, replacement: str, *, prepends: bool, splits: bool) -> None:
        self._replacement = np.frombuffer(replacement.encode("utf-8"), np.uint8)
        self._prepends = prepends
        self._splits = splits
        self._spaces = white_space()

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens, as `PreTokenizer.split` describes."""
        pre_tokens = spelled_out(pre_tokens)
        # A word has at least one byte, and there is at least one byte between two words. If the replacement has two bytes or more, a cut inside a
        # word needs two bytes too, so there are at most `words` pre-tokens.
        words = (pre_tokens.size + len(pre_tokens.begins) + 1) // 2
        # Arrays are kept small: from four megabytes on, NumPy makes the system clear huge pages. This took up to an eighth of the time for 700 kB of
        # Japanese. Copying may write up to seven bytes after the end.
        out = np.empty(pre_tokens.size + words * len(self._replacement) + 8, np.uint8)
        max_count = pre_tokens.size + 1 if self._splits and len(self._replacement) == 1 else words
        begins, ends, offsets = np.empty(max_count, np.int64), np.empty(max_count, np.int64), np.empty(len(pre_tokens.offsets), np.int64)
        source = (
            pre_tokens.data,
            pre_tokens.begins,
            pre_tokens.ends,
            pre_tokens.offsets,
            self._replacement,
            self._prepends,
            self._splits,
            self._spaces.classes,
            self._spaces.zeros,
        )
        count = 0
        for missing in self._spaces.filler.rounds():
            count = words_with_prefix(*source, missing, status, out, begins, ends, offsets)
        return PreTokenBatch(out, begins[:count], ends[:count], offsets)


@inner
def _is_at(data: NDArray[np.uint8], i: int, end: int, replacement: NDArray[np.uint8]) -> bool:
    """Return whether the bytes of `replacement` are at `i` in ``data[:end]``."""
    if data[i] != replacement[0] or i + len(replacement) > end:
        return False
    for k in range(1, len(replacement)):
        if data[i + k] != replacement[k]:
            return False
    return True


@compiled()
def replace_spaces(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    replacement: NDArray[np.uint8],
    prepends: NDArray[np.uint8],
    splits: bool,
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_begins: NDArray[np.int64],
    out_ends: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
) -> int:
    """Apply `Metaspace` to pre-tokens.

    Args:
        data, begins, ends, offsets: the batch; see `PreTokenBatch`.
        replacement, splits: the arguments of `Metaspace`.
        prepends: uint8, shape (texts,): whether to put the replacement before each pre-token of a text that does not begin with it or a space.
        status: uint8, shape (texts,). Texts that are not `DONE` get no pre-tokens.
        out, out_begins, out_ends, out_offsets: output: the data and the other arrays of the new batch.

    Returns:
        The number of new pre-tokens.
    """
    width = len(replacement)
    lead = np.int64(replacement[0])
    replacement_word = load_padded_word(replacement, 0, width)
    at = 0
    count = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = count
        if status[text] != DONE:
            continue
        for pre_token in range(offsets[text], offsets[text + 1]):
            i, end = begins[pre_token], ends[pre_token]
            if i == end:
                continue
            begin = at
            if prepends[text] and data[i] != 0x20 and not _is_at(data, i, end, replacement):
                store_word(out, at, replacement_word)
                at += width
            while i < end:
                # Copy eight bytes at a time, up to a space or the first byte of the replacement. Copying single bytes took three times as long.
                word = load_padded_word(data, i, end - i)
                store_word(out, at, word)
                kept = min(length_before(word, 0x20), length_before(word, lead), end - i)
                i += kept
                at += kept
                if kept == 8 or i == end:
                    continue
                space = data[i] == 0x20
                if space or _is_at(data, i, end, replacement):
                    if splits and at > begin:
                        out_begins[count], out_ends[count] = begin, at
                        count += 1
                        begin = at
                    store_word(out, at, replacement_word)
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
    zeros: NDArray[np.uint64],
    missing: NDArray[np.int32],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_begins: NDArray[np.int64],
    out_ends: NDArray[np.int64],
    out_offsets: NDArray[np.int64],
) -> int:
    """Cut pre-tokens into words at the members of a set, which are dropped, and apply `Metaspace` to each word.

    The space must be in the set, so no word has a space to replace.

    Args:
        members, zeros: the set: `classes` and `zeros` of a `ClassTable`.
        missing: int32, output: which of `members` are needed and not filled; see `nothing_missing`.
        replacement, prepends, splits: the arguments of `WordsInMetaspace`.
        data, begins, ends, offsets, status, out, out_begins, out_ends, out_offsets: see `replace_spaces`.

    Returns:
        The number of new pre-tokens.
    """
    width = len(replacement)
    lead = replacement[0]
    # ASCII characters from ! on can be skipped if they are neither in the set nor in the replacement.
    skips = lead >= 0x80 and has_no_graphic(members)
    at = 0
    count = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = count
        if status[text] != DONE:
            continue
        for pre_token in range(offsets[text], offsets[text + 1]):
            i, end = begins[pre_token], ends[pre_token]
            while i < end:
                member, size = member_at(data, i, members, missing)
                if member:
                    i += size
                    continue
                # A word begins. `holds_lead` says whether the first byte of the replacement is in the word, so that the word may be cut.
                first = i
                holds_lead = False
                while i < end:
                    byte = data[i]
                    if skips and 0x20 < byte < 0x80 and i + 8 <= end:
                        i += graphic_length(load_word(data, i))
                    elif byte < 0x80:
                        if members[byte] == MEMBER:
                            break
                        holds_lead |= byte == lead
                        i += 1
                    else:
                        if i + 8 <= end:
                            word = load_word(data, i)
                            if are_in(zeros, word):
                                holds_lead |= byte == lead or np.uint8(word >> np.uint64(24)) == lead
                                i += 6
                                continue
                        member, size = member_at(data, i, members, missing)
                        if member:
                            break
                        holds_lead |= byte == lead
                        i += size
                begin = at
                holds_lead = holds_lead and splits
                if prepends and not _is_at(data, first, i, replacement):
                    for k in range(width):
                        out[at + k] = replacement[k]
                    at += width
                if not holds_lead:
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
