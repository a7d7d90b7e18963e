"""Normalisers that treat each code point by itself, or together with neighbours that can be told: NFC, Precompiled, Lowercase and their like.

A text falls into segments: a code point, and those after it that may act on it (marks, for most). What becomes of a code point that is a segment
by itself is in a table; what becomes of a longer segment, a run, is in another. Both hold what the installed `tokenizers` library answered, so
they cannot disagree with it, whichever version of Unicode it follows; code points are learnt in pages of 256, runs when they are first met.

Any number of steps of a `Sequence` are one pass over the text, if at most one of them looks at neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers.normalizers import NFC, NFD, NFKD, Precompiled, StripAccents
from tokenizers.normalizers import Normalizer as LibraryNormalizer

from model2vec_numba.text import TextBatch
from model2vec_numba.tokenization.code_points import bits_of
from model2vec_numba.tokenization.library_parts import has_form, library_normalizer
from model2vec_numba.tokenization.normalizers.local_kernel import (
    CANNOT_VOUCH,
    EXTENDS,
    GLUES,
    INLINE,
    POOLED,
    SAME,
    fill_slots,
    normalize_texts,
)
from model2vec_numba.tokenization.pages import PAGE_COUNT, Pages, code_points_of, learning, no_pages
from model2vec_numba.tokenization.pool import Pool

__all__ = ["LocalNormalizer", "LocalStep", "local_step"]

_INLINE_BYTES = 6
_LONGEST_BYTES = 255
_POOL_BYTES = 1 << 22
_MISSES = 1 << 14
_MOST_RUNS = 1 << 16
# A batch that still has unknown runs after so many rounds has more of them than are worth learning.
_MOST_ROUNDS = 6
_SLACK = 1024
# Hangul vowels and final consonants, which make a syllable with what stands before them.
_JAMO = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))

_BERT = {"clean_text": bool, "handle_chinese_chars": bool, "strip_accents": (bool, type(None)), "lowercase": bool}


class LocalStep(NamedTuple):
    """A normaliser that is local: the part of the `tokenizer.json`, and how its code points act on each other (``""``: they do not)."""

    part: dict[str, Any]
    context: str


def local_step(part: Any) -> LocalStep | None:
    """The part as a local step; ``None`` if it is none, or not of the form that is known."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("NFC", "NFD", "NFKC", "NFKD") and has_form(part, {}):
        return LocalStep(part, kind)
    if kind in ("Lowercase", "StripAccents", "Nmt") and has_form(part, {}):
        return LocalStep(part, "")
    if kind == "BertNormalizer" and has_form(part, _BERT):
        strips = part["lowercase"] if part["strip_accents"] is None else part["strip_accents"]
        return LocalStep(part, kind if strips else "")
    if kind == "Precompiled" and has_form(part, {"precompiled_charsmap": str}):
        return LocalStep(part, kind)
    if kind == "Replace" and has_form(part, {"pattern": dict, "content": str}):
        pattern = part["pattern"]
        if pattern.keys() == {"String"} and isinstance(pattern["String"], str) and len(pattern["String"]) == 1:
            return LocalStep(part, "")
    return None


class _Runs(NamedTuple):
    """The runs that are known, in arrays that never change.

    Attributes:
        slots: int32, an open-addressing hash table with linear probing, its length a power of two: one more than a run's number; 0 is empty.
        keys, key_offsets: the bytes of the runs, run ``i`` being ``keys[key_offsets[i]:key_offsets[i + 1]]``.
        values, value_offsets: what they become.
    """

    slots: NDArray[np.int32]
    keys: NDArray[np.uint8]
    key_offsets: NDArray[np.int64]
    values: NDArray[np.uint8]
    value_offsets: NDArray[np.int64]


