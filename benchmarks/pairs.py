"""Time this package and a peer at the same work, in turns, and let pytest-benchmark keep what ours took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_benchmark.fixture import BenchmarkFixture

from model2vec_numba.cli.turns import Turns, rounds_within, timed

__all__ = ["PairResult", "PairTimer", "markdown_table"]

_OURS, _PEER = "ours", "peer"


@dataclass(frozen=True)
class PairResult:
    """What the rounds of one case took.

    Attributes:
        case: the case's name.
        peer: the name of what this package was timed against.
        texts: the number of texts that one call works on.
        size: the number of their bytes, as UTF-8.
        turns: the seconds of each round, this package's and the peer's.
    """

    case: str
    peer: str
    texts: int
    size: int
    turns: Turns

    @property
    def seconds(self) -> tuple[float, float]:
        """The medians of the peer's rounds and of ours."""
        return self.turns.median(_PEER), self.turns.median(_OURS)

    @property
    def ratio(self) -> float:
        """How many times faster than the peer: the ratio of the medians."""
        return self.turns.ratio(_PEER, _OURS)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest ratio of a round."""
        ratios = self.turns.round_ratios(_PEER, _OURS)
        return ratios[0], ratios[-1]


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
        rounds = self._rounds or rounds or rounds_within(timed(theirs)() + timed(ours)())
        their_seconds: list[float] = []
        # pytest-benchmark runs `setup` before each round and does not time it, which is where the peer has its turn.
        self._benchmark.pedantic(ours, setup=lambda: their_seconds.append(timed(theirs)()), rounds=rounds)
        if self._benchmark.stats is None:  # --benchmark-disable
            return
        turns = Turns({_OURS: list(self._benchmark.stats.stats.data), _PEER: their_seconds})
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
    """The lines of a table of results: for each side texts and megabytes in a second of its median round, and the ratio of the medians.

    In brackets, the lowest and the highest ratio of a round.
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
