"""Normalisers that treat each code point by itself, or together with known neighbours: NFC, Precompiled, Lowercase and similar ones.

A text consists of segments: a code point and the code points after it that may act on it, usually marks. A table holds the result for each code
point that is a segment by itself. Another table holds the results for longer segments, which are called runs. Both hold the answers of the
installed `tokenizers` library, so they follow the same version of Unicode. A code point or a run gets into its table when it is first met.

The steps of a `Sequence` are applied in one pass over the text if at most one of them looks at neighbours.
"""

from __future__ import annotations

import itertools
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
from model2vec_numba.tokenization.unicode.filling import CODE_POINTS, Filler, characters_of, fill_lock, nothing_missing
from model2vec_numba.tokenization.unicode.probes import normalize_each, try_normalize
from model2vec_numba.tokenization.unicode.utf8 import mark, to_words

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
        entries: uint64, shape (0x110000,), one for each code point. Bits 0 to 3 hold the kind (0: it is not filled), bits 4 and 5 `EXTENDS`
            and `GLUES`, bits 8 to 15 the number of UTF-8 bytes of the result. Bits 16 to 63 hold these bytes, the first one in the lowest bits, or
            the position of the bytes in `arena`.
        same: uint64, shape (0x110000 / 64,), a bit for each code point: 1 if it is filled and stays as it is next to any other code point.
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
        self._before = _sequence(before) if before else None
        self._fence = next((c for c in _FENCES if try_normalize(self._whole, c + c) == c + c), None)
        self._arena = Arena(_ARENA_BYTES)
        self._known: dict[bytes, bytes] = {}
        # This reserves nine megabytes of addresses. The system provides memory only for the parts that are written.
        self.entries: NDArray[np.uint64] = np.zeros(CODE_POINTS, np.uint64)
        self.same: NDArray[np.uint64] = np.zeros(CODE_POINTS // 64, np.uint64)
        self.arena = self._arena.data
        self._runs = _make_runs([])
        self._filler = Filler(self.entries, self._fill)
        self._printable = self._what_printable_becomes()

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """Return the normalised texts, as `Normalizer.normalize` describes."""
        missing = nothing_missing()
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
            filled = self._filler.fill(missing)
            if missed:
                self._fill_runs(texts.data, misses[:missed])
                rounds += 1
            if end < 0:
                out = np.empty(2 * len(out), np.uint8)
            elif not filled and not missed:
                status[:] = found
                return TextBatch(read_only(out), offsets)

    def _what_printable_becomes(self) -> int:
        """Return `PRINTABLE_SAME` if ASCII from space to tilde stays as it is, `PRINTABLE_LOWER` if it becomes lower case, else 0."""
        printable = list(map(chr, range(0x20, 0x7F)))
        for meaning, expected in ((PRINTABLE_SAME, printable), (PRINTABLE_LOWER, list(map(str.lower, printable)))):
            if (self.entries[0x20:0x7F] == self._entries(printable, expected)).all():
                return meaning
        return 0

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

    def _fill(self, code_points: NDArray[np.int64]) -> None:
        characters = characters_of(code_points)
        results = normalize_each(self._whole, characters, self._fence)
        before: list[str | None] = [*characters]
        if self._before is not None:
            before = normalize_each(self._before, characters, self._fence)
        entries = self._entries(characters, [result or "" for result in results])
        if self._context:
            entries |= np.array(context_flags(self._context, [text or "" for text in before]), np.uint64)
        if None in results or None in before:
            entries[[None in forms for forms in zip(results, before, strict=True)]] = UNSUPPORTED
        self.entries[code_points] = entries
        mark(self.same, self.entries, SAME, code_points)

    def _entries(self, characters: list[str], results: list[str]) -> NDArray[np.uint64]:
        """Return the entries, without flags, of characters that the library turns into `results`."""
        encoded = [result.encode("utf-8") for result in results]
        payloads, lengths = to_words(encoded)
        kinds = np.full(len(characters), INLINE, np.uint64)
        is_long = (lengths > _INLINE_BYTES) & (lengths <= _MAX_BYTES)
        if is_long.any():
            payloads[is_long] = positions = self._arena.add(list(itertools.compress(encoded, is_long.tolist())))
            kinds[is_long] = np.where(positions < 0, UNSUPPORTED, IN_ARENA)
        entries = payloads << np.uint64(16) | lengths << np.uint64(8) | kinds
        entries[(kinds == UNSUPPORTED) | (lengths > _MAX_BYTES)] = UNSUPPORTED
        entries[np.array([result == c for result, c in zip(results, characters, strict=True)])] = SAME
        return entries


def _sequence(configs: list[dict[str, Any]]) -> LibraryNormalizer:
    return library_normalizer({"type": "Sequence", "normalizers": configs})
