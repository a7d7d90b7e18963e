"""Read Python strings where CPython holds them: intrinsics for compiled code.

numba knows how CPython stores a string. These intrinsics call the functions with which numba itself unboxes strings. They change no reference
counts, and raise nothing for an object that is a string.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from model2vec_numba.jit.simd import prefetch_bytes

__all__ = ["ASCII", "copy_characters", "is_string", "prefetch_memory", "read_string"]

# How CPython stores the characters of a string: as ASCII, or with a width of 1 (Latin-1), 2 (UCS-2) or 4 (UCS-4) bytes for each character.
ASCII = 0


@intrinsic
def is_string(_typing_context: Any, element: Any) -> Any:
    """Return whether the Python object at an address is a string. The GIL must be held."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        # This function looks at the object's type. `isinstance` would call the object's own code.
        get_length = cgutils.get_or_insert_function(builder.module, ir.FunctionType(api.py_ssize_t, [api.pyobj]), "PyUnicode_GetLength")
        found = builder.icmp_signed(">=", builder.call(get_length, [builder.inttoptr(arguments[0], api.pyobj)]), api.py_ssize_t(0))
        with builder.if_then(builder.not_(found), likely=False):
            api.err_clear()
        return found

    return types.boolean(types.int64), generate


@intrinsic
def read_string(_typing_context: Any, element: Any) -> Any:
    """Read the Python string at an address.

    Returns:
        The address of its characters, their number, and their width: `ASCII`, 1, 2 or 4.
    """
    result = types.UniTuple(types.int64, 3)
    word = ir.IntType(64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        _, characters, length, width, is_ascii, _ = api.string_as_string_size_and_kind(builder.inttoptr(arguments[0], api.pyobj))
        width = builder.select(builder.icmp_unsigned("!=", is_ascii, is_ascii.type(0)), word(ASCII), builder.zext(width, word))
        return context.make_tuple(builder, signature.return_type, [builder.ptrtoint(characters, word), length, width])

    return result(types.int64), generate


@intrinsic(prefer_literal=True)
def prefetch_memory(_typing_context: Any, address: Any, size: Any) -> Any:
    """Ask the processor to load `size` bytes from an address on into its caches. `size` is an integer literal."""
    if not isinstance(size, types.IntegerLiteral):
        return None

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        prefetch_bytes(builder, builder.inttoptr(arguments[0], cgutils.voidptr_t), size.literal_value)
        return context.get_dummy_value()

    return types.void(types.int64, size), generate


@intrinsic
def copy_characters(_typing_context: Any, address: Any, size: Any, data: Any, at: Any) -> Any:
    """Copy `size` bytes from `address` to ``data[at:at + size]``. No bounds are checked."""
    if not (isinstance(data, types.Array) and data.dtype == types.uint8):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, size, array, at = arguments
        target = builder.gep(cgutils.create_struct_proxy(signature.args[2])(context, builder, array).data, [at])
        cgutils.raw_memcpy(builder, target, builder.inttoptr(address, cgutils.voidptr_t), size, 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, data, types.int64), generate
