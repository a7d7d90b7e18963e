"""Time this package and a peer at the same work, in turns. pytest-benchmark stores the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_benchmark.fixture import BenchmarkFixture

from model2vec_numba.cli.timing import Timings, rounds_within, timed

__all__ = ["PairResult", "PairTimer", "markdown_table"]

_OURS, _PEER = "ours", "peer"


@dataclass(frozen=True)
class PairResult:
    """The times of one case.

    Attributes:
        case: the case's name.
        peer: the peer's name.
        texts: the number of texts that one call works on.
        size: the number of bytes of these texts, as UTF-8.
        turns: the seconds of each round, for this package and for the peer.
    """

    case: str
    peer: str
    texts: int
    size: int
    turns: Timings

    @property
    def seconds(self) -> tuple[float, float]:
        """The median of the peer's rounds, and the median of ours."""
        return self.turns.median(_PEER), self.turns.median(_OURS)

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer this package is: the ratio of the medians."""
        return self.turns.ratio(_PEER, _OURS)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest ratio of a round."""
        ratios = self.turns.round_ratios(_PEER, _OURS)
        return ratios[0], ratios[-1]


class PairTimer:
    """Times one case. The fixture `pair` makes it.

    Args:
        benchmark: pytest-benchmark's fixture. It times this package's calls and stores the result.
        case: the case's name.
        rounds: the number of rounds. ``None``: as many as take about five seconds.
        report: is called with the result.
    """

    def __init__(self, benchmark: BenchmarkFixture, case: str, rounds: int | None, report: Callable[[PairResult], None]) -> None:
        self._benchmark = benchmark
        self._case = case
        self._rounds = rounds
        self._report = report

    def __call__(
        self, ours: Callable[[], object], theirs: Callable[[], object], *, peer: str, texts: int, size: int, rounds: int | None = None
    ) -> None:
        """Time `ours` and `theirs`, which must do the same work. Each runs once before it is timed, to compile, map files and fill caches.

        Args:
            ours, theirs: the work of this package and of the peer.
            peer: the peer's name.
            texts, size: the number of texts and of bytes that the work is on.
            rounds: the number of rounds, unless the command line has one. ``None``: as many as take about five seconds.
        """
        theirs(), ours()
        rounds = self._rounds or rounds or rounds_within(timed(theirs)() + timed(ours)())
        their_seconds: list[float] = []
        # pytest-benchmark runs `setup` before each round and does not time it. There the peer takes its turn.
        self._benchmark.pedantic(ours, setup=lambda: their_seconds.append(timed(theirs)()), rounds=rounds)
        if self._benchmark.stats is None:  # --benchmark-disable
            return
        turns = Timings({_OURS: list(self._benchmark.stats.stats.data), _PEER: their_seconds})
        result = PairResult(self._case, peer, texts, size, turns)
        self._benchmark.extra_info.update(
            peer=peer,
            texts=texts,
            bytes=size,
            peer_median_seconds=turns.median(_PEER),
            ratio_of_medians=result.ratio,
            lowest_ratio=result.spread[0],
            highest_ratio=result.spread[1],
        )
        self._report(result)


def markdown_table(results: list[PairResult]) -> list[str]:
    """Return the lines of a table of results: for each side the texts and megabytes per second of its median round, and the ratio of the medians.

    The brackets show the lowest and the highest ratio of a round.
    """
    rows = [
        ["case", "texts", "bytes each", "peer", "peer, texts/s", "MB/s", "ours, texts/s", "MB/s", "ratio (rounds)"],
        ["---", "--:", "--:", "---", "--:", "--:", "--:", "--:", "--:"],
    ]
    for result in results:
        speeds = [figure for seconds in result.seconds for figure in (f"{result.texts / seconds:,.0f}", f"{result.size / seconds / 1e6:.1f}")]
        spread = f"{result.ratio:.2f} ({result.spread[0]:.2f} to {result.spread[1]:.2f})"
        rows.append([result.case, f"{result.texts:,}", f"{result.size / result.texts:.0f}", result.peer, *speeds, spread])
    return [f"| {' | '.join(row)} |" for row in rows]
