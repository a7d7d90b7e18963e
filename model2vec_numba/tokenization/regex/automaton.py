"""Automata that find the matches of patterns, as tables for `kernel`.

A state stands for all the threads of a search; see `steps`. So one pass over the text finds the match that a backtracking search finds. The table has
a column for each kind of code point. Two code points are of the same kind if they are in the same sets of the pattern. A column is added when a code
point is of a kind that was not met before.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.tokenization.regex.kernel import (
    ACCEPTS,
    COLUMNS,
    EDGE,
    FIRST_COLUMN,
    LOOPS,
    LOOPS_SMALL,
    NO_COLUMN,
    SEARCH,
    SEARCHES,
    STATES,
    UNSUPPORTED,
)
from model2vec_numba.tokenization.regex.parser import Node, UnsupportedPatternError, may_be_empty
from model2vec_numba.tokenization.regex.steps import Kind, Steps, Threads
from model2vec_numba.tokenization.unicode.classes import Probe
from model2vec_numba.tokenization.unicode.filling import CODE_POINTS, Filler, characters_of

__all__ = ["Automaton"]

# This matches each regular expression that is known to stand for one ASCII character.
_ASCII = re.compile(r"[^.]|\\\W", re.ASCII)
# `Automaton.ranges` that leave out no byte.
_ALL = np.array([0, 0xFF, 0, 0xFF, 0x80, 0x80], np.uint8)
# If the new kinds of a text need more steps than this, no more states are made.
_MAX_WORK = 1 << 20

# The threads of a search, and the kind of the last character. Of the kind, only the part is kept that a test may ask for.
_State = tuple[Threads, Kind]


class Automaton:
    """Finds the matches of a pattern.

    Args:
        node: the pattern.
        make_probe: takes the sources of the pattern's sets, and returns a function. This function returns a number for each character. Bit ``b`` of
            the number is 1 if the character is in set ``b``.

    Attributes:
        steps: the steps of the pattern.
        probe: the function that `make_probe` returned.
        classes: uint8, shape (0x110000,): the column of each code point, or `NO_COLUMN` if it is not filled.
        table: int32, shape (STATES * COLUMNS,): see `kernel`.
        starts: int32, shape (COLUMNS,): the entry that leads to the first state, for each column of the character before.
        ranges: uint8, shape (6,): the bytes with which a match may begin. Elements 0 and 1 are the lowest and the highest ASCII byte, and elements 2
            and 3 the same for the second byte. Element 4 is the lowest first byte that is not ASCII, and element 5 the same for the second byte. The
            ranges may hold bytes with which no match begins.
        may_be_empty: whether a match may be empty.
        looks_behind: whether a match may depend on the character before it.
        filler: fills `classes`.

    Raises:
        UnsupportedPatternError: the automaton would be too large.
    """

    def __init__(self, node: Node, make_probe: Callable[[tuple[str, ...]], Probe]) -> None:
        self.steps = Steps(node)
        self.probe = make_probe(tuple(self.steps.sources))
        self.may_be_empty = may_be_empty(node)
        self.looks_behind = self.steps.behind is not None
        self._columns: dict[Kind, int] = {None: EDGE}
        # The columns that are filled for all states.
        self._ready: dict[Kind, int] = {}
        self._free_columns = iter(range(FIRST_COLUMN, COLUMNS))
        # In state 0 no match is possible. The last state looks for the beginning of a match. Neither has threads.
        self._entries: dict[_State, int] = {}
        self._states: dict[int, _State] = {}
        self._free_states = iter(range(1, STATES - 1))
        # The number of columns that are filled, for each state.
        self._filled: dict[int, int] = {}
        self._is_full = False
        # The characters up to U+00FF, for each column.
        self._samples: dict[int, list[str]] = {}
        # The system provides memory only for the parts that are written.
        self.classes: NDArray[np.uint8] = np.zeros(CODE_POINTS, np.uint8)
        self.table: NDArray[np.int32] = np.zeros(STATES * COLUMNS, np.int32)
        self.starts: NDArray[np.int32] = np.zeros(COLUMNS, np.int32)
        self.ranges = _ALL
        self.filler = Filler(self.classes, self._fill)
        if self._is_full:
            raise UnsupportedPatternError("the automaton is too large")

    def random_texts(self, count: int, max_length: int) -> Iterator[str]:
        """Yield random texts of characters up to U+00FF. Most characters are chosen so that a match that has begun can go on."""
        draw = random.Random(0)
        columns = list(self._samples)
        rows = self.table.reshape(STATES, COLUMNS)[:, columns] // COLUMNS
        start = int(self.starts[EDGE]) // COLUMNS
        for number in range(count):
            text, state = "", start
            for _ in range(1 + number % max_length):
                following = rows[state].tolist()
                choices = [k for k, state in enumerate(following) if state not in (0, SEARCH // COLUMNS)] if draw.random() < 0.8 else []
                k = draw.choice(choices or range(len(columns)))
                text += draw.choice(self._samples[columns[k]])
                state = following[k] or start
            yield text

    def _fill(self, code_points: NDArray[np.int64]) -> None:
        """Write the column of each of some code points. The first call is for U+0000 to U+00FF, so that all of ASCII is known at once.

        A signal handler may interrupt this and fill the same columns. So each step may be done twice.
        """
        characters = characters_of(code_points)
        kinds = list(self.probe(characters))
        self.steps.work = 0
        for kind in sorted({*kinds} - self._columns.keys()):
            if (column := next(self._free_columns, None)) is not None:
                self._columns[kind] = column
        is_first = not self._samples
        if is_first:
            self._ascii = [self._columns.get(kind, UNSUPPORTED) for kind in kinds[:0x80]]
            self._small_letters = set(kinds[ord("a") : ord("z") + 1])
            self._letters = self._small_letters.union(kinds[ord("A") : ord("Z") + 1])
        if len(self._ready) < len(self._columns):
            self._fill_rows()
        if not self._is_full:
            self._ready = dict(self._columns)
        columns = [UNSUPPORTED if self.steps.may_fold(c) else self._ready.get(kind, UNSUPPORTED) for c, kind in zip(characters, kinds, strict=True)]
        if is_first:
            for column, character in zip(columns, characters, strict=True):
                self._samples.setdefault(column, []).append(character)
        # Other threads may run the kernel at the same time. They see the new columns only from here on.
        self.classes[code_points] = columns

    def _fill_rows(self) -> None:
        """Fill all columns of all states, including the states that are found on the way."""
        starts = {column: self._entry((self.steps.first, self._behind(kind))) for kind, column in list(self._columns.items())}
        while not self._is_full and (todo := [number for number in list(self._states) if self._filled.get(number, 0) < len(self._columns)]):
            for number in todo:
                threads, before = self._states[number]
                columns = list(self._columns.items())
                for kind, column in columns[self._filled.get(number, 0) :]:
                    following, accepts = self.steps.read(threads, before, kind)
                    self.table[number * COLUMNS + column] = self._entry((following, self._behind(kind))) + ACCEPTS * accepts
                self._filled[number] = len(columns)
        if self.may_be_empty or self.looks_behind:
            for column in (NO_COLUMN, UNSUPPORTED, *starts):
                self.starts[column] = starts.get(column, starts[EDGE])
        else:
            self._fill_search(starts[EDGE])

    def _fill_search(self, start: int) -> None:
        """Fill the row of the state that looks for the beginning of a match.

        It is the row of the first state, with one difference: if no match begins with a character, the state stays the same.

        Args:
            start: the entry that leads to the first state.
        """
        row = self.table[start // COLUMNS * COLUMNS :][:COLUMNS]
        if not self.starts[EDGE]:
            self.ranges = self._find_ranges(row[self._ascii])
            lowest, highest = self.ranges[:2].tolist()
            searches = SEARCHES * (lowest > ord("z") or highest < ord("a"))
            skips = start & (LOOPS | LOOPS_SMALL) or LOOPS * (not any(self.steps.read(self.steps.first, 0, kind)[0] for kind in self._letters))
            self.starts[:] = SEARCH + (searches or skips)
        self.table[SEARCH + FIRST_COLUMN : SEARCH + COLUMNS] = np.where(row >= COLUMNS, row, self.starts[EDGE])[FIRST_COLUMN:]

    def _find_ranges(self, entries: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Return `ranges`. `entries`: the entry in the row of the first state for each ASCII character."""
        rows = self.table.reshape(STATES, COLUMNS)[entries // COLUMNS]
        firsts = np.flatnonzero(entries).tolist()
        # If a single character at the end of the text may be a match, a match needs no second byte.
        seconds = [0, 0xFF] if rows[:, EDGE].any() else np.flatnonzero(rows[:, self._ascii].any(0)).tolist()
        bounds = [bound(numbers, default=0x80) for numbers in (firsts, seconds) for bound in (min, max)]
        # If all sets are known to be ASCII, all other characters are of kind 0. No text has the byte 0xFF, so it leaves out all of them.
        is_ascii = all(map(_is_ascii, self.steps.sources))
        may_be_second = rows[:, EDGE].any() or rows[:, self._columns.get(0, EDGE)].any()
        return np.array([*bounds, 0xFF if is_ascii else 0x80, 0xFF if is_ascii and not may_be_second else 0x80], np.uint8)

    def _entry(self, state: _State) -> int:
        """Return the entry that leads to a state. A new state gets a number. The entry is 0 if the state has no threads, or if there is no room."""
        if not state[0]:
            return 0
        entry = self._entries.get(state)
        if entry is None:
            number = next(self._free_states, None)
            if number is None or self.steps.work > _MAX_WORK:
                self._is_full = True
                return 0
            entry = self._entries[state] = number * COLUMNS + self._skips(state)
            self._states[number] = state
        return entry

    def _skips(self, state: _State) -> int:
        """Return the flag of an entry that leads to a state: `LOOPS`, `LOOPS_SMALL` or 0."""
        for flag, kinds in ((LOOPS, self._letters), (LOOPS_SMALL, self._small_letters)):
            steps = {((threads, self._behind(kind)), accepts) for kind in kinds for threads, accepts in [self.steps.read(*state, kind)]}
            if len(steps) == 1:
                ((following, _),) = steps
                if following[0] and all(
                    self._behind(kind) == following[1] and self.steps.read(*following, kind) == (following[0], True) for kind in kinds
                ):
                    return flag
        return 0

    def _behind(self, kind: Kind) -> Kind:
        """Return the part of a kind that a test of the character before may ask for."""
        return 0 if self.steps.behind is None else None if kind is None else kind & self.steps.behind


def _is_ascii(source: str) -> bool:
    """Return whether a regular expression is known to match only an ASCII character."""
    return source.isascii() and _ASCII.fullmatch(source) is not None
