"""Split, and all other pre-tokenisers that cut at the matches of a pattern: a string, a regular expression, or classes of characters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.tokenization.byte_alphabet import spelled_out
from model2vec_numba.tokenization.components import has_form
from model2vec_numba.tokenization.regex.automaton import Automaton
from model2vec_numba.tokenization.regex.kernel import BEHAVIORS
from model2vec_numba.tokenization.regex.matching import automaton_of, cut
from model2vec_numba.tokenization.stages import PreTokenBatch, PreTokenizer

__all__ = ["Split", "make_split"]


class Split:
    """Cuts pre-tokens at the matches of an automaton.

    Args, and attributes of the same names:
        automaton: the automaton.
        behavior: a key of `BEHAVIORS`, which says what happens to delimiters.
        invert: whether the texts between the matches are the delimiters, in place of the matches.
    """

    def __init__(self, automaton: Automaton, behavior: str, *, invert: bool = False) -> None:
        self.automaton = automaton
        self.behavior = behavior
        self.invert = invert

    def split(self, pre_tokens: PreTokenBatch, status: NDArray[np.uint8]) -> PreTokenBatch:
        """Return the smaller pre-tokens, as `PreTokenizer.split` describes."""
        return cut(self.automaton, spelled_out(pre_tokens), status, BEHAVIORS[self.behavior], invert=self.invert)


def make_split(config: dict[str, Any]) -> PreTokenizer | None:
    """Return the pre-tokeniser for a ``Split``, or ``None`` if its JSON has an unknown form, or if no automaton can find its pattern."""
    if not has_form(config, {"pattern": dict, "behavior": str, "invert": bool}) or config["behavior"] not in BEHAVIORS or len(config["pattern"]) != 1:
        return None
    ((kind, pattern),) = config["pattern"].items()
    automaton = automaton_of(kind, pattern) if kind in ("String", "Regex") and isinstance(pattern, str) else None
    return None if automaton is None else Split(automaton, config["behavior"], invert=config["invert"])
