"""End processes at random moments while another process compiles for them, and fork them. Nothing may hang, and all vectors must be right.

``python tests/attack/attack_compiling.py [WAY...] [--count N] [--seed N]``. Linux only. Other processes do not compile, and end at the same
moments. It prints how long both kinds needed to end.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# It prints a digest of its vectors, the processes that compile for it, and the time at which it begins to end.
PROGRAM = """
import hashlib, os, signal, sys, time
from model2vec_numba import StaticModel
from model2vec_numba.starting import compiling

moment = float(sys.argv[1])
texts = ["It is cold today.", "Caf\\u00e9 \\u4f60\\u597d", ""] * 20
# The second model waits for the first.
models = [StaticModel.from_pretrained(), StaticModel.from_pretrained(quantize_to="int8")]

def vectors():
    return b"".join(model.encode(texts).tobytes() for model in models)

def check():
    assert vectors() == right

right = vectors()

def show_processes():
    if compiling._compilations.compiler is not None:
        print("process", compiling._compilations.compiler._process.pid, flush=True)

print("vectors", hashlib.sha256(right).hexdigest(), flush=True)
show_processes()
deadline = time.monotonic() + moment
while time.monotonic() < deadline:
    check()
running = "running" in compiling._compilations.states.values()
print("ends", running, time.time(), flush=True)
"""
ENDS = {
    "exit": "sys.exit()",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "fork": "child = os.fork(); check()\nif not child: show_processes(); os._exit(0)\nassert os.waitpid(child, 0)[1] == 0; check(); sys.exit()",
    "_exit": "os._exit(0)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
}
CODES = {"SIGTERM": -signal.SIGTERM, "SIGKILL": -signal.SIGKILL}
MAX_END_SECONDS = 30.0
"""A process that needs longer to end hangs."""


class Ended:
    """A process that has ended.

    Attributes:
        vectors: a digest of its vectors.
        processes: the processes that compiled for it.
        compiled: whether one of them still compiled when it ended.
        seconds: how long it needed to end.
    """

    def __init__(self, way: str, mode: str, moment: float, cache: Path) -> None:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM + ENDS[way], str(moment)]
        # Old versions of tokenizers warn about forks, if their threads are not off.
        settings = {"MODEL2VEC_NUMBA_COMPILE": mode, "NUMBA_CACHE_DIR": str(cache), "TOKENIZERS_PARALLELISM": "false"}
        environment = {**os.environ, **settings}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            said: list[list[str]] = []
            while not said or (said[-1] and said[-1][0] != "ends"):
                said.append(process.stdout.readline().split())
            try:
                process.wait(MAX_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"{way} after {moment} s: no end") from None
            ended = time.time()
            said += map(str.split, process.stdout)
            errors = process.stderr.read()
        # A process that compiles itself says so.
        assert process.returncode == CODES.get(way, 0) and (errors == "" or mode == "wait"), (way, moment, process.returncode, errors)
        (self.vectors,) = (words[1] for words in said if words[:1] == ["vectors"])
        self.processes = [int(words[1]) for words in said if words[:1] == ["process"]]
        (end,) = (words for words in said if words[:1] == ["ends"])
        self.compiled = end[1] == "True"
        self.seconds = ended - float(end[2])


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Attack:
    """A cache of compiled code that starts empty. It keeps the kernels that were ready, so that the ends meet every part of the compilation."""

    def __init__(self, cache: Path, draw: random.Random) -> None:
        self.cache = cache
        self.draw = draw
        self.vectors: set[str] = set()

    def ends(self, way: str, count: int, compare: bool) -> str:
        """End processes that compile, and some that do not."""
        seconds: list[float] = []
        others: list[float] = []
        tries = 0
        while len(seconds) < count:
            tries += 1
            assert tries <= 10 * count, "nothing is compiled here"
            if any(self.cache.rglob("ready.*")):
                shutil.rmtree(self.cache)
            # The largest kernels take several seconds.
            moment = self.draw.uniform(0, 10) if compare and self.draw.random() < 0.1 else self.draw.uniform(0, 1.5)
            ended = Ended(way, "background", moment, self.cache)
            self.judge(ended)
            if ended.compiled:
                seconds.append(ended.seconds)
            if compare:
                other = Ended(way, "never", min(moment, 1), self.cache)
                self.judge(other)
                others.append(other.seconds)
        report = f"{count} ends, {shown(seconds)}"
        return f"{report}; without compiling: {shown(others)}" if compare else report

    def judge(self, ended: Ended) -> None:
        """Check that nothing is left of a process, and that its vectors are those of all others."""
        deadline = time.monotonic() + MAX_END_SECONDS
        while running := [pid for pid in ended.processes if is_running(pid)]:
            assert time.monotonic() < deadline, f"the processes {running} compile for nobody"
            time.sleep(0.01)
        assert not list(self.cache.rglob("*.tmp"))
        self.vectors.add(ended.vectors)
        assert len(self.vectors) == 1, "the vectors differ"

    def go_on(self) -> str:
        """Compile what is missing in the cache, use the kernels, and check their vectors."""
        before = len(list(self.cache.rglob("*.nbc")))
        self.judge(Ended("exit", "wait", 0, self.cache))
        return f"{before} kernels were kept, {len(list(self.cache.rglob('*.nbc'))) - before} were missing; the vectors are right"


def shown(seconds: list[float]) -> str:
    return f"median {statistics.median(seconds):.3f} s, maximum {max(seconds):.3f} s"


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", choices=[[], *ENDS], default=[])
    parser.add_argument("--count", type=int, default=50, help="how often in each way")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--short", action="store_true", help="only early moments, no comparison, and no complete compilation")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory() as temporary:
        attack = Attack(Path(temporary) / "cache", random.Random(options.seed))
        for way in options.ways or ENDS:
            print(f"{way}: {attack.ends(way, options.count, compare=not options.short)}", flush=True)  # noqa: T201
        if not options.short:
            print(f"afterwards: {attack.go_on()}", flush=True)  # noqa: T201


if __name__ == "__main__":
    run()
