"""Checks of arguments that several modules use."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

__all__ = ["checked_count", "checked_flag"]


def checked_count(value: int, name: str, expected: str) -> int:
    """Return a value as a Python integer, if it is an integer of 1 or more. NumPy's integers are accepted, Booleans are not.

    Args:
        value: the value.
        name: the name of the argument, for the error.
        expected: a description of the accepted values, for the error.

    Raises:
        ValueError: the value is not accepted.
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


def checked_flag(value: Any, name: str) -> bool | None:
    """Return a Boolean or ``None``. NumPy's Booleans are accepted. Other values are not, because ``"no"`` and ``"false"`` would be true.

    Args:
        value: the value.
        name: the name of the argument, for the error.

    Raises:
        TypeError: the value is not accepted.
    """
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name} must be True, False or None, not {value!r:.80}")
