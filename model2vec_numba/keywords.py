"""The keywords that callers of model2vec and sentence-transformers pass to their `encode`, which mean something else here, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    "precision": (("float32", "binary", "ubinary"), "the result is float32, binary or ubinary: other integers would depend on the other texts"),
}
_APPLIED = ("normalize_embeddings", "truncate_dim")
# The keywords of `encode` itself.
_OWN = ("sentences", "max_length", "batch_size", "normalize", "show_progress_bar", "num_threads")


class Foreign(NamedTuple):
    """The keywords of another library that change the vectors.

    Attributes:
        normalize_embeddings: whether vectors are divided by their L2 norm, after `truncate_dim`.
        truncate_dim: the number of dimensions to keep. ``None``: all of them.
        precision: ``"float32"``, or ``"ubinary"``: a bit for each dimension, 1 if the value is positive, or ``"binary"``: these bytes minus 128.
    """

    normalize_embeddings: bool
    truncate_dim: int | None
    precision: str

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[Any]:
        """Return vectors, float32 of shape (…, dim), with the changes that sentence-transformers makes to them.

        Returns:
            Shape (…, dim), or (…, dim / 8) rounded up for the binary precisions: float32, uint8 (``"ubinary"``) or int8 (``"binary"``).
        """
        if self.truncate_dim is not None:
            vectors = np.ascontiguousarray(vectors[..., : self.truncate_dim])
            if self.normalize_embeddings:
                norms = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=-1, keepdims=True))
                vectors = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
        if self.precision == "float32":
            return vectors
        bits = np.packbits(vectors > 0, axis=-1)
        return bits if self.precision == "ubinary" else (bits ^ np.uint8(128)).view(np.int8)


def read_foreign(keywords: Mapping[str, Any], normalize: bool | None, dim: int) -> Foreign:
    """Return the keywords of an `encode` that are not its own.

    Args:
        keywords: the keywords and their values.
        normalize: the argument `normalize` of the same call.
        dim: the number of dimensions of the model.

    Raises:
        TypeError: a keyword is not known, or its value cannot be honoured. The message names it.
        ValueError: `truncate_dim` is out of range.
    """
    _check_names("encode", keywords, (*_HARMLESS, *_HONOURED, *_APPLIED), _OWN)
    for name, (values, advice) in _HONOURED.items():
        value = keywords.get(name, values[0])
        # `1 == True`, and the comparison of an array is an array.
        if not any(type(value) is type(honoured) and value == honoured for honoured in values):
            raise TypeError(f"{name} must be {' or '.join(map(repr, values))}, not {value!r:.80}: {advice}")
    normalize_embeddings = bool(checked_flag(keywords.get("normalize_embeddings"), "normalize_embeddings"))
    if normalize_embeddings and normalize is False:
        raise TypeError("normalize=False and normalize_embeddings=True contradict each other")
    truncate_dim = keywords.get("truncate_dim")
    if truncate_dim is not None:
        expected = f"None or an integer from 1 to {dim}"
        truncate_dim = checked_count(truncate_dim, "truncate_dim", expected)
        if truncate_dim > dim:
            raise ValueError(f"truncate_dim must be {expected}, not {truncate_dim}")
    return Foreign(normalize_embeddings, truncate_dim, keywords.get("precision", "float32"))


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
