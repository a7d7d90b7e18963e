"""Checks of arguments that several modules use."""

from __future__ import annotations

import enum
import operator
from typing import Any, Literal

import numpy as np

__all__ = ["UNSET", "Unset", "checked_count", "checked_flag", "checked_max_length", "is_unset"]


class Unset(enum.Enum):
    """The type of an argument that was not given, for arguments whose ``None`` has another meaning."""

    UNSET = "unset"


UNSET: Literal[Unset.UNSET] = Unset.UNSET


def is_unset(value: Any) -> bool:
    """Return whether an argument was not given. model2vec has an object of its own for this, which its classes pass on to `encode`."""
    return isinstance(value, Unset) or (type(value).__name__ == "_UnsetType" and type(value).__module__ == "model2vec.types")


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
        raise ValueError(f"{name} must be {expected}, not {value!r:.80}")
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


def checked_max_length(value: int | None) -> int | None:
    """Return a maximum length as a Python integer, or ``None``.

    Raises:
        ValueError: it is not an integer of 1 or more.
    """
    return None if value is None else checked_count(value, "max_length", "None or an integer of 1 or more")
