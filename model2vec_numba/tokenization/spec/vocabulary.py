"""Read the vocabulary of the model in a `tokenizer.json`: its tokens and ids, BPE's merges, and Unigram's scores."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.spec.numbers import library_numbers

__all__ = ["agrees_with_library", "read_merges", "read_token_ids", "read_unigram_scores", "read_unigram_vocabulary", "read_vocabulary"]

# The tables of compiled code have a row for each number up to the largest id. If most numbers are no ids, the `tokenizers` library tokenises.
_MAX_ID = (1 << 30) - 2


def read_vocabulary(model: dict[str, Any]) -> tuple[dict[str, int], NDArray[np.int32]]:
    """Return the ids of the tokens of a model whose `vocab` is an object, as a dict and as an array. For any other model, both are empty."""
    vocabulary = model.get("vocab")
    empty = dict[str, int](), np.empty(0, np.int32)
    if not isinstance(vocabulary, dict) or set(map(type, vocabulary.values())) != {int}:
        return empty
    try:
        ids = np.fromiter(vocabulary.values(), np.int32, len(vocabulary))
    except OverflowError:
        return empty
    return (vocabulary, ids) if ids.min() >= 0 else empty


def read_token_ids(model: dict[str, Any]) -> tuple[list[str], NDArray[np.int32]] | None:
    """Return the tokens and their ids of a model whose `vocab` is an object.

    The result is ``None`` for any other model, if a token has no UTF-8 form, or if there is an id that is too large for the tables of compiled
    code.
    """
    vocabulary, ids = read_vocabulary(model)
    if not vocabulary or ids.max() > min(_MAX_ID, 8 * len(vocabulary) + (1 << 16)):
        return None
    try:
        "".join(vocabulary).encode("utf-8")
    except UnicodeEncodeError:
        return None
    return list(vocabulary), ids


def read_unigram_vocabulary(model: dict[str, Any]) -> dict[str, int] | None:
    """Return the ids of the tokens of a model whose `vocab` is a list of tokens and scores, or ``None`` for any other model.

    If a token is listed twice, it has the last id.
    """
    pairs, unknown_id = model.get("vocab"), model.get("unk_id")
    if not isinstance(pairs, list) or not pairs or set(map(type, pairs)) != {list} or set(map(len, pairs)) != {2}:
        return None
    tokens, scores = zip(*pairs, strict=True)
    if set(map(type, tokens)) != {str} or not set(map(type, scores)) <= {float, int}:
        return None
    if unknown_id is not None and (type(unknown_id) is not int or not 0 <= unknown_id < len(pairs)):
        return None
    return dict(zip(tokens, range(len(tokens)), strict=True))


def read_unigram_scores(model: dict[str, Any], literals: list[str]) -> NDArray[np.float64] | None:
    """Return the scores of Unigram's tokens as the library reads them: float64, shape (tokens,). ``None`` if they are not known.

    Args:
        model: a model with a vocabulary as `read_unigram_vocabulary` reads it.
        literals: the text of each number in the file that is not an integer, in order.
    """
    scores = [score for _, score in model["vocab"]]
    remaining = iter(literals)
    try:
        score_literals = [next(remaining) if isinstance(score, float) else str(score) for score in scores]
    except StopIteration:
        return None
    # If there are more literals, some are not scores, and these may come before the scores in the file.
    return library_numbers(score_literals) if next(remaining, None) is None else None


def read_merges(model: dict[str, Any]) -> NDArray[np.int64] | None:
    """Return the merges of BPE in the order of their ranks: int64, shape (merges, 3), with the left id, the right id and the new id of each.

    The result is ``None`` if the library may read them differently. It does not if each merge is a pair of tokens that together make a token, and the
    right one begins with the `continuing_subword_prefix` and is longer than it.
    """
    vocabulary, merges, prefix = model.get("vocab"), model.get("merges"), model.get("continuing_subword_prefix") or ""
    if not isinstance(vocabulary, dict) or not isinstance(merges, list) or not isinstance(prefix, str):
        return None
    types = set(map(type, merges))
    if types == {str}:
        # The older form: each merge is a line of a `merges.txt`.
        merges = [merge.split(" ") for merge in merges if not merge.startswith("#version")]
    elif not types <= {list}:
        return None
    if set(map(len, merges)) - {2}:
        return None
    try:
        lefts, rights = [left for left, _ in merges], [right for _, right in merges]
        if not all(lefts) or not all(rights):
            return None
        if prefix and not all(right.startswith(prefix) and len(right) > len(prefix) for right in rights):
            return None
        cut = len(prefix)
        merged = [left + right[cut:] for left, right in merges]
        columns = [[vocabulary[token] for token in tokens] for tokens in (lefts, rights, merged)]
        return np.array(columns, np.int64).reshape(3, -1).T.copy()
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


def agrees_with_library(config: dict[str, Any], text: str, vocabulary: dict[str, int]) -> bool:
    """Return whether the library accepts a file and gives its tokens the ids that the file has. BPE's merges are not checked.

    It does so if each added token is a token of the model and the rest of the file is valid. The library chooses the ids of other added tokens.

    Args:
        config: the parsed file.
        text: its text.
        vocabulary: the ids of the model's tokens.
    """
    model, added = config["model"], config.get("added_tokens")
    if model.get("type") not in ("WordPiece", "WordLevel", "BPE", "Unigram") or not isinstance(added, list):
        return False
    try:
        # The library refuses lone surrogates. They can only be written as escapes.
        if "\\ud" in text or "\\uD" in text:
            "".join(vocabulary).encode("utf-8")
        contents = {token["content"] for token in added}
        if not contents <= vocabulary.keys():
            return False
        small: dict[str, Any] = {"vocab": {token: vocabulary[token] for token in contents}}
        if model["type"] == "Unigram":
            small = {"vocab": [[token, 0.0] for token in contents], "unk_id": None}
        elif model["type"] == "BPE":
            small["merges"] = []
        # The library checks everything except the merges and the tokens that are not added tokens.
        Tokenizer.from_str(json.dumps({**config, "model": {**model, **small}}))
    except BaseException as error:
        if is_library_error(error):
            return False
        raise
    return True
