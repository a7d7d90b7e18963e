"""Round vectors to half precision. NumPy's conversion, which uses no instruction for it, took 1.2 to 1.6 us for 256 numbers, half of what all of
encoding took; this takes 0.05, and 0.3 where there is no such instruction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled
from model2vec_numba.pooling.widen import converts_half

__all__ = ["narrow"]

_FLOAT = ir.FloatType()
_WORD = ir.IntType(32)
_FRACTION_BITS_LESS = 13
# The smallest normal number of half precision, and the first that is too large for any, as the bits of a float32; infinity; a NaN.
_NORMAL = 0x38800000
_BEYOND = 0x47800000
_INFINITY = 0x7F800000
_HALF_INFINITY, _HALF_NAN = 0x7C00, 0x7E00
# What rounds to nearest when it is added, less the difference of the two exponents' biases.
_ROUND_AND_REBIAS = 0xFFF - (112 << 23)


@intrinsic
def _float_to_half(_typing_context: Any, value: Any) -> Any:
    """The bits of the IEEE binary16 number nearest to a float32, of two the even one."""
    if value != types.float32:
        return None

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if converts_half(context):
            return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))
        bits = builder.bitcast(arguments[0], _WORD)
        magnitude = builder.and_(bits, _WORD(0x7FFFFFFF))
        odd = builder.and_(builder.lshr(magnitude, _WORD(_FRACTION_BITS_LESS)), _WORD(1))
        normal = builder.lshr(builder.add(builder.add(magnitude, _WORD(_ROUND_AND_REBIAS)), odd), _WORD(_FRACTION_BITS_LESS))
        # The last bit of a sum with 0.5 is worth half precision's smallest number, so that the addition rounds.
        sum_of_small = builder.fadd(builder.bitcast(magnitude, _FLOAT), ir.Constant(_FLOAT, 0.5))
        small = builder.sub(builder.bitcast(sum_of_small, _WORD), builder.bitcast(ir.Constant(_FLOAT, 0.5), _WORD))
        large = builder.select(builder.icmp_unsigned(">", magnitude, _WORD(_INFINITY)), _WORD(_HALF_NAN), _WORD(_HALF_INFINITY))
        found = builder.select(builder.icmp_unsigned("<", magnitude, _WORD(_NORMAL)), small, normal)
        found = builder.select(builder.icmp_unsigned(">=", magnitude, _WORD(_BEYOND)), large, found)
        sign = builder.and_(builder.lshr(bits, _WORD(16)), _WORD(0x8000))
        return builder.trunc(builder.or_(found, sign), ir.IntType(16))

    return types.uint16(types.float32), generate


@compiled()
def narrow(vectors: NDArray[np.float32], out: NDArray[np.uint16]) -> None:
    """Write the bits of the half precision numbers nearest to those of `vectors`, shape (texts, dim), to `out`, of the same shape."""
    for i in range(out.shape[0]):
        for d in range(out.shape[1]):
            out[i, d] = _float_to_half(vectors[i, d])
