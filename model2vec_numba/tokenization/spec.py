"""Read `tokenizer.json`: what StaticModel needs to know of it, whichever backend tokenises."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from model2vec_numba.errors import ModelFormatError

__all__ = ["TokenizerSpec", "parse_tokenizer"]


@dataclass(frozen=True, eq=False)
class TokenizerSpec:
    """A parsed `tokenizer.json`.

    Attributes:
        text: the file's text.
        source: what to call the file in an error.
        parts: the parsed JSON object. `truncation` and `padding` in it are not heeded.
    """

    text: str
    source: str
    parts: dict[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        # The library's tokeniser would be pickled as it writes itself, and what it writes is not always what it read.
        return parse_tokenizer, (self.text, self.source)

    @cached_property
    def library(self) -> Tokenizer:
        """The `tokenizers` library's tokeniser for this file; see `make_library`."""
        return self.make_library()

    def make_library(self) -> Tokenizer:
        """A new tokeniser of the `tokenizers` library for this file, with truncation and padding off.

        Raises:
            ModelFormatError: the library refuses the file.
        """
        try:
            tokenizer = Tokenizer.from_str(self.text)
        except BaseException as error:
            # A panic inside the library arrives as a BaseException of its own kind.
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise ModelFormatError(f"{self.source}: not a tokenizer that the tokenizers library can read: {error}") from error
            raise
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Token to id, the added tokens among them, as the library has it."""
        plain = self.plain_vocabulary
        return self.library.get_vocab(with_added_tokens=True) if plain is None else plain

    @cached_property
    def plain_vocabulary(self) -> dict[str, int] | None:
        """WordPiece's token to id as the file has it, if the library would have it so; else ``None``.

        It would if every added token is one of the model's (others get ids of the library's choosing), and the file is otherwise in order.
        Making the library's tokeniser takes four times as long as parsing the file, so it is not made where it can be done without.
        """
        model, added = self.parts["model"], self.parts.get("added_tokens")
        vocabulary = model.get("vocab")
        if model.get("type") != "WordPiece" or not isinstance(vocabulary, dict) or not isinstance(added, list):
            return None
        if set(map(type, vocabulary.values())) != {int}:
            return None
        try:
            ids = np.fromiter(vocabulary.values(), np.int64, len(vocabulary))
            if ids.min() < 0 or ids.max() >= 1 << 31:
                return None
            "".join(vocabulary).encode("utf-8")
            contents = {token["content"] for token in added}
            # Everything but the vocabulary: whether the library would take it.
            Tokenizer.from_str(json.dumps({**self.parts, "model": {**model, "vocab": {token: vocabulary[token] for token in contents}}}))
        except BaseException as error:
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                return None
            raise
        return vocabulary

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """The tokens in the order of their ids."""
        return tuple(sorted(self.vocabulary, key=self.vocabulary.__getitem__))

    @cached_property
    def size(self) -> int:
        """One more than the largest id."""
        return max(self.vocabulary.values()) + 1

    @cached_property
    def median_token_length(self) -> int:
        """The median length of the tokens, in code points, rounded down."""
        return int(np.median(np.fromiter(map(len, self.vocabulary), np.int64, len(self.vocabulary))))

    @cached_property
    def unk_token_id(self) -> int | None:
        """The id that is dropped: `model.unk_id` where the file has one (Unigram), else the id of `model.unk_token`, else none."""
        model = self.parts["model"]
        unk_id, unk_token = model.get("unk_id"), model.get("unk_token")
        if isinstance(unk_id, int):
            return unk_id
        return self.vocabulary.get(unk_token) if isinstance(unk_token, str) else None


def parse_tokenizer(text: str, source: str) -> TokenizerSpec:
    """Parse the text of a `tokenizer.json`, which `source` names in errors.

    Raises:
        ModelFormatError: it is not JSON, not of the form of a tokenizer, or has no tokens.
    """
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{source}: not JSON: {error}") from error
    if not isinstance(parts, dict) or not isinstance(parts.get("model"), dict):
        raise ModelFormatError(f"{source}: not a tokenizer: expected a JSON object with an object 'model'")
    spec = TokenizerSpec(text, source, parts)
    if not spec.vocabulary:
        raise ModelFormatError(f"{source}: the tokenizer has no tokens")
    return spec
