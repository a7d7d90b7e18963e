"""How this package compiles its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*, parallel: bool = False) -> Callable[[Function], Function]:
    """Compile a function when it is first called, with the GIL released while it runs, and keep the machine code on disk.

    numba keeps it beside the source, else in the user's cache folder. Where it can write to neither, as an unprivileged user without a home
    in a container, it refuses the function; then it is compiled anew in each process.
    """

    def decorate(function: Function) -> Function:
        options = {"parallel": parallel, "nogil": True, "error_model": "numpy"}
        try:
            return njit(cache=True, **options)(function)  # type: ignore[no-any-return]
        except RuntimeError:
            return njit(**options)(function)  # type: ignore[no-any-return]

    return decorate
