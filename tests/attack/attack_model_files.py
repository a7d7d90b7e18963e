"""Load and use many mutants of model files, in processes that may use 2 GB more memory than they begin with, and 20 seconds for a mutant.

``python attack_model_files.py --mutants 100000 --first 0``, or ``--seconds 600``. It prints each failure, and exits with 1 if there is one. A mutant
that ends the process or hangs is a failure like one with wrong ids.
"""

# ruff: noqa: T201 - it is a program, and prints

from __future__ import annotations

import argparse
import os
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_SECONDS_PER_MUTANT = 20
_BYTES = 2 << 30
# Each process judges this many mutants. What numba and the library keep for each tokenizer does not pile up.
_PER_PROCESS = 2_000


def work(first: int, count: int) -> None:
    """Judge mutants, and print a line before and after each."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from attack.judging import judge

    judge(0, Path(tempfile.mkdtemp()))  # compiled code takes memory too
    _limit_memory()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        for seed in range(first, first + count):
            print(seed, "begins", flush=True)
            try:
                result = judge(seed, Path(folder))
            except BaseException as error:
                result = f"FAILED {type(error).__name__}: {' '.join(str(error).split())[:2000]}"
            print(seed, result, flush=True)


def _limit_memory() -> None:
    import resource

    status = Path("/proc/self/statm")
    if status.exists():
        limit = int(status.read_text().split()[0]) * resource.getpagesize() + _BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def attack(first: int, count: int, seconds: float) -> Counter[str]:
    """Judge `count` mutants, or as many as `seconds` allow, and print the failures. Return how many there are of each result."""
    results: Counter[str] = Counter()
    end = time.monotonic() + seconds
    seed = first
    while seed < first + count and time.monotonic() < end:
        chunk = min(_PER_PROCESS, first + count - seed)
        for done, result in _judged(seed, chunk, end):
            results[result.split()[0]] += 1
            if result.split()[0] not in ("refused", "works"):
                print(f"mutant {done}: {result}", flush=True)
            seed = done + 1
    return results


def _judged(first: int, count: int, end: float) -> Iterator[tuple[int, str]]:
    """Yield the number of each mutant and its result, until one ends the process or the time is over."""
    # Without compiled code, the library would judge itself.
    environment = {
        **os.environ,
        "MODEL2VEC_NUMBA_COMPILE": "wait",
        "NUMBA_NUM_THREADS": "1",
        "RUST_BACKTRACE": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [sys.executable, __file__, "--work", str(first), str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    assert process.stdout is not None
    begun, buffer = -1, b""
    try:
        while True:
            # The first mutant waits for numba.
            if not select.select([process.stdout], [], [], _SECONDS_PER_MUTANT if begun >= 0 else 300)[0]:
                yield max(begun, first), f"HANGS for more than {_SECONDS_PER_MUTANT} seconds"
                return
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                break
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                number, _, result = line.decode().partition(" ")
                begun = int(number)
                if result != "begins":
                    yield begun, result
            if time.monotonic() > end:
                return
        if process.wait() != 0:
            yield max(begun, first), f"CRASHES with exit code {process.returncode}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=1 << 40, help="the number of mutants")
    parser.add_argument("--first", type=int, default=time.time_ns() % 10**9 * 1000, help="the number of the first one")
    parser.add_argument("--seconds", type=float, default=600.0, help="the maximum time")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work)
        return 0
    results = attack(arguments.first, arguments.mutants, arguments.seconds)
    print(f"{results.total()} mutants from number {arguments.first}:", ", ".join(f"{count} {name}" for name, count in results.most_common()))
    return 0 if set(results) <= {"refused", "works"} else 1


if __name__ == "__main__":
    sys.exit(main())
