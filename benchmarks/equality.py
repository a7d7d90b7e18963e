"""Compare the results of two revisions to the bit: ``python -m benchmarks.equality BASE [HEAD]``, with ``--help`` for the options.

BASE and HEAD are any names that git has for revisions. Without HEAD, it is the working tree as it is when the run starts.

    $ python -m benchmarks.equality main
    $ python -m benchmarks.equality v0.1.0 HEAD --models ../models/* --texts texts.txt cases.json

Each side is a process with two threads; see `revisions`. For each model and each file of texts, both sides compute digests (SHA-256) of all kinds
of results: vectors of lists, single strings, a long document and Arrow columns, with different numbers of threads and different arguments; vectors
of tokens; and token ids. `revision_server.Server` has the list. If a side raises an error instead, the type of the error is compared.

The script prints a line for each result that differs, and a summary. The exit code is 0 if all results are equal, 1 if one differs, and 2 if the
comparison could not be made. Results that base does not have are counted and not compared.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpora import Corpus, default_corpora
from benchmarks.revisions import CompareError, RequestError, Revision, Side, ask_both, end_on_signals, open_sides, say

__all__ = ["Comparison", "compare_results", "main"]

_SENTENCES = 200
_THREADS = 2


@dataclass(frozen=True)
class Comparison:
    """One result of both sides.

    Attributes:
        name: the result's name.
        model, corpus: the names of the model and the texts. The corpus is "" if the model could not be loaded.
        base, head: the digests, or why there are none.
    """

    name: str
    model: str
    corpus: str
    base: str
    head: str

    @property
    def is_absent(self) -> bool:
        """Whether base does not have this result."""
        return self.base.startswith("absent")

    @property
    def differs(self) -> bool:
        """Whether both sides should have the same result, and do not."""
        return not self.is_absent and self.base != self.head

    def __str__(self) -> str:
        return f"{', '.join(filter(None, (self.name, self.corpus, self.model)))}: base {self.base:.40}, head {self.head:.40}"


def compare_results(base: Revision, head: Revision, corpora: Sequence[Corpus], models: Sequence[Path | None]) -> Iterator[Comparison]:
    """Compare the results of two revisions.

    Args:
        base, head: the revisions.
        corpora: the texts.
        models: the models' folders. ``None`` is each side's bundled model.

    Yields:
        Every result, model by model and corpus by corpus.

    Raises:
        CompareError: git failed, or a process has ended.
    """
    with open_sides(base, head, {corpus.name: _content(corpus) for corpus in corpora}, threads=_THREADS) as (sides, _):
        for folder in models:
            model = "the bundled model" if folder is None else folder.name
            loaded = _open(sides, folder)
            if any(loaded):
                yield Comparison("load", model, "", *loaded)
                continue
            for corpus in corpora:
                answers = ask_both(sides, [{"do": "digests", "corpus": corpus.name}] * 2)
                digests, others = (answer["digests"] for answer in answers)
                for name in digests:
                    yield Comparison(name, model, corpus.name, digests[name], others[name])


def _open(sides: Sequence[Side], folder: Path | None) -> list[str]:
    """Load a model on both sides. Return the error of each side, or "" if it has loaded the model."""
    for side in sides:
        side.send({"do": "open", "model": None if folder is None else os.fspath(folder)})
    return [_error_of(side) for side in sides]


def _error_of(side: Side) -> str:
    """Wait for a side's answer. Return its error, or "" if there is none."""
    try:
        side.check(side.receive())
    except RequestError as error:
        return f"{error.kind}: {error.reason}"
    return ""


def _content(corpus: Corpus) -> dict[str, Any]:
    """Return a corpus as the sides get it: all texts, some single texts from all parts of it, and all texts as one document."""
    step = max(1, len(corpus.texts) // _SENTENCES)
    return {"texts": corpus.texts, "sentences": corpus.texts[::step][:_SENTENCES], "document": "\n".join(corpus.texts)}


def read_texts(path: Path) -> Corpus:
    """Read the texts of a file: every line, also an empty one. A `.json` file holds a list of strings, or an object whose values are strings.

    Strings that have no UTF-8 form are left out.

    Raises:
        CompareError: the file does not hold texts.
        OSError, UnicodeError: the file cannot be read.
    """
    content = path.read_text(encoding="utf-8-sig")
    if path.suffix != ".json":
        return Corpus(path.name, content.split("\n"))
    try:
        values = json.loads(content)
    except ValueError as error:
        raise CompareError(f"{path}: {error}") from None
    texts = list(values.values()) if isinstance(values, dict) else values
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise CompareError(f"{path}: expected a list of strings, or an object whose values are strings")
    return Corpus(path.name, [text for text in texts if text == text.encode("utf-8", "ignore").decode("utf-8")])


def find_models(folders: Sequence[Path]) -> list[Path]:
    """Return the models in folders. Each folder is a model, or its subfolders are models.

    Raises:
        CompareError: a folder holds no model.
    """
    models: list[Path] = []
    for folder in folders:
        found = [folder] if _is_model(folder) else sorted(path for path in folder.glob("*") if _is_model(path))
        if not found:
            raise CompareError(f"{folder}: neither a model nor a folder of models")
        models += found
    return models


def _is_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("model.safetensors", "0_StaticEmbedding/model.safetensors"))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.equality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("base", metavar="BASE", help="the revision to compare with")
    parser.add_argument("head", metavar="HEAD", nargs="?", help="the revision to judge (default: the working tree)")
    parser.add_argument(
        "--models", type=Path, nargs="+", default=[], metavar="FOLDER", help="models, or folders of models, to use in addition to the bundled one"
    )
    parser.add_argument(
        "--texts", type=Path, nargs="+", default=[], metavar="FILE", help="UTF-8 text, one text a line, or .json, instead of the default texts"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print each difference as soon as it is known.

    Returns:
        The exit code.
    """
    options = _parse(arguments)
    results: list[Comparison] = []
    try:
        corpora = [read_texts(path) for path in options.texts] or list(default_corpora())
        if len({corpus.name for corpus in corpora}) < len(corpora):
            raise CompareError("--texts: two files have the same name")
        models = find_models(options.models)
        base, head = Revision.find(options.base), Revision.find(options.head)
        say(f"Base: {base.describe()}. Head: {head.describe()}.")
        sys.stderr.write("First both sides compile, which takes a few minutes.\n")
        for result in compare_results(base, head, corpora, [None, *models]):
            results.append(result)
            if result.differs:
                say(f"DIFFERENT: {result}")
    except (CompareError, RequestError, OSError, UnicodeError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    different = sum(result.differs for result in results)
    absent = [result for result in results if result.is_absent]
    texts = sum(len(corpus.texts) for corpus in corpora)
    say(f"{1 + len(models)} models, {texts:,} texts: {len(results) - different - len(absent):,} results are equal to the bit, {different:,} differ.")
    if absent:
        say(f"{len(absent):,} results are absent in base:")
    for name in dict.fromkeys(f"{result.name} ({result.base})" for result in absent):
        say(f"- {name}")
    return int(different > 0)


if __name__ == "__main__":
    end_on_signals()
    raise SystemExit(main())
