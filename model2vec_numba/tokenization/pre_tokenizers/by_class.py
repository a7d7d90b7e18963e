"""Pre-tokenisers that cut by the class of single code points: BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation and Digits.

The library's own pre-tokenisers are asked what they do with each code point: join it to letters, make it a pre-token, or leave it out.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from tokenizers import pre_tokenizers as library

from model2vec_numba.tokenization.components import has_form
from model2vec_numba.tokenization.pre_tokenizers.split import Split
from model2vec_numba.tokenization.regex.automaton import Automaton
from model2vec_numba.tokenization.regex.kernel import BEHAVIORS
from model2vec_numba.tokenization.regex.parser import Characters, Choice, Node, Repeat
from model2vec_numba.tokenization.unicode.classes import ALONE, GAP, JOINED, classes_by

__all__ = ["make_bert", "make_digits", "make_punctuation", "make_whitespace", "make_whitespace_split"]

_ONE = Characters(ALONE)
_SEVERAL = Repeat(_ONE, 1, None)
_WORD = Repeat(Characters(JOINED), 1, None)
_SPACES = Repeat(Characters(GAP), 1, None)


def make_bert(config: dict[str, Any]) -> Split | None:
    """Return the pre-tokeniser for a ``BertPreTokenizer``: it drops white space, and each punctuation mark is a pre-token."""
    return Split(_automaton("BertPreTokenizer", Choice((_WORD, _ONE))), "Removed", invert=True) if has_form(config, {}) else None


def make_whitespace(config: dict[str, Any]) -> Split | None:
    r"""Return the pre-tokeniser for a ``Whitespace``: the pre-tokens are the matches of ``\w+|[^\w\s]+``."""
    return Split(_automaton("Whitespace", Choice((_WORD, _SEVERAL))), "Removed", invert=True) if has_form(config, {}) else None


def make_whitespace_split(config: dict[str, Any]) -> Split | None:
    """Return the pre-tokeniser for a ``WhitespaceSplit``: it cuts at white space and drops it."""
    return Split(_automaton("WhitespaceSplit", _SPACES), "Removed") if has_form(config, {}) else None


def make_punctuation(config: dict[str, Any]) -> Split | None:
    """Return the pre-tokeniser for a ``Punctuation``: each punctuation mark is a delimiter."""
    settings = {"behavior": "Isolated", **config}
    if not has_form(settings, {"behavior": str}) or settings["behavior"] not in BEHAVIORS:
        return None
    return Split(_automaton("Punctuation", _ONE), settings["behavior"])


def make_digits(config: dict[str, Any]) -> Split | None:
    """Return the pre-tokeniser for a ``Digits``: each number, or each digit, is a pre-token."""
    if not has_form(config, {"individual_digits": bool}):
        return None
    return Split(_automaton("Digits", _ONE if config["individual_digits"] else _SEVERAL), "Isolated")


@cache
def _automaton(name: str, node: Node) -> Automaton:
    """Return the automaton for a pattern of `JOINED`, `ALONE` and `GAP` characters. The library's pre-tokeniser `name` tells these apart."""
    return Automaton(node, lambda kinds: classes_by(getattr(library, name)(), *kinds))
