"""All roads of a call give the same ids, vectors and errors: without compiled code, with it, and from one to the other in the middle of a call."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers import DTYPES, KINDS

from model2vec_numba import ModelFormatError, StaticModel
from model2vec_numba.starting.mode import VARIABLE, compile_mode
from model2vec_numba.vectors.form import PRECISIONS

SHARED_TEXTS = ("stsb-en.txt", "stsb-de.txt", "stsb-ru.txt", "stsb-ja.txt")


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "never")


def without_compiled_code(model: StaticModel) -> StaticModel:
    """Return a model that shares everything with another one, and never uses compiled code."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(VARIABLE, "never")
        plain = model._by_value()
    assert plain._roads.compiled is None
    return plain


def switching(model: StaticModel, after: int) -> StaticModel:
    """Return a model whose compiled code is ready after this number of looks."""
    plain = without_compiled_code(model)
    looks = 0

    def find_compiled() -> Any:
        nonlocal looks
        looks += 1
        return None if looks <= after else model._roads.compiled

    plain._roads.find_compiled = find_compiled  # type: ignore[method-assign]
    return plain


@pytest.mark.parametrize("mode", ["wait", "never"])
def test_the_memory_of_a_model_is_returned_at_once(mode: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only when Python's garbage collector runs: the matrix and the cache of chunks are large."""
    monkeypatch.setenv(VARIABLE, mode)
    gc.disable()
    try:
        model = StaticModel.from_pretrained(tiny_folder)
        model.encode(["a text"] * 50)
        kept = [weakref.ref(model._roads), weakref.ref(model.embedding)]
        if mode == "wait":
            kept.append(weakref.ref(model._tokenizer))
        del model
        assert [reference() for reference in kept] == [None] * len(kept)
    finally:
        gc.enable()


def assert_same(found: Any, right: Any) -> None:
    assert found.dtype == right.dtype and found.shape == right.shape
    assert found.tobytes() == right.tobytes()


def check(model: StaticModel, other: StaticModel, texts: list[str]) -> None:
    """Check that everything that a model can do gives the same with both."""
    for arguments in ({}, {"normalize": False, "max_length": 3}, {"normalize": True, "max_length": None, "batch_size": 7}):
        assert_same(other.encode(texts, **arguments), model.encode(texts, **arguments))  # type: ignore[arg-type]
    ranges = np.array([[-0.1], [0.1]])
    for dim in (model.dim, 9):
        for precision in PRECISIONS:
            form: dict[str, Any] = {"dimensionality": dim, "precision": precision}
            if precision in {"int8", "uint8"}:
                form["ranges"] = ranges.repeat(dim, axis=1)
            assert_same(other.encode(texts, **form), model.encode(texts, **form))
            assert_same(other.encode(texts[0], **form), model.encode(texts[0], **form))
            out = np.empty_like(model.encode(texts, **form), order="F")
            assert other.encode(texts, out=out, **form) is out
            assert_same(out, model.encode(texts, **form))
    for text in texts[:30]:
        assert_same(other.encode(text), model.encode(text))
    assert other.tokenize(texts) == model.tokenize(texts)
    assert other.tokenize(texts, max_length=5) == model.tokenize(texts, max_length=5)
    for found, right in zip(other.encode_as_sequence(texts), model.encode_as_sequence(texts), strict=True):
        assert_same(found, right)
    column = pa.chunked_array([pa.array([*texts[:50], None]), pa.array(texts[50:] + [None] * 3)])
    for array in (column, column.dictionary_encode(), column.chunk(0), column.cast(pa.large_string()), pa.nulls(3)):
        for dtype in ("float32", "float16"):
            found, right = (each.encode_arrow(array, dtype=dtype, max_length=9) for each in (other, model))
            assert found.equals(right)
    assert other.encode([]).shape == model.encode([]).shape


@pytest.mark.parametrize("kind", KINDS)
def test_every_tokenizer(make_model: Callable[..., StaticModel], texts: list[str], kind: str) -> None:
    model = make_model(kind)
    check(model, without_compiled_code(model), texts)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_storage_type(make_model: Callable[..., StaticModel], texts: list[str], dtype: str, weights: bool) -> None:
    model = make_model(dtype=dtype, dim=48, weights=weights, mapping=weights)
    check(model, without_compiled_code(model), texts)


@pytest.mark.parametrize("after", [1, 2, 3, 10])
def test_a_change_in_the_middle_of_a_call(make_model: Callable[..., StaticModel], texts: list[str], after: int) -> None:
    model = make_model(dim=48)
    right = model.encode(texts)
    assert_same(switching(model, after).encode(texts, batch_size=5), right)
    bits = model.encode(texts, precision="binary", dimensionality=20)
    out = np.empty_like(bits, order="F")
    assert_same(switching(model, after).encode(texts, batch_size=5, precision="binary", dimensionality=20, out=out), bits)
    column = pa.chunked_array([pa.array(texts[i : i + 9]) for i in range(0, len(texts), 9)])
    assert switching(model, after).encode_arrow(column).equals(model.encode_arrow(column))
    many = texts * 20
    assert switching(model, after).tokenize(many) == model.tokenize(many)
    for found, expected in zip(switching(model, after).encode_as_sequence(texts, batch_size=5), model.encode_as_sequence(texts), strict=True):
        assert_same(found, expected)
    bad = [*texts, "a", "b\ud800", "c"]
    with pytest.raises(ValueError, match=rf"sentences\[{len(texts) + 1}\] cannot be UTF-8: it holds the lone surrogate U\+D800 at character 1"):
        switching(model, after).encode(bad, batch_size=5)
    with pytest.raises(ValueError, match=rf"sentences\[{len(texts) + 1}\] cannot be UTF-8"):
        switching(model, after).encode_as_sequence(bad, batch_size=5)


class Odd(str):
    """A string whose methods lie."""

    def __len__(self) -> int:
        return 1

    def encode(self, *_: Any) -> bytes:
        return b""


def test_errors_are_the_same(make_model: Callable[..., StaticModel]) -> None:
    model = make_model()
    plain = without_compiled_code(model)
    wrong: list[Any] = [["a", None], ["a", b"b"], ["a", "\udfff"], 3, b"a", None, ["a" * 9, 1.5]]
    for sentences in wrong:
        for method in ("encode", "tokenize", "encode_as_sequence"):
            messages = []
            for each in (model, plain):
                with pytest.raises((TypeError, ValueError)) as error:
                    getattr(each, method)(sentences)
                messages.append((type(error.value), str(error.value)))
            assert messages[0] == messages[1]
    with pytest.raises(ValueError, match=r"sentences\[0\] cannot be UTF-8"):
        plain.encode("\ud800")
    assert_same(plain.encode([Odd("the cat")]), model.encode([Odd("the cat")]))
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xff")])
    for each in (model, plain):
        with pytest.raises(ValueError, match="rows 0 to 0"):
            each.encode_arrow(bad)


def test_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    for value, mode in {"": "background", "wait": "wait", "never": "never", "background": "background"}.items():
        monkeypatch.setenv(VARIABLE, value)
        assert compile_mode() == mode
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert compile_mode() == "never"
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")
    monkeypatch.setenv(VARIABLE, "sometimes")
    with pytest.raises(ValueError, match="MODEL2VEC_NUMBA_COMPILE must be one of background, wait, never, not 'sometimes'"):
        compile_mode()


@pytest.mark.usefixtures("never")
def test_a_model_says_that_nothing_is_compiled(tiny_folder: Path) -> None:
    model = StaticModel.from_pretrained(tiny_folder)
    assert model.tokenizer_backend == "tokenizers"
    assert model.uncompiled_part is not None and VARIABLE in model.uncompiled_part
    assert "tokenizer_backend='tokenizers'" in repr(model)
    (tiny_folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unknown", "vocab": {"a": 0}}}))
    with pytest.raises(ModelFormatError, match=r"tokenizer\.json"):
        StaticModel.from_pretrained(tiny_folder)


USE = """
import sys
import pyarrow as pa
from model2vec_numba import StaticModel
model = StaticModel.from_pretrained()
vectors = model.encode(["It is cold today.", "ok"])
assert vectors.shape == (2, 256)
assert model.encode_arrow(pa.array(["ok", None]), dtype="float16").null_count == 1
assert model.tokenize("ok") == [model.tokenizer.encode("ok", add_special_tokens=False).ids]
print(model.encode("It is cold today.").tobytes() == vectors[0].tobytes(), "numba" in sys.modules)
"""


@pytest.mark.parametrize("variable", [VARIABLE, "NUMBA_DISABLE_JIT"])
def test_without_the_compiler_numba_is_not_even_imported(variable: str) -> None:
    environment = {**os.environ, VARIABLE: "background", variable: "never" if variable == VARIABLE else "1"}
    done = subprocess.run([sys.executable, "-c", USE], env=environment, check=True, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True False\n", "")


READY = """
import sys
from model2vec_numba.starting import roads
roads.is_ready = lambda _: True
roads.has_note = lambda _: NOTE
from model2vec_numba import StaticModel
model = StaticModel.from_pretrained()
texts = ["It is cold today.", "ok"]
right = model.encode(texts).tobytes()
assert model.encode(texts[0]).shape == (256,) and model.tokenize("ok") and "numba" not in sys.modules
"""
SMALL_CALLS = (
    READY.replace("NOTE", "True")
    + """
while model._roads.compiled is None:
    assert model.encode(texts).tobytes() == right
assert "numba" in sys.modules and model.encode(texts).tobytes() == right
assert StaticModel.from_pretrained().encode(texts).tobytes() == right
"""
)
MANY_TEXTS = (
    READY.replace("NOTE", "False")
    + """
assert model.encode(texts * 9000).tobytes() == right * 9000
assert model._roads.compiled is not None
"""
)
ITS_NAME = READY.replace("NOTE", "True") + "assert model.tokenizer_backend == 'wordpiece'"


@pytest.mark.parametrize("code", [SMALL_CALLS, MANY_TEXTS, ITS_NAME], ids=["small calls", "many texts", "its name"])
def test_numba_is_imported_when_it_is_worth_it(code: str) -> None:
    """Also if all compiled code is in the cache."""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, VARIABLE: "background"}, check=True, timeout=300)


@pytest.mark.parametrize(
    "folder", ["minilm-256-f16", "minilm-256-f32", "minilm-256-i8", "minilm-256-vq4096", "bpe-multilingual-64-f16", "unigram-multilingual-64-f16"]
)
def test_shared_models(shared: Path, folder: str) -> None:
    model = StaticModel.from_pretrained(shared / "models" / folder)
    plain = without_compiled_code(model)
    lines = [line for name in SHARED_TEXTS for line in (shared / "texts" / name).read_text(encoding="utf-8").splitlines()[::20]]
    for normalize in (False, True):
        assert_same(plain.encode(lines, normalize=normalize), model.encode(lines, normalize=normalize))
    assert plain.tokenize(lines) == model.tokenize(lines)
