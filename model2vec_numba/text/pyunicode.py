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

__all__ = ["ASCII", "NO_STRING", "copy_characters", "list_length", "prefetch_string", "read_string", "to_pointer"]

# How CPython stores the characters of a string: as ASCII, or with a width of 1 (Latin-1), 2 (UCS-2) or 4 (UCS-4) bytes for each character.
NO_STRING = -1
ASCII = 0

# A string object may begin anywhere in a cache line. Its length and kind are within its first 48 bytes.
_HEADER_BYTES = 48


@intrinsic
def read_string(_typing_context: Any, list_address: Any, index: Any) -> Any:
    """Read element `index` of the Python list at the address `list_address`.

    The GIL must be held, unless the element is known to be a string.

    Returns:
        The address of its characters, their number, and their width: `ASCII`, 1, 2 or 4; or `NO_STRING` if it is not a string.
    """
    result = types.UniTuple(types.int64, 3)
    word = ir.IntType(64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        element = api.list_getitem(builder.inttoptr(arguments[0], api.pyobj), arguments[1])
        # This function looks at the object's type. `isinstance` would call the object's own code.
        get_length = cgutils.get_or_insert_function(builder.module, ir.FunctionType(api.py_ssize_t, [api.pyobj]), "PyUnicode_GetLength")
        is_string = builder.icmp_signed(">=", builder.call(get_length, [element]), api.py_ssize_t(0))
        parts = [cgutils.alloca_once_value(builder, word(value)) for value in (0, 0, NO_STRING)]
        with builder.if_else(is_string, likely=True) as (then, otherwise):
            with then:
                _, characters, length, width, is_ascii, _ = api.string_as_string_size_and_kind(element)
                width = builder.select(builder.icmp_unsigned("!=", is_ascii, is_ascii.type(0)), word(ASCII), builder.zext(width, word))
                for part, value in zip(parts, (builder.ptrtoint(characters, word), length, width), strict=True):
                    builder.store(value, part)
            with otherwise:
                api.err_clear()
        return context.make_tuple(builder, signature.return_type, [builder.load(part) for part in parts])

    return result(types.int64, types.int64), generate


@intrinsic
def prefetch_string(_typing_context: Any, list_address: Any, index: Any) -> Any:
    """Prefetch the memory that `read_string` will read. The list must have the element, and the GIL must be held."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        element = api.list_getitem(builder.inttoptr(arguments[0], api.pyobj), arguments[1])
        start = builder.bitcast(element, cgutils.voidptr_t)
        for offset in (0, _HEADER_BYTES - 1):
            prefetch_bytes(builder, builder.gep(start, [ir.IntType(64)(offset)]), 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def list_length(_typing_context: Any, list_address: Any) -> Any:
    """Return the number of elements of the Python list at an address. The GIL must be held."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        return api.list_size(builder.inttoptr(arguments[0], api.pyobj))

    return types.int64(types.int64), generate


@intrinsic
def to_pointer(_typing_context: Any, address: Any) -> Any:
    """Return an address as a pointer."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


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
