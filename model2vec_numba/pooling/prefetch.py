"""Ask the processor for a row of the matrix before it is needed."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["prefetch_row"]

_CACHE_LINE = 64
_LINES = 4


@intrinsic
def prefetch_row(_typing_context: Any, matrix: Any, row: Any) -> Any:
    """Start loading the first lines of a row of a C-contiguous matrix; the processor follows with the rest by itself. No bounds are checked."""
    if not (isinstance(matrix, types.Array) and matrix.ndim == 2 and matrix.layout == "C"):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
        byte = ir.IntType(8)
        stride = cgutils.unpack_tuple(builder, array.strides, 2)[0]
        base = builder.gep(builder.bitcast(array.data, byte.as_pointer()), [builder.mul(arguments[1], stride)])
        int32 = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte.as_pointer(), int32, int32, int32]), "llvm.prefetch.p0"
        )
        for line in range(_LINES):
            address = builder.gep(base, [ir.Constant(ir.IntType(64), line * _CACHE_LINE)])
            # For reading, to be kept in every cache, data and not instructions.
            builder.call(function, [address, int32(0), int32(3), int32(1)])
        return context.get_dummy_value()

    return types.void(matrix, types.int64), generate
