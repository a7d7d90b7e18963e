"""Half precision and bfloat16 in compiled code.

numba has no types for half precision and bfloat16 on the CPU. So kernels get them as the bits of the numbers: float16 as uint16, and bfloat16 as
int16. The type of an element then says what it is, and `to_float` compiles to the conversion for this type.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

__all__ = ["bfloat_to_float", "converts_half", "float_to_half", "half_to_float", "like", "to_float"]


_WORD = ir.IntType(32)
# 2 to the difference of the exponents' biases, and the smallest number that is too large for half precision.
_BIASES = 2.0**112
_TOO_LARGE = 2.0**16


def converts_half(context: Any) -> bool:
    """Return whether the processor has instructions to convert half precision.

    Without them LLVM calls a function that no library here has, and aborts. Only processors of the x86 family from before 2012 lack them, and
    general names for that family, such as "generic" in NUMBA_CPU_NAME.
    """
    triple, _, features = context.codegen().magic_tuple()
    return not triple.startswith(("x86", "i386", "i486", "i586", "i686")) or "+f16c" in features.split(",")


def half_to_float(context: Any, builder: Any, bits: Any) -> Any:
    """Build the conversion of IEEE binary16 numbers, given by their bits, to float32. `bits` is one number or a vector of numbers."""
    if converts_half(context):
        return builder.fpext(builder.bitcast(bits, like(bits, ir.HalfType())), like(bits, ir.FloatType()))
    word = builder.zext(bits, like(bits, _WORD))
    magnitude = builder.shl(builder.and_(word, _same(bits, _WORD, 0x7FFF)), _same(bits, _WORD, 13))
    # Read as float32, the exponent is too small by the difference of the biases. A multiplication corrects it exactly, for subnormals too.
    scaled = builder.fmul(builder.bitcast(magnitude, like(bits, ir.FloatType())), _same(bits, ir.FloatType(), _BIASES))
    found = builder.bitcast(scaled, like(bits, _WORD))
    # Infinity and NaN have the largest exponent in both.
    special = builder.fcmp_ordered(">=", scaled, _same(bits, ir.FloatType(), _TOO_LARGE))
    found = builder.select(special, builder.or_(found, _same(bits, _WORD, 0x7F800000)), found)
    sign = builder.shl(builder.and_(word, _same(bits, _WORD, 0x8000)), _same(bits, _WORD, 16))
    return builder.bitcast(builder.or_(found, sign), like(bits, ir.FloatType()))


def bfloat_to_float(builder: Any, bits: Any) -> Any:
    """Build the conversion of bfloat16 numbers, given by their bits, to float32. They are the upper half of its bits."""
    word = builder.shl(builder.zext(bits, like(bits, _WORD)), _same(bits, _WORD, 16))
    return builder.bitcast(word, like(bits, ir.FloatType()))


def like(values: Any, kind: Any) -> Any:
    """Return the type of numbers of a kind with as many lanes as `values`."""
    return ir.VectorType(kind, values.type.count) if isinstance(values.type, ir.VectorType) else kind


def _same(values: Any, kind: Any, number: float) -> Any:
    """Return a constant of a kind with as many lanes as `values`."""
    several = like(values, kind)
    return ir.Constant(several, number if several is kind else [number] * several.count)


@intrinsic
def _half_to_float(_typing_context: Any, bits: Any) -> Any:
    """Convert an IEEE binary16 number, given by its bits, to float32."""
    if bits != types.uint16:
        return None

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return half_to_float(context, builder, arguments[0])

    return types.float32(types.uint16), generate


@intrinsic
def _bfloat_to_float(_typing_context: Any, bits: Any) -> Any:
    """Convert a bfloat16 number, given by its bits, to float32."""
    if bits != types.int16:
        return None

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return bfloat_to_float(builder, arguments[0])

    return types.float32(types.int16), generate


def to_float(element):  # type: ignore[no-untyped-def]  # numba compares the signature with that of the lambdas below
    """Return an element of a kernel's matrix as float32, or as float64 if it is float64. Only for compiled code."""
    raise NotImplementedError("to_float is for compiled code")


@overload(to_float, inline="always")
def _to_float(element):  # type: ignore[no-untyped-def]
    if element == types.uint16:
        return lambda element: _half_to_float(element)
    if element == types.int16:
        return lambda element: _bfloat_to_float(element)
    if element == types.float64:
        return lambda element: element
    return lambda element: np.float32(element)


_FEWER_FRACTION_BITS = 13
# As the bits of a float32: the smallest normal number of half precision, the smallest number that is too large for it, and infinity.
_NORMAL_BITS = 0x38800000
_TOO_LARGE_BITS = 0x47800000
_INFINITY_BITS = 0x7F800000
# As the bits of half precision: infinity and a NaN.
_HALF_INFINITY, _HALF_NAN = 0x7C00, 0x7E00
# Adding this rounds to nearest and subtracts the difference of the exponents' biases.
_ROUND_AND_REBIAS = 0xFFF - (112 << 23)


def float_to_half(context: Any, builder: Any, values: Any) -> Any:
    """Build the conversion of float32 numbers to the bits of the nearest IEEE binary16 numbers (ties to even). `values` is a vector of numbers.

    NumPy's conversion, which does not use the processor's instruction, took 1.2 to 1.6 us for 256 numbers, half the time of encoding. This takes
    0.02 us, and 0.3 us on processors without such an instruction.
    """
    half = like(values, ir.IntType(16))
    if converts_half(context):
        return builder.bitcast(builder.fptrunc(values, like(values, ir.HalfType())), half)

    def same(number: int) -> Any:
        return _same(values, _WORD, number)

    bits = builder.bitcast(values, like(values, _WORD))
    magnitude = builder.and_(bits, same(0x7FFFFFFF))
    odd = builder.and_(builder.lshr(magnitude, same(_FEWER_FRACTION_BITS)), same(1))
    normal = builder.lshr(builder.add(builder.add(magnitude, same(_ROUND_AND_REBIAS)), odd), same(_FEWER_FRACTION_BITS))
    # The last bit of a sum with 0.5 is the smallest number of half precision, so the addition rounds.
    addend = _same(values, ir.FloatType(), 0.5)
    sum_of_small = builder.fadd(builder.bitcast(magnitude, values.type), addend)
    small = builder.sub(builder.bitcast(sum_of_small, bits.type), builder.bitcast(addend, bits.type))
    large = builder.select(builder.icmp_unsigned(">", magnitude, same(_INFINITY_BITS)), same(_HALF_NAN), same(_HALF_INFINITY))
    found = builder.select(builder.icmp_unsigned("<", magnitude, same(_NORMAL_BITS)), small, normal)
    found = builder.select(builder.icmp_unsigned(">=", magnitude, same(_TOO_LARGE_BITS)), large, found)
    sign = builder.and_(builder.lshr(bits, same(16)), same(0x8000))
    return builder.trunc(builder.or_(found, sign), half)
