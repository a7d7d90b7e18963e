"""The embedding table: a model's matrix as it is stored, with weights and mapping, checked so that compiled code can rely on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TokenBatch
from model2vec_numba.dtypes import STORAGE_DTYPES
from model2vec_numba.errors import ModelFormatError

__all__ = ["EmbeddingTable", "empty_matrix", "make_table"]

# The size of a cache line of the processor. If rows begin at a cache line, fewer lines are read: pooling int8 rows of 256 dimensions took 0.9 of
# the time.
_ALIGNMENT = 64
_FLOAT64_BYTES = 8
# The dtypes of half precision and bfloat16 in kernels; see `to_float`.
_KERNEL_DTYPES = {"float16": np.dtype(np.uint16), "bfloat16": np.dtype(np.int16)}


@dataclass(frozen=True, eq=False)
class EmbeddingTable:
    """The vectors of a model's tokens: token ``t`` has ``scale * weights[t] * matrix[mapping[t]]``.

    `make_table` makes a table from the tensors of a file, and checks that no valid id reads outside the arrays. Callers of
    `dataclasses.replace` must keep this true.

    Attributes:
        matrix: shape (rows, dim), C-contiguous and read-only, in the storage type. bfloat16 is stored as the uint16 of its bits.
        dtype: the name of the storage type, one of `STORAGE_DTYPES`.
        weights: float32, shape (at least the number of ids,), or empty if all tokens have the same weight.
        mapping: int32, shape (at least the number of ids,), or empty if token ``t`` has row ``t``.
        scale: a positive factor of all tokens, such as the unit of int8 values. 1 if there are weights.
        given: the weights as a file or a caller gave them, read-only, in their own floating-point type. ``None``: none were given, or the values
            of the matrix have another scale since then.
        elements: a view of the matrix for kernels, in which half precision is uint16 and bfloat16 is int16.
        factors: the weights for kernels. ``None`` if all tokens have the same weight.
        dim: the number of dimensions of a vector.
        size: the number of ids that have a row. It may be smaller than the tokenizer's size; see `TokenizerSpec.required_rows`.
    """

    matrix: NDArray[Any]
    dtype: str
    weights: NDArray[np.float32]
    mapping: NDArray[np.int32]
    scale: float = 1.0
    given: NDArray[Any] | None = None
    elements: NDArray[Any] = field(init=False)
    factors: NDArray[np.float32] | None = field(init=False)
    dim: int = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        if len(self.weights):
            object.__setattr__(self, "weights", self.weights if self.scale == 1 else self.weights * np.float32(self.scale))
            # Rows without weights are summed faster, and int8 rows are then summed in integers. So equal weights become the scale.
            first = float(self.weights[0])
            same = 0 < first < np.inf and bool(np.all(self.weights == first))
            object.__setattr__(self, "scale", first if same else 1.0)
            if same:
                object.__setattr__(self, "weights", self.weights[:0])
        # The scale as a file stores it.
        object.__setattr__(self, "scale", float(np.float32(self.scale)))
        given = self.given
        if given is not None:
            unchanged = np.array_equal(given.astype(np.float32), self._weights(len(given)), equal_nan=True)
            given = np.ascontiguousarray(given).view()
            given.flags.writeable = False
            object.__setattr__(self, "given", given if unchanged else None)
        # Kernels are compiled only for read-only, C-contiguous and aligned arrays. A pickle of NumPy does not keep the read-only flag.
        for name, dtype in (("matrix", self.matrix.dtype.newbyteorder("=")), ("weights", np.float32), ("mapping", np.int32)):
            array = np.require(getattr(self, name), dtype, ["C", "A"]).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "elements", self.matrix.view(_KERNEL_DTYPES.get(self.dtype, self.matrix.dtype)))
        # Kernels are compiled for weights and for no weights.
        object.__setattr__(self, "factors", self.weights if len(self.weights) else None)
        object.__setattr__(self, "dim", int(self.matrix.shape[1]))
        size = len(self.mapping) or len(self.matrix)
        object.__setattr__(self, "size", min(size, len(self.weights) or size))

    @property
    def all_weights(self) -> NDArray[Any] | None:
        """The weight of each token times the scale: floating point of shape (tokens,), read-only. ``None`` if each is 1 and none were given."""
        if self.given is not None:
            return self.given
        return None if self.scale == 1 and not len(self.weights) else self._weights(len(self.mapping) or len(self.matrix))

    def _weights(self, count: int) -> NDArray[np.float32]:
        """Return the weights for kernels, float32. If all are equal, `count` is their number."""
        if len(self.weights):
            return self.weights
        weights = np.full(count, self.scale, np.float32)
        weights.flags.writeable = False
        return weights

    def check_ids(self, tokens: TokenBatch, tokenizer_size: int) -> None:
        """Raise an error if a token has no row. This can only happen if the vocabulary lists a token twice; see `TokenizerSpec.required_rows`."""
        if tokenizer_size <= self.size:
            return
        largest = tokens.ids[: tokens.offsets[-1]].max(initial=0)
        if largest >= self.size:
            raise ModelFormatError(
                f"token {largest} has no vector: the model has vectors for {self.size} tokens, but ids up to {tokenizer_size - 1}, "
                "because the vocabulary lists a token twice"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return EmbeddingTable, (self.matrix, self.dtype, self.weights, self.mapping, self.scale, self.given)


def empty_matrix(rows: int, dim: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a matrix of shape (rows, dim) that begins at a cache line. Its values are not set."""
    size = rows * dim * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(rows, dim)


