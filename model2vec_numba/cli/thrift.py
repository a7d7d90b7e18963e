"""Thrift's compact protocol, in which Parquet describes its files: structures to bytes and back, as far as Parquet has them.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["BINARY", "I32", "I64", "LIST", "STRUCT", "Field", "Items", "Struct", "read_struct", "varint", "write_struct"]

# Of a field; in a list a truth value has a byte of its own, which is kept as it is.
_TRUE, _FALSE = 1, 2
_BYTE = 3
_I16 = 4
I32 = 5
I64 = 6
# Kept as its eight bytes.
_DOUBLE = 7
BINARY = 8
LIST = 9
STRUCT = 12

_INTEGERS = {_I16, I32, I64}
_LONG_LIST = 15


class Field(NamedTuple):
    """A value and its type.

    Attributes:
        kind: the type.
        value: an integer, bytes, `Items` or a structure; of a structure also the bytes that `write_struct` gives.
    """

    kind: int
    value: Any


class Items(NamedTuple):
    """A list.

    Attributes:
        kind: the type of all items.
        values: the items.
    """

    kind: int
    values: list[Any]


Struct = dict[int, Field]
"""Fields by their numbers."""


def read_struct(data: bytes) -> Struct:
    """The structure that bytes begin with.

    Raises:
        ValueError: there is none, or a type in it that Parquet's descriptions do not have.
    """
    try:
        return _Reader(data).struct()
    except IndexError:
        raise ValueError("the data ends within a structure") from None


class _Reader:
    """Reads values one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = Field(head & 15, self._value(head & 15))
        return fields

    def _value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind in {_TRUE, _FALSE}:
            return kind == _TRUE
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind == LIST:
            head = self._byte()
            count = head >> 4 if head >> 4 != _LONG_LIST else self._varint()
            kind = head & 15
            return Items(kind, [self._byte() if kind in {_TRUE, _FALSE} else self._value(kind) for _ in range(count)])
        if kind == STRUCT:
            return self.struct()
        if kind == _BYTE:
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        raise ValueError(f"a value of type {kind} at byte {self._at}")

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        self._at += count
        if self._at > len(self._data):
            raise IndexError
        return self._data[self._at - count : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _integer(self) -> int:
        coded = self._varint()
        return coded >> 1 ^ -(coded & 1)


def write_struct(struct: Struct) -> bytes:
    """The bytes of a structure."""
    out = bytearray()
    before = 0
    for number, (kind, value) in sorted(struct.items()):
        if kind in {_TRUE, _FALSE}:
            kind = _TRUE if value else _FALSE  # noqa: PLW2901 - the value of a field that is one bit is in its type
        step = number - before
        if 0 < step <= 15:
            out.append(step << 4 | kind)
        else:
            out.append(kind)
            out += _integer(number)
        if kind not in {_TRUE, _FALSE}:
            out += _written(kind, value)
        before = number
    out.append(0)
    return bytes(out)


def _written(kind: int, value: Any) -> bytes:
    if kind in _INTEGERS:
        return _integer(value)
    if kind == BINARY:
        return varint(len(value)) + bytes(value)
    if kind == LIST:
        count = len(value.values)
        head = bytes([count << 4 | value.kind]) if count < _LONG_LIST else bytes([_LONG_LIST << 4 | value.kind]) + varint(count)
        return head + b"".join([_written(value.kind, item) for item in value.values])
    if kind == STRUCT:
        return value if isinstance(value, bytes) else write_struct(value)
    return value if isinstance(value, bytes) else bytes([value])


def varint(value: int) -> bytes:
    """An integer of 0 or more, seven bits to a byte, the lowest first; each byte but the last has its highest bit set."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(value: int) -> bytes:
    return varint(value << 1 if value >= 0 else ~value << 1 | 1)
