"""Read JSON lines, and JSON arrays as if each element were a line. pyarrow parses blocks of whole lines.

All lines decide the columns and their types, so a file is parsed twice: a column may first appear in the last line. Standard input can be read only
once. There, the first lines decide, and a later line that does not fit is an error.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model2vec_numba.tables.columns import Columns
from model2vec_numba.tables.json_array import JsonArray, read_integer
from model2vec_numba.tables.sources import Source
from model2vec_numba.tables.table_reader import TableReader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["json_schema", "open_json"]

_BLOCK_BYTES = 8 << 20
_PART_BYTES = 1 << 18
# The time that pyarrow takes grows with the square of the depth: 0.01 s for 100 levels, 38 s for 12,000.
_MAX_DEPTH = 100
# An error shows at most this many digits.
_MAX_SHOWN = 40
# Integers beyond this one are not all equal to a float64.
_LARGEST_EXACT = 2**53


def open_json(name: str, columns: Columns, open_files: ExitStack, schema: pa.Schema | None = None, *, array: bool = False) -> TableReader:
    """Open a file with a JSON object in each line. The number of rows is not known.

    Args:
        name: the path, or ``-`` for standard input.
        columns: the names of the columns to read.
        open_files: it will close the file.
        schema: all columns of the input, from `json_schema`. ``None``: they are found here.
        array: whether the file may be a JSON array of objects or of strings.
    """
    import pyarrow as pa

    lines = _Lines(name, open_files, array)
    blocks = iter(lines)
    head = next(blocks, None)
    checked = schema is not None
    if schema is None:
        schema = pa.schema([])
        if lines.source.can_reopen and head is not None and lines.may_have_more():
            schema = json_schema([name], array=array)
            checked = True
        elif head is not None:
            schema = _unify(schema, _parse(head).schema, head)
        schema = _complete(schema)
    wanted = columns.choose(schema.names)
    found = pa.schema([schema.field(column) for column in wanted])

    def batches() -> Iterator[pa.RecordBatch]:
        for block in _chain(head, blocks):
            table = _parse(block, found, checked=checked)
            _check_columns(table, found, columns, block)
            yield from table.select(wanted).to_batches()

    return TableReader(found, rows=None, batches=lambda _skip: batches(), position=lines.source.position)


def json_schema(names: Sequence[str], *, array: bool = False) -> pa.Schema:
    """Return the columns of all rows of some files, with a type that holds all values of a column.

    Raises:
        ValueError: a line is not a JSON object, or no type holds all values of a column. The message says where.
    """
    import pyarrow as pa

    schema = pa.schema([])
    for name in names:
        with ExitStack() as open_files:
            try:
                for block in _Lines(name, open_files, array):
                    schema = _unify(schema, _parse(block).schema, block)
            except ValueError as error:
                raise type(error)(f"{name}: {error}" if len(names) > 1 else str(error)) from None
    return _complete(schema)


@dataclass(frozen=True)
class _Block:
    """Whole lines.

    Attributes:
        content: the lines.
        first: the number of the first line.
        unit: the name of a line in errors.
    """

    content: bytes
    first: int
    unit: str

    def __str__(self) -> str:
        count = self.content.rstrip(b"\n").count(b"\n")
        return f"{self.unit} {self.first}" if not count else f"{self.unit}s {self.first} to {self.first + count}"


class _Lines:
    """An iterable of the blocks of a file. Use it once."""

    def __init__(self, name: str, open_files: ExitStack, array: bool) -> None:
        self.source = open_files.enter_context(Source(name))
        self._file: io.BufferedReader = self.source.file
        self._unit = "line"
        if array:
            elements = JsonArray(self.source.file)
            if elements.is_array:
                self._unit = "element"
            self._file = io.BufferedReader(elements, 1 << 20)

    def may_have_more(self) -> bool:
        """Return whether the file has more bytes than were read."""
        return bool(self._file.peek(1))

    def __iter__(self) -> Iterator[_Block]:
        first = 1
        while content := self._file.read(_BLOCK_BYTES):
            content += self._file.readline()
            if first == 1:
                content = content.removeprefix(b"\xef\xbb\xbf")
            # pyarrow refuses a block without values.
            if not content.isspace() and content:
                yield _Block(content, first, self._unit)
            first += content.count(b"\n")


def _chain(head: _Block | None, rest: Iterator[_Block]) -> Iterator[_Block]:
    if head is not None:
        yield head
        yield from rest


def _parse(block: _Block, schema: pa.Schema | None = None, *, checked: bool = False) -> pa.Table:
    """Return the rows of a block. Columns that `schema` has not are added.

    Args:
        block: the lines.
        schema: the types of columns. ``None``: pyarrow finds them.
        checked: whether the block was parsed before.

    Raises:
        ValueError: the block cannot be parsed. The message says where.
    """
    import pyarrow as pa
    from pyarrow import json as pa_json

    if not checked:
        _check_depth(block)
    # pyarrow is faster with smaller parts, but a part must hold each of its lines, and errors are numbered by part.
    for size in (_PART_BYTES, len(block.content) + 1):
        options = pa_json.ReadOptions(use_threads=False, block_size=size)
        try:
            table = pa_json.read_json(pa.BufferReader(block.content), options, pa_json.ParseOptions(explicit_schema=schema))
            # pyarrow does not check UTF-8 here.
            table.validate(full=True)
        except (pa.ArrowException, ValueError) as error:
            message = str(error)
        else:
            return _without_rounding(table, block, schema)
    raise ValueError(_explain(message, block))


def _explain(message: str, block: _Block) -> str:
    """Return a message that names the line of an error in a block. pyarrow's message may have the number of a row of the block."""
    lines = []
    for number, line in enumerate(block.content.split(b"\n"), block.first):
        if not line or line.isspace():
            continue
        lines.append(number)
        where = f"{block.unit} {number}"
        try:
            value = json.loads(line.decode(), parse_int=read_integer)
        except UnicodeDecodeError as error:
            return f"{where}: not UTF-8 at byte {error.start + 1}"
        except ValueError as error:
            return f"{where}: not JSON: {error}"
        except RecursionError:
            return f"{where}: lists and objects are nested too deeply"
        if not isinstance(value, dict):
            return f"{where}: expected a JSON object, found {json.dumps(value)[:40]}"
    message = message.removeprefix("JSON parse error: ")
    row = re.search(r" in row (\d+)$", message)
    if row is None or int(row[1]) >= len(lines):
        return f"{block}: {message}"
    return f"{block.unit} {lines[int(row[1])]}: {message[: row.start()]}"


