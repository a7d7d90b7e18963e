"""Time this package and a peer at the same work, in turns.

A machine's speed drifts: with temperature, with its other tenants, with what the caches hold. Two times taken one after the other therefore
say little about a ratio. Here the two take turns, peer, ours, peer, ours, …, so that whatever drifts meets both; each round then gives a
ratio of its own, and how far these lie apart shows what the ratio of the medians is worth.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from pytest_benchmark.fixture import BenchmarkFixture

__all__ = ["PairResult", "PairTimer", "markdown_table"]

_SECONDS = 5.0  # how long the rounds of a case take together, about
_FEWEST_ROUNDS = 5
_MOST_ROUNDS = 200


@dataclass(frozen=True)
class PairResult:
    """What the rounds of one case took.

    Attributes:
        case: the case's name.
        peer: the name of what this package was timed against.
        texts: the number of texts that one call works on.
        size: the number of their bytes, as UTF-8.
        ours: the seconds of this package's call in each round.
        theirs: the seconds of the peer's call in each round.
    """

    case: str
    peer: str
    texts: int
    size: int
    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> float:
        """How many times faster than the peer: the ratio of the medians."""
        return statistics.median(self.theirs) / statistics.median(self.ours)

    @property
    def round_ratios(self) -> list[float]:
        """The same of each round, ascending."""
        return sorted(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True))


class PairTimer:
    """Times one case; the fixture `pair` makes it.

    Args:
        benchmark: pytest-benchmark's fixture, which times this package's calls and stores the result.
        case: the case's name.
        rounds: the number of rounds; ``None`` for as many as take about five seconds.
        report: where the result goes.
    """

    def __init__(self, benchmark: BenchmarkFixture, case: str, rounds: int | None, report: Callable[[PairResult], None]) -> None:
        self._benchmark = benchmark
        self._case = case
        self._rounds = rounds
        self._report = report

    def __call__(
        self, ours: Callable[[], object], theirs: Callable[[], object], *, peer: str, texts: int, size: int, rounds: int | None = None
    ) -> None:
        """Time `ours` and `theirs`, which do the same work, on `texts` texts of `size` bytes together.

        `rounds` is their number where the command line does not say one; ``None`` for as many as take about five seconds.

        Both have run before their first timed call: the first run of anything compiles, maps files and fills caches.
        """
        theirs(), ours()
        rounds = self._rounds or rounds
        if rounds is None:
            seconds = _seconds(theirs) + _seconds(ours)
            rounds = max(_FEWEST_ROUNDS, min(_MOST_ROUNDS, int(_SECONDS / seconds)))
        their_seconds: list[float] = []
        # pytest-benchmark runs `setup` before each round and does not time it, which is where the peer has its turn.
        self._benchmark.pedantic(ours, setup=lambda: their_seconds.append(_seconds(theirs)), rounds=rounds)
        if self._benchmark.stats is None:  # --benchmark-disable
            return
        result = PairResult(self._case, peer, texts, size, list(self._benchmark.stats.stats.data), their_seconds)
        self._benchmark.extra_info.update(
            peer=peer,
            texts=texts,
            bytes=size,
            peer_median_seconds=statistics.median(their_seconds),
            ratio_of_medians=result.ratio,
            lowest_ratio=result.round_ratios[0],
            highest_ratio=result.round_ratios[-1],
        )
        self._report(result)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def markdown_table(results: list[PairResult]) -> list[str]:
    """The lines of a table of results: for each side texts and megabytes in a second of its median round, and the ratio of the medians.

    In brackets, the lowest and the highest ratio of a round.
    """
    rows = [
        ["case", "texts", "bytes each", "peer", "peer, texts/s", "MB/s", "ours, texts/s", "MB/s", "ratio (rounds)"],
        ["---", "--:", "--:", "---", "--:", "--:", "--:", "--:", "--:"],
    ]
    for result in results:
        speeds = [
            figure
            for seconds in (statistics.median(result.theirs), statistics.median(result.ours))
            for figure in (f"{result.texts / seconds:,.0f}", f"{result.size / seconds / 1e6:.1f}")
        ]
        spread = f"{result.ratio:.2f} ({result.round_ratios[0]:.2f} to {result.round_ratios[-1]:.2f})"
        rows.append([result.case, f"{result.texts:,}", f"{result.size / result.texts:.0f}", result.peer, *speeds, spread])
    return [f"| {' | '.join(row)} |" for row in rows]
