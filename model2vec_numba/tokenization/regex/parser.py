r"""Parse regular expressions in the dialect of the `tokenizers` library: Oniguruma with its own syntax, which is close to Ruby's.

Some expressions match one character, such as ``\p{L}`` or ``[^\s\d]``. The parser only finds out where they end. The library is asked which
characters they match. The parser refuses everything that an automaton cannot express, and everything that the parser does not know.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple, TypeAlias

from model2vec_numba.tokenization.unicode.classes import matches_of

__all__ = ["Characters", "Choice", "Look", "Node", "Repeat", "Run", "UnsupportedPatternError", "literal", "may_be_empty", "parse"]


class UnsupportedPatternError(ValueError):
    """An automaton cannot express a pattern, or the parser does not know a part of it."""


class Characters(NamedTuple):
    """Matches one character of a set.

    Attributes:
        source: a regular expression for one character.
        letter: the character itself, if it is a literal character that matches in any case. Otherwise empty.
    """

    source: str
    letter: str = ""


class Look(NamedTuple):
    """Matches the empty text between two characters, if one of them is as the attributes say.

    Attributes:
        behind: whether it looks at the character before, in place of the one after.
        source: a regular expression for this character. ``None``: every character is refused.
        edge: whether it also matches at the beginning or the end of the text, where there is no such character.
        negated: whether it matches exactly where it would not match otherwise.
    """

    behind: bool
    source: str | None
    edge: bool = False
    negated: bool = False


class Run(NamedTuple):
    """Matches its members one after the other."""

    members: tuple[Node, ...]


class Choice(NamedTuple):
    """Matches one of its options. The first one that lets the whole pattern match is taken."""

    options: tuple[Node, ...]


class Repeat(NamedTuple):
    """Matches its body `low` to `high` times (``None``: any number of times), as often as possible if `greedy`, else as rarely as possible."""

    body: Node
    low: int
    high: int | None
    greedy: bool = True


Node: TypeAlias = Characters | Look | Run | Choice | Repeat

_SIGNS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
_MAX_REPEAT = 1000
# Escapes for one character: a class, a property, a control character, a code point as a number, or a character that is not a letter, digit or space.
_CLASS = r"[sSdDwWhH]|[pP]\{\^?[A-Za-z][\w -]*\}"
_CODE = r"x\{[0-9A-Fa-f]{1,6}\}|x[0-7][0-9A-Fa-f]|u[0-9A-Fa-f]{4}"
_ESCAPE = re.compile(rf"\\(?:(?P<class>{_CLASS})|(?P<control>[tnrfvae])|(?P<code>{_CODE})|[^\w\s])")
_POSIX = re.compile(r"\[:\^?[a-z]+:\]")
_QUANTIFIER = re.compile(r"(?P<sign>[?*+])|\{(?P<low>[0-9]*)(?P<comma>,?)(?P<high>[0-9]*)\}")
_OPTIONS = re.compile(r"\?(?P<on>[im]*)(?:-(?P<off>[im]+))?(?P<end>[:)])")
_LOOK = re.compile(r"\?(?P<behind><?)(?P<sign>[=!])")
_AFTER_WORD = Look(True, r"\w")
_BEFORE_WORD = Look(False, r"\w")
_LINE_BEGIN = Choice((Look(True, None, edge=True), Run((Look(True, r"\n"), Look(False, None, edge=True, negated=True)))))
_ANCHORS: dict[str, Node] = {
    "^": _LINE_BEGIN,
    "$": Look(False, r"\n", edge=True),
    r"\A": Look(True, None, edge=True),
    r"\z": Look(False, None, edge=True),
    r"\b": Choice((Run((_AFTER_WORD, _BEFORE_WORD._replace(negated=True))), Run((_AFTER_WORD._replace(negated=True), _BEFORE_WORD)))),
    r"\B": Choice((Run((_AFTER_WORD, _BEFORE_WORD)), Run((_AFTER_WORD._replace(negated=True), _BEFORE_WORD._replace(negated=True))))),
}


def literal(text: str) -> Node:
    """Return the node that matches a string."""
    return Run(tuple(Characters(re.escape(character)) for character in text))


def parse(pattern: str) -> Node:
    """Return the node of a regular expression.

    Raises:
        UnsupportedPatternError: the expression has a part that an automaton cannot express, or that is not known.
    """
    parser = _Parser(pattern)
    node = parser.choice("")
    if parser.at < len(pattern):
        raise UnsupportedPatternError(f"{pattern!r} has a ) without a ( at position {parser.at}")
    return node


class _Parser:
    """Reads a pattern from left to right.

    Attributes:
        at: the position of the next character.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.at = 0

    def choice(self, options: str) -> Node:
        """Read the alternatives up to the end of a group, and return their node. `options`: the letters of the options that are on."""
        alternatives = [self._run(options)]
        while self._take("|"):
            alternatives.append(self._run(options))
        return alternatives[0] if len(alternatives) == 1 else Choice(tuple(alternatives))

    def _run(self, options: str) -> Node:
        members: list[Node] = []
        while self.at < len(self._pattern) and self._pattern[self.at] not in "|)":
            member = self._quantified(self._atom(options))
            members += member.members if isinstance(member, Run) else [member]
        return members[0] if len(members) == 1 else Run(tuple(members))

    def _quantified(self, node: Node) -> Node:
        """Read the quantifiers after an atom, and return the node of the atom with them."""
        is_counted = False
        while match := _QUANTIFIER.match(self._pattern, self.at):
            self.at = match.end()
            low, high = self._counts(match)
            # Two things have rules of their own: a repetition of something that may be empty, and a second quantifier, except after a count.
            if may_be_empty(node) or (isinstance(node, Repeat) and not is_counted):
                raise self._unsupported("a repetition")
            is_counted = (low, high) not in _SIGNS.values()
            if self._take("?"):
                # After a single count, such as ``{2}``, the question mark is a second quantifier.
                if low == high:
                    raise self._unsupported("a repetition")
                node = Repeat(node, low, high, greedy=False)
                is_counted = False
            elif match["sign"] and self._take("+"):
                node = self._possessive(node, low, high)
            else:
                node = Repeat(node, low, high)
        return node

    def _counts(self, match: re.Match[str]) -> tuple[int, int | None]:
        """Return the smallest and the largest number of repetitions of a quantifier."""
        if match["sign"]:
            return _SIGNS[match["sign"]]
        low = int(match["low"] or 0)
        high = low if not match["comma"] else int(match["high"]) if match["high"] else None
        if not (match["low"] or match["high"]) or low > _MAX_REPEAT or (high is not None and not max(low, 1) <= high <= _MAX_REPEAT):
            raise self._unsupported("a number of repetitions")
        return low, high

    def _possessive(self, body: Node, low: int, high: int | None) -> Node:
        """Return the node for a possessive repetition of `body`: it is greedy, and never gives back a character that it has matched."""
        source = _one_character(body)
        if source is None:
            raise self._unsupported("a possessive repetition")
        stop = Look(False, source, negated=True)
        if high is None:
            return Run((Repeat(body, low, high), stop))
        if (low, high) == (0, 1):
            return Choice((body, stop))
        raise self._unsupported("a possessive repetition")

    def _atom(self, options: str) -> Node:
        begin, first = self.at, self._pattern[self.at]
        if first == "(":
            return self._group(options)
        for text, anchor in _ANCHORS.items():
            if self._take(text):
                return anchor
        if first == "[":
            self._skip_bracket()
            bracket = self._pattern[begin : self.at]
            return self._in_any_case(bracket) if "i" in options else Characters(bracket)
        if first == ".":
            self.at += 1
            return Characters("(?m:.)" if "m" in options else ".")
        if first == "\\":
            match = self._skip_escape()
            if "i" not in options or match["class"] or match["control"]:
                return Characters(match[0])
            return self._in_any_case(match[0], match[0][1:])
        if first in "?*+{":
            raise self._unsupported("a quantifier")
        self.at += 1
        return self._in_any_case(re.escape(first), first) if "i" in options else Characters(re.escape(first))

    def _group(self, options: str) -> Node:
        self.at += 1
        if match := _OPTIONS.match(self._pattern, self.at):
            self.at = match.end()
            changed = "".join((set(options) | set(match["on"])) - set(match["off"] or ""))
            node = self.choice(changed)
            # Without a colon, the options hold up to the end of the group around them, also in the alternatives that follow.
            if match["end"] == ")":
                return node
        elif self._take("?>"):
            node = self._atomic(self.choice(options))
        elif match := _LOOK.match(self._pattern, self.at):
            self.at = match.end()
            node = self._look(self.choice(options), behind=bool(match["behind"]), negated=match["sign"] == "!")
        elif self._pattern.startswith(("?", "*"), self.at):
            raise self._unsupported("a group")
        else:
            node = self.choice(options)
        if not self._take(")"):
            raise self._unsupported("a group without end")
        return node

    def _atomic(self, node: Node) -> Node:
        if _one_character(node) is not None:
            return node
        if isinstance(node, Repeat) and node.greedy:
            return self._possessive(node.body, node.low, node.high)
        raise self._unsupported("an atomic group")

    def _look(self, node: Node, *, behind: bool, negated: bool) -> Node:
        options = node.options if isinstance(node, Choice) else (node,)
        # The end of a line, or of the text, may be one of the options of a look-ahead.
        ends = [option for option in options if not behind and isinstance(option, Look) and not option.behind and not option.negated]
        sources = [end.source for end in ends if end.source is not None]
        for option in options:
            if option not in ends:
                if (source := _one_character(option)) is None:
                    raise self._unsupported("a look-around")
                sources.append(source)
        return Look(behind, _union(sources), any(end.edge for end in ends), negated)

    def _in_any_case(self, source: str, letter: str = "") -> Characters:
        """Return the set of the characters that match `source` in any case. `letter`: the character, if `source` stands for a single one."""
        node = Characters(f"(?i:{source})", letter)
        # A set with a character whose folded form has several characters would match this form too. Negated sets do not.
        if len(letter) > 1 or (not source.startswith("[^") and any(matches_of(node.source)(list(_long_folds())))):
            raise self._unsupported("a case-insensitive character")
        return node

    def _skip_escape(self) -> re.Match[str]:
        match = _ESCAPE.match(self._pattern, self.at)
        if match is None:
            raise self._unsupported("an escape")
        self.at = match.end()
        return match

    def _skip_bracket(self) -> None:
        """Move past an expression in square brackets, and the ones in it."""
        self.at += 1
        self._take("^")
        if self._pattern.startswith("]", self.at):
            raise self._unsupported("a bracket")
        while not self._take("]"):
            if self.at == len(self._pattern):
                raise self._unsupported("a bracket without end")
            if match := _POSIX.match(self._pattern, self.at):
                self.at = match.end()
            elif self._pattern[self.at] == "[":
                if self._pattern.startswith("[:", self.at):
                    raise self._unsupported("a bracket")
                self._skip_bracket()
            elif self._pattern[self.at] == "\\":
                self._skip_escape()
            else:
                self.at += 1

    def _take(self, text: str) -> bool:
        found = self._pattern.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def _unsupported(self, what: str) -> UnsupportedPatternError:
        return UnsupportedPatternError(f"{self._pattern!r} has {what} at position {self.at}, which is not supported")


def may_be_empty(node: Node) -> bool:
    """Return whether a node can match without reading a character."""
    if isinstance(node, Run):
        return all(map(may_be_empty, node.members))
    if isinstance(node, Choice):
        return any(map(may_be_empty, node.options))
    if isinstance(node, Repeat):
        return node.low == 0 or may_be_empty(node.body)
    return isinstance(node, Look)


def _one_character(node: Node) -> str | None:
    """Return a regular expression for one character that is equivalent to a node. ``None`` if the node may match anything but one character."""
    if isinstance(node, Choice):
        sources = [source for option in node.options if (source := _one_character(option)) is not None]
        return _union(sources) if len(sources) == len(node.options) else None
    return node.source if isinstance(node, Characters) else None


def _union(sources: list[str]) -> str | None:
    """Return the regular expression for one character that matches any of `sources`, or ``None`` if there are none."""
    return f"(?:{'|'.join(sources)})" if len(sources) > 1 else next(iter(sources), None)


@cache
def _long_folds() -> tuple[str, ...]:
    """Return the characters whose folded form has several characters, such as the sharp s. They are all below U+10000."""
    return tuple(character for character in map(chr, (*range(0xD800), *range(0xE000, 0x10000))) if len(character.casefold()) > 1)
