"""Replace, for the patterns that an automaton can find. `LocalNormalizer` replaces strings of one character."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, read_only
from model2vec_numba.jit.decorators import compiled
from model2vec_numba.jit.simd import copy_bytes
from model2vec_numba.tokenization.components import has_form
from model2vec_numba.tokenization.regex.automaton import Automaton
from model2vec_numba.tokenization.regex.kernel import BEHAVIORS
from model2vec_numba.tokenization.regex.matching import automaton_of, cut
from model2vec_numba.tokenization.stages import DONE, Normalizer, PreTokenBatch

__all__ = ["Replace", "make_replace"]


def make_replace(config: dict[str, Any]) -> Normalizer | None:
    """Return the normaliser for a ``Replace``, or ``None`` if its JSON has an unknown form, or if no automaton can find its pattern."""
    if not has_form(config, {"pattern": dict, "content": str}) or len(config["pattern"]) != 1:
        return None
    ((kind, pattern),) = config["pattern"].items()
    automaton = automaton_of(kind, pattern) if kind in ("String", "Regex") and isinstance(pattern, str) else None
    return None if automaton is None else Replace(automaton, config["content"])


class Replace:
    """Replaces the matches of an automaton by a string."""

    def __init__(self, automaton: Automaton, content: str) -> None:
        self._automaton = automaton
        self._content = np.frombuffer(content.encode("utf-8") + b"\0", np.uint8)[:-1]

    def normalize(self, texts: TextBatch, status: NDArray[np.uint8]) -> TextBatch:
        """Return the normalised texts, as `Normalizer.normalize` describes."""
        matches = cut(self._automaton, PreTokenBatch.whole(texts), status, BEHAVIORS["Removed"], invert=True, keeps_empty=True)
        spans = (matches.begins, matches.ends)
        if not len(matches.begins) or not change_text(texts.data, *spans, self._content):
            return texts
        # Copying may write up to seven bytes after the end.
        size = 8 + int(texts.offsets[-1] - texts.offsets[0]) + len(matches.begins) * len(self._content)
        out, offsets = np.empty(size, np.uint8), np.empty(len(texts) + 1, np.int64)
        replace_spans(texts.data, texts.offsets, *spans, matches.offsets, self._content, status, out, offsets)
        return TextBatch(read_only(out), offsets)


@compiled()
def change_text(data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64], content: NDArray[np.uint8]) -> bool:
    """Return whether any of the spans ``data[begins[k]:ends[k]]`` differs from `content`."""
    for k in range(len(begins)):
        if ends[k] - begins[k] != len(content):
            return True
        for i in range(len(content)):
            if data[begins[k] + i] != content[i]:
                return True
    return False


@compiled()
def replace_spans(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    span_offsets: NDArray[np.int64],
    content: NDArray[np.uint8],
    status: NDArray[np.uint8],
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
) -> None:
    """Write the texts to `out` and `out_offsets` with `content` in place of spans. Texts that are not `DONE` are written as empty texts.

    Text ``i`` has the spans ``data[begins[k]:ends[k]]``, where ``k`` goes from ``span_offsets[i]`` to ``span_offsets[i + 1] - 1``. The spans are in
    the order of the text.
    """
    at = 0
    for text in range(len(offsets) - 1):
        out_offsets[text] = at
        if status[text] != DONE:
            continue
        copied = offsets[text]
        for k in range(span_offsets[text], span_offsets[text + 1]):
            at = copy_bytes(data, copied, begins[k], out, at)
            for i in range(len(content)):
                out[at + i] = content[i]
            at += len(content)
            copied = ends[k]
        at = copy_bytes(data, copied, offsets[text + 1], out, at)
    out_offsets[len(offsets) - 1] = at
