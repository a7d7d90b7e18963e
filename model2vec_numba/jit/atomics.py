"""Atomic operations for parallel kernels."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["fetch_and_increment"]


@intrinsic
def fetch_and_increment(_typing_context: Any, counter: Any) -> Any:
    """Return ``counter[0]``, int64, and add one to it, in a single step for all threads. Threads use it to take the next piece of work.

    With `prange` alone, OpenMP divides the iterations before the loop starts, and all threads wait for the slowest.
    """
    if not (isinstance(counter, types.Array) and counter.dtype == types.int64):
        # numba takes this for a call with arguments of wrong types.
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), generate
