"""The process of one side of a comparison of two revisions, started as a script. It does a revision's work on request and returns the results.

    python revision_server.py CHECKOUT TEXTS

This script belongs to the comparison and not to the revision. It calls only the public interface of the package, because old revisions have other
modules. If a revision lacks a function, the case that needs it is absent. The script imports nothing else of `benchmarks`: it must import the
package from its own checkout and no other.

A request is a line of JSON on standard input, and its answer is a line of JSON on standard output. The process ends when its input ends:

    {"do": "open", "model": FOLDER or null}             {}
    {"do": "vectors", "corpus": NAME, "file": FILE}     {}, and the texts' vectors are in the file, as .npy
    {"do": "time", "case": CASE, "corpus": NAME, "repeat": COUNT}   {"seconds": of all repetitions together}
    {"do": "digests", "corpus": NAME}                   {"digests": {RESULT: its SHA-256, or why there is none}}

An answer may also be {"absent": NAME}, if this revision lacks something, or {"failed": MESSAGE}.
"""

from __future__ import annotations

import gc
import hashlib
import inspect
import itertools
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

__all__ = ["AbsentError", "Server", "main"]

# The vectors of the tokens of this many texts are in memory at once.
_SEQUENCE_TEXTS = 1000
# Every text of this number is null in the column with nulls.
_NULL_STEP = 7


class AbsentError(Exception):
    """A case needs something that this revision lacks, or that is not installed. The message names it."""


