"""Run the work of a package in a fresh process, and return its time or its memory. This file, started as a script, is that process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["memory", "run_conversion", "run_first_texts", "run_start", "run_steps", "run_until_ready"]

DEFAULT_MODEL = Path(__file__).parents[1] / "model2vec_numba" / "default_model"
_TEXT = "It is cold today, and the weather is not going to change."
_FEW = 100
_MANY = 1000
_PEER_SECONDS = 5.0


def run_start(package: str, environment: dict[str, str], folder: Path = DEFAULT_MODEL) -> dict[str, Any]:
    """Import `package`, load the model in a folder and encode a text, in a fresh process.

    Returns:
        "seconds", the wall time from before the start of the process to after its end; "processor", its processor time; "resident", the bytes of
        the resident set after the text (Linux); and "vector", the vector of the text.
    """
    begin, before = time.perf_counter(), os.times()
    result = _run("start", package, environment, str(folder))
    seconds, after = time.perf_counter() - begin, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return {**result, "seconds": seconds, "processor": processor}


def run_first_texts(package: str, environment: dict[str, str], folder: Path = DEFAULT_MODEL) -> float:
    """Import `package`, load the model in a folder and encode 100 texts, in a fresh process. Return the wall time of the process in seconds."""
    begin = time.perf_counter()
    _run("first", package, environment, str(folder))
    return time.perf_counter() - begin


def run_until_ready(package: str, environment: dict[str, str], folder: Path = DEFAULT_MODEL) -> dict[str, Any]:
    """Load the model in a folder and encode texts until compiled code is used, in a fresh process. A peer encodes for five seconds.

    Returns:
        "seconds" from the start of the process to the first call with compiled code, and "rate", the number of texts in a second until then.
    """
    return _run("ready", package, environment, str(folder))


def run_steps(package: str, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Load the models "small" and "large" of a folder, and encode texts that use every row of the large one, in a fresh process.

    Returns:
        Bytes of the resident set: "imported", "loaded" and "touched" after each step, and the maximum until then, "loaded_peak" and "touched_peak".
    """
    return _run("steps", package, environment, str(folder))


def run_conversion(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Load the model in a folder and save it as int8 in another folder next to it, in a fresh process.

    Returns:
        Bytes of the resident set: "loaded_peak" and "converted_peak", the maximum until the model was loaded, and until the end.
    """
    return _run("convert", "model2vec_numba", environment, str(folder))


def _run(task: str, package: str, environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    environment = {**os.environ, **environment}
    # Python loads modules from their bytecode, as for an installed package.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, str(Path(__file__)), task, package, *arguments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _load(package: str, folder: str) -> Any:
    """Load a model with a package. The import is here, because other users of this module must not pay for it."""
    if package == "model2vec":
        from model2vec import StaticModel as Theirs

        return Theirs.from_pretrained(folder)
    from model2vec_numba import StaticModel

    return StaticModel.from_pretrained(folder)


def _start(package: str, folder: str) -> dict[str, Any]:
    vector = _load(package, folder).encode([_TEXT])[0].tolist()
    return {"vector": vector, "resident": memory("VmRSS") if sys.platform == "linux" else 0}


def _texts(count: int) -> list[str]:
    """Return different short texts."""
    return [f"{_TEXT} It was {number} degrees {number % 7} days ago." for number in range(count)]


def _first(package: str, folder: str) -> dict[str, Any]:
    return {"texts": len(_load(package, folder).encode(_texts(_FEW)))}


def _ready(package: str, folder: str) -> dict[str, Any]:
    began = time.time() - time.process_time()
    model = _load(package, folder)
    texts = _texts(_MANY)
    model.encode(texts)
    begin = time.perf_counter()
    calls = 0
    while model._roads.compiled is None if package == "model2vec_numba" else time.perf_counter() - begin < _PEER_SECONDS:
        model.encode(texts)
        calls += 1
    return {"seconds": time.time() - began, "rate": calls * _MANY / (time.perf_counter() - begin)}


def _steps(package: str, folder: str) -> dict[str, Any]:
    # Memory before the large model: the package, and its code, which a small model has used.
    small = _load(package, f"{folder}/small")
    small.encode(["w1 w2"])
    found = {"imported": memory("VmRSS")}
    model = _load(package, f"{folder}/large")
    found |= {"loaded": memory("VmRSS"), "loaded_peak": memory("VmHWM")}
    size, step = len(model.embedding), 500
    for first in range(1, size, step):
        vectors = model.encode([" ".join(f"w{i}" for i in range(first, min(first + step, size)))])
        if not vectors.any():
            raise RuntimeError(f"{package}: the vector of the tokens from {first} on is zero")
    return found | {"touched": memory("VmRSS"), "touched_peak": memory("VmHWM")}


def _convert(package: str, folder: str) -> dict[str, Any]:
    from model2vec_numba import quantize_model

    model = _load(package, folder)
    found = {"loaded_peak": memory("VmHWM")}
    quantize_model(model, quantize_to="int8").save_pretrained(f"{folder}-int8")
    return found | {"converted_peak": memory("VmHWM")}


def memory(name: str) -> int:
    """Return the bytes of this process that are resident (``VmRSS``), or the maximum so far (``VmHWM``)."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[name].split()[0]) * 1024


if __name__ == "__main__":
    # The first folder of the path is this file's, and the module `tokenizers` in it would hide the library.
    sys.path.pop(0)
    task, package, place = sys.argv[1:]
    tasks = {"convert": _convert, "first": _first, "ready": _ready, "start": _start, "steps": _steps}
    result = tasks[task](package, place)
    sys.stdout.write(json.dumps(result) + "\n")
