"""What the library reads differently than Python: members that are listed twice, numbers, and files that it must not be given."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from helpers import new_tokenizer, random_matrix
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from tokenizers import Tokenizer

from model2vec_numba import ModelFormatError, StaticModel
from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.spec.json_text import _count_strings, _survey, parse_text
from model2vec_numba.tokenization.spec.vocabulary import merges_lack_prefix
from tokenization.cases import CASES
from tokenization.configs import NORMALIZERS, charsmap_bytes, config_of

TEXT = json.dumps(json.loads(new_tokenizer("the", "cat", "sat").to_str()))


def load(text: str, rows: int = 200) -> StaticModel:
    return StaticModel.from_bytes(text.encode(), save({"embeddings": random_matrix(rows, 3, "float32")}), b"{}")


def count_strings(text: str) -> int:
    data = np.frombuffer(text.encode() + b"\0\0", np.uint8)
    return _count_strings(data, np.flatnonzero(data == ord("\\")))


def is_refused_by_the_library(text: str) -> bool:
    try:
        Tokenizer.from_str(text)
    except BaseException as error:
        if is_library_error(error):
            return True
        raise
    return False


@pytest.mark.parametrize("name", CASES)
def test_usual_files_are_read_alike(name: str) -> None:
    config = CASES[name].make()
    for ascii_only in (True, False):
        for indent in (None, 2):
            text = json.dumps(config, ensure_ascii=ascii_only, indent=indent)
            assert _survey(config)[0] == count_strings(text)
            assert parse_text(text, "test").read_alike


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.text('"\\ab/\u00e9\U0001f600\n,:{}[]-0', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\ab:', max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_number_of_strings(value: Any, ascii_only: bool) -> None:
    def count(part: Any) -> int:
        if isinstance(part, str):
            return 1
        if isinstance(part, dict):
            return len(part) + sum(map(count, part.values()))
        return sum(map(count, part)) if isinstance(part, list) else 0

    assert count_strings(json.dumps(value, ensure_ascii=ascii_only)) == count(value)


@pytest.mark.parametrize(
    ("found", "changed"),
    [
        ('"unk_token": "[UNK]"', '"unk_token": "[UNK]", "unk_token": "[UNK]"'),
        ('"unk_token": "[UNK]"', '"unk_token": "the", "unk_token": "[UNK]"'),
        ('"type": "WordLevel"', '"type": "WordLevel", "type": "WordLevel"'),
        ('"[UNK]": 0', '"[UNK]": -0'),
        ('"[UNK]": 0', '"[UNK]": 0.0'),
        ('"[UNK]": 0', '"[UNK]": 4294967296'),
        ('"[UNK]": 0', '"[UNK]": 1e999'),
        ('"[UNK]": 0', '"[UNK]": 0, "[UNK]": 0'),
        ('"truncation": null', '"truncation": NaN'),
        ('"truncation": null', '"truncation": Infinity'),
        ('"truncation": null', '"truncation": 1e999'),
        ('"truncation": null', '"truncation": null, "truncation": null'),
        ('"truncation": null', '"truncation": ' + "[" * 200 + "]" * 200),
        ('"padding": null', '"padding": {"strategy": "BatchLongest", "strategy": "BatchLongest"}'),
        ('"post_processor": null', '"post_processor": {"type": "ByteLevel", "trim_offsets": true, "trim_offsets": true, "add_prefix_space": true}'),
    ],
)
def test_files_that_the_library_may_refuse(found: str, changed: str) -> None:
    """A file is refused when it is loaded if the library refuses it. Otherwise the model works."""
    text = TEXT.replace(found, changed, 1)
    assert text != TEXT
    if is_refused_by_the_library(text):
        with pytest.raises(ModelFormatError):
            load(text)
    else:
        model = load(text)
        expected = Tokenizer.from_str(text).encode("the cat sat dog").ids
        assert model.tokenize(["the cat sat dog"])[0] == [i for i in expected if i != model.unk_token_id]
        assert model.tokenizer.get_vocab()


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "-0", "-0.0", "1e-999", "NaN", "null", "true"])
def test_scores(number: str) -> None:
    """Unigram's scores, of which the library is not given the whole list."""
    tokens = ", ".join(f'["{token}", {number if token == "b" else -1.5}]' for token in ("<unk>", "a", "b", "ab"))
    text = f'{{"version": "1.0", "added_tokens": [], "model": {{"type": "Unigram", "unk_id": 0, "vocab": [{tokens}]}}}}'
    if is_refused_by_the_library(text):
        with pytest.raises(ModelFormatError):
            load(text)
    else:
        library = Tokenizer.from_str(text)
        assert load(text).tokenize(["abba \u00e9b"])[0] == [i for i in library.encode("abba \u00e9b").ids if i != 0]


@pytest.mark.parametrize("added", [-5, -1, 0, 1, 3, 4, 100])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("twice", [False, True])
def test_length_of_a_charsmap(added: int, nested: bool, twice: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A length that the data does not have is refused before the library is given the file."""
    data = charsmap_bytes({"\t": " "})
    length = int.from_bytes(data[:4], "little")
    tail = len(data) - 4 - length
    stated = (length + tail + added) % 2**32
    charsmap = base64.b64encode(stated.to_bytes(4, "little") + data[4:]).decode()
    normalizer: Any = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    config = config_of(json.loads(TEXT)["model"], None, {"type": "Sequence", "normalizers": [normalizer]} if nested else normalizer)
    text = json.dumps(config)
    if twice:
        # Python's last member hides the damaged one.
        good = base64.b64encode(data).decode()
        text = text.replace(f'"{charsmap}"', f'"{charsmap}", "precompiled_charsmap": "{good}"')
    if stated // 4 * 4 > len(data) - 4:
        monkeypatch.setattr(Tokenizer, "from_str", None)
        with pytest.raises(ModelFormatError, match=f"precompiled_charsmap has {len(data) - 4} bytes after its length, but its length says {stated}"):
            parse_text(text, "test")
    else:
        parse_text(text, "test")


@pytest.mark.parametrize("charsmap", ["", "AAA", "!!!!", "AAAA", "\u00e9", 7, None])
def test_charsmaps_that_are_none(charsmap: Any) -> None:
    text = json.dumps({**json.loads(TEXT), "normalizer": {**NORMALIZERS["Precompiled"], "precompiled_charsmap": charsmap}})
    assert is_refused_by_the_library(text)
    with pytest.raises(ModelFormatError):
        load(text)


@pytest.mark.parametrize(
    ("prefix", "right", "expected"),
    [
        ("", "\u00e9", False),
        (None, "\u00e9", False),
        ("##", "##\u00e9", False),
        ("##", "\u00e9", True),
        ("\u00e9", "\u00e9a", False),
        ("\u00e9", "\u00e8", True),
        ("###", "a", False),
    ],
)
@pytest.mark.parametrize("old", [True, False])
def test_merges_without_the_prefix(prefix: str | None, right: str, expected: bool, old: bool) -> None:
    merges = [f"a {right}"] if old else [["a", right]]
    assert merges_lack_prefix({"continuing_subword_prefix": prefix, "merges": merges}) is expected


def test_messages_are_short() -> None:
    """The library quotes whole names, and Python whole values."""
    for part in ({"pre_tokenizer": {"type": "x" * 5000}}, {"model": {"type": "y" * 5000, "vocab": {"a": 0}}}, {"version": "z" * 5000}):
        with pytest.raises(ModelFormatError) as raised:
            load(json.dumps({**json.loads(TEXT), **part}))
        assert len(str(raised.value)) < 600 and "\n" not in str(raised.value)
