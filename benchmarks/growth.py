"""Measure how the cost grows with the number of texts, their length, the vocabulary, the dimensions and the threads.

``python -m benchmarks.growth -o FOLDER`` measures each as a curve and writes figures, tables and JSON. ``--quick`` makes everything small.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import model2vec
import numba
import numpy as np
import psutil
from numpy.typing import NDArray

import model2vec_numba
from benchmarks.corpora import default_corpora
from benchmarks.figures import markdown_picture, note_of, save_figure
from benchmarks.growth_pages import CAPTIONS, INDEPENDENT, LOAD, OURS, PEER, READ, UNIFORM, ZIPF, Point, draw_growth, growth_tables
from benchmarks.large_models import write_wordpiece_model
from benchmarks.machine import describe_machine
from benchmarks.test_encode import check_vectors
from model2vec_numba import StaticModel
from model2vec_numba.batches import TokenBatch
from model2vec_numba.cli.timing import time_in_turns, timed
from model2vec_numba.pooling.kernels import pool
from model2vec_numba.pooling.table import EmbeddingTable, make_table

__all__ = ["CURVES", "measure_growth"]

CURVES = ("texts", "length", "vocabulary", "dimensions", "threads")
_Encode = Callable[[list[str]], object]

_BUNDLED = Path(model2vec_numba.__file__).parent / "default_model"
_TOLERANCE = 2e-6

# The dimensions of the models that are made here.
_DIM = 256
# Ten million vectors of 32 dimensions take 1.3 GB. With the bundled model's 256 they would take 10 GB.
_FEW_DIMS = 32
_WORDS = 8
_TOKENS = 50
# The vectors of all words of a megabyte take 180 MB. The time in which the system provides them does not belong to a text's length.
_MOST_IN_A_CALL = 10_000
# The additions of each thread that does nothing else. They take about 20 ms.
_ADDITIONS = 20_000_000


@dataclass(frozen=True)
class _Sizes:
    """The sizes of the measurements.

    Attributes:
        texts, peer_texts: the numbers of texts in a call, and the maximum for the peer.
        texts_each: the minimum number of texts in a round. Smaller calls are repeated.
        pool: the number of distinct texts.
        lengths, peer_length: the bytes of a text (0: one word), and the maximum for the peer.
        length_bytes: the bytes of a round.
        rows, peer_rows: the tokens of a vocabulary, and the maximum for the peer.
        vocabulary_texts: the texts of a round.
        table_rows, dims: the rows and the dimensions of the tables.
        pooled_tokens: the tokens of a round.
        read_bytes: the bytes of a plain read, many times the size of the last cache.
        thread_bytes: the bytes that threads share.
        rounds, large_rounds: the rounds of a curve, and of calls with more texts than the peer's maximum.
        round_seconds: work that takes less time is repeated.
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
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds, to check that it works")
    parser.add_argument("--curve", action="append", choices=CURVES, help="measure only this curve; may be given more than once")
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
    """Measure curves. All but the last use one thread.

    Args:
        quick: whether to use small sizes and few rounds, which takes half a minute instead of ten.
        curves: the names of the curves, from `CURVES`.

    Returns:
        A dictionary for a JSON file: "machine", "quick", "peer", the total "seconds", and "curves". Each curve has "inputs" and "left_out" in words,
        the "load_average" before and after, and "points". A point has a "series", a "kind" of the series, a "size", the amounts that a round works
        on ("texts", "bytes", "tokens"), and the "seconds" of each round.
    """
    sizes = _QUICK if quick else _FULL
    measures = {"texts": _texts, "length": _length, "vocabulary": _vocabulary, "dimensions": _dimensions, "threads": _threads}
    found: dict[str, Any] = {}
    begin = time.perf_counter()
    for name in curves:
        before = _load_average()
        found[name] = {**measures[name](sizes), "load_average": [before, _load_average()]}
    seconds = round(time.perf_counter() - begin, 1)
    peer = f"{PEER} {version(PEER)}"
    return {"machine": describe_machine(), "quick": quick, "peer": peer, "seconds": seconds, "curves": found}


