"""Show the measurements of `growth` as tables of Markdown and as figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.figures import COLOURS

__all__ = ["CAPTIONS", "INDEPENDENT", "LOAD", "OURS", "PEER", "READ", "UNIFORM", "ZIPF", "Point", "draw_growth", "growth_tables"]

# A description of each figure, for readers who cannot see it.
CAPTIONS = {
    "growth-texts": "Texts encoded per second over the number of texts in a call",
    "growth-length": "Texts and bytes encoded per second over the length of a text",
    "growth-vocabulary": "Tokens encoded per second and the time to load over the size of the vocabulary",
    "growth-dimensions": "Tokens pooled and bytes of rows read per second over the number of dimensions, compared with a plain read of memory",
    "growth-threads": "The speed of several threads as a multiple of one, compared with the ideal",
}


# A point of a curve; see `growth.measure_growth`.
Point = dict[str, Any]

# The series and kinds of points that have a meaning of their own.
OURS, PEER = "model2vec-numba", "model2vec"
READ, INDEPENDENT = "plain read", "independent work"
ZIPF, UNIFORM, LOAD = "zipf", "uniform", "load"


def _of(points: Iterable[Point], series: str, kind: str = "") -> list[Point]:
    """Return the points of a series, in the order of their sizes."""
    return sorted((point for point in points if point["series"] == series and point["kind"] == kind), key=lambda point: float(point["size"]))


def _rates(point: Point, amount: str) -> tuple[float, float, float]:
    """Return the amount per second of the slowest round, of the median, and of the fastest round."""
    seconds: list[float] = point["seconds"]
    return point[amount] / max(seconds), point[amount] / statistics.median(seconds), point[amount] / min(seconds)


def _ratios(slower: Point, faster: Point) -> tuple[float, float, float]:
    """Return how many times as long one takes as the other: the lowest ratio of a round, the ratio of the medians, and the highest."""
    rounds = [a / b for a, b in zip(slower["seconds"], faster["seconds"], strict=True)]
    return min(rounds), statistics.median(slower["seconds"]) / statistics.median(faster["seconds"]), max(rounds)


def growth_tables(results: Mapping[str, Any]) -> list[str]:
    """Return the results of `measure_growth` as lines of Markdown, with a heading of the third level for each curve."""
    method = (
        f"All tables except the last are for one thread. The peer is {results['peer']}, measured in the same rounds. Its vectors were first compared "
        f"on a sample, and agree to within 2e-6. Numbers are medians, and the brackets show the lowest and the highest of a round. All measurements "
        f"together took {results['seconds']:,.0f} s."
    )
    lines = [method]
    for name, curve in results["curves"].items():
        before, after = curve["load_average"]
        busy = "" if before is None else f" Load average {before} before, {after} after."
        left_out = f" Left out: {'; '.join(curve['left_out'])}."
        lines += ["", f"### {_TITLES[name]}", "", f"{curve['inputs']}{left_out}{busy}", "", *_TABLES[name](curve["points"])]
    return lines


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose columns are all aligned to the right."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["--:"] * len(head), *rows)]


def _spread(values: tuple[float, float, float], form: str = ",.0f") -> str:
    low, middle, high = (f"{value:{form}}" for value in values)
    return f"{middle} ({low} to {high})"


def _beside(points: Iterable[Point], amount: str, scale: float = 1.0, kind: str = "", form: str = ",.0f") -> dict[int, list[str]]:
    """Return the cells of each size: this package's rate, the peer's rate and the ratio."""
    points = list(points)
    peers = {point["size"]: point for point in _of(points, PEER, kind)}
    cells = {}
    for point in _of(points, OURS, kind):
        peer = peers.get(point["size"])
        ours = _spread(_scaled(_rates(point, amount), scale), form)
        theirs = [_spread(_scaled(_rates(peer, amount), scale), form), _spread(_ratios(peer, point), ".1f")] if peer else ["", ""]
        cells[point["size"]] = [ours, *theirs]
    return cells


def _scaled(values: tuple[float, float, float], scale: float) -> tuple[float, float, float]:
    low, middle, high = values
    return low / scale, middle / scale, high / scale


def _texts_table(points: list[Point]) -> list[str]:
    cells = _beside(points, "texts")
    each = {point["size"]: 1e6 / _rates(point, "texts")[1] for point in _of(points, OURS)}
    head = ["texts in a call", "µs for a text", f"{OURS}, texts/s", f"{PEER}, texts/s", "ratio"]
    return _markdown(head, ([f"{size:,}", f"{each[size]:.2f}", *row] for size, row in cells.items()))


def _length_table(points: list[Point]) -> list[str]:
    megabytes = _beside(points, "bytes", 1e6, form=",.3g")
    texts = {point["size"]: _rates(point, "texts")[1] for point in _of(points, OURS)}
    head = ["bytes of a text", f"{OURS}, texts/s", f"{OURS}, MB/s", f"{PEER}, MB/s", "ratio"]
    return _markdown(head, ([f"{size:,}", f"{texts[size]:,.0f}", *row] for size, row in megabytes.items()))


def _vocabulary_table(points: list[Point]) -> list[str]:
    head = ["tokens", OURS, PEER, "ratio"]
    lines = []
    for kind in (ZIPF, UNIFORM):
        cells = _beside(points, "tokens", 1e6, kind, ".3g")
        lines += [f"Million tokens/s, {_KIND_WORDS[kind]}:", "", *_markdown(head, ([f"{size:,}", *row] for size, row in cells.items())), ""]
    peers = {point["size"]: point for point in _of(points, PEER, LOAD)}
    rows = []
    for point in _of(points, OURS, LOAD):
        peer = peers.get(point["size"])
        theirs = [_spread(_milliseconds(peer), ",.1f"), _spread(_ratios(peer, point), ".1f")] if peer else ["", ""]
        rows.append([f"{point['size']:,}", _spread(_milliseconds(point), ",.1f"), *theirs])
    return [*lines, "Milliseconds to load and to the first vector:", "", *_markdown(head, rows)]


def _milliseconds(point: Point) -> tuple[float, float, float]:
    seconds: list[float] = point["seconds"]
    return 1e3 * min(seconds), 1e3 * statistics.median(seconds), 1e3 * max(seconds)


def _dimensions_table(points: list[Point]) -> list[str]:
    (limit,) = _of(points, READ)
    lines = [f"A plain read: {_spread(_scaled(_rates(limit, 'bytes'), 1e9), '.1f')} GB/s."]
    for kind in (ZIPF, UNIFORM):
        chosen = sorted((point for point in points if point["kind"] == kind), key=lambda point: float(point["size"]))
        rows = []
        for point in chosen:
            tokens, read = _scaled(_rates(point, "tokens"), 1e6), _scaled(_rates(point, "bytes"), 1e9)
            rows.append([f"{point['size']:,}", point["series"], _spread(tokens, ".3g"), _spread(read, ".3g")])
        head = ["dimensions", "stored as", "million tokens/s", "rows read, GB/s"]
        lines += ["", f"Ids {_KIND_WORDS[kind]}:", "", *_markdown(head, rows)]
    return lines


def _threads_table(points: list[Point]) -> list[str]:
    ours, alone = _of(points, OURS), _of(points, INDEPENDENT)
    rows = (
        [f"{point['size']}", _spread(_rates(point, "texts")), _spread(_gains(ours[0], point), ".2f"), _spread(_gains(alone[0], other), ".2f")]
        for point, other in zip(ours, alone, strict=True)
    )
    return _markdown(["threads", "texts/s", "times as fast as one thread", INDEPENDENT], rows)


def _gains(one: Point, several: Point) -> tuple[float, float, float]:
    """Return how many times as much several threads do as one thread in the same time."""
    amount = "texts" if "texts" in one else "additions"
    return _scaled(_ratios(one, several), one[amount] / several[amount])


def draw_growth(results: Mapping[str, Any]) -> dict[str, Callable[[], Figure]]:
    """Return functions that draw the results of `measure_growth`, by the name of the figure. Each call uses matplotlib's current settings."""
    draws = {"texts": _draw_texts, "length": _draw_length, "vocabulary": _draw_vocabulary, "dimensions": _draw_dimensions, "threads": _draw_threads}
    return {f"growth-{name}": partial(draws[name], curve["points"]) for name, curve in results["curves"].items()}


