"""The vocabulary and the merges of a model as arrays and as Python objects, if compiled code has read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.tokenization.spec.large_arrays import LargeArrays, merge_parts, scan, strings_of
from model2vec_numba.tokenization.spec.merge_ids import find_merge_ids, find_merges
from model2vec_numba.tokenization.spec.numbers import library_numbers, parse_numbers, read_numbers

__all__ = ["ModelArrays", "are_compiled", "make_model_arrays"]


class ModelArrays(NamedTuple):
    """The vocabulary and the merges of a model.

    Attributes:
        texts: the tokens in the order of the file, and 8 more bytes.
        vocabulary: the ids of the tokens. If a list holds a token twice, it has the last id.
        ids: int32, shape (tokens,): the ids, if the vocabulary is an object. ``None``: it is a list.
        numbers: uint8: the scores of a list, as the file spells them, with a comma after each.
        merge_parts: the left and the right token of each merge, one merge after the other, and 8 more bytes. ``None``: the file has no merges, or
            they are in the JSON.
    """

    texts: TextBatch
    vocabulary: dict[str, int]
    ids: NDArray[np.int32] | None
    numbers: NDArray[np.uint8]
    merge_parts: TextBatch | None

    def scores(self) -> NDArray[np.float64] | None:
        """Return the numbers as the library reads them, float64 of shape (tokens,), or ``None`` if they are not known."""
        return library_numbers(self.numbers, len(self.texts))

    def merges(self) -> NDArray[np.int64] | None:
        """Return the ids of `merge_parts` as `find_merge_ids` does. ``None`` if the vocabulary is a list, or if there are no merges."""
        if self.ids is None or self.merge_parts is None:
            return None
        return find_merge_ids(self.texts, self.ids, self.merge_parts)


def are_compiled(text: str) -> bool:
    """Return whether this process has the compiled code already that reads the arrays of a text."""
    kernels = [scan, parse_numbers, *([find_merges] if '"merges"' in text else [])]
    # With NUMBA_DISABLE_JIT, they are functions of Python.
    return all(getattr(kernel, "signatures", ()) for kernel in kernels)


def make_model_arrays(arrays: LargeArrays, model: dict[str, Any]) -> ModelArrays | None:
    """Return the arrays of a model.

    The result is ``None`` if an object holds a token twice, if an id is none, or if Python must read the merges.

    Args:
        arrays: the vocabulary and the merges.
        model: the other members of the model.
    """
    parts = merge_parts(arrays)
    if arrays.merges is not None and (parts is None or model.get("continuing_subword_prefix")):
        return None
    tokens, ids = strings_of(arrays.vocabulary), None
    if arrays.is_list:
        vocabulary = dict(zip(tokens, range(len(tokens)), strict=True))
    else:
        if np.any((arrays.numbers < ord("0")) & (arrays.numbers != ord(",")) | (arrays.numbers > ord("9"))):
            return None
        numbers = read_numbers(arrays.numbers, len(tokens))
        if numbers.max() > np.iinfo(np.int32).max:
            return None
        ids = numbers.astype(np.int32)
        vocabulary = dict(zip(tokens, ids.tolist(), strict=True))
        if len(vocabulary) < len(tokens):
            return None
    return ModelArrays(arrays.vocabulary, vocabulary, ids, arrays.numbers, parts)
