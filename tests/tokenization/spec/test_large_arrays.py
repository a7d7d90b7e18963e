"""What compiled code reads from a `tokenizer.json` is what Python reads, and compiled code leaves to Python what it cannot read."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model2vec_numba import ModelFormatError
from model2vec_numba.tokenization.spec import model_arrays, spec
from model2vec_numba.tokenization.spec.json_text import ParsedText, parse_text
from model2vec_numba.tokenization.spec.large_arrays import PADDING, cut_out, strings_of
from model2vec_numba.tokenization.spec.spec import TokenizerSpec, parse_tokenizer
from tokenization.cases import CASES
from tokenization.configs import Config, config_of, small_model, unigram_model, with_added_tokens

# The others have the vocabulary of the bundled model, which is large.
NAMES = [name for name in CASES if "bundled" not in name]


def rebuilt(parsed: ParsedText) -> Config:
    """Return the JSON of a file, also if compiled code has read its arrays."""
    arrays = parsed.arrays
    if arrays is None:
        return parsed.config
    model = dict(parsed.config["model"])
    if arrays.ids is None:
        numbers = json.loads(f"[{arrays.numbers.tobytes().decode()[:-1]}]", parse_int=lambda text: -0.0 if text == "-0" else int(text))
        model["vocab"] = [list(pair) for pair in zip(strings_of(arrays.texts), numbers, strict=True)]
    else:
        assert list(model["vocab"]) == strings_of(arrays.texts)
        assert list(model["vocab"].values()) == arrays.ids.tolist()
    if arrays.merge_parts is not None:
        parts = strings_of(arrays.merge_parts)
        model["merges"] = [list(pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
    return {**parsed.config, "model": model}


def with_pairs(config: Config) -> Config:
    """Return the JSON of a file with each merge as a list of two tokens."""
    merges = config["model"].get("merges")
    if not isinstance(merges, list) or not all(isinstance(merge, str) for merge in merges):
        return config
    return {**config, "model": {**config["model"], "merges": [merge.split(" ") for merge in merges]}}


def read(text: str, *, uses_kernels: bool) -> str | tuple[str, bool]:
    """Return the JSON of a text with its order, and whether no member is listed twice; or the error."""
    try:
        parsed = parse_text(text, "test", uses_kernels=uses_kernels)
    except ModelFormatError as error:
        return str(error)
    return json.dumps(with_pairs(rebuilt(parsed))), parsed.read_alike


def is_read(text: str) -> bool:
    """Return whether compiled code reads the vocabulary of a text."""
    return parse_text(text, "test", uses_kernels=True).arrays is not None


def spellings(config: Config) -> list[str]:
    """Return a config as JSON in several spellings."""
    return [
        json.dumps(config),
        json.dumps(config, ensure_ascii=False, indent=2),
        json.dumps(config, ensure_ascii=False, separators=(",", ":")),
        json.dumps(config, indent="\t").replace("\n", "\r\n"),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_usual_files(name: str) -> None:
    config = CASES[name].make()
    text = spellings(config)[len(name) % 4]
    # Python reads merges with a prefix.
    assert is_read(text) == (not (config["model"].get("merges") and config["model"].get("continuing_subword_prefix")))
    assert read(text, uses_kernels=True) == read(text, uses_kernels=False)


def test_real_files(shared: Path) -> None:
    for path in sorted((shared / "tokenizers").glob("*.json"))[::3]:
        text = path.read_text(encoding="utf-8")
        found, expected = (parse_text(text, "test", uses_kernels=uses_kernels) for uses_kernels in (True, False))
        assert found.arrays is not None and found.read_alike and expected.read_alike
        assert with_pairs(rebuilt(found)) == with_pairs(expected.config)


SMALL = {
    "unigram": config_of(unigram_model([("<unk>", 0.0), ("\u2581a", -1.25), ('"\\\n', -1e-7), ("\U0001f600\x7f", -12), ("\0é", -2.0)])),
    "bpe": config_of({**small_model("bpe"), "vocab": {"<unk>": 7, "a": 0, "é": 1, "aé": 12, '\\"': 3}, "merges": [["a", "é"]], "unk_token": "<unk>"}),
    "lines": config_of({**small_model("bpe"), "vocab": {"a": 0, "b": 1, "ab": 2, "abab": 3}, "merges": ["a b", "ab ab"], "unk_token": None}),
    "wordpiece": with_added_tokens(config_of({**small_model("wordpiece"), "vocab": {"[UNK]": 0, "the": 1, "##s": 2}}), "vocab"),
}
# Each is inserted in place of some characters. Most make the text invalid.
PIECES = ["", '"', "\\", "[", "]", "{", "}", ",", ":", " ", "\n", "\t", "-", "0", "-0", "1", "01", "1.", ".", ".5", "+1", "e", "E+", "1.5e3", "1e999"]
PIECES += ["NaN", "Infinity", "-Infinity", "null", "true", "4294967296", "1" * 5000, "\0", "\x1f", "é", "\U0001f600", "//", "\u2028", "\ufeff"]
PIECES += ["\\u0041", "\\ud83d\\ude00", "\\ud83d", "\\ude00", "\\uD83D\\u0041", "\\u00e", "\\x", "\\/", "\\b\\f\\n\\r\\t", '"\\u0061"', '"a"']
PIECES += ['"vocab": ', '"vocab": {"a": 1},', '"vocab": [["a", 1.5]],', '"merges": ["a b"],', '"model": ', '"x": {"vocab": {"a": 1}},']
PIECES += ['["a", "b"],', '["a", 1],', '"a": 1,', '"#version: 0.2",']


def mutants(text: str, draw: random.Random, count: int) -> list[str]:
    """Return texts in which some characters of `text` are replaced."""
    found = []
    for _ in range(count):
        mutant = text
        for _ in range(draw.choice([1, 1, 1, 2, 3])):
            # Most of the changes are in the model.
            begin = draw.randrange(mutant.index('"model"') if '"model"' in mutant and draw.random() < 0.8 else 0, len(mutant) + 1)
            mutant = mutant[:begin] + draw.choice(PIECES) + mutant[begin + draw.choice([0, 0, 1, 1, 2, 5]) :]
        found.append(mutant)
    return found


@pytest.mark.parametrize("name", SMALL)
def test_mutants(name: str) -> None:
    draw = random.Random(name)
    texts = [mutant for text in spellings(SMALL[name]) for mutant in mutants(text, draw, 100)]
    texts_read = 0
    for text in texts:
        assert read(text, uses_kernels=True) == read(text, uses_kernels=False), text
        texts_read += not isinstance(read(text, uses_kernels=False), str) and is_read(text)
    assert texts_read > len(texts) // 20


JSON_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text('"\\/\b\f\n\r\t\0 \u2028é\U0001f600', max_size=20)


@given(
    st.lists(st.tuples(JSON_TEXT, st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9)), min_size=1, max_size=8), st.integers(0, 3)
)
def test_strings_and_numbers(vocabulary: list[tuple[str, float]], spelling: int) -> None:
    text = spellings(config_of(unigram_model(vocabulary)))[spelling]
    arrays = parse_text(text, "test", uses_kernels=True).arrays
    assert arrays is not None
    assert strings_of(arrays.texts) == [token for token, _ in vocabulary]
    assert arrays.vocabulary == {token: i for i, (token, _) in enumerate(vocabulary)}
    assert read(text, uses_kernels=True) == read(text, uses_kernels=False)


@pytest.mark.parametrize("name", ["unigram", "bpe", "lines"])
@pytest.mark.parametrize("whole", [True, False])
def test_ends_of_the_text(name: str, whole: bool) -> None:
    """The text ends anywhere. The compiled code stops at the zero bytes after it."""
    text = spellings(SMALL[name])[2].encode()
    for end in range(text.index(b'"vocab"'), len(text) + whole):
        cut_out(text[:end] + bytes(PADDING))


FIELDS = ("config", "vocabulary", "plain_vocabulary", "keeps_ids", "size", "required_rows", "median_token_length", "unk_token_id", "tokens")


def properties(text: str, monkeypatch: pytest.MonkeyPatch, *, uses_kernels: bool) -> dict[str, Any]:
    """Return the properties of a tokenizer, and its texts and merges as lists. If it is refused, return the error."""
    monkeypatch.setattr(spec, "_KERNEL_CHARACTERS", 0)
    try:
        made = parse_tokenizer(text, "test", uses_kernels=uses_kernels)
    except ModelFormatError as error:
        # If several members are missing, the library names any of them.
        return {"error": str(error).partition("missing field")[0]}
    found: dict[str, Any] = {field: getattr(made, field) for field in FIELDS[1:]}
    fresh = parse_tokenizer(text, "test", uses_kernels=uses_kernels)
    if fresh.plain_vocabulary is not None:
        ids = fresh.mapped_tokens()
        found["mapped"] = None if ids is None else ([ids[0].text(i) for i in range(len(ids[0]))], ids[1].tolist())
        found["merges"] = None if fresh.merges is None else fresh.merges.tolist()
        scores = None if fresh.arrays is None else fresh.arrays.scores()
        found["scores"] = None if scores is None else scores.tolist()
        # Large arrays may be left out.
        found["config"] = {**fresh.config, "model": {**fresh.config["model"], "vocab": None, "merges": None}}
    return found


@pytest.mark.parametrize("name", NAMES)
def test_properties(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(CASES[name].make())
    assert properties(text, monkeypatch, uses_kernels=True) == properties(text, monkeypatch, uses_kernels=False)


@pytest.mark.parametrize("name", SMALL)
def test_properties_of_mutants(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(name)
    for text in mutants(spellings(SMALL[name])[0], draw, 60):
        assert properties(text, monkeypatch, uses_kernels=True) == properties(text, monkeypatch, uses_kernels=False), text


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("bpe", '"a": 0', '"a": 0, "a": 0'),
        ("bpe", '"a": 0', '"a": -0'),
        ("bpe", '"a": 0', '"a": 0.0'),
        ("bpe", '"a": 0', '"a": 2147483648'),
        ("bpe", '"a": 0', '"a": true'),
        ("bpe", '"a": 0', '"\\ud800": 0'),
        ("bpe", '["a", ', '["a", "b", '),
        ("bpe", '"continuing_subword_prefix": null', '"continuing_subword_prefix": "#"'),
        ("lines", '"a b"', '"a  b"'),
        ("lines", '"a b"', '"#version: 0.2"'),
        ("lines", '"a b"', '"ab"'),
        ("unigram", "-1.25", "NaN"),
        ("unigram", "-1.25", '"-1.25"'),
        ("unigram", "-1.25", "-1.25, 2"),
        ("unigram", '"type"', '"vocab": [], "type"'),
        ("unigram", '"type"', '"x": Infinity, "type"'),
        ("unigram", '"vocab"', '"voc\\u0061b"'),
        ("unigram", '"added_tokens"', '"vocab": [["a", 1.5]], "added_tokens"'),
    ],
)
def test_what_python_reads(name: str, old: str, new: str) -> None:
    config = SMALL[name]
    if "continuing_subword_prefix" in old:
        config = {**config, "model": {**config["model"], "continuing_subword_prefix": None}}
    text = json.dumps(config, ensure_ascii=False)
    assert old in text
    changed = text.replace(old, new, 1)
    result = read(changed, uses_kernels=True)
    assert result == read(changed, uses_kernels=False)
    assert isinstance(result, str) or not is_read(changed)


def test_other_vocabularies_before_the_model() -> None:
    """A member of the same name, which has another form, does not hide the vocabulary."""
    text = json.dumps(SMALL["unigram"])
    assert is_read(text.replace('"added_tokens"', '"vocab": {"a": "b"}, "added_tokens"', 1))


def test_lone_surrogates() -> None:
    text = json.dumps(SMALL["bpe"], ensure_ascii=False).replace('"a": 0', '"\ud800": 0')
    assert not is_read(text)
    assert read(text, uses_kernels=True) == read(text, uses_kernels=False)


def test_nobody_waits_for_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec, "_KERNEL_CHARACTERS", 0)
    monkeypatch.setattr(model_arrays, "are_compiled", lambda _: False)
    text = json.dumps(SMALL["bpe"])
    for mode, expected in (("background", False), ("never", False), ("wait", True)):
        monkeypatch.setenv("MODEL2VEC_NUMBA_COMPILE", mode)
        assert (TokenizerSpec(text, "test")._parsed.arrays is not None) == expected
    made = TokenizerSpec(text, "test")
    made.use_kernels(False)
    assert made._parsed.arrays is None
    monkeypatch.setenv("MODEL2VEC_NUMBA_COMPILE", "background")
    monkeypatch.setattr(model_arrays, "are_compiled", lambda _: True)
    assert TokenizerSpec(text, "test")._parsed.arrays is not None


def test_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code for merges counts only if there are merges."""
    for text in (json.dumps(SMALL["bpe"]), json.dumps(SMALL["unigram"])):
        read(text, uses_kernels=True)
    monkeypatch.setattr(model_arrays, "find_merges", lambda: None)
    assert model_arrays.are_compiled(json.dumps(SMALL["unigram"]))
    assert not model_arrays.are_compiled(json.dumps(SMALL["bpe"]))


def test_small_files_are_read_by_python() -> None:
    """Loading the compiled code would take longer."""
    assert parse_tokenizer(json.dumps(SMALL["bpe"]), "test", uses_kernels=True)._parsed.arrays is None


def test_strings_with_and_without_nuls() -> None:
    for tokens in (["a", "", "é"], ["a\0", "", "\0\0", "é"]):
        found = cut_out(json.dumps({"vocab": dict.fromkeys(tokens, 1)}).encode() + bytes(PADDING))
        assert found is not None and strings_of(found.vocabulary) == tokens
        np.testing.assert_array_equal(found.vocabulary.data[found.vocabulary.offsets[-1] :], np.zeros(8))
