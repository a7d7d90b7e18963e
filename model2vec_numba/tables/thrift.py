"""Read and write structures in the compact protocol of Apache Thrift, the format of Parquet's metadata.

Only the types that Parquet uses are supported. The format: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["BINARY", "I32", "I64", "LIST", "STRUCT", "Field", "Items", "ThriftStruct", "read_struct", "varint", "write_struct"]

# The types of Thrift. A Boolean field has no other bytes: its type is `_TRUE` or `_FALSE`. In a list, a Boolean is a byte, which is kept as it is.
_TRUE, _FALSE = 1, 2
_BYTE = 3
_I16 = 4
I32 = 5
I64 = 6
# The value of a double is kept as eight bytes.
_DOUBLE = 7
BINARY = 8
LIST = 9
STRUCT = 12

_INTEGERS = {_I16, I32, I64}
# The head of a list has its length in the upper four bits, or this number if the length is 15 or more and follows the head.
_LONG_LIST = 15


class Field(NamedTuple):
    """A value and its type.

    Attributes:
        kind: the type.
        value: an integer, a Boolean, bytes, `Items` or a structure. For a structure, also the bytes that `write_struct` returns.
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


ThriftStruct = dict[int, Field]
"""A structure of Thrift: its fields by their numbers."""


def read_struct(data: bytes) -> ThriftStruct:
    """Return the structure at the beginning of some bytes in Thrift's compact protocol. Bytes after the structure are ignored.

    Raises:
        ValueError: the data is cut off inside the structure, or a type is not supported.
    """
    try:
        return _Reader(data).struct()
    except IndexError:
        raise ValueError("the data ends inside a structure") from None


class _Reader:
    """Reads values from bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def struct(self) -> ThriftStruct:
        """Read a structure."""
        fields: ThriftStruct = {}
        number = 0
        # A head has the difference to the previous field's number in the upper four bits (0: the number follows) and the type in the lower four.
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
        raise ValueError(f"unsupported type {kind} at byte {self._position}")

    def _byte(self) -> int:
        self._position += 1
        return self._data[self._position - 1]

    def _bytes(self, count: int) -> bytes:
        self._position += count
        if self._position > len(self._data):
            raise IndexError
        return self._data[self._position - count : self._position]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _integer(self) -> int:
        coded = self._varint()
        return coded >> 1 ^ -(coded & 1)


def write_struct(struct: ThriftStruct) -> bytes:
    """Return the bytes of a structure in Thrift's compact protocol."""
    out = bytearray()
    previous = 0
    for number, (kind, value) in sorted(struct.items()):
        if kind in {_TRUE, _FALSE}:
            kind = _TRUE if value else _FALSE  # noqa: PLW2901 - the type of a Boolean field includes its value
        step = number - previous
        if 0 < step <= 15:
            out.append(step << 4 | kind)
        else:
            out.append(kind)
            out += _integer(number)
        if kind not in {_TRUE, _FALSE}:
            out += _write_value(kind, value)
        previous = number
    out.append(0)
    return bytes(out)


def _write_value(kind: int, value: Any) -> bytes:
    if kind in _INTEGERS:
        return _integer(value)
    if kind == BINARY:
        return varint(len(value)) + bytes(value)
    if kind == LIST:
        count = len(value.values)
        head = bytes([count << 4 | value.kind]) if count < _LONG_LIST else bytes([_LONG_LIST << 4 | value.kind]) + varint(count)
        return head + b"".join([_write_value(value.kind, item) for item in value.values])
    if kind == STRUCT:
        return value if isinstance(value, bytes) else write_struct(value)
    return value if isinstance(value, bytes) else bytes([value])


def varint(value: int) -> bytes:
    """Return the bytes of an integer of 0 or more: seven bits in each byte, the lowest bits first. The highest bit is set except in the last byte."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(value: int) -> bytes:
    """Return the bytes of a signed integer: the varint of twice the value, or of ``-2 * value - 1`` if the value is negative."""
    return varint(value << 1 if value >= 0 else ~value << 1 | 1)
