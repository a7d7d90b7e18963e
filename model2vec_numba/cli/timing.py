"""Compare the speed of several functions: time them in turns.

The speed of a machine changes with its temperature, with other programs and with the content of its caches. So the ratio of two times that were
measured one after the other is not reliable. If the functions are called in turns, such changes affect all of them.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Timings", "rounds_within", "time_in_turns", "timed"]

# About how long all rounds together take.
_SECONDS = 5.0
_MIN_ROUNDS = 5
_MAX_ROUNDS = 200


@dataclass(frozen=True)
class Timings:
    """The measured times: for each candidate, the seconds of each round."""

    seconds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        """Return the median time of a candidate's rounds, in seconds."""
        return statistics.median(self.seconds[name])

    def ratio(self, slower: str, faster: str) -> float:
        """Return the ratio of two candidates' median times."""
        return self.median(slower) / self.median(faster)

    def round_ratios(self, slower: str, faster: str) -> list[float]:
        """Return the ratio of two candidates' times in each round, sorted in ascending order."""
        return sorted(a / b for a, b in zip(self.seconds[slower], self.seconds[faster], strict=True))


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Return a function that calls `work`, drops its result, and returns the number of seconds that the call took."""

    def run() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return run


def rounds_within(once: float, seconds: float = _SECONDS) -> int:
    """Return the number of rounds of `once` seconds that take about `seconds` seconds.

    It is at least five and at most about 200. It is odd, so that one of the rounds is the median.
    """
    return max(_MIN_ROUNDS, min(_MAX_ROUNDS, int(seconds / max(once, 1e-9)))) | 1


def time_in_turns(
    candidates: Mapping[str, Callable[[], float]], *, rounds: int | None = None, seconds: float = _SECONDS, least: float = 0.0
) -> Timings:
    """Call each candidate once in every round, and return the times.

    All candidates are called once before the first round, because the first call compiles code, maps files and fills caches.

    Args:
        candidates: functions by their names. Each does some work and returns the number of seconds that it took; see `timed`.
        rounds: the number of rounds. ``None``: `rounds_within` decides.
        seconds: about how many seconds all rounds take together, if `rounds` is ``None``.
        least: the minimum time of a round in seconds. A faster candidate does its work several times in a round, and its time is the mean. After
            the other candidates' turns the caches hold their data, which would distort a time of a few milliseconds.
    """
    for run in candidates.values():
        run()
    if least > 0:
        candidates = {name: _repeat(run, math.ceil(least / max(run(), 1e-9))) for name, run in candidates.items()}
    first = {name: run() for name, run in candidates.items()}
    rounds = rounds or rounds_within(sum(max(value, least) for value in first.values()), seconds)
    taken: dict[str, list[float]] = {name: [value] for name, value in first.items()}
    for _ in range(rounds - 1):
        for name, run in candidates.items():
            taken[name].append(run())
    return Timings(taken)


def _repeat(run: Callable[[], float], times: int) -> Callable[[], float]:
    """Return a function that calls `run` several times and returns the mean time."""
    return lambda: sum(run() for _ in range(times)) / times
