"""Replace: strings of more than one character, and runs of one class of characters (the regular expressions that tokenizers have)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex
from tokenizers.normalizers import Replace

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.text import TextBatch
from model2vec_numba.tokenization.character_sets import CharacterSet, member_at, skips_graphic
from model2vec_numba.tokenization.library_parts import has_form
from model2vec_numba.tokenization.stages import DONE, Normalizer
from model2vec_numba.words import BLOCK, bytes_between, copy_bytes, graphic_length, load_word, store_word

__all__ = ["ReplaceRuns", "ReplaceString", "make_replace"]

# A character or a class, and how many of it at least make a match, which takes all that follow.
# What does not stand for itself in a regular expression.
_SPECIAL = frozenset(".^$*+?{}[]()|\\")
_RUNS = {
    r"\s": (r"\s", 1, False),
    r"\s+": (r"\s", 1, True),
    r"\s{2,}": (r"\s", 2, True),
    " +": (" ", 1, True),
    " {2,}": (" ", 2, True),
}


def make_replace(part: dict[str, Any]) -> Normalizer | None:
    """The normaliser for a ``Replace``; ``None`` for patterns that are not compiled. Strings of one character are a `LocalNormalizer`'s."""
    if not has_form(part, {"pattern": dict, "content": str}) or len(part["pattern"]) != 1:
        return None
    ((kind, pattern),) = part["pattern"].items()
    if kind == "String" and isinstance(pattern, str) and len(pattern) > 1:
        return ReplaceString(pattern, part["content"])
    if kind == "Regex" and isinstance(pattern, str) and pattern in _RUNS:
        return ReplaceRuns(*_RUNS[pattern], part["content"])
    return None


class ReplaceString:
    """Replaces a string, from left to right, by another."""

    def __init__(self, pattern: str, content: str) -> None:
        self._pattern = np.frombuffer(pattern.encode("utf-8"), np.uint8)
        self._content = np.frombuffer(content.encode("utf-8") + b"\0", np.uint8)[:-1]

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """See `Normalizer.normalize`."""
        found = count_string(texts.data, texts.offsets, self._pattern, status)
        if not found:
            return texts
        size = int(texts.offsets[-1] - texts.offsets[0]) + found * max(0, len(self._content) - len(self._pattern))
        out, offsets = np.empty(size, np.uint8), np.empty(len(texts) + 1, np.int64)
        replace_string(texts.data, texts.offsets, self._pattern, self._content, status, out, offsets)
        return TextBatch(out, offsets)


class ReplaceRuns:
    """Replaces what a regular expression of the form ``x``, ``x+`` or ``x{2,}`` matches, where x is one character or one class of them."""

    def __init__(self, member: str, least: int, greedy: bool, content: str) -> None:
        self._least = least
        self._greedy = greedy
        self._content = np.frombuffer(content.encode("utf-8") + b"\0", np.uint8)[:-1]
        # The one member, where that is a byte, which stands for itself in an expression; else -1.
        self._byte = ord(member) if len(member) == 1 and member.isascii() and member not in _SPECIAL else -1
        gone = Replace(Regex(member), "")
        self._set = CharacterSet(lambda characters: [not gone.normalize_str(c) for c in characters])

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """See `Normalizer.normalize`."""
        pattern = (self._set.members, self._byte, self._least, self._greedy, self._content)
        changes = self._set.pages.complete(lambda missing: changes_runs(texts.data, texts.offsets, *pattern, missing, status))
        if not changes:
            return texts
        # A match that is written anew may be longer than it was, after it has been copied; those that stay the same are not longer.
        # And what is copied overshoots by up to seven bytes.
        size = 8 + int(texts.offsets[-1] - texts.offsets[0]) + (changes + 1) * len(self._content)
        out, offsets = np.empty(size, np.uint8), np.empty(len(texts) + 1, np.int64)
        self._set.pages.complete(lambda missing: replace_runs(texts.data, texts.offsets, *pattern, missing, status, out, offsets))
        return TextBatch(out, offsets)


@inner
def _is_at(data: NDArray[np.uint8], i: int, end: int, pattern: NDArray[np.uint8]) -> bool:
    if i + len(pattern) > end:
        return False
    for k in range(len(pattern)):
        if data[i + k] != pattern[k]:
            return False
    return True


@inner
def _append(out: NDArray[np.uint8], at: int, content: NDArray[np.uint8]) -> int:
    for k in range(len(content)):
        out[at + k] = content[k]
    return at + len(content)


@compiled()
def count_string(data: NDArray[np.uint8], offsets: NDArray[np.int64], pattern: NDArray[np.uint8], status: NDArray[np.uint8]) -> int:
    """How often a string stands in texts, without overlaps; see `replace_string`."""
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
    """Write the texts with `pattern`, which is not empty, replaced by `content` to `out` and `out_offsets`; those that are not `DONE` empty."""
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
def _may_match(data: NDArray[np.uint8], begin: int, end: int, byte: int, least: int) -> bool:
    """Whether a byte stands in ``data[begin:end]``, or twice in a row if `least` is more than 1; or that is not known, as for no byte, -1."""
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
        run = found if least <= 1 else found & (found << np.uint64(1) | before)
        if run != 0:
            return True
        before = found >> np.uint64(63)
    return byte < 0


@compiled()
def changes_runs(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    members: NDArray[np.uint8],
    byte: int,
    least: int,
    greedy: bool,
    content: NDArray[np.uint8],
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
) -> int:
    """How many matches texts have that are not just the same as `content`; see `replace_runs`."""
    changes = 0
    skips = skips_graphic(members)
    for text in range(len(offsets) - 1):
        i, end = offsets[text], offsets[text + 1]
        if not _may_match(data, i, end, byte, least):
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
                member, size = members[data[i]] == 2, 1
            else:
                member, size = member_at(data, i, members, missing)
            if member:
                count += 1
                i += size
            if count >= least and (not member or not greedy or i == end):
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
    least: int,
    greedy: bool,
    content: NDArray[np.uint8],
    missing: NDArray[np.uint8],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
) -> None:
    """Write the texts with each match replaced by `content` to `out` and `out_offsets`; those that are not `DONE` empty.

    A match is `least` members of the set `members` one after the other, if `greedy` with all that follow. The set must be learnt. `byte` is its
    only member, or -1 if there are others or it is not a byte.
    """
    at = 0
    skips = skips_graphic(members)
    for text in range(len(offsets) - 1):
        out_offsets[text] = at
        i, end = offsets[text], offsets[text + 1]
        if status[text] == DONE and not _may_match(data, i, end, byte, least):
            at = copy_bytes(data, i, end, out, at)
            continue
        # Where the members begin that have been copied, but may yet make a match.
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
                member, size = members[data[i]] == 2, 1
            else:
                member, size = member_at(data, i, members, missing)
            if not member and count >= least:
                at = begin
                for k in range(len(content)):
                    out[at + k] = content[k]
                at += len(content)
            for k in range(size):
                out[at + k] = data[i + k]
            at += size
            i += size
            count = count + 1 if member else 0
            if count >= least and (not greedy or i == end):
                at = begin
                for k in range(len(content)):
                    out[at + k] = content[k]
                at += len(content)
                count = 0
            if count == 0:
                begin = at
    out_offsets[len(offsets) - 1] = at
