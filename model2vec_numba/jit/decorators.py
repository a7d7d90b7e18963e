"""The decorators that compile the kernels of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from numba import njit
from numba.core.caching import NullCache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher

from model2vec_numba.parallel.forks import forks_wait_for

__all__ = ["compiled", "inner", "inner_always"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*, parallel: bool = False, gil: bool = False, for_c: bool = False) -> Callable[[Function], Function]:
    """Return a decorator that compiles a function when it is first called, and keeps the machine code on disk.

    The code is kept in the folders of `KernelCache`. If no folder can be written to, as for a user without a home in a container, each process
    compiles for itself.

    Args:
        parallel: whether `numba.prange` uses several threads.
        gil: whether to hold the GIL while the function runs. Otherwise it is released.
        for_c: whether code that is not numba's calls the function by its address.
    """

    def decorate(function: Function) -> Function:
        options = {"parallel": parallel, "nogil": not gil, "error_model": "numpy", "no_cfunc_wrapper": not for_c}
        kernel: Any = njit(**options)(function)
        try:
            from model2vec_numba.jit.cache import KernelCache

            if not isinstance(kernel._cache, NullCache):
                raise AttributeError("_cache")
            kernel._cache = KernelCache(function)
        except (AttributeError, ImportError, OSError):
            # Another version of numba, or a program without source files.
            return _with_numba_cache(function, options)
        return kernel  # type: ignore[no-any-return]

    return decorate


def _with_numba_cache(function: Function, options: dict[str, Any]) -> Function:
    """Compile a function with numba's own cache, or without a cache if numba finds no folder for it."""
    try:
        return njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return njit(**options)(function)  # type: ignore[no-any-return]


class _InnerDispatcher(CPUDispatcher):  # type: ignore[misc]  # numba has no types
    """The dispatcher of a function that only compiled functions call. Without this class, calling it from Python would end the process."""

    def __call__(self, *_: object) -> NoReturn:
        raise TypeError(f"{self.py_func.__name__} is for compiled code only")


def inner(function: Function) -> Function:
    """Compile a function that only compiled functions call, and that makes no array.

    numba makes every function count the references to its array arguments, atomically: 70 ns for six arrays, more than a look-up of a word. The
    callers hold references, so this function counts none. It also has no wrappers to call it from Python or C, which take a sixth of the
    compile time, and no machine code of its own; see `LinkedCompiler`. These options of numba are for its own use and not documented.
    """
    return _inner(function)


def inner_always(function: Function) -> Function:
    """Compile a function as `inner` does, and always inline it into its callers. A function call for every word took as long as its look-up."""
    return _inner(function, forceinline=True)


def _inner(function: Function, **options: Any) -> Function:
    """Compile a function that only compiled functions call, with these options of numba."""
    try:
        from model2vec_numba.jit.linking import LinkedCompiler

        options = {"pipeline_class": LinkedCompiler, "_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, **options}
        dispatcher: Any = njit(error_model="numpy", **options)(function)
    except (ImportError, KeyError, TypeError):
        # Another version of numba.
        return njit(error_model="numpy")(function)  # type: ignore[no-any-return]
    # With NUMBA_DISABLE_JIT, this is the function itself.
    if type(dispatcher) is CPUDispatcher:
        dispatcher.__class__ = _InnerDispatcher
    return dispatcher  # type: ignore[no-any-return]


forks_wait_for(global_compiler_lock)
