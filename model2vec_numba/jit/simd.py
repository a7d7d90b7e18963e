"""Operations on several bytes or characters of text at once, for compiled code: on 8 bytes in a uint64, on blocks of 64 bytes, and on 16 characters.

In the names of this module, a word is a machine word: a uint64 that holds eight bytes, of which the first is the least significant byte. It is not a
word of a text. No function that takes an index checks bounds: the caller must make sure that all elements exist.

An intrinsic that returns ``None`` tells numba that it does not accept arguments of these types.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import inner

__all__ = [
    "BLOCK",
    "CACHE_LINE",
    "LANES",
    "alnum_length",
    "bytes_between",
    "bytes_with",
    "copy_bytes",
    "count_ones",
    "graphic_length",
    "leading_zeros",
    "length_before",
    "letters_length",
    "load_padded_word",
    "load_word",
    "lowercase_word",
    "mask_at_least",
    "narrow_characters",
    "prefetch",
    "prefetch_bytes",
    "small_letters_length",
    "smallest_of_32",
    "store_pair",
    "store_word",
    "trailing_zeros",
    "word_mask",
    "word_masks",
]

BLOCK = 64
LANES = 16
CACHE_LINE = 64
_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_BYTES = ir.VectorType(_I8, BLOCK)


def _element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, *, pointee: Any = _I64) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), pointee.as_pointer())


@intrinsic
def load_word(_typing_context: Any, array: Any, index: Any) -> Any:
    """Return the bytes ``array[index:index + 8]`` as a uint64. The first byte is the least significant one. All eight must exist."""
    if not (isinstance(array, types.Array) and array.dtype == types.uint8):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _element_pointer(context, builder, signature.args[0], *arguments)
        return _little_endian(builder, builder.load(pointer, align=1))

    return types.uint64(array, types.int64), generate


@intrinsic
def store_word(_typing_context: Any, array: Any, index: Any, word: Any) -> Any:
    """Write the bytes of a uint64 to ``array[index:index + 8]``, the least significant byte first. All eight elements must exist."""
    if not (isinstance(array, types.Array) and array.dtype == types.uint8):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _element_pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(_little_endian(builder, arguments[2]), pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), generate


@intrinsic
def store_pair(_typing_context: Any, array: Any, index: Any, pair: Any) -> Any:
    """Write the two halves of a uint64 to ``array[index]`` and ``array[index + 1]``, int32: the lower half first. Both elements must exist."""
    if not (isinstance(array, types.Array) and array.dtype == types.int32):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), _I64.as_pointer())
        halves = builder.or_(builder.shl(arguments[2], _I64(32)), builder.lshr(arguments[2], _I64(32)))
        builder.store(arguments[2] if np.little_endian else halves, pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), generate


@intrinsic
def prefetch(_typing_context: Any, array: Any, index: Any) -> Any:
    """Ask the processor to load an element of an array into its caches. `index` counts the elements in the order of memory."""
    if not (isinstance(array, types.Array) and array.layout == "C"):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        prefetch_bytes(builder, _element_pointer(context, builder, signature.args[0], *arguments, pointee=_I8), 1)
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def prefetch_bytes(builder: Any, start: Any, size: int) -> None:
    """Build the instructions that ask the processor to load the `size` bytes from a pointer on into all its caches, for reading.

    The last byte may be in one more cache line, if the first is not at the beginning of a line. Without this line, summing int8 rows of a mapped
    file of 128 MB took 1.5 times as long.
    """
    kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    for offset in sorted({*range(0, size, CACHE_LINE), size - 1}):
        builder.call(function, [builder.gep(start, [_I64(offset)]), _I32(0), _I32(3), _I32(1)])


def _little_endian(builder: Any, word: Any) -> Any:
    return word if np.little_endian else builder.bswap(word)


@intrinsic
def bytes_between(_typing_context: Any, array: Any, index: Any, low: Any, high: Any) -> Any:
    """Return a uint64 mask: bit ``i`` is set if ``low <= array[index + i] <= high``, for the 64 bytes from `index` on. All 64 must exist."""
    if not (isinstance(array, types.Array) and array.dtype == types.uint8):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, low, high = arguments
        pointer = _element_pointer(context, builder, signature.args[0], array, index, pointee=_BYTES)
        # One unsigned comparison is enough: bytes below `low` wrap around to large numbers.
        distances = builder.sub(builder.load(pointer, align=1), _splat(builder, low, _BYTES))
        inside = builder.icmp_unsigned("<=", distances, _splat(builder, builder.sub(high, low), _BYTES))
        return _bits(builder, inside)

    return types.uint64(array, types.int64, types.uint8, types.uint8), generate


@intrinsic
def bytes_with(_typing_context: Any, array: Any, index: Any, bits: Any) -> Any:
    """Return a uint64 mask: bit ``i`` is set if ``array[index + i] & bits`` is not 0, for the 64 bytes from `index` on. All 64 must exist."""
    if not (isinstance(array, types.Array) and array.dtype == types.uint8):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, bits = arguments
        pointer = _element_pointer(context, builder, signature.args[0], array, index, pointee=_BYTES)
        chosen = builder.and_(builder.load(pointer, align=1), _splat(builder, bits, _BYTES))
        return _bits(builder, builder.icmp_unsigned("!=", chosen, ir.Constant(_BYTES, [0] * BLOCK)))

    return types.uint64(array, types.int64, types.uint8), generate


def _splat(builder: Any, element: Any, vector: Any) -> Any:
    """Return a vector whose elements are all `element`."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), element, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), lanes)


