"""The configuration of a model: a dict that holds the settings `normalize` and `max_length`, and refuses values that a model cannot have."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from model2vec_numba.checks import checked_flag, checked_max_length

__all__ = ["Kept", "Settings"]

_OWN = ("normalize", "max_length")


class Kept:
    """A place for the encoder that was made with some settings. Copies and pickles of it are empty.

    Attributes:
        encoder: the encoder. ``None``: it was not made yet.
    """

    __slots__ = ("encoder",)

    def __init__(self) -> None:
        self.encoder: Any = None

    def __reduce__(self) -> tuple[type[Kept], tuple[()]]:
        return Kept, ()


class Settings(dict[str, Any]):
    """The configuration of a model, as `config.json` holds it. Other keys than `normalize` and `max_length` may have any value.

    Attributes:
        normalize: the value of the key of this name: whether vectors are divided by their L2 norm.
        max_length: the value of the key of this name: the number of tokens of a text that count, or ``None``.
        kept: the place for the encoder with these settings. Each change of a setting makes a new place. So a thread that still puts an encoder with
            the old settings into the old place does no harm.

    Args:
        values: the initial values.
        normalize, max_length: the initial settings. They replace those in `values`.

    Raises:
        TypeError, ValueError: a setting has a wrong value. This is so for each change too, which then changes nothing.
    """

    normalize: bool
    max_length: int | None
    kept: Kept

    def __init__(self, values: Mapping[str, Any], normalize: bool | None, max_length: int | None) -> None:
        super().__init__()
        self.update(values, normalize=normalize, max_length=max_length)

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def update(self, *values: Any, **more: Any) -> None:
        """Set several keys, or none if one of the values is refused. The arguments are those of `dict.update`."""
        new = dict(*values, **more)
        if "normalize" in new:
            new["normalize"] = bool(checked_flag(new["normalize"], "normalize"))
        if "max_length" in new:
            new["max_length"] = checked_max_length(new["max_length"])
        super().update(new)
        # Calls read these: an attribute is read faster than an item of a dict.
        for name in _OWN:
            if name in new:
                setattr(self, name, new[name])
        self.kept = Kept()

    def __ior__(self, values: Any) -> Settings:  # type: ignore[override,misc]
        self.update(values)
        return self

    def __delitem__(self, key: str) -> None:
        if key in _OWN:
            raise ValueError(f"{key!r} cannot be removed from the configuration of a model")
        super().__delitem__(key)

    # A dict's own methods would not call the methods above.
    setdefault = MutableMapping.setdefault
    pop = MutableMapping.pop
    popitem = MutableMapping.popitem

    def clear(self) -> None:
        """Remove all keys except `normalize` and `max_length`."""
        for key in set(self) - set(_OWN):
            del self[key]
