"""The keywords that callers of model2vec and sentence-transformers pass to their `encode`, which mean something else here, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from model2vec_numba.checks import checked_count, checked_flag

__all__ = ["Foreign", "check_foreign", "read_foreign"]

# model2vec's keywords. They only say how the work is divided.
_MODEL2VEC = ("use_multiprocessing", "multiprocessing_threshold")
# Keywords of sentence-transformers that only say where and how the work is done.
_HARMLESS = (*_MODEL2VEC, "device", "pool", "chunk_size")
# Keywords of sentence-transformers of which only some values can be honoured, and advice for the other values.
_HONOURED: dict[str, tuple[tuple[Any, ...], str]] = {
    "convert_to_numpy": ((True, None), "the result is always a NumPy array"),
    "convert_to_tensor": ((False, None), "the result is always a NumPy array: pass it to torch.from_numpy"),
    "prompt": ((None, ""), "no prompts are applied: put the prompt before each text"),
    "prompt_name": ((None,), "no prompts are applied: put the prompt before each text"),
    "output_value": (("sentence_embedding",), "encode_as_sequence gives the vectors of tokens"),
}
_APPLIED = ("normalize_embeddings", "truncate_dim")
# The keywords of `encode` itself.
_OWN = (
    "sentences",
    "max_length",
    "batch_size",
    "normalize",
    "show_progress_bar",
    "num_threads",
    "dimensionality",
    "precision",
    "ranges",
    "out",
)


class Foreign(NamedTuple):
    """What the keywords of another library ask for, as the arguments of `encode`.

    Attributes:
        normalize: whether vectors are divided by their L2 norm. ``None``: the model's setting.
        dimensionality: the number of dimensions to keep. ``None``: all of them.
        cuts_last: whether vectors are normalised with all dimensions, before some are dropped.
    """

    normalize: bool | None
    dimensionality: int | None
    cuts_last: bool


def read_foreign(keywords: Mapping[str, Any], normalize: bool | None, dimensionality: int | None, dim: int) -> Foreign:
    """Return what foreign keywords of a call of `encode` ask for.

    Args:
        keywords: the keywords and their values.
        normalize, dimensionality: the arguments of the same call.
        dim: the number of dimensions of the model.

    Raises:
        TypeError: a keyword is not known, its value cannot be honoured, or it contradicts another one. The message names it.
        ValueError: `truncate_dim` is out of range.
    """
    _check_names("encode", keywords, (*_HARMLESS, *_HONOURED, *_APPLIED), _OWN)
    for name, (values, advice) in _HONOURED.items():
        value = keywords.get(name, values[0])
        # `1 == True`, and the comparison of an array is an array.
        if not any(type(value) is type(honoured) and value == honoured for honoured in values):
            raise TypeError(f"{name} must be {' or '.join(map(repr, values))}, not {value!r:.80}: {advice}")
    again = bool(checked_flag(keywords.get("normalize_embeddings"), "normalize_embeddings"))
    if again and normalize is False:
        raise TypeError("normalize=False and normalize_embeddings=True contradict each other")
    truncate_dim = keywords.get("truncate_dim")
    if truncate_dim is None:
        return Foreign(again or normalize, dimensionality, cuts_last=False)
    if dimensionality is not None:
        raise TypeError("dimensionality and truncate_dim mean the same: give one of them")
    expected = f"None or an integer from 1 to {dim}"
    truncate_dim = checked_count(truncate_dim, "truncate_dim", expected)
    if truncate_dim > dim:
        raise ValueError(f"truncate_dim must be {expected}, not {truncate_dim}")
    # The model of sentence-transformers normalises first, if it does. `normalize_embeddings` comes after the cut.
    return Foreign(again or normalize, truncate_dim, cuts_last=not again)


def check_foreign(function: str, keywords: Collection[str], own: Collection[str]) -> None:
    """Check the names of keywords that are not a function's own. Only model2vec's are accepted, which have no effect.

    Raises:
        TypeError: a keyword is not known. The message names it.
    """
    _check_names(function, keywords, _MODEL2VEC, own)


def _check_names(function: str, keywords: Collection[str], accepted: Collection[str], own: Collection[str]) -> None:
    for name in keywords:
        if name not in accepted:
            close = get_close_matches(name, [*own, *accepted], n=1)
            hint = f". Did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")
