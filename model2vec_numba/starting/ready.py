"""Notes on the disk that say which models have all their compiled code in the cache, so that a process knows it without importing numba.

A note is a small file next to the compiled code. Its name depends on the model's tokenizer and storage type, and on everything else that compiled
code depends on. It lists the files of the code. If one of them is missing, the note does not count.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import platform
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

from model2vec_numba.jit.folders import package_folders, writable_folder
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

__all__ = ["EVERYTHING", "has_note", "is_ready", "key_of", "note_ready"]

# The key of all kernels for all models.
EVERYTHING = "everything"

_PACKAGE = Path(__file__).parents[1]
_CPUINFO_BYTES = 4096
# Settings of numba that do not change the code.
_IRRELEVANT = {"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_DISABLE_JIT"}


def key_of(spec: TokenizerSpec, table: EmbeddingTable) -> str:
    """Return the key of the kernels that a model needs: they depend on its tokenizer, its storage type and whether it has weights."""
    return f"{table.dtype} {table.factors is not None} {hashlib.sha256(spec.text.encode()).hexdigest()}"


def is_ready(key: str) -> bool:
    """Return whether the compiled code for a key is in the cache on disk."""
    return has_note(key) or has_note(EVERYTHING)


def has_note(key: str) -> bool:
    """Return whether there is a note for this key, so that its tokenizer was used before."""
    return any(_is_true(folder, _note_name(key)) for folder in package_folders())


def note_ready(key: str, files: Iterable[Path]) -> None:
    """Write a note that `files` are the compiled code for a key. If no folder can be written to, do nothing."""
    folder = writable_folder()
    if folder is None:
        return
    content = "\n".join(sorted({os.path.relpath(file, folder) for file in files}))
    path = folder / _note_name(key)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    with contextlib.suppress(OSError):
        try:
            temporary.write_text(content + "\n", encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _is_true(folder: Path, name: str) -> bool:
    """Return whether a folder has a note of this name, and all files that the note lists exist."""
    try:
        listed = (folder / name).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return bool(listed) and all(map(os.path.exists, (os.path.join(folder, file) for file in listed)))  # noqa: PTH118 - these are faster


def _note_name(key: str) -> str:
    """Return the name of the note for a key."""
    return f"ready.{hashlib.sha256(f'{key} {_circumstances()}'.encode()).hexdigest()[:32]}.txt"


@functools.cache
def _circumstances() -> str:
    """Return a digest of what compiled code depends on, except the model: this package, numba, the interpreter, the processor and the settings."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()} {len(content)}\n".encode() + content)
    for package in ("numba", "llvmlite"):
        found = importlib.util.find_spec(package)
        # A file that holds the version. Asking for the metadata would take several times as long.
        version = Path(found.origin).with_name("_version.py") if found is not None and found.origin else None
        digest.update(version.read_bytes() if version is not None and version.is_file() else b"?")
    settings = sorted((name, value) for name, value in os.environ.items() if name.startswith("NUMBA_") and name not in _IRRELEVANT)
    python = (sys.version, sys.implementation.cache_tag, getattr(sys, "abiflags", ""), sys.flags.optimize)
    # With both of these settings, numba compiles for the processor that they name, whatever the machine has.
    named = os.environ.get("NUMBA_CPU_NAME") and "NUMBA_CPU_FEATURES" in os.environ
    digest.update(repr((python, settings, None if named else _processor())).encode())
    return digest.hexdigest()


def _processor() -> str:
    """Return what the operating system says about the processor."""
    with contextlib.suppress(OSError):
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_CPUINFO_BYTES).splitlines()
        # The other lines hold the clock rate and numbers of processors. The list may repeat these lines for the next processor.
        return repr(sorted({line for line in lines[:-1] if line.startswith(("vendor", "model", "cpu family", "flags", "Features", "CPU "))}))
    return repr((platform.machine(), platform.release(), os.environ.get("PROCESSOR_IDENTIFIER")))
