"""Errors for bad models, sentences and arguments, and files that are broken at random."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import ModelBytes, model_bytes, new_tokenizer, random_matrix, raw_safetensors, write_model
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer, models

from model2vec_numba import ModelError, ModelFormatError, ModelNotFoundError, StaticModel, TokenizationError

# The tiny model's matrix is float32, 5 x 3.
GOOD = {"dtype": "F32", "shape": [5, 3], "data_offsets": [0, 60]}
BODY = bytes(60)


def tensors(**entries: Any) -> bytes:
    """Return a safetensors file of a good matrix and other tensors."""
    return model_bytes(new_tokenizer("a"), {"embeddings": np.zeros((5, 3), np.float32), **entries}).model


def header(size: int = len(BODY), **changes: Any) -> bytes:
    """Return a safetensors file whose header describes the matrix wrongly, with `size` bytes of data."""
    return raw_safetensors({"embeddings": {**GOOD, **changes}}, bytes(size))


class Bad(NamedTuple):
    """The bad content of a file, and words that the error must contain: what was found, and what was expected."""

    content: bytes
    said: tuple[str, ...]


BAD_TENSORS = {
    "empty file": Bad(b"", ("0 bytes", "safetensors")),
    "seven bytes": Bad(b"1234567", ("7 bytes", "safetensors")),
    "header cut": Bad(tensors()[:40], ("header", "40", "truncated")),
    "header of an absurd length": Bad(b"\xff" * 8 + BODY, ("header", str(2**64 - 1), "68")),
    "not safetensors": Bad(b"PK\x03\x04\x14\x00\x00\x00" + bytes(100), ("header", "108", "not a safetensors file")),
    "data cut by one byte": Bad(tensors()[:-1], ("embeddings", "60", "59", "truncated")),
    "no data": Bad(tensors()[:-60], ("embeddings", "60", "0", "truncated")),
    "header not JSON": Bad(raw_safetensors(b"{embeddings", BODY), ("header", "not JSON")),
    "header not UTF-8": Bad(raw_safetensors(b'{"\xff": 1}', BODY), ("header", "not JSON")),
    "header nested without end": Bad(raw_safetensors(b"[" * 200_000, BODY), ("header", "not JSON")),
    "header a list": Bad(raw_safetensors([1], BODY), ("list", "expected an object")),
    "entry a number": Bad(raw_safetensors({"embeddings": 7}, BODY), ("embeddings", "7", "expected dtype, shape and two data_offsets")),
    "entry without dtype": Bad(raw_safetensors({"embeddings": {"shape": [5, 3], "data_offsets": [0, 60]}}, BODY), ("dtype",)),
    "one offset": Bad(header(data_offsets=[60]), ("embeddings", "two data_offsets")),
    "offsets reversed": Bad(header(data_offsets=[60, 0]), ("embeddings", "-60 bytes", "expected 60")),
    "offset negative": Bad(header(data_offsets=[-60, 0]), ("embeddings", "-60", "not negative")),
    "offset a float": Bad(header(data_offsets=[0, 60.0]), ("embeddings", "60.0", "integers")),
    "offset a string": Bad(header(data_offsets="ab"), ("embeddings", "'a'", "integers")),
    "offsets past the end": Bad(header(data_offsets=[30, 90]), ("embeddings", "90", "60", "truncated")),
    "offsets past any end": Bad(header(data_offsets=[2**62, 2**62 + 60]), ("embeddings", "60", "truncated")),
    "data after the tensors": Bad(header(61), ("60 bytes of 61",)),
    "a gap before the tensors": Bad(header(64, data_offsets=[4, 64]), ("embeddings", "[4, 64]", "begin at 0")),
    "shape does not fit the offsets": Bad(header(shape=[5, 4]), ("embeddings", "60 bytes", "expected 80", "[5, 4]")),
    "shape whose size overflows": Bad(header(shape=[2**62, 4]), ("embeddings", "60 bytes", "expected", str(2**62))),
    "shape with a negative dimension": Bad(header(shape=[-5, -3]), ("embeddings", "-5", "not negative")),
    "shape a number": Bad(header(shape=15), ("embeddings", "15", "integers")),
    "shape of many huge dimensions": Bad(header(shape=[2**62] * 2000), ("embeddings",)),
    "shape of many dimensions": Bad(header(shape=[5, 3] + [1] * 100), ("embeddings",)),
    "shape with a zero": Bad(header(0, shape=[0, 2**62], data_offsets=[0, 0]), ("embedding",)),
    "unknown dtype": Bad(header(dtype="F4"), ("embeddings", "'F4'", "F32")),
    "dtype not a string": Bad(header(dtype=["F32"]), ("embeddings", "['F32']", "F32")),
    "dtype endless": Bad(header(dtype="F" * 100_000), ("embeddings", "'FFF", "F32")),
    "no matrix": Bad(raw_safetensors({"vectors": GOOD}, BODY), ("embeddings, 0, embedding.weight", "vectors")),
    "no tensors": Bad(raw_safetensors({}, b""), ("embeddings, 0, embedding.weight",)),
    "matrix of rank 1": Bad(header(shape=[15]), ("matrix", "(15,)", "(rows, dimensions)")),
    "matrix of rank 3": Bad(header(shape=[5, 3, 1]), ("matrix", "(5, 3, 1)", "(rows, dimensions)")),
    "matrix of rank 0": Bad(header(4, shape=[], data_offsets=[0, 4]), ("matrix", "()", "(rows, dimensions)")),
    "matrix without columns": Bad(header(0, shape=[5, 0], data_offsets=[0, 0]), ("matrix", "(5, 0)")),
    "matrix of int32": Bad(header(dtype="I32"), ("matrix", "I32", "float32, float16", "int8")),
    "matrix of booleans": Bad(header(15, dtype="BOOL", data_offsets=[0, 15]), ("matrix", "BOOL", "float32, float16", "int8")),
    "matrix of uint8": Bad(header(15, dtype="U8", data_offsets=[0, 15]), ("matrix", "U8", "float32, float16", "int8")),
    "fewer rows than ids": Bad(header(48, shape=[4, 3], data_offsets=[0, 48]), ("4 rows", "at least 5", "ids up to 4")),
    "no rows": Bad(header(0, shape=[0, 3], data_offsets=[0, 0]), ("0 rows", "at least 5")),
    "mapping past the last row": Bad(tensors(mapping=np.array([0, 1, 2, 5, 4])), ("mapping[3]", "is 5", "0 to 4")),
    "mapping far past the last row": Bad(tensors(mapping=np.array([0, 1, 2, 3, 2**31])), ("mapping[4]", str(2**31), "0 to 4")),
    "mapping that wraps to a row": Bad(tensors(mapping=np.array([0, 2**32, 2, 3, 4])), ("mapping[1]", str(2**32), "0 to 4")),
    "mapping before the first row": Bad(tensors(mapping=np.array([0, 1, -1, 3, 4], np.int32)), ("mapping[2]", "-1", "0 to 4")),
    "unused entry of the mapping outside": Bad(tensors(mapping=np.array([0, 1, 2, 3, 4, 99])), ("mapping[5]", "99", "0 to 4")),
    "mapping unsigned and huge": Bad(tensors(mapping=np.array([0, 1, 2, 3, 2**64 - 1], np.uint64)), ("mapping[4]", str(2**64 - 1), "0 to 4")),
    "mapping too short": Bad(tensors(mapping=np.arange(4)), ("mapping has 4", "at least 5", "ids up to 4")),
    "mapping empty": Bad(tensors(mapping=np.arange(0)), ("mapping has 0", "at least 5")),
    "mapping of floats": Bad(tensors(mapping=np.arange(5.0)), ("mapping", "float64", "integers")),
    "mapping of bfloat16": Bad(
        raw_safetensors({"embeddings": GOOD, "mapping": {"dtype": "BF16", "shape": [5], "data_offsets": [60, 70]}}, bytes(70)),
        ("mapping", "bfloat16", "integers"),
    ),
    "mapping of booleans": Bad(tensors(mapping=np.zeros(5, bool)), ("mapping", "bool", "integers")),
    "mapping of rank 2": Bad(tensors(mapping=np.zeros((5, 1), np.int32)), ("mapping", "(5, 1)", "(tokens,)")),
    "mapping into no rows": Bad(
        raw_safetensors(
            {
                "embeddings": {"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0]},
                "mapping": {"dtype": "I32", "shape": [5], "data_offsets": [0, 20]},
            },
            bytes(20),
        ),
        ("mapping[0]",),
    ),
    "weights too short": Bad(tensors(weights=np.ones(4, np.float32)), ("weights has 4", "at least 5", "ids up to 4")),
    "weights of integers": Bad(tensors(weights=np.ones(5, np.int32)), ("weights", "int32", "floating point")),
    "weights of bfloat16": Bad(
        raw_safetensors({"embeddings": GOOD, "weights": {"dtype": "BF16", "shape": [5], "data_offsets": [60, 70]}}, bytes(70)),
        ("weights", "bfloat16", "float64, float32 or float16"),
    ),
    "weights of rank 2": Bad(tensors(weights=np.ones((5, 1), np.float32)), ("weights", "(5, 1)", "(tokens,)")),
    "mapping cut": Bad(tensors(mapping=np.arange(5))[:-1], ("truncated",)),
}

TOKENIZER = json.loads(new_tokenizer("the", "cat", "sat", "here").to_str())


def changed(**parts: Any) -> bytes:
    return json.dumps({**TOKENIZER, **parts}).encode()


BAD_TOKENIZERS = {
    "empty file": Bad(b"", ("not JSON",)),
    "not JSON": Bad(b'{"model": ', ("not JSON",)),
    "not UTF-8": Bad(b'{"model": "\xff"}', ("not UTF-8", "byte 11")),
    "nested without end": Bad(b'{"model": ' + b"[" * 200_000, ("not JSON",)),
    "a list": Bad(b"[1, 2]", ("expected", "object")),
    "no model": Bad(b"{}", ("expected", "model")),
    "model a string": Bad(changed(model="WordPiece"), ("expected", "model")),
    "model of no known type": Bad(changed(model={"type": "Bigram", "vocab": {}}), ("tokenizers library",)),
    "vocabulary missing": Bad(changed(model={"type": "WordLevel", "unk_token": "[UNK]"}), ("tokenizers library",)),
    "ids negative": Bad(changed(model={**TOKENIZER["model"], "vocab": {"[UNK]": 0, "a": -1}}), ("tokenizers library",)),
    "vocabulary empty": Bad(changed(model={**TOKENIZER["model"], "vocab": {}}), ("no tokens",)),
    "unknown pre-tokenizer": Bad(changed(pre_tokenizer={"type": "Nonesuch"}), ("tokenizers library",)),
    "pattern of a bad expression": Bad(
        changed(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Removed", "invert": False}),
        ("tokenizers library",),
    ),
}

BAD_CONFIGS = {
    "empty file": Bad(b"", ("not JSON",)),
    "not JSON": Bad(b"{'normalize': True}", ("not JSON",)),
    "not UTF-8": Bad(b"\xff\xfe{}", ("not UTF-8", "byte 0")),
    "a list": Bad(b"[]", ("list", "expected an object")),
    "null": Bad(b"null", ("expected an object",)),
    "normalize a string": Bad(b'{"normalize": "yes"}', ("normalize", "'yes'", "true or false")),
    "normalize a number": Bad(b'{"normalize": 1}', ("normalize", "1", "true or false")),
    "max_length a string": Bad(b'{"max_length": "512"}', ("max_length", "'512'", "integer")),
    "max_length a float": Bad(b'{"max_length": 512.5}', ("max_length", "512.5", "integer")),
    "max_length zero": Bad(b'{"max_length": 0}', ("max_length", "0", "1 or more")),
    "max_length negative": Bad(b'{"max_length": -5}', ("max_length", "-5", "1 or more")),
    "max_length true": Bad(b'{"max_length": true}', ("max_length", "True", "integer")),
    "max_length a list": Bad(b'{"max_length": [512]}', ("max_length", "[512]", "integer")),
}

BAD_FILES = [
    *(pytest.param("model.safetensors", bad, id=f"tensors-{name}") for name, bad in BAD_TENSORS.items()),
    *(pytest.param("tokenizer.json", bad, id=f"tokenizer-{name}") for name, bad in BAD_TOKENIZERS.items()),
    *(pytest.param("config.json", bad, id=f"config-{name}") for name, bad in BAD_CONFIGS.items()),
]


def check_message(message: str, file: str, said: tuple[str, ...]) -> None:
    assert message.startswith(f"{file}: ")
    for part in said:
        assert part in message
    assert "\n" not in message
    assert len(message) < 700 + len(file)


@pytest.mark.parametrize(("name", "bad"), BAD_FILES)
def test_bad_files(name: str, bad: Bad, tiny_folder: Path) -> None:
    path = tiny_folder / name
    path.write_bytes(bad.content)
    with pytest.raises(ModelFormatError) as raised:
        StaticModel.from_pretrained(tiny_folder)
    assert {ModelError, ValueError} <= set(raised.type.__mro__)
    check_message(str(raised.value), str(path), bad.said)


@pytest.mark.parametrize(("name", "bad"), BAD_FILES)
def test_bad_bytes(name: str, bad: Bad, tiny: ModelBytes) -> None:
    part = {"model.safetensors": "model", "tokenizer.json": "tokenizer", "config.json": "config"}[name]
    with pytest.raises(ModelFormatError) as raised:
        StaticModel.from_bytes(**{**tiny._asdict(), part: bad.content})
    check_message(str(raised.value), part, bad.said)


@pytest.mark.parametrize("content", [b"", b"{}", b"[7]", b"[{}", b"\xff", b'["Normalize"]'])
def test_bad_modules(content: bytes, tmp_path: Path, tiny: ModelBytes) -> None:
    folder = write_model(tmp_path, tiny._replace(config=b"{}"), 2)
    (folder / "modules.json").write_bytes(content)
    with pytest.raises(ModelFormatError) as raised:
        StaticModel.from_pretrained(folder)
    check_message(str(raised.value), str(folder / "modules.json"), ())
    # The list also says whether other modules change the vectors, so the file is read even if the argument or the config decides.
    (folder / "config_sentence_transformers.json").write_text('{"normalize": true}')
    with pytest.raises(ModelFormatError):
        StaticModel.from_pretrained(folder, normalize=True)


def check_not_found(load: Callable[[], object], *said: str) -> None:
    with pytest.raises(ModelNotFoundError) as raised:
        load()
    assert {ModelError, OSError} <= set(raised.type.__mro__)
    for part in said:
        assert part in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "nowhere"
    check_not_found(lambda: StaticModel.from_pretrained(folder), str(folder), "no such folder")
    check_not_found(lambda: StaticModel.from_pretrained(str(folder)), str(folder), "no such folder")
    monkeypatch.chdir(tmp_path)
    for path in ("./nowhere", "../nowhere/at/all", "~/nowhere-at-all"):
        check_not_found(partial(StaticModel.from_pretrained, path), "nowhere", "no such folder")


@pytest.mark.parametrize("path", ["", "a/b/c", "no such folder/it has spaces", "nul\x00byte", "x" * 300])
def test_neither_folder_nor_repository(path: str) -> None:
    """Names that a repository cannot have are refused without using the network."""
    check_not_found(lambda: StaticModel.from_pretrained(path, cache_dir="unused"), "not a local folder" if path else "")


def test_a_file_instead_of_a_folder(tiny_folder: Path) -> None:
    path = tiny_folder / "model.safetensors"
    check_not_found(lambda: StaticModel.from_pretrained(path), str(path), "a file", "expected")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_missing_file(name: str, tiny_folder: Path) -> None:
    (tiny_folder / name).unlink()
    check_not_found(lambda: StaticModel.from_pretrained(tiny_folder), str(tiny_folder), name, "missing", "config_sentence_transformers.json")


def test_empty_folder_and_missing_subfolder(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    check_not_found(lambda: StaticModel.from_pretrained(tmp_path / "empty"), str(tmp_path / "empty"), "tokenizer.json")
    check_not_found(lambda: StaticModel.from_pretrained(tiny_folder, subfolder="sub"), str(tiny_folder / "sub"))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_instead_of_a_file(name: str, tiny_folder: Path) -> None:
    (tiny_folder / name).unlink()
    (tiny_folder / name).mkdir()
    check_not_found(lambda: StaticModel.from_pretrained(tiny_folder), str(tiny_folder), name)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_cannot_be_opened(name: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may open any file, so the test makes `open` fail."""
    real_open = Path.open

    def refuse(self: Path, *arguments: Any, **keywords: Any) -> Any:
        if self.name == name:
            raise PermissionError(13, "Permission denied", str(self))
        return real_open(self, *arguments, **keywords)

    def read_bytes(self: Path) -> bytes:
        with self.open("rb") as file:
            return bytes(file.read())

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    check_not_found(lambda: StaticModel.from_pretrained(tiny_folder), str(tiny_folder / name), "Permission denied")


