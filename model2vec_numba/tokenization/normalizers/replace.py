"""Replace, for strings of more than one character, and for some regular expressions that match runs of one class of characters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex
from tokenizers.normalizers import Replace

from model2vec_numba.batches import TextBatch, read_only
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.simd import BLOCK, bytes_between, copy_bytes, graphic_length, load_word, store_word
from model2vec_numba.tokenization.components import has_form
from model2vec_numba.tokenization.stages import DONE, Normalizer
from model2vec_numba.tokenization.unicode.classes import MEMBER, ClassTable, has_no_graphic, member_at

__all__ = ["ReplaceRuns", "ReplaceString", "make_replace"]

# The characters with a special meaning in a regular expression.
_SPECIAL = frozenset(".^$*+?{}[]()|\\")
# For each expression: the character or class, the minimum number of its members in a match, and whether a match includes all members that follow.
_RUNS = {
    r"\s": (r"\s", 1, False),
    r"\s+": (r"\s", 1, True),
    r"\s{2,}": (r"\s", 2, True),
    " +": (" ", 1, True),
    " {2,}": (" ", 2, True),
}


def make_replace(config: dict[str, Any]) -> Normalizer | None:
    """Return the normaliser for a ``Replace``, or ``None`` for a pattern without compiled code.

    `LocalNormalizer` replaces strings of one character.
    """
    if not has_form(config, {"pattern": dict, "content": str}) or len(config["pattern"]) != 1:
        return None
    ((kind, pattern),) = config["pattern"].items()
    if kind == "String" and isinstance(pattern, str) and len(pattern) > 1:
        return ReplaceString(pattern, config["content"])
    if kind == "Regex" and isinstance(pattern, str) and pattern in _RUNS:
        return ReplaceRuns(*_RUNS[pattern], config["content"])
    return None


class ReplaceString:
    """Replaces a string by another one, from left to right."""

    def __init__(self, pattern: str, content: str) -> None:
        self._pattern = np.frombuffer(pattern.encode("utf-8"), np.uint8)
        self._content = np.frombuffer(content.encode("utf-8") + b"\0", np.uint8)[:-1]

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """Return the normalised texts, as `Normalizer.normalize` describes."""
        found = count_string(texts.data, texts.offsets, self._pattern, status)
        if not found:
            return texts
        size = int(texts.offsets[-1] - texts.offsets[0]) + found * max(0, len(self._content) - len(self._pattern))
        out, offsets = np.empty(size, np.uint8), np.empty(len(texts) + 1, np.int64)
        replace_string(texts.data, texts.offsets, self._pattern, self._content, status, out, offsets)
        return TextBatch(read_only(out), offsets)


class ReplaceRuns:
    """Replaces the matches of a regular expression ``x``, ``x+`` or ``x{2,}``, where x is a character or a class of characters.

    Args:
        member: x.
        min_count: the minimum number of x in a match.
        greedy: whether a match includes all x that follow.
        content: the replacement.
    """

    def __init__(self, member: str, min_count: int, greedy: bool, content: str) -> None:
        self._min_count = min_count
        self._greedy = greedy
        self._content = np.frombuffer(content.encode("utf-8") + b"\0", np.uint8)[:-1]
        # The byte of the member if it is a single ASCII character without a special meaning, else -1.
        self._byte = ord(member) if len(member) == 1 and member.isascii() and member not in _SPECIAL else -1
        remove = Replace(Regex(member), "")
        self._set = ClassTable(lambda characters: [not remove.normalize_str(c) for c in characters])

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """Return the normalised texts, as `Normalizer.normalize` describes."""
        pattern = (self._set.classes, self._byte, self._min_count, self._greedy, self._content)
        changes = 0
        for missing in self._set.pages.rounds():
            changes = count_changes(texts.data, texts.offsets, *pattern, missing, status)
        if not changes:
            return texts
        # A match is copied before it is replaced, and its replacement may be longer. Matches that stay the same do not get longer.
        # Copying may write up to seven bytes after the end.
        size = 8 + int(texts.offsets[-1] - texts.offsets[0]) + (changes + 1) * len(self._content)
        out, offsets = np.empty(size, np.uint8), np.empty(len(texts) + 1, np.int64)
        for missing in self._set.pages.rounds():
            replace_runs(texts.data, texts.offsets, *pattern, missing, status, out, offsets)
        return TextBatch(read_only(out), offsets)


@inner
def _is_at(data: NDArray[np.uint8], i: int, end: int, pattern: NDArray[np.uint8]) -> bool:
    """Return whether `pattern` stands at `i` in ``data[:end]``."""
    if i + len(pattern) > end:
        return False
    for k in range(len(pattern)):
        if data[i + k] != pattern[k]:
            return False
    return True


@inner
def _append(out: NDArray[np.uint8], at: int, content: NDArray[np.uint8]) -> int:
    """Write `content` to ``out[at:]`` and return where it ends."""
    for k in range(len(content)):
        out[at + k] = content[k]
    return at + len(content)


@compiled()
def count_string(data: NDArray[np.uint8], offsets: NDArray[np.int64], pattern: NDArray[np.uint8], status: NDArray[np.uint8]) -> int:
    """Return the number of matches that `replace_string` replaces."""
    found = 0
    for text in range(len(offsets) - 1):
        i, end = offsets[text], offsets[text + 1]
        while status[text] == DONE and i < end:
            if _is_at(data, i, end, pattern):
                found += 1
                i += len(pattern)
            else:
                i += 1
    return found


@compiled()
def replace_string(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    pattern: NDArray[np.uint8],
    content: NDArray[np.uint8],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
) -> None:
    """Write the texts to `out` and `out_offsets` with each `pattern`, which is not empty, replaced by `content`.

    Texts that are not `DONE` are written as empty texts.
    """
    at = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = at
        i, end = offsets[text], offsets[text + 1]
        while status[text] == DONE and i < end:
            if _is_at(data, i, end, pattern):
                at = _append(out, at, content)
                i += len(pattern)
            else:
                out[at] = data[i]
                at += 1
                i += 1
    out_offsets[len(offsets) - 1] = at


@inner
def _may_match(data: NDArray[np.uint8], begin: int, end: int, byte: int, min_count: int) -> bool:
    """Return whether ``data[begin:end]`` may hold a match: `byte`, or `byte` twice in a row if `min_count` is more than 1.

    If `byte` is -1, the result is True.
    """
    before = np.uint64(0)
    for i in range(begin, end if byte >= 0 else begin, BLOCK):
        if i + BLOCK <= len(data):
            found = bytes_between(data, i, np.uint8(byte), np.uint8(byte))
            if end - i < BLOCK:
                found &= (np.uint64(1) << np.uint64(end - i)) - np.uint64(1)
        else:
            found = np.uint64(0)
            for k in range(end - i):
                found |= np.uint64(data[i + k] == byte) << np.uint64(k)
        run = found if min_count <= 1 else found & (found << np.uint64(1) | before)
        if run != 0:
            return True
        before = found >> np.uint64(63)
    return byte < 0


@compiled()
def count_changes(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    members: NDArray[np.uint8],
    byte: int,
    min_count: int,
    greedy: bool,
    content: NDArray[np.uint8],
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
) -> int:
    """Return the number of matches that differ from `content`. The arguments are those of `replace_runs`."""
    changes = 0
    skips = has_no_graphic(members)
    for text in range(len(offsets) - 1):
        i, end = offsets[text], offsets[text + 1]
        if not _may_match(data, i, end, byte, min_count):
            continue
        begin = i
        count = 0
        while status[text] == DONE and i < end:
            if skips and count == 0 and i + 8 <= end:
                length = graphic_length(load_word(data, i))
                i += length
                begin = i
                if length == 8:
                    continue
            if data[i] < 0x80:
                member, size = members[data[i]] == MEMBER, 1
            else:
                member, size = member_at(data, i, members, missing)
            if member:
                count += 1
                i += size
            if count >= min_count and (not member or not greedy or i == end):
                changes += i - begin != len(content) or not _is_at(data, begin, i, content)
                count = 0
            if not member:
                count = 0
                i += size
            if count == 0:
                begin = i
    return changes


@compiled()
def replace_runs(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    members: NDArray[np.uint8],
    byte: int,
    min_count: int,
    greedy: bool,
    content: NDArray[np.uint8],
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
) -> None:
    """Write the texts to `out` and `out_offsets` with each match replaced by `content`. Texts that are not `DONE` are written as empty texts.

    A match is `min_count` members of a set in a row, and if `greedy` all members that follow. `member_at` describes `members` and `missing`.
    `byte` is the only member of the set, if that is a single byte; otherwise -1.
    """
    at = 0
    skips = has_no_graphic(members)
    for text in range(len(offsets) - 1):
        out_offsets[text] = at
        i, end = offsets[text], offsets[text + 1]
        if status[text] == DONE and not _may_match(data, i, end, byte, min_count):
            at = copy_bytes(data, i, end, out, at)
            continue
        # The begin, in `out`, of the copied members that may still become a match.
        begin = at
        count = 0
        while status[text] == DONE and i < end:
            if skips and count == 0 and i + 8 <= end:
                word = load_word(data, i)
                store_word(out, at, word)
                length = graphic_length(word)
                i += length
                at += length
                begin = at
                if length == 8:
                    continue
            if data[i] < 0x80:
                member, size = members[data[i]] == MEMBER, 1
            else:
                member, size = member_at(data, i, members, missing)
            if not member and count >= min_count:
                at = begin
                for k in range(len(content)):
                    out[at + k] = content[k]
                at += len(content)
            for k in range(size):
                out[at + k] = data[i + k]
            at += size
            i += size
            count = count + 1 if member else 0
            if count >= min_count and (not greedy or i == end):
                at = begin
                for k in range(len(content)):
                    out[at + k] = content[k]
                at += len(content)
                count = 0
            if count == 0:
                begin = at
    out_offsets[len(offsets) - 1] = at
