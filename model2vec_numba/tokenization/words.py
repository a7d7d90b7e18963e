"""Eight bytes of text at a time, for compiled code: unaligned loads and stores, and classification of a whole word in a register."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["alnum_length", "load_word", "lowercase_word", "store_word", "word_mask"]

_I8, _I64 = ir.IntType(8), ir.IntType(64)


def _element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _I64.as_pointer())


@intrinsic
def load_word(_typing_context: Any, array: Any, index: Any) -> Any:
    """The uint64 made of the bytes ``array[index:index + 8]``, the first lowest. No bounds are checked."""
    if not (isinstance(array, types.Array) and array.dtype == types.uint8):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _element_pointer(context, builder, signature.args[0], *arguments)
        return _little_endian(builder, builder.load(pointer, align=1))

    return types.uint64(array, types.int64), generate


@intrinsic
def store_word(_typing_context: Any, array: Any, index: Any, word: Any) -> Any:
    """Write the bytes of a uint64, the lowest first, to ``array[index:index + 8]``. No bounds are checked."""
    if not (isinstance(array, types.Array) and array.dtype == types.uint8):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _element_pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(_little_endian(builder, arguments[2]), pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), generate


def _little_endian(builder: Any, word: Any) -> Any:
    return word if np.little_endian else builder.bswap(word)


@intrinsic
def _trailing_zeros(_typing_context: Any, word: Any) -> Any:
    """The number of zero bits below the lowest one of a uint64; 64 for 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_CASE = np.uint64(0x2020202020202020)
# Added to a byte below 0x80, these carry into its high bit exactly from the character named on.
_FROM_A = _ONES * np.uint64(0x80 - ord("a"))
_PAST_Z = _ONES * np.uint64(0x80 - ord("z") - 1)
_FROM_0 = _ONES * np.uint64(0x80 - ord("0"))
_PAST_9 = _ONES * np.uint64(0x80 - ord("9") - 1)
_FROM_UPPER_A = _ONES * np.uint64(0x80 - ord("A"))
_PAST_UPPER_Z = _ONES * np.uint64(0x80 - ord("Z") - 1)


@njit(inline="always")
def alnum_length(word: np.uint64) -> int:  # type: ignore[no-any-unimported,unused-ignore]
    """How many of a word's bytes, from the first on, are ASCII letters and digits: 0 to 8."""
    low = word & _LOW7
    folded = low | _CASE
    letters = (folded + _FROM_A) & ~(folded + _PAST_Z)
    digits = (low + _FROM_0) & ~(low + _PAST_9)
    others = (~(letters | digits) | word) & _HIGH
    return _trailing_zeros(others) >> 3


@njit(inline="always")
def lowercase_word(word: np.uint64) -> np.uint64:
    """The word with its ASCII capitals made small; its bytes must be ASCII."""
    capitals = (word + _FROM_UPPER_A) & ~(word + _PAST_UPPER_Z) & _HIGH
    return word | (capitals >> np.uint64(2))


@njit(inline="always")
def word_mask(length: int) -> np.uint64:
    """The mask of a word's first `length` bytes, 0 to 8."""
    if length >= 8:
        return np.uint64(0xFFFFFFFFFFFFFFFF)
    return (np.uint64(1) << np.uint64(8 * length)) - np.uint64(1)
