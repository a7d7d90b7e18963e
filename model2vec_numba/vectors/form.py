"""The form in which a call writes its vectors: the number of dimensions, and the type of the elements.

The integer and binary types are those of `quantize_embeddings` in sentence-transformers 6.2, to the bit.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model2vec_numba.checks import checked_count

__all__ = [
    "FORM_TEXTS",
    "PRECISIONS",
    "Form",
    "WantedForm",
    "make_form",
    "output_array",
    "output_shape",
    "quantization_ranges",
    "wanted_form",
]

PRECISIONS: dict[str, type[np.number[Any]]] = {
    "float32": np.float32,
    "float16": np.float16,
    "int8": np.int8,
    "uint8": np.uint8,
    "binary": np.int8,
    "ubinary": np.uint8,
}
"""The type in NumPy of each precision."""

# This many texts are pooled in float32 before they are written in their form. With 256, encoding short texts took 1.05 times as long.
FORM_TEXTS = 1024

_FLOAT32 = np.dtype(np.float32)
_INTEGERS = ("int8", "uint8")
_STEPS = 255


class Form(NamedTuple):
    """The form in which vectors are written.

    Attributes:
        dim: the number of dimensions that are kept.
        pooled: the number of dimensions of the vectors before the last ones are dropped. They are normalised with these.
        precision: the name of the type of the elements.
        dtype: their type in NumPy.
        columns: the number of elements of a vector. It is less than `dim` for the binary types, which have eight dimensions in a byte.
        starts, steps: float32, shape (dim,), for ``"int8"`` and ``"uint8"``: integer ``i``, counted from 0 to 255, stands for the values from
            ``starts + i * steps`` on. Empty for the other types.
    """

    dim: int
    pooled: int
    precision: str
    dtype: np.dtype[Any]
    columns: int
    starts: NDArray[np.float32]
    steps: NDArray[np.float32]

    @property
    def is_binary(self) -> bool:
        """Whether an element holds the bits of eight dimensions."""
        return self.precision in {"binary", "ubinary"}

    @property
    def is_pooled_directly(self) -> bool:
        """Whether pooling alone gives vectors of this form."""
        return self.precision == "float32" and self.pooled == self.dim


class WantedForm(NamedTuple):
    """The form of vectors that a call asks for, before the number of dimensions of the model is known.

    Attributes:
        dimensionality, precision, ranges: see `StaticModel.encode`.
        cuts_last: whether vectors are normalised before dimensions are dropped.
    """

    dimensionality: int | None
    precision: str
    ranges: ArrayLike | None
    cuts_last: bool

    def make(self, dim: int, normalize: bool) -> Form:
        """Return the form for a model with `dim` dimensions. `normalize`: whether vectors are normalised. It raises what `make_form` raises."""
        is_simple = self.ranges is None and type(self.precision) is str and (self.dimensionality is None or type(self.dimensionality) is int)
        make = _kept_form if is_simple else partial(make_form, ranges=self.ranges)
        form = make(dim, self.dimensionality, self.precision)
        return form._replace(pooled=dim) if self.cuts_last and normalize else form


def wanted_form(dimensionality: int | None, precision: str, ranges: ArrayLike | None, *, cuts_last: bool = False) -> WantedForm | None:
    """Return the form that these arguments of a call ask for. ``None``: all dimensions in float32."""
    if dimensionality is None and precision == "float32" and ranges is None:
        return None
    return WantedForm(dimensionality, precision, ranges, cuts_last)


def make_form(
    dim: int, dimensionality: int | None = None, precision: str = "float32", ranges: ArrayLike | None = None, *, name: str = "dimensionality"
) -> Form:
    """Check the arguments of a call, and return the form of its vectors.

    Args:
        dim: the number of dimensions of the model.
        dimensionality, precision, ranges: see `StaticModel.encode`.
        name: the name of the argument `dimensionality`, for errors.

    Raises:
        ValueError: an argument is out of range, or `ranges` is missing or not needed.
    """
    kept = dim
    if dimensionality is not None:
        expected = f"None or an integer from 1 to {dim}"
        kept = checked_count(dimensionality, name, expected)
        if kept > dim:
            raise ValueError(f"{name} must be {expected}, not {kept}")
    if precision not in tuple(PRECISIONS):
        raise ValueError(f"precision must be one of {', '.join(map(repr, PRECISIONS))}, not {precision!r:.80}")
    # A plain string, so that a pickle does not refer to a subclass.
    precision = str.__str__(precision)
    starts = steps = np.empty(0, np.float32)
    if precision in _INTEGERS:
        starts, steps = _read_ranges(ranges, kept, precision)
    elif ranges is not None:
        raise ValueError(f"ranges is for the precisions 'int8' and 'uint8', not for {precision!r}")
    columns = -(-kept // 8) if precision in {"binary", "ubinary"} else kept
    return Form(kept, kept, precision, np.dtype(PRECISIONS[precision]), columns, starts, steps)


# Making a form takes as long as encoding a short text. Equal arguments of other types, such as ``True`` and 1, may be refused, so they are not kept.
_kept_form = lru_cache(maxsize=64)(make_form)


def _read_ranges(ranges: ArrayLike | None, dim: int, precision: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the first value and the step of each dimension, as sentence-transformers computes them."""
    if ranges is None:
        raise ValueError(
            f"precision={precision!r} needs ranges=, the minimum and the maximum of each dimension: compute them once from a sample with "
            "quantization_ranges(model.encode(texts)), and use the same ones for all texts that are compared"
        )
    given = np.asarray(ranges)
    if given.shape != (2, dim) or given.dtype.kind not in "fiu":
        raise ValueError(f"ranges must be numbers of shape (2, {dim}), the minima and the maxima, not {given.dtype} of shape {given.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        limits = given.astype(np.float32)
        steps = (limits[1] - limits[0]) / np.float32(_STEPS)
    if not np.isfinite(limits).all() or not np.isfinite(steps).all():
        raise ValueError("ranges must be finite numbers of float32, and so must be their differences")
    if (limits[0] > limits[1]).any():
        first = int(np.argmax(limits[0] > limits[1]))
        raise ValueError(
            f"ranges[0], the minima, must not be above ranges[1], the maxima: dimension {first} has {limits[0, first]} and {limits[1, first]}"
        )
    return np.ascontiguousarray(limits[0]), np.where(steps == 0, np.float32(1), steps)


def quantization_ranges(vectors: ArrayLike) -> NDArray[np.float32]:
    """Return the ranges of some vectors, for the precisions ``"int8"`` and ``"uint8"``: the minimum and the maximum of each dimension.

    Compute them once, from the vectors of some thousand typical texts, and store them with the vectors. Vectors that were written with different
    ranges cannot be compared. Values outside the ranges become the nearest integer that exists.

    Args:
        vectors: floating point, shape (vectors, dim), at least two. They must have the `dimensionality` and the normalisation of the vectors that
            are written later.

    Returns:
        float32, shape (2, dim): the minima and the maxima. It is the `ranges` of `StaticModel.encode`, and of `quantize_embeddings` in
        sentence-transformers.

    Raises:
        ValueError: the shape or the type is another, or there are NaN or infinite values.
    """
    array = np.asarray(vectors)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise ValueError(f"vectors must be floating point of shape (vectors, dim), not {array.dtype} of shape {array.shape}")
    if len(array) < 2:
        raise ValueError(f"ranges need at least two vectors, better some thousand, not {len(array)}")
    ranges = np.stack([array.min(axis=0), array.max(axis=0)]).astype(np.float32)
    if not np.isfinite(ranges).all():
        raise ValueError("vectors must be finite, but they hold NaN or infinity")
    return ranges


def output_shape(form: Form | None, dim: int, texts: int | None = None) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the type of the vectors of a number of texts, or of one vector.

    Args:
        form: their form. ``None``: all dimensions in float32.
        dim: the number of dimensions of the model.
        texts: the number of texts. ``None``: one vector, of one dimension.
    """
    columns, dtype = (dim, _FLOAT32) if form is None else (form.columns, form.dtype)
    return ((columns,) if texts is None else (texts, columns)), dtype


def output_array(out: NDArray[Any] | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the array to which a call writes: a new one, or the caller's, which is checked.

    Raises:
        TypeError: `out` is not a NumPy array, or has another type.
        ValueError: `out` has another shape, or is read-only.
    """
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array or memory map, not {type(out).__name__}")
    if out.dtype != dtype:
        raise TypeError(
            f"out must be {np.dtype(dtype)} in the machine's byte order, not {out.dtype.str if out.dtype.isnative is False else out.dtype}"
        )
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, not {out.shape}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable, but it is read-only")
    # Kernels take plain arrays, and no memory maps.
    return np.asarray(out)