def _load_average() -> float | None:
    """Return the load average of the last minute, which counts this process too. ``None`` if the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


@dataclass(frozen=True)
class _Case:
    """A point to measure. `amounts` has the numbers of texts, bytes and so on that one call of `work` works on."""

    series: str
    kind: str
    size: int
    work: Callable[[], object]
    amounts: Mapping[str, int]


def _take(cases: Sequence[_Case], sizes: _Sizes, rounds: int | None = None) -> list[Point]:
    """Time all cases in turns, so that anything that slows the machine for a while slows the whole curve and not a part of it.

    Short work is repeated within a round, and the mean counts. Other processes then take a share of every round, not all of one and none of another.
    """
    contenders = {}
    for i, case in enumerate(cases):
        # The first run compiles and fills caches. For short work it is not typical.
        once = timed(case.work)()
        if once < 1:
            once = timed(case.work)()
        contenders[str(i)] = partial(_repeated, case.work, max(1, math.ceil(sizes.round_seconds / max(once, 1e-6))))
    turns = time_in_turns(contenders, rounds=rounds or sizes.rounds)
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
    """Return `encode` of both packages, with one thread and no limit on the length, and their models."""
    ours = StaticModel.from_pretrained(folder, max_length=None, dimensionality=dim)
    theirs = model2vec.StaticModel.from_pretrained(folder, max_length=None, dimensionality=dim)
    # For more than 10,000 texts, model2vec would start processes.
    return {OURS: (partial(ours.encode, num_threads=1), ours), PEER: (partial(theirs.encode, use_multiprocessing=False), theirs)}


def _check(texts: list[str], engines: Mapping[str, tuple[_Encode, Any]]) -> None:
    check_vectors(texts, engines[OURS][1], engines[PEER][1])


def _in_calls(encode: _Encode, calls: Iterable[list[str]]) -> None:
    for texts in calls:
        encode(texts)


def _bytes(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def _prose() -> list[str]:
    return next(default_corpora()).texts


def _texts(sizes: _Sizes) -> dict[str, Any]:
    """Measure the curve over the number of texts in a call."""
    engines = _engines(_BUNDLED, _FEW_DIMS)
    words, draw = " ".join(_prose()).split(), random.Random(1)
    # Half of the free memory is left to other processes.
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
            if name == OURS or count <= sizes.peer_texts:
                group = small if count <= sizes.peer_texts else large
                group.append(_Case(name, "", count, partial(_in_calls, encode, calls), amounts))
    points = _take(small, sizes) + (_take(large, sizes, sizes.large_rounds) if large else [])
    left_out = [f"{PEER} above {sizes.peer_texts:,} texts, which would take too long"]
    if missing := [count for count in sizes.texts if count not in counts]:
        left_out.append(f"{' and '.join(f'{count:,}' for count in missing)} texts, for which there is too little memory")
    return {
        "inputs": f"The bundled model, int8, cut to {_FEW_DIMS} dimensions. Each text has {_WORDS} words from the prose of Python's documentation, "
        f"{size / len(distinct):.0f} bytes on average. {len(distinct):,} texts are distinct, and larger calls repeat them. Calls with fewer than "
        f"{sizes.texts_each:,} texts are repeated until they have encoded the same {sizes.texts_each:,} texts. Rounds: {sizes.rounds}, above "
        f"{sizes.peer_texts:,} texts {sizes.large_rounds}. The time of a call includes the time in which the system provides the memory for the "
        f"vectors, up to {max(counts) * _FEW_DIMS * 4 / 1e9:.2g} GB.",
        "left_out": left_out,
        "points": points,
    }


def _length(sizes: _Sizes) -> dict[str, Any]:
    """Measure the curve over the length of a text. The texts of all lengths are cut from the same prose."""
    engines = _engines(_BUNDLED)
    words = list(_until(itertools.cycle(" ".join(_prose()).split()), sizes.length_bytes))
    cases = []
    for length in sizes.lengths:
        texts = _cut(words, length)
        calls = [texts[first : first + _MOST_IN_A_CALL] for first in range(0, len(texts), _MOST_IN_A_CALL)]
        amounts = {"texts": len(texts), "bytes": _bytes(texts)}
        for name, (encode, _) in engines.items():
            if name == OURS or length <= sizes.peer_length:
                cases.append(_Case(name, "", round(amounts["bytes"] / len(texts)), partial(_in_calls, encode, calls), amounts))
        if length <= sizes.peer_length:
            _check(texts[:: len(texts) // 500 + 1], engines)
    return {
        "inputs": f"The bundled model, int8, {engines[OURS][1].dim} dimensions, no limit on the length. {sizes.length_bytes:,} bytes of prose "
        "from Python's documentation, cut between words into texts of each length. The shortest texts are single words. A call has at most "
        f"{_MOST_IN_A_CALL:,} texts. Rounds: {sizes.rounds}.",
        "left_out": [f"{PEER} above {sizes.peer_length:,} bytes, which would take too long"],
        "points": _take(cases, sizes),
    }


def _until(words: Iterable[str], size: int) -> Iterable[str]:
    """Give the first words that have at least `size` bytes together, with a space after each."""
    total = 0
    for word in words:
        yield word
        total += len(word.encode()) + 1
        if total >= size:
            return


def _cut(words: list[str], length: int) -> list[str]:
    """Return texts of about `length` bytes (0: of one word) that have all the words. A short rest is added to the last text."""
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
    """Measure the curves over the number of tokens: the speed of encoding, and the time to load."""
    cases, loads = [], []
    with tempfile.TemporaryDirectory() as parent:
        for rows in sizes.rows:
            folder = Path(parent) / str(rows)
            write_wordpiece_model(folder, rows, _DIM)
            loaders: dict[str, Callable[[Path], Any]] = {OURS: StaticModel.from_pretrained, PEER: model2vec.StaticModel.from_pretrained}
            engines = _engines(folder)
            if rows > sizes.peer_rows:
                del engines[PEER]
            for kind in (ZIPF, UNIFORM):
                # Token 0 is the unknown one.
                ids = 1 + _draw_ids(kind, rows - 1, sizes.vocabulary_texts * _TOKENS)
                texts = [" ".join(f"w{i}" for i in part) for part in ids.reshape(-1, _TOKENS).tolist()]
                amounts = {"texts": len(texts), "bytes": _bytes(texts), "tokens": ids.size}
                if PEER in engines:
                    _check(texts[:500], engines)
                cases += [_Case(name, kind, rows, partial(encode, texts), amounts) for name, (encode, _) in engines.items()]
            loads += [_Case(name, LOAD, rows, partial(_load_and_encode, loaders[name], folder), {"texts": 1}) for name in engines]
        points = _take(cases, sizes) + _take(loads, sizes)
    return {
        "inputs": f"Models made for this measurement, with WordPiece, int8, {_DIM} dimensions. {sizes.vocabulary_texts:,} texts of {_TOKENS} tokens, "
        "drawn as words occur (the token of rank r is 1 / r times as likely as the first) and uniformly. The time to load includes the first vector. "
        f"The files are in the system's memory. Rounds: {sizes.rounds}.",
        "left_out": [f"{PEER} above {sizes.peer_rows:,} tokens, which would take too long"],
        "points": points,
    }


def _load_and_encode(load: Callable[[Path], Any], folder: Path) -> None:
    # A package may delay work until the first call.
    load(folder).encode(["w1 w2 w3"])


def _draw_ids(kind: str, rows: int, count: int) -> NDArray[np.int32]:
    draw = np.random.default_rng(rows)
    if kind == UNIFORM:
        return draw.integers(0, rows, count, np.int32)
    likely = 1 / np.arange(1, rows + 1)
    return draw.choice(rows, count, p=likely / likely.sum()).astype(np.int32)


def _dimensions(sizes: _Sizes) -> dict[str, Any]:
    """Measure the curve over the number of dimensions: pooling alone, and a plain read of memory."""
    cases = []
    for kind in (ZIPF, UNIFORM):
        ids = _draw_ids(kind, sizes.table_rows, sizes.pooled_tokens)
        tokens = TokenBatch(ids, np.arange(0, len(ids) + 1, _TOKENS, dtype=np.int64))
        for dim, dtype in itertools.product(sizes.dims, ("float32", "float16", "int8")):
            table = _table(sizes.table_rows, dim, dtype)
            out = np.empty((len(tokens), dim), np.float32)
            work = partial(pool, table, tokens, True, out)
            work()
            _check_pooled(table, tokens, out)
            amounts = {"texts": len(tokens), "tokens": len(ids), "bytes": len(ids) * dim * table.matrix.itemsize}
            cases.append(_Case(dtype, kind, dim, work, amounts))
    # The system would map zeros to a single page of memory.
    values = np.ones(sizes.read_bytes // 8, np.int64)
    cases.append(_Case(READ, "", 0, partial(_read, values), {"bytes": values.nbytes}))
    return {
        "inputs": f"Tables of {sizes.table_rows:,} rows. {sizes.pooled_tokens:,} ids in texts of {_TOKENS} tokens, drawn as words occur (the id of "
        "rank r is 1 / r times as likely as the first) and uniformly. In the same rounds, a plain read sums "
        f"{sizes.read_bytes / 1e9:.2f} GB from end to end. Rows that are in a cache can be read faster. Rounds: {sizes.rounds}.",
        "left_out": [f"{PEER}, which has no function that only pools"],
        "points": _take(cases, sizes),
    }


def _table(rows: int, dim: int, dtype: str) -> EmbeddingTable:
    values = np.random.default_rng(dim).integers(-127, 128, (rows, dim), np.int8)
    return make_table(values.astype(dtype), dtype, None, None, size=rows, source="benchmark")


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
    # Each addition of floats waits for the one before it. A compiler could reorder integers.
    total = 0.0
    for _ in range(count):
        total += 1.0
    return total


def _threads(sizes: _Sizes) -> dict[str, Any]:
    """Measure the curve over the number of threads: paragraphs, and threads that share nothing, which show what the cores can give at the time."""
    model = StaticModel.from_pretrained(_BUNDLED)
    prose = _prose()
    texts = prose * -(-sizes.thread_bytes // _bytes(prose))
    amounts = {"texts": len(texts), "bytes": _bytes(texts)}
    # numba's number respects the processor affinity. No call has more threads.
    cores = int(numba.config.NUMBA_NUM_THREADS)
    counts = sorted({cores, *range(1, min(cores, 8) + 1), *(1 << i for i in range(cores.bit_length()))})
    expected = model.encode(texts, num_threads=1)
    cases = []
    for count in counts:
        work = partial(model.encode, texts, num_threads=count)
        if not np.array_equal(work(), expected):
            raise RuntimeError(f"the vectors of {count} threads differ from those of one thread")
        cases += [
            _Case(OURS, "", count, work, amounts),
            _Case(INDEPENDENT, "", count, partial(_add_at_once, count), {"additions": count * _ADDITIONS}),
        ]
    rounds = 3 * sizes.rounds
    return {
        "inputs": f"The bundled model, int8, {model.dim} dimensions. {len(texts):,} paragraphs of Python's documentation, {len(prose):,} of them "
        f"distinct, {amounts['bytes'] / 1e6:.0f} MB. In the same rounds, as many threads add numbers and share nothing, which shows what the cores "
        f"could give at the time. Rounds: {rounds}.",
        "left_out": [f"{PEER}, which is measured with one thread only"],
        "points": _take(cases, sizes, rounds),
    }


def _add_at_once(count: int) -> None:
    threads = [threading.Thread(target=_add, args=(_ADDITIONS,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
