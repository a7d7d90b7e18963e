"""Read `tokenizer.json`: what StaticModel needs to know of it, whichever backend tokenises."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.errors import ModelFormatError
from model2vec_numba.tokenization.json_numbers import library_numbers

__all__ = ["TokenizerSpec", "parse_tokenizer"]


@dataclass(frozen=True, eq=False)
class TokenizerSpec:
    """A parsed `tokenizer.json`.

    Attributes:
        text: the file's text.
        source: what to call the file in an error.
    """

    text: str
    source: str

    @property
    def parts(self) -> dict[str, Any]:
        """The parsed JSON object. `truncation` and `padding` in it are not heeded.

        Raises:
            ModelFormatError: it is not JSON, or not of the form of a tokenizer.
        """
        return self._parsed[0]

    @cached_property
    def _parsed(self) -> tuple[dict[str, Any], list[str]]:
        """`parts`, and how the numbers that are not integers are written, in the order of the text."""
        literals: list[str] = []

        def parse_float(literal: str) -> float:
            literals.append(literal)
            return float(literal)

        try:
            parts = json.loads(self.text, parse_float=parse_float)
        except (ValueError, RecursionError) as error:
            raise ModelFormatError(f"{self.source}: not JSON: {error}") from error
        if not isinstance(parts, dict) or not isinstance(parts.get("model"), dict):
            raise ModelFormatError(f"{self.source}: not a tokenizer: expected a JSON object with an object 'model'")
        return parts, literals

    def forget(self) -> None:
        """Let go of what was parsed, which takes ten times as much memory as the text. What is asked for afterwards is parsed again."""
        # These are asked for at every turn.
        _ = self.size, self.median_token_length, self.unk_token_id
        for name in ("_parsed", "vocabulary", "plain_vocabulary", "mapped_vocabulary", "merges", "unigram_scores"):
            self.__dict__.pop(name, None)

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
        """Token to id as the file has it, if the library would have it so; else ``None``.

        It would if every added token is one of the model's (others get ids of the library's choosing), and the file is otherwise in order.
        Making the library's tokeniser takes four times as long as parsing the file, so it is not made where it can be done without.
        """
        model, added = self.parts["model"], self.parts.get("added_tokens")
        kind = model.get("type")
        vocabulary = _unigram_vocabulary(model) if kind == "Unigram" else self.mapped_vocabulary[0]
        if kind not in ("WordPiece", "WordLevel", "BPE", "Unigram") or not vocabulary or not isinstance(added, list):
            return None
        try:
            # Lone surrogates, which the library refuses, can only be where they are written as escapes.
            if "\\ud" in self.text or "\\uD" in self.text:
                "".join(vocabulary).encode("utf-8")
            contents = {token["content"] for token in added}
            if not contents <= vocabulary.keys():
                return None
            large: dict[str, Any] = {"vocab": {token: vocabulary[token] for token in contents}}
            if kind == "Unigram":
                large = {"vocab": [[token, 0.0] for token in contents], "unk_id": None}
            elif kind == "BPE":
                if self.merges is None:
                    return None
                large["merges"] = []
            # Everything but the vocabulary and the merges: whether the library would take it.
            Tokenizer.from_str(json.dumps({**self.parts, "model": {**model, **large}}))
        except BaseException as error:
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                return None
            raise
        return vocabulary

    @cached_property
    def mapped_vocabulary(self) -> tuple[dict[str, int], NDArray[np.int32]]:
        """The model's token to id, and the ids, if it has a vocabulary of that form; else none of them."""
        vocabulary = self.parts["model"].get("vocab")
        none = dict[str, int](), np.empty(0, np.int32)
        if not isinstance(vocabulary, dict) or set(map(type, vocabulary.values())) != {int}:
            return none
        try:
            ids = np.fromiter(vocabulary.values(), np.int32, len(vocabulary))
        except OverflowError:
            return none
        return (vocabulary, ids) if ids.min() >= 0 else none

    @cached_property
    def merges(self) -> NDArray[np.int64] | None:
        """BPE's merges, shape (merges, 3): left, right and new id of each, in the order of their ranks.

        ``None`` unless they are surely what the library would read: pairs of tokens that make a token, of which the right one has the
        `continuing_subword_prefix` and something after it.
        """
        model = self.parts["model"]
        vocabulary, merges, prefix = model.get("vocab"), model.get("merges"), model.get("continuing_subword_prefix") or ""
        if not isinstance(vocabulary, dict) or not isinstance(merges, list) or not isinstance(prefix, str):
            return None
        kinds = set(map(type, merges))
        if kinds == {str}:
            # The older form, as in `merges.txt`.
            merges = [merge.split(" ") for merge in merges if not merge.startswith("#version")]
        elif not kinds <= {list}:
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
            made = [left + right[cut:] for left, right in merges]
            columns = [[vocabulary[token] for token in tokens] for tokens in (lefts, rights, made)]
            return np.array(columns, np.int64).reshape(3, -1).T.copy()
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            return None

    @cached_property
    def unigram_scores(self) -> NDArray[np.float64] | None:
        """The scores of Unigram's tokens, float64 of shape (tokens,), as the library has them; ``None`` if that is not known."""
        if self.plain_vocabulary is None or self.parts["model"]["type"] != "Unigram":
            return None
        scores = [score for _, score in self.parts["model"]["vocab"]]
        written = iter(self._parsed[1])
        try:
            literals = [next(written) if isinstance(score, float) else str(score) for score in scores]
        except StopIteration:
            return None
        # Any more of them would stand somewhere else in the file, perhaps before.
        return library_numbers(literals) if next(written, None) is None else None

    @property
    def keeps_ids(self) -> bool:
        """Whether the post-processor leaves a text's own ids as they are when no special tokens are asked for."""
        return _keeps_ids(self.parts.get("post_processor"))

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """The tokens in the order of their ids."""
        tokens = tuple(sorted(self.vocabulary, key=self.vocabulary.__getitem__))
        self.forget()
        return tokens

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


