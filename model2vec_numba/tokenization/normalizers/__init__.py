"""The normalisers, each a module: `make_normalizer` finds the one that a `tokenizer.json` asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.text import TextBatch
from model2vec_numba.tokenization.normalizers.ends import make_prepend, make_strip
from model2vec_numba.tokenization.normalizers.local import LocalNormalizer, LocalStep, local_step
from model2vec_numba.tokenization.normalizers.replace import make_replace
from model2vec_numba.tokenization.stages import Normalizer

__all__ = ["NormalizerSequence", "keeps_beginning", "make_normalizer"]

# Those that are not local; see `local_step` for the others. A factory gives None for members that it does not know.
_FACTORIES: dict[str, Callable[[dict[str, Any]], Normalizer | None]] = {
    "Prepend": make_prepend,
    "Replace": make_replace,
    "Strip": make_strip,
}


class NormalizerSequence:
    """Normalisers one after the other; of none, the text stays as it is."""

    def __init__(self, normalizers: list[Normalizer]) -> None:
        self._normalizers = normalizers

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """See `Normalizer.normalize`."""
        for normalizer in self._normalizers:
            texts = normalizer.normalize(texts, status)
        return texts


def make_normalizer(part: Any) -> Normalizer | None:
    """The normaliser that ``normalizer`` of a `tokenizer.json` describes; ``None`` if this package does not have it."""
    parts = _flat(part)
    if parts is None:
        return None
    normalizers: list[Normalizer] = []
    local: list[LocalStep] = []
    for single in parts:
        step = local_step(single)
        if local and (step is None or (step.context and (step.context == "Precompiled" or any(other.context for other in local)))):
            normalizers.append(LocalNormalizer(local))
            local = []
        if step is not None:
            local.append(step)
            continue
        kind = single.get("type") if isinstance(single, dict) else None
        factory = _FACTORIES.get(kind) if isinstance(kind, str) else None
        normalizer = factory(single) if factory is not None else None
        if normalizer is None:
            return None
        normalizers.append(normalizer)
    if local:
        normalizers.append(LocalNormalizer(local))
    return normalizers[0] if len(normalizers) == 1 else NormalizerSequence(normalizers)


def keeps_beginning(part: Any) -> bool:
    """Whether a text's first character, normalised, always comes from its first character: nothing is taken away before it."""
    parts = _flat(part)
    return parts is not None and all(
        isinstance(single, dict)
        and (
            single.get("type") in ("Lowercase", "Prepend")
            or (single.get("type") == "Replace" and local_step(single) is not None and single["content"] != "")
        )
        for single in parts
    )


def _flat(part: Any) -> list[Any] | None:
    """The parts that a part consists of, sequences of sequences taken apart; ``None`` if one is not of the form of a sequence."""
    if part is None:
        return []
    if not isinstance(part, dict) or part.get("type") != "Sequence":
        return [part]
    if part.keys() != {"type", "normalizers"} or not isinstance(part["normalizers"], list):
        return None
    parts: list[Any] = []
    for single in part["normalizers"]:
        flat = None if single is None else _flat(single)
        if flat is None:
            return None
        parts += flat
    return parts
