"""Take the sentences that a caller gives."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["to_tuple"]


def to_tuple(sentences: Iterable[str]) -> tuple[str, ...]:
    """Return the sentences as a tuple. Raise a TypeError for types whose iteration does not give their texts."""
    if isinstance(sentences, (list, tuple)):
        return tuple(sentences)
    if isinstance(sentences, (bytes, bytearray)) or not isinstance(sentences, Iterable):
        raise TypeError(f"sentences must be a str or an iterable of str, not {type(sentences).__name__}")
    # Iterating over a data frame gives the names of its columns, and over a table whole columns. Nobody wants those embedded.
    shape = getattr(sentences, "shape", None)
    if isinstance(shape, tuple) and len(shape) != 1:
        raise TypeError(f"sentences must be one column of str, not {type(sentences).__name__} of shape {shape}")
    return tuple(sentences)
