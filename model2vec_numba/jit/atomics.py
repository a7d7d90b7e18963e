"""Atomic operations for kernels whose threads share an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["add_relaxed", "claim_zero", "fetch_and_increment", "load_acquire", "store_release"]


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


@intrinsic
def load_acquire(_typing_context: Any, array: Any, index: Any) -> Any:
    """Return ``array[index]``, uint64. Everything that another thread wrote before it called `store_release` for the element is then visible."""
    return _on_element(types.uint64(array, types.uint64), lambda builder, pointer: builder.load_atomic(pointer, "acquire", 8))


@intrinsic
def store_release(_typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a uint64 to ``array[index]``. See `load_acquire`."""
    signature = types.void(array, types.uint64, types.uint64)
    return _on_element(signature, lambda builder, pointer, value: builder.store_atomic(value, pointer, "release", 8))


@intrinsic
def claim_zero(_typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a uint64 to ``array[index]`` if that is 0, in a single step for all threads. Return whether it was 0."""

    def claim(builder: Any, pointer: Any, value: Any) -> Any:
        return builder.extract_value(builder.cmpxchg(pointer, ir.Constant(ir.IntType(64), 0), value, "acquire", "monotonic"), 1)

    return _on_element(types.boolean(array, types.uint64, types.uint64), claim)


@intrinsic
def add_relaxed(_typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Add a uint64 to ``array[index]``, in a single step for all threads. Return what the element was before."""
    signature = types.uint64(array, types.uint64, types.uint64)
    return _on_element(signature, lambda builder, pointer, value: builder.atomic_rmw("add", pointer, value, "monotonic"))


def _on_element(signature: Any, build: Callable[..., Any]) -> Any:
    """Return an intrinsic that works on an element of an array of uint64.

    Args:
        signature: the types. The arguments are the array, an index and, if there is one, a value.
        build: builds the instructions from a builder, the pointer to the element, and the value.
    """
    array = signature.args[0]
    if not (isinstance(array, types.Array) and array.dtype == types.uint64 and array.layout == "C"):
        # numba takes this for a call with arguments of wrong types.
        return None

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        data = cgutils.create_struct_proxy(array)(context, builder, arguments[0]).data
        built = build(builder, builder.gep(data, [arguments[1]]), *arguments[2:])
        return context.get_dummy_value() if signature.return_type == types.void else built

    return signature, generate
