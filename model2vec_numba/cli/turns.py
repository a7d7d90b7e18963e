"""Time any number of contestants at the same work, in turns.

A machine's speed drifts: with temperature, with its other tenants, with what the caches hold. Two times taken one after the other therefore
say little about a ratio. Where contestants take turns, whatever drifts meets all of them.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Turns", "rounds_within", "take_turns", "timed"]

# How long all rounds of all contestants take together, about.
_SECONDS = 5.0
_FEWEST_ROUNDS = 5
_MOST_ROUNDS = 200


@dataclass(frozen=True)
class Turns:
    """What the rounds took: for each contestant the seconds of every round."""

    seconds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        """The median of a contestant's rounds, in seconds."""
        return statistics.median(self.seconds[name])

    def ratio(self, slower: str, faster: str) -> float:
        """How many times as long one takes as another: the ratio of the medians."""
        return self.median(slower) / self.median(faster)

    def round_ratios(self, slower: str, faster: str) -> list[float]:
        """The same of each round, ascending."""
        return sorted(a / b for a, b in zip(self.seconds[slower], self.seconds[faster], strict=True))


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """A contestant that does this work, and says how many seconds it took."""

    def run() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return run


def rounds_within(once: float, seconds: float = _SECONDS) -> int:
    """How many rounds, of `once` seconds each, take about so many seconds: at least five, and an odd number, so that one is the median."""
    return max(_FEWEST_ROUNDS, min(_MOST_ROUNDS, int(seconds / max(once, 1e-9)))) | 1


def take_turns(contestants: Mapping[str, Callable[[], float]], *, rounds: int | None = None, seconds: float = _SECONDS, least: float = 0.0) -> Turns:
    """Let contestants do a round each, in turns.

    Args:
        contestants: each does its work and returns the seconds that it took; see `timed`.
        rounds: how many rounds; ``None``: see `rounds_within`.
        seconds: see `rounds`.
        least: a contestant that is faster than so many seconds does its work several times in a round, whose mean counts. After the others' turns
            the caches hold what is theirs, which would count for much in a few milliseconds.

    All have run once before their first round counts: the first run of anything compiles, maps files and fills caches.
    """
    for run in contestants.values():
        run()
    if least > 0:
        contestants = {name: _repeated(run, math.ceil(least / max(run(), 1e-9))) for name, run in contestants.items()}
    first = {name: run() for name, run in contestants.items()}
    rounds = rounds or rounds_within(sum(max(value, least) for value in first.values()), seconds)
    taken: dict[str, list[float]] = {name: [value] for name, value in first.items()}
    for _ in range(rounds - 1):
        for name, run in contestants.items():
            taken[name].append(run())
    return Turns(taken)


def _repeated(run: Callable[[], float], times: int) -> Callable[[], float]:
    return lambda: sum(run() for _ in range(times)) / times
