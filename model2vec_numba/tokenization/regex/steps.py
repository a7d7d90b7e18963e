"""A pattern as the steps of a backtracking search. All the ways that such a search could go are followed at once.

A step reads a character, tests a neighbour, or tries other steps in order. The threads of a search are the steps that it could still try, the
preferred one first. This is Thompson's construction. Because the threads are in order, the match is the one that a backtracking search finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from model2vec_numba.tokenization.regex.parser import Characters, Choice, Look, Node, Repeat, Run, UnsupportedPatternError

__all__ = ["Fork", "Kind", "Read", "Steps", "Test", "Threads"]

# The sets that a character is in: bit ``b`` is 1 if it is in set ``b``. ``None`` is the edge of the text, where there is no character.
Kind: TypeAlias = "int | None"
Threads: TypeAlias = "tuple[int, ...]"

_MAX_STEPS = 4096


class Read(NamedTuple):
    """Reads a character of a set, then goes to step `following`. `letter`: see `Characters`."""

    set: int
    letter: str
    following: int


class Test(NamedTuple):
    """Goes to step `following` if a `Look` with these attributes matches. `set`: the number of the set of its source, or ``None``."""

    behind: bool
    set: int | None
    edge: bool
    negated: bool
    following: int


class Fork(NamedTuple):
    """Tries steps in order."""

    following: Threads


class Steps:
    """The steps of a pattern.

    Attributes:
        steps: the steps. Step 0 is the end of a match, which is ``None``.
        sources: for each set, a regular expression for one character.
        first: the threads at the beginning of a search.
        behind: the bits of the sets that a test of the character before asks for; ``None`` if there is no such test.
        work: the number of steps that `read` has taken so far. It may be set to 0.

    Raises:
        UnsupportedPatternError: there would be too many steps.
    """

    def __init__(self, node: Node) -> None:
        self.steps: list[Read | Test | Fork | None] = [None]
        self.sources: list[str] = []
        self.first: Threads = (self._add(node, 0),)
        behind = [step.set for step in self.steps if isinstance(step, Test) and step.behind]
        self.behind = sum({1 << number for number in behind if number is not None}) if behind else None
        self.work = 0

    def _add(self, node: Node, following: int) -> int:
        """Add the steps of a node, and return the number of the first one. The last ones lead to step `following`."""
        if isinstance(node, Characters):
            return self._append(Read(self._set(node.source), node.letter, following))
        if isinstance(node, Look):
            return self._append(Test(node.behind, None if node.source is None else self._set(node.source), node.edge, node.negated, following))
        if isinstance(node, Run):
            for member in reversed(node.members):
                following = self._add(member, following)
            return following
        if isinstance(node, Choice):
            return self._append(Fork(tuple([self._add(option, following) for option in node.options])))
        return self._add_repeat(node, following)

    def _add_repeat(self, node: Repeat, following: int) -> int:
        after, order = following, 1 if node.greedy else -1
        if node.high is None:
            following = self._append(Fork(()))
            self.steps[following] = Fork((self._add(node.body, following), after)[::order])
        else:
            for _ in range(node.high - node.low):
                following = self._append(Fork((self._add(node.body, following), after)[::order]))
        for _ in range(node.low):
            following = self._add(node.body, following)
        return following

    def _append(self, step: Read | Test | Fork) -> int:
        if len(self.steps) == _MAX_STEPS:
            raise UnsupportedPatternError("the pattern is too long")
        self.steps.append(step)
        return len(self.steps) - 1

    def _set(self, source: str) -> int:
        if source not in self.sources:
            self.sources.append(source)
        return self.sources.index(source)

    def read(self, threads: Threads, before: Kind, kind: Kind) -> tuple[Threads, bool]:
        """Return the threads after a character was read, and whether a match may end before this character.

        If one of the threads has reached the end of the match, this match is preferred to the threads after it. So these are dropped.

        Args:
            threads: the threads before the character was read.
            before: the kind of the character before the one that is read.
            kind: the kind of the character that is read.
        """
        following: dict[int, None] = {}
        done: set[int] = set()
        stack = list(reversed(threads))
        while stack:
            number = stack.pop()
            if number in done:
                continue
            done.add(number)
            self.work += 1
            step = self.steps[number]
            if step is None:
                return tuple(following), True
            if isinstance(step, Read):
                if kind is not None and kind >> step.set & 1:
                    following[step.following] = None
            elif isinstance(step, Fork):
                stack += reversed(step.following)
            else:
                seen = before if step.behind else kind
                is_met = step.edge if seen is None else step.set is not None and seen >> step.set & 1 == 1
                if is_met != step.negated:
                    stack.append(step.following)
        return tuple(following), False

    def first_reads(self, threads: Iterable[int] | None = None) -> Iterator[Read]:
        """Yield the steps that may read the next character. `threads`: the threads of a search. ``None``: all steps."""
        stack = list(range(len(self.steps)) if threads is None else threads)
        done = set()
        while stack:
            number = stack.pop()
            step = self.steps[number]
            if number in done or step is None:
                continue
            done.add(number)
            if isinstance(step, Read):
                yield step
            else:
                stack += step.following if isinstance(step, Fork) else (step.following,)

    def may_fold(self, character: str) -> bool:
        """Return whether several letters of the pattern that match in any case may together match `character`.

        For example, ``(?i:ss)`` matches the sharp s.
        Python and Oniguruma agree about the few characters whose folded form has several letters.
        """
        folded = character.casefold()
        threads: set[int] | None = None if len(folded) > 1 else set()
        for letter in folded:
            threads = {step.following for step in self.first_reads(threads) if step.letter.casefold() == letter}
        return bool(threads)
