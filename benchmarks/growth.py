"""How the cost grows: with the number of texts, their length, the vocabulary, the dimensions and the threads.

``python -m benchmarks.growth -o FOLDER`` measures each as a curve and writes figures, tables and JSON; ``--quick`` makes everything small.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib as mpl
import model2vec
import numba
import numpy as np
import psutil
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

import model2vec_numba
from benchmarks.corpora import default_corpora
from benchmarks.figures import COLOURS, markdown_picture, note_of, save_figure
from benchmarks.large_models import write_wordpiece_model
from benchmarks.machine import describe_machine
from benchmarks.test_encode import check_vectors
from model2vec_numba import StaticModel
from model2vec_numba.cli.turns import take_turns, timed
from model2vec_numba.pooling import EmbeddingTable, make_table, pool
from model2vec_numba.threads import threads_of_call
from model2vec_numba.tokenization import TokenBatch

__all__ = ["CAPTIONS", "CURVES", "draw_growth", "growth_tables", "measure_growth"]

CURVES = ("texts", "length", "vocabulary", "dimensions", "threads")
# What each figure shows, for those who do not see it.
CAPTIONS = {
    "growth-texts": "Texts encoded in a second over the number of texts in a call",
    "growth-length": "Texts and bytes encoded in a second over the length of a text",
    "growth-vocabulary": "Tokens encoded in a second and the time to load over the size of the vocabulary",
    "growth-dimensions": "Tokens pooled and bytes of rows read in a second over the number of dimensions, with what a plain read of memory reaches",
    "growth-threads": "How many times as fast several threads are as one, beside the ideal",
}

_Point = dict[str, Any]
_Encode = Callable[[list[str]], object]

_OURS, _PEER = "model2vec-numba", "model2vec"
_BUNDLED = Path(model2vec_numba.__file__).parent / "default_model"
_READ, _ALONE = "plain read", "independent work"
_ZIPF, _UNIFORM, _LOAD = "zipf", "uniform", "load"
_TOLERANCE = 2e-6

# Wide enough for the models that are made here.
_DIM = 256
# Ten million vectors of 32 dimensions are 1.3 GB, of the bundled model's 256 they would be 10 GB.
_FEW_DIMS = 32
_WORDS = 8
_TOKENS = 50
# The vectors of all words of a megabyte are 180 MB: how long the system takes to find them is no matter of a text's length.
_MOST_IN_A_CALL = 10_000
# The additions of each thread that does nothing else: some 20 ms.
_ADDITIONS = 20_000_000


@dataclass(frozen=True)
class _Sizes:
    """How large everything is.

    Attributes:
        texts, peer_texts: numbers of texts in a call, and the most for the peer.
        texts_each: the fewest texts of a round: smaller numbers are called as often as it takes.
        pool: the number of texts that are distinct.
        lengths, peer_length: bytes of a text, 0 for a word, and the most for the peer.
        length_bytes: the bytes of a round.
        rows, peer_rows: tokens of a vocabulary, and the most for the peer.
        vocabulary_texts: the texts of a round.
        table_rows, dims: of the tables that are pooled from.
        pooled_tokens: the tokens of a round.
        read_bytes: the bytes of a plain read: many times what the last cache holds.
        thread_bytes: the bytes that threads share.
        rounds, large_rounds: the rounds of a curve, and of numbers of texts above the peer's.
        round_seconds: work that takes less is repeated.
    """

    texts: tuple[int, ...]
    peer_texts: int
    texts_each: int
    pool: int
    lengths: tuple[int, ...]
    peer_length: int
    length_bytes: int
    rows: tuple[int, ...]
    peer_rows: int
    vocabulary_texts: int
    table_rows: int
    dims: tuple[int, ...]
    pooled_tokens: int
    read_bytes: int
    thread_bytes: int
    rounds: int
    large_rounds: int
    round_seconds: float


_FULL = _Sizes(
    texts=tuple(10**i for i in range(1, 8)),
    peer_texts=100_000,
    texts_each=10_000,
    pool=1_000_000,
    lengths=(0, 20, 60, 200, 600, 2_000, 6_000, 20_000, 100_000, 300_000, 1_000_000),
    peer_length=100_000,
    length_bytes=1_000_000,
    rows=(10_000, 30_000, 100_000, 300_000, 1_000_000),
    peer_rows=100_000,
    vocabulary_texts=8_000,
    table_rows=30_000,
    dims=(32, 64, 128, 256, 512, 1024),
    pooled_tokens=200_000,
    read_bytes=1 << 30,
    thread_bytes=20_000_000,
    rounds=7,
    large_rounds=3,
    round_seconds=0.1,
)
_QUICK = _Sizes(
    texts=(10, 100, 1_000, 10_000),
    peer_texts=1_000,
    texts_each=1_000,
    pool=10_000,
    lengths=(0, 60, 1_000, 10_000, 100_000),
    peer_length=10_000,
    length_bytes=100_000,
    rows=(10_000, 30_000),
    peer_rows=10_000,
    vocabulary_texts=400,
    table_rows=10_000,
    dims=(32, 256, 1024),
    pooled_tokens=20_000,
    read_bytes=1 << 27,
    thread_bytes=2_000_000,
    rounds=5,
    large_rounds=1,
    round_seconds=0.02,
)


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds, to see that it works")
    parser.add_argument("--curve", action="append", choices=CURVES, help="measure this curve alone; may be given more than once")
    arguments = parser.parse_args()
    results = measure_growth(quick=arguments.quick, curves=arguments.curve or CURVES)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "growth.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    figures = draw_growth(results)
    for name, draw in figures.items():
        save_figure(draw, arguments.output / name, note_of(name, results["machine"]))
    pictures = [markdown_picture(name, CAPTIONS[name]) for name in figures]
    lines = ["# How the cost grows", "", results["machine"], "", *growth_tables(results), "", *pictures]
    (arguments.output / "growth.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure_growth(*, quick: bool, curves: Iterable[str] = CURVES) -> dict[str, Any]:
    """Measure curves, all with one thread but the last.

    Args:
        quick: small sizes and few rounds: half a minute instead of ten.
        curves: which, of `CURVES`.

    Returns:
        What JSON can hold: "machine", "quick", "peer", "seconds" in all, and "curves": for each its "inputs" and its "left_out" in words,
        the "load_average" before and after, and its "points". A point has a "series" and a "kind" of it, a "size", what a round worked on
        ("texts", "bytes", "tokens"), and the "seconds" of each round.
    """
    sizes = _QUICK if quick else _FULL
    measures = {"texts": _texts, "length": _length, "vocabulary": _vocabulary, "dimensions": _dimensions, "threads": _threads}
    found: dict[str, Any] = {}
    begin = time.perf_counter()
    for name in curves:
        before = _load_average()
        found[name] = {**measures[name](sizes), "load_average": [before, _load_average()]}
    seconds = round(time.perf_counter() - begin, 1)
    peer = f"{_PEER} {version(_PEER)}"
    return {"machine": describe_machine(), "quick": quick, "peer": peer, "seconds": seconds, "curves": found}


def _load_average() -> float | None:
    """How many threads ran or waited in the last minute, this process among them, where the system says so."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


