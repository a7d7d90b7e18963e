"""Attack jobs that encode tables: kill them, start two on one output, limit the size of files, and change inputs while they are read.

``python tests/attack/attack_jobs.py [ATTACK...] [--count N] [--seed N]``. Each job is a fork of this process, so that it starts at once. POSIX only.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from model2vec_numba import StaticModel
from model2vec_numba.cli import main
from model2vec_numba.tables import columns, encoding, json_lines, readers, writers
from model2vec_numba.tables.parquet import ParquetWriter

FORMATS = ("parquet", "arrow", "csv", "jsonl")
WORDS = ("cat", "sat", "the", "here", "na\u00efve", 'a "quote"', "line\nbreak")
ROWS = 6000
BATCH_ROWS = 300
# What comes after these rows is the end of a job.
LAST_ROWS = ROWS - 2 * BATCH_ROWS


def table(draw: random.Random) -> pa.Table:
    texts = [None if draw.random() < 0.1 else " ".join(draw.choices(WORDS, k=draw.randint(0, 8))) for _ in range(ROWS)]
    return pa.table({"id": range(ROWS), "text": texts})


def write(path: Path, content: pa.Table) -> None:
    match path.suffix:
        case ".parquet":
            pq.write_table(content, path, row_group_size=900)
        case ".arrow":
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, content.schema) as writer:
                writer.write_table(content, max_chunksize=700)
        case ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file)
                rows.writerow(content.column_names)
                rows.writerows(["" if value is None else value for value in row.values()] for row in content.to_pylist())
        case _:
            path.write_text("".join(json.dumps(row) + "\n" for row in content.to_pylist()), encoding="utf-8")


def slow_down(seconds: float) -> None:
    """Make small batches that are saved one by one, and wait after each."""
    columns._ROWS, encoding._BATCHES_PER_SAVE, readers._BLOCK_ROWS, json_lines._BLOCK_BYTES = BATCH_ROWS, 1, 250, 20_000

    def slow(method: Callable[..., None]) -> Callable[..., None]:
        def write_slowly(writer: object, batch: object) -> None:
            method(writer, batch)
            time.sleep(seconds)

        return write_slowly

    for writer in (ParquetWriter, writers._ArrowFile, writers._TextFile):
        writer.write = slow(writer.write)


class Job:
    """A fork of this process that runs the command line. Its standard error is the file `messages`."""

    def __init__(self, folder: Path, *arguments: str, max_bytes: int | None = None) -> None:
        self._messages = folder.parent / f"{folder.name}-{time.monotonic_ns()}"
        self.id = os.fork()
        if self.id:
            return
        code = 99
        # The command line has its own handler, but the signal may come before it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            file = os.open(self._messages, os.O_WRONLY | os.O_CREAT)
            os.dup2(file, 2)
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
            os.chdir(folder)
            if max_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, resource.RLIM_INFINITY))
            main(["encode", *arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 98
            sys.stderr.flush()
        finally:
            os._exit(code)

    def has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.id, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def end(self) -> tuple[int, str]:
        """Wait for the end. Return the exit code, negative for a signal, and the messages."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.id, 0)[1])
        messages = self._messages.read_text() if self._messages.exists() else ""
        self._messages.unlink(missing_ok=True)
        return code, messages