def _keeps_ids(post_processor: Any) -> bool:
    if post_processor is None:
        return True
    if not isinstance(post_processor, dict):
        return False
    if post_processor.get("type") == "Sequence":
        processors = post_processor.get("processors")
        return isinstance(processors, list) and all(map(_keeps_ids, processors))
    if post_processor.get("type") == "TemplateProcessing":
        # A template may also repeat the text, or leave it out.
        pieces = post_processor.get("single")
        own = [piece for piece in pieces if "SpecialToken" not in piece] if isinstance(pieces, list) else []
        return len(own) == 1 and own[0].get("Sequence", {}).get("id") == "A"
    return post_processor.get("type") in ("BertProcessing", "RobertaProcessing", "ByteLevel")


def _unigram_vocabulary(model: dict[str, Any]) -> dict[str, int] | None:
    """Token to id, if the model has a vocabulary of the right form: a list of tokens and scores. Of equal tokens the last counts."""
    pairs, unknown = model.get("vocab"), model.get("unk_id")
    if not isinstance(pairs, list) or not pairs or set(map(type, pairs)) != {list} or set(map(len, pairs)) != {2}:
        return None
    tokens, scores = zip(*pairs, strict=True)
    if set(map(type, tokens)) != {str} or not set(map(type, scores)) <= {float, int}:
        return None
    if unknown is not None and (type(unknown) is not int or not 0 <= unknown < len(pairs)):
        return None
    return dict(zip(tokens, range(len(tokens)), strict=True))


def parse_tokenizer(text: str, source: str) -> TokenizerSpec:
    """Parse the text of a `tokenizer.json`, which `source` names in errors.

    Raises:
        ModelFormatError: it is not JSON, not of the form of a tokenizer, or has no tokens.
    """
    spec = TokenizerSpec(text, source)
    if not spec.vocabulary:
        raise ModelFormatError(f"{source}: the tokenizer has no tokens")
    return spec
