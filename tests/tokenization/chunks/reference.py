"""A slow tokeniser that cuts texts by a rule, and asks the `tokenizers` library for the ids of each chunk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from tokenizers import Tokenizer

from model2vec_numba.batches import TextBatch
from model2vec_numba.tokenization.added_tokens.reading import read_added_tokens
from model2vec_numba.tokenization.chunks.rules import ChunkRule, chunk_rule
from model2vec_numba.tokenization.components import is_library_error
from tokenization.cases import spec_of
from tokenization.configs import Config

__all__ = ["ByChunks", "chunks_of", "rule_of"]

Ids = list[int]

# The places of the cuts: before a single space, and after a single newline, between two bytes above 0x20.
_BEFORE_SPACE = rb"(?<=[\x21-\xff])(?= [\x21-\xff])"
_AFTER_NEWLINE = rb"(?<=[\x21-\xff]\n)(?=[\x21-\xff])"


def rule_of(config: Config) -> ChunkRule | None:
    """Return the rule of a tokenizer."""
    spec = spec_of(config)
    added = read_added_tokens(spec)
    return chunk_rule(spec, added) if spec.keeps_ids and added is not None else None


def chunks_of(rule: ChunkRule, text: str) -> list[bytes]:
    """Return the chunks of a text."""
    data = text.encode()
    if rule.trims:
        return [chunk for chunk in re.split(rb"[ \t\n\r]+", data) if chunk]
    return [chunk for chunk in re.split(_BEFORE_SPACE + (b"|" + _AFTER_NEWLINE if rule.after_newline else b""), data) if chunk]


class ByChunks:
    """A tokenizer with its rule.

    Attributes:
        cut: the number of texts that were tokenised chunk by chunk.
        whole: the number of texts that were not, because a chunk was unsafe.
    """

    def __init__(self, config: Config, rule: ChunkRule) -> None:
        spec = spec_of(config)
        self._unknown = spec.unk_token_id
        self._library = Tokenizer.from_str(spec.text)
        self._library.no_truncation()
        self._library.no_padding()
        self.rule = rule
        self._ids: dict[bytes, Ids | None] = {}
        self._unsafe: dict[bytes, bool] = {}
        self.cut = 0
        self.whole = 0

    def _tokenize(self, texts: list[str]) -> list[Ids | None]:
        """Return the library's ids of each text without the unknown id, ``None`` if it fails on a text."""
        try:
            return [[i for i in encoding.ids if i != self._unknown] for encoding in self._library.encode_batch_fast(texts, add_special_tokens=False)]
        except BaseException as error:
            if not is_library_error(error):
                raise
        return [None] if len(texts) == 1 else [ids for text in texts for ids in self._tokenize([text])]

    def _learn(self, chunks: Iterable[bytes]) -> None:
        new = [chunk for chunk in dict.fromkeys(chunks) if chunk not in self._unsafe]
        if not new:
            return
        flags = [0] * len(new)
        if self.rule.edges is not None:
            for forms in (new, [chunk.removeprefix(b" ") for chunk in new]) if self.rule.drops_space else (new,):
                offsets = np.cumsum([0, *map(len, forms)], dtype=np.int64)
                flags = self.rule.edges.unsafe(TextBatch(np.frombuffer(b"".join(forms) + b"\0", np.uint8), offsets)).tolist()
        self._unsafe.update(zip(new, map(bool, flags), strict=True))
        safe = [chunk for chunk in new if not self._unsafe[chunk]]
        texts = [(chunk.removeprefix(b" ") if self.rule.drops_space else chunk).decode() for chunk in safe]
        self._ids.update(zip(safe, self._tokenize(texts), strict=True))

    def mismatches(self, texts: Iterable[str], batch_size: int = 4096) -> Iterator[tuple[str, Ids, Ids]]:
        """Give each text whose chunks have other ids than the text, with the ids of the chunks and of the text."""
        texts = iter(texts)
        while group := list(islice(texts, batch_size)):
            parts = [chunks_of(self.rule, text) for text in group]
            self._learn(chunk for chunks in parts for chunk in chunks)
            for text, chunks, expected in zip(group, parts, self._tokenize(group), strict=True):
                if expected is None:
                    continue
                if any(self._unsafe[chunk] for chunk in chunks) or (self.rule.drops_space and text.startswith(" ")):
                    self.whole += 1
                    continue
                self.cut += 1
                ids = [self._ids[chunk] for chunk in chunks]
                found = [i for single in ids for i in single or ()]
                if None in ids or found != expected:
                    yield text, found, expected
