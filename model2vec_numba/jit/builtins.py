"""Make a kernel a built-in function, which CPython calls as it calls the functions of C extensions.

numba takes 200 ns to look at the types of a call's arguments, and 25 ns to convert each number. Together that is as long as a short text takes. A
built-in function gets the addresses of its arguments and reads them itself, which takes 40 ns. It also makes its result, with the functions that
CPython and NumPy offer to C extensions: `numpy.empty` takes 250 ns.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from model2vec_numba.jit.pointers import address_for_c

__all__ = [
    "as_builtin",
    "drop_reference",
    "elements_of_array",
    "elements_of_list",
    "is_list",
    "is_none",
    "last_length_of_array",
    "new_float32_matrix",
    "new_none",
    "new_reference",
    "numpy_functions",
    "sequence_length",
    "to_integer",
    "word_at",
]

# CPython's flag of a function that gets its arguments as an array.
_METH_FASTCALL = 0x0080
# The place of `PyArray_New` in the list of NumPy's functions, and NumPy's number for float32.
_ARRAY_NEW, _FLOAT32 = 93, 11


class _Definition(ctypes.Structure):
    """CPython's `PyMethodDef`."""

    _fields_ = (("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


class _Array(ctypes.Structure):
    """The first members of NumPy's `PyArrayObject_fields`."""

    _fields_ = (
        ("object", ctypes.c_byte * object.__basicsize__),
        ("elements", ctypes.c_void_p),
        ("dimensions", ctypes.c_int),
        ("shape", ctypes.c_void_p),
    )


# Where these members are.
_ELEMENTS, _DIMENSIONS, _SHAPE = _Array.elements.offset, _Array.dimensions.offset, _Array.shape.offset
# Where an object has the address of its type. The number of elements of a list or tuple is after it, and then, in a list, their address.
_TYPE = object.__basicsize__ - 8
_INT, _WORD = ir.IntType(32), ir.IntType(64)
_WORD_BYTES = 8


def as_builtin(kernel: Any, owner: object) -> Callable[..., Any] | None:
    """Return a function that calls a kernel. ``None`` if this version of numba has no way to get it.

    The kernel is called with the addresses of `owner` and of an array of the addresses of the arguments, and with the number of the arguments. It
    returns the address of a new reference to its result. It must hold the GIL, and raises no errors.
    """
    definition = _definition(kernel)
    if definition is None:
        return None
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, (ctypes.POINTER(_Definition), ctypes.py_object, ctypes.c_void_p)
    function: Callable[..., Any] = make(definition, owner, None)
    return function


@cache
def _definition(kernel: Any) -> _Definition | None:
    """Return the definition of a built-in function. It exists until the process ends, because the functions read it until they are deleted."""
    address = address_for_c(kernel, (0, 0, 0))
    if address is None:
        return None
    definition = _Definition(kernel.py_func.__name__.encode(), address, _METH_FASTCALL, None)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(definition))
    return definition


@cache
def numpy_functions() -> tuple[int, int] | None:
    """Return the arguments `make` and `kind` of `new_float32_matrix`. ``None`` if this version of NumPy is not as its C interface says."""
    module = import_module("numpy.core._multiarray_umath" if np.__version__.startswith("1.") else "numpy._core._multiarray_umath")
    read = ctypes.pythonapi.PyCapsule_GetPointer
    read.restype, read.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    make = ctypes.c_void_p.from_address(read(module._ARRAY_API, None) + _ARRAY_NEW * _WORD_BYTES).value
    probe = np.zeros((2, 3))
    found = _Array.from_address(id(probe))
    if make is None or found.elements != probe.ctypes.data or found.dimensions != probe.ndim:
        return None
    is_known = tuple((ctypes.c_int64 * probe.ndim).from_address(found.shape)) == probe.shape
    return (make, id(np.ndarray)) if is_known else None


@intrinsic
def elements_of_array(_typing_context: Any, array: Any) -> Any:
    """Return the address of the elements of the NumPy array at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _load(builder, builder.add(arguments[0], _WORD(_ELEMENTS)), _WORD)

    return types.int64(types.int64), generate


@intrinsic
def last_length_of_array(_typing_context: Any, array: Any) -> Any:
    """Return the number of elements along the last axis of the NumPy array at an address. It must have an axis."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        dimensions = builder.sext(_load(builder, builder.add(arguments[0], _WORD(_DIMENSIONS)), _INT), _WORD)
        shape = _load(builder, builder.add(arguments[0], _WORD(_SHAPE)), _WORD)
        last = builder.mul(builder.sub(dimensions, _WORD(1)), _WORD(_WORD_BYTES))
        return _load(builder, builder.add(shape, last), _WORD)

    return types.int64(types.int64), generate


@intrinsic
def new_float32_matrix(_typing_context: Any, make: Any, kind: Any, rows: Any, columns: Any) -> Any:
    """Return the address of a new reference to an array of float32. 0 if there is no memory; then an error is set.

    `make` and `kind` are the addresses of `PyArray_New` and of the type ``numpy.ndarray``.
    """
    word = types.int64

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        make, kind, *lengths = arguments
        with builder.goto_entry_block():
            shape = builder.alloca(_WORD, len(lengths))
        for axis, length in enumerate(lengths):
            builder.store(length, builder.gep(shape, [_INT(axis)]))
        # The type, the shape, the type of the elements, the strides, the elements, their size, flags and an array to copy flags from.
        parameters = (_WORD, _INT, shape.type, _INT, _WORD, _WORD, _INT, _INT, _WORD)
        function = builder.inttoptr(make, ir.FunctionType(_WORD, parameters).as_pointer())
        values = (kind, _INT(len(lengths)), shape, _INT(_FLOAT32), _WORD(0), _WORD(0), _INT(0), _INT(0), _WORD(0))
        return builder.call(function, values)

    return word(word, word, word, word), generate


@intrinsic
def to_integer(_typing_context: Any, number: Any) -> Any:
    """Return the value of the Python integer, or the Boolean, at an address. It must fit into an int64."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        return api.long_as_longlong(builder.inttoptr(arguments[0], api.pyobj))

    return types.int64(types.int64), generate


@intrinsic
def is_none(_typing_context: Any, value: Any) -> Any:
    """Return whether the Python object at an address is ``None``."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        return builder.icmp_unsigned("==", builder.inttoptr(arguments[0], api.pyobj), api.borrow_none())

    return types.boolean(types.int64), generate


@intrinsic
def is_list(_typing_context: Any, value: Any) -> Any:
    """Return whether the type of the Python object at an address is ``list``, and not a subclass."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        kind = _load(builder, builder.add(arguments[0], _WORD(_TYPE)), _WORD)
        return builder.icmp_unsigned("==", kind, builder.ptrtoint(api.get_c_object("PyList_Type"), _WORD))

    return types.boolean(types.int64), generate


@intrinsic
def sequence_length(_typing_context: Any, sequence: Any) -> Any:
    """Return the number of elements of the list or tuple at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _load(builder, builder.add(arguments[0], _WORD(_TYPE + _WORD_BYTES)), _WORD)

    return types.int64(types.int64), generate


@intrinsic
def elements_of_list(_typing_context: Any, sequence: Any) -> Any:
    """Return the address of the elements of the list at an address. A tuple of Python 3.14 has another member at this place."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _load(builder, builder.add(arguments[0], _WORD(_TYPE + 2 * _WORD_BYTES)), _WORD)

    return types.int64(types.int64), generate


@intrinsic
def word_at(_typing_context: Any, address: Any) -> Any:
    """Return the int64 at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0], _WORD)

    return types.int64(types.int64), generate


@intrinsic
def new_none(_typing_context: Any) -> Any:
    """Return the address of a new reference to ``None``."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        return builder.ptrtoint(context.get_python_api(builder).make_none(), _WORD)

    return types.int64(), generate


@intrinsic
def new_reference(_typing_context: Any, value: Any) -> Any:
    """Return the address of a Python object, to which it adds a reference."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        api.incref(builder.inttoptr(arguments[0], api.pyobj))
        return arguments[0]

    return types.int64(types.int64), generate


@intrinsic
def drop_reference(_typing_context: Any, value: Any) -> Any:
    """Remove a reference to the Python object at an address."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        api.decref(builder.inttoptr(arguments[0], api.pyobj))
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _load(builder: Any, address: Any, kind: Any) -> Any:
    """Build the code that loads a number of a type of LLVM."""
    return builder.load(builder.inttoptr(address, kind.as_pointer()))
