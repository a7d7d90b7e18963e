"""How this package compiles its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from numba import njit
from numba.core.caching import NullCache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher

from model2vec_numba.forks import forks_wait_for

__all__ = ["compiled", "inner", "inner_always"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*, parallel: bool = False, gil: bool = False) -> Callable[[Function], Function]:
    """Compile a function when it is first called, and keep the machine code on disk. The GIL is released while it runs, unless `gil` is true.

    It is kept where numba would keep it; see `KernelCache`. Where nothing can be written, as for an unprivileged user without a home in a
    container, it is compiled anew in each process.
    """

    def decorate(function: Function) -> Function:
        options = {"parallel": parallel, "nogil": not gil, "error_model": "numpy", "no_cfunc_wrapper": True}
        kernel: Any = njit(**options)(function)
        try:
            from model2vec_numba.cache import KernelCache

            if not isinstance(kernel._cache, NullCache):
                raise AttributeError("_cache")
            kernel._cache = KernelCache(function)
        except (AttributeError, ImportError, OSError):
            # A numba of another build, or a program without source files.
            return _with_numba_cache(function, options)
        return kernel  # type: ignore[no-any-return]

    return decorate


def _with_numba_cache(function: Function, options: dict[str, Any]) -> Function:
    """Compile a function with numba's own cache, or, where numba finds no place for that and refuses the function, with none."""
    try:
        return njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return njit(**options)(function)  # type: ignore[no-any-return]


class _InnerDispatcher(CPUDispatcher):  # type: ignore[misc]  # numba has no types
    """What numba makes of a function, less what Python would need to call it: to do so all the same would end the process."""

    def __call__(self, *_: object) -> NoReturn:
        raise TypeError(f"{self.py_func.__name__} is for compiled code only")


def inner(function: Function) -> Function:
    """Compile a function that only compiled ones call, and that makes no array.

    numba has every function count the references to the arrays that it is given, atomically: 70 ns for six arrays, more than looking a word up
    takes. This function's callers hold references for it, so it counts none. Nor has it what Python or C would need to call it, which is a sixth
    of the time that compiling takes, nor machine code of its own: see `LinkedCompiler`. numba has these options for its own use, without
    documentation.
    """
    return _inner(function)


def inner_always(function: Function) -> Function:
    """`inner` for a function that LLVM shall put into its callers whatever their size: a call for every word took as long as its look-up."""
    return _inner(function, forceinline=True)


def _inner(function: Function, **options: Any) -> Function:
    try:
        from model2vec_numba.linking import LinkedCompiler

        options = {"pipeline_class": LinkedCompiler, "_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, **options}
        made: Any = njit(error_model="numpy", **options)(function)
    except (ImportError, KeyError, TypeError):
        # A numba of another build.
        return njit(error_model="numpy")(function)  # type: ignore[no-any-return]
    # With NUMBA_DISABLE_JIT it is the function itself.
    if type(made) is CPUDispatcher:
        made.__class__ = _InnerDispatcher
    return made  # type: ignore[no-any-return]


forks_wait_for(global_compiler_lock)
