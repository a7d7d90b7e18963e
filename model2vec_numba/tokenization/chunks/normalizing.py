"""The effects of a normaliser at the ends of a chunk.

The normaliser is a list of steps. A step is *local* if it treats each code point by itself, or together with known neighbours; see `local_step`. NFC
and its relatives join a mark to the code point before it, but never to white space: white space has no marks in any composed or reordered form. So
among the local steps, only ``Precompiled`` may treat white space together with a neighbour, if the two are in one grapheme cluster.

The other steps are ``Replace`` with a pattern, ``Strip`` and ``Prepend``. A ``Replace`` is safe at a cut in two cases. Either its matches are blank
(see `Pattern`), or no match contains white space, and the matches on the left of the cut are the same as at the end of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tokenizers.pre_tokenizers import WhitespaceSplit

from model2vec_numba.tokenization.chunks.edges import AFTER_NOTHING, AFTER_SPACE, BEFORE_END, EXTENDS, GLUES, PASSES
from model2vec_numba.tokenization.chunks.patterns import Pattern
from model2vec_numba.tokenization.components import library_normalizer
from model2vec_numba.tokenization.normalizers import contexts, local_kernel, single_normalizers
from model2vec_numba.tokenization.normalizers.local import local_step
from model2vec_numba.tokenization.regex.matching import automaton_of
from model2vec_numba.tokenization.unicode.classes import matches_of
from model2vec_numba.tokenization.unicode.probes import normalize_each, try_normalize

__all__ = ["SEPARATORS", "Hazards", "Normalizing", "blanks", "read_normalizing"]

# The white space between chunks that are trimmed.
SEPARATORS = " \t\n\r"
_ALL = AFTER_SPACE | AFTER_NOTHING | BEFORE_END
# At least one of these characters stays as it is.
_LETTERS = "xq7~"
_FENCES = "|~z\u4e00\u0416"


def blanks(characters: Iterable[str]) -> tuple[set[str], set[str]]:
    r"""Return the characters that are white space to ``\s``, and those that are white space to `WhitespaceSplit` and `Strip`."""
    distinct = sorted(set(characters))
    splitter = WhitespaceSplit()
    matches = matches_of(r"\s")(distinct)
    return {c for c, match in zip(distinct, matches, strict=True) if match}, {c for c in distinct if not splitter.pre_tokenize_str(c)}


@dataclass
class Hazards:
    """The characters that are unsafe at the ends of a chunk.

    Attributes:
        raw: for characters as they are in the text, the flags of each unsafe one.
        first, last: for normalised texts, the flags of each unsafe first or last character.
        anywhere: a character that makes a normalised code point unsafe wherever it is in it. It may be empty.
        begins_safely: returns the characters of a list with which a normalised text may begin after a space. ``None``: all of them.
        white: whether white space is unsafe.
        strips_more: whether white space is unsafe only if `Strip` removes it and ``\\s`` does not match it.
        empty: whether code points that become empty are unsafe.
        passes: whether code points that become empty, or begin with white space, do not count at the beginning of a chunk.
    """

    raw: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    anywhere: str = ""
    begins_safely: Callable[[list[str]], set[str]] | None = None
    white: bool = False
    strips_more: bool = False
    empty: bool = False
    passes: bool = False


@dataclass
class Normalizing:
    """A normaliser as a list of steps.

    Attributes:
        steps: the JSON of each step, in order.
        patterns: the pattern of each step that is a ``Replace`` with a pattern; ``None`` for the other steps.
    """

    steps: list[dict[str, Any]]
    patterns: list[Pattern | None]

    def __getitem__(self, part: slice) -> Normalizing:
        return Normalizing(self.steps[part], self.patterns[part])

    @cached_property
    def precompiled(self) -> int | None:
        """The position of the ``Precompiled``. ``None`` if there is none."""
        return next((at for at, step in enumerate(self.steps) if step["type"] == "Precompiled"), None)

    @property
    def cluster_bytes(self) -> int:
        """See `Edges`. If code points may change before ``Precompiled``, their bytes there are not known."""
        if self.precompiled is None:
            return 0
        return 6 if all(step["type"] == "Strip" for step in self.steps[: self.precompiled]) else 1 << 20

    @property
    def composes(self) -> bool:
        """Whether a code point may become another one because of its neighbours."""
        return any(step["type"] in ("NFC", "NFKC", "NFD", "NFKD", "BertNormalizer", "Precompiled") for step in self.steps) or any(self.patterns)

    def apply(self, text: str) -> str | None:
        """Return the normalised text, or ``None`` if the library fails on it."""
        return try_normalize(self._prefixes[-1], text)

    @cached_property
    def _prefixes(self) -> list[Any]:
        """The library's normalisers of no step, of the first step, of the first two steps, and so on, without ``Strip`` and ``Prepend``."""
        prefixes = [[step for step in self.steps[:count] if step["type"] not in ("Strip", "Prepend")] for count in range(len(self.steps) + 1)]
        return [library_normalizer({"type": "Sequence", "normalizers": prefix}) for prefix in prefixes]

    def between_letters(self, text: str) -> str | None:
        """Return what a text without letters becomes between two letters that stay as they are. ``None`` if no letter is known to do so."""
        for letter in _LETTERS:
            result = self.apply(f"{letter}{text}{letter}")
            if self.apply(letter) == letter and result is not None and result[:1] == result[-1:] == letter and len(result) > 1:
                return result[1:-1]
        return None

    def keeps_apart(self, separators: str) -> bool:
        """Return whether the matches of each pattern are blank, or hold no separator and end before each one as at the end of a text."""
        return all(
            pattern is None
            or pattern.is_blank
            or not any(pattern.reads(separator) or not pattern.stops_before(separator) for separator in separators)
            for pattern in self.patterns
        )

    @property
    def replaces(self) -> bool:
        """Whether a ``Replace`` with a pattern replaces something else than white space."""
        return any(pattern is not None and not pattern.is_blank for pattern in self.patterns)

    @property
    def keeps_clusters(self) -> bool:
        """Whether each content of a ``Replace`` with a pattern is in no grapheme cluster with the characters next to it, for ``Precompiled``."""
        before = list(zip(self.steps, self.patterns, strict=True))[: self.precompiled or 0]
        contents = [step["content"] for step, pattern in before if pattern is not None]
        return all(content == "" or (content.isascii() and content.isprintable()) for content in contents)

    @property
    def keeps_ends_solid(self) -> bool:
        """Whether the ends of a chunk, if they are safe by the table of `Edges`, are still not white space after each ``Replace``.

        The table has what becomes of each code point by itself. It does not have matches of several characters, nor characters that NFC composes.
        """
        composes = False
        for step, pattern in zip(self.steps, self.patterns, strict=True):
            if step["type"] == "Replace" and (pattern is None or not pattern.is_blank):
                content = step["content"]
                is_solid = content != "" and not any(blanks(content[0] + content[-1]))
                is_in_table = (pattern is None or pattern.is_single) and not (composes and not step["pattern"].get("String", "\u00e9").isascii())
                if not is_solid and not is_in_table:
                    return False
            composes |= step["type"] in ("NFC", "NFKC")
        return True

    def probe(self, hazards: Hazards) -> Callable[[list[str]], Iterator[int]]:
        """Return a function that gives the flags of each code point of a list; see `Edges`."""
        fence = next((c for c in _FENCES if self.apply(c + c) == c + c), None)

        def probe(characters: list[str]) -> Iterator[int]:
            stages: list[list[str | None]] = [list(characters)]
            stages += [normalize_each(prefix, characters, fence) for prefix in self._prefixes[1:]]
            used = {c for stage in stages for text in stage for c in text or ""}
            pattern_white, split_white = blanks(used)
            white = pattern_white | split_white
            unsafe_white = white if hazards.white else split_white - pattern_white if hazards.strips_more else set()
            clusters = iter(self._cluster_flags(stages[self.precompiled])) if self.precompiled is not None else None
            firsts = sorted({text[0] for text in stages[-1] if text})
            unsafe_firsts = {*firsts} - hazards.begins_safely(firsts) if hazards.begins_safely is not None else set()
            special = white | unsafe_firsts | hazards.raw.keys() | hazards.first.keys() | hazards.last.keys() | {hazards.anywhere}
            for forms in zip(*stages, strict=True):
                cluster = next(clusters) if clusters is not None else 0
                if None in forms:
                    yield _ALL
                elif len({*forms}) == 1 and forms[0] not in special:
                    # Most code points end here.
                    yield cluster
                else:
                    yield cluster | self._flags([text or "" for text in forms], white, unsafe_white, unsafe_firsts, hazards)

        return probe

    def _flags(self, forms: list[str], white: set[str], unsafe_white: set[str], unsafe_firsts: set[str], hazards: Hazards) -> int:
        """Return the flags of a code point. `forms`: what it is at first, and after each step."""
        character, result = forms[0], forms[-1]
        if any(not unsafe_white.isdisjoint(form) for form in forms) or (hazards.empty and "" in forms):
            return _ALL
        if self.precompiled is not None and "" in forms[: self.precompiled + 1]:
            return _ALL
        if hazards.anywhere and hazards.anywhere in result:
            return _ALL
        flags = hazards.raw.get(character, 0) | hazards.first.get(result[:1], 0) | hazards.last.get(result[-1:], 0)
        if result[:1] in unsafe_firsts:
            flags |= AFTER_SPACE
        if hazards.passes and (not result or result[0] in white):
            flags |= PASSES
        return flags

    def _cluster_flags(self, texts: list[str | None]) -> list[int]:
        """Return the flags of code points that are in one cluster with white space next to them. `texts`: the code points before ``Precompiled``."""
        known = [text or "" for text in texts]
        firsts = contexts.context_flags("Precompiled", [text[:1] for text in known])
        lasts = contexts.context_flags("Precompiled", [text[-1:] for text in known])
        return [
            (AFTER_SPACE | AFTER_NOTHING | EXTENDS) * bool(first & local_kernel.EXTENDS) | (BEFORE_END | GLUES) * bool(last & local_kernel.GLUES)
            for first, last in zip(firsts, lasts, strict=True)
        ]


def read_normalizing(config: Any) -> Normalizing | None:
    """Return a normaliser as a list of steps. ``None`` if a step is not supported, or two steps are ``Precompiled``."""
    steps = single_normalizers(config)
    if steps is None or sum(isinstance(step, dict) and step.get("type") == "Precompiled" for step in steps) > 1:
        return None
    patterns: list[Pattern | None] = []
    for step in steps:
        pattern = None
        if local_step(step) is None:
            kind = step.get("type") if isinstance(step, dict) else None
            if kind == "Replace":
                ((spelling, source),) = step["pattern"].items()
                automaton = automaton_of(spelling, source)
                pattern = None if automaton is None else Pattern(automaton)
                if pattern is None or not pattern.is_usable:
                    return None
            elif kind not in ("Strip", "Prepend"):
                return None
        patterns.append(pattern)
    return Normalizing(steps, patterns)
