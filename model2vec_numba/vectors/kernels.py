"""Write vectors in another form: fewer dimensions, half precision, integers of eight bits, or bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled
from model2vec_numba.pooling.half import to_half
from model2vec_numba.vectors.form import Form

__all__ = ["write_vectors"]

# The bit that is different between the signed and the unsigned form of a byte.
_SIGN = 128
# The number of fractions of a step; see `_quick_integers`. A product is below 2 ** 22, and its error below three quarters.
FRACTIONS = 16384
# Steps within these limits have factors that are normal numbers of float32.
_SMALLEST_STEP, _LARGEST_STEP = 1e-30, 1e30
_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def write_vectors(vectors: NDArray[np.float32], form: Form, out: NDArray[Any]) -> None:
    """Write `vectors`, float32 of shape (texts, form.pooled), C-contiguous, to `out`, shape (texts, form.columns) of the form's type."""
    if out.dtype == np.float32:
        out[...] = vectors[:, : form.dim]
        return
    # Kernels are compiled only for C-contiguous and aligned arrays.
    written = out if out.flags.carray else np.empty(out.shape, out.dtype)
    flip = _SIGN if out.dtype == np.int8 else 0
    if out.dtype == np.float16:
        to_half(vectors, written.view(np.uint16))
    elif form.is_binary:
        to_bits(vectors, form.dim, flip, written.view(np.uint8))
    else:
        to_integers(vectors, form.starts, form.steps, _factors(form.steps), flip, written.view(np.uint8))
    if written is not out:
        out[...] = written