def _bits(builder: Any, lanes: Any) -> Any:
    """Return a vector of booleans as an integer: bit ``i`` is boolean ``i``."""
    integer = ir.IntType(lanes.type.count)
    bits = builder.bitcast(lanes, integer)
    # The first lane is the highest bit on a big-endian machine.
    return bits if np.little_endian else builder.call(builder.module.declare_intrinsic("llvm.bitreverse", [integer]), [bits])


@intrinsic
def mask_at_least(_typing_context: Any, characters: Any, index: Any, low: Any) -> Any:
    """Return a uint64 mask: bit ``i`` is set if ``characters[index + i] >= low``, for the `LANES` characters from `index` on. All must exist."""
    if not (isinstance(characters, types.Array) and isinstance(characters.dtype, types.Integer) and not characters.dtype.signed):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(characters.dtype.bitwidth), LANES)
        pointer = _element_pointer(context, builder, signature.args[0], *arguments[:2], pointee=vector)
        found = builder.icmp_unsigned(">=", builder.load(pointer, align=1), _splat(builder, arguments[2], vector))
        return builder.zext(_bits(builder, found), _I64)

    return types.uint64(characters, types.int64, characters.dtype), generate


@intrinsic
def narrow_characters(_typing_context: Any, characters: Any, index: Any, out: Any, at: Any) -> Any:
    """Write the least significant byte of each of ``characters[index:index + LANES]`` to ``out[at:at + LANES]``. All elements must exist."""
    if not (isinstance(characters, types.Array) and isinstance(characters.dtype, types.Integer) and out.dtype == types.uint8):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, narrow = (ir.VectorType(ir.IntType(bits), LANES) for bits in (characters.dtype.bitwidth, 8))
        values = builder.load(_element_pointer(context, builder, signature.args[0], *arguments[:2], pointee=wide), align=1)
        values = values if wide == narrow else builder.trunc(values, narrow)
        builder.store(values, _element_pointer(context, builder, signature.args[2], *arguments[2:], pointee=narrow), align=1)
        return context.get_dummy_value()

    return types.void(characters, types.int64, out, types.int64), generate