_SERIES_COLOURS = {
    OURS: COLOURS[2],
    PEER: COLOURS[0],
    INDEPENDENT: COLOURS[1],
    "float32": COLOURS[4],
    "float16": COLOURS[1],
    "int8": COLOURS[2],
}
_KIND_STYLES = {UNIFORM: "--"}
_KIND_WORDS = {ZIPF: "drawn as words occur", UNIFORM: "drawn uniformly"}


def _plot(axes: Any, points: list[Point], values: Callable[[Point], tuple[float, float, float]], label: str | None = None) -> None:
    """Draw a line through the medians, in a band from the lowest to the highest round."""
    if not points:
        return
    colour = _SERIES_COLOURS[points[0]["series"]]
    sizes = [point["size"] for point in points]
    low, middle, high = zip(*map(values, points), strict=True)
    axes.fill_between(sizes, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(sizes, middle, marker="o", markersize=4, color=colour, linestyle=_KIND_STYLES.get(points[0]["kind"], "-"), label=label)


def _rate_of(amount: str, scale: float = 1.0) -> Callable[[Point], tuple[float, float, float]]:
    return lambda point: _scaled(_rates(point, amount), scale)


def _logarithmic(axis: Any, unit: str = "", finer: bool = False) -> None:
    """Set ticks at the powers of ten, such as 10 k. `finer`: also between them."""
    if finer:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(EngFormatter(unit=unit))
    axis.set_minor_formatter(NullFormatter())


def _legend(axes: Any, columns: int) -> None:
    """Put the legend above the panel, where it covers no data."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, borderaxespad=0, fontsize=9, handlelength=3)


def _draw_texts(points: list[Point]) -> Figure:
    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlabel="texts in a call", ylabel="texts/s, one thread\n(more is better)")
    for series in (OURS, PEER):
        _plot(axes, _of(points, series), _rate_of("texts"), series)
    _logarithmic(axes.xaxis)
    _logarithmic(axes.yaxis)
    _legend(axes, 2)
    return figure


def _two_panels(x: str, upper_y: str, lower_y: str) -> tuple[Figure, Any, Any]:
    """Return a figure with two panels, one above the other, that share an axis. All axes are logarithmic."""
    figure = Figure(figsize=(8, 7))
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.set(xscale="log", yscale="log", ylabel=upper_y)
    lower.set(yscale="log", xlabel=x, ylabel=lower_y)
    return figure, upper, lower


def _draw_length(points: list[Point]) -> Figure:
    labels = "texts/s, one thread\n(more is better)", "bytes/s, one thread\n(more is better)"
    figure, texts, megabytes = _two_panels("length of a text, UTF-8", *labels)
    for series in (OURS, PEER):
        _plot(texts, _of(points, series), _rate_of("texts"), series)
        _plot(megabytes, _of(points, series), _rate_of("bytes"))
    _logarithmic(texts.yaxis)
    _logarithmic(megabytes.xaxis, "B")
    _logarithmic(megabytes.yaxis, "B")
    _legend(texts, 2)
    return figure


def _draw_vocabulary(points: list[Point]) -> Figure:
    labels = "tokens/s, one thread\n(more is better)", "seconds to the first vector\n(less is better)"
    figure, speed, load = _two_panels("tokens in the vocabulary", *labels)
    for series in (OURS, PEER):
        for kind in (ZIPF, UNIFORM):
            _plot(speed, _of(points, series, kind), _rate_of("tokens"), f"{series}, {_KIND_WORDS[kind]}")
        _plot(load, _of(points, series, LOAD), lambda point: _scaled(_milliseconds(point), 1e3))
    _logarithmic(load.xaxis)
    load.set_xticks(sorted({point["size"] for point in points}))
    _logarithmic(speed.yaxis)
    _logarithmic(load.yaxis, "s", finer=True)
    _legend(speed, 2)
    return figure


def _draw_dimensions(points: list[Point]) -> Figure:
    figure = Figure(figsize=(9, 7))
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    (limit,) = _of(points, READ)
    low, middle, high = _scaled(_rates(limit, "bytes"), 1e9)
    ink = mpl.rcParams["text.color"]
    for (tokens, read), kind in zip(panels.T, (ZIPF, UNIFORM), strict=True):
        for series in ("float32", "float16", "int8"):
            chosen = _of(points, series, kind)
            # The kinds are in panels of their own, and need no styles.
            chosen = [{**point, "kind": ""} for point in chosen]
            _plot(tokens, chosen, _rate_of("tokens"), series)
            _plot(read, chosen, _rate_of("bytes", 1e9))
        read.axhspan(low, high, color=ink, alpha=0.15, linewidth=0)
        tokens.plot([], [], color=ink, linestyle=":", label="plain read of memory")
        read.axhline(middle, color=ink, linestyle=":")
        tokens.set_xscale("log", base=2)
        tokens.set(yscale="log", title=f"ids {_KIND_WORDS[kind]}")
        read.set(xlabel="dimensions", ylim=(0, None))
        read.set_xticks(sorted({point["size"] for point in chosen}))
        read.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
        _logarithmic(tokens.yaxis)
    panels[0, 0].set_ylabel("pooled tokens/s, one thread\n(more is better)")
    panels[1, 0].set_ylabel("rows read, GB/s")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, 0.94), ncols=4, fontsize=9)
    return figure


def _draw_threads(points: list[Point]) -> Figure:
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    counts = [point["size"] for point in _of(points, OURS)]
    axes.plot(counts, counts, color=mpl.rcParams["text.color"], linestyle=":", label="ideal")
    for series, label in ((INDEPENDENT, "threads that share nothing"), (OURS, OURS)):
        chosen = _of(points, series)
        _plot(axes, chosen, partial(_gains, chosen[0]), label)
    axes.set(xlabel="threads", ylabel="times as fast as one thread\n(more is better)", ylim=(0, None))
    axes.set_xticks(counts)
    _legend(axes, 3)
    return figure


_TITLES = {
    "texts": "The number of texts",
    "length": "The length of a text",
    "vocabulary": "The size of the vocabulary",
    "dimensions": "The number of dimensions",
    "threads": "The number of threads",
}
_TABLES: dict[str, Callable[[list[Point]], list[str]]] = {
    "texts": _texts_table,
    "length": _length_table,
    "vocabulary": _vocabulary_table,
    "dimensions": _dimensions_table,
    "threads": _threads_table,
}
