"""Run a side's work in a fresh process, and hear from it what it cost. Started as a script, this is that process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["memory", "run_conversion", "run_start", "run_steps"]

_TEXT = "It is cold today, and the weather is not going to change."


def run_start(package: str, environment: dict[str, str]) -> dict[str, Any]:
    """Import `package`, load the bundled model and encode a text, in a fresh process.

    Returns:
        "seconds": wall time, from before the process was started to after it has ended; "vector": what it computed.
    """
    begin = time.perf_counter()
    result = _run("start", package, environment)
    return {**result, "seconds": time.perf_counter() - begin}


def run_steps(package: str, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Load the models in `folder`, see `test_memory.py`, and encode texts that touch each of its rows, in a fresh process.

    Returns:
        Bytes of the resident set: "imported", "loaded" and "touched" after each step, "loaded_peak" and "touched_peak" the highest until then.
    """
    return _run("steps", package, environment, str(folder))


def run_conversion(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Load the model in `folder`, save it as int8 in another folder beside it, in a fresh process.

    Returns:
        Bytes of the resident set: "loaded_peak" and "converted_peak", the highest until the model was loaded, and until all was done.
    """
    return _run("convert", "model2vec_numba", environment, str(folder))


def _run(task: str, package: str, environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    environment = {**os.environ, **environment}
    # Modules come from their compiled form, as in an installed package.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, str(Path(__file__)), task, package, *arguments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _load(package: str, folder: str) -> Any:
    """The model, loaded by a package that is imported here: this module's other users must not pay for it."""
    if package == "model2vec":
        from model2vec import StaticModel as Theirs

        return Theirs.from_pretrained(folder)
    from model2vec_numba import StaticModel

    return StaticModel.from_pretrained(folder)


def _start(package: str, folder: str) -> dict[str, Any]:
    return {"vector": _load(package, folder).encode([_TEXT])[0].tolist()}


def _steps(package: str, folder: str) -> dict[str, Any]:
    # What is there before the model: the package, and its code, which a small model has used.
    small = _load(package, f"{folder}/small")
    small.encode(["w1 w2"])
    found = {"imported": memory("VmRSS")}
    model = _load(package, f"{folder}/large")
    found |= {"loaded": memory("VmRSS"), "loaded_peak": memory("VmHWM")}
    size, step = len(model.embedding), 500
    for first in range(1, size, step):
        vectors = model.encode([" ".join(f"w{i}" for i in range(first, min(first + step, size)))])
        if not vectors.any():
            raise RuntimeError(f"{package}: no vector for the tokens from {first} on")
    return found | {"touched": memory("VmRSS"), "touched_peak": memory("VmHWM")}


def _convert(folder: str) -> dict[str, Any]:
    from model2vec_numba import quantize_model

    model = _load("model2vec_numba", folder)
    found = {"loaded_peak": memory("VmHWM")}
    quantize_model(model, quantize_to="int8").save_pretrained(f"{folder}-int8")
    return found | {"converted_peak": memory("VmHWM")}


def memory(name: str) -> int:
    """Bytes that are resident, ``VmRSS``, or the most that have been, ``VmHWM``."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[name].split()[0]) * 1024


if __name__ == "__main__":
    task, package, *rest = sys.argv[1:]
    default_model = Path(__file__).parents[1] / "model2vec_numba" / "default_model"
    if task == "steps":
        result = _steps(package, rest[0])
    elif task == "convert":
        result = _convert(rest[0])
    else:
        result = _start(package, str(default_model))
    sys.stdout.write(json.dumps(result) + "\n")
