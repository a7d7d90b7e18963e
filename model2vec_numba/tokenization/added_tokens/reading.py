"""Read the added tokens of a `tokenizer.json`. The `tokenizers` library cuts a text at added tokens before it does anything else."""

from __future__ import annotations

from typing import NamedTuple

from model2vec_numba.tokenization.added_tokens.search import LSTRIP, RSTRIP, SINGLE_WORD, SPECIAL
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

__all__ = ["NO_TOKENS", "AddedTokens", "AllAddedTokens", "read_added_tokens"]


class AddedTokens(NamedTuple):
    """Added tokens, as lists that are equally long.

    Attributes:
        contents: the text of each token. No text is empty, and all are different.
        ids: the id of each token.
        flags: `SINGLE_WORD` if a token counts only where no part of a word is next to it, `LSTRIP` and `RSTRIP` if it takes the white space before
            and after it, and `SPECIAL` if it is a special token.
    """

    contents: list[str]
    ids: list[int]
    flags: list[int]


NO_TOKENS = AddedTokens([], [], [])


class AllAddedTokens(NamedTuple):
    """The added tokens of a `tokenizer.json` that are not empty.

    Attributes:
        raw: the tokens that are found in the text as it is.
        normalized: the tokens that are found in the normalised text, by their normalised contents. Here, `contents` are not normalised yet.
    """

    raw: AddedTokens
    normalized: AddedTokens

    @property
    def hold_white_space(self) -> bool:
        """Whether any of the tokens contains white space."""
        text = "".join(self.raw.contents + self.normalized.contents)
        return any(map(str.isspace, set(text)))


def read_added_tokens(spec: TokenizerSpec) -> AllAddedTokens | None:
    """Return the added tokens of a tokenizer. ``None`` if two of them have the same id: the library then forgets one of the two."""
    # If a content is listed twice, the last token counts.
    listed = {token["content"]: token for token in spec.config.get("added_tokens") or [] if token["content"]}
    kinds = AddedTokens([], [], []), AddedTokens([], [], [])
    vocabulary = spec.vocabulary
    for content, token in listed.items():
        contents, ids, flags = kinds[token["normalized"]]
        contents.append(content)
        ids.append(vocabulary[content])
        flags.append(SINGLE_WORD * token["single_word"] | LSTRIP * token["lstrip"] | RSTRIP * token["rstrip"] | SPECIAL * token["special"])
    return AllAddedTokens(*kinds) if len({*kinds[0].ids, *kinds[1].ids}) == len(listed) else None
