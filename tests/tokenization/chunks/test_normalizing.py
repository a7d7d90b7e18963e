"""The facts that the rules rely on: the `tokenizers` library's normalisers treat white space and composed characters as `normalizing` says."""

from __future__ import annotations

import unicodedata

import pytest
from tokenizers import normalizers as library

from model2vec_numba.tokenization.chunks.normalizing import SEPARATORS, blanks, read_normalizing
from model2vec_numba.tokenization.normalizers.contexts import context_flags
from model2vec_numba.tokenization.normalizers.local_kernel import GLUES
from tokenization.configs import NORMALIZERS, normalizer_sequence, replace
from tokenization.texts import assigned_characters


@pytest.mark.parametrize("name", ["NFC", "NFD", "NFKC", "NFKD", "StripAccents", "Lowercase", "Nmt"])
def test_white_space_is_not_joined(name: str) -> None:
    normalizer = getattr(library, name)()
    marks = [c for c in assigned_characters() if unicodedata.category(c)[0] == "M" or unicodedata.combining(c)]
    for separator in SEPARATORS:
        space = normalizer.normalize_str(separator)
        for mark in marks:
            alone = normalizer.normalize_str(mark)
            assert normalizer.normalize_str(f"{separator}{mark}{separator}") == f"{space}{alone}{space}", hex(ord(mark))


def test_composed_characters_do_not_glue() -> None:
    """A character that NFC composes is in no cluster with the character after it. So the last code point of a chunk tells whether the chunk glues."""
    composed = [c for c in assigned_characters() if len(unicodedata.normalize("NFD", c)) > 1]
    assert len(composed) > 10_000
    assert not any(flags & GLUES for flags in context_flags("Precompiled", composed))


def test_blanks() -> None:
    assert blanks("a \t\n\xa0\u3000.\u200b") == (set(" \t\n\xa0\u3000"), set(" \t\n\xa0\u3000"))


def test_between_letters() -> None:
    def between(text: str, *steps: dict[str, object]) -> str | None:
        normalizing = read_normalizing(normalizer_sequence(*steps))
        assert normalizing is not None
        return normalizing.between_letters(text)

    assert between(" ") == " "
    assert between(" ", replace(" ", "\u2581")) == "\u2581"
    assert between("\n", replace("x", "y"), NORMALIZERS["Replace-white"]) == " "
    assert between(" ", NORMALIZERS["Replace-white-none"]) == ""
    assert between(" ", replace("[a-z0-9~]", "", "Regex")) is None


def test_unknown_normalizers() -> None:
    assert read_normalizing({"type": "Sequence", "normalizers": [NORMALIZERS["Precompiled"]] * 2}) is None
    assert read_normalizing({"type": "Surprise"}) is None
    assert read_normalizing(NORMALIZERS["Replace-between"]) is None
