"""The process of one side of `compare.py`, started as a script: it does a revision's work when it is told to, and says how long that took.

    python compare_server.py CHECKOUT TEXTS

It belongs to the comparison, not to the revision, and calls only what every revision has of the package's public interface; a case that needs
more is absent where that is missing. Nothing else of `benchmarks` is imported: this must not see another checkout than the one it is given.

A request is a line of JSON on standard input, its answer a line of JSON on standard output; the end of the input is the end of the process:

    {"do": "open", "model": FOLDER or null}             {}
    {"do": "vectors", "corpus": NAME, "file": FILE}     {}, and the texts' vectors are in the file, as .npy
    {"do": "time", "case": CASE, "corpus": NAME, "repeat": COUNT}   {"seconds": of all repetitions together}

Instead of these an answer may be {"absent": WHAT}, something that this revision does not have, or {"failed": WHY}.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

__all__ = ["AbsentError", "Server", "main"]


class AbsentError(Exception):
    """What a case needs is not in this revision, or not installed. The message names it."""


class Server:
    """What the requests ask for.

    Args:
        checkout: the folder that the package is imported from.
        texts: the file of the corpora, JSON: for each name the "texts", some "sentences" of them, and a "document".

    Raises:
        RuntimeError: the package comes from elsewhere.
    """

    def __init__(self, checkout: Path, texts: Path) -> None:
        import model2vec_numba

        if not Path(model2vec_numba.__file__).resolve().is_relative_to(checkout.resolve()):
            raise RuntimeError("the package was imported from another place than its checkout")
        self._package: Any = model2vec_numba
        self._checkout = checkout.resolve()
        self._corpora: dict[str, dict[str, Any]] = json.loads(texts.read_text(encoding="utf-8"))
        self._folder: str | None = None
        self._model: Any = None
        self._works: dict[tuple[str, str], Callable[[], object]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked for. Whatever goes wrong is an answer, too."""
        try:
            if request["do"] == "open":
                self._open(request["model"])
                return {}
            if request["do"] == "vectors":
                self._save_vectors(request["corpus"], request["file"])
                return {}
            return {"seconds": self._time(request["case"], request["corpus"], request["repeat"])}
        except AbsentError as error:
            return {"absent": str(error)}
        except Exception as error:
            return {"failed": f"{type(error).__name__}: {error}{self._place(error)}"}

    def _open(self, folder: str | None) -> None:
        self._works.clear()
        self._model, self._folder = None, folder
        self._model = self._load()

    def _load(self) -> Any:
        return self._package.StaticModel.from_pretrained() if self._folder is None else self._package.StaticModel.from_pretrained(self._folder)

    def _save_vectors(self, corpus: str, file: str) -> None:
        import numpy as np

        np.save(file, self._model.encode(self._corpora[corpus]["texts"]))

    def _time(self, case: str, corpus: str, repeat: int) -> float:
        key = case, corpus
        if key not in self._works:
            self._works[key] = self._work(case, corpus)
        work = self._works[key]
        # What a round leaves behind is not for the next to clear away; what stays, the compiler above all, is not looked through each time.
        gc.collect()
        gc.freeze()
        begin = time.perf_counter()
        for _ in range(repeat):
            work()
        return time.perf_counter() - begin

    def _work(self, case: str, corpus: str) -> Callable[[], object]:
        """What a case does once.

        Raises:
            AbsentError: this revision cannot do it.
        """
        if case == "load":
            return self._load
        method = {"tokenise": "tokenize", "encode_arrow": "encode_arrow"}.get(case, "encode")
        call = getattr(self._model, method, None)
        if call is None:
            raise AbsentError(method)
        given = self._corpora[corpus]
        if case == "one sentence":
            sentences: list[str] = given["sentences"]
            return lambda: [call(sentence) for sentence in sentences]
        if case == "long document":
            document: str = given["document"]
            if "max_length" not in inspect.signature(call).parameters:
                raise AbsentError("max_length of encode")
            return lambda: call(document, max_length=None)
        if case == "encode_arrow":
            try:
                import pyarrow as pa
            except ImportError:
                raise AbsentError("pyarrow") from None
            column = pa.array(given["texts"], pa.string())
            return lambda: call(column)
        texts: list[str] = given["texts"]
        return lambda: call(texts)

    def _place(self, error: Exception) -> str:
        """Where in the checkout it happened, if it did there."""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            path = Path(frame.filename).resolve()
            if path.is_relative_to(self._checkout):
                return f" ({path.relative_to(self._checkout).as_posix()}:{frame.lineno})"
        return ""


def main() -> None:
    """Answer the requests of standard input until it ends."""
    checkout, texts = Path(sys.argv[1]), Path(sys.argv[2])
    # In the place of this script's folder, which has modules of its own.
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(checkout), *(folder for folder in sys.path if Path(folder).resolve() != here)]
    # Whatever else writes to standard output shall not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        server = Server(checkout, texts)
    except Exception as error:
        _write(answers, {"failed": f"{type(error).__name__}: {error}"})
        return
    _write(answers, {})
    for line in sys.stdin:
        _write(answers, server.answer(json.loads(line)))


def _write(file: TextIO, answer: dict[str, Any]) -> None:
    file.write(json.dumps(answer) + "\n")
    file.flush()


if __name__ == "__main__":
    main()
