"""Widen a stored element to floating point inside compiled code.

numba knows neither half precision nor bfloat16 on the CPU, so kernels see the former as the uint16 of its bits and the latter as the int16
of its bits: the element's type alone then says what it is, and `widen` compiles to the instruction that fits it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

__all__ = ["bfloat_to_float", "converts_half", "half_to_float", "widen"]


_WORD = ir.IntType(32)
# The difference of the two exponents' biases, and the first number that is too large for half precision's finite ones.
_BIASES = 2.0**112
_BEYOND = 2.0**16


def converts_half(context: Any) -> bool:
    """Whether the processor that is compiled for converts half precision. Otherwise LLVM calls a function that is in no library here, and aborts.

    All can but those of the x86 family before 2012, and what stands for any of that family, such as "generic" in NUMBA_CPU_NAME.
    """
    triple, _, features = context.codegen().magic_tuple()
    return not triple.startswith(("x86", "i386", "i486", "i586", "i686")) or "+f16c" in features.split(",")


def half_to_float(context: Any, builder: Any, bits: Any) -> Any:
    """In LLVM's terms, the float32 values of IEEE binary16 numbers whose bits are given, a number or a vector of them."""
    if converts_half(context):
        return builder.fpext(builder.bitcast(bits, _like(bits, ir.HalfType())), _like(bits, ir.FloatType()))
    word = builder.zext(bits, _like(bits, _WORD))
    magnitude = builder.shl(builder.and_(word, _same(bits, _WORD, 0x7FFF)), _same(bits, _WORD, 13))
    # Read as float32, the exponent is too small by the difference of the biases, which a product makes good: exactly, for subnormals too.
    scaled = builder.fmul(builder.bitcast(magnitude, _like(bits, ir.FloatType())), _same(bits, ir.FloatType(), _BIASES))
    found = builder.bitcast(scaled, _like(bits, _WORD))
    # Infinity and NaN have the largest exponent in both.
    special = builder.fcmp_ordered(">=", scaled, _same(bits, ir.FloatType(), _BEYOND))
    found = builder.select(special, builder.or_(found, _same(bits, _WORD, 0x7F800000)), found)
    sign = builder.shl(builder.and_(word, _same(bits, _WORD, 0x8000)), _same(bits, _WORD, 16))
    return builder.bitcast(builder.or_(found, sign), _like(bits, ir.FloatType()))


def bfloat_to_float(builder: Any, bits: Any) -> Any:
    """In LLVM's terms, the float32 values of bfloat16 numbers whose bits are given, a number or a vector of them: they are the upper halves."""
    word = builder.shl(builder.zext(bits, _like(bits, _WORD)), _same(bits, _WORD, 16))
    return builder.bitcast(word, _like(bits, ir.FloatType()))


def _like(values: Any, kind: Any) -> Any:
    """The type for as many numbers of a kind as there are in `values`."""
    return ir.VectorType(kind, values.type.count) if isinstance(values.type, ir.VectorType) else kind


def _same(values: Any, kind: Any, number: float) -> Any:
    """A number as a constant of a kind, as many times as there are numbers in `values`."""
    several = _like(values, kind)
    return ir.Constant(several, number if several is kind else [number] * several.count)


@intrinsic
def _half_to_float(_typing_context: Any, bits: Any) -> Any:
    """The float32 value of the IEEE binary16 number whose bits are given."""
    if bits != types.uint16:
        return None

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return half_to_float(context, builder, arguments[0])

    return types.float32(types.uint16), generate


@intrinsic
def _bfloat_to_float(_typing_context: Any, bits: Any) -> Any:
    """The float32 value of the bfloat16 number whose bits are given."""
    if bits != types.int16:
        return None

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return bfloat_to_float(builder, arguments[0])

    return types.float32(types.int16), generate


def widen(element):  # type: ignore[no-untyped-def]  # numba compares the signature with that of the lambdas below
    """The float32 value (float64 for float64) of an element of a kernel's matrix. For use in compiled code only."""
    raise NotImplementedError("widen is for compiled code")


@overload(widen, inline="always")
def _widen(element):  # type: ignore[no-untyped-def]
    if element == types.uint16:
        return lambda element: _half_to_float(element)
    if element == types.int16:
        return lambda element: _bfloat_to_float(element)
    if element == types.float64:
        return lambda element: element
    return lambda element: np.float32(element)
