"""When kernels are compiled: the environment variable that chooses it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast, get_args

__all__ = ["VARIABLE", "Mode", "compile_mode", "compiling_here"]

Mode = Literal["background", "wait", "never"]
VARIABLE = "MODEL2VEC_NUMBA_COMPILE"


_forced: list[bool] = []


@contextmanager
def compiling_here() -> Iterator[None]:
    """Make `compile_mode` return ``"wait"`` during a ``with`` block, for the code that fills the cache.

    Raises:
        RuntimeError: NUMBA_DISABLE_JIT forbids all compiling.
    """
    if _is_forbidden():
        raise RuntimeError("nothing can be compiled, because NUMBA_DISABLE_JIT is set")
    _forced.append(True)
    try:
        yield
    finally:
        _forced.pop()


def compile_mode() -> Mode:
    """Return when kernels are compiled.

    ``"background"``, the default: by another process, while calls work without compiled code. ``"wait"``: when they are first called, and the call
    waits. ``"never"``: calls always work without compiled code. NUMBA_DISABLE_JIT=1 means ``"never"`` too.

    Raises:
        ValueError: the variable has another value.
    """
    if _forced:
        return "wait"
    if _is_forbidden():
        return "never"
    mode = os.environ.get(VARIABLE, "").strip() or "background"
    if mode not in get_args(Mode):
        raise ValueError(f"{VARIABLE} must be one of {', '.join(get_args(Mode))}, not {mode!r}")
    return cast(Mode, mode)


def _is_forbidden() -> bool:
    """Return whether NUMBA_DISABLE_JIT forbids all compiling."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0").strip() not in {"", "0"}
