"""Call a compiled kernel by its address, and pass it arrays by their addresses.

numba links the code of a kernel into each compiled function that calls it, and optimises it again there. With `parallel=True` it does so three
times: a parallel pooling kernel took 5.8 s to compile, and there is one for each storage type. A kernel that is called by its address is not
linked. The address, and how numba passes arguments, are private to numba, so this module is the only one that uses them.

numba takes 70 ns to pass an array from Python to a kernel. A kernel with twenty arrays takes longer for them than for a sentence. So arrays that are
the same in every call can be packed: their addresses and lengths are in one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = [
    "address_for_c",
    "address_of",
    "array_at",
    "call_address",
    "call_address_for_int",
    "matrix_words",
    "pack",
    "to_pointer",
    "unpack",
    "unpack_matrix",
]


def address_of(kernel: Any, arguments: tuple[Any, ...]) -> int | None:
    """Return the address of a kernel's machine code for the types of some arguments. ``None`` if this version of numba has no way to get it."""
    return _address(kernel, arguments, "llvm_func_name")


def address_for_c(kernel: Any, arguments: tuple[Any, ...]) -> int | None:
    """Return the address of a function of C that calls a kernel, as `address_of` does. The kernel must be compiled with ``for_c=True``."""
    return _address(kernel, arguments, "llvm_cfunc_wrapper_name")


def _address(kernel: Any, arguments: tuple[Any, ...], name: str) -> int | None:
    """Return the address of the function whose name is the attribute `name` of what numba knows about a kernel."""
    try:
        signature = tuple(map(numba.typeof, arguments))
        kernel.compile(signature)
        result = kernel.overloads[signature]
        return int(result.library.get_pointer_to_function(getattr(result.fndesc, name)))
    except (AttributeError, KeyError):
        return None


def pack(numbers: Sequence[int], arrays: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Return numbers, and then the address and the number of elements of each of some arrays, int64. The caller must keep the arrays.

    Raises:
        ValueError: an array is not C-contiguous.
    """
    words = list(numbers)
    for array in arrays:
        if not array.flags.c_contiguous:
            raise ValueError(f"expected a C-contiguous array, not shape {array.shape} with strides {array.strides}")
        words += [array.ctypes.data, array.size]
    return np.array(words, np.int64)


def matrix_words(matrix: NDArray[Any]) -> NDArray[np.int64]:
    """Return what `unpack_matrix` reads: the address, the rows, the columns and the size of an element of a C-contiguous matrix."""
    return np.array([matrix.ctypes.data, *matrix.shape, matrix.itemsize], np.int64)


@intrinsic
def to_pointer(_typing_context: Any, address: Any) -> Any:
    """Return an address as a pointer."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@intrinsic
def array_at(_typing_context: Any, address: Any, size: Any, dtype: Any) -> Any:
    """Return the array with one dimension, of `size` elements of a type, whose first element is at an address.

    numba's `carray` cannot be called by a function that makes no array, nor by one with an element type that is an argument.
    """
    # A process that finds all code in the cache need not import this module of numba.
    from numba.core.typing.npydecl import parse_dtype

    result = types.Array(parse_dtype(dtype), 1, "C")

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _make_array(context, builder, result, *values[:2])

    return result(types.int64, types.int64, dtype), generate


def _make_array(context: Any, builder: Any, result: Any, address: Any, size: Any) -> Any:
    """Return an array with one dimension. `result`: its type in numba."""
    from numba.np.arrayobj import populate_array

    array = context.make_array(result)(context, builder)
    width = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(result.dtype)))
    populate_array(array, builder.inttoptr(address, array.data.type), [size], [width], width, None)
    return array._getvalue()


@intrinsic
def unpack(_typing_context: Any, packed: Any, at: Any, dtype: Any) -> Any:
    """Return the array whose address and size are ``packed[at]`` and ``packed[at + 1]``; see `array_at`. The bounds of `packed` are not checked."""
    from numba.core.typing.npydecl import parse_dtype

    result = types.Array(parse_dtype(dtype), 1, "C")

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        words = builder.gep(cgutils.create_struct_proxy(signature.args[0])(context, builder, values[0]).data, [values[1]])
        return _make_array(context, builder, result, builder.load(words), builder.load(cgutils.gep_inbounds(builder, words, 1)))

    return result(packed, types.int64, dtype), generate


@intrinsic
def unpack_matrix(_typing_context: Any, packed: Any, at: Any) -> Any:
    """Return a matrix as an array of int8 with the shape and the strides of the matrix.

    Its address, its rows, its columns and the size of an element are ``packed[at]`` and so on. The bounds of `packed` are not checked.
    """
    from numba.np.arrayobj import populate_array

    result = types.Array(types.int8, 2, "A")

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        words = builder.gep(cgutils.create_struct_proxy(signature.args[0])(context, builder, values[0]).data, [values[1]])
        address, rows, columns, width = (builder.load(cgutils.gep_inbounds(builder, words, k)) for k in range(4))
        array = context.make_array(result)(context, builder)
        strides = [builder.mul(columns, width), width]
        populate_array(array, builder.inttoptr(address, array.data.type), [rows, columns], strides, context.get_constant(types.intp, 1), None)
        return array._getvalue()

    return result(packed, types.int64), generate


def _make_call(result: Any, address: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the signature and the code generator of an intrinsic that calls the kernel at an address. `result`: the type that it returns."""
    # numba passes the arguments of ``*arguments`` as a tuple.
    signature = result(address, types.StarArgTuple.from_types(arguments))

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = list(signature.args[1])
        pointer = builder.inttoptr(values[0], context.call_conv.get_function_type(result, kinds).as_pointer())
        status, value = context.call_conv.call_function(builder, pointer, result, kinds, cgutils.unpack_tuple(builder, values[1]))
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value() if result == types.none else value

    return signature, generate


@intrinsic
def call_address(_typing_context: Any, address: Any, *arguments: Any) -> Any:
    """Call the kernel at an address, which `address_of` returned, with these arguments. The kernel must return nothing.

    The arguments must have the types that the kernel was compiled for, or types that numba passes in the same way, such as an array of other
    elements.
    """
    return _make_call(types.none, address, arguments)


@intrinsic
def call_address_for_int(_typing_context: Any, address: Any, *arguments: Any) -> Any:
    """Call a kernel that returns an int64, as `call_address` does, and return its result."""
    return _make_call(types.int64, address, arguments)
