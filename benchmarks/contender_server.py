"""The process of one contender, started as a script. It encodes or tokenises texts on request, each call with other texts, and returns the times.

    python contender_server.py CONTENDER MODEL_FOLDER TEXTS [CHECKOUT]

TEXTS is a file with a text a line. With CHECKOUT, this package is imported from that folder. The environment limits the threads. The script imports
nothing else of `benchmarks`, so that it also runs with another Python.

The first line of standard output is {"name": the contender and its version}. A request is a line of JSON, and so is its answer. The process ends when
its input ends:

    {"do": "calls", "first": F, "last": L, "size": S}   {"calls": the seconds of each call of S texts, from text F to text L - 1}
    {"do": "result", "first": F, "last": L, "file": FILE}   {}, and the file has the vectors as .npy, or the ids of each text as JSON

An answer may also be {"failed": MESSAGE}. If the contender cannot be loaded, the message is the first line.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TextIO

__all__ = ["CONTENDERS", "Contender"]


class Contender(NamedTuple):
    """A system that works on lists of texts.

    Attributes:
        name: its name and version.
        work: does the work for some texts.
        plain: makes the result of the work comparable: an array of vectors, or a list of ids for each text.
    """

    name: str
    work: Callable[[list[str]], Any]
    plain: Callable[[Any], Any] = lambda result: result


def _encode_with_ours(folder: str) -> Contender:
    package = importlib.import_module("model2vec_numba")
    return Contender(f"model2vec-numba {package.__version__}", package.StaticModel.from_pretrained(folder).encode)


def _encode_with_model2vec(folder: str) -> Contender:
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(folder)
    # By default it starts processes for more than 10,000 texts.
    return Contender(f"model2vec {version('model2vec')}", lambda texts: model.encode(texts, use_multiprocessing=False))


def _encode_with_laghu(folder: str) -> Contender:
    laghu = importlib.import_module("laghu")
    # Its Rust core is a package of its own. It does not take a tokenizer that truncates or pads, and model2vec does neither.
    with tempfile.TemporaryDirectory() as copy:
        for path in Path(folder).iterdir():
            Path(copy, path.name).symlink_to(path.resolve())
        Path(copy, "tokenizer.json").unlink()
        Path(copy, "tokenizer.json").write_text(_json_without_limits(folder), encoding="utf-8")
        model = laghu.load(copy)
    return Contender(f"laghu {version('laghu')} with laghu-rs {version('laghu-rs')}", model.encode)


def _tokenize_with_ours(folder: str) -> Contender:
    package = importlib.import_module("model2vec_numba")
    encoder = package.StaticModel.from_pretrained(folder)._encoder(None)

    def plain(batches: list[Any]) -> list[list[int]]:
        return [batch.ids[begin:end].tolist() for batch in batches for begin, end in batch.bounds()]

    # A batch's ids may be in memory that the next batch uses. The ids of a result must last, as those of the others.
    def work(texts: list[str]) -> list[Any]:
        return [_copied(batch) for batch in encoder.tokenize(texts)]

    return Contender(f"model2vec-numba {package.__version__}", work, plain)


def _copied(batch: Any) -> Any:
    return type(batch)(batch.ids[: batch.offsets[-1]].copy(), batch.offsets)


def _tokenize_with_tokenizers(folder: str) -> Contender:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    for setting in ("no_truncation", "no_padding"):
        getattr(tokenizer, setting, lambda: None)()
    # Only versions before 1.0 have the faster method.
    call = getattr(tokenizer, "encode_batch_fast", None) or tokenizer.encode_batch
    unknown = _unknown_id(folder)
    return Contender(
        f"tokenizers {version('tokenizers')}",
        lambda texts: call(texts, add_special_tokens=False),
        lambda result: [_without(encoding.ids, unknown) for encoding in result],
    )


def _tokenize_with_nanotoken(folder: str) -> Contender:
    nanotoken = importlib.import_module("nanotoken")
    tokenizer = nanotoken.Tokenizer.from_json(_json_without_limits(folder))
    unknown = _unknown_id(folder)
    return Contender(
        f"nanotoken {version('nanotoken')}",
        lambda texts: tokenizer.encode_batch(texts, add_special_tokens=False, parallel=_parallel()),
        lambda result: [_without(ids, unknown) for ids in result.to_list()],
    )


def _tokenize_with_gigatoken(folder: str) -> Contender:
    gigatoken = importlib.import_module("gigatoken")
    tokenizer = gigatoken.Tokenizer.from_json(_json_without_limits(folder))
    return Contender(
        f"gigatoken {version('gigatoken')}",
        lambda texts: tokenizer.encode_batch(texts, parallel=_parallel()),
        lambda result: result.to_list(),
    )


CONTENDERS: dict[str, Callable[[str], Contender]] = {
    "encode: ours": _encode_with_ours,
    "encode: model2vec": _encode_with_model2vec,
    "encode: laghu": _encode_with_laghu,
    "tokenise: ours": _tokenize_with_ours,
    "tokenise: tokenizers": _tokenize_with_tokenizers,
    "tokenise: nanotoken": _tokenize_with_nanotoken,
    "tokenise: gigatoken": _tokenize_with_gigatoken,
}


def _parallel() -> bool:
    return os.environ.get("RAYON_NUM_THREADS") != "1"


def _json_without_limits(folder: str) -> str:
    """Return the tokenizer.json without truncation and padding. No contender cuts texts, so all do the same work."""
    config = json.loads(Path(folder, "tokenizer.json").read_text(encoding="utf-8"))
    return json.dumps({**config, "truncation": None, "padding": None})


def _unknown_id(folder: str) -> int:
    """Return the id of the unknown token, which this package drops; -1 if there is none."""
    model = json.loads(Path(folder, "tokenizer.json").read_text(encoding="utf-8"))["model"]
    vocabulary = model["vocab"]
    # Unigram lists its vocabulary, and has the id itself.
    unknown = vocabulary.get(model.get("unk_token")) if isinstance(vocabulary, dict) else model.get("unk_id")
    return -1 if unknown is None else int(unknown)


def _without(ids: Iterable[int], unknown: int) -> list[int]:
    return [token for token in ids if token != unknown]


class _Server:
    """Answers the requests."""

    def __init__(self, contender: Contender, texts: list[str]) -> None:
        self._contender = contender
        self._texts = texts
        # Objects that stay, above all those of a compiler, are not examined in later collections of garbage.
        gc.collect()
        gc.freeze()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request. An error is an answer too."""
        first, last = request["first"], request["last"]
        try:
            if request["do"] == "result":
                self._save(self._contender.plain(self._contender.work(self._texts[first:last])), request["file"])
                return {}
            return {"calls": self._calls([*range(first, last, request["size"]), last])}
        except Exception as error:
            return {"failed": f"{type(error).__name__}: {error}"}

    def _calls(self, bounds: list[int]) -> list[float]:
        work, seconds = self._contender.work, []
        for first, last in pairwise(bounds):
            texts = self._texts[first:last]
            begin = time.perf_counter()
            work(texts)
            seconds.append(time.perf_counter() - begin)
        return seconds

    @staticmethod
    def _save(result: Any, file: str) -> None:
        if isinstance(result, list):
            Path(file).write_text(json.dumps(result), encoding="utf-8")
        else:
            import numpy as np

            np.save(file, result)


def main() -> None:
    """Answer the requests of standard input until it ends."""
    name, folder, texts, *checkout = sys.argv[1:]
    # This script's folder has modules of its own.
    here = Path(__file__).resolve().parent
    sys.path[:] = [*checkout, *(each for each in sys.path if Path(each).resolve() != here)]
    # Anything else that writes to standard output must not be mistaken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        contender = CONTENDERS[name](folder)
        server = _Server(contender, Path(texts).read_text(encoding="utf-8").split("\n"))
    except Exception as error:
        # A peer may raise anything if it does not support a model.
        _write(answers, {"failed": f"{type(error).__name__}: {error}"})
        return
    _write(answers, {"name": contender.name})
    for line in sys.stdin:
        _write(answers, server.answer(json.loads(line)))


def _write(file: TextIO, answer: dict[str, Any]) -> None:
    file.write(json.dumps(answer) + "\n")
    file.flush()


if __name__ == "__main__":
    main()
