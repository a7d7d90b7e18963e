"""Python's strings as UTF-8, by compiled code that reads them where the interpreter holds them.

`str.encode` makes an object for each string, to be joined afterwards: for English that took four times as long as to read a list's strings in
place. How CPython holds a string is numba's knowledge, not ours: the reading itself is done by the functions with which numba unboxes strings.

Strings do not change, and `most_utf8`, which holds the GIL, has seen that a list holds nothing else; so `write_utf8` needs no GIL, and several
threads can write at once: all it asks of the interpreter is where a string's characters are, which counts no references and raises nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from model2vec_numba.compiled import compiled, inner
from model2vec_numba.words import LANES, characters_from, narrow_characters, prefetch_bytes, store_word, trailing_zeros

__all__ = ["SLACK", "find_other", "most_utf8", "write_utf8"]

# `write_utf8` may write so many bytes past the end of what it has to.
SLACK = LANES

# What a string's characters are in memory: bytes below 0x80, or Latin-1, UCS-2 and UCS-4, which are called by their number of bytes.
_NO_STRING = -1
_ASCII = 0

# So many strings ahead are asked for where the GIL is held, and others wait for it: of strings that have left the cache that took half the time.
# To ask for their characters, too, before `write_utf8` copies them, gained nothing.
_AHEAD = 16
# A string begins anywhere in a cache line; what is said of it is within its first bytes.
_HEADER_BYTES = 48


@compiled(gil=True)
def find_other(strings: int, first: int, last: int) -> int:
    """The position of the first of the elements ``first`` to ``last - 1`` of a list, as far as it has them, that is no string; or -1.

    `strings` is the address of the list, which other threads may change at any other time. The interpreter itself would take 80 ns for each
    string that has left the cache, one after the other.
    """
    last = min(last, _length(strings))
    for i in range(first, last):
        _prefetch_element(strings, min(i + _AHEAD, last - 1))
        _, _, width = _element(strings, i)
        if width == _NO_STRING:
            return i
    return -1


@compiled(gil=True)
def most_utf8(strings: int, max_chars: int, sizes: NDArray[np.int64]) -> int:
    """Write the most bytes that the UTF-8 of the first `max_chars` code points of each string can have to `sizes`; of ASCII it is the number.

    To count them instead took nearly half as long as `write_utf8`.

    Args:
        strings: the address (``id``) of a list, of at least ``len(sizes)`` elements. It must not change meanwhile.
        max_chars: 0 or more.
        sizes: int64, shape (strings,), written.

    Returns:
        The position of the first element that is no string, or -1.
    """
    for i in range(len(sizes)):
        _prefetch_element(strings, min(i + _AHEAD, len(sizes) - 1))
        _, length, width = _element(strings, i)
        if width == _NO_STRING:
            return i
        # One byte in memory is up to two in UTF-8, two are up to three, and four up to four.
        most = 1 if width == _ASCII else 2 if width == 1 else 3 if width == 2 else 4
        sizes[i] = min(length, max_chars) * most
    return -1


@compiled()
def write_utf8(strings: int, first: int, max_chars: int, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> tuple[int, int]:
    """Write the UTF-8 of the first `max_chars` code points of strings ``first`` to ``first + len(offsets) - 2`` of a list, one after the other.

    Args:
        strings, max_chars: as for `most_utf8`, which has been called for this list.
        first: the position of the first string.
        data: uint8, written: the bytes, with room for as many as `most_utf8` says, and `SLACK` more.
        offsets: int64, written: string ``first + i`` is ``data[offsets[i]:offsets[i + 1]]``.

    Returns:
        The positions of a string that holds a surrogate, which has no UTF-8 form, and of the first surrogate in it; or twice -1.
    """
    # As a literal, what is called with it would be compiled once more for that.
    at = np.int64(0)
    offsets[0] = at
    for i in range(len(offsets) - 1):
        address, length, width = _element(strings, first + i)
        length = min(length, max_chars)
        surrogate = -1
        if width == _ASCII:
            _copy(address, length, data, at)
            at += length
        elif width == 1:
            surrogate, at = _write(carray(_pointer(address), length, np.uint8), data, at)
        elif width == 2:
            surrogate, at = _write(carray(_pointer(address), length, np.uint16), data, at)
        else:
            surrogate, at = _write(carray(_pointer(address), length, np.uint32), data, at)
        if surrogate >= 0:
            return first + i, surrogate
        offsets[i + 1] = at
    return -1, -1


@intrinsic
def _element(_typing_context: Any, strings: Any, index: Any) -> Any:
    """Element `index` of a list of Python's, by the list's address: the address of its characters, how many there are, and what they are in memory.

    The GIL must be held, unless the element is known to be a string.
    """
    result = types.UniTuple(types.int64, 3)
    word = ir.IntType(64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        element = api.list_getitem(builder.inttoptr(arguments[0], api.pyobj), arguments[1])
        # It goes by the type of an object. `isinstance` would believe what an object says of its class, and run its code to hear it.
        get_length = cgutils.get_or_insert_function(builder.module, ir.FunctionType(api.py_ssize_t, [api.pyobj]), "PyUnicode_GetLength")
        is_string = builder.icmp_signed(">=", builder.call(get_length, [element]), api.py_ssize_t(0))
        parts = [cgutils.alloca_once_value(builder, word(value)) for value in (0, 0, _NO_STRING)]
        with builder.if_else(is_string, likely=True) as (then, otherwise):
            with then:
                _, characters, length, width, is_ascii, _ = api.string_as_string_size_and_kind(element)
                width = builder.select(builder.icmp_unsigned("!=", is_ascii, is_ascii.type(0)), word(_ASCII), builder.zext(width, word))
                for part, value in zip(parts, (builder.ptrtoint(characters, word), length, width), strict=True):
                    builder.store(value, part)
            with otherwise:
                api.err_clear()
        return context.make_tuple(builder, signature.return_type, [builder.load(part) for part in parts])

    return result(types.int64, types.int64), generate


@intrinsic
def _prefetch_element(_typing_context: Any, strings: Any, index: Any) -> Any:
    """Ask for what `_element` will read of an element that the list has. The GIL must be held, as there."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        element = api.list_getitem(builder.inttoptr(arguments[0], api.pyobj), arguments[1])
        start = builder.bitcast(element, cgutils.voidptr_t)
        for offset in (0, _HEADER_BYTES - 1):
            prefetch_bytes(builder, builder.gep(start, [ir.IntType(64)(offset)]), 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def _length(_typing_context: Any, strings: Any) -> Any:
    """The number of elements of a list of Python's, by its address. The GIL must be held."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        api = context.get_python_api(builder)
        return api.list_size(builder.inttoptr(arguments[0], api.pyobj))

    return types.int64(types.int64), generate


@intrinsic
def _pointer(_typing_context: Any, address: Any) -> Any:
    """An address as a pointer."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@intrinsic
def _copy(_typing_context: Any, address: Any, size: Any, data: Any, at: Any) -> Any:
    """Copy `size` bytes from `address` to ``data[at:at + size]``. No bounds are checked."""
    if not (isinstance(data, types.Array) and data.dtype == types.uint8):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, size, array, at = arguments
        target = builder.gep(cgutils.create_struct_proxy(signature.args[2])(context, builder, array).data, [at])
        cgutils.raw_memcpy(builder, target, builder.inttoptr(address, cgutils.voidptr_t), size, 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, data, types.int64), generate


@inner
def _utf8(character: np.uint64) -> tuple[np.uint64, int]:
    """The UTF-8 of a code point, its first byte lowest, and the number of its bytes."""
    last = character & np.uint64(63) | np.uint64(0x80)
    if character < 0x80:
        return character, 1
    if character < 0x800:
        return character >> np.uint64(6) | np.uint64(0xC0) | last << np.uint64(8), 2
    second_last = character >> np.uint64(6) & np.uint64(63) | np.uint64(0x80)
    if character < 0x10000:
        return character >> np.uint64(12) | np.uint64(0xE0) | second_last << np.uint64(8) | last << np.uint64(16), 3
    third_last = character >> np.uint64(12) & np.uint64(63) | np.uint64(0x80)
    return character >> np.uint64(18) | np.uint64(0xF0) | third_last << np.uint64(8) | second_last << np.uint64(16) | last << np.uint64(24), 4


@inner
def _write(characters: NDArray[Any], data: NDArray[np.uint8], at: int) -> tuple[int, int]:
    """Write characters as UTF-8 to `data` from `at` on; the position of the first surrogate, which ends it, or -1, and where the bytes end."""
    i = 0
    last_row = len(characters) - LANES
    while i < len(characters):
        # Rows of ASCII in a loop of their own, so that none waits for what the one before it holds.
        while i <= last_row:
            narrow_characters(characters, i, data, at)
            others = characters_from(characters, i, 0x80)
            if others != 0:
                # Of what was written those count that stand before the first of the others.
                i += trailing_zeros(others)
                at += trailing_zeros(others)
                break
            i += LANES
            at += LANES
        # A space between words of another script does not end this.
        while i < len(characters) and (i > last_row or characters[i] >= 0x80 or characters[i + 1] >= 0x80):
            character = np.uint64(characters[i])
            if np.uint64(0xD800) <= character < np.uint64(0xE000):
                return i, at
            units, size = _utf8(character)
            store_word(data, at, units)
            at += size
            i += 1
    return -1, at