class Attack:
    """A folder with an input in each format, and the right output in each format."""

    def __init__(self, folder: Path, draw: random.Random) -> None:
        self.folder = folder
        self.draw = draw
        self.content = table(draw)
        self.whole: dict[tuple[str, str], bytes] = {}
        for given in FORMATS:
            write(folder / f"in.{given}", self.content)
        began = time.monotonic()
        for given in FORMATS:
            for out in FORMATS:
                assert Job(folder, f"in.{given}", "-o", f"out.{out}").end() == (0, "")
                self.whole[given, out] = self.take(out)
        self.seconds = (time.monotonic() - began) / len(self.whole)
        """The mean duration of a job."""

    def take(self, out: str) -> bytes:
        """Return the output and remove it. Nothing else may be in the folder except the inputs."""
        path = self.folder / f"out.{out}"
        content = path.read_bytes()
        path.unlink()
        names = sorted(path.name for path in self.folder.iterdir())
        assert names == sorted(f"in.{given}" for given in FORMATS), names
        return content

    def kills(self, out: str, count: int) -> str:
        """Kill a job at random moments, and resume it until it is complete."""
        moments = dict.fromkeys(("before", "while", "after"), 0)
        files = signalled = 0
        while sum(moments.values()) < count:
            given = self.draw.choice(FORMATS)
            while True:
                before = self.saved_rows(out)
                job = Job(self.folder, f"in.{given}", "-o", f"out.{out}", "--resume")
                # A job that begins near the end has little left to save, and is mostly spared.
                if sum(moments.values()) < count and (before < LAST_ROWS or self.draw.random() < 0.2):
                    self.wait_for_moment(job, out, before)
                    os.kill(job.id, self.draw.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
                code, messages = job.end()
                if code == 0:
                    break
                assert code in {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, 130, 143}, (code, messages)
                complete = (self.folder / f"out.{out}").exists()
                moments["after" if complete else "while" if self.saved_rows(out) > before else "before"] += 1
                signalled += code != -signal.SIGKILL
                # A kill at the very end leaves the lock, and perhaps the journal. The next job removes them.
                assert not complete or (self.folder / f"out.{out}").read_bytes() == self.whole[given, out]
            files += 1
            assert self.take(out) == self.whole[given, out], (given, out)
        named = ", ".join(f"{number} {moment} it saved rows" for moment, number in moments.items())
        return f"{sum(moments.values())} kills ({named}; {signalled} by SIGTERM or Ctrl-C), {files} complete files, all right"

    def saved_rows(self, out: str) -> int:
        """Return how many rows are safely on the disk. 0 if no job is unfinished."""
        try:
            journal = json.loads((self.folder / f".out.{out}.model2vec-numba.json").read_bytes())
            return int(journal["rows"]) if (self.folder / journal["file"]).exists() else 0
        except FileNotFoundError:
            return 0

    def wait_for_moment(self, job: Job, out: str, before: int) -> None:
        """Wait for a random moment in the life of a job that began after `before` rows.

        Mostly this is soon after the job has saved a random number of rows. On a busy machine, a random time would mostly end before the first rows.
        """
        rows = before + self.draw.random() * ROWS / 2
        if before >= LAST_ROWS or self.draw.random() < 0.2:
            time.sleep(self.draw.uniform(0, 0.7 * self.seconds))
            return
        while self.saved_rows(out) < min(rows, LAST_ROWS) and not job.has_ended():
            time.sleep(0.002)
        time.sleep(self.draw.choice((0, 0.01, 0.05)) * self.draw.random())

    def pairs(self, out: str, count: int) -> str:
        """Start two jobs on one output."""
        pairs = 0
        while pairs < count:
            given = self.draw.choice(FORMATS)
            jobs = []
            for first in (True, False):
                options = ["--resume"] if (pairs % 2 if first else self.draw.random() < 0.7) else []
                jobs.append(Job(self.folder, f"in.{given}", "-o", f"out.{out}", *options))
                time.sleep(self.draw.uniform(0, 0.3 * self.seconds) if first else 0)
            ends = sorted(job.end() for job in jobs)
            assert self.take(out) == self.whole[given, out], (given, out)
            if [code for code, _ in ends] == [0, 0]:  # one ran after the other
                continue
            pairs += 1
            assert ends[0][0] == 0 and ends[1][0] == 1, ends
            assert ends[1][1] == f"error: out.{out}: another process is writing this file: wait until it has ended, or end it\n", ends
        return f"{pairs} pairs at the same time: one right file and one refusal each"

    def limits(self, out: str, count: int) -> str:
        """Limit the size of files, as a full disk does, and resume without the limit."""
        for _ in range(count):
            given = self.draw.choice(FORMATS)
            limit = self.draw.randrange(len(self.whole[given, out]))
            code, messages = Job(self.folder, f"in.{given}", "-o", f"out.{out}", max_bytes=limit).end()
            assert code == 1 and f"out.{out}" in messages and messages.count("error: ") == 1, (code, messages)
            assert not (self.folder / f"out.{out}").exists()
            assert Job(self.folder, f"in.{given}", "-o", f"out.{out}", "--resume").end() == (0, "")
            assert self.take(out) == self.whole[given, out], (given, out)
        return f"{count} limits: no file under its name, then a right file"

    def changes(self, out: str, count: int) -> str:
        """Change the input of a running job, and of a job that was killed."""
        refused = 0
        for _ in range(count):
            given = self.draw.choice(FORMATS)
            path = self.folder / f"in.{given}"
            before, status = path.read_bytes(), path.stat()
            job = Job(self.folder, path.name, "-o", f"out.{out}")
            time.sleep(self.draw.uniform(0.1, 0.9) * self.seconds)
            how = self.draw.choice(("kill", "other", "shorter", "replaced"))
            if how == "kill":
                os.kill(job.id, signal.SIGKILL)
                killed = job.end()[0] == -signal.SIGKILL
            changed = before[: len(before) // 3] if how == "shorter" else before.replace(b"cat", b"sat")
            if how == "replaced":
                (self.folder / "new").write_bytes(changed)
                (self.folder / "new").rename(path)
            else:
                path.write_bytes(changed)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            if how == "kill":
                journal = self.folder / f".out.{out}.model2vec-numba.json"
                left = journal.exists() and json.loads(journal.read_bytes())["rows"]
                job = Job(self.folder, path.name, "-o", f"out.{out}", "--resume")
            code, messages = job.end()
            if how != "kill":
                assert code in {0, 1}, (how, code, messages)
                assert code == 0 or path.name in messages, messages
            elif killed and left:
                assert code == 1 and f"different contents of {path.name}" in messages, (code, messages)
            if code == 0:
                # The job had read everything before the change, or nothing.
                found = self.take(out)
                if found != self.whole[given, out]:
                    assert Job(self.folder, path.name, "-o", f"out.{out}", "--overwrite").end() == (0, "")
                    assert self.take(out) == found, (given, out, how)
            refused += code == 1
            path.write_bytes(before)
            assert Job(self.folder, path.name, "-o", f"out.{out}", "--overwrite").end() == (0, "")
            assert self.take(out) == self.whole[given, out], (given, out, how)
        return f"{count} changes, {refused} refused by name; the other files are right"


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attacks", nargs="*", choices=[[], "kills", "pairs", "limits", "changes"], default=[])
    parser.add_argument("--count", type=int, default=50, help="how often for each format of the output")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--formats", nargs="*", choices=FORMATS, default=FORMATS)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)  # noqa: T201
    # What the jobs need is loaded and compiled here, once.
    model = StaticModel.from_pretrained()
    model.encode(["text", "another"])
    model.encode_arrow(pa.array(["text", None]))
    StaticModel.from_pretrained = classmethod(lambda _cls, *_arguments, **_options: model)  # type: ignore[method-assign, assignment]
    slow_down(0.015)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "jobs"
        folder.mkdir()
        attack = Attack(folder, random.Random(options.seed))
        for name in options.attacks or ("kills", "pairs", "limits", "changes"):
            for out in options.formats:
                print(f"{name} {out}: {getattr(attack, name)(out, options.count)}", flush=True)  # noqa: T201


if __name__ == "__main__":
    run()
