"""Measure what a smaller model costs: ``python -m benchmarks.quality``, with ``--help`` for other models and texts.

For each storage type and number of dimensions it measures the size, the speed on one thread, and how similar the vectors are to those of the original
model. It writes a page with a table, figures and JSON to `docs`. Give it a float32 model: of a smaller type, less can be lost.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import model2vec_numba
from benchmarks.corpora import default_corpora
from benchmarks.figures import COLOURS, markdown_picture, note_of, save_figure
from benchmarks.machine import describe_machine
from model2vec_numba import StaticModel, quantize_model

_DIMS = (256, 128, 64, 32)
_TYPES: dict[str, dict[str, Any]] = {
    "float32": {"quantize_to": "float32"},
    "float16": {"quantize_to": "float16"},
    "bfloat16": {"quantize_to": "bfloat16"},
    "int8": {"quantize_to": "int8"},
    "int8, a scale a row": {"quantize_to": "int8", "int8_scales": "row"},
}
_VOCABULARIES = (8192, 2048)
_ROUNDS = 100
_PAIRS = 2000
_SPEED_TEXTS = 4000


@dataclasses.dataclass
class Point:
    """A form of the model.

    Attributes:
        kind: the storage type, or the size of the vocabulary.
        dims: the number of dimensions.
        size: the bytes of `model.safetensors`.
        correlation: Spearman's rank correlation between the cosines of the pairs and those of the original model.
        mean_cosine, worst_cosine: the mean and the lowest cosine between a text's vector and that of the original model. Cut dimensions count as
            zeros.
        texts_per_second: the speed of `encode` on one thread by its processor time, the median of the rounds.
    """

    kind: str
    dims: int
    size: int
    correlation: float
    mean_cosine: float
    worst_cosine: float
    texts_per_second: float


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model's folder (default: the bundled model)")
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="sentences, every two lines a pair (default: sentences of Python's documentation)")
    parser.add_argument("--model-name", metavar="TEXT", help="what the page calls the model (default: the name of its folder)")
    parser.add_argument("--pairs-name", metavar="TEXT", help="what the page calls the sentences")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"), help="the folder to write to")
    arguments = parser.parse_args()
    model2vec_numba.set_num_threads(1)
    model = StaticModel.from_pretrained(arguments.model)
    pairs = pairs_of_file(arguments.pairs) if arguments.pairs else default_pairs()
    name = arguments.model_name or (arguments.model.name if arguments.model else "the bundled model")
    sentences = arguments.pairs_name or (f"pairs of sentences of {arguments.pairs.name}" if arguments.pairs else "pairs of sentences")
    points = measure(model, pairs)
    arguments.output.mkdir(exist_ok=True)
    content: dict[str, Any] = {
        "model": name,
        "pairs": f"{len(pairs):,} {sentences}",
        "machine": describe_machine(),
        "points": [dataclasses.asdict(point) for point in points],
    }
    (arguments.output / "quality.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    save_figure(lambda: draw(points), arguments.output / "quality", note_of("quality", content["machine"]))
    (arguments.output / "quality.md").write_text(page(content, points), encoding="utf-8")


def pairs_of_file(path: Path) -> list[tuple[str, str]]:
    """Return every two lines of a file of UTF-8 text as a pair. Pairs with an empty line are left out."""
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    return [(left, right) for left, right in zip(lines[::2], lines[1::2], strict=False) if left and right]


def default_pairs() -> list[tuple[str, str]]:
    """Return pairs of all degrees of similarity: a sentence, and the same sentence with words dropped and replaced by those of another."""
    sentences = [sentence for text in _prose() for sentence in text.replace("\n", " ").split(". ") if 8 < len(sentence.split()) < 40]
    generator = random.Random(20240229)
    pairs = []
    for i in range(_PAIRS):
        words, others = generator.choice(sentences).split(), generator.choice(sentences).split()
        changed = [generator.choice(others) if generator.random() < i / _PAIRS else word for word in words if generator.random() < 0.9]
        pairs.append((" ".join(words), " ".join(changed)))
    return pairs


def _prose() -> list[str]:
    return next(default_corpora()).texts


def forms(model: StaticModel) -> Iterator[tuple[str, StaticModel]]:
    """Give the model in every form, with the form's name."""
    dims = [count for count in _DIMS if count <= model.dim]
    for kind, options in _TYPES.items():
        # A matrix that is int8 already keeps its scales.
        if "int8_scales" in options and model.embedding_dtype == "int8":
            continue
        for count in dims:
            yield kind, quantize_model(model, dimensionality=count, **options)
    for count in _VOCABULARIES:
        if count < len(model.embedding):
            yield f"{count:,} vectors, float32", quantize_model(quantize_model(model, quantize_to="float32"), count)


