"""A compiler for functions that only compiled functions call. It stops at LLVM's intermediate code, which the callers link."""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder

__all__ = ["LinkedCompiler"]


class _LinkedLibrary(JITCodeLibrary):  # type: ignore[misc]  # numba has no types
    """LLVM's intermediate code of a function and of the functions that it calls, without machine code.

    LLVM optimises each caller together with everything that is linked into it. Optimising this code on its own too, and making machine code of it,
    took a sixth of the time until the first vector, and did not make the kernels faster.
    """

    @property
    def codegen(self) -> Any:
        return self

    def set_env(self, name: str, environment: object) -> None:
        """Do nothing. A function that Python never calls needs no environment, and code that is not in LLVM's engine has no place for one."""

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    def _optimize_final_module(self) -> None:
        """Do nothing: the callers' libraries are optimised."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class LinkedCompiler(CompilerBase):  # type: ignore[misc]
    """numba's compiler passes, with a `_LinkedLibrary` as their result."""

    def define_pipelines(self) -> list[Any]:
        # Lowering makes a library of numba's class if there is none.
        self.state.library = _LinkedLibrary(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        self.state.library.enable_object_caching()
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]
