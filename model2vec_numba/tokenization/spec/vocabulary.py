"""Read the vocabulary of the model in a `tokenizer.json`: its tokens and ids, BPE's merges, and Unigram's scores."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add, itemgetter, methodcaller
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["merges_lack_prefix", "read_merges", "read_token_ids", "read_unigram_scores", "read_unigram_vocabulary", "read_vocabulary"]

# The tables of compiled code have a row for each number up to the largest id. If most of them are not ids, the `tokenizers` library tokenises.
_MAX_ID = (1 << 30) - 2


def read_vocabulary(model: dict[str, Any]) -> tuple[dict[str, int], NDArray[np.int32]]:
    """Return the ids of the tokens of a model whose `vocab` is an object, as a dict and as an array. For any other model, both are empty."""
    vocabulary = model.get("vocab")
    empty = dict[str, int](), np.empty(0, np.int32)
    if not isinstance(vocabulary, dict) or set(map(type, vocabulary.values())) != {int}:
        return empty
    try:
        # NumPy 1.24 would wrap large numbers if they were written as int32.
        ids = np.fromiter(vocabulary.values(), np.int64, len(vocabulary))
    except OverflowError:
        return empty
    return (vocabulary, ids.astype(np.int32)) if ids.min() >= 0 and ids.max() <= np.iinfo(np.int32).max else empty


def read_token_ids(model: dict[str, Any]) -> tuple[list[str], NDArray[np.int32]] | None:
    """Return the tokens and their ids of a model whose `vocab` is an object.

    The result is ``None`` for any other model, if a token cannot be encoded as UTF-8, or if an id is too large for the tables of compiled code.
    """
    vocabulary, ids = read_vocabulary(model)
    if not vocabulary or ids.max() > min(_MAX_ID, 8 * len(vocabulary) + (1 << 16)):
        return None
    try:
        "".join(vocabulary).encode("utf-8")
    except UnicodeEncodeError:
        return None
    return list(vocabulary), ids


def read_unigram_vocabulary(model: dict[str, Any]) -> dict[str, int]:
    """Return the ids of the tokens of a model whose `vocab` is a list of tokens and scores. For any other model, the result is empty.

    If a token is listed twice, it has the last id.
    """
    pairs, unknown_id = model.get("vocab"), model.get("unk_id")
    if not isinstance(pairs, list) or set(map(type, pairs)) != {list} or set(map(len, pairs)) != {2}:
        return {}
    tokens, scores = list(map(itemgetter(0), pairs)), set(map(type, map(itemgetter(1), pairs)))
    if set(map(type, tokens)) != {str} or not scores <= {float, int}:
        return {}
    if unknown_id is not None and (type(unknown_id) is not int or not 0 <= unknown_id < len(pairs)):
        return {}
    return dict(zip(tokens, range(len(tokens)), strict=True))


def read_unigram_scores(model: dict[str, Any], literals: list[str]) -> NDArray[np.float64] | None:
    """Return the scores of Unigram's tokens as the library reads them: float64, shape (tokens,). ``None`` if they are not known.

    Args:
        model: a model with a vocabulary as `read_unigram_vocabulary` reads it.
        literals: the text of each number in the file that is not an integer, in order.
    """
    scores = list(map(itemgetter(1), model["vocab"]))
    remaining = iter(literals)
    try:
        score_literals = [next(remaining) if isinstance(score, float) else str(score) for score in scores]
        nearest = np.array(scores, np.float64)
    except (OverflowError, StopIteration):
        return None
    # This imports numba, which takes as long as loading a model. Only compiled code needs the scores.
    from model2vec_numba.tokenization.spec.numbers import library_numbers

    # If literals remain, some of them are not scores. They may come before the scores in the file, so it is not known which literal is whose.
    return library_numbers(score_literals, nearest) if next(remaining, None) is None else None


def read_merges(model: dict[str, Any]) -> NDArray[np.int64] | None:
    """Return the merges of BPE in the order of their ranks: int64, shape (merges, 3), with the left id, the right id and the new id of each.

    The result is ``None`` if the library may read them differently. Merges are safe to read if each one is a pair of tokens that together make a
    token, and if the right token begins with the `continuing_subword_prefix` and is longer than it.
    """
    vocabulary, merges, prefix = model.get("vocab"), model.get("merges"), model.get("continuing_subword_prefix") or ""
    if not isinstance(vocabulary, dict) or not isinstance(merges, list) or not isinstance(prefix, str):
        return None
    try:
        pairs = _split_merges(merges)
        if pairs is None:
            return None
        lefts, rights = pairs
        if not all(lefts) or not all(rights):
            return None
        if prefix and not all(right.startswith(prefix) and len(right) > len(prefix) for right in rights):
            return None
        merged = map(add, lefts, [right[len(prefix) :] for right in rights] if prefix else rights)
        table = np.empty((len(lefts), 3), np.int64)
        for column, tokens in enumerate((lefts, rights, merged)):
            table[:, column] = np.fromiter(map(vocabulary.__getitem__, tokens), np.int64, len(lefts))
        return table
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


def merges_lack_prefix(model: dict[str, Any]) -> bool:
    """Return whether a right token of a merge of BPE has other characters than ASCII and does not begin with the `continuing_subword_prefix`.

    The library reads the part after the prefix without a check. For some of these files, it ends the process.
    """
    prefix, merges = model.get("continuing_subword_prefix"), model.get("merges")
    if not isinstance(prefix, str) or not prefix or not isinstance(merges, list):
        return False
    pairs = _split_merges(merges)
    return any(not str(token).isascii() and not str(token).startswith(prefix) for token in (pairs[1] if pairs else ()))


def _split_merges(merges: list[Any]) -> tuple[Sequence[str], Sequence[str]] | None:
    """Return the left and the right tokens of merges, or ``None`` if they have an unknown form.

    No list is made for each merge. With such lists, Python's garbage collector ran again and again, and 50,000 merges took 100 ms, not 10 ms.
    """
    if set(map(type, merges)) == {str}:
        # The older form: each merge is a line of a `merges.txt`.
        joined = " ".join(merges)
        if "#version" in joined:
            merges = [merge for merge in merges if not merge.startswith("#version")]
            joined = " ".join(merges)
        if not set(map(methodcaller("count", " "), merges)) <= {1}:
            return None
        tokens = joined.split(" ") if merges else []
        return tokens[0::2], tokens[1::2]
    if not all(type(merge) is list and len(merge) == 2 for merge in merges):
        return None
    return list(map(itemgetter(0), merges)), list(map(itemgetter(1), merges))
