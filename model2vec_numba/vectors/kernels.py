"""Write vectors in another form: fewer dimensions, half precision, integers of eight bits, or bits.

The writers get the sum of the rows of a text and a factor, and compute the float32 vector, to the bit, in registers. Writing it to memory and reading
it again took a tenth of the time of encoding short texts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from model2vec_numba.batches import TokenBatch
from model2vec_numba.jit.decorators import compiled, inner
from model2vec_numba.jit.pointers import address_of, array_at
from model2vec_numba.pooling.half import float_to_half
from model2vec_numba.pooling.kernels import pool, pool_through
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.vectors.form import FORM_TEXTS, Form

__all__ = ["pool_in_form", "write_vectors"]

# The bit that is different between the signed and the unsigned form of a byte.
_SIGN = 128
# The kinds of forms, for kernels.
_HALF, _INTEGERS, _BITS = 0, 1, 2
# The numbers of dimensions that are written at a time.
_TILE, _BYTE = 32, 8
# The size of an element of a sum of int16, and of float32.
_INT16_BYTES, _FLOAT32_BYTES = 2, 4
# The factors with which integers may be computed quickly; see `_find_quick`.
_SMALLEST_FACTOR, _LARGEST_FACTOR = 1e-20, 1e20
# For `_find_quick`: a bit more than the relative error of an operation, the error with which one tile of twenty is not sure, and the limits of steps.
_ROUNDING, _LARGEST_ERROR = 1.05 * 2.0**-24, 2.0**-10
_SMALLEST_STEP, _LARGEST_STEP = 1e-6, 1e6
# The number of words of a packed form.
_WORDS = 8
_I8, _I32 = ir.IntType(8), ir.IntType(32)


def pool_in_form(table: EmbeddingTable, tokens: TokenBatch, normalize: bool, form: Form, out: NDArray[Any]) -> None:
    """Write the vector of each text of `tokens` to its row of `out`, shape (texts, form.columns) of the form's type."""
    writer = _writer() if out.flags.carray and out.dtype != np.float32 else None
    if writer is not None:
        packed = _Packed(form, out)
        pool_through(table, tokens, normalize, form.pooled, writer, packed.address)
        return
    vectors = np.empty((min(len(tokens), FORM_TEXTS), form.pooled), np.float32)
    for first in range(0, len(tokens), FORM_TEXTS):
        some = TokenBatch(tokens.ids, tokens.offsets[first : first + FORM_TEXTS + 1])
        pool(table, some, normalize, vectors[: len(some)])
        write_vectors(vectors[: len(some)], form, out[first : first + len(some)])


def write_vectors(vectors: NDArray[np.float32], form: Form, out: NDArray[Any]) -> None:
    """Write `vectors`, float32 of shape (texts, form.pooled), C-contiguous, to `out`, shape (texts, form.columns) of the form's type."""
    if out.dtype == np.float32:
        out[...] = vectors[:, : form.dim]
        return
    # Kernels write only C-contiguous and aligned arrays.
    written = out if out.flags.carray else np.empty(out.shape, out.dtype)
    # A variable, because the words do not keep alive the arrays whose addresses they hold.
    packed = _Packed(form, written)
    write_pooled(vectors, packed.words)
    if written is not out:
        out[...] = written


class _Packed:
    """What writers need to know, as numbers in memory. It refers to the output, and must live as long as a writer works.

    Args:
        form: the form.
        out: the output, C-contiguous.

    Attributes:
        words: int64, shape (`_WORDS`,): the kind of the form, the number of its dimensions, the bits of each byte that are inverted at the end, the
            number of bytes of a row of the output, and the addresses of the output, of the starts, of the steps, and of what `_find_quick` wrote.
    """

    def __init__(self, form: Form, out: NDArray[Any]) -> None:
        kind = _HALF if form.precision == "float16" else _BITS if form.is_binary else _INTEGERS
        flip = _SIGN if out.dtype == np.int8 else 0
        self.words = np.empty(_WORDS, np.int64)
        self._kept = form, out, np.empty(2 * len(form.steps) + 1, np.float32)
        pack_form(kind, form.dim, flip, out.view(np.uint8), form.starts, form.steps, self._kept[-1], self.words)

    @property
    def address(self) -> int:
        """The address of the words."""
        return int(self.words.ctypes.data)