def _factors(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the factors for `to_integers`."""
    return np.float32(FRACTIONS) / steps if steps.min() > _SMALLEST_STEP and steps.max() < _LARGEST_STEP else steps[:0]


@intrinsic
def _quick_integers(_typing_context: Any, vectors: Any, row: Any, count: Any, starts: Any, factors: Any, mask: Any, out: Any) -> Any:
    """Write `count` numbers of a row as `to_integers` does, but with multiplications. Return 0 if all are right for sure.

    `factors` are ``FRACTIONS / steps``. A product, cut to an integer, is the number of the step times `FRACTIONS`, plus the fraction. The errors of
    the product and of the division that it stands for are together less than one, so only the fractions -1 and 0 are not sure. `count` must be
    a multiple of 8. No bounds are checked.
    """
    if not (isinstance(vectors, types.Array) and vectors.layout == "C" and isinstance(out, types.Array) and out.layout == "C"):
        return None
    several, words, bytes_ = (ir.VectorType(kind, 8) for kind in (ir.FloatType(), _I32, _I8))

    def same(vector: Any, number: float) -> Any:
        return ir.Constant(vector, [number] * 8)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def array(i: int) -> Any:
            return cgutils.create_struct_proxy(signature.args[i])(context, builder, arguments[i])

        def row_of(i: int) -> Any:
            found = array(i)
            return builder.gep(found.data, [builder.mul(arguments[1], cgutils.unpack_tuple(builder, found.shape, 2)[1])])

        def load(start: Any) -> Any:
            return builder.load(builder.bitcast(builder.gep(start, [k]), several.as_pointer()), align=4)

        numbers, written, first, factor = row_of(0), row_of(6), array(3).data, array(4).data
        flip = builder.insert_element(ir.Constant(bytes_, ir.Undefined), arguments[5], _I32(0))
        flip = builder.shuffle_vector(flip, flip, same(words, 0))
        before = builder.block
        head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        k, unsure = builder.phi(_I64), builder.phi(words)
        builder.cbranch(builder.icmp_signed("<", k, arguments[2]), inside, after)
        builder.position_at_end(inside)
        product = builder.fmul(builder.fsub(load(numbers), load(first)), load(factor))
        # Numbers below the first and above the last step are in the middle of these. The first comparison is false for NaN.
        for comparison, limit in ((">", FRACTIONS / 2), ("<", (255 + 0.5) * FRACTIONS)):
            product = builder.select(builder.fcmp_ordered(comparison, product, same(several, limit)), product, same(several, limit))
        whole = builder.fptosi(product, words)
        beside = builder.and_(builder.add(whole, same(words, 1)), same(words, FRACTIONS - 1))
        more = builder.or_(unsure, builder.sext(builder.icmp_unsigned("<", beside, same(words, 2)), words))
        steps = builder.trunc(builder.lshr(whole, same(words, FRACTIONS.bit_length() - 1)), bytes_)
        builder.store(builder.xor(steps, flip), builder.bitcast(builder.gep(written, [k]), bytes_.as_pointer()), align=1)
        for phi, initial, following in ((k, _I64(0), builder.add(k, _I64(8))), (unsure, ir.Constant(words, None), more)):
            phi.add_incoming(initial, before)
            phi.add_incoming(following, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return builder.zext(builder.bitcast(builder.icmp_unsigned("!=", unsure, ir.Constant(words, None)), _I8), _I64)

    return types.uint64(vectors, types.int64, types.int64, starts, factors, types.uint8, out), generate


@compiled()
def to_integers(
    vectors: NDArray[np.float32],
    starts: NDArray[np.float32],
    steps: NDArray[np.float32],
    factors: NDArray[np.float32],
    flip: int,
    out: NDArray[np.uint8],
) -> None:
    """Write ``floor((vectors[i, d] - starts[d]) / steps[d])``, limited to 0 to 255, to ``out[i, d]``, uint8 of shape (texts, dim).

    All operations are in float32. NaN becomes 0. Then the bits of `flip` are inverted. `factors` are ``FRACTIONS / steps``, float32 of shape (dim,),
    or empty if they are too large or too small for float32.
    """
    mask = np.uint8(flip)
    quick = len(factors) // 8 * 8
    for i in range(out.shape[0]):
        # Divisions take longer. One row of 30 with 256 numbers needs them.
        first = quick if _quick_integers(vectors, i, quick, starts, factors, mask, out) == 0 else 0
        for d in range(first, out.shape[1]):
            number = (vectors[i, d] - starts[d]) / steps[d]
            # The first comparison is false for NaN. The conversion to an integer drops the fraction.
            limited = min(number, np.float32(255)) if number > 0 else np.float32(0)
            out[i, d] = np.uint8(np.int32(limited)) ^ mask


@intrinsic
def _eight_signs(_typing_context: Any, array: Any, row: Any, column: Any) -> Any:
    """Return a byte with a bit for each of ``array[row, column:column + 8]``, which are float32: 1 if the number is positive.

    The first number is the highest bit. No bounds are checked.
    """
    if not (isinstance(array, types.Array) and array.dtype == types.float32 and array.layout == "C"):
        return None
    several = ir.VectorType(ir.FloatType(), 8)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        proxy = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
        width = cgutils.unpack_tuple(builder, proxy.shape, 2)[1]
        start = builder.gep(proxy.data, [builder.add(builder.mul(arguments[1], width), arguments[2])])
        numbers = builder.load(builder.bitcast(start, several.as_pointer()), align=4)
        positive = builder.fcmp_ordered(">", numbers, ir.Constant(several, [0.0] * 8))
        # The first lane is the lowest bit on a little-endian machine.
        order = list(range(8))[::-1] if np.little_endian else list(range(8))
        turned = builder.shuffle_vector(positive, positive, ir.Constant(ir.VectorType(_I32, 8), order))
        return builder.bitcast(turned, _I8)

    return types.uint8(array, types.int64, types.int64), generate


@compiled()
def to_bits(vectors: NDArray[np.float32], dim: int, flip: int, out: NDArray[np.uint8]) -> None:
    """Write a bit for each of the first `dim` numbers of each of `vectors`, 1 if it is positive, to `out`, uint8 of shape (texts, ceil(dim / 8)).

    The first number is the highest bit of the first byte. The last byte ends with zeros. Then the bits of `flip` are inverted in each byte.
    """
    mask = np.uint8(flip)
    whole = dim // 8
    for i in range(out.shape[0]):
        for k in range(whole):
            out[i, k] = _eight_signs(vectors, i, 8 * k) ^ mask
        if whole < out.shape[1]:
            last = 0
            for d in range(8 * whole, dim):
                if vectors[i, d] > 0:
                    last |= 128 >> (d & 7)
            out[i, whole] = np.uint8(last) ^ mask
