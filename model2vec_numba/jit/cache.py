"""The cache of compiled code on disk. It uses the same folders as numba's own cache, and avoids its problems.

numba keeps an index file for each function, and numbered files of machine code next to it. Two processes that add to an index at the same
moment choose the same number, and one of them then runs the other's code (numba issues 4807 and 10128). A damaged file or a full disk raises an
error in the middle of a call. And numba does not notice a change in another file of the package, or of NUMBA_BOUNDSCHECK.

This cache has no index. The name of a file depends on its contents. A file appears under its name when it is complete, and begins with a checksum of
its contents and of everything that they were compiled from. A file with the right checksum holds the right code. Any other file is a miss, and
is replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import pickle
import re
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llvmlite
import numba
from llvmlite.binding import address_of_symbol
from numba.core import config
from numba.core.caching import _CacheLocator
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

from model2vec_numba.jit.announcement import announcement
from model2vec_numba.jit.folders import is_writable
from model2vec_numba.jit.memory import kept_code

__all__ = ["Counts", "KernelCache", "counts", "ending", "kernel_sources"]

_SUFFIX = ".nbc"
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(slots=True)
class Counts:
    """The work of the cache in this process.

    Attributes:
        loaded: the files that kernels were loaded from.
        compiled: the number of kernels that were compiled, each for one signature.
        saved: the files that were written.
    """

    loaded: list[Path] = field(default_factory=list)
    compiled: int = 0
    saved: list[Path] = field(default_factory=list)


counts = Counts()
# Held while a file is written. A process that ends from another thread takes it first, and leaves no incomplete file.
ending = threading.Lock()


_PACKAGE = Path(__file__).parents[1]
# A file with one of these decorators holds kernels.
_DECORATOR = re.compile(rb"^ *@(compiled|inner|inner_always|intrinsic|njit|overload)\b", re.MULTILINE)


def kernel_sources(package: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the contents of each source file that machine code depends on: files that hold kernels, and how they are compiled."""
    for path in sorted(package.rglob("*.py")):
        name, content = path.relative_to(package).as_posix(), path.read_bytes()
        if _DECORATOR.search(content) or name in ("jit/decorators.py", "jit/linking.py"):
            yield name, content


def _sources_digest() -> str:
    """Return a digest of the contents of all kernel sources. A kernel may depend on any of them.

    Times are not used: images of containers keep them in whole seconds only.
    """
    digest = hashlib.sha256()
    for name, content in kernel_sources(_PACKAGE):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# This is computed when the package is imported. If a file is edited later, this process still runs the old contents.
_SOURCES = _sources_digest()