def _writer() -> int | None:
    """Return the address of `write_sum`. ``None`` if this version of numba has no way to get it."""
    if not _writers:
        _writers.append(address_of(write_sum, (0, 0, 0.0, 0, 0)))
    return _writers[0]


# Finding the address takes as long as encoding some texts.
_writers: list[int | None] = []


@compiled()
def pack_form(
    kind: int,
    dim: int,
    flip: int,
    out: NDArray[np.uint8],
    starts: NDArray[np.float32],
    steps: NDArray[np.float32],
    quick: NDArray[np.float32],
    words: NDArray[np.int64],
) -> None:
    """Write the words of `_Packed`, and what `_find_quick` writes to `quick`, float32 of shape (2 * steps + 1,)."""
    _find_quick(starts, steps, quick)
    words[0], words[1], words[2], words[3] = kind, dim, flip, out.shape[1]
    words[4], words[5], words[6], words[7] = out.ctypes.data, starts.ctypes.data, steps.ctypes.data, quick.ctypes.data


@inner
def _find_quick(starts: NDArray[np.float32], steps: NDArray[np.float32], quick: NDArray[np.float32]) -> None:
    """Write what finds the integer of a number with a multiplication in place of a division, if the result is sure.

    The integer is ``value * inverses + offsets`` without its fraction. It differs from the exact quotient by less than half of a bound, which the
    offsets contain. So the integer is right if the fraction is at least the bound. The bound is the sum of the errors of 12 operations, of which each
    is 2 ** -24 of at most the largest start or of 257 steps.

    `quick` is the bound, the inverses of the steps, and the offsets. The bound is 0 if a step is too small, too large, or too far from zero.
    """
    largest, is_possible = 0.0, True
    for d in range(len(steps)):
        largest = max(largest, abs(np.float64(starts[d])) / np.float64(steps[d]))
        is_possible = is_possible and _SMALLEST_STEP < steps[d] < _LARGEST_STEP
    error = _ROUNDING * (7 * largest + 9 * 257)
    is_possible = is_possible and error < _LARGEST_ERROR
    quick[0] = 2 * error if is_possible else 0
    if is_possible:
        for d in range(len(steps)):
            quick[1 + d] = 1 / np.float64(steps[d])
            quick[1 + len(steps) + d] = error - np.float64(starts[d]) / np.float64(steps[d])


