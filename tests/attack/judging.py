"""Judge a mutant of a model: it must be a working model with the ids of the `tokenizers` library, or a `ModelError`."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from helpers import LAYOUTS
from tokenizers import Tokenizer

from attack.model_mutants import Mutant, make_mutant
from model2vec_numba import ModelError, StaticModel, TokenizationError

__all__ = ["judge"]

_TEXTS = (
    "",
    "the cat sat",
    "It is c\u00e9ld, 42!",
    "\u4e00\u4e8c \U0001f600 e\u0301\u0301",
    "\0\x07\u200b\ufeff \t\r\n",
    "a" * 300,
    "[UNK] <unk> ## \u2581",
)


def judge(seed: int, folder: Path) -> str:
    """Load and use the mutant with this number.

    Args:
        seed: the number of the mutant.
        folder: a folder for its files.

    Returns:
        ``"refused"`` or ``"works"``.

    Raises:
        AssertionError: the mutant has wrong ids, or the library refuses the file of a model that was loaded.
    """
    mutant = make_mutant(seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # rows with NaN
            model = _load(mutant, folder) if seed % 2 else StaticModel.from_bytes(*mutant.contents)
    except ModelError as error:
        message = str(error)
        assert message and "\n" not in message and len(message) < 2000, message
        return "refused"
    _use(model, mutant, seed)
    return "works"


def _load(mutant: Mutant, folder: Path) -> StaticModel:
    """Write the files and load them."""
    # The files of the fourth layout are in a folder and in its parent.
    home = folder / "model"
    home.mkdir(exist_ok=True)
    for names in LAYOUTS.values():
        for name in names:
            (home / name).unlink(missing_ok=True)
    for name, content in mutant.files.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_bytes(content)
    return StaticModel.from_pretrained(home)


def _use(model: StaticModel, mutant: Mutant, seed: int) -> None:
    random = Random(f"texts {seed}")
    texts = [*_TEXTS, *(random.choice(("", " ", "  ", ", ")).join(random.choices(mutant.words, k=random.randrange(1, 9))) for _ in range(6))]
    texts = [text for text in texts if text.encode("utf-8", "ignore").decode() == text]
    library = model.tokenizer
    canonical = json.loads(library.to_str())
    if canonical["model"].get("dropout"):
        return  # the ids are random
    unknown = _unknown_id(library, canonical["model"])
    expected = [_library_ids(library, text, unknown) for text in texts]
    found = [_ids(model, text) for text in texts]
    if found != expected:
        # The library decides some cases at random: see docs/tokenizers.md.
        again = [[_library_ids(_plain(model._spec.text), text, unknown) for text in texts] for _ in range(8)]
        different = [(texts[i], found[i], expected[i]) for i in range(len(texts)) if found[i] != expected[i]]
        assert any(ids != expected for ids in again), different[:2]
    good = [text for text, ids in zip(texts, found, strict=True) if ids is not None]
    if max((token for ids in found if ids for token in ids), default=0) >= model._table.size:
        return  # a vocabulary lists a token twice, and the last ids have no vector
    vectors = model.encode(good)
    assert vectors.shape == (len(good), model.dim) and vectors.dtype == np.float32


def _plain(text: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _unknown_id(library: Tokenizer, model: dict[str, Any]) -> int | None:
    if isinstance(model.get("unk_id"), int):
        return int(model["unk_id"])
    return library.token_to_id(model["unk_token"]) if isinstance(model.get("unk_token"), str) else None


def _library_ids(library: Tokenizer, text: str, unknown: int | None) -> list[int] | None:
    """Return the library's ids without the unknown id. ``None``: it refuses the text."""
    try:
        ids = library.encode(text, add_special_tokens=False).ids
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            return None
        raise
    return [i for i in ids if i != unknown]


def _ids(model: StaticModel, text: str) -> list[int] | None:
    try:
        return model.tokenize([text], max_length=None)[0]
    except TokenizationError:
        return None