@intrinsic
def count_ones(_typing_context: Any, word: Any) -> Any:
    """Return the number of one bits of a uint64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def smallest_of_32(_typing_context: Any, array: Any, index: Any) -> Any:
    """Return the smallest of ``array[index:index + 32]``, which are uint32. All elements must exist."""
    if not (isinstance(array, types.Array) and array.dtype == types.uint32):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(_I32, 32)
        elements = builder.load(_element_pointer(context, builder, signature.args[0], *arguments, pointee=vector), align=4)
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_I32, [vector]), "llvm.vector.reduce.umin.v32i32")
        return builder.call(function, [elements])

    return types.uint32(array, types.uint64), generate


@intrinsic
def leading_zeros(_typing_context: Any, word: Any) -> Any:
    """Return the number of zero bits above the highest bit that is set in a uint64; 64 if no bit is set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def trailing_zeros(_typing_context: Any, word: Any) -> Any:
    """Return the number of zero bits below the lowest bit that is set in a uint64; 64 if no bit is set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_CASE = np.uint64(0x2020202020202020)
# Added to a byte below 0x80, each of these sets the byte's high bit if the byte is at least (FROM), or is above (PAST), the character in the name.
_FROM_A = _ONES * np.uint64(0x80 - ord("a"))
_PAST_Z = _ONES * np.uint64(0x80 - ord("z") - 1)
_FROM_EXCLAMATION = _ONES * np.uint64(0x80 - ord("!"))
_FROM_0 = _ONES * np.uint64(0x80 - ord("0"))
_PAST_9 = _ONES * np.uint64(0x80 - ord("9") - 1)
_FROM_UPPER_A = _ONES * np.uint64(0x80 - ord("A"))
_PAST_UPPER_Z = _ONES * np.uint64(0x80 - ord("Z") - 1)


@njit(inline="always")
def alnum_length(word: np.uint64) -> int:  # type: ignore[no-any-unimported,unused-ignore]
    """Return the number of ASCII letters and digits at the beginning of the eight bytes of a uint64."""
    low = word & _LOW7
    folded = low | _CASE
    letters = (folded + _FROM_A) & ~(folded + _PAST_Z)
    digits = (low + _FROM_0) & ~(low + _PAST_9)
    rest = (~(letters | digits) | word) & _HIGH
    return trailing_zeros(rest) >> 3


@njit(inline="always")
def letters_length(word: np.uint64) -> int:  # type: ignore[no-any-unimported,unused-ignore]
    """Return the number of ASCII letters at the beginning of the eight bytes of a uint64."""
    folded = (word & _LOW7) | _CASE
    letters = (folded + _FROM_A) & ~(folded + _PAST_Z)
    rest = (~letters | word) & _HIGH
    return trailing_zeros(rest) >> 3


@njit(inline="always")
def small_letters_length(word: np.uint64) -> int:  # type: ignore[no-any-unimported,unused-ignore]
    """Return the number of ASCII letters from ``a`` to ``z`` at the beginning of the eight bytes of a uint64."""
    low = word & _LOW7
    rest = (~((low + _FROM_A) & ~(low + _PAST_Z)) | word) & _HIGH
    return trailing_zeros(rest) >> 3


@njit(inline="always")
def graphic_length(word: np.uint64) -> int:  # type: ignore[no-any-unimported,unused-ignore]
    """Return the number of bytes from ``!`` to DEL (0x21 to 0x7F) at the beginning of the eight bytes of a uint64."""
    rest = (~((word & _LOW7) + _FROM_EXCLAMATION) | word) & _HIGH
    return trailing_zeros(rest) >> 3


@njit(inline="always")
def length_before(word: np.uint64, byte: int) -> int:
    """Return the number of bytes at the beginning of the eight bytes of a uint64 that are before the first one equal to `byte`."""
    different = word ^ (_ONES * np.uint64(byte))
    # The high bit of each byte that is equal is set.
    equal = ~(((different & _LOW7) + _LOW7) | different) & _HIGH
    return trailing_zeros(equal) >> 3


@njit(inline="always")
def lowercase_word(word: np.uint64) -> np.uint64:
    """Return the eight bytes of a uint64, which must be ASCII, with small letters in place of capitals."""
    capitals = (word + _FROM_UPPER_A) & ~(word + _PAST_UPPER_Z) & _HIGH
    return word | (capitals >> np.uint64(2))


@njit(inline="always")
def word_mask(length: int) -> np.uint64:
    """Return a uint64 mask in which all bits of the first `length` of eight bytes are set. `length`: 0 to 8."""
    if length >= 8:
        return np.uint64(0xFFFFFFFFFFFFFFFF)
    return (np.uint64(1) << np.uint64(8 * length)) - np.uint64(1)


@njit(inline="always")
def word_masks(length: int) -> tuple[np.uint64, np.uint64]:
    """Return two uint64 masks in which all bits of the first `length` of 16 bytes are set. `length`: 1 to 16.

    There is no branch, because one could be mispredicted.
    """
    first = _ALL >> np.uint64(64 - 8 * min(length, 8))
    rest = _ALL >> np.uint64((128 - 8 * length) & 63)
    return first, rest if length > 8 else np.uint64(0)


@inner
def load_padded_word(data: NDArray[np.uint8], begin: int, length: int) -> np.uint64:
    """Return the first 8 of the bytes ``data[begin:begin + length]`` as a uint64, padded with NULs; 0 if `length` is 0 or negative."""
    if begin + 8 <= len(data):
        word = load_word(data, begin) & word_mask(max(length, 0))
    else:
        word = np.uint64(0)
        for k in range(min(length, 8)):
            word |= np.uint64(data[begin + k]) << np.uint64(8 * k)
    return word


@inner
def copy_bytes(data: NDArray[np.uint8], begin: int, end: int, out: NDArray[np.uint8], at: int) -> int:
    """Copy ``data[begin:end]`` to ``out[at:]`` and return where the copy ends. The 7 bytes of `out` after it are overwritten too."""
    if end + 8 <= len(data):
        for k in range(0, end - begin, 8):
            store_word(out, at + k, load_word(data, begin + k))
    else:
        for k in range(end - begin):
            out[at + k] = data[begin + k]
    return at + end - begin
