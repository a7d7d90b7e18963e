"""Ask the library how it reads a `tokenizer.json`: the value of each member that the file leaves out, and the ids of the added tokens.

"The library" is the Hugging Face `tokenizers` library. It reads older spellings too: a model may have no ``type``, a component may lack members that
have a default, and it may have members that mean nothing. The library writes every tokenizer in one spelling, which is called canonical here. It
takes a long time to read a whole file, so it is given the file with a very small vocabulary.
"""

from __future__ import annotations

import json
from operator import itemgetter
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.spec.json_text import ParsedText

__all__ = ["CanonicalTokenizer", "read_canonically"]

# The members of an added token. All are required.
_ADDED_TOKEN = {"id": int, "content": str, "single_word": bool, "lstrip": bool, "rstrip": bool, "normalized": bool, "special": bool}
# If there are many added tokens, the library is given only this many from each end of the list.
_PROBED = 64


class CanonicalTokenizer(NamedTuple):
    """A tokenizer as the library reads it.

    Attributes:
        config: the `tokenizer.json` in canonical spelling. The vocabulary and the merges are those of `ParsedText.config`, and the added tokens are
            those of the file. If the file lists an added token twice, it is here once.
        added_ids: the id of each added token that is not a token of the model. ``None`` if the library may give other ids.
    """

    config: dict[str, Any]
    added_ids: dict[str, int] | None


def read_canonically(parsed: ParsedText, vocabulary: dict[str, int]) -> CanonicalTokenizer | None:
    """Return a tokenizer as the library reads it. BPE's merges are not checked.

    The result is ``None`` if the library refuses the file, if two added tokens have the same id, or if a token is listed twice with different
    properties: `tokenizers` 0.20 finds both, and 0.23 the last one.

    Args:
        parsed: the parsed file.
        vocabulary: the ids of the model's tokens.
    """
    config = parsed.config
    model, added = config["model"], config.get("added_tokens", [])
    try:
        # The library refuses lone surrogates. JSON can only hold them as escapes.
        if parsed.escapes_surrogates:
            "".join([*vocabulary, *(token["content"] for token in added)]).encode("utf-8")
        probed = [*added[:_PROBED], *added[-_PROBED:]] if len(added) > 2 * _PROBED and _have_known_form(added) else added
        tokens = list(dict.fromkeys(token["content"] for token in probed if token["content"] in vocabulary))
        # The library checks everything except the merges and the tokens that are left out.
        library = Tokenizer.from_str(json.dumps({**config, "added_tokens": probed, "model": {**model, **_small_members(model, tokens)}}))
        canonical = json.loads(library.to_str())
    except BaseException as error:
        if is_library_error(error):
            return None
        raise
    numbers = {token: i for i, token in enumerate(tokens)}
    follows_rule = library.get_vocab(with_added_tokens=True) == numbers | _ids_outside(probed, numbers, len(tokens))
    outside = _ids_outside(added, vocabulary, len(model["vocab"]) if parsed.arrays is None else len(parsed.arrays.texts))
    listed = [token for token in added if token["content"]]
    unique = {token["content"]: token for token in listed}
    if len(unique) < len(listed) and any({**unique[token["content"]], "id": token["id"]} != token for token in listed):
        return None
    ids = [outside[content] if content in outside else vocabulary[content] for content in unique]
    if len(set(ids)) < len(ids):
        return None
    agrees = all(unique[content]["id"] == number for content, number in outside.items())
    own = {name: model.get(name) for name in ("vocab", "merges", "unk_id") if name in canonical["model"]}
    added_tokens = [token if token["id"] == number else {**token, "id": number} for token, number in zip(unique.values(), ids, strict=True)]
    canonical |= {"added_tokens": added_tokens, "model": canonical["model"] | own}
    return CanonicalTokenizer(canonical, outside if follows_rule and agrees else None)


def _have_known_form(added: list[Any]) -> bool:
    """Return whether each added token has the members that the library requires, with the right types, and no others."""
    # Twenty thousand tokens take 15 ms like this, and 60 ms with a loop over the members of each token.
    if set(map(type, added)) != {dict} or any(set(names) != _ADDED_TOKEN.keys() for names in set(map(tuple, added))):
        return False
    if any(set(map(type, map(itemgetter(name), added))) != {kind} for name, kind in _ADDED_TOKEN.items()):
        return False
    ids = list(map(itemgetter("id"), added))
    return min(ids) >= 0 and max(ids) < 1 << 32


def _small_members(model: dict[str, Any], tokens: list[str]) -> dict[str, Any]:
    """Return the members of a model that must change if its vocabulary has only these tokens, with their new values."""
    # The library takes time for each number up to the largest id when it writes the vocabulary, so the ids are small.
    small: dict[str, Any] = {"vocab": {token: i for i, token in enumerate(tokens)}}
    if isinstance(model["vocab"], list):
        small = {"vocab": [[token, 0.0] for token in tokens], "unk_id": None}
    # A model without a type has the first type that fits: BPE, WordPiece, WordLevel or Unigram. BPE fits if there are merges.
    if isinstance(model.get("merges"), list):
        small["merges"] = []
    return small


def _ids_outside(added: list[Any], vocabulary: dict[str, int], size: int) -> dict[str, int]:
    """Return the ids that the library gives to the added tokens that are not in a vocabulary: `size` and so on, in the order of the list.

    Args:
        added: the added tokens.
        vocabulary: the ids of the model's tokens.
        size: the number of tokens of the model.
    """
    outside = dict.fromkeys(token["content"] for token in added if token["content"] and token["content"] not in vocabulary)
    return dict(zip(outside, range(size, size + len(outside)), strict=True))
