r"""The matches of a pattern at a cut.

A *cut* is a place in a text where a chunk ends and the next one begins. A character is *blank* if it is white space, and *solid* if it is not. The
character before a cut is solid, or a newline after a solid character. The text after a cut begins with a separator, which is a single character such
as the space, or with a solid character.

The pattern is seen as steps; see `Steps`. A search follows several steps at once. If each single step does the same before the cut as at the end of a
text, then all of them together do so too. So the tests here look at single steps, and hold for all texts. Only the sets of characters of the pattern
matter. A set is blank if it is known to have only blank characters, such as ``\s`` and ``[\r\n]``. Every other set may have solid characters.
"""

from __future__ import annotations

import re
from functools import cached_property

from model2vec_numba.tokenization.regex.automaton import Automaton
from model2vec_numba.tokenization.regex.steps import Fork, Read, Threads

__all__ = ["Pattern"]

# The sources of sets that have only white space: the class, a space or a control character, and a bracket of them.
_BLANK = re.compile(r"\\[snrt]|\\? |\[(\\[snrt]| )+\]")
# The kind of a character that is in no set.
_NO_SET = 0


class Pattern:
    """A pattern that may look ahead at one character, and does not look behind.

    Args:
        automaton: the automaton of the pattern.

    Attributes:
        is_usable: whether the pattern never looks behind and no match is empty. If not, the methods have no meaning.
        is_blank: whether matches have only blank characters, and do not depend on the characters next to them.
        is_single: whether each match is a single character, and does not depend on the characters next to it.
    """

    def __init__(self, automaton: Automaton) -> None:
        self._steps = automaton.steps
        self._probe = automaton.probe
        self.is_usable = not automaton.may_be_empty and not automaton.looks_behind
        self._blank = {number for number, source in enumerate(self._steps.sources) if _BLANK.fullmatch(source)}
        self.is_blank = all(
            step is None or isinstance(step, Fork) or (isinstance(step, Read) and step.set in self._blank) for step in self._steps.steps
        )

        self.is_single = all(step is None or isinstance(step, Fork) or (isinstance(step, Read) and step.following == 0) for step in self._steps.steps)

    def reads(self, character: str) -> bool:
        """Return whether a match may contain a character."""
        kind = self._kind(character)
        return any(isinstance(step, Read) and kind >> step.set & 1 for step in self._steps.steps)

    def stops_before(self, character: str) -> bool:
        """Return whether each match that may have read a solid character goes no further if `character` follows, and ends as at the end of a text."""
        kind = self._kind(character)
        return all(
            self._steps.read((step.following,), _NO_SET, kind) == self._steps.read((step.following,), _NO_SET, None) for step in self._solid_reads
        )

    def begins_with(self, character: str) -> bool:
        """Return whether a match begins with `character`, at whatever place of a text a search begins with it."""
        following, _ = self._steps.read(self._steps.first, _NO_SET, self._kind(character))
        return self._may_end(following)

    def begins_before(self, character: str, followers: list[str]) -> set[str]:
        """Return the characters of `followers` before which a match begins with `character`, at whatever place of a text a search begins with it."""
        kinds = list(self._probe(followers))
        begun, _ = self._steps.read(self._steps.first, _NO_SET, self._kind(character))
        reads = {kind: self._steps.read(begun, _NO_SET, kind) for kind in set(kinds)}
        begins = {kind for kind, (following, ends) in reads.items() if ends or self._may_end(following)}
        return {follower for follower, kind in zip(followers, kinds, strict=True) if kind in begins}

    def ends_with_newline(self) -> bool:
        r"""Return whether a single newline after a solid character is always the end of a match, whether a solid character follows or nothing.

        The search that reads the newline may begin with it, as ``\s+`` does, or before, as ``[^\s\p{L}\p{N}]+[\r\n]*`` does.
        """
        newline = self._kind("\n")
        begun, _ = self._steps.read(self._steps.first, _NO_SET, newline)
        continued = [self._steps.read((step.following,), _NO_SET, newline)[0] for step in self._solid_reads]
        return self._ends_before_solid(begun) is True and all(self._ends_before_solid(threads) is not None for threads in continued)

    @cached_property
    def _solid_reads(self) -> list[Read]:
        """The steps that may read a solid character."""
        return [step for step in self._steps.steps if isinstance(step, Read) and step.set not in self._blank]

    def _ends_before_solid(self, threads: Threads) -> bool | None:
        """Return whether a match ends before a solid character and at the end of a text. ``None`` if it is not known to do the same at both."""
        stack, done, tests_solid = list(threads), set(), False
        while stack:
            number = stack.pop()
            step = self._steps.steps[number]
            if step is None or number in done:
                continue
            done.add(number)
            if isinstance(step, Read):
                if step.set not in self._blank:
                    return None
            elif isinstance(step, Fork):
                stack += step.following
            else:
                tests_solid |= step.set is not None and step.set not in self._blank
                stack.append(step.following)
        if self._may_end(threads):
            return True
        if tests_solid:
            return None
        # All sets are blank, so a solid character is in none of them.
        _, ends = self._steps.read(threads, _NO_SET, _NO_SET)
        return ends if ends == self._steps.read(threads, _NO_SET, None)[1] else None

    def _may_end(self, threads: Threads) -> bool:
        """Return whether a match may end here, whatever follows."""
        stack, done = list(threads), set()
        while stack:
            number = stack.pop()
            step = self._steps.steps[number]
            if step is None:
                return True
            if number not in done and isinstance(step, Fork):
                done.add(number)
                stack += step.following
        return False

    def _kind(self, character: str) -> int:
        """Return the sets that a character is in."""
        (kind,) = self._probe([character])
        return int(kind)
