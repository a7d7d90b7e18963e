"""Normalisers that treat each code point by itself, or together with known neighbours: NFC, Precompiled, Lowercase and similar ones.

A text consists of segments: a code point and the code points after it that may act on it, usually marks. A table holds the result for each code
point that is a segment by itself. Another table holds the results for longer segments, which are called runs. Both hold the answers of the
installed `tokenizers` library, so they follow the same version of Unicode. The first table is filled 256 code points at a time. The second table
gets a run when it is first met.

The steps of a `Sequence` are applied in one pass over the text if at most one of them looks at neighbours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers.normalizers import Normalizer as LibraryNormalizer

from model2vec_numba.batches import TextBatch, read_only
from model2vec_numba.tokenization.components import has_form, library_normalizer
from model2vec_numba.tokenization.normalizers.contexts import context_flags
from model2vec_numba.tokenization.normalizers.local_kernel import (
    IN_ARENA,
    INLINE,
    PRINTABLE_LOWER,
    PRINTABLE_SAME,
    SAME,
    UNSUPPORTED,
    fill_slots,
    normalize_texts,
)
from model2vec_numba.tokenization.unicode.arena import Arena
from model2vec_numba.tokenization.unicode.pages import PAGE_BITS, PAGE_COUNT, Pages, fill_lock, no_pages
from model2vec_numba.tokenization.unicode.probes import normalize_each, try_normalize
from model2vec_numba.tokenization.unicode.utf8 import to_bits

__all__ = ["LocalNormalizer", "LocalStep", "local_step"]

_INLINE_BYTES = 6
_MAX_BYTES = 255
_ARENA_BYTES = 1 << 22
_MAX_MISSES = 1 << 14
_MAX_RUNS = 1 << 16
# If a batch still has unknown runs after this many rounds, filling them would take too long. The library tokenises their texts.
_MAX_ROUNDS = 6
_SLACK = 1024
# Characters that may separate texts; see `normalize_each`.
_FENCES = "|~z\u4e00\u0416\U00010000"

_BERT = {"clean_text": bool, "handle_chinese_chars": bool, "strip_accents": (bool, type(None)), "lowercase": bool}


class LocalStep(NamedTuple):
    """A local normaliser.

    Attributes:
        config: its JSON.
        context: how the code points of a text act on each other; see `context_flags`. An empty string means that they do not.
    """

    config: dict[str, Any]
    context: str


def local_step(config: Any) -> LocalStep | None:
    """Return a normaliser as a local step. ``None`` if it is not local, or its JSON has an unknown form."""
    kind = config.get("type") if isinstance(config, dict) else None
    if kind in ("NFC", "NFD", "NFKC", "NFKD") and has_form(config, {}):
        return LocalStep(config, kind)
    if kind in ("Lowercase", "StripAccents", "Nmt") and has_form(config, {}):
        return LocalStep(config, "")
    if kind == "BertNormalizer" and has_form(config, _BERT):
        strips = config["lowercase"] if config["strip_accents"] is None else config["strip_accents"]
        return LocalStep(config, kind if strips else "")
    if kind == "Precompiled" and has_form(config, {"precompiled_charsmap": str}):
        return LocalStep(config, kind)
    if kind == "Replace" and has_form(config, {"pattern": dict, "content": str}):
        pattern = config["pattern"]
        if pattern.keys() == {"String"} and isinstance(pattern["String"], str) and len(pattern["String"]) == 1:
            return LocalStep(config, "")
    return None


class _Runs(NamedTuple):
    """The known runs, in arrays that never change.

    Attributes:
        slots: int32, an open-addressing hash table with linear probing. Its length is a power of two. A slot holds a run's number plus one, or 0
            if it is empty.
        keys, key_offsets: the bytes of the runs. Run ``i`` is ``keys[key_offsets[i]:key_offsets[i + 1]]``.
        values, value_offsets: the normalised runs, in the same layout.
    """

    slots: NDArray[np.int32]
    keys: NDArray[np.uint8]
    key_offsets: NDArray[np.int64]
    values: NDArray[np.uint8]
    value_offsets: NDArray[np.int64]


def _make_runs(known: list[tuple[bytes, bytes]]) -> _Runs:
    """Return the arrays for runs and their normalised forms."""
    keys, key_offsets = _concatenate([key for key, _ in known])
    values, value_offsets = _concatenate([value for _, value in known])
    slots = np.zeros(1 << max(4, (2 * len(known)).bit_length()), np.int32)
    if known:
        fill_slots(keys, key_offsets, slots)
    return _Runs(slots, keys, key_offsets, values, value_offsets)


def _concatenate(texts: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the texts in one array, followed by eight zeros, and their offsets."""
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
    return np.frombuffer(b"".join([*texts, bytes(8)]), np.uint8), offsets


