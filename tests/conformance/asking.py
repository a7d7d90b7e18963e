"""Start a reader, and ask it for the vectors of cases. Only Python's standard library is used."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Reader", "ask_all"]

# A reader may have to import PyTorch on a busy machine.
_SECONDS = 1800
_LONGEST_MESSAGE = 160


class Reader:
    """A process that reads models. It is started when it is asked for the first time, and again if it has ended.

    Args:
        command: the program and its arguments.
        environment: variables of its environment, beside those of this process.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def ask(self, folder: Path, texts: Sequence[str]) -> Any:
        """Return the vectors of texts as lists, or the message of an error as a string.

        Raises:
            TimeoutError: there is no answer after half an hour.
        """
        process = self._process if self._process is not None and self._process.poll() is None else self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"folder": str(folder), "texts": list(texts)}) + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=_SECONDS)
        except queue.Empty:
            self.close()
            raise TimeoutError(f"no answer about {folder.name} after {_SECONDS} seconds") from None
        except BrokenPipeError:
            line = ""
        if not line:
            self.close()
            return f"ends with exit code {process.returncode}"
        answer = json.loads(line)
        return answer["vectors"] if "vectors" in answer else shorten(answer["error"], folder)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
        )
        self._lines = queue.Queue()
        threading.Thread(target=_collect, args=(self._process, self._lines), daemon=True).start()
        return self._process


def _collect(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    """Put the lines of a process into a queue, and an empty one when it has ended."""
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    process.wait()
    lines.put("")


def shorten(message: str, folder: Path) -> str:
    """Return the first line of a message, shortened, without paths of this machine and without addresses in memory."""
    for path in (folder, folder.parent):
        message = message.replace(str(path), "FOLDER")
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    text = re.sub(r"0x[0-9a-f]{6,}", "0x…", re.sub(r"/[\w./+-]*/site-packages/", "", lines[0] if lines else "no message"))
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


def ask_all(reader: Reader, cases: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Return the answer of a reader to each case, by the name of the case. `folder` is the folder of all cases."""
    return {name: reader.ask(folder / name / case["model"], [text["text"] for text in case["texts"]]) for name, case in cases.items()}
