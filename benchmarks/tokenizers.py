"""Compare this package's tokenisers with the `tokenizers` library, for any files: ``python -m benchmarks.tokenizers FILE ...``.

A FILE is a `tokenizer.json`, or a folder that has one. Nothing is downloaded. The table has a row for each file:

- backend: the compiled core that tokenises, or "tokenizers" if the library must tokenise all texts;
- to the library: which texts of `languages` the library must tokenise: all, none, or the share of each kind of text;
- ids compared: the number of texts whose ids were compared with the library's: the texts of `languages`, names in thirty languages, long documents,
  and texts with each added token. If the ids of a text differ, the program prints the text and ends with 1;
- load: the milliseconds from the text of the file to a tokeniser. The number in brackets is the ratio to the library's ``Tokenizer.from_str``;
- the other columns: how many times as fast this package tokenises as ``encode_batch_fast(texts, add_special_tokens=False)``, from UTF-8 bytes to ids.
  The brackets show the lowest and the highest ratio of a round.

Both sides use one thread and take turns. All ratios are of medians. Lines under the table say which parts of the files are not compiled, and which
parts send texts to the library.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

import model2vec_numba
from benchmarks.corpora import Corpus, default_corpora
from benchmarks.languages import five_kinds
from benchmarks.machine import describe_machine
from model2vec_numba.batches import TextBatch
from model2vec_numba.cli.timing import Timings, time_in_turns, timed
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.library import tokenize_with_library
from model2vec_numba.tokenization.models import make_model
from model2vec_numba.tokenization.normalizers import make_normalizer
from model2vec_numba.tokenization.pre_tokenizers import make_pre_tokenizer
from model2vec_numba.tokenization.spec.spec import TokenizerSpec, parse_tokenizer
from model2vec_numba.tokenization.stages import PreTokenBatch
from model2vec_numba.tokenization.support import uncompiled_part
from model2vec_numba.tokenization.tokenizer import BatchTokenizer, make_tokenizer

_OURS, _LIBRARY = "ours", "library"

# The number of texts with added tokens that are compared, and the number of texts for which the program finds out why they go to the library.
_WITH_ADDED_TOKENS = 2000
_EXPLAINED = 100

_COLUMNS = ("file", "backend", "to the library", "ids compared", "load, ms (ratio)")


class Row(NamedTuple):
    """The results for one file.

    Attributes:
        name: the name of the file.
        backend: the name of the core.
        uncompiled: the part that is not compiled, and why. ``None`` if there is a compiled core.
        fallbacks: for each corpus, the share of texts that the library must tokenise.
        reasons: the number of these texts for each part that sends them to the library. Only some of the texts are looked at.
        compared: the number of texts whose ids are equal to the library's.
        load: the seconds of loading.
        speeds: the seconds of tokenising each corpus.
    """

    name: str
    backend: str
    uncompiled: str | None
    fallbacks: dict[str, float]
    reasons: Counter[str]
    compared: int
    load: Timings
    speeds: list[Timings]

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        load = f"{self.load.median(_OURS) * 1e3:.0f} ({self.load.ratio(_OURS, _LIBRARY):.2f})"
        shares = [f"{name} {share:.1%}" for name, share in self.fallbacks.items() if share]
        left = "all" if self.uncompiled else ", ".join(shares) or "none"
        return [self.name, self.backend, left, f"{self.compared:,}", load, *map(_ratio, self.speeds)]

    def notes(self, markdown: bool) -> Iterator[str]:
        """Yield the lines under the table."""
        if self.uncompiled:
            # The part may hold a backquote.
            yield f"{self.name} is not compiled. " + (f"`` {self.uncompiled} ``" if markdown else self.uncompiled)
        if self.reasons:
            shares = [f"{reason} {count / self.reasons.total():.0%}" for reason, count in self.reasons.most_common()]
            yield f"{self.name} leaves texts to the library because of these parts: {', '.join(shares)}"


def _ratio(turns: Timings) -> str:
    """Return how many times as fast as the library this package is, with the lowest and the highest ratio of a round."""
    ratios = turns.round_ratios(_LIBRARY, _OURS)
    return f"{turns.ratio(_LIBRARY, _OURS):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"


def measure(path: Path, corpora: Sequence[Corpus], seconds: float) -> Row:
    """Compare the ids of a file with the library's, time both, and return the results.

    Args:
        path: a `tokenizer.json`.
        corpora: the texts.
        seconds: about how long all rounds of one figure take.

    Raises:
        SystemExit: the ids of a text differ from the library's.
    """
    text = path.read_text(encoding="utf-8")
    spec = parse_tokenizer(text, str(path))
    tokenizer = make_tokenizer(spec)
    batches = [flatten(corpus.texts) for corpus in corpora]
    compared = sum(_compare(spec, tokenizer, corpus) for corpus in (*corpora, *_other_texts(spec)))
    fallbacks = {corpus.name: tokenizer.fallback_count(batch) / len(batch) for corpus, batch in zip(corpora, batches, strict=True)}
    reasons = Counter[str]()
    compiled = tokenizer.name != "tokenizers"
    if compiled and any(fallbacks.values()):
        left = [text for corpus in corpora for text in corpus.texts if tokenizer.fallback_count(flatten([text]))]
        reasons = _reasons(spec, random.Random(0).sample(left, min(len(left), _EXPLAINED)))
    uncompiled = None if compiled else uncompiled_part(spec)
    load = {_OURS: timed(partial(_load, text)), _LIBRARY: timed(partial(Tokenizer.from_str, text))}
    return Row(
        path.parent.name if path.name == "tokenizer.json" else path.stem,
        tokenizer.name,
        uncompiled,
        fallbacks,
        reasons,
        compared,
        time_in_turns(load, seconds=seconds),
        [_time(spec, tokenizer, corpus, batch, seconds) for corpus, batch in zip(corpora, batches, strict=True)],
    )


def _load(text: str) -> BatchTokenizer:
    """Return a tokeniser for the text of a file, made as when a model is loaded."""
    spec = parse_tokenizer(text, "tokenizer.json")
    tokenizer = make_tokenizer(spec)
    if tokenizer.name == "tokenizers":
        # The library's tokeniser is made at the first use. Without a core, every text needs it.
        _ = spec.library
    spec.forget()
    return tokenizer


def _time(spec: TokenizerSpec, tokenizer: BatchTokenizer, corpus: Corpus, batch: TextBatch, seconds: float) -> Timings:
    scratch = tokenizer.take_scratch()
    candidates = {
        _OURS: timed(partial(tokenizer.tokenize, batch, None, scratch)),
        _LIBRARY: timed(partial(spec.library.encode_batch_fast, corpus.texts, add_special_tokens=False)),
    }
    turns = time_in_turns(candidates, seconds=seconds, least=min(0.05, seconds / 10))
    tokenizer.give_back(scratch)
    return turns


def _other_texts(spec: TokenizerSpec) -> Iterator[Corpus]:
    """Yield the texts that are compared and not timed."""
    prose, _, names, long = default_corpora()
    yield names
    yield long.limited(10)
    contents = [token["content"] for token in spec.config.get("added_tokens") or []]
    draw = random.Random(0)
    contents = draw.sample(contents, min(len(contents), _WITH_ADDED_TOKENS))
    yield Corpus("texts with added tokens", [_with_token(draw, draw.choice(prose.texts), content) for content in contents])


def _with_token(draw: random.Random, text: str, content: str) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice(("", " ", "  ", "\n")) + content + draw.choice(("", " ", "x", "\n")) + text[at:]


def _compare(spec: TokenizerSpec, tokenizer: BatchTokenizer, corpus: Corpus) -> int:
    """Return the number of texts. End the program if the ids of one of them differ from the library's."""
    scratch = tokenizer.take_scratch()
    tokens = tokenizer.tokenize(flatten(corpus.texts), None, scratch)
    found = [tokens.ids[begin:end].tolist() for begin, end in tokens.bounds()]
    tokenizer.give_back(scratch)
    for text, ours, theirs in zip(corpus.texts, found, tokenize_with_library(spec, corpus.texts, None), strict=True):
        if ours != theirs:
            at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
            around = slice(max(0, at - 3), at + 5)
            sys.exit(
                f"{spec.source}, {corpus.name}: ids differ from the library's for {text!r}: "
                f"from id {around.start} on, {ours[around]} and not {theirs[around]}"
            )
    return len(corpus.texts)