class LocalNormalizer:
    """Applies local steps one after the other, in one pass over a text.

    Args:
        steps: the steps. At most one of them has a context. If that is ``Precompiled``, it is the first step.

    Attributes:
        entries: uint64, shape (0x110000,), one for each code point. Bits 0 to 3 hold the kind (0: its page is not filled), bits 4 and 5 `EXTENDS`
            and `GLUES`, bits 8 to 15 the number of UTF-8 bytes of the result. Bits 16 to 63 hold these bytes, the first one in the lowest bits, or
            the position of the bytes in `arena`.
        same: uint64, shape (0x110000 / 64,), a bit for each code point: 1 if its page is filled and it stays as it is next to any other code point.
        arena: uint8, the results of more than six bytes; see `Arena`.
    """

    def __init__(self, steps: list[LocalStep]) -> None:
        configs = [step.config for step in steps]
        self._whole = _sequence(configs)
        position = next((i for i, step in enumerate(steps) if step.context), None)
        self._context = steps[position].context if position is not None else ""
        before = configs[:position] if position is not None else []
        if self._context == "BertNormalizer":
            # `BertNormalizer` cleans, then decomposes, then drops accents. So code points act on their neighbours after cleaning.
            before = [*before, {**configs[position], "strip_accents": False, "lowercase": False}]  # type: ignore[index]
        self._before = _sequence(before)
        self._fence = next((c for c in _FENCES if try_normalize(self._whole, c + c) == c + c), None)
        self._arena = Arena(_ARENA_BYTES)
        self._known: dict[bytes, bytes] = {}
        # This reserves nine megabytes of addresses. The system provides memory only for the parts that are written.
        self.entries: NDArray[np.uint64] = np.zeros(PAGE_COUNT << PAGE_BITS, np.uint64)
        self.same: NDArray[np.uint64] = np.zeros(PAGE_COUNT, np.uint64)
        self.arena = self._arena.data
        self._runs = _make_runs([])
        self._pages = Pages(self._fill_page)
        self._printable = self._what_printable_becomes()

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """Return the normalised texts, as `Normalizer.normalize` describes."""
        missing = no_pages()
        misses = np.empty((_MAX_MISSES, 2), np.int64)
        offsets = np.zeros(len(texts) + 1, np.int64)
        size = int(texts.offsets[-1] - texts.offsets[0])
        out = np.empty(size + size // 8 + _SLACK, np.uint8)
        by_grapheme = self._context == "Precompiled"
        rounds = 0
        while True:
            found = status.copy()
            tables = (self.entries, self.same, self.arena, self._printable, by_grapheme, *self._runs, rounds < _MAX_ROUNDS)
            end, missed = normalize_texts(texts.data, texts.offsets, *tables, missing, misses, found, out, offsets)
            # The first texts in a new script need entries that are not filled. Fill them and do the batch again.
            filled_pages = self._pages.fill(missing)
            if missed:
                self._fill_runs(texts.data, misses[:missed])
                rounds += 1
            if end < 0:
                out = np.empty(2 * len(out), np.uint8)
            elif not filled_pages and not missed:
                status[:] = found
                return TextBatch(read_only(out), offsets)

    def _what_printable_becomes(self) -> int:
        """Return `PRINTABLE_SAME` if ASCII from space to tilde stays as it is, `PRINTABLE_LOWER` if it becomes lower case, else 0."""
        expected = np.full(0x7F - 0x20, SAME, np.uint64)
        if (self.entries[0x20:0x7F] == expected).all():
            return PRINTABLE_SAME
        for capital in range(ord("A"), ord("Z") + 1):
            expected[capital - 0x20] = self._entry(chr(capital), chr(capital).lower().encode())
        return PRINTABLE_LOWER if (self.entries[0x20:0x7F] == expected).all() else 0

    def _fill_runs(self, data: NDArray[np.uint8], misses: NDArray[np.int64]) -> None:
        """Ask the library for the runs ``data[begin:end]``, where `misses` has a row ``begin, end`` for each."""
        found = {data[begin:end].tobytes() for begin, end in misses.tolist()}
        with fill_lock:
            # Dropping all runs limits the memory. Early runs are not more likely to be met again than later ones.
            if len(self._known) + len(found) > _MAX_RUNS:
                self._known.clear()
            for run in found:
                result = try_normalize(self._whole, run.decode("utf-8"))
                if result is not None:
                    self._known[run] = result.encode("utf-8")
            # `list` copies in a single step, so a signal handler that adds runs cannot interrupt it.
            self._runs = _make_runs(list(self._known.items()))

    def _fill_page(self, page: int) -> None:
        # Four pages are filled together, because `context_flags` looks for composed forms among the code points that it gets.
        block = page << PAGE_BITS >> 8
        code_points = range(block << 8, (block + 1) << 8)
        if self.entries[code_points[0]]:
            return
        characters = list(map(chr, code_points))
        results = normalize_each(self._whole, characters, self._fence)
        before = normalize_each(self._before, characters, self._fence)
        known_flags = iter(context_flags(self._context, [text for text in before if text is not None]))
        flags = [next(known_flags) if text is not None else None for text in before]
        entries = np.full(256, UNSUPPORTED, np.uint64)
        for character, result, flag in zip(characters, results, flags, strict=True):
            if result is not None and flag is not None:
                entries[ord(character) & 0xFF] = self._entry(character, result.encode("utf-8")) | flag
        self.entries[code_points] = entries
        self.same[block << 2 : (block + 1) << 2] = to_bits(entries == SAME)

    def _entry(self, character: str, result: bytes) -> int:
        """Return the entry, without flags, of a character that the library turns into `result`."""
        length = len(result)
        if result == character.encode("utf-8"):
            return SAME
        if length <= _INLINE_BYTES:
            return int.from_bytes(result, "little") << 16 | length << 8 | INLINE
        position = self._arena.add(result) if length <= _MAX_BYTES else None
        if position is None:
            return UNSUPPORTED
        return position << 16 | length << 8 | IN_ARENA


def _sequence(configs: list[dict[str, Any]]) -> LibraryNormalizer:
    return library_normalizer({"type": "Sequence", "normalizers": configs})