def measure(model: StaticModel, pairs: list[tuple[str, str]]) -> list[Point]:
    """Measure all forms of the model. They are timed in turns, in random order, so that anything that slows the machine slows all of them."""
    texts = [text for pair in pairs for text in pair]
    original = model.encode(texts, normalize=True).astype(np.float64)
    expected = _ranks((original[::2] * original[1::2]).sum(axis=1))
    made = list(forms(model))
    seconds: list[list[float]] = [[] for _ in made]
    speed_texts = _prose()[:_SPEED_TEXTS]
    generator = random.Random(1)
    for count in range(_ROUNDS + 1):
        for i in generator.sample(range(len(made)), len(made)):
            begin = time.thread_time()
            made[i][1].encode(speed_texts)
            # The first round compiles and fills caches.
            if count:
                seconds[i].append(time.thread_time() - begin)
    points = []
    for (kind, form), taken in zip(made, seconds, strict=True):
        vectors = np.zeros(original.shape)
        vectors[:, : form.dim] = form.encode(texts, normalize=True)
        cosines = (vectors * original).sum(axis=1)[original.any(axis=1)]
        ranks = _ranks((vectors[::2] * vectors[1::2]).sum(axis=1))
        correlation = float(np.corrcoef(ranks, expected)[0, 1])
        speed = len(speed_texts) / statistics.median(taken)
        points.append(Point(kind, form.dim, _saved_size(form), correlation, float(cosines.mean()), float(cosines.min()), speed))
    return points


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rank of each value. Equal values, which are few, are ranked in the order of their positions."""
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks


def _saved_size(model: StaticModel) -> int:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return (Path(folder) / "model.safetensors").stat().st_size


def draw(points: list[Point]) -> Figure:
    """Draw the loss and the speed over the size of the file, in two panels."""
    figure = Figure(figsize=(8, 7))
    lost, speed = figure.subplots(2, 1, sharex=True)
    kinds = list(dict.fromkeys(point.kind for point in points))
    for kind, colour in zip(kinds, COLOURS * 2, strict=False):
        chosen = [point for point in points if point.kind == kind]
        sizes = [point.size / 1e6 for point in chosen]
        marker = "s" if "vectors" in kind else "o"
        # A loss of zero has no logarithm.
        lost.plot(sizes, [max(1 - point.correlation, 1e-7) for point in chosen], marker=marker, color=colour, label=kind)
        speed.plot(sizes, [point.texts_per_second / 1e3 for point in chosen], marker=marker, color=colour)
        if kind in ("float32", "int8"):
            for point, size in zip(chosen, sizes, strict=True):
                lost.annotate(f"{point.dims}", (size, max(1 - point.correlation, 1e-7)), textcoords="offset points", xytext=(5, 5), fontsize=8)
    lost.set(xscale="log", yscale="log", ylabel="1 - rank correlation with the original\n(less is better)")
    speed.set(xlabel="model.safetensors, MB", ylabel="thousand texts/s, one thread\n(more is better)", ylim=(0, None))
    lost.legend(fontsize=8)
    return figure


def page(content: dict[str, Any], points: list[Point]) -> str:
    """Return the page of the documentation."""
    name = content["model"]
    rows = "\n".join(
        f"| {point.kind} | {point.dims} | {point.size / 1e6:.2f} MB | {point.correlation:.5f} | {point.mean_cosine:.5f} | {point.worst_cosine:.5f} | "
        f"{point.texts_per_second:,.0f} |"
        for point in points
    )
    return f"""# The cost of smaller models

A model in other storage types, with fewer dimensions and with fewer vectors, compared with the original, which is {name}:

- rank correlation: Spearman's, between the cosines of {content["pairs"]} and those of the original;
- mean and worst cosine: between a text's vector and that of the original. Dimensions that were cut count as zeros;
- texts/s: on one thread, by its processor time, on paragraphs of Python's documentation. All forms take turns.

The figure shows a loss of zero as 10⁻⁷, because zero has no logarithm. The page is made by `python -m benchmarks.quality`, which also accepts other
models and sentences.

{content["machine"]}

{markdown_picture("quality", "Two curves for each storage type over the size of the file: the loss, and the texts per second")}

| stored as | dimensions | size | rank correlation | mean cosine | worst cosine | texts/s |
| --- | --: | --: | --: | --: | --: | --: |
{rows}
"""


if __name__ == "__main__":
    main()