@dataclass(frozen=True)
class _Case:
    """A point to measure: `amounts` says what one call of `work` works on."""

    series: str
    kind: str
    size: int
    work: Callable[[], object]
    amounts: Mapping[str, int]


def _take(cases: Sequence[_Case], sizes: _Sizes, rounds: int | None = None) -> list[_Point]:
    """Time all cases in turns, so that what slows the machine for a while slows the whole curve, and not a piece of it.

    Short work is repeated within a round, which gives the time of one: what another process takes is a share of it then, and not all or nothing.
    """
    contestants = {}
    for i, case in enumerate(cases):
        # What runs for the first time compiles and fills caches, which says too much of short work.
        once = timed(case.work)()
        if once < 1:
            once = timed(case.work)()
        contestants[str(i)] = partial(_repeated, case.work, max(1, math.ceil(sizes.round_seconds / max(once, 1e-6))))
    turns = take_turns(contestants, rounds=rounds or sizes.rounds)
    return [
        {"series": case.series, "kind": case.kind, "size": case.size, **case.amounts, "seconds": [float(f"{value:.6g}") for value in seconds]}
        for case, seconds in zip(cases, turns.seconds.values(), strict=True)
    ]


def _repeated(work: Callable[[], object], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begin) / times


def _engines(folder: Path, dim: int | None = None) -> dict[str, tuple[_Encode, Any]]:
    """Both packages' `encode`, with one thread and whole texts, and the models that they belong to."""
    ours = StaticModel.from_pretrained(folder, max_length=None, dimensionality=dim)
    theirs = model2vec.StaticModel.from_pretrained(folder, max_length=None, dimensionality=dim)
    # Above 10,000 texts model2vec would start threads of its own.
    return {_OURS: (partial(ours.encode, num_threads=1), ours), _PEER: (partial(theirs.encode, use_multiprocessing=False), theirs)}