@compiled()
def write_sum(total: int, size: int, factor: float, form: int, text: int) -> None:
    """Write the vector of a text; see `pool_texts`. `form` is the address of the words of `_Packed`."""
    packed = array_at(form, _WORDS, np.int64)
    if size == _INT16_BYTES:
        sums = array_at(total, packed[1], np.int16)
        if packed[0] == _BITS and factor > _SMALLEST_FACTOR:
            # The factor does not change the signs.
            _to_bits(sums, None, packed[1], np.uint8(packed[2]), array_at(packed[4] + text * packed[3], -(-packed[1] // _BYTE), np.uint8))
        else:
            _write_row(sums, factor, packed, text)
    elif size == _FLOAT32_BYTES:
        _write_row(array_at(total, packed[1], np.float32), factor, packed, text)
    else:
        _write_row(array_at(total, packed[1], np.float64), factor, packed, text)


@compiled()
def write_pooled(vectors: NDArray[np.float32], packed: NDArray[np.int64]) -> None:
    """Write vectors, float32 of shape (texts, dim or more). `packed` is the words of `_Packed`."""
    for text in range(len(vectors)):
        _write_row(vectors[text], None, packed, text)


@inner
def _write_row(total: NDArray[Any], factor: float | None, packed: NDArray[np.int64], text: int) -> None:
    """Write ``total * factor``, rounded to float32, to a row of the output. `factor`: ``None`` for 1. `packed` is the words of `_Packed`."""
    kind, dim, mask, row = packed[0], packed[1], np.uint8(packed[2]), packed[4] + text * packed[3]
    if kind == _HALF:
        _to_halves(total, factor, array_at(row, dim, np.uint16))
    elif kind == _INTEGERS:
        starts, steps, quick = array_at(packed[5], dim, np.float32), array_at(packed[6], dim, np.float32), array_at(packed[7], 1, np.float32)
        out = array_at(row, dim, np.uint8)
        known = 1.0 if factor is None else factor
        if quick[0] > 0 and _SMALLEST_FACTOR < known < _LARGEST_FACTOR:
            inverses = array_at(packed[7] + _FLOAT32_BYTES, dim, np.float32)
            offsets = array_at(packed[7] + _FLOAT32_BYTES * (1 + dim), dim, np.float32)
            _to_integers_quickly(total, factor, known, starts, steps, quick[0], inverses, offsets, mask, out)
        else:
            _to_integers(total, factor, starts, steps, mask, out)
    else:
        _to_bits(total, factor, dim, mask, array_at(row, -(-dim // _BYTE), np.uint8))


@inner
def _to_halves(total: NDArray[Any], factor: float | None, out: NDArray[np.uint16]) -> None:
    """Write the bits of ``total * factor`` in half precision to `out`, uint16 of shape (dim,)."""
    done = 0
    for _ in range(len(out) // _TILE):
        _write_halves(total, done, factor, _TILE, out)
        done += _TILE
    for _ in range(len(out) - done):
        _write_halves(total, done, factor, 1, out)
        done += 1


@inner
def _to_integers(
    total: NDArray[Any], factor: float | None, starts: NDArray[np.float32], steps: NDArray[np.float32], mask: np.uint8, out: NDArray[np.uint8]
) -> None:
    """Write ``floor((total * factor - starts) / steps)``, limited to 0 to 255, to `out`, uint8 of shape (dim,).

    All operations after the multiplication are in float32. NaN becomes 0. Then the bits of `mask` are inverted.
    """
    done = 0
    for _ in range(len(out) // _TILE):
        _write_integers(total, done, factor, _TILE, starts, steps, mask, out)
        done += _TILE
    for _ in range(len(out) - done):
        _write_integers(total, done, factor, 1, starts, steps, mask, out)
        done += 1


@inner
def _to_integers_quickly(
    total: NDArray[Any],
    factor: float | None,
    known: float,
    starts: NDArray[np.float32],
    steps: NDArray[np.float32],
    bound: np.float32,
    inverses: NDArray[np.float32],
    offsets: NDArray[np.float32],
    mask: np.uint8,
    out: NDArray[np.uint8],
) -> None:
    """Write what `_to_integers` writes, with multiplications. Tiles that are not sure, one of a hundred, are divided; see `_find_quick`.

    `known` is the factor, also if it is 1.
    """
    small = np.float32(known)
    done = 0
    for _ in range(len(out) // _TILE):
        if _guess_integers(total, done, small, inverses, offsets, bound, mask, out) != 0:
            _write_integers(total, done, factor, _TILE, starts, steps, mask, out)
        done += _TILE
    for _ in range(len(out) - done):
        _write_integers(total, done, factor, 1, starts, steps, mask, out)
        done += 1


@inner
def _to_bits(total: NDArray[Any], factor: float | None, dim: int, mask: np.uint8, out: NDArray[np.uint8]) -> None:
    """Write a bit for each of the first `dim` numbers of ``total * factor``, 1 if it is positive, to `out`, uint8 of shape (ceil(dim / 8),).

    The first number is the highest bit of the first byte. The last byte ends with zeros. Then the bits of `mask` are inverted in each byte.
    """
    done = 0
    for _ in range(dim // _TILE):
        _write_signs(total, done, factor, _TILE, mask, out)
        done += _TILE
    for _ in range((dim - done) // _BYTE):
        _write_signs(total, done, factor, _BYTE, mask, out)
        done += _BYTE
    if done < dim:
        last = 0
        for d in range(done, dim):
            if _is_positive(total[d], factor):
                last |= 128 >> (d & 7)
        out[done // _BYTE] = np.uint8(last) ^ mask


@inner
def _is_positive(number: Any, factor: float | None) -> bool:
    """Return whether ``number * factor``, rounded to float32, is positive."""
    return bool(number > 0 if factor is None else np.float32(number * factor) > 0)


def _several(builder: Any, array: Any, at: Any, lanes: int) -> Any:
    """Return the pointer to `lanes` elements of an array, from element `at` on."""
    return builder.bitcast(builder.gep(array.data, [at]), ir.VectorType(array.data.type.pointee, lanes).as_pointer())


def _load(builder: Any, array: Any, at: Any, lanes: int) -> Any:
    """Return `lanes` elements of an array, from element `at` on, as a vector."""
    return builder.load(_several(builder, array, at, lanes), align=1)


def _scaled(builder: Any, total: Any, at: Any, factor: Any, lanes: int) -> Any:
    """Return `lanes` numbers of ``total * factor`` from number `at` on, rounded to float32. Without a factor, `total` is float32."""
    if isinstance(factor.type, ir.PointerType):
        # numba's None.
        return _load(builder, total, at, lanes)
    values = _as_floats(builder, _load(builder, total, at, lanes), ir.DoubleType())
    return _as_floats(builder, builder.fmul(values, _same(builder, factor, lanes)), ir.FloatType())


def _as_floats(builder: Any, numbers: Any, kind: Any) -> Any:
    """Return a vector of integers or floating-point numbers as a vector of floating-point numbers of a kind."""
    before, wanted = numbers.type.element, ir.VectorType(kind, numbers.type.count)
    if isinstance(before, ir.IntType):
        return builder.sitofp(numbers, wanted)
    if before == kind:
        return numbers
    return builder.fpext(numbers, wanted) if kind == ir.DoubleType() else builder.fptrunc(numbers, wanted)


def _limited(builder: Any, numbers: Any, low: float, high: float) -> Any:
    """Return numbers limited to a range. NaN becomes the lowest number."""
    for comparison, limit in ((">", low), ("<", high)):
        limits = ir.Constant(numbers.type, [limit] * numbers.type.count)
        # Comparisons with NaN are false.
        numbers = builder.select(builder.fcmp_ordered(comparison, numbers, limits), numbers, limits)
    return numbers


def _same(builder: Any, number: Any, lanes: int) -> Any:
    """Return a vector whose elements are all `number`."""
    first = builder.insert_element(ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined), number, _I32(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def _are_arrays(*kinds: Any) -> bool:
    return all(isinstance(kind, types.Array) and kind.layout == "C" and kind.ndim == 1 for kind in kinds)


def _proxies(context: Any, builder: Any, kinds: Any, arguments: Any, *places: int) -> list[Any]:
    """Return the arguments at some places, which are arrays."""
    return [cgutils.create_struct_proxy(kinds[i])(context, builder, arguments[i]) for i in places]


@intrinsic(prefer_literal=True)
def _write_halves(_typing_context: Any, total: Any, at: Any, factor: Any, count: Any, out: Any) -> Any:
    """Write `count` numbers, a literal, from number `at` on as `_to_halves` does. No bounds are checked."""
    if not (_are_arrays(total, out) and isinstance(count, types.IntegerLiteral)):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, out = _proxies(context, builder, signature.args, arguments, 0, 4)
        numbers = _scaled(builder, total, arguments[1], arguments[2], count.literal_value)
        builder.store(float_to_half(context, builder, numbers), _several(builder, out, arguments[1], count.literal_value), align=1)
        return context.get_dummy_value()

    return types.void(total, types.int64, factor, count, out), generate


@intrinsic(prefer_literal=True)
def _write_integers(_typing_context: Any, total: Any, at: Any, factor: Any, count: Any, starts: Any, steps: Any, mask: Any, out: Any) -> Any:
    """Write `count` numbers, a literal, from number `at` on as `_to_integers` does. No bounds are checked."""
    if not (_are_arrays(total, starts, steps, out) and isinstance(count, types.IntegerLiteral)):
        return None
    lanes = count.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, starts, steps, out = _proxies(context, builder, signature.args, arguments, 0, 4, 5, 7)
        at = arguments[1]
        numbers = builder.fsub(_scaled(builder, total, at, arguments[2], lanes), _load(builder, starts, at, lanes))
        # The conversion to an integer drops the fraction.
        integers = builder.fptoui(_limited(builder, builder.fdiv(numbers, _load(builder, steps, at, lanes)), 0.0, 255.0), ir.VectorType(_I8, lanes))
        builder.store(builder.xor(integers, _same(builder, arguments[6], lanes)), _several(builder, out, at, lanes), align=1)
        return context.get_dummy_value()

    return types.void(total, types.int64, factor, count, starts, steps, types.uint8, out), generate


@intrinsic
def _guess_integers(_typing_context: Any, total: Any, at: Any, factor: Any, inverses: Any, offsets: Any, bound: Any, mask: Any, out: Any) -> Any:
    """Write `_TILE` numbers from number `at` on as `_to_integers` does. Return 0 if all are right for sure. No bounds are checked.

    `inverses`, `offsets` and `bound` are those of `_find_quick`.
    """
    if not _are_arrays(total, inverses, offsets, out):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, inverses, offsets, out = _proxies(context, builder, signature.args, arguments, 0, 3, 4, 7)
        at = arguments[1]
        sums = _as_floats(builder, _load(builder, total, at, _TILE), ir.FloatType())
        factors = builder.fmul(_load(builder, inverses, at, _TILE), _same(builder, arguments[2], _TILE))
        # The first and the last integer stand also for what is outside, so these limits are sure.
        # A processor that has no such instruction multiplies and adds, which is exact enough too.
        kind = ir.FunctionType(sums.type, [sums.type] * 3)
        add_product = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{_TILE}f32")
        numbers = _limited(builder, builder.call(add_product, [sums, factors, _load(builder, offsets, at, _TILE)]), 0.5, 255.5)
        whole = builder.sitofp(builder.fptosi(numbers, ir.VectorType(_I32, _TILE)), numbers.type)
        smallest = builder.fsub(numbers, whole)
        while smallest.type.count > _BYTE:
            half = smallest.type.count // 2
            first, second = (
                builder.shuffle_vector(smallest, smallest, ir.Constant(ir.VectorType(_I32, half), list(range(i * half, (i + 1) * half))))
                for i in range(2)
            )
            smallest = builder.select(builder.fcmp_ordered("<", first, second), first, second)
        unsure = builder.bitcast(builder.fcmp_ordered("<", smallest, _same(builder, arguments[5], _BYTE)), _I8)
        written = builder.xor(builder.fptoui(numbers, ir.VectorType(_I8, _TILE)), _same(builder, arguments[6], _TILE))
        builder.store(written, _several(builder, out, at, _TILE), align=1)
        return builder.zext(unsure, ir.IntType(64))

    return types.uint64(total, types.int64, types.float32, inverses, offsets, types.float32, types.uint8, out), generate


@intrinsic(prefer_literal=True)
def _write_signs(_typing_context: Any, total: Any, at: Any, factor: Any, count: Any, mask: Any, out: Any) -> Any:
    """Write `count` numbers from number `at` on as `_to_bits` does. No bounds are checked.

    `count` is a literal. It and `at` are multiples of 8.
    """
    if not (_are_arrays(total, out) and isinstance(count, types.IntegerLiteral)):
        return None
    lanes = count.literal_value
    word = ir.IntType(lanes)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, out = _proxies(context, builder, signature.args, arguments, 0, 5)
        at = arguments[1]
        numbers = _scaled(builder, total, at, arguments[2], lanes)
        compare = builder.icmp_signed if isinstance(numbers.type.element, ir.IntType) else builder.fcmp_ordered
        signs = builder.bitcast(compare(">", numbers, ir.Constant(numbers.type, None)), word)
        if np.little_endian:
            # The first lane is the lowest bit. This inverts the order of the bits in each byte.
            signs = builder.bitreverse(signs)
            signs = signs if lanes == _BYTE else builder.bswap(signs)
        flip = builder.bitcast(_same(builder, arguments[4], lanes // _BYTE), word)
        pointer = builder.bitcast(builder.gep(out.data, [builder.udiv(at, at.type(_BYTE))]), word.as_pointer())
        builder.store(builder.xor(signs, flip), pointer, align=1)
        return context.get_dummy_value()

    return types.void(total, types.int64, factor, count, types.uint8, out), generate
