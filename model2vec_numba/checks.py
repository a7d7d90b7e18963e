"""Checks of arguments that several modules make."""

from __future__ import annotations

import operator

import numpy as np

__all__ = ["checked_count"]


def checked_count(value: int, name: str, expected: str) -> int:
    """The value as a Python integer of 1 or more: NumPy's are welcome, truth values are not.

    Raises:
        ValueError: naming the argument, what was expected and what was found.
    """
    if type(value) is int and value > 0:
        return value
    try:
        number = 0 if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} must be {expected}, not {value!r}")
    return number