class Server:
    """Answers the requests.

    Args:
        checkout: the folder that the package is imported from.
        texts: the file of the corpora, JSON. For each name it has "texts", "sentences" (some of the texts) and a "document".

    Raises:
        RuntimeError: the package was imported from elsewhere.
    """

    def __init__(self, checkout: Path, texts: Path) -> None:
        import model2vec_numba

        if not Path(model2vec_numba.__file__).resolve().is_relative_to(checkout.resolve()):
            raise RuntimeError("the package was not imported from its checkout")
        self._package: Any = model2vec_numba
        self._checkout = checkout.resolve()
        self._corpora: dict[str, dict[str, Any]] = json.loads(texts.read_text(encoding="utf-8"))
        self._folder: str | None = None
        self._model: Any = None
        self._works: dict[tuple[str, str], Callable[[], object]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request. An error is an answer too."""
        try:
            if request["do"] == "open":
                self._open(request["model"])
                return {}
            if request["do"] == "vectors":
                self._save_vectors(request["corpus"], request["file"])
                return {}
            if request["do"] == "digests":
                return {"digests": {name: self._digest(work) for name, work in self._results(self._corpora[request["corpus"]])}}
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
        # One round must not pay for the garbage of another. Objects that stay, above all the compiler's, are not examined in each collection.
        gc.collect()
        gc.freeze()
        begin = time.perf_counter()
        for _ in range(repeat):
            work()
        return time.perf_counter() - begin

    def _work(self, case: str, corpus: str) -> Callable[[], object]:
        """Return a function that does the work of a case once.

        Raises:
            AbsentError: this revision cannot do it.
        """
        if case == "load":
            return self._load
        call = self._method({"tokenise": "tokenize", "encode_arrow": "encode_arrow"}.get(case, "encode"))
        content = self._corpora[corpus]
        if case == "one sentence":
            sentences: list[str] = content["sentences"]
            return lambda: [call(sentence) for sentence in sentences]
        if case == "long document":
            document: str = content["document"]
            if "max_length" not in inspect.signature(call).parameters:
                raise AbsentError("max_length of encode")
            return lambda: call(document, max_length=None)
        if case == "encode_arrow":
            pa = _pyarrow()
            column = pa.array(content["texts"], pa.string())
            return lambda: call(column)
        texts: list[str] = content["texts"]
        return lambda: call(texts)

    def _method(self, name: str) -> Callable[..., Any]:
        """Return a method of the model.

        Raises:
            AbsentError: this revision does not have it.
        """
        method: Callable[..., Any] | None = getattr(self._model, name, None)
        if method is None:
            raise AbsentError(name)
        return method

    def _results(self, content: dict[str, Any]) -> Iterator[tuple[str, Callable[[], Iterable[bytes]]]]:
        """Give the name of each result of a corpus, and a function that returns the bytes of the result in pieces."""
        texts, sentences, document = content["texts"], content["sentences"], content["document"]

        def encode(given: Any, **arguments: Any) -> Callable[[], Iterable[bytes]]:
            return lambda: _array_bytes(self._method("encode")(given, **arguments))

        def encode_column(make: Callable[[Any], Any], **arguments: Any) -> Callable[[], Iterable[bytes]]:
            return lambda: _column_bytes(self._method("encode_arrow")(make(_pyarrow()), **arguments))

        yield "encode", encode(texts)
        yield "encode, 1 thread", encode(texts, num_threads=1)
        yield "encode, 2 threads", encode(texts, num_threads=2)
        yield "encode, normalize=True", encode(texts, normalize=True)
        yield "encode, normalize=False", encode(texts, normalize=False)
        yield "encode, max_length=5", encode(texts, max_length=5)
        yield "encode, max_length=None", encode(texts, max_length=None)
        yield "encode of single strings", lambda: (piece for text in sentences for piece in _array_bytes(self._method("encode")(text)))
        yield "encode of one document, 1 thread", encode(document, max_length=None, num_threads=1)
        yield "encode of one document, 2 threads", encode(document, max_length=None, num_threads=2)
        yield "encode_arrow of string", encode_column(lambda pa: pa.array(texts, pa.string()))
        yield "encode_arrow of large_string", encode_column(lambda pa: pa.array(texts, pa.large_string()))
        yield "encode_arrow of string_view", encode_column(lambda pa: pa.array(texts, pa.string_view()))
        yield "encode_arrow of dictionary", encode_column(lambda pa: pa.array(texts, pa.string()).dictionary_encode())
        yield "encode_arrow of chunks with nulls", encode_column(lambda pa: _chunks_with_nulls(pa, texts))
        yield "encode_arrow, dtype=float16", encode_column(lambda pa: pa.array(texts, pa.string()), dtype="float16")
        yield "encode_as_sequence", lambda: self._sequence_bytes(texts)
        yield "tokenize", lambda: (f"{ids}\n".encode() for ids in self._method("tokenize")(texts))
        yield "tokenize, max_length=5", lambda: (f"{ids}\n".encode() for ids in self._method("tokenize")(texts, max_length=5))

    def _sequence_bytes(self, texts: list[str]) -> Iterator[bytes]:
        call = self._method("encode_as_sequence")
        for first in range(0, len(texts), _SEQUENCE_TEXTS):
            for vectors in call(texts[first : first + _SEQUENCE_TEXTS]):
                yield from _array_bytes(vectors)

    @staticmethod
    def _digest(work: Callable[[], Iterable[bytes]]) -> str:
        """Return the SHA-256 of a result. If there is no result, return "absent" or the name of the error: errors are compared too."""
        digest = hashlib.sha256()
        try:
            for piece in work():
                digest.update(piece)
        except AbsentError as error:
            return f"absent: {error}"
        except Exception as error:
            return f"error: {type(error).__name__}"
        return digest.hexdigest()

    def _place(self, error: Exception) -> str:
        """Return the file and line of the checkout in which an error was raised, if it was raised there."""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            path = Path(frame.filename).resolve()
            if path.is_relative_to(self._checkout):
                return f" ({path.relative_to(self._checkout).as_posix()}:{frame.lineno})"
        return ""


def _pyarrow() -> Any:
    """Return the module pyarrow.

    Raises:
        AbsentError: it is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise AbsentError("pyarrow") from None
    return pa


def _array_bytes(array: Any) -> Iterator[bytes]:
    """Give the type, the shape and the bytes of a NumPy array."""
    yield f"{array.dtype} {array.shape}\n".encode()
    yield array.tobytes()


def _column_bytes(column: Any) -> Iterator[bytes]:
    """Give the type, the nulls and the vectors of an Arrow column, chunk by chunk."""
    for chunk in getattr(column, "chunks", [column]):
        yield f"{chunk.type} {len(chunk)}\n".encode()
        yield from _array_bytes(chunk.is_valid().to_numpy(zero_copy_only=False))
        yield from _array_bytes(chunk.values.to_numpy())


def _chunks_with_nulls(pa: Any, texts: list[str]) -> Any:
    """Return the texts as a column of three chunks of different lengths, with nulls in place of some texts."""
    values = [None if number % _NULL_STEP == 0 else text for number, text in enumerate(texts)]
    cuts = [0, len(values) // 5, len(values) // 2, len(values)]
    return pa.chunked_array([pa.array(values[begin:end], pa.string()) for begin, end in itertools.pairwise(cuts)], pa.string())


def main() -> None:
    """Answer the requests of standard input until it ends."""
    checkout, texts = Path(sys.argv[1]), Path(sys.argv[2])
    # The checkout takes the place of this script's folder, which has modules of its own.
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(checkout), *(folder for folder in sys.path if Path(folder).resolve() != here)]
    # Anything else that writes to standard output must not be mistaken for an answer.
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
