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

__all__ = ["widen"]


@intrinsic
def _half_to_float(_typing_context: Any, bits: Any) -> Any:
    """The float32 value of the IEEE binary16 number whose bits are given (`vcvtph2ps` where the processor has it)."""
    if bits != types.uint16:
        return None

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


@intrinsic
def _bfloat_to_float(_typing_context: Any, bits: Any) -> Any:
    """The float32 value of the bfloat16 number whose bits are given: they are float32's upper half."""
    if bits != types.int16:
        return None

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        word = builder.shl(builder.zext(arguments[0], ir.IntType(32)), ir.Constant(ir.IntType(32), 16))
        return builder.bitcast(word, ir.FloatType())

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