class KernelCache:
    """The cache of one function. A numba dispatcher calls it before and after compiling.

    Args:
        function: the Python function. Its source must be a file.

    Raises:
        OSError: the source is not a file, as in a frozen program.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        code = function.__code__
        source = Path(code.co_filename)
        if not source.is_file():
            raise FileNotFoundError(f"{source}: no such file")
        self._folders = tuple(_folders(source))
        self._name = f"{source.stem}.{function.__qualname__}".replace("<", "").replace(">", "")
        cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
        self._function = (hashlib.sha256(code.co_code).hexdigest(), code.co_firstlineno)
        self._closure = hashlib.sha256(dumps(cells)).hexdigest() if cells else ""

    @property
    def cache_path(self) -> str | None:
        """The folder to which files are written. ``None`` if no folder can be written to."""
        folder = next(filter(is_writable, self._folders), None)
        return None if folder is None else str(folder)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled function for a signature. ``None`` if it is not in the cache: then numba compiles it."""
        name, identity = self._name_and_identity(signature, target_context.codegen())
        for folder in self._folders:
            with contextlib.suppress(Exception):
                symbols, parts = _read(folder / name, identity)
                _provide(symbols, target_context)
                result = CompileResult._rebuild(target_context, *parts)
                counts.loaded.append(folder / name)
                return result
            # A folder that cannot be written to may still hold files, as in the image of a container.
            if is_writable(folder):
                break
        with contextlib.suppress(Exception):
            symbols, parts = _parse(kept_code.files[str(self._folders[-1] / name)], identity, name)
            _provide(symbols, target_context)
            return CompileResult._rebuild(target_context, *parts)
        counts.compiled += 1
        announcement.begin(kept=self.cache_path is not None)
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a compiled function. If that fails, the next process compiles it again."""
        announcement.end()
        if any(not lifted.can_cache for lifted in result.lifted) or result.library.has_dynamic_globals:
            return
        name, identity = self._name_and_identity(signature, result.codegen)
        with contextlib.suppress(Exception):
            value = (_external_symbols(result.library), result._reduce())
            if self.cache_path is not None:
                path = Path(self.cache_path) / name
                _write(path, identity, value)
                counts.saved.append(path)
            elif kept_code.collects:
                kept_code.files[str(self._folders[-1] / name)] = _with_checksum(identity, value)

    def enable(self) -> None:
        """Do nothing. numba calls this method."""

    def disable(self) -> None:
        """Do nothing. numba calls this method."""

    def flush(self) -> None:
        """Do nothing: a stale file is never used. numba's `recompile` calls this method."""

    def _name_and_identity(self, signature: Any, codegen: Any) -> tuple[str, bytes]:
        """Return the name of the file, and the digest of everything that its contents depend on.

        Sources and versions are not part of the name, so that stale files are replaced.
        """
        settings = (bool(config.BOUNDSCHECK), bool(config.DEBUGINFO_DEFAULT))
        variant = repr((signature, codegen.magic_tuple(), settings, self._closure))
        versions = (numba.__version__, llvmlite.__version__, sys.implementation.cache_tag, getattr(sys, "abiflags", ""))
        name = f"{self._name}.{sys.implementation.cache_tag}.{hashlib.sha256(variant.encode()).hexdigest()[:16]}{_SUFFIX}"
        return name, hashlib.sha256(repr((_SOURCES, versions, self._name, self._function, variant)).encode()).digest()


def _folders(source: Path) -> Iterator[Path]:
    """Yield the folders in which numba keeps the machine code of a source file. The first that can be written to is used."""
    subfolder = _CacheLocator.get_suitable_cache_subpath(str(source))
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR).absolute() / subfolder
    yield source.absolute().parent / "__pycache__"
    yield Path(AppDirs(appname="numba", appauthor=False).user_cache_dir).absolute() / subfolder


def _external_symbols(library: Any) -> list[str]:
    """Return the names of the symbols that a library of code uses and does not define."""
    module = library._final_module
    declared = (value.name for value in itertools.chain(module.functions, module.global_variables) if value.is_declaration)
    return sorted(name for name in declared if not name.startswith("llvm."))


def _provide(symbols: list[str], target_context: Any) -> None:
    """Make sure that machine code finds its symbols. Otherwise LLVM would end the process.

    numba's own cache initialises the whole compiler for that. This takes as long as loading a model, and 20 MB of memory.
    """
    rtsys.initialize(target_context)
    if any(address_of_symbol(name) is None for name in symbols):
        target_context.refresh()


def _read(path: Path, identity: bytes) -> Any:
    """Return the value of a file that `_write` wrote with the same identity.

    Raises:
        Exception: the file does not exist, or it is damaged or stale.
    """
    return _parse(path.read_bytes(), identity, str(path))


def _parse(file: bytes, identity: bytes, name: str) -> Any:
    """Return the value that a file holds. Raise an exception if the file is damaged or stale."""
    content = memoryview(file)
    if content[:_DIGEST_BYTES] != _checksum(identity, content[_DIGEST_BYTES:]):
        raise ValueError(f"{name}: damaged or stale")
    return pickle.loads(content[_DIGEST_BYTES:])


def _with_checksum(identity: bytes, value: Any) -> bytes:
    """Return the contents of a file that holds a value."""
    data: bytes = dumps(value)
    return _checksum(identity, data) + data


def _write(path: Path, identity: bytes, value: Any) -> None:
    """Write a value to a file, which gets its name when it is complete."""
    content = _with_checksum(identity, value)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with ending:
            temporary.write_bytes(content)
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _checksum(identity: bytes, data: bytes | memoryview) -> bytes:
    """Return the checksum with which a file begins."""
    digest = hashlib.sha256(identity)
    digest.update(data)
    return digest.digest()