def _check_depth(block: _Block) -> None:
    """Raise a ValueError if lists and objects are nested too deeply."""
    content = block.content
    # Each line has at least one bracket. This is enough for lines that are not nested, and fast.
    if content.count(b"{") + content.count(b"[") < content.count(b"\n") + _MAX_DEPTH:
        return
    for number, line in enumerate(content.translate(None, _NO_BRACKETS).split(b"\n")):
        if len(line) > _MAX_DEPTH and _depth(line) > _MAX_DEPTH:
            # Now without the brackets in strings.
            whole = re.sub(rb'"(?:[^"\\]|\\.)*"?', b"", content.split(b"\n")[number])
            if _depth(whole.translate(None, _NO_BRACKETS)) > _MAX_DEPTH:
                where = f"{block.unit} {block.first + number}"
                raise ValueError(f"{where}: lists and objects are nested more than {_MAX_DEPTH} deep")


def _depth(brackets: bytes) -> int:
    """Return how deep brackets are nested."""
    import numpy as np

    steps = np.where(np.frombuffer(brackets, np.uint8) & 2, 1, -1)  # "[" is 0x5b, "]" 0x5d, "{" 0x7b and "}" 0x7d
    return int(np.cumsum(steps).max(initial=0))


_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}\n")


def _without_rounding(table: pa.Table, block: _Block, schema: pa.Schema | None) -> pa.Table:
    """Return a table in which no integer has lost digits. pyarrow turns integers into floats if they do not fit in 64 bits, or among floats.

    Raises:
        ValueError: an integer has no exact type.
    """
    for i, (field, column) in enumerate(zip(table.schema, table.columns, strict=True)):
        if not _holds_large_floats(column):
            continue
        unsigned = _as_unsigned(field.name, block) if schema is None or field.name not in schema.names else None
        if unsigned is not None:
            table = table.set_column(i, field.name, unsigned)
            continue
        for number, line in enumerate(block.content.split(b"\n"), block.first):
            if not line or line.isspace():
                continue
            rounded = _rounded(json.loads(line, parse_int=read_integer).get(field.name), field.type)
            if rounded is not None:
                digits = str(rounded)
                shown = digits if len(digits) <= _MAX_SHOWN else f"{digits[:_MAX_SHOWN]}..."
                raise ValueError(
                    f"{block.unit} {number}: column {field.name!r} has the integer {shown}, which would lose digits as a number of this column: "
                    "write its numbers as strings, or do not copy this column (keep)"
                )
    return table


