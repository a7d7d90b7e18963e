"""The parts that most cases share: tokenizers, lists of modules, and a small model with four tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from definitions.form import Tensor, Text, diagonal

__all__ = [
    "CONFIG",
    "MATRIX",
    "NORMALIZE",
    "STATIC",
    "TEXTS",
    "WORDS",
    "added_token",
    "bpe",
    "modules",
    "tokenizer",
    "unigram",
    "word_level",
    "word_piece",
]

WORDS = {"[UNK]": 0, "alpha": 1, "beta": 2, "gamma": 3}
MATRIX = Tensor("F32", diagonal(4))
TEXTS = (Text("alpha", (1,)), Text("alpha beta", (1, 2)), Text("gamma gamma beta", (3, 3, 2)))
# What model2vec writes, without `max_length`.
CONFIG = {"model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": 4, "normalize": False}

STATIC = "sentence_transformers.models.StaticEmbedding"
NORMALIZE = "sentence_transformers.models.Normalize"


def modules(*kinds: str, first: str = ".") -> list[dict[str, Any]]:
    """Return the list of `modules.json`. The path of the first module is `first`, and the others have folders such as ``1_Normalize``."""
    entries = enumerate(kinds)
    return [{"idx": i, "name": str(i), "path": first if i == 0 else f"{i}_{kind.rpartition('.')[2]}", "type": kind} for i, kind in entries]


def added_token(number: int, content: str, **flags: bool) -> dict[str, Any]:
    """Return an added token. All flags are false unless given."""
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"id": number, "content": content, **dict.fromkeys(names, False), **flags}


def tokenizer(model: Mapping[str, Any], pre_tokenizer: Any = None, **members: Any) -> dict[str, Any]:
    """Return the content of `tokenizer.json`."""
    file: dict[str, Any] = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None}
    return {**file, "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": None, **members, "model": model}


def word_level(vocabulary: Mapping[str, int] = WORDS, **members: Any) -> dict[str, Any]:
    """Return a tokenizer that splits at white space and looks whole words up."""
    model = {"type": "WordLevel", "vocab": dict(vocabulary), "unk_token": "[UNK]"}
    return tokenizer(model, **{"pre_tokenizer": {"type": "WhitespaceSplit"}, **members})


def word_piece(vocabulary: Sequence[str], **members: Any) -> dict[str, Any]:
    """Return BERT's tokenizer for lower case, with the tokens in the order of their ids."""
    ids = {token: number for number, token in enumerate(vocabulary)}
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": ids}
    normalizer = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    return tokenizer(model, **{"pre_tokenizer": {"type": "BertPreTokenizer"}, "normalizer": normalizer, **members})


def bpe(
    vocabulary: Sequence[str], merges: Sequence[Any], *, unk_token: str | None = None, byte_fallback: bool = False, **members: Any
) -> dict[str, Any]:
    """Return a BPE tokenizer that splits at white space, with the tokens in the order of their ids."""
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": unk_token,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": byte_fallback,
        "ignore_merges": False,
        "vocab": {token: number for number, token in enumerate(vocabulary)},
        "merges": list(merges),
    }
    return tokenizer(model, **{"pre_tokenizer": {"type": "WhitespaceSplit"}, **members})


def unigram(pieces: Sequence[tuple[str, float]], unk_id: int | None = 0, *, byte_fallback: bool = False, **members: Any) -> dict[str, Any]:
    """Return a Unigram tokenizer that marks the beginning of each word with ``\u2581``."""
    model = {"type": "Unigram", "unk_id": unk_id, "vocab": [[piece, score] for piece, score in pieces], "byte_fallback": byte_fallback}
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    return tokenizer(model, **{"pre_tokenizer": metaspace, **members})
