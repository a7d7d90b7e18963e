"""The cache of compiled code: numba's machine code on disk, in numba's places, safe where numba's own cache is not.

numba keeps an index file for each function, and numbered files of machine code beside it. Two processes that add to one index at the same
moment choose the same number, and one then runs the other's code (numba issues 4807 and 10128); a damaged file, or a full disk, raises from
the middle of a call; and a change in another file of the package, or of NUMBA_BOUNDSCHECK, goes unnoticed. Here there is no index: a file is
named by what it holds, appears under its name when it is complete, and begins with a checksum of its contents and of everything that they were
compiled from. Whoever finds the checksum right has the right code; everything else is a miss, and is replaced.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import pickle
import secrets
import sys
import tempfile
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

__all__ = ["Counts", "KernelCache", "counts"]

_SUFFIX = ".nbc"
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(slots=True)
class Counts:
    """What happened in this process so far.

    Attributes:
        loaded: the files of kernels that came from the cache.
        compiled: the number of kernels that were not there, each for one signature.
        saved: the files that were written.
    """

    loaded: list[Path] = field(default_factory=list)
    compiled: int = 0
    saved: list[Path] = field(default_factory=list)


counts = Counts()


def _sources_digest(package: Path) -> str:
    """A digest of every source file of the package: a kernel may depend on any of them.

    Of the contents, not of the times: images of containers keep those in whole seconds only.
    """
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# Taken when the package is imported: of a file that is edited afterwards, this process still runs the old contents.
_SOURCES = _sources_digest(Path(__file__).parent)


class KernelCache:
    """The cache of one function; a numba dispatcher asks it before it compiles and tells it after.

    Args:
        function: the Python function. Its source must be a file.

    Raises:
        OSError: the source is no file, as in a frozen program.
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
        """The folder that files are written to; ``None`` if there is none."""
        folder = next(filter(_is_writable, self._folders), None)
        return None if folder is None else str(folder)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled function for a signature, or ``None``: then numba compiles it."""
        name, identity = self._name_and_identity(signature, target_context.codegen())
        for folder in self._folders:
            with contextlib.suppress(Exception):
                symbols, parts = _read(folder / name, identity)
                _provide(symbols, target_context)
                result = CompileResult._rebuild(target_context, *parts)
                counts.loaded.append(folder / name)
                return result
            # What is there already may be of use where nothing can be written, as in the image of a container that was warmed up.
            if _is_writable(folder):
                break
        counts.compiled += 1
        if counts.compiled == 1:
            _announce(kept=self.cache_path is not None)
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a compiled function. If that fails, it is compiled again another time."""
        if any(not lifted.can_cache for lifted in result.lifted) or result.library.has_dynamic_globals:
            return
        name, identity = self._name_and_identity(signature, result.codegen)
        with contextlib.suppress(Exception):
            path = Path(self.cache_path or "") / name
            if path.is_absolute():
                _write(path, identity, (_external_symbols(result.library), result._reduce()))
                counts.saved.append(path)

    def enable(self) -> None:
        """For numba, which expects it."""

    def disable(self) -> None:
        """For numba, which expects it."""

    def flush(self) -> None:
        """For numba's `recompile`, which expects it: nothing to do, a stale file is never taken."""

    def _name_and_identity(self, signature: Any, codegen: Any) -> tuple[str, bytes]:
        """The name of the file, and the digest of all that its contents depend on: not all of it is in the name, so that stale files are replaced."""
        settings = (bool(config.BOUNDSCHECK), bool(config.DEBUGINFO_DEFAULT))
        variant = repr((signature, codegen.magic_tuple(), settings, self._closure))
        versions = (numba.__version__, llvmlite.__version__, sys.implementation.cache_tag, getattr(sys, "abiflags", ""))
        name = f"{self._name}.{sys.implementation.cache_tag}.{hashlib.sha256(variant.encode()).hexdigest()[:16]}{_SUFFIX}"
        return name, hashlib.sha256(repr((_SOURCES, versions, self._name, self._function, variant)).encode()).digest()


def _folders(source: Path) -> Iterator[Path]:
    """Where numba would keep the machine code of a source file: in the first of these that can be written to."""
    subfolder = _CacheLocator.get_suitable_cache_subpath(str(source))
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR).absolute() / subfolder
    yield source.absolute().parent / "__pycache__"
    yield Path(AppDirs(appname="numba", appauthor=False).user_cache_dir).absolute() / subfolder


@functools.cache
def _is_writable(folder: Path) -> bool:
    """Whether files can be written to a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _external_symbols(library: Any) -> list[str]:
    """What a library calls or reads that is not in it."""
    module = library._final_module
    declared = (value.name for value in itertools.chain(module.functions, module.global_variables) if value.is_declaration)
    return sorted(name for name in declared if not name.startswith("llvm."))


def _provide(symbols: list[str], target_context: Any) -> None:
    """See to it that machine code finds what it needs: LLVM would end the process otherwise.

    numba's own cache has the whole compiler made ready for that, which takes as long again as loading a model, and 20 MB.
    """
    rtsys.initialize(target_context)
    if any(address_of_symbol(name) is None for name in symbols):
        target_context.refresh()


def _read(path: Path, identity: bytes) -> Any:
    """What `_write` has written under the same identity.

    Raises:
        Exception: there is no such file, or it is damaged or stale.
    """
    content = memoryview(path.read_bytes())
    if content[:_DIGEST_BYTES] != _checksum(identity, content[_DIGEST_BYTES:]):
        raise ValueError(f"{path}: damaged or stale")
    return pickle.loads(content[_DIGEST_BYTES:])


def _write(path: Path, identity: bytes, value: Any) -> None:
    data = dumps(value)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_checksum(identity, data) + data)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _checksum(identity: bytes, data: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(identity)
    digest.update(data)
    return digest.digest()


def _announce(*, kept: bool) -> None:
    """Say on standard error why nothing seems to happen for a while."""
    future = "later ones find it done" if kept else "so do all, for no folder can be written to: set NUMBA_CACHE_DIR"
    with contextlib.suppress(AttributeError, OSError, ValueError):  # there is none, it is broken, it is closed
        sys.stderr.write(f"model2vec-numba: the first run compiles for this processor, which takes 10 to 20 seconds; {future}\n")
        sys.stderr.flush()
