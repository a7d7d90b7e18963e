"""Sum rows of a matrix in tiles of columns, and sum squares, in the registers of the processor.

A loop that numba compiles reads and writes the array of sums for every row, or for every four rows. That took 1.5 times as long. There is
no way to make numba keep 128 sums in 8 registers, so these functions are written in LLVM's language.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from model2vec_numba.jit.simd import CACHE_LINE, prefetch_bytes
from model2vec_numba.pooling.half import bfloat_to_float, half_to_float, like

__all__ = [
    "AHEAD",
    "FLOAT_TILES",
    "INTEGER_TILES",
    "MEDIUM_TILE",
    "NARROW_FLOAT_TILES",
    "PREFETCHED_TILES",
    "SINGLE_COLUMN",
    "SMALL_TILE",
    "columns_before",
    "sum_columns",
    "sum_of_squares",
]


def _has_avx512() -> bool:
    try:
        return bool(get_host_cpu_features().get("avx512vl"))
    except RuntimeError:
        # LLVM does not know this processor.
        return False


# The number of columns of a tile. Large tiles pass a row fewer times, but their sums must fit in the processor's registers. The remaining columns
# are summed in smaller tiles and then one by one.
MEDIUM_TILE, SMALL_TILE, SINGLE_COLUMN = 64, 16, 1
# The number of columns of most tiles, and of a tile that is used once if fewer columns then remain for the smallest tiles. 144 is 128, and 80 is 64,
# with the rest of a cache line of float32.
INTEGER_TILES = (128, 144)
# AVX-512 has 32 registers of 512 bits. AVX2 has 16 registers of 256 bits, which are too few for 128 float32 sums. With 96, float32 rows of 256
# dimensions took 0.85 of the time that they took with 64. Float16 needs registers for its conversion: it took the same time.
_LARGE_FLOAT_TILES = (128, 144)
FLOAT_TILES = _LARGE_FLOAT_TILES if _has_avx512() else (96, 80)
NARROW_FLOAT_TILES = _LARGE_FLOAT_TILES if _has_avx512() else (MEDIUM_TILE, 80)
# For elements of one or two bytes, this many tiles of a row are prefetched together. With two, matrices of 30 MB and more took 0.8 to 0.97
# of the time on rows drawn like words. Four gained nothing more, and matrices in the second-level cache took the same time. For float32, whose
# tiles have as many bytes as two of float16, it was 0.97 to 1.1.
PREFETCHED_TILES = 2
# LLVM splits each vector into two if registers have 256 bits. With registers of 512 bits, vectors of 256 bits took an eighth longer for int8.
_REGISTER_BITS = 512
# Rows are prefetched this many tokens ahead. 8 to 32 are equally fast for int8. For float32, 12 and 16 took 0.95 of the time of 24.
AHEAD = 16
# The number of registers in which squares are summed independently.
_SQUARES = 4
_FLOAT32_BYTES = 4

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


@intrinsic(prefer_literal=True)
def sum_columns(
    _typing_context: Any, matrix: Any, rows: Any, at: Any, count: Any, first: Any, columns: Any, prefetched: Any, factors: Any, sums: Any
) -> Any:
    """Write ``sum(factors[k] * matrix[rows[at + k], first:first + columns] for k < count)`` to ``sums[first:first + columns]``.

    Rows are added four at a time, as ``sums += (a + b) + (c + d)``, and the last ones singly. No bounds are checked.

    Args:
        matrix: shape (any, dim), C-contiguous, of one of the kernels' types; see `to_float`.
        rows: int32, shape (at least ``at + count + AHEAD``,). `prefetched` columns of the row `AHEAD` elements later are prefetched, from `first`
            on.
        at, count, first: integers. `first` may be negative, and the columns may end after the last column. Then the memory before and after a row
            is read, and the memory before and after `sums` is written.
        columns, prefetched: integer literals.
        factors: float32, shape (at least count,), or ``None`` for ones.
        sums: shape (dim,), output. Rows are summed in its type: int16 for int8 without factors, float64 for float64, float32 otherwise.
    """
    are_literals = isinstance(columns, types.IntegerLiteral) and isinstance(prefetched, types.IntegerLiteral)
    if not (isinstance(matrix, types.Array) and matrix.layout == "C" and are_literals):
        return None
    width, prefetched_width = columns.literal_value, prefetched.literal_value
    weighted = isinstance(factors, types.Array)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def array(i: int) -> Any:
            return cgutils.create_struct_proxy(signature.args[i])(context, builder, arguments[i])

        matrix_array, rows_array, sums_array = map(array, (0, 1, 8))
        at, count, first = arguments[2:5]
        sum_type, stored_type = context.get_value_type(sums.dtype), context.get_value_type(matrix.dtype)
        lanes = math.gcd(width, _REGISTER_BITS // _bits(sum_type))
        register, stored = ir.VectorType(sum_type, lanes), ir.VectorType(stored_type, lanes)
        base = builder.bitcast(builder.gep(matrix_array.data, [first]), _I8.as_pointer())
        row_bytes = cgutils.unpack_tuple(builder, matrix_array.strides, 2)[0]
        add = builder.add if isinstance(sum_type, ir.IntType) else builder.fadd

        numbers = builder.gep(rows_array.data, [at])

        def start_of(k: Any) -> Any:
            row = builder.zext(builder.load(builder.gep(numbers, [k])), _I64)
            return builder.gep(base, [builder.mul(row, row_bytes)])

        def prefetch_later(k: Any) -> None:
            if prefetched_width:
                prefetch_bytes(builder, start_of(builder.add(k, _I64(AHEAD))), prefetched_width * _bits(stored_type) // 8)

        def factor_of(k: Any) -> Any:
            factor = builder.load(builder.gep(array(7).data, [k]))
            return _splat(builder, builder.fpext(factor, sum_type) if sum_type != factor.type else factor, register)

        def elements(k: Any) -> list[Any]:
            """Return the tile of row ``rows[k]``, times its factor, in registers."""
            start = builder.bitcast(start_of(k), stored.as_pointer())
            factor = factor_of(k) if weighted else None
            wide = (
                _to_sum_type(context, builder, builder.load(builder.gep(start, [_I32(i)]), align=1), matrix.dtype, register)
                for i in range(width // lanes)
            )
            return [builder.fmul(factor, values) if weighted else values for values in wide]

        def add_four(k: Any, totals: list[Any]) -> list[Any]:
            places = [builder.add(k, _I64(i)) for i in range(4)]
            for place in places:
                prefetch_later(place)
            return [add(total, add(add(a, b), add(c, d))) for total, a, b, c, d in zip(totals, *map(elements, places), strict=True)]

        def add_one(k: Any, totals: list[Any]) -> list[Any]:
            prefetch_later(k)
            return [add(total, values) for total, values in zip(totals, elements(k), strict=True)]

        fours = builder.and_(count, _I64(~3))
        totals = [ir.Constant(register, None)] * (width // lanes)
        totals = _loop(builder, _I64(0), fours, 4, totals, add_four)
        totals = _loop(builder, fours, count, 1, totals, add_one)
        out = builder.bitcast(builder.gep(sums_array.data, [first]), register.as_pointer())
        for i, total in enumerate(totals):
            builder.store(total, builder.gep(out, [_I32(i)]), align=1)
        return context.get_dummy_value()

    return types.void(matrix, rows, types.int64, types.int64, types.int64, columns, prefetched, factors, sums), generate


@intrinsic
def columns_before(_typing_context: Any, matrix: Any) -> Any:
    """Return the number of elements before ``matrix[0, 0]`` in its cache line, if all rows begin at the same place of a cache line; else 0.

    Reading whole lines of float32 rows takes a tenth less time than reading halves of two lines. For smaller types the result is 0, because reading
    one more line takes longer than that.
    """
    if not (isinstance(matrix, types.Array) and matrix.layout == "C"):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
        size = context.get_abi_sizeof(context.get_value_type(matrix.dtype))
        address = builder.ptrtoint(array.data, _I64)
        rest = builder.and_(cgutils.unpack_tuple(builder, array.strides, 2)[0], _I64(CACHE_LINE - 1))
        before = builder.udiv(builder.and_(address, _I64(CACHE_LINE - 1)), _I64(size))
        return builder.select(builder.icmp_unsigned("==", rest, _I64(0)), before, _I64(0)) if size >= _FLOAT32_BYTES else _I64(0)

    return types.int64(matrix), generate


@intrinsic
def sum_of_squares(_typing_context: Any, values: Any) -> Any:
    """Return the sum of the squares of an array, in float64. For int16 it is exact; the magnitudes must be at most 2 ** 14.

    Several independent sums are added at the end. A single sum takes four times as long, because the compiler may not change its order.
    """
    if not (isinstance(values, types.Array) and values.layout == "C"):
        return None
    double = ir.DoubleType()

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        stored = context.get_value_type(values.dtype)
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
        if isinstance(stored, ir.IntType):
            return builder.sitofp(_sum_integer_squares(builder, array.data, array.nitems, stored), double)
        return _sum_float_squares(builder, array.data, array.nitems, stored)

    return types.float64(values), generate


def _sum_integer_squares(builder: Any, data: Any, count: Any, stored: Any) -> Any:
    """Build the sum of the squares of int16 numbers, in int64. Two squares are added in int32, for which processors have an instruction."""
    lanes = _REGISTER_BITS // _I64.width
    pairs = ir.VectorType(stored, 2 * lanes)

    def square(number: Any) -> Any:
        wide = builder.sext(number, like(number, _I32))
        return builder.mul(wide, wide)

    def add_step(k: Any, totals: list[Any]) -> list[Any]:
        both = builder.load(builder.bitcast(builder.gep(data, [k]), pairs.as_pointer()), align=1)
        halves = [builder.shuffle_vector(both, both, ir.Constant(ir.VectorType(_I32, lanes), list(range(i, 2 * lanes, 2)))) for i in range(2)]
        return [builder.add(totals[0], builder.zext(builder.add(*map(square, halves)), totals[0].type))]

    def add_one(k: Any, totals: list[Any]) -> list[Any]:
        return [builder.add(totals[0], builder.zext(square(builder.load(builder.gep(data, [k]))), _I64))]

    whole = builder.sub(count, builder.urem(count, _I64(2 * lanes)))
    totals = _loop(builder, _I64(0), whole, 2 * lanes, [ir.Constant(ir.VectorType(_I64, lanes), None)], add_step)
    return _loop(builder, whole, count, 1, [_add_lanes(builder, totals[0], builder.add)], add_one)[0]


def _sum_float_squares(builder: Any, data: Any, count: Any, stored: Any) -> Any:
    """Build the sum of the squares of float32 or float64 numbers, in float64."""
    double = ir.DoubleType()
    register = ir.VectorType(double, _REGISTER_BITS // 64)
    step = _SQUARES * register.count

    def square(k: Any, kind: Any, several: Any) -> Any:
        wide = builder.load(builder.bitcast(builder.gep(data, [k]), several.as_pointer()), align=1)
        if stored != double:
            wide = builder.fpext(wide, kind)
        return builder.fmul(wide, wide)

    def add_step(k: Any, totals: list[Any]) -> list[Any]:
        places = [builder.add(k, _I64(i * register.count)) for i in range(_SQUARES)]
        several = ir.VectorType(stored, register.count)
        return [builder.fadd(total, square(place, register, several)) for total, place in zip(totals, places, strict=True)]

    def add_one(k: Any, totals: list[Any]) -> list[Any]:
        return [builder.fadd(totals[0], square(k, double, stored))]

    whole = builder.sub(count, builder.urem(count, _I64(step)))
    totals = _loop(builder, _I64(0), whole, step, [ir.Constant(register, None)] * _SQUARES, add_step)
    while len(totals) > 1:
        totals = [builder.fadd(a, b) for a, b in zip(totals[::2], totals[1::2], strict=True)]
    return _loop(builder, whole, count, 1, [_add_lanes(builder, totals[0], builder.fadd)], add_one)[0]


def _add_lanes(builder: Any, vector: Any, add: Callable[[Any, Any], Any]) -> Any:
    """Build the sum of the elements of a vector, whose number is a power of two."""
    lanes = [builder.extract_element(vector, _I32(i)) for i in range(vector.type.count)]
    while len(lanes) > 1:
        lanes = [add(a, b) for a, b in zip(lanes[::2], lanes[1::2], strict=True)]
    return lanes[0]


def _loop(builder: Any, first: Any, last: Any, step: int, totals: list[Any], body: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
    """Build the loop ``for k in range(first, last, step): totals = body(k, totals)``, with the totals in registers."""
    before = builder.block
    head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    k = builder.phi(_I64)
    phis = [builder.phi(total.type) for total in totals]
    builder.cbranch(builder.icmp_signed("<", k, last), inside, after)
    builder.position_at_end(inside)
    new = body(k, phis)
    for phi, initial, following in zip([k, *phis], [first, *totals], [builder.add(k, _I64(step)), *new], strict=True):
        phi.add_incoming(initial, before)
        phi.add_incoming(following, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return phis


def _bits(number: Any) -> int:
    """Return the number of bits of one of LLVM's number types."""
    return {ir.FloatType(): 32, ir.DoubleType(): 64}.get(number) or int(number.width)


def _splat(builder: Any, value: Any, vector: Any) -> Any:
    """Return a vector whose elements are all `value`."""
    undefined = ir.Constant(vector, ir.Undefined)
    lanes = ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(builder.insert_element(undefined, value, _I32(0)), undefined, lanes)


def _to_sum_type(context: Any, builder: Any, stored: Any, dtype: Any, vector: Any) -> Any:
    """Convert a vector of stored elements to the type in which they are summed, as `to_float` does for one element."""
    if dtype == types.uint16:
        return half_to_float(context, builder, stored)
    if dtype == types.int16:
        return bfloat_to_float(builder, stored)
    if dtype == types.int8:
        return builder.sext(stored, vector) if isinstance(vector.element, ir.IntType) else builder.sitofp(stored, vector)
    return stored