def _reasons(spec: TokenizerSpec, texts: list[str]) -> Counter[str]:
    """Return, for each part of the tokenizer, the number of texts for which it is the first part that sends them to the library."""
    batch, status = flatten(texts), np.zeros(len(texts), np.uint8)
    reasons = Counter[str]()
    normalizer, pre_tokenizer, model = (
        make_normalizer(spec.config.get("normalizer")),
        make_pre_tokenizer(spec.config.get("pre_tokenizer")),
        make_model(spec),
    )
    if normalizer is not None and pre_tokenizer is not None and model is not None:
        normalized = normalizer.normalize(batch, status)
        reasons["normalizer"] = int(np.count_nonzero(status))
        pre_tokens = pre_tokenizer.split(PreTokenBatch.whole(normalized), status)
        reasons["pre_tokenizer"] = int(np.count_nonzero(status)) - reasons.total()
        model.tokenize(pre_tokens, None, status, model.make_scratch())
        reasons["model"] = int(np.count_nonzero(status)) - reasons.total()
    # No stage sends the other texts. In them, the core has found an added token, or characters that BERT's core does not support.
    contents = [(token["content"].strip() or token["content"]).lower() for token in spec.config.get("added_tokens") or []]
    others = [text.lower() for text, marked in zip(texts, status, strict=True) if not marked]
    reasons["added tokens"] = sum(any(content in text for content in contents) for text in others)
    reasons["characters"] = len(others) - reasons["added tokens"]
    return +reasons


def table(rows: Sequence[Row], corpora: Sequence[Corpus], markdown: bool) -> list[str]:
    """Return the lines of the table and the notes under it: aligned, or in Markdown."""
    cells = [[*_COLUMNS, *(corpus.name for corpus in corpora)], *(row.cells() for row in rows)]
    if markdown:
        escaped = [[cell.replace("|", "\\|") for cell in row] for row in cells]
        lines = [f"| {' | '.join(row)} |" for row in escaped]
        lines.insert(1, "|" + " --- |" * len(cells[0]))
    else:
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [*lines, "", *(f"- {note}" for row in rows for note in row.notes(markdown))]


def main() -> None:
    """Measure the files of the command line, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a tokenizer.json, or a folder that has one")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long the rounds of each figure take together (default: 2)")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    options = parser.parse_args()
    corpora = five_kinds()
    rows = []
    for given in options.files:
        path = given / "tokenizer.json" if given.is_dir() else given
        print(f"{path} ...", file=sys.stderr, flush=True)  # noqa: T201
        rows.append(measure(path, corpora, options.seconds))
    print(describe_machine(), "One thread.\n")  # noqa: T201
    print("\n".join(table(rows, corpora, options.markdown)))  # noqa: T201


if __name__ == "__main__":
    model2vec_numba.set_num_threads(1)
    main()
