"""numba's compiler for functions that only compiled ones call: up to LLVM's code for their callers, without machine code of their own."""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder

__all__ = ["LinkedCompiler"]


class _LinkedLibrary(JITCodeLibrary):  # type: ignore[misc]  # numba has no types
    """A function, and those that it calls, for the libraries of its callers.

    Each caller has LLVM optimise all that is linked into it, so what is done here would be done again: optimising each library on its own and
    making it machine code took a sixth of the time until the first vector, and kernels take as long without.
    """

    @property
    def codegen(self) -> Any:
        return self

    def set_env(self, name: str, environment: object) -> None:
        """Nothing: what is never called from Python has no use for its environment, and one that is not in the engine has no place for it."""

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    def _optimize_final_module(self) -> None:
        """Left to the callers."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class LinkedCompiler(CompilerBase):  # type: ignore[misc]
    """numba's passes, with a `_LinkedLibrary` for what they make."""

    def define_pipelines(self) -> list[Any]:
        # The lowering makes one of numba's when there is none.
        self.state.library = _LinkedLibrary(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        self.state.library.enable_object_caching()
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]
