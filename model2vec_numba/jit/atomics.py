"""Atomic operations for kernels whose threads share an array."""

from __future__ import annotations

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
    """Return ``array[index]``, uint64. What another thread wrote before it called `store_release` for the element is then visible too."""
    if not _holds_words(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _word_pointer(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(pointer, "acquire", 8)

    return types.uint64(array, types.uint64), generate


@intrinsic
def store_release(_typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a uint64 to ``array[index]``. See `load_acquire`."""
    if not _holds_words(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _word_pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64), generate


@intrinsic
def claim_zero(_typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a uint64 to ``array[index]`` if that is 0, in a single step for all threads. Return whether it was 0."""
    if not _holds_words(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _word_pointer(context, builder, signature.args[0], *arguments[:2])
        exchanged = builder.cmpxchg(pointer, ir.Constant(ir.IntType(64), 0), arguments[2], "acquire", "monotonic")
        return builder.zext(builder.extract_value(exchanged, 1), context.get_value_type(types.boolean))

    return types.boolean(array, types.uint64, types.uint64), generate


@intrinsic
def add_relaxed(_typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Add a uint64 to ``array[index]``, in a single step for all threads. Return what the element was before."""
    if not _holds_words(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _word_pointer(context, builder, signature.args[0], *arguments[:2])
        return builder.atomic_rmw("add", pointer, arguments[2], "monotonic")

    return types.uint64(array, types.uint64, types.uint64), generate


def _holds_words(array: Any) -> bool:
    return isinstance(array, types.Array) and array.dtype == types.uint64 and array.layout == "C"


def _word_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.gep(data, [index])
