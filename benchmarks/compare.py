"""Compare the speed of two revisions, in turns on this machine: ``python -m benchmarks.compare BASE [HEAD]``, with ``--help`` for the rest.

BASE and HEAD are whatever git knows revisions by; without HEAD it is the working tree as it is when the run starts. Each side is a process of its
own (`compare_server.py`) with one thread, which imports the package from a checkout of its own, in a temporary folder, and compiles it into a cache
of its own. Both stay alive and take turns, base, head, head, base, and so on, so that what slows the machine slows both.

    $ python -m benchmarks.compare main                    # what the working tree makes faster or slower
    $ python -m benchmarks.compare v0.1.0 HEAD --json FILE
    $ python -m benchmarks.compare main --case encode --fail-slower 10

Before a case is timed, the vectors of both sides are compared to the bit. What differs is said, and does not stop the run.

A ratio is base / head, of the medians: above 1, head is faster. The verdict is "faster" or "slower" where that is more than 3 % from 1 and the
quartiles of the rounds' ratios lie on the same side of 1, else "same", which a wide spread makes worth little: then the machine is busy. Two
processes of the same revision can be a few per cent apart for as long as they live, so a small difference counts when a second run has it, too.
A case is "absent" where a side has not what it calls, or where base fails; where head fails it has "failed".

The exit code is 0, or 1 where ``--fail-slower`` says so, or 2 where something has failed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.corpora import Corpus, corpus_from_file, default_corpora
from benchmarks.machine import describe_machine
from model2vec_numba.cli.turns import Turns, take_turns

__all__ = ["CASES", "CompareError", "Difference", "Result", "Side", "checkouts", "compare", "compare_vectors", "main"]

# Of each corpus, but for the last, which is of the model alone.
CASES = ("encode", "encode_arrow", "tokenise", "one sentence", "long document", "load")

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGE = "model2vec_numba"
_SERVER = Path(__file__).with_name("compare_server.py")

_MARGIN = 0.03
_SENTENCES = 200
_DOCUMENT_CHARACTERS = 1_000_000
# A turn is of as many repetitions as take so long: the first is not yet at full speed, after the other side's turn.
_TURN_SECONDS = 0.02
_LAST_LINES = 5
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
# git sets these for its hooks, and they would lead it to another repository.
_GIT_VARIABLES = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"}


class CompareError(RuntimeError):
    """The comparison cannot go on: a revision does not exist, or a side's process does not work. The message says which."""


class _FailedError(Exception):
    """A side cannot do what it was asked for. Its arguments are the side's name, the kind, "absent" or "failed", and the reason."""


@dataclass(frozen=True)
class Difference:
    """What the vectors of both sides differ in.

    Attributes:
        model, corpus: the names of what they are of.
        texts: the number of the texts.
        different: the number of those whose vectors are not equal to the bit; ``None`` where the two cannot be compared.
        largest: the largest difference of two numbers.
        note: why they cannot be compared.
    """

    model: str
    corpus: str
    texts: int
    different: int | None
    largest: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        where = f"Vectors of {self.corpus}, {self.model}"
        if self.different is None:
            return f"{where}: not compared, {self.note}."
        if not self.different:
            return f"{where}: equal to the bit, {self.texts:,} texts."
        return f"{where}: **{self.different:,} of {self.texts:,} texts differ, by {self.largest:.3g} at most**."


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        model, case, corpus: their names; "" is the corpus of what is of the model alone.
        turns: the seconds of both, "base" and "head"; ``None`` where there are none.
        note: why there are none: "absent" or "failed", and the reason.
    """

    model: str
    case: str
    corpus: str
    turns: Turns | None
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times faster head is: the ratio of the medians; NaN where there is none."""
        return math.nan if self.turns is None else self.turns.ratio("base", "head")

    @property
    def spread(self) -> list[float]:
        """The rounds' ratios: the lowest, the three quartiles and the highest; of nothing, nothing."""
        if self.turns is None:
            return []
        ratios = self.turns.round_ratios("base", "head")
        return [ratios[0], *statistics.quantiles(ratios, n=4, method="inclusive"), ratios[-1]]

    @property
    def verdict(self) -> str:
        """The word that the module's documentation explains."""
        if self.turns is None:
            return self.note
        _, lower, _, upper, _ = self.spread
        if lower > 1 and self.ratio > 1 + _MARGIN:
            return "faster"
        if upper < 1 and 1 / self.ratio > 1 + _MARGIN:
            return "slower"
        return "same"

    def is_slower_by(self, percent: float) -> bool:
        """Whether the verdict is "slower", and head takes more than so many percent longer than base."""
        return self.verdict == "slower" and 1 / self.ratio > 1 + percent / 100

    def row(self) -> str:
        """The case's line of the table."""
        name = ", ".join(filter(None, (self.case, self.corpus, self.model)))
        if self.turns is None:
            return f"| {name} | | | | | {self.note} |"
        spread = " / ".join(f"{ratio:.3f}" for ratio in self.spread)
        seconds = [_readable(self.turns.median(side)) for side in ("base", "head")]
        return f"| {name} | {seconds[0]} | {seconds[1]} | {self.ratio:.3f} | {spread} | {self.verdict} |"


