"""Make the automaton of a pattern, and cut pre-tokens at the matches of an automaton."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from model2vec_numba.batches import TextBatch
from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.regex.automaton import Automaton
from model2vec_numba.tokenization.regex.kernel import BEHAVIORS, cut_at_matches
from model2vec_numba.tokenization.regex.parser import UnsupportedPatternError, literal, parse
from model2vec_numba.tokenization.stages import PreTokenBatch
from model2vec_numba.tokenization.unicode.classes import matches_of

__all__ = ["automaton_of", "cut"]

# The number of texts that `_agrees` tries, and the maximum number of characters in each.
_TRIALS, _MAX_LENGTH = 100, 10


@lru_cache(maxsize=256)
def automaton_of(kind: str, pattern: str) -> Automaton | None:
    """Return the automaton of a pattern, or ``None`` if only the library can find its matches.

    Args:
        kind: ``String`` or ``Regex``, as in a `tokenizer.json`.
        pattern: the string or the regular expression.
    """
    try:
        automaton = Automaton(parse(pattern) if kind == "Regex" else literal(pattern), lambda sources: matches_of(*sources))
        return automaton if kind == "String" or _agrees(automaton, pattern) else None
    except UnsupportedPatternError:
        return None
    except BaseException as error:
        if is_library_error(error):
            return None
        raise


def _agrees(automaton: Automaton, pattern: str) -> bool:
    """Return whether an automaton cuts some random texts as the installed library does. Another version of it may read patterns differently."""
    texts = list(automaton.random_texts(_TRIALS, _MAX_LENGTH))
    encoded = [text.encode("utf-8") for text in texts]
    batch = PreTokenBatch.whole(TextBatch(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)], dtype=np.int64)))
    status = np.zeros(len(texts), np.uint8)
    for name in ("Removed", "Isolated"):
        library = Split(Regex(pattern), name.lower())
        found = cut(automaton, batch, status, BEHAVIORS[name])
        data = found.data.tobytes()
        parts = [data[begin:end].decode("utf-8") for begin, end in zip(found.begins, found.ends, strict=True)]
        for text, is_unsupported, (first, last) in zip(texts, status, itertools.pairwise(found.offsets), strict=True):
            if not is_unsupported and parts[first:last] != [part for part, _ in library.pre_tokenize_str(text)]:
                return False
    return True


def cut(
    automaton: Automaton,
    pre_tokens: PreTokenBatch,
    status: NDArray[np.uint8],
    behavior: int,
    *,
    invert: bool = False,
    keeps_empty: bool = False,
    byte_level: bool = False,
) -> PreTokenBatch:
    """Cut pre-tokens at the matches of an automaton, and return the new pre-tokens.

    Args:
        automaton: the automaton.
        pre_tokens: the pre-tokens to cut. They must be UTF-8.
        status: uint8, shape (texts,): whether each text is `DONE` or needs the fallback; see `Normalizer.normalize`.
        behavior: one of the values of `BEHAVIORS`, which says what happens to delimiters.
        invert: whether the texts between the matches are the delimiters, in place of the matches.
        keeps_empty: whether empty pre-tokens are kept. It may only be true if `behavior` and `invert` remove the texts between the matches.
        byte_level: `PreTokenBatch.byte_level` of the result.
    """
    max_count = pre_tokens.size + max(1, len(pre_tokens.begins))
    begins, ends = np.empty(max_count, np.int64), np.empty(max_count, np.int64)
    offsets = np.zeros(len(pre_tokens.offsets), np.int64)
    arguments = (
        *(pre_tokens.data, pre_tokens.begins, pre_tokens.ends, pre_tokens.offsets, status),
        *(automaton.classes, automaton.table, automaton.starts, automaton.ranges, automaton.may_be_empty, automaton.looks_behind),
        *(behavior, int(invert), keeps_empty),
    )
    count = 0
    for missing in automaton.filler.rounds():
        count = cut_at_matches(*arguments, missing, begins, ends, offsets)
    return PreTokenBatch(pre_tokens.data, begins[:count], ends[:count], offsets, byte_level)