def _joined(texts: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
    return np.frombuffer(b"".join([*texts, bytes(8)]), np.uint8), offsets


class LocalNormalizer:
    """Local steps, one after the other, as one.

    Attributes:
        entries: uint64, shape (0x110000,), one for each code point. Bits 0 to 3 hold the kind (0: not learnt), bits 4 and 5 `EXTENDS` and
            `GLUES`, bits 8 to 15 the number of UTF-8 bytes that it becomes, bits 16 to 63 the bytes themselves, the first lowest, or their
            place in `pool`.
        same: uint64, shape (0x110000 / 64,), a bit for each code point: 1 for one that is known to stay as it is, whatever stands beside it.
        pool: uint8, the bytes of those that become more than six; see `Pool`.
    """

    def __init__(self, steps: list[LocalStep]) -> None:
        """At most one of the steps has a context, and before it may stand others only if it is not ``Precompiled``."""
        parts = [step.part for step in steps]
        self._whole = _sequence(parts)
        position = next((i for i, step in enumerate(steps) if step.context), None)
        self._context = steps[position].context if position is not None else ""
        before = parts[:position] if position is not None else []
        if self._context == "BertNormalizer":
            # It cleans, decomposes and then drops accents: the neighbours of what it has cleaned are what matters.
            before = [*before, {**parts[position], "strip_accents": False, "lowercase": False}]  # type: ignore[index]
        self._before = _sequence(before)
        self._fence = next((c for c in "|~z\u4e00\u0416\U00010000" if _ask(self._whole, c + c) == c + c), None)
        self._pool = Pool(_POOL_BYTES)
        self._known: dict[bytes, bytes] = {}
        # Nine megabytes of address space, of which the system provides only the pages that are written.
        self.entries: NDArray[np.uint64] = np.zeros(PAGE_COUNT << 8, np.uint64)
        self.same: NDArray[np.uint64] = np.zeros(PAGE_COUNT << 2, np.uint64)
        self.pool = self._pool.data
        self._runs = self._run_arrays()
        self._pages = Pages(self._learn_page)
        self._printable_same = bool((self.entries[0x20:0x7F] & np.uint64(0xFF) == SAME).all())

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """See `Normalizer.normalize`."""
        missing = no_pages()
        misses = np.empty((_MISSES, 2), np.int64)
        offsets = np.zeros(len(texts) + 1, np.int64)
        size = int(texts.offsets[-1] - texts.offsets[0])
        out = np.empty(size + size // 8 + _SLACK, np.uint8)
        by_grapheme = self._context == "Precompiled"
        rounds = 0
        while True:
            found = status.copy()
            tables = (self.entries, self.same, self.pool, self._printable_same, by_grapheme, *self._runs, rounds < _MOST_ROUNDS)
            end, missed = normalize_texts(texts.data, texts.offsets, *tables, missing, misses, found, out, offsets)
            # The first texts in a new script find the tables without it, and are done again.
            learnt_pages = self._pages.learn(missing)
            if missed:
                self._learn_runs(texts.data, misses[:missed])
                rounds += 1
            if end < 0:
                out = np.empty(2 * len(out), np.uint8)
            elif not learnt_pages and not missed:
                status[:] = found
                return TextBatch(out, offsets)

    def _learn_runs(self, data: NDArray[np.uint8], misses: NDArray[np.int64]) -> None:
        found = {data[begin:end].tobytes() for begin, end in misses.tolist()}
        with learning:
            # So that memory stays bounded, whatever the texts: those met first are not more likely to be met again than later ones.
            if len(self._known) + len(found) > _MOST_RUNS:
                self._known.clear()
            for run in found:
                result = _ask(self._whole, run.decode("utf-8"))
                if result is not None:
                    self._known[run] = result.encode("utf-8")
            self._runs = self._run_arrays()

    def _run_arrays(self) -> _Runs:
        # In one step, which no signal handler that learns comes between.
        known = list(self._known.items())
        keys, key_offsets = _joined([key for key, _ in known])
        values, value_offsets = _joined([value for _, value in known])
        slots = np.zeros(1 << max(4, (2 * len(known)).bit_length()), np.int32)
        if known:
            fill_slots(keys, key_offsets, slots)
        return _Runs(slots, keys, key_offsets, values, value_offsets)

    def _learn_page(self, page: int) -> None:
        code_points = code_points_of(page)
        characters = list(map(chr, code_points))
        results = _apart(self._whole, characters, self._fence)
        before = _apart(self._before, characters, self._fence)
        known = iter(_CONTEXTS[self._context]([text for text in before if text is not None]))
        flags = [next(known) if text is not None else None for text in before]
        entries = np.full(256, CANNOT_VOUCH, np.uint64)
        for character, result, flag in zip(characters, results, flags, strict=True):
            if result is not None and flag is not None:
                entries[ord(character) & 0xFF] = self._entry(character, result.encode("utf-8")) | flag
        self.entries[code_points] = entries
        self.same[page << 2 : (page + 1) << 2] = bits_of(entries == SAME)

    def _entry(self, character: str, becomes: bytes) -> int:
        length = len(becomes)
        if becomes == character.encode("utf-8"):
            return SAME
        if length <= _INLINE_BYTES:
            return int.from_bytes(becomes, "little") << 16 | length << 8 | INLINE
        place = self._pool.add(becomes) if length <= _LONGEST_BYTES else None
        if place is None:
            return CANNOT_VOUCH
        return place << 16 | length << 8 | POOLED


def _sequence(parts: list[dict[str, Any]]) -> LibraryNormalizer:
    return library_normalizer({"type": "Sequence", "normalizers": parts})


def _apart(normalizer: LibraryNormalizer, texts: list[str], fence: str | None) -> list[str | None]:
    """What the normaliser makes of each text by itself, see `_ask`; `fence` is something that it leaves alone and that acts on nothing."""
    if fence is not None:
        joined = _ask(normalizer, fence + fence.join(texts) + fence)
        results = joined[1:-1].split(fence) if joined is not None else []
        if len(results) == len(texts):
            return list(results)
    return [_ask(normalizer, text) for text in texts]


def _ask(normalizer: LibraryNormalizer, text: str) -> str | None:
    """What the normaliser makes of a text; ``None`` if it fails, as some sequences do on some texts."""
    try:
        result: str = normalizer.normalize_str(text)
    except BaseException as error:
        # A panic inside the library arrives as a BaseException of its own kind.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            return None
        raise
    return result


# How each normaliser's code points act on each other: from what stands in a code point's place just before that normaliser, its flags. If that is
# nothing, what follows it stands next to what precedes it.
_NOTHING = EXTENDS | GLUES


def _independent(texts: list[str]) -> list[int]:
    return [0] * len(texts)


def _decomposing(decompose: LibraryNormalizer, composes: LibraryNormalizer | None) -> Callable[[list[str]], list[int]]:
    """Flags for canonical decomposition or, with `composes`, composition.

    A text can be cut before a code point that begins, decomposed, with one that canonical ordering does not move (of combining class 0) and that
    composes with nothing before it. Those that compose so are taken to be marks, Hangul vowels and finals, or in a composed form that is in
    the same page of Unicode as they are.
    """

    def flags(texts: list[str]) -> list[int]:
        decomposed = [text or "" for text in _apart(decompose, texts, "|")]
        firsts = sorted({text[0] for text in decomposed if text})
        moving = _nonstarters(firsts)
        if composes is not None:
            strip = StripAccents()
            moving.update(c for c in firsts if not strip.normalize_str(c) or any(ord(c) in jamo for jamo in _JAMO))
            moving.update(c for text in decomposed if len(text) > 1 and len(composes.normalize_str(text)) == 1 for c in text[1:])
        return [(EXTENDS if text[0] in moving else 0) if text else _NOTHING for text in decomposed]

    return flags


def _nonstarters(characters: list[str]) -> set[str]:
    """The characters of a combining class other than 0: next to U+0334, of the lowest class, or U+0345, of the highest, every one of them moves."""
    normalizer = NFD()
    probes = [probe for c in characters for probe in (f"a{c}", f"a{c}\u0334", f"a\u0345{c}")]
    answers = _apart(normalizer, probes, "|")
    triples = zip(characters, answers[0::3], answers[1::3], answers[2::3], strict=True)
    return {c for c, alone, before, after in triples if alone is None or before != f"{alone}\u0334" or after != f"a\u0345{alone[1:]}"}


def _probe() -> LibraryNormalizer:
    """A charsmap that replaces a grapheme cluster of fewer than six bytes: by X if it begins with the letter a, by Z if it does not begin with ASCII.

    Its keys are those first bytes alone. The format is SentencePiece's: a double-array trie (Darts) of 32-bit units, its size in bytes before it,
    then the replacements, each ended by NUL. Units here: the root's offset is 256, so the child for byte ``b`` is unit ``256 ^ b``, with the
    label ``b``, a leaf, and the offset 512, so that the value is in unit ``256 ^ b ^ 512``.
    """
    units = np.zeros(1024, np.uint32)
    units[0] = 256 << 10
    for byte in (ord("a"), *range(0xC2, 0xF5)):
        units[256 ^ byte] = 512 << 10 | 1 << 8 | byte
        units[256 ^ byte ^ 512] = 1 << 31 | (0 if byte == ord("a") else 2)
    return Precompiled(np.uint32(units.nbytes).tobytes() + units.tobytes() + b"X\0Z\0")


def _grapheme_flags(texts: list[str]) -> list[int]:
    """Flags for `Precompiled`, which looks up clusters of fewer than six bytes as a whole.

    A code point extends if it is in a cluster with a letter before it. It glues if it is in one with a letter after it (Unicode's Prepend); or if
    it is the zero width joiner, which may join a pictograph to one before, or a carriage return, which joins a line feed. The other clusters,
    of Hangul, of Indic conjuncts, of flags, are of six bytes at least, and `normalize_texts` sees to their ends.
    """
    probe = _probe()
    flags = []
    for text in texts:
        if text < "\x80":
            flags.append(GLUES if text == "\r" else 0)
            continue
        extends = probe.normalize_str(f"a{text}") == "X"
        glues = probe.normalize_str(f"{text}a") == "Z" or text == "\u200d"
        flags.append((EXTENDS if extends else 0) | (GLUES if glues else 0))
    return flags


_CONTEXTS: dict[str, Callable[[list[str]], list[int]]] = {
    "": _independent,
    "NFC": _decomposing(NFD(), NFC()),
    "NFD": _decomposing(NFD(), None),
    "NFKC": _decomposing(NFKD(), NFC()),
    "NFKD": _decomposing(NFKD(), None),
    "BertNormalizer": _decomposing(NFD(), None),
    "Precompiled": _grapheme_flags,
}