@pytest.mark.parametrize("place", ["", "0_StaticEmbedding"])
def test_a_folder_that_may_not_be_entered(place: str, tiny: ModelBytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may enter any folder, so the test makes the look-up fail."""
    folder = write_model(tmp_path / "model", tiny, 3 if place else 1)
    real = os.stat

    def refuse(path: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(path, (str, Path)) and Path(path).parent == folder / place:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(os, "stat", refuse)
    # Python 3.10's paths do not look up `os.stat` again.
    monkeypatch.setattr(Path, "stat", refuse)
    check_not_found(lambda: StaticModel.from_pretrained(folder), str(folder / place), "Permission denied")


@pytest.mark.parametrize("subfolder", ["/x", "/", "../x", "a/../../x", "..", "//x/y"])
def test_a_subfolder_outside(subfolder: str, tiny: ModelBytes, tmp_path: Path) -> None:
    """It would be a folder beside the model, or at the root of the disk."""
    folder = write_model(tmp_path / "model", tiny)
    model = StaticModel.from_bytes(*tiny)
    calls: list[Callable[[], object]] = [
        lambda: StaticModel.from_pretrained(folder, subfolder=subfolder),
        lambda: StaticModel.from_pretrained("owner/name", subfolder=subfolder, local_files_only=True),
        lambda: model.save_pretrained(folder, subfolder=subfolder),
        lambda: model.push_to_hub("owner/name", subfolder=subfolder),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="subfolder must be a relative path without"):
            call()


# Parts given in memory


def test_parts_that_do_not_fit() -> None:
    tokenizer = new_tokenizer("a", "b")
    good = random_matrix(3, 4, "float32")
    cases: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        ({"vectors": good[:2]}, ("2 rows", "at least 3")),
        ({"vectors": good[0]}, ("(4,)", "(rows, dimensions)")),
        ({"vectors": good.astype(np.int32)}, ("int32", "float32")),
        ({"vectors": good.astype(complex)}, ("complex128", "float32")),
        ({"vectors": good.astype(object)}, ("object", "float32")),
        ({"weights": np.ones(2)}, ("weights has 2", "at least 3")),
        ({"weights": np.array([1, 2, 3])}, ("weights", "int64", "floating")),
        ({"token_mapping": np.array([0, 1, 3])}, ("mapping[2]", "is 3", "0 to 2")),
        ({"token_mapping": np.array([0, -1, 0])}, ("mapping[1]", "-1")),
        ({"token_mapping": np.array([0, 1])}, ("mapping has 2", "at least 3")),
        ({"token_mapping": [0.0, 1.0, 2.0]}, ("mapping", "float64", "integers")),
        ({"tokenizer": Tokenizer(models.BPE())}, ("no tokens",)),
    ]
    for arguments, said in cases:
        with pytest.raises(ModelFormatError) as raised:
            StaticModel(**{"vectors": good, "tokenizer": tokenizer, **arguments})
        for part in said:
            assert part in str(raised.value)


def test_arguments_of_the_wrong_kind(tiny: ModelBytes) -> None:
    matrix = random_matrix(2, 4, "float32")
    with pytest.raises(TypeError, match=r"tokenizers\.Tokenizer.*str"):
        StaticModel(matrix, "tokenizer.json")  # type: ignore[arg-type]
    # The third argument is the configuration, as in model2vec.
    with pytest.raises(TypeError, match=r"config must be a mapping.*weights="):
        StaticModel(matrix, new_tokenizer("a"), np.ones(2))  # type: ignore[arg-type]
    for part in ("tokenizer", "model", "config"):
        with pytest.raises(TypeError, match=f"{part} must be bytes, not str"):
            StaticModel.from_bytes(**{**tiny._asdict(), part: "text"})


# Sentences


@pytest.mark.parametrize("method", ["encode", "encode_as_sequence", "tokenize"])
@pytest.mark.parametrize(("culprit", "kind"), [(None, "NoneType"), (float("nan"), "float"), (b"bytes", "bytes"), (7, "int"), (["a"], "list")])
def test_what_is_no_string(method: str, culprit: Any, kind: str, default_model: StaticModel) -> None:
    for position, sentences in ((0, [culprit]), (2, ["a", "b", culprit, None]), (1500, ["x"] * 1500 + [culprit])):
        for given_as in (
            sentences,
            tuple(sentences),
            iter(sentences),
            np.array([*sentences, None], object)[:-1] if kind != "list" else sentences,
        ):
            with pytest.raises(TypeError, match=rf"sentences\[{position}\].*\b{kind}\b"):
                getattr(default_model, method)(given_as)


@pytest.mark.parametrize("method", ["encode", "encode_as_sequence", "tokenize"])
@pytest.mark.parametrize("sentences", [b"bytes", None, 7, bytearray(b"x")], ids=repr)
def test_what_is_no_sequence_of_strings(method: str, sentences: Any, default_model: StaticModel) -> None:
    with pytest.raises(TypeError, match=type(sentences).__name__):
        getattr(default_model, method)(sentences)


@pytest.mark.parametrize("method", ["encode", "encode_as_sequence", "tokenize"])
def test_lone_surrogates(method: str, default_model: StaticModel) -> None:
    for position, sentences in ((0, ["\udc80"]), (2, ["a", "b", "c\ud800d", "\udfff"]), (3000, ["x"] * 3000 + ["\ud83d\ude00"])):
        with pytest.raises(ValueError, match=rf"sentences\[{position}\].*surrogate") as raised:
            getattr(default_model, method)(sentences)
        assert not isinstance(raised.value, UnicodeError)
    with pytest.raises(ValueError, match=r"sentences\[0\].*surrogate"):
        getattr(default_model, method)("one \ud800 string")


# Arguments


@pytest.mark.parametrize("value", [0, -1, 1.5, "512", True, [512]], ids=repr)
def test_max_length_out_of_range(value: Any, default_model: StaticModel, tiny: ModelBytes, tiny_folder: Path) -> None:
    calls: list[Callable[[], object]] = [
        lambda: default_model.encode(["a"], max_length=value),
        lambda: default_model.encode("a", max_length=value),
        lambda: default_model.encode_as_sequence(["a"], max_length=value),
        lambda: default_model.tokenize(["a"], max_length=value),
        lambda: StaticModel.from_pretrained(tiny_folder, max_length=value),
        lambda: StaticModel.from_bytes(*tiny, max_length=value),
        lambda: StaticModel(random_matrix(2, 3, "int8"), new_tokenizer("a"), max_length=value),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"max_length must be .*1 or more") as raised:
            call()
        assert repr(value) in str(raised.value)


@pytest.mark.parametrize("value", [0, -1, 1.5, "512", None], ids=repr)
def test_batch_size_out_of_range(value: Any, default_model: StaticModel) -> None:
    calls: list[Callable[[], object]] = [
        lambda: default_model.encode(["a"], batch_size=value),
        lambda: default_model.encode([], batch_size=value),
        lambda: default_model.encode("a", batch_size=value),
        lambda: default_model.encode_as_sequence(["a"], batch_size=value),
        lambda: default_model.encode_as_sequence("a", batch_size=value),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"batch_size must be .*1 or more") as raised:
            call()
        assert repr(value) in str(raised.value)


@pytest.mark.parametrize("value", [0, -1, 4, 1.5, "2", True], ids=repr)
def test_dimensionality_out_of_range(value: Any, tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"dimensionality must be .*from 1 to 3") as raised:
        StaticModel.from_pretrained(tiny_folder, dimensionality=value)
    assert repr(value) in str(raised.value)


@pytest.mark.parametrize("value", ["int4", "", "uint8", "F16", 8, np.float16, ["int8"]], ids=repr)
def test_unknown_quantize_to(value: Any, tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"quantize_to must be one of .*float16.*int8") as raised:
        StaticModel.from_pretrained(tiny_folder, quantize_to=value)
    assert repr(value) in str(raised.value)


def test_a_text_that_the_tokenizer_refuses() -> None:
    """A model without an unknown token, and a character without a token."""
    tokenizer = Tokenizer(models.WordPiece({"a": 0, "##b": 1}, unk_token="[UNK]"))
    model = StaticModel(random_matrix(2, 3, "float32"), tokenizer)
    with pytest.raises(TokenizationError) as raised:
        model.encode(["a", "zebra"])
    assert {ModelError, ValueError} <= set(raised.type.__mro__)
    assert raised.value.position == 1
    assert str(raised.value).startswith("sentences[1] cannot be tokenised: 'zebra': tokenizer: ")
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (str(copy), copy.position) == (str(raised.value), 1)
    assert model.tokenize(["a", "ab"]) == [[0], [0, 1]]


@pytest.mark.parametrize("kind", ["compiled", "library"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("count", "position"), [(1, 0), (3000, 0), (3000, 1024), (3000, 2999), (100_000, 77_777)])
def test_the_position_of_a_text_that_the_tokenizer_refuses(kind: str, threads: int, count: int, position: int) -> None:
    """In the first batch and in later ones, and if threads share them. Several bad texts: the first one."""
    config = json.loads(Tokenizer(models.Unigram([("a", -1.0), ("b", -1.0)], None, False)).to_str())
    config["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    if kind == "library":
        config["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 2,
            "pair": [],
            "special_tokens": {},
        }
    model = StaticModel(random_matrix(2, 3, "float32"), Tokenizer.from_str(json.dumps(config)))
    assert (model.tokenizer_backend == "tokenizers") == (kind == "library")
    if kind == "library" and count > 10_000:
        count, position = 10_000, 7_777
    texts = ["ab"] * count
    texts[position] = "zebra" * 100
    for method in (partial(model.encode, num_threads=threads), model.tokenize, model.encode_as_sequence):
        with pytest.raises(TokenizationError, match=rf"^sentences\[{position}\] cannot be tokenised: '(zebra){{16}}': ") as raised:
            method(texts)
        assert raised.value.position == position
    with pytest.raises(TokenizationError, match=r"^sentences\[0\] cannot be tokenised: 'zebra'"):
        model.encode("zebra")


# Files that are broken at random give a model that can be used, or an error of this package


def use(model: StaticModel) -> None:
    """Use a model that could be loaded in spite of its broken file."""
    sentences = ["the cat sat here", "", "the [UNK] \u00e9\U0001f600 nothing known", "cat " * 600]
    model.max_length = None
    try:
        ids = model.tokenize(sentences)
        vectors = model.encode(sentences, normalize=False)
    except TokenizationError:
        return
    assert vectors.shape == (4, model.dim)
    library = model.tokenizer.encode_batch(sentences, add_special_tokens=False)
    assert ids == [[token for token in encoding.ids if token != model.unk_token_id] for encoding in library]
    rows = len(model.embedding) if model.token_mapping is None else len(model.token_mapping)
    assert all(0 <= token < rows for each in ids for token in each)
    assert model.encode_as_sequence(sentences[:1])[0].shape == (len(ids[0]), model.dim)
    assert repr(model)
    assert len(model.tokens) > 0


def load_and_use(files: ModelBytes, folder: Path) -> None:
    for load in (partial(StaticModel.from_bytes, *files), partial(StaticModel.from_pretrained, write_model(folder, files))):
        try:
            model = load()
        except ModelError as error:
            assert str(error).startswith(("tokenizer: ", "model: ", "config: ", str(folder)))  # noqa: PT017
            continue
        use(model)


GOOD_TENSORS: dict[str, NDArray[Any]] = {
    "embeddings": np.arange(24, dtype=np.int8).reshape(8, 3),
    "weights": np.linspace(0.5, 1, 5, dtype=np.float32),
    "mapping": np.array([7, 0, 3, 2, 1], np.int32),
}


@given(
    st.sampled_from(["int8 with all", "float32"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.none() | st.floats(0, 1),
    st.binary(max_size=5),
)
def test_fuzz_bytes_of_the_tensors(
    tiny: ModelBytes, tmp_path: Path, which: str, flips: list[tuple[float, int]], cut: float | None, tail: bytes
) -> None:
    good = tiny.model if which == "float32" else model_bytes(new_tokenizer("a"), GOOD_TENSORS).model
    broken = bytearray(good)
    for place, value in flips:
        # The bytes of the header are the most dangerous.
        broken[int(place * (len(broken) - 1))] = value
    kept = bytes(broken) if cut is None else bytes(broken[: int(cut * len(broken))])
    load_and_use(tiny._replace(model=kept + tail), tmp_path)


numbers = st.one_of(st.integers(-3, 70), st.integers(-(2**65), 2**65), st.sampled_from([2**31, 2**32, 2**63 - 1, 2**63, 2**64]))
values = st.one_of(st.none(), st.booleans(), numbers, st.floats(), st.text(max_size=5))
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F64", "F32", "F16", "BF16", "I64", "I32", "I8", "U8", "U64", "BOOL"]) | values,
        "shape": st.lists(st.integers(0, 9) | numbers, max_size=3) | values,
        "data_offsets": st.lists(numbers, min_size=2, max_size=2) | st.lists(values, max_size=3) | values,
    }
)


@given(
    st.dictionaries(st.sampled_from(["embeddings", "0", "embedding.weight", "weights", "mapping", "__metadata__"]), entries | values, max_size=4),
    st.binary(max_size=80),
)
def test_fuzz_header_of_the_tensors(tiny: ModelBytes, tmp_path: Path, header: dict[str, Any], body: bytes) -> None:
    load_and_use(tiny._replace(model=raw_safetensors(header, body)), tmp_path)


# Tensors of any type and shape that are where the header says. So it is their type or shape that is refused.
consistent = st.tuples(
    st.sampled_from(["float64", "float32", "float16", "int8", "int32", "int64", "uint8", "bool"]), st.lists(st.integers(0, 8), max_size=3)
)
names = st.sampled_from(["embeddings", "0", "embedding.weight", "weights", "mapping"])


@given(st.dictionaries(names, consistent, max_size=4), st.lists(st.integers(-2, 9), min_size=5, max_size=8), st.randoms(use_true_random=False))
def test_fuzz_shapes_of_the_tensors(tiny: ModelBytes, tmp_path: Path, shapes: dict[str, Any], mapping: list[int], random: Any) -> None:
    parts = {name: np.full(shape, random.randint(0, 9)).astype(dtype) for name, (dtype, shape) in shapes.items()}
    if random.random() < 0.7:
        parts |= {"embeddings": random_matrix(random.randint(3, 9), 3, "int8")}
    if random.random() < 0.5:
        parts |= {"mapping": np.array(mapping)}
    load_and_use(tiny._replace(model=model_bytes(new_tokenizer("a"), parts).model), tmp_path)


json_values = st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)

# Values that are valid in several places of a tokenizer.json.
likely_values = (
    st.integers(0, 9) | st.sampled_from(["", "[UNK]", "[NEW]", "the", "cat", "t", "##", "\u2581", "Left", 10**9, 2**32 - 1, -0.5]) | st.booleans()
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def mutated(value: Any, place: tuple[Any, ...], new: Any, remove: bool) -> Any:
    """Return a copy of a JSON value in which the value at a place is replaced or removed."""
    if not place:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if len(place) == 1 and remove:
        del copy[place[0]]
    else:
        copy[place[0]] = mutated(value[place[0]], place[1:], new, remove)
    return copy


@pytest.fixture(scope="session")
def small_tokenizers() -> list[dict[str, Any]]:
    """A tokenizer of each kind with added tokens, so small that a random change is likely to matter."""
    vocabulary = {token: i for i, token in enumerate(["[UNK]", "the", "cat", "##s", "sat"])}
    unigram = models.Unigram([("<unk>", 0.0), ("\u2581the", -1.5), ("cat", -2.0), ("s", -3.0)], 0, False)
    bpe = models.BPE({"t": 0, "h": 1, "e": 2, "th": 3, "the": 4}, [("t", "h"), ("th", "e")], unk_token="t")
    kinds = [models.WordPiece(vocabulary, unk_token="[UNK]"), models.WordLevel(vocabulary, unk_token="[UNK]"), unigram, bpe]
    files = []
    for kind in kinds:
        parts = json.loads(Tokenizer(kind).to_str())
        parts["normalizer"] = {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        }
        parts["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "BertPreTokenizer"}]}
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        parts["added_tokens"] = [{"id": 0, "content": "[UNK]", **flags}, {"id": 5, "content": "[NEW]", **flags}]
        parts["truncation"] = {"direction": "Right", "max_length": 512, "strategy": "LongestFirst", "stride": 0}
        parts["padding"] = {
            "strategy": {"Fixed": 7}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[UNK]"
        }  # fmt: skip
        files.append(parts)
    return files


def test_the_tokenizers_to_be_broken_are_good(small_tokenizers: list[dict[str, Any]]) -> None:
    for parts in small_tokenizers:
        tokenizer = Tokenizer.from_str(json.dumps(parts))
        assert StaticModel(random_matrix(8, 3, "float32"), tokenizer).encode("the cat").any()
        assert len(places(parts)) > 40


@given(
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 10**6), likely_values | json_values, st.booleans()), min_size=1, max_size=2),
)
def test_fuzz_tokenizer(small_tokenizers: list[dict[str, Any]], tmp_path: Path, kind: int, changes: list[tuple[int, Any, bool]]) -> None:
    parts: Any = small_tokenizers[kind]
    for choice, new, remove in changes:
        found = places(parts)
        parts = mutated(parts, found[1 + choice % (len(found) - 1)], new, remove)
    tensors = {"embeddings": random_matrix(9, 3, "float16")}
    load_and_use(model_bytes(new_tokenizer("a"), tensors)._replace(tokenizer=json.dumps(parts).encode()), tmp_path)


@pytest.mark.parametrize("value", ["x", -1, 1.5, True, [1], {}, 2**40, 10**400, float("inf")], ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize("key", ["unk_id", "unk_token"])
def test_keys_of_another_kind_of_model(key: str, value: Any, small_tokenizers: list[dict[str, Any]], tmp_path: Path) -> None:
    """Each kind of model has one of the two keys, and the library ignores the other."""
    for parts in small_tokenizers:
        changed = {**parts, "model": {**parts["model"], key: value}}
        files = model_bytes(new_tokenizer("a"), {"embeddings": random_matrix(9, 3, "int8")})
        load_and_use(files._replace(tokenizer=json.dumps(changed).encode()), tmp_path)


@given(st.dictionaries(st.sampled_from(["normalize", "max_length", "model_type", "x"]), json_values) | json_values)
def test_fuzz_config(tiny: ModelBytes, tmp_path: Path, config: Any) -> None:
    load_and_use(tiny._replace(config=json.dumps(config).encode()), tmp_path)


@given(
    st.sampled_from(["tokenizer", "config"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(32, 126) | st.integers(0, 255)), min_size=1, max_size=2),
    st.floats(0, 1),
)
def test_fuzz_bytes_of_the_json(tiny: ModelBytes, tmp_path: Path, which: str, flips: list[tuple[float, int]], cut: float) -> None:
    broken = bytearray(getattr(tiny, which))
    for place, value in flips:
        broken[int(place * (len(broken) - 1))] = value
    if cut < 0.2:
        broken = broken[: int(cut * 5 * len(broken))]
    load_and_use(tiny._replace(**{which: bytes(broken)}), tmp_path)


def test_nothing_is_left_open(tiny_folder: Path) -> None:
    """A refused file can be deleted or written at once, also on systems where open files cannot."""
    (tiny_folder / "model.safetensors").write_bytes(tensors()[:-1])
    with pytest.raises(ModelFormatError):
        StaticModel.from_pretrained(tiny_folder)
    shutil.rmtree(tiny_folder)
    assert not tiny_folder.exists()
