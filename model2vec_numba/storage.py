"""The types in which an embedding matrix may be stored, by name."""

from __future__ import annotations

from typing import Literal

__all__ = ["INT8_SCALES", "STORAGE_DTYPES", "Int8Scales"]

STORAGE_DTYPES = ("float32", "float16", "bfloat16", "float64", "int8")

# Whether int8 values have one scale for all, or one for each row.
Int8Scales = Literal["matrix", "row"]
INT8_SCALES: tuple[Int8Scales, ...] = ("matrix", "row")