def make_table(
    matrix: NDArray[Any],
    dtype: str,
    weights: NDArray[Any] | None,
    mapping: NDArray[Any] | None,
    *,
    size: int,
    source: str,
) -> EmbeddingTable:
    """Check that a model's tensors match each other and the tokenizer, and return the table.

    Args:
        matrix: shape (rows, dim), in the storage type. It is not copied if it is C-contiguous and aligned.
        dtype: the name of the storage type. bfloat16 is given as the uint16 of its bits.
        weights: floating point, one per token, or ``None``.
        mapping: integers, one per token, each a row of `matrix`, or ``None``.
        size: the number of tokens that need a row, see `TokenizerSpec.required_rows`.
        source: what to call the file in an error.

    Raises:
        ModelFormatError: the rank or dtype of an array is wrong, it has too few elements, or the mapping points outside the matrix.
    """
    if dtype not in STORAGE_DTYPES:
        raise ModelFormatError(f"{source}: the embedding matrix is {dtype}, expected one of {', '.join(STORAGE_DTYPES)}")
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ModelFormatError(f"{source}: the embedding matrix has shape {matrix.shape}, expected (rows, dimensions)")
    rows = matrix.shape[0]
    if mapping is None and rows < size:
        raise ModelFormatError(f"{source}: the embedding matrix has {rows} rows, expected at least {size}: the tokenizer has ids up to {size - 1}")
    given = None if weights is None else _checked_weights(weights, size, source)
    factors = np.empty(0, np.float32) if given is None else given.astype(np.float32, copy=False)
    return EmbeddingTable(matrix, dtype, factors, _checked_mapping(mapping, size, rows, source), given=given)


def _checked_weights(weights: NDArray[Any], size: int, source: str) -> NDArray[Any]:
    if weights.ndim != 1 or weights.dtype.kind != "f":
        raise ModelFormatError(f"{source}: weights is {weights.dtype} of shape {weights.shape}, expected floating point of shape (tokens,)")
    if len(weights) < size:
        raise ModelFormatError(f"{source}: weights has {len(weights)} entries, expected at least {size}: the tokenizer has ids up to {size - 1}")
    # A copy, so that nobody can change the weights that the vectors are computed from. Files have no floats of more than 64 bits.
    return weights.astype(weights.dtype.newbyteorder("=") if weights.itemsize <= _FLOAT64_BYTES else np.float64)


def _checked_mapping(mapping: NDArray[Any] | None, size: int, rows: int, source: str) -> NDArray[np.int32]:
    if mapping is None:
        return np.empty(0, np.int32)
    if mapping.ndim != 1 or mapping.dtype.kind not in "iu":
        raise ModelFormatError(f"{source}: mapping is {mapping.dtype} of shape {mapping.shape}, expected integers of shape (tokens,)")
    if len(mapping) < size:
        raise ModelFormatError(f"{source}: mapping has {len(mapping)} entries, expected at least {size}: the tokenizer has ids up to {size - 1}")
    lowest, highest = int(mapping.min()), int(mapping.max())
    if lowest < 0 or highest >= min(rows, 2**31):
        position = int(np.argmax((mapping < 0) | (mapping >= min(rows, 2**31))))
        raise ModelFormatError(f"{source}: mapping[{position}] is {int(mapping[position])}, expected a row of the embedding matrix, 0 to {rows - 1}")
    # A copy, so that nobody can change the mapping after it was checked.
    return mapping.astype(np.int32)