_HEADER = (
    "| case | base | head | ratio | rounds: lowest / quartiles / highest | verdict |",
    "| --- | --: | --: | --: | --- | --- |",
)


class Side:
    """The process of a side.

    Args:
        name: "base" or "head".
        checkout: the folder that it imports the package from.
        texts: the file of the corpora; see `compare_server.Server`.
        folder: an empty folder of its own.
    """

    def __init__(self, name: str, checkout: Path, texts: Path, folder: Path) -> None:
        self.name = name
        # What messages need not say, the longest first: the environment may be in the checkout, and has its own packages.
        self._prefixes = [f"{path}{os.sep}" for path in (checkout, folder, sys.prefix, _ROOT)]
        self._errors = (folder / "errors.txt").open("w+b")
        environment = {
            **os.environ,
            "NUMBA_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "NUMBA_CACHE_DIR": str(folder / "cache"),
            # Sets have the same order on both sides.
            "PYTHONHASHSEED": "0",
        }
        self._process = subprocess.Popen(
            [sys.executable, str(_SERVER), str(checkout), str(texts)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the other
        )

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def send(self, request: dict[str, Any]) -> None:
        """Ask for something; `receive` has the answer."""
        pipe = self._process.stdin
        assert pipe is not None
        try:
            pipe.write(json.dumps(request) + "\n")
            pipe.flush()
        except BrokenPipeError:
            pass  # it has ended, and `receive` says why

    def receive(self) -> dict[str, Any]:
        """The answer to what was asked first.

        Raises:
            CompareError: the process has ended.
        """
        pipe = self._process.stdout
        assert pipe is not None
        if line := pipe.readline():
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode("utf-8", "replace").splitlines()[-_LAST_LINES:]
        raise CompareError(f"{self.name}: the process has ended with exit code {code}; {self._shortened(' / '.join(last)) or 'it said nothing'}")

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask for something and wait for it.

        Raises:
            CompareError: the process has ended.
            _FailedError: it cannot do that.
        """
        self.send(request)
        answer = self.receive()
        self.check(answer)
        return answer

    def check(self, answer: dict[str, Any]) -> None:
        """See whether an answer is one.

        Raises:
            _FailedError: it says that the side cannot do what it was asked for.
        """
        if "absent" in answer:
            raise _FailedError(self.name, "absent", answer["absent"])
        if "failed" in answer:
            # What an older revision fails at is something that it does not have.
            raise _FailedError(self.name, "absent" if self.name == "base" else "failed", self._shortened(answer["failed"]))

    def _shortened(self, message: str) -> str:
        for prefix in self._prefixes:
            message = message.replace(prefix, "")
        return message


def ask_both(sides: Sequence[Side], requests: Sequence[dict[str, Any]]) -> None:
    """Ask each side for something that is not timed, at the same time.

    Raises:
        CompareError: a process has ended.
        _FailedError: one cannot do that; if neither can, it is of the last.
    """
    for side, request in zip(sides, requests, strict=True):
        side.send(request)
    answers = [side.receive() for side in sides]
    for side, answer in reversed(list(zip(sides, answers, strict=True))):
        side.check(answer)


@contextmanager
def _held_signals() -> Iterator[None]:
    """Ctrl-C and its like have to wait for the end of this."""
    caught: list[int] = []
    before = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])


def _git(*arguments: str) -> str:
    """What git says.

    Raises:
        CompareError: it says that it cannot; or there is no git.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_VARIABLES} | {"GIT_OPTIONAL_LOCKS": "0"}
    # No hook of the repository runs, and Ctrl-C is not for git.
    command = ["git", "-C", str(_ROOT), "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False, start_new_session=True
        )
    except OSError as error:
        raise CompareError(f"git: {error.strerror}") from error
    if done.returncode:
        raise CompareError(f"git {arguments[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Revision:
    """What a side is made of.

    Attributes:
        name: what it is called.
        commit: the commit's digest, for the working tree that of the one checked out.
        is_tree: whether it is the working tree.
    """

    name: str
    commit: str
    is_tree: bool = False

    @classmethod
    def find(cls, name: str | None) -> Revision:
        """The revision of that name; ``None`` for the working tree.

        Raises:
            CompareError: there is none.
        """
        if name is None:
            return cls("the working tree", _git("rev-parse", "HEAD"), is_tree=True)
        try:
            return cls(name, _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"))
        except CompareError:
            raise CompareError(f"{name}: no such revision") from None

    def describe(self) -> str:
        """The revision in words."""
        commit = _git("log", "-1", "--format=%h (%s)", self.commit)
        if not self.is_tree:
            return commit if self.commit.startswith(self.name) else f"{self.name}, {commit}"
        changed = len(_git("status", "--porcelain", "--", _PACKAGE).splitlines())
        files = f"{changed} changed file{'s' * (changed != 1)}" if changed else "no changes"
        return f"{self.name}, {commit} with {files} in the package"

    def check_out(self, folder: Path) -> None:
        """Put it into a folder that is not there yet. The working tree is copied, so that a run does not see what is edited meanwhile.

        Raises:
            CompareError: git cannot.
        """
        if self.is_tree:
            shutil.copytree(_ROOT / _PACKAGE, folder / _PACKAGE, ignore=shutil.ignore_patterns("__pycache__", "*.nbc", "*.nbi"))
        else:
            _git("worktree", "add", "--detach", str(folder), self.commit)


@contextmanager
def checkouts(base: Revision, head: Revision) -> Iterator[tuple[Path, Path]]:
    """Two folders with a revision each in ``checkout``, and room for more beside that. At the end there is nothing left of them, in git neither.

    Raises:
        CompareError: git cannot.
    """
    folder: Path | None = None
    # Names of the same length: where things lie in a process's memory depends on its arguments and its environment.
    revisions = {"base": base, "head": head}
    try:
        with _held_signals():
            folder = Path(tempfile.mkdtemp(prefix="compare-"))
            for name, revision in revisions.items():
                (folder / name).mkdir()
                revision.check_out(folder / name / "checkout")
        yield folder / "base", folder / "head"
    finally:
        with _held_signals():
            if folder is not None:
                for name in revisions:
                    if (folder / name / "checkout" / ".git").exists():
                        with suppress(CompareError):
                            _git("worktree", "remove", "--force", "--force", str(folder / name / "checkout"))
                shutil.rmtree(folder, ignore_errors=True)
            _git("worktree", "prune")


def compare_vectors(model: str, corpus: str, base: NDArray[Any], head: NDArray[Any]) -> Difference:
    """How the vectors of both sides differ, each of shape (texts, dim)."""
    if base.shape != head.shape or base.dtype != head.dtype:
        kinds = [f"{vectors.dtype}{list(vectors.shape)}" for vectors in (base, head)]
        return Difference(model, corpus, len(head), None, note=f"base has {kinds[0]} and head {kinds[1]}")
    bits = [np.ascontiguousarray(vectors).view(np.uint8).reshape(len(vectors), -1) for vectors in (base, head)]
    rows = (bits[0] != bits[1]).any(axis=1)
    largest = float(np.abs(base[rows].astype(np.float64) - head[rows]).max(initial=0.0))
    return Difference(model, corpus, len(head), int(rows.sum()), largest)


def compare(
    base: Revision,
    head: Revision,
    corpora: Sequence[Corpus],
    models: Sequence[Path | None],
    *,
    cases: Sequence[str] = CASES,
    rounds: int | None = None,
) -> Iterator[Difference | Result]:
    """Compare two revisions.

    Args:
        base, head: the revisions.
        corpora: the texts.
        models: the models' folders, ``None`` for each side's bundled model.
        cases: those of `CASES` to time.
        rounds: of each case, one more if that is odd; ``None``: as many as take about five seconds.

    Returns:
        One after the other, when it is known: for each model and corpus first the difference of the vectors, then the results of its cases.

    Raises:
        CompareError: see there.
    """
    with ExitStack() as stack:
        places = stack.enter_context(checkouts(base, head))
        texts = places[0].parent / "texts.json"
        texts.write_text(json.dumps({corpus.name: _given(corpus) for corpus in corpora}), encoding="utf-8")
        sides = [stack.enter_context(Side(place.name, place / "checkout", texts, place)) for place in places]
        try:
            for side in sides:
                side.check(side.receive())
        except _FailedError as error:
            raise CompareError(f"{error.args[0]}: the package cannot be imported: {error.args[2]}") from None
        for folder in models:
            model = "" if folder is None else folder.name
            chosen = [(case, corpus) for corpus in corpora for case in cases if case != "load"]
            if "load" in cases:
                chosen.append(("load", Corpus("", [])))
            try:
                ask_both(sides, [{"do": "open", "model": None if folder is None else os.fspath(folder)}] * 2)
            except _FailedError as error:
                yield from (Result(model, case, corpus.name, None, _note(error)) for case, corpus in chosen)
                continue
            for corpus in corpora:
                yield _difference(sides, places, model or "the bundled model", corpus)
            for case, corpus in chosen:
                yield _result(sides, model, case, corpus, rounds)


def _given(corpus: Corpus) -> dict[str, Any]:
    """What the sides are given of a corpus. The sentences are of the whole of it, so that they are as long as its texts are."""
    step = max(1, len(corpus.texts) // _SENTENCES)
    document = "\n".join(corpus.texts)[:_DOCUMENT_CHARACTERS]
    return {"texts": corpus.texts, "sentences": corpus.texts[::step][:_SENTENCES], "document": document}


def _note(error: _FailedError) -> str:
    side, kind, reason = error.args
    # In a cell of a table.
    return f"{kind}: {side}, {' '.join(str(reason).split())}".replace("|", "\\|")


def _difference(sides: Sequence[Side], places: Sequence[Path], model: str, corpus: Corpus) -> Difference:
    files = [place / "vectors.npy" for place in places]
    try:
        ask_both(sides, [{"do": "vectors", "corpus": corpus.name, "file": str(file)} for file in files])
    except _FailedError as error:
        return Difference(model, corpus.name, len(corpus.texts), None, note=_note(error))
    return compare_vectors(model, corpus.name, np.load(files[0]), np.load(files[1]))


def _result(sides: Sequence[Side], model: str, case: str, corpus: Corpus, rounds: int | None) -> Result:
    request = {"do": "time", "case": case, "corpus": corpus.name}
    try:
        # The first time both may have to compile.
        ask_both(sides, [{**request, "repeat": 1}] * 2)
        once = statistics.geometric_mean(_seconds(side, {**request, "repeat": 1}) for side in sides)
        repeat = max(1, math.ceil(_TURN_SECONDS / max(once, 1e-9)))
        base, head = (partial(_seconds, side, {**request, "repeat": repeat}) for side in sides)
        turns = _alternate(base, head, rounds)
    except _FailedError as error:
        return Result(model, case, corpus.name, None, _note(error))
    units = repeat * (len(_given(corpus)["sentences"]) if case == "one sentence" else 1)
    return Result(model, case, corpus.name, Turns({name: [value / units for value in seconds] for name, seconds in turns.seconds.items()}))


def _seconds(side: Side, request: dict[str, Any]) -> float:
    seconds: float = side.ask(request)["seconds"]
    return seconds


def _alternate(base: Callable[[], float], head: Callable[[], float], rounds: int | None) -> Turns:
    """`take_turns`, but every other round has the other order: two of these rounds are one of its four contestants."""
    taken = take_turns(
        {"base": base, "head": head, "head again": head, "base again": base},
        rounds=None if rounds is None else (rounds + 1) // 2,
    ).seconds
    merged = {name: zip(taken[name], taken[f"{name} again"], strict=True) for name in ("base", "head")}
    return Turns({name: [seconds for both in pairs for seconds in both] for name, pairs in merged.items()})


def _readable(seconds: float) -> str:
    """Seconds with a unit that suits them, and four digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds / 1e-6:.4g} µs"


def _as_json(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = {"model": result.model or None, "case": result.case, "corpus": result.corpus or None, "verdict": result.verdict}
    if result.turns is None:
        return found
    names = ("lowest", "lower_quartile", "median", "upper_quartile", "highest")
    seconds = {f"{name}_seconds": list(values) for name, values in result.turns.seconds.items()}
    return {**found, "ratio_of_medians": result.ratio, "round_ratios": dict(zip(names, result.spread, strict=True)), **seconds}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("base", metavar="BASE", help="the revision to compare with")
    parser.add_argument("head", metavar="HEAD", nargs="?", help="the revision to judge; without: the working tree")
    parser.add_argument("--model", type=Path, action="append", metavar="FOLDER", help="a model to use beside the bundled one")
    parser.add_argument("--text", type=Path, action="append", metavar="FILE", help="UTF-8 text to use, one text a line, instead of the default texts")
    parser.add_argument("--paragraphs", action="store_true", help="split the files of --text on blank lines, not on every line")
    parser.add_argument("--case", choices=CASES, action="append", help="time this case, once or more; without: all")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="time N rounds of each case, not as many as take five seconds")
    parser.add_argument("--fail-slower", type=float, metavar="PERCENT", help='exit with 1 if a case is "slower" by more than so much')
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there, too, every round of it")
    options = parser.parse_args(arguments)
    for folder in options.model or []:
        if not folder.is_dir():
            parser.error(f"--model {folder}: no such folder")
    if options.json and not options.json.parent.is_dir():
        parser.error(f"--json {options.json}: no such folder")
    return options


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected an integer of 1 or more")
    return int(text)


def _corpora(files: Sequence[Path], paragraphs: bool) -> list[Corpus]:
    """The texts of the files, or if there are none those of every machine.

    Raises:
        CompareError: a file has no texts, or two have the same name.
        OSError, UnicodeError: one cannot be read.
    """
    corpora = [corpus_from_file(path, paragraphs) for path in files] or list(default_corpora())
    if empty := [corpus.name for corpus in corpora if not corpus.texts]:
        raise CompareError(f"{', '.join(empty)}: no texts")
    if len({corpus.name for corpus in corpora}) < len(corpora):
        raise CompareError("--text: two files have the same name")
    return corpora


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print what is found as it is found.

    Returns:
        The exit code.
    """
    options = _parse(arguments)
    cases = [case for case in CASES if case in (options.case or CASES)]
    differences: list[Difference] = []
    results: list[Result] = []
    in_table = False
    try:
        corpora = _corpora(options.text or [], options.paragraphs)
        base, head = Revision.find(options.base), Revision.find(options.head)
        described = {"base": base.describe(), "head": head.describe(), "machine": describe_machine()}
        _say(f"Base: {described['base']}. Head: {described['head']}.", "", described["machine"], "")
        sys.stderr.write("First both sides compile, which takes up to a minute.\n")
        for found in compare(base, head, corpora, [None, *(options.model or [])], cases=cases, rounds=options.rounds):
            if isinstance(found, Difference):
                differences.append(found)
                _say(*[""] * in_table, f"- {found}")
                in_table = False
            else:
                results.append(found)
                _say(*[] if in_table else ["", *_HEADER], found.row())
                in_table = True
        if options.json:
            content = {**described, "differences": [asdict(found) for found in differences], "cases": [_as_json(found) for found in results]}
            options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except (CompareError, OSError, UnicodeError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    if any(note.startswith("failed") for note in [*(found.note for found in differences), *(found.note for found in results)]):
        return 2
    return int(options.fail_slower is not None and any(found.is_slower_by(options.fail_slower) for found in results))


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _interrupt(number: int, _: FrameType | None) -> None:
    """End by way of all that clears up, which is not interrupted a second time."""
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    raise SystemExit(main())
