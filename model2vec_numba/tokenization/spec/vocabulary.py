"""Read the vocabulary of the model in a `tokenizer.json`: its tokens and ids, BPE's merges, and Unigram's scores."""

from __future__ import annotations

from itertools import chain, repeat
from operator import add, itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["are_dense", "is_unknown_id", "merges_lack_prefix", "read_merges", "read_unigram_vocabulary", "read_vocabulary"]

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


def are_dense(ids: NDArray[np.int32]) -> bool:
    """Return whether there are ids, and none is too large for the tables of compiled code."""
    return len(ids) > 0 and bool(ids.max() <= min(_MAX_ID, 8 * len(ids) + (1 << 16)))


def read_unigram_vocabulary(model: dict[str, Any]) -> dict[str, int]:
    """Return the ids of the tokens of a model whose `vocab` is a list of tokens and scores. For any other model, the result is empty.

    If a token is listed twice, it has the last id.
    """
    pairs = model.get("vocab")
    if not isinstance(pairs, list) or set(map(type, pairs)) != {list} or set(map(len, pairs)) != {2}:
        return {}
    tokens = list(map(itemgetter(0), pairs))
    if set(map(type, tokens)) != {str} or not set(map(type, map(itemgetter(1), pairs))) <= {float, int}:
        return {}
    if not is_unknown_id(model.get("unk_id"), len(pairs)):
        return {}
    return dict(zip(tokens, range(len(tokens)), strict=True))


def is_unknown_id(unknown_id: Any, size: int) -> bool:
    """Return whether the library takes a value for the unknown id of a Unigram model with `size` tokens. ``None``: there is none."""
    return unknown_id is None or (type(unknown_id) is int and 0 <= unknown_id < size)


def read_merges(model: dict[str, Any], ids: NDArray[np.int32]) -> NDArray[np.int64] | None:
    """Return the merges of BPE in the order of their ranks: int64, shape (merges, 3), with the left id, the right id and the new id of each.

    The result is ``None`` if the library may read them differently. Merges are safe to read if each one is a pair of tokens that together make a
    token, and if the right token begins with the `continuing_subword_prefix` and is longer than it.

    Args:
        model: the model.
        ids: the ids of its tokens, as `read_vocabulary` returns them.
    """
    vocabulary, merges, prefix = model.get("vocab"), model.get("merges"), model.get("continuing_subword_prefix") or ""
    if not isinstance(vocabulary, dict) or len(ids) != len(vocabulary) or not isinstance(merges, list) or not isinstance(prefix, str):
        return None
    try:
        parts = _merge_parts(merges)
        if parts is None:
            return None
        lefts, rights = parts[0::2], parts[1::2]
        if not all(parts) or not all(right.startswith(prefix) and len(right) > len(prefix) for right in (rights if prefix else ())):
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
    parts = _merge_parts(merges)
    return any(not str(token).isascii() and not str(token).startswith(prefix) for token in (parts[1::2] if parts else ()))


def _merge_parts(merges: list[Any]) -> list[str] | None:
    """Return the left and the right token of each merge, one merge after the other. ``None`` if the merges have an unknown form.

    No list is made for each merge. With such lists, Python's garbage collector ran again and again, and 50,000 merges took 100 ms, not 10 ms.
    """
    if set(map(type, merges)) == {str}:
        # The older form: each merge is a line of a `merges.txt`.
        joined = " ".join(merges)
        if "#version" in joined:
            merges = [merge for merge in merges if not merge.startswith("#version")]
            joined = " ".join(merges)
        if not set(map(str.count, merges, repeat(" "))) <= {1}:
            return None
        return joined.split(" ") if merges else []
    if not set(map(type, merges)) <= {list} or not set(map(len, merges)) <= {2}:
        return None
    return list(chain.from_iterable(merges))
