"""How the added tokens of a tokenizer restrict the places where a text may be cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from model2vec_numba.tokenization.added_tokens.reading import AddedTokens, AllAddedTokens
from model2vec_numba.tokenization.added_tokens.search import LSTRIP, RSTRIP, SINGLE_WORD
from model2vec_numba.tokenization.chunks.edges import AFTER_NOTHING, AFTER_SPACE, BEFORE_END
from model2vec_numba.tokenization.chunks.normalizing import Hazards, blanks
from model2vec_numba.tokenization.components import library_normalizer
from model2vec_numba.tokenization.unicode.probes import try_normalize

__all__ = ["Contents", "read_contents"]


class Contents(NamedTuple):
    """The added tokens of a tokenizer.

    Attributes:
        raw: the tokens that are found in the text as it is.
        normalized: the tokens that are found in the normalised text, with their normalised contents.
        originals: the contents of `normalized` as the file has them.
    """

    raw: AddedTokens
    normalized: AddedTokens
    originals: list[str]

    def _all(self) -> list[str]:
        return [*self.raw.contents, *self.normalized.contents, *self.originals]

    def hold(self, character: str) -> bool:
        """Return whether a token contains a character."""
        return any(character in content for content in self._all())

    def hold_white_space(self) -> bool:
        """Return whether a token contains white space, or is empty after normalisation."""
        used = set("".join(self._all()))
        return "" in self._all() or any(map(str.isspace, used)) or any(blanks(used))

    def cross_separator(self, separator: str, hazards: Hazards) -> bool:
        """Return whether a token may be found across a cut, or may look across it. Write the ends of chunks where this may happen to `hazards`.

        A chunk begins with the space, and its normalised form with `separator`.
        """
        kinds = ((self.raw, " "), (self.normalized, separator))
        for tokens, begin in kinds:
            for content, flags in zip(tokens.contents, tokens.flags, strict=True):
                befores = {content[at - 1] for at in range(1, len(content)) if content[at] == begin}
                if begin == " ":
                    befores -= set().union(*blanks(befores)) if befores else set()
                elif flags & SINGLE_WORD:
                    return True
                if not befores <= ({begin} if begin != " " else set()) or (flags & SINGLE_WORD and content[:1] == begin):
                    return True
                if befores:
                    hazards.last[begin] = BEFORE_END
        for content, flags, hazard in self._with_hazards(hazards):
            if flags & RSTRIP:
                # The token takes the space of the next chunk.
                last = content[-1:]
                hazard[1][last] = hazard[1].get(last, 0) | BEFORE_END
            if flags & LSTRIP:
                # The token takes the newline of the chunk before.
                hazard[0][content[:1]] = hazard[0].get(content[:1], 0) | AFTER_NOTHING
            if flags & (LSTRIP | RSTRIP) and not content.isascii() and hazard[0] is hazards.first:
                return True
        return False

    def make_ends_unsafe(self, hazards: Hazards, *, lasts: bool) -> None:
        """Write to `hazards` that no chunk may begin with a token and, if `lasts`, that none may end with one."""
        for content, _, (firsts, ends) in self._with_hazards(hazards):
            firsts[content[:1]] = firsts.get(content[:1], 0) | AFTER_SPACE | AFTER_NOTHING
            if lasts:
                ends[content[-1:]] = ends.get(content[-1:], 0) | BEFORE_END

    def _with_hazards(self, hazards: Hazards) -> Iterator[tuple[str, int, tuple[dict[str, int], dict[str, int]]]]:
        """Yield each content with its flags and with the hazards of the first and the last characters of a chunk to write to."""
        for tokens, target in ((self.raw, (hazards.raw, hazards.raw)), (self.normalized, (hazards.first, hazards.last))):
            for content, flags in zip(tokens.contents, tokens.flags, strict=True):
                yield content, flags, target


def read_contents(added: AllAddedTokens, normalizer: Any) -> Contents | None:
    """Return the added tokens of a tokenizer. ``None`` if the library fails on one. `normalizer`: the JSON of its normaliser."""
    tokens = added.normalized
    if normalizer is None or not tokens.contents:
        return Contents(added.raw, tokens, tokens.contents)
    library = library_normalizer(normalizer)
    contents = [try_normalize(library, content) for content in tokens.contents]
    known = [content for content in contents if content is not None]
    return Contents(added.raw, tokens._replace(contents=known), tokens.contents) if len(known) == len(contents) else None
