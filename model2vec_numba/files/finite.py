"""Count the rows of a matrix that hold NaN or infinity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["count_not_finite"]

# The bits of the exponent. A number is NaN or infinite if all of them are set. NumPy tests half precision more slowly in any other way.
_EXPONENTS = {
    "float64": np.uint64(0x7FF0000000000000),
    "float32": np.uint32(0x7F800000),
    "float16": np.uint16(0x7C00),
    "bfloat16": np.uint16(0x7F80),
}
# The number of bytes that are tested at a time. They fit into the caches of the processor.
_BLOCK_BYTES = 1 << 17


def count_not_finite(matrix: NDArray[Any], dtype: str) -> int:
    """Return the number of rows that hold NaN or infinity.

    Args:
        matrix: shape (rows, dim), C-contiguous. bfloat16 is given as the uint16 of its bits.
        dtype: the name of the storage type.
    """
    exponent = _EXPONENTS.get(dtype)
    if exponent is None:
        return 0
    bits = matrix.view(exponent.dtype)
    rows = max(1, _BLOCK_BYTES // max(1, matrix[:1].nbytes))
    count = 0
    for first in range(0, len(bits), rows):
        exponents = bits[first : first + rows] & exponent
        if exponents.max() == exponent:
            count += int(np.count_nonzero((exponents == exponent).any(axis=1)))
    return count