def _as_unsigned(name: str, block: _Block) -> pa.ChunkedArray | None:
    """Return a column as unsigned integers of 64 bits. ``None``: it has other values."""
    import pyarrow as pa
    from pyarrow import json as pa_json

    options = pa_json.ParseOptions(explicit_schema=pa.schema([(name, pa.uint64())]), unexpected_field_behavior="ignore")
    try:
        return pa_json.read_json(pa.BufferReader(block.content), pa_json.ReadOptions(block_size=len(block.content) + 1), options)[name]
    except pa.ArrowInvalid:
        return None


def _holds_large_floats(column: pa.ChunkedArray) -> bool:
    """Return whether a column, or a field in it, has floats that may have been integers and have lost digits."""
    import pyarrow as pa
    from pyarrow import compute

    kind = column.type
    if pa.types.is_floating(kind):
        largest = compute.max(compute.abs(column)).as_py()
        return largest is not None and largest >= _LARGEST_EXACT
    if pa.types.is_list(kind):
        return _holds_large_floats(compute.list_flatten(column))
    if pa.types.is_struct(kind):
        return any(map(_holds_large_floats, column.flatten()))
    return False


def _rounded(value: Any, kind: pa.DataType) -> int | None:
    """Return an integer in a JSON value that loses digits as a value of type `kind`. ``None``: there is none."""
    import pyarrow as pa

    if pa.types.is_floating(kind):
        if type(value) is int and abs(value) > _LARGEST_EXACT and not _is_exact(value):
            return value
    elif isinstance(value, list):
        return next((found for item in value if (found := _rounded(item, kind.value_type)) is not None), None)
    elif isinstance(value, dict):
        fields = ((value.get(field.name), field.type) for field in kind)
        return next((found for item, item_kind in fields if (found := _rounded(item, item_kind)) is not None), None)
    return None


def _is_exact(value: int) -> bool:
    """Return whether a float64 is equal to an integer."""
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _unify(schema: pa.Schema, other: pa.Schema, block: _Block) -> pa.Schema:
    """Return the columns of two schemas. pyarrow guesses times in strings, which later lines may not confirm, so they stay strings."""
    import pyarrow as pa

    other = pa.schema([pa.field(field.name, _with_strings(field.type, pa.types.is_temporal)) for field in other])
    # pyarrow would keep the first type.
    unsigned = {field.name for one in (schema, other) for field in one if pa.types.is_uint64(field.type)}
    schema, other = (
        pa.schema([field.with_type(pa.uint64()) if field.name in unsigned and pa.types.is_int64(field.type) else field for field in one])
        for one in (schema, other)
    )
    try:
        return pa.unify_schemas([schema, other], promote_options="permissive")
    except pa.ArrowException as error:
        raise ValueError(f"{block}: {error}") from None


def _complete(schema: pa.Schema) -> pa.Schema:
    """Return a schema with strings in place of nulls."""
    import pyarrow as pa

    return pa.schema([pa.field(field.name, _with_strings(field.type, pa.types.is_null)) for field in schema])


def _with_strings(kind: pa.DataType, replaced: Callable[[pa.DataType], bool]) -> pa.DataType:
    """Return a type with strings in place of the types for which `replaced` is true."""
    import pyarrow as pa

    if replaced(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_with_strings(kind.value_type, replaced))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _with_strings(field.type, replaced)) for field in kind])
    return kind


def _check_columns(table: pa.Table, schema: pa.Schema, columns: Columns, block: _Block) -> None:
    """Raise a ValueError if a block has a column or a nested field that `schema` has not."""
    # A schema makes its list of names each time, and there may be thousands.
    found, known = table.schema, set(schema.names)
    extra = [name for name in found.names if name not in known] if columns.keep is None else []
    changed = [field.name for field in schema if not found.field(field.name).type.equals(field.type)]
    if extra:
        raise ValueError(f"{block}: column {extra[0]!r} is not in the first rows or files: give a file alone, or choose columns (keep)")
    if changed:
        kinds = f"of type {found.field(changed[0]).type}, expected {schema.field(changed[0]).type} as in the first rows or files"
        raise ValueError(f"{block}: column {changed[0]!r} is {kinds}: give a file alone, or choose columns (keep)")