def _check(texts: list[str], engines: Mapping[str, tuple[_Encode, Any]]) -> None:
    check_vectors(texts, engines[_OURS][1], engines[_PEER][1])


def _in_calls(encode: _Encode, calls: Iterable[list[str]]) -> None:
    for texts in calls:
        encode(texts)


def _bytes(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def _prose() -> list[str]:
    return next(default_corpora()).texts


def _texts(sizes: _Sizes) -> dict[str, Any]:
    """The number of texts in a call."""
    engines = _engines(_BUNDLED, _FEW_DIMS)
    words, draw = " ".join(_prose()).split(), random.Random(1)
    # Half of what is free is left to others.
    free = psutil.virtual_memory().available // 2
    counts = [count for count in sizes.texts if count * (4 * _FEW_DIMS + 8) + min(count, sizes.pool) * 150 < free]
    distinct = [" ".join(draw.choices(words, k=_WORDS)) for _ in range(min(sizes.pool, max(counts)))]
    _check(distinct[:2000], engines)
    size = _bytes(distinct)
    small: list[_Case] = []
    large: list[_Case] = []
    for count in counts:
        total = max(count, sizes.texts_each)
        repeated = distinct[:total] * -(-total // len(distinct))
        calls = [repeated[first : first + count] for first in range(0, total, count)]
        amounts = {"texts": total, "bytes": size * total // len(distinct)}
        for name, (encode, _) in engines.items():
            if name == _OURS or count <= sizes.peer_texts:
                group = small if count <= sizes.peer_texts else large
                group.append(_Case(name, "", count, partial(_in_calls, encode, calls), amounts))
    points = _take(small, sizes) + (_take(large, sizes, sizes.large_rounds) if large else [])
    left_out = [f"{_PEER} above {sizes.peer_texts:,} texts, for the time it would take"]
    if missing := [count for count in sizes.texts if count not in counts]:
        left_out.append(f"{' and '.join(f'{count:,}' for count in missing)} texts, for want of memory")
    return {
        "inputs": f"The bundled model, int8, {_FEW_DIMS} of its dimensions. Texts of {_WORDS} words drawn from the prose of Python's documentation, "
        f"{size / len(distinct):.0f} bytes on average, {len(distinct):,} of them distinct, in larger numbers repeated. Numbers up to "
        f"{sizes.texts_each:,} encode the same {sizes.texts_each:,} texts in as many calls as that takes. Rounds: {sizes.rounds}, above "
        f"{sizes.peer_texts:,} texts {sizes.large_rounds}. The time in which the system finds the memory for the vectors, up to "
        f"{max(counts) * _FEW_DIMS * 4 / 1e9:.2g} GB, is part of a call's.",
        "left_out": left_out,
        "points": points,
    }


def _length(sizes: _Sizes) -> dict[str, Any]:
    """The length of a text. All lengths are cuts of the same text."""
    engines = _engines(_BUNDLED)
    words = list(_until(itertools.cycle(" ".join(_prose()).split()), sizes.length_bytes))
    cases = []
    for length in sizes.lengths:
        texts = _cut(words, length)
        calls = [texts[first : first + _MOST_IN_A_CALL] for first in range(0, len(texts), _MOST_IN_A_CALL)]
        amounts = {"texts": len(texts), "bytes": _bytes(texts)}
        for name, (encode, _) in engines.items():
            if name == _OURS or length <= sizes.peer_length:
                cases.append(_Case(name, "", round(amounts["bytes"] / len(texts)), partial(_in_calls, encode, calls), amounts))
        if length <= sizes.peer_length:
            _check(texts[:: len(texts) // 500 + 1], engines)
    return {
        "inputs": f"The bundled model, int8, {engines[_OURS][1].dim} dimensions, no limit to the length. The prose of Python's documentation, "
        f"{sizes.length_bytes:,} bytes, cut between words into texts of each length, the shortest of one word, {_MOST_IN_A_CALL:,} at most in a "
        f"call. Rounds: {sizes.rounds}.",
        "left_out": [f"{_PEER} above {sizes.peer_length:,} bytes, for the time it would take"],
        "points": _take(cases, sizes),
    }


def _until(words: Iterable[str], size: int) -> Iterable[str]:
    """The first words that together, with a space behind each, have at least so many bytes."""
    total = 0
    for word in words:
        yield word
        total += len(word.encode()) + 1
        if total >= size:
            return


def _cut(words: list[str], length: int) -> list[str]:
    """All words in texts of about `length` bytes, or of one word for 0; what is left over at the end goes to the last text."""
    if not length:
        return words
    texts: list[str] = []
    rest = iter(words)
    while part := list(_until(rest, length)):
        text = " ".join(part)
        if texts and len(text.encode()) < length // 2:
            texts[-1] += " " + text
        else:
            texts.append(text)
    return texts


def _vocabulary(sizes: _Sizes) -> dict[str, Any]:
    """The number of tokens: encoding, and loading."""
    cases, loads = [], []
    with tempfile.TemporaryDirectory() as parent:
        for rows in sizes.rows:
            folder = Path(parent) / str(rows)
            write_wordpiece_model(folder, rows, _DIM)
            loaders: dict[str, Callable[[Path], Any]] = {_OURS: StaticModel.from_pretrained, _PEER: model2vec.StaticModel.from_pretrained}
            engines = _engines(folder)
            if rows > sizes.peer_rows:
                del engines[_PEER]
            for kind in (_ZIPF, _UNIFORM):
                # Token 0 is the unknown one.
                ids = 1 + _draw_ids(kind, rows - 1, sizes.vocabulary_texts * _TOKENS)
                texts = [" ".join(f"w{i}" for i in part) for part in ids.reshape(-1, _TOKENS).tolist()]
                amounts = {"texts": len(texts), "bytes": _bytes(texts), "tokens": ids.size}
                if _PEER in engines:
                    _check(texts[:500], engines)
                cases += [_Case(name, kind, rows, partial(encode, texts), amounts) for name, (encode, _) in engines.items()]
            loads += [_Case(name, _LOAD, rows, partial(_load_and_encode, loaders[name], folder), {"texts": 1}) for name in engines]
        points = _take(cases, sizes) + _take(loads, sizes)
    return {
        "inputs": f"Models made for it, with WordPiece, int8, {_DIM} dimensions. {sizes.vocabulary_texts:,} texts of {_TOKENS} tokens, drawn as "
        "words occur (the one of rank r is 1 / r as likely as the first) and uniformly. Loading is from files that the system has in memory to the "
        f"first vector. Rounds: {sizes.rounds}.",
        "left_out": [f"{_PEER} above {sizes.peer_rows:,} tokens, for the time it would take"],
        "points": points,
    }


def _load_and_encode(load: Callable[[Path], Any], folder: Path) -> None:
    # Whatever is put off until it is needed is needed now.
    load(folder).encode(["w1 w2 w3"])


def _draw_ids(kind: str, rows: int, count: int) -> NDArray[np.int32]:
    draw = np.random.default_rng(rows)
    if kind == _UNIFORM:
        return draw.integers(0, rows, count, np.int32)
    likely = 1 / np.arange(1, rows + 1)
    return draw.choice(rows, count, p=likely / likely.sum()).astype(np.int32)


def _dimensions(sizes: _Sizes) -> dict[str, Any]:
    """The number of dimensions: pooling alone, and what memory allows."""
    cases = []
    for kind in (_ZIPF, _UNIFORM):
        ids = _draw_ids(kind, sizes.table_rows, sizes.pooled_tokens)
        tokens = TokenBatch(ids, np.arange(0, len(ids) + 1, _TOKENS, dtype=np.int64))
        for dim, dtype in itertools.product(sizes.dims, ("float32", "float16", "int8")):
            table = _table(sizes.table_rows, dim, dtype)
            out = np.empty((len(tokens), dim), np.float32)
            work = partial(_pool, table, tokens, out)
            work()
            _check_pooled(table, tokens, out)
            amounts = {"texts": len(tokens), "tokens": len(ids), "bytes": len(ids) * dim * table.matrix.itemsize}
            cases.append(_Case(dtype, kind, dim, work, amounts))
    # Zeros would all be one page of memory.
    values = np.ones(sizes.read_bytes // 8, np.int64)
    cases.append(_Case(_READ, "", 0, partial(_read, values), {"bytes": values.nbytes}))
    return {
        "inputs": f"Tables of {sizes.table_rows:,} rows, whose ids are drawn as words occur (the one of rank r is 1 / r as likely as the first) and "
        f"uniformly, {sizes.pooled_tokens:,} of them in texts of {_TOKENS} tokens. The plain read, in the same rounds, sums "
        f"{sizes.read_bytes / 1e9:.2f} GB from end to end. Rows that a cache holds may come faster. Rounds: {sizes.rounds}.",
        "left_out": [f"{_PEER}: it has no call that pools alone"],
        "points": _take(cases, sizes),
    }


def _table(rows: int, dim: int, dtype: str) -> EmbeddingTable:
    values = np.random.default_rng(dim).integers(-127, 128, (rows, dim), np.int8)
    return make_table(values.astype(dtype), dtype, None, None, size=rows, source="benchmark")


def _pool(table: EmbeddingTable, tokens: TokenBatch, out: NDArray[np.float32]) -> None:
    with threads_of_call(1):
        pool(table, tokens, True, out)


def _check_pooled(table: EmbeddingTable, tokens: TokenBatch, out: NDArray[np.float32]) -> None:
    """Fail unless the first vectors are the normalised means."""
    means = np.stack([table.matrix[part].astype(np.float64).mean(axis=0) for part in np.split(tokens.ids, tokens.offsets[1:-1])[:100]])
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(out[: len(expected)], expected, rtol=0, atol=_TOLERANCE)


@numba.njit(nogil=True)
def _read(values: NDArray[np.int64]) -> int:
    total = 0
    for value in values:
        total += value
    return total


@numba.njit(nogil=True)
def _add(count: int) -> float:
    # Each addition waits for the one before, in whatever order a compiler may put integers.
    total = 0.0
    for _ in range(count):
        total += 1.0
    return total


def _threads(sizes: _Sizes) -> dict[str, Any]:
    """The number of threads: paragraphs, and what the cores give to threads that share nothing, which is less where others use them."""
    model = StaticModel.from_pretrained(_BUNDLED)
    prose = _prose()
    texts = prose * -(-sizes.thread_bytes // _bytes(prose))
    amounts = {"texts": len(texts), "bytes": _bytes(texts)}
    # numba's number heeds the processor affinity; more threads than that no call has.
    cores = int(numba.config.NUMBA_NUM_THREADS)
    counts = sorted({cores, *range(1, min(cores, 8) + 1), *(1 << i for i in range(cores.bit_length()))})
    expected = model.encode(texts, num_threads=1)
    cases = []
    for count in counts:
        work = partial(model.encode, texts, num_threads=count)
        if not np.array_equal(work(), expected):
            raise RuntimeError(f"the vectors of {count} threads are not those of one")
        cases += [_Case(_OURS, "", count, work, amounts), _Case(_ALONE, "", count, partial(_add_at_once, count), {"additions": count * _ADDITIONS})]
    rounds = 3 * sizes.rounds
    return {
        "inputs": f"The bundled model, int8, {model.dim} dimensions. {len(texts):,} paragraphs of Python's documentation, {len(prose):,} of them "
        f"distinct, {amounts['bytes'] / 1e6:.0f} MB. Beside it, in the same rounds, as many threads add numbers and share nothing: what the cores "
        f"gave at the time. Rounds: {rounds}.",
        "left_out": [f"{_PEER}: its curves are of one thread"],
        "points": _take(cases, sizes, rounds),
    }


def _add_at_once(count: int) -> None:
    threads = [threading.Thread(target=_add, args=(_ADDITIONS,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _of(points: Iterable[_Point], series: str, kind: str = "") -> list[_Point]:
    """A series' points, in the order of their sizes."""
    return sorted((point for point in points if point["series"] == series and point["kind"] == kind), key=lambda point: float(point["size"]))


def _rates(point: _Point, amount: str) -> tuple[float, float, float]:
    """So many in a second: of the slowest round, of the median, of the fastest."""
    seconds: list[float] = point["seconds"]
    return point[amount] / max(seconds), point[amount] / statistics.median(seconds), point[amount] / min(seconds)


def _ratios(slower: _Point, faster: _Point) -> tuple[float, float, float]:
    """How many times as long one takes as the other: the lowest of a round, the ratio of the medians, the highest."""
    rounds = [a / b for a, b in zip(slower["seconds"], faster["seconds"], strict=True)]
    return min(rounds), statistics.median(slower["seconds"]) / statistics.median(faster["seconds"]), max(rounds)


def growth_tables(results: Mapping[str, Any]) -> list[str]:
    """The numbers of what `measure_growth` has found, as lines of Markdown: a heading of the third level for each curve."""
    method = (
        f"One thread, but for the last table. The peer is {results['peer']}, in the same rounds, after its vectors were found to be the same to "
        f"within 2e-6 on a sample. Numbers are medians, in brackets the lowest and the highest of a round. All took {results['seconds']:,.0f} s."
    )
    lines = [method]
    for name, curve in results["curves"].items():
        before, after = curve["load_average"]
        busy = "" if before is None else f" Load average {before} before, {after} after."
        left_out = f" Left out: {'; '.join(curve['left_out'])}."
        lines += ["", f"### {_TITLES[name]}", "", f"{curve['inputs']}{left_out}{busy}", "", *_TABLES[name](curve["points"])]
    return lines


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table whose columns are all aligned to the right."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["--:"] * len(head), *rows)]


def _spread(values: tuple[float, float, float], form: str = ",.0f") -> str:
    low, middle, high = (f"{value:{form}}" for value in values)
    return f"{middle} ({low} to {high})"


def _beside(points: Iterable[_Point], amount: str, scale: float = 1.0, kind: str = "", form: str = ",.0f") -> dict[int, list[str]]:
    """For each size a cell for this package's rate, for the peer's and for the ratio."""
    points = list(points)
    peers = {point["size"]: point for point in _of(points, _PEER, kind)}
    cells = {}
    for point in _of(points, _OURS, kind):
        peer = peers.get(point["size"])
        ours = _spread(_scaled(_rates(point, amount), scale), form)
        theirs = [_spread(_scaled(_rates(peer, amount), scale), form), _spread(_ratios(peer, point), ".1f")] if peer else ["", ""]
        cells[point["size"]] = [ours, *theirs]
    return cells


def _scaled(values: tuple[float, float, float], scale: float) -> tuple[float, float, float]:
    low, middle, high = values
    return low / scale, middle / scale, high / scale


def _texts_table(points: list[_Point]) -> list[str]:
    cells = _beside(points, "texts")
    each = {point["size"]: 1e6 / _rates(point, "texts")[1] for point in _of(points, _OURS)}
    head = ["texts in a call", "µs for a text", f"{_OURS}, texts/s", f"{_PEER}, texts/s", "ratio"]
    return _markdown(head, ([f"{size:,}", f"{each[size]:.2f}", *row] for size, row in cells.items()))


def _length_table(points: list[_Point]) -> list[str]:
    megabytes = _beside(points, "bytes", 1e6, form=",.3g")
    texts = {point["size"]: _rates(point, "texts")[1] for point in _of(points, _OURS)}
    head = ["bytes of a text", f"{_OURS}, texts/s", f"{_OURS}, MB/s", f"{_PEER}, MB/s", "ratio"]
    return _markdown(head, ([f"{size:,}", f"{texts[size]:,.0f}", *row] for size, row in megabytes.items()))


def _vocabulary_table(points: list[_Point]) -> list[str]:
    head = ["tokens", _OURS, _PEER, "ratio"]
    lines = []
    for kind in (_ZIPF, _UNIFORM):
        cells = _beside(points, "tokens", 1e6, kind, ".3g")
        lines += [f"Million tokens/s, {_KIND_WORDS[kind]}:", "", *_markdown(head, ([f"{size:,}", *row] for size, row in cells.items())), ""]
    peers = {point["size"]: point for point in _of(points, _PEER, _LOAD)}
    rows = []
    for point in _of(points, _OURS, _LOAD):
        peer = peers.get(point["size"])
        theirs = [_spread(_milliseconds(peer), ",.1f"), _spread(_ratios(peer, point), ".1f")] if peer else ["", ""]
        rows.append([f"{point['size']:,}", _spread(_milliseconds(point), ",.1f"), *theirs])
    return [*lines, "Milliseconds to load and to the first vector:", "", *_markdown(head, rows)]


def _milliseconds(point: _Point) -> tuple[float, float, float]:
    seconds: list[float] = point["seconds"]
    return 1e3 * min(seconds), 1e3 * statistics.median(seconds), 1e3 * max(seconds)


def _dimensions_table(points: list[_Point]) -> list[str]:
    (limit,) = _of(points, _READ)
    lines = [f"A plain read: {_spread(_scaled(_rates(limit, 'bytes'), 1e9), '.1f')} GB/s."]
    for kind in (_ZIPF, _UNIFORM):
        chosen = sorted((point for point in points if point["kind"] == kind), key=lambda point: float(point["size"]))
        rows = []
        for point in chosen:
            tokens, read = _scaled(_rates(point, "tokens"), 1e6), _scaled(_rates(point, "bytes"), 1e9)
            rows.append([f"{point['size']:,}", point["series"], _spread(tokens, ".3g"), _spread(read, ".3g")])
        head = ["dimensions", "stored as", "million tokens/s", "rows read, GB/s"]
        lines += ["", f"Ids {_KIND_WORDS[kind]}:", "", *_markdown(head, rows)]
    return lines


def _threads_table(points: list[_Point]) -> list[str]:
    ours, alone = _of(points, _OURS), _of(points, _ALONE)
    rows = (
        [f"{point['size']}", _spread(_rates(point, "texts")), _spread(_gains(ours[0], point), ".2f"), _spread(_gains(alone[0], other), ".2f")]
        for point, other in zip(ours, alone, strict=True)
    )
    return _markdown(["threads", "texts/s", "times as fast as one thread", _ALONE], rows)


def _gains(one: _Point, several: _Point) -> tuple[float, float, float]:
    """How many times as much several threads do in the same time as one."""
    amount = "texts" if "texts" in one else "additions"
    return _scaled(_ratios(one, several), one[amount] / several[amount])


def draw_growth(results: Mapping[str, Any]) -> dict[str, Callable[[], Figure]]:
    """The figures of what `measure_growth` has found, by name: each is drawn anew when it is called, in the look that is then set."""
    draws = {"texts": _draw_texts, "length": _draw_length, "vocabulary": _draw_vocabulary, "dimensions": _draw_dimensions, "threads": _draw_threads}
    return {f"growth-{name}": partial(draws[name], curve["points"]) for name, curve in results["curves"].items()}


_SERIES_COLOURS = {
    _OURS: COLOURS[2],
    _PEER: COLOURS[0],
    _ALONE: COLOURS[1],
    "float32": COLOURS[4],
    "float16": COLOURS[1],
    "int8": COLOURS[2],
}
_KIND_STYLES = {_UNIFORM: "--"}
_KIND_WORDS = {_ZIPF: "drawn as words occur", _UNIFORM: "drawn uniformly"}


def _plot(axes: Any, points: list[_Point], values: Callable[[_Point], tuple[float, float, float]], label: str | None = None) -> None:
    """A line through the medians, in a band from round to round."""
    if not points:
        return
    colour = _SERIES_COLOURS[points[0]["series"]]
    sizes = [point["size"] for point in points]
    low, middle, high = zip(*map(values, points), strict=True)
    axes.fill_between(sizes, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(sizes, middle, marker="o", markersize=4, color=colour, linestyle=_KIND_STYLES.get(points[0]["kind"], "-"), label=label)


def _rate_of(amount: str, scale: float = 1.0) -> Callable[[_Point], tuple[float, float, float]]:
    return lambda point: _scaled(_rates(point, amount), scale)


def _logarithmic(axis: Any, unit: str = "", finer: bool = False) -> None:
    """Ticks at the powers of ten, such as 10 k; between them too where the data span few of them."""
    if finer:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(EngFormatter(unit=unit))
    axis.set_minor_formatter(NullFormatter())


def _legend(axes: Any, columns: int) -> None:
    """Above the panel, where no data are."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, borderaxespad=0, fontsize=9, handlelength=3)


def _draw_texts(points: list[_Point]) -> Figure:
    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlabel="texts in a call", ylabel="texts/s, one thread\n(more is better)")
    for series in (_OURS, _PEER):
        _plot(axes, _of(points, series), _rate_of("texts"), series)
    _logarithmic(axes.xaxis)
    _logarithmic(axes.yaxis)
    _legend(axes, 2)
    return figure


def _two_panels(x: str, upper_y: str, lower_y: str) -> tuple[Figure, Any, Any]:
    """A figure of two panels, one above the other, over the same axis; all axes are logarithmic."""
    figure = Figure(figsize=(8, 7))
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.set(xscale="log", yscale="log", ylabel=upper_y)
    lower.set(yscale="log", xlabel=x, ylabel=lower_y)
    return figure, upper, lower


def _draw_length(points: list[_Point]) -> Figure:
    labels = "texts/s, one thread\n(more is better)", "bytes/s, one thread\n(more is better)"
    figure, texts, megabytes = _two_panels("length of a text, UTF-8", *labels)
    for series in (_OURS, _PEER):
        _plot(texts, _of(points, series), _rate_of("texts"), series)
        _plot(megabytes, _of(points, series), _rate_of("bytes"))
    _logarithmic(texts.yaxis)
    _logarithmic(megabytes.xaxis, "B")
    _logarithmic(megabytes.yaxis, "B")
    _legend(texts, 2)
    return figure


def _draw_vocabulary(points: list[_Point]) -> Figure:
    labels = "tokens/s, one thread\n(more is better)", "seconds to the first vector\n(less is better)"
    figure, speed, load = _two_panels("tokens in the vocabulary", *labels)
    for series in (_OURS, _PEER):
        for kind in (_ZIPF, _UNIFORM):
            _plot(speed, _of(points, series, kind), _rate_of("tokens"), f"{series}, {_KIND_WORDS[kind]}")
        _plot(load, _of(points, series, _LOAD), lambda point: _scaled(_milliseconds(point), 1e3))
    _logarithmic(load.xaxis)
    load.set_xticks(sorted({point["size"] for point in points}))
    _logarithmic(speed.yaxis)
    _logarithmic(load.yaxis, "s", finer=True)
    _legend(speed, 2)
    return figure


def _draw_dimensions(points: list[_Point]) -> Figure:
    figure = Figure(figsize=(9, 7))
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    (limit,) = _of(points, _READ)
    low, middle, high = _scaled(_rates(limit, "bytes"), 1e9)
    ink = mpl.rcParams["text.color"]
    for (tokens, read), kind in zip(panels.T, (_ZIPF, _UNIFORM), strict=True):
        for series in ("float32", "float16", "int8"):
            chosen = _of(points, series, kind)
            # Beside each other the kinds need no styles.
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


def _draw_threads(points: list[_Point]) -> Figure:
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    counts = [point["size"] for point in _of(points, _OURS)]
    axes.plot(counts, counts, color=mpl.rcParams["text.color"], linestyle=":", label="ideal")
    for series, label in ((_ALONE, "threads that share nothing"), (_OURS, _OURS)):
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
_TABLES: dict[str, Callable[[list[_Point]], list[str]]] = {
    "texts": _texts_table,
    "length": _length_table,
    "vocabulary": _vocabulary_table,
    "dimensions": _dimensions_table,
    "threads": _threads_table,
}


if __name__ == "__main__":
    main()
