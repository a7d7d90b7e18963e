"""The normalisers of the composed tokeniser. `make_normalizer` finds the one that a `tokenizer.json` describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch
from model2vec_numba.tokenization.normalizers.ends import make_prepend, make_strip
from model2vec_numba.tokenization.normalizers.local import LocalNormalizer, LocalStep, local_step
from model2vec_numba.tokenization.normalizers.replace import make_replace
from model2vec_numba.tokenization.normalizers.replace_character import ReplaceCharacter, is_replaced_character
from model2vec_numba.tokenization.regex.matching import automaton_of
from model2vec_numba.tokenization.stages import Normalizer

__all__ = ["NormalizerSequence", "inserts_characters", "keeps_beginning", "make_normalizer", "single_normalizers"]

# The factories of the normalisers that are not local. `local_step` makes the local ones. A factory returns None for JSON of an unknown form.
_FACTORIES: dict[str, Callable[[dict[str, Any]], Normalizer | None]] = {
    "Prepend": make_prepend,
    "Replace": make_replace,
    "Strip": make_strip,
}


class NormalizerSequence:
    """Applies normalisers one after the other. If there are none, texts stay as they are."""

    def __init__(self, normalizers: list[Normalizer]) -> None:
        self._normalizers = normalizers

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """Return the normalised texts, as `Normalizer.normalize` describes."""
        for normalizer in self._normalizers:
            texts = normalizer.normalize(texts, status)
        return texts


def make_normalizer(config: Any) -> Normalizer | None:
    """Return the normaliser that ``normalizer`` of a `tokenizer.json` describes, or ``None`` if this package does not support it."""
    configs = single_normalizers(config)
    if configs is None:
        return None
    normalizers: list[Normalizer] = []
    # Consecutive local steps become one normaliser, if `LocalNormalizer` supports them together.
    local: list[LocalStep] = []
    for position, single in enumerate(configs):
        step = local_step(single)
        # If an earlier step inserts characters at the beginning of a text, the library loses track of them in a local step, and fails on the text.
        if step is not None and single["type"] != "Replace" and any(map(_inserts, configs[:position])):
            return None
        if local and (step is None or (step.context and (step.context == "Precompiled" or any(earlier.context for earlier in local)))):
            normalizers.append(_of_local_steps(local))
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
        normalizers.append(_of_local_steps(local))
    return normalizers[0] if len(normalizers) == 1 else NormalizerSequence(normalizers)


def _of_local_steps(steps: list[LocalStep]) -> Normalizer:
    """Return the normaliser that applies local steps."""
    config = steps[0].config
    if len(steps) == 1 and is_replaced_character(config):
        return ReplaceCharacter(config["pattern"]["String"], config["content"])
    return LocalNormalizer(steps)


def inserts_characters(config: Any) -> bool:
    """Return whether a normaliser may insert characters at the beginning of a text, because it has a ``Replace`` that matches empty texts."""
    return any(map(_inserts, single_normalizers(config) or []))


def _inserts(config: Any) -> bool:
    """Return whether a single normaliser, whose JSON has a known form, is a ``Replace`` that may insert characters at an empty match."""
    if config["type"] != "Replace" or not config["content"]:
        return False
    ((kind, pattern),) = config["pattern"].items()
    automaton = automaton_of(kind, pattern)
    return automaton is not None and automaton.may_be_empty


def keeps_beginning(config: Any) -> bool:
    """Return whether a normaliser never removes the beginning of a text.

    Then the first character of the result always comes from the first character of the text.
    """
    configs = single_normalizers(config)
    return configs is not None and all(
        isinstance(single, dict)
        and (
            single.get("type") in ("Lowercase", "Prepend")
            or (single.get("type") == "Replace" and local_step(single) is not None and single["content"] != "")
        )
        for single in configs
    )


def single_normalizers(config: Any) -> list[Any] | None:
    """Return the single normalisers of a normaliser, with nested sequences flattened, or ``None`` if a sequence has an unknown form."""
    if config is None:
        return []
    if not isinstance(config, dict) or config.get("type") != "Sequence":
        return [config]
    if config.keys() != {"type", "normalizers"} or not isinstance(config["normalizers"], list):
        return None
    configs: list[Any] = []
    for member in config["normalizers"]:
        members = None if member is None else single_normalizers(member)
        if members is None:
            return None
        configs += members
    return configs
