"""Check and cut Python strings without compiled code, as `text/strings.py` does it with compiled code."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["check_strings", "cut_strings", "refuse_surrogates"]


def check_strings(sentences: tuple[str, ...]) -> None:
    """Raise a `TypeError` that names the first element that is not a string."""
    # `isinstance` would ask the object's own code.
    if all(issubclass(kind, str) for kind in set(map(type, sentences))):
        return
    position, element = next((i, element) for i, element in enumerate(sentences) if not issubclass(type(element), str))
    raise TypeError(f"sentences[{position}] must be a str, not {type(element).__name__}: {element!r:.80}")


def cut_strings(sentences: Sequence[str], max_chars: int | None) -> list[str]:
    """Return the first `max_chars` code points of each string (``None``: all of them). A subclass of ``str`` becomes a ``str``."""
    # The methods of a subclass may be its own.
    plain = [sentence if type(sentence) is str else str.__getitem__(sentence, slice(None)) for sentence in sentences]
    return plain if max_chars is None else [sentence if len(sentence) <= max_chars else sentence[:max_chars] for sentence in plain]


def refuse_surrogates(sentences: Sequence[str], first: int) -> None:
    """Raise a `ValueError` that names the first lone surrogate, which has no UTF-8 form. `first`: the position of the first sentence."""
    for position, sentence in enumerate(sentences, first):
        surrogate = next((i for i, character in enumerate(sentence) if "\ud800" <= character <= "\udfff"), None)
        if surrogate is not None:
            character = f"U+{ord(sentence[surrogate]):04X}"
            raise ValueError(f"sentences[{position}] cannot be UTF-8: it holds the lone surrogate {character} at character {surrogate}")
