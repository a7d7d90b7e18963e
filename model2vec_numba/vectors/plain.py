"""Write vectors in another form without compiled code, with the bits of `vectors/kernels.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.vectors.form import Form

__all__ = ["write_plainly"]

_SIGN = np.uint8(128)
_LARGEST = 255


def write_plainly(vectors: NDArray[np.float32], form: Form, out: NDArray[Any]) -> None:
    """Write `vectors`, float32 of shape (texts, form.pooled), to `out`, shape (texts, form.columns) of the form's type."""
    kept = vectors[:, : form.dim]
    # A number that is too large for half precision becomes infinity, and other numbers have no special cases, as in compiled code.
    with np.errstate(all="ignore"):
        if out.dtype.kind == "f":
            out[...] = kept
            return
        if form.is_binary:
            unsigned = np.packbits(kept > 0, axis=-1)
        else:
            # `fmax` makes 0 of NaN.
            unsigned = np.minimum(np.fmax(np.floor((kept - form.starts) / form.steps), 0), _LARGEST).astype(np.uint8)
    out[...] = unsigned if out.dtype == np.uint8 else (unsigned ^ _SIGN).view(np.int8)
