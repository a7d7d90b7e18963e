"""Normalisers and pre-tokenisers by themselves, compared with those of the `tokenizers` library."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from helpers import flatten_tightly

from model2vec_numba.tokenization.byte_alphabet import spelled_out
from model2vec_numba.tokenization.components import library_normalizer, library_pre_tokenizer
from model2vec_numba.tokenization.normalizers import make_normalizer
from model2vec_numba.tokenization.pre_tokenizers import make_pre_tokenizer
from model2vec_numba.tokenization.stages import PreTokenBatch
from model2vec_numba.tokenization.unicode.probes import try_normalize
from tokenization.configs import Config

__all__ = ["PreTokenizerComparison", "check_normalizer"]


def check_normalizer(config: Config, texts: Iterable[str]) -> int:
    """Fail unless a compiled normaliser gives what the library gives. Return the number of texts that it does not support.

    Texts on which the library fails are left out, as it fails on some if `Strip` follows something that makes texts shorter.
    """
    normalizer, library = make_normalizer(config), library_normalizer(config)
    assert normalizer is not None
    texts = list(texts)
    status = np.zeros(len(texts), np.uint8)
    found = normalizer.normalize(flatten_tightly(texts), status)
    assert len(found) == len(texts)
    for i, text in enumerate(texts):
        expected = try_normalize(library, text)
        if not status[i] and expected is not None:
            assert found.text(i) == expected, f"{text!r}: {found.text(i)!r}, not {expected!r}"
    return int(np.count_nonzero(status))


class PreTokenizerComparison:
    """A pre-tokeniser, compiled and in the library.

    Attributes:
        compiled: the compiled one.
        library: that of the library; ``None`` if there is no pre-tokeniser.
        fallbacks: the number of texts that the compiled one did not support.
    """

    def __init__(self, config: Config | None) -> None:
        compiled = make_pre_tokenizer(config)
        assert compiled is not None, config
        self.compiled = compiled
        self.library: Any = None if config is None else library_pre_tokenizer(config)
        self.fallbacks = 0

    def pre_tokens(self, texts: Sequence[str], marked: Iterable[int] = ()) -> tuple[list[list[str]], list[bool]]:
        """Return the pre-tokens of each text, and whether it is left to the library. The texts `marked` are left to it from the beginning."""
        status = np.zeros(len(texts), np.uint8)
        status[list(marked)] = 1
        batch = spelled_out(self.compiled.split(PreTokenBatch.whole(flatten_tightly(texts)), status))
        data, begins, ends = batch.data.tobytes(), batch.begins.tolist(), batch.ends.tolist()
        flat = [data[begin:end].decode() for begin, end in zip(begins, ends, strict=True)]
        return [flat[first:last] for first, last in itertools.pairwise(batch.offsets.tolist())], (status > 0).tolist()

    def expected(self, text: str) -> list[str]:
        """Return the library's pre-tokens. An empty one, of an empty text, has no ids in any model, so it is left out."""
        found = [text] if self.library is None else [pre_token for pre_token, _ in self.library.pre_tokenize_str(text)]
        return [pre_token for pre_token in found if pre_token]

    def check(self, texts: Iterable[str], batch_size: int = 8192) -> None:
        """Fail unless the pre-tokens of every text are the library's."""
        texts = iter(texts)
        while group := list(itertools.islice(texts, batch_size)):
            found, fallbacks = self.pre_tokens(group)
            self.fallbacks += sum(fallbacks)
            for text, pre_tokens, fell_back in zip(group, found, fallbacks, strict=True):
                if not fell_back:
                    expected = self.expected(text)
                    assert pre_tokens == expected, f"{text!r}: {pre_tokens}, not {expected}"
