"""The names of the types in which an embedding matrix can be stored."""

from __future__ import annotations

from typing import Literal

__all__ = ["INT8_SCALES", "STORAGE_DTYPES", "Int8Scales"]

STORAGE_DTYPES = ("float32", "float16", "bfloat16", "float64", "int8")

Int8Scales = Literal["matrix", "row"]
"""Whether int8 values have one scale for the matrix, or one for each row."""
INT8_SCALES: tuple[Int8Scales, ...] = ("matrix", "row")
