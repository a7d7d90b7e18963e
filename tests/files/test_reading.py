"""Reading models: layouts, settings and tensors, and how much memory they take."""

from __future__ import annotations

import json
import mmap
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import model2vec
import numpy as np
import pytest
from helpers import (
    DTYPES,
    LAYOUTS,
    ModelBytes,
    model_bytes,
    new_tokenizer,
    random_matrix,
    random_parts,
    raw_safetensors,
    write_model,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import Reference, assert_close
from safetensors import deserialize
from safetensors.numpy import save as save_safetensors
from tokenizers import Tokenizer

from model2vec_numba import ModelFormatError, ModelNotFoundError, StaticModel
from model2vec_numba.files.tensors import parse_tensors, read_tensors

WORDS = ("alpha", "beta", "gamma")
TEXTS = ["alpha beta", "gamma gamma zz", "", "beta"]
NORMALIZE = [
    {"idx": 0, "type": "sentence_transformers.models.StaticEmbedding"},
    {"idx": 1, "type": "sentence_transformers.models.Normalize"},
]
PLAIN = NORMALIZE[:1]


def contents(config: Any = None, *, seed: int = 1, name: str = "embeddings") -> ModelBytes:
    return model_bytes(new_tokenizer(*WORDS), {name: random_matrix(4, 6, "float32", seed)}, config)


def matrix_of(seed: int) -> NDArray[Any]:
    return random_matrix(4, 6, "float32", seed)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: int, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "a" / "b", contents({"normalize": True, "max_length": 77}), layout)
    for path in (folder, str(folder), f"{folder}/"):
        model = StaticModel.from_pretrained(path)
        np.testing.assert_array_equal(model.embedding, matrix_of(1))
        assert (model.normalize, model.max_length, model.config["max_length"]) == (True, 77, 77)
        assert_close(model.encode(TEXTS), Reference(new_tokenizer(*WORDS), {"embeddings": matrix_of(1)}).encode(TEXTS))


def test_layouts_are_tried_in_order(tmp_path: Path) -> None:
    """All four layouts in one folder, then without the files of the first, of the second, and so on."""
    folder = tmp_path / "parent" / "0_StaticEmbedding"
    write_model(folder, contents({"language": "layout 4"}, seed=4), 4)
    write_model(folder, contents(seed=3), 3)
    write_model(folder, contents({"language": "layout 2"}, seed=2), 2)
    write_model(folder, contents({"language": "layout 1"}, seed=2), 1)

    def found() -> str:
        return str(StaticModel.from_pretrained(folder).config["language"])

    assert found() == "layout 1"
    (folder / "config.json").unlink()
    assert found() == "layout 2"
    # A layout needs its tokenizer and its tensors too.
    (folder / "config.json").write_text(json.dumps({"language": "layout 1"}))
    (folder / "tokenizer.json").rename(folder / "put_aside.json")
    assert found() == "layout 2"  # which shares its config with layout 3
    np.testing.assert_array_equal(StaticModel.from_pretrained(folder).embedding, matrix_of(3))
    (folder / "put_aside.json").rename(folder / "tokenizer.json")
    (folder / "config.json").unlink()
    (folder / "config_sentence_transformers.json").unlink()
    assert found() == "layout 4"
    np.testing.assert_array_equal(StaticModel.from_pretrained(folder).embedding, matrix_of(2))
    (folder / "0_StaticEmbedding").rename(folder / "elsewhere")
    assert found() == "layout 4"


def test_the_folder_before_its_0_static_embedding(tmp_path: Path) -> None:
    """If both are complete, layout 2 takes precedence over layout 3."""
    folder = write_model(tmp_path / "model", contents(seed=3), 3)
    np.testing.assert_array_equal(StaticModel.from_pretrained(folder).embedding, matrix_of(3))
    write_model(folder, contents(seed=2), 2)
    np.testing.assert_array_equal(StaticModel.from_pretrained(folder).embedding, matrix_of(2))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_subfolder(layout: int, tmp_path: Path) -> None:
    write_model(tmp_path, contents(seed=9), 1)
    write_model(tmp_path / "deep" / "er", contents(seed=1), layout)
    for subfolder in ("deep/er", "deep/er/"):
        np.testing.assert_array_equal(StaticModel.from_pretrained(tmp_path, subfolder=subfolder).embedding, matrix_of(1))
    np.testing.assert_array_equal(StaticModel.from_pretrained(tmp_path).embedding, matrix_of(9))
    np.testing.assert_array_equal(StaticModel.from_pretrained(tmp_path, subfolder="").embedding, matrix_of(9))
    with pytest.raises(ModelNotFoundError, match=r"default_model.deep: no model in this folder\. Missing: config\.json \+ tokenizer\.json"):
        StaticModel.from_pretrained(subfolder="deep")


def test_the_error_names_the_missing_files(tmp_path: Path) -> None:
    folder = write_model(tmp_path, contents(seed=1), 1)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelNotFoundError, match=r"Missing: tokenizer\.json, or config_sentence_transformers\.json \+ tokenizer\.json, or "):
        StaticModel.from_pretrained(folder)


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "org" / "name", contents(seed=1), 1)
    write_model(tmp_path / "st" / "0_StaticEmbedding", contents(seed=2), 4)
    monkeypatch.chdir(tmp_path)
    for path in ("org/name", "./org/name", Path("org/name")):
        np.testing.assert_array_equal(StaticModel.from_pretrained(path).embedding, matrix_of(1))
    monkeypatch.chdir(tmp_path / "st" / "0_StaticEmbedding")
    np.testing.assert_array_equal(StaticModel.from_pretrained(".").embedding, matrix_of(2))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.testing.assert_array_equal(StaticModel.from_pretrained("~/org/name").embedding, matrix_of(1))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("embeddings",), 0),
        (("0",), 0),
        (("embedding.weight",), 0),
        (("0", "embeddings"), 1),
        (("embedding.weight", "0"), 1),
        (("embedding.weight", "embeddings", "0"), 1),
        (("other", "embedding.weight", "embeddings.weight"), 1),
    ],
)
@pytest.mark.parametrize("layout", [1, 2])
def test_names_of_the_matrix(names: tuple[str, ...], expected: int, layout: int, tmp_path: Path) -> None:
    files = model_bytes(new_tokenizer(*WORDS), {name: matrix_of(i) for i, name in enumerate(names)})
    folder = write_model(tmp_path, files, layout)
    np.testing.assert_array_equal(StaticModel.from_pretrained(folder).embedding, matrix_of(expected))
    np.testing.assert_array_equal(StaticModel.from_bytes(*files).embedding, matrix_of(expected))


@pytest.mark.parametrize("argument", [None, True, False])
@pytest.mark.parametrize("modules", [None, PLAIN, NORMALIZE])
@pytest.mark.parametrize("config", [None, True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_normalize(layout: int, config: bool | None, modules: Any, argument: bool | None, tmp_path: Path) -> None:
    files = contents({} if config is None else {"normalize": config})
    folder = write_model(tmp_path / "model", files, layout, modules)
    if argument is not None:
        expected = argument
    elif config is not None:
        expected = config
    else:
        expected = layout > 1 and modules is NORMALIZE
    model = StaticModel.from_pretrained(folder, normalize=argument)
    assert model.normalize is expected
    assert model.config["normalize"] is expected
    assert (abs(np.linalg.norm(model.encode("alpha beta")) - 1) < 1e-6) == expected


@pytest.mark.parametrize("kind", ["sentence_transformers.models.Normalize", "sentence_transformers.models.normalize.Normalize", "Normalize"])
def test_names_of_the_normalize_module(kind: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path, contents(), 2, [*PLAIN, {"idx": 1, "name": "1", "path": "1_Normalize", "type": kind}])
    assert StaticModel.from_pretrained(folder).normalize is True


@pytest.mark.parametrize("layout", [2, 3, 4])
@pytest.mark.parametrize("config", [{}, {"normalize": True}, {"normalize": False}])
@pytest.mark.parametrize(
    ("module", "said"),
    [
        ({"type": "sentence_transformers.models.Dense", "path": "1_Dense"}, "sentence_transformers.models.Dense"),
        ({"type": "sentence_transformers.models.LayerNorm"}, "LayerNorm"),
        ({"type": "my.NotNormalize", "path": "1_Normalize"}, "my.NotNormalize"),
        ({"type": "sentence_transformers.models.Normalize.Dense"}, "Normalize.Dense"),
        ({"type": ""}, "''"),
        ({"type": 7}, "7"),
        ({}, "None"),
    ],
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_other_modules_are_refused(layout: int, config: Any, module: Any, said: str, position: int, tmp_path: Path) -> None:
    modules = [*NORMALIZE[:position], module, *NORMALIZE[position:]]
    folder = write_model(tmp_path / "model", contents(config), layout, modules)
    with pytest.raises(ModelFormatError, match=r"modules\.json: lists a module .*expected only StaticEmbedding and Normalize") as raised:
        StaticModel.from_pretrained(folder, normalize=True)
    assert said in str(raised.value)


def test_modules_beside_a_model_of_model2vec(tmp_path: Path) -> None:
    """model2vec does not read this file, and its layout takes precedence."""
    folder = write_model(tmp_path, contents(), 1, [*PLAIN, {"type": "sentence_transformers.models.Dense"}])
    assert StaticModel.from_pretrained(folder).normalize is False


@pytest.mark.parametrize("layout", [2, 3, 4])
def test_default_prompt(layout: int, tmp_path: Path) -> None:
    prompts = {"query": "query: ", "document": ""}
    for name, prompted in ((None, False), ("document", False), ("nonesuch", False), ("query", True)):
        config = {"prompts": prompts, "default_prompt_name": name}
        folder = write_model(tmp_path / str(name) / "model", contents(config), layout, PLAIN)
        if prompted:
            with pytest.raises(ModelFormatError, match=r"config_sentence_transformers\.json: default_prompt_name is 'query'.*'query: '"):
                StaticModel.from_pretrained(folder)
        else:
            StaticModel.from_pretrained(folder)


@pytest.mark.parametrize("config", [{}, {"normalize": None}])
def test_normalize_is_false_unless_the_files_ask_for_it(config: Any, tmp_path: Path) -> None:
    files = contents(config)
    folder = write_model(tmp_path, files)
    theirs = model2vec.StaticModel.from_pretrained(str(folder))
    for model in (StaticModel.from_pretrained(folder), StaticModel.from_bytes(*files)):
        assert model.normalize is False
        assert_close(model.encode(TEXTS), theirs.encode(TEXTS))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "int8"])
def test_rows_that_are_not_finite(dtype: str, value: float, tmp_path: Path) -> None:
    parts = random_parts(9000, 24, dtype, weights=False, mapping=False)
    tokenizer = new_tokenizer(*(f"w{i}" for i in range(8999)))
    folder = write_model(tmp_path, model_bytes(tokenizer, parts))
    StaticModel.from_pretrained(folder)  # warnings are errors in these tests
    for row, column in ((5, 0), (5, 7), (8998, 23), (4001, 3)):
        parts["embeddings"][row, column] = value
    files = model_bytes(tokenizer, parts)
    write_model(folder, files)
    with pytest.warns(RuntimeWarning, match=r"model\.safetensors: 3 of 9000 rows of the embedding matrix hold NaN or infinity"):
        StaticModel.from_pretrained(folder)
    with pytest.warns(RuntimeWarning, match="model: 3 of 9000 rows"):
        StaticModel.from_bytes(*files)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_weights_that_are_not_finite(dtype: str, tmp_path: Path) -> None:
    parts = random_parts(4, 6, "int8", weights=True, mapping=False)
    parts["weights"] = np.array([1, np.nan, 2, np.inf], dtype)
    with pytest.warns(RuntimeWarning, match=r"model\.safetensors: 2 of 4 weights hold NaN or infinity"):
        StaticModel.from_pretrained(write_model(tmp_path, model_bytes(new_tokenizer(*WORDS), parts)))


@pytest.mark.parametrize(("argument", "config", "expected"), [
    ({}, {}, 512),
    ({}, {"max_length": 9}, 9),
    ({}, {"max_length": None}, None),
    ({"max_length": 3}, {"max_length": 9}, 3),
    ({"max_length": None}, {"max_length": 9}, None),
    ({"max_length": None}, {}, None),
    ({"max_length": 3}, {"max_length": None}, 3),
])  # fmt: skip
def test_max_length(argument: Any, config: Any, expected: int | None, tmp_path: Path) -> None:
    files = contents(config)
    for model in (StaticModel.from_pretrained(write_model(tmp_path, files), **argument), StaticModel.from_bytes(*files, **argument)):
        assert model.max_length == expected
        assert model.config["max_length"] == expected
        count = 512 if expected is None else expected
        assert len(model.tokenize(["beta " * 600], max_length=model.max_length)[0]) >= min(count, 600) * 0.8
        [vector] = model.encode(["alpha " * (expected or 10) * 8 + "beta"], normalize=False)
        assert np.allclose(vector, matrix_of(1)[1], atol=5e-5) == (expected is not None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("weights", "mapping"), [(False, False), (True, False), (False, True), (True, True)])
def test_every_road_gives_the_same_model(dtype: str, weights: bool, mapping: bool, tmp_path: Path) -> None:
    parts = random_parts(4, 6, dtype, weights=weights, mapping=mapping)
    files = model_bytes(new_tokenizer(*WORDS), parts, {"normalize": True})
    from_folder = StaticModel.from_pretrained(write_model(tmp_path, files))
    models = [
        from_folder,
        StaticModel.from_bytes(*files),
        StaticModel.from_bytes(tokenizer=files.tokenizer, model=files.model, config=files.config),
        StaticModel(parts["embeddings"], new_tokenizer(*WORDS), weights=parts.get("weights"), token_mapping=parts.get("mapping"), normalize=True),
    ]
    expected = Reference(new_tokenizer(*WORDS), parts).encode(TEXTS)
    for model in models:
        assert model.embedding_dtype == dtype
        assert_close(model.encode(TEXTS), expected)
        np.testing.assert_array_equal(model.encode(TEXTS), from_folder.encode(TEXTS))
        stored = model.embedding.view(ml_dtypes.bfloat16) if dtype == "bfloat16" else model.embedding
        np.testing.assert_array_equal(stored, parts["embeddings"])


@pytest.mark.parametrize("weights", ["float64", "float32", "float16"])
@pytest.mark.parametrize("mapping", ["int32", "int64"])
def test_types_of_weights_and_mapping(weights: str, mapping: str, tmp_path: Path) -> None:
    parts = random_parts(4, 6, "float16", weights=True, mapping=True)
    parts["weights"] = parts["weights"].astype(weights)
    parts["mapping"] = np.array([0, 0, 0, 0], mapping)
    model = StaticModel.from_pretrained(write_model(tmp_path, model_bytes(new_tokenizer(*WORDS), parts)), normalize=False)
    assert_close(model.encode(TEXTS), Reference(new_tokenizer(*WORDS), parts).encode(TEXTS, normalize=False))
    assert model.token_mapping is not None and model.token_mapping.dtype == np.int32
    assert model.weights is not None and model.weights.dtype == weights


def test_more_rows_weights_and_mapping_than_tokens_are_fine(tmp_path: Path) -> None:
    """Distilled models may be padded to a round number of rows."""
    parts = {"embeddings": random_matrix(64, 6, "float32"), "weights": np.ones(70, np.float32), "mapping": np.arange(63, -1, -1)}
    model = StaticModel.from_pretrained(write_model(tmp_path, model_bytes(new_tokenizer(*WORDS), parts)))
    np.testing.assert_array_equal(model.encode_as_sequence("alpha gamma"), parts["embeddings"][[62, 60]])


def test_arguments_of_loading(tmp_path: Path) -> None:
    """Fewer dimensions and other storage types. int8 is the same as in model2vec."""
    from model2vec.quantization import quantize_and_reduce_dim

    matrix = random_matrix(4, 40, "float32")
    folder = write_model(tmp_path, model_bytes(new_tokenizer(*WORDS), {"embeddings": matrix}))
    for dtype in (None, "float32", "float16", "float64", "int8"):
        for dimensionality in (None, 1, 7, 40):
            model = StaticModel.from_pretrained(folder, quantize_to=dtype, dimensionality=dimensionality)
            assert (model.dim, model.embedding_dtype) == (dimensionality or 40, dtype or "float32")
            np.testing.assert_array_equal(model.embedding, quantize_and_reduce_dim(matrix, dtype, dimensionality))
            assert model.encode(TEXTS).shape == (4, dimensionality or 40)


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", ["float32", "float16", "float64", "int8"])
def test_quantize_to(source: str, target: str, tmp_path: Path) -> None:
    """Between all storage types, with a matrix of several blocks of rows."""
    parts = random_parts(9000, 5, source, weights=True, mapping=False)
    tokenizer = new_tokenizer(*(f"w{i}" for i in range(8999)))
    model = StaticModel.from_pretrained(write_model(tmp_path, model_bytes(tokenizer, parts)), quantize_to=target)
    assert model.embedding_dtype == target
    wide = parts["embeddings"].astype(np.float64)
    if target == "int8":
        scale = np.abs(wide).max() / 127
        assert np.abs(model.embedding - wide / scale).max() <= 0.57  # half a step, and float16's rounding on the way
        assert np.abs(model.embedding).max() == 127
    else:
        scale = 1.0
        np.testing.assert_array_equal(model.embedding, wide.astype(target))
    assert model.weights is not None
    np.testing.assert_allclose(model.weights, parts["weights"] * scale, rtol=1e-3 if source == "float16" else 1e-6)
    assert_close(model.encode_as_sequence("w5 w8998"), model.weights[[6, 8999], None] * model.embedding[[6, 8999]].astype(np.float64))


def test_quantize_to_as_model2vec_and_numpy_say_it(tmp_path: Path) -> None:
    from model2vec.quantization import DType

    folder = write_model(tmp_path, contents())
    model = StaticModel.from_pretrained(folder, quantize_to=DType.Int8, dimensionality=np.int64(2))
    assert type(model.embedding_dtype) is str
    assert (model.embedding_dtype, model.dim, type(model.dim)) == ("int8", 2, int)
    assert "int8" in repr(model) and "DType" not in repr(model)


def test_zeros_quantise_to_zeros(tmp_path: Path) -> None:
    folder = write_model(tmp_path, model_bytes(new_tokenizer(*WORDS), {"embeddings": np.zeros((4, 6), np.float32)}))
    model = StaticModel.from_pretrained(folder, quantize_to="int8")
    assert model.embedding.dtype == np.int8 and not model.embedding.any()
    assert not model.encode(TEXTS, normalize=True).any()


def test_bundled_model_is_loaded_without_arguments(default_model: StaticModel) -> None:
    import model2vec_numba

    folder = Path(model2vec_numba.__file__).parent / "default_model"
    np.testing.assert_array_equal(StaticModel.from_pretrained(folder).encode(TEXTS), default_model.encode(TEXTS))
    assert {"LICENSE", "NOTICE", "README.md"} <= {path.name for path in folder.iterdir()}
    cut = StaticModel.from_pretrained(dimensionality=64, normalize=False, max_length=None)
    assert (cut.dim, cut.normalize, cut.max_length) == (64, False, None)


# The safetensors reader


NUMPY_TYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
    "bool",
]


@given(st.lists(st.tuples(st.sampled_from(NUMPY_TYPES), st.lists(st.integers(0, 4), max_size=4)), max_size=5), st.integers(0, 20))
def test_reads_what_the_library_writes(entries: list[tuple[str, list[int]]], padding: int) -> None:
    generator = np.random.default_rng(0)
    tensors = {}
    for i, (dtype, shape) in enumerate(entries):
        values = generator.integers(0, 2 if dtype == "bool" else 100, shape)
        tensors[f"t{i}"] = values.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    content = save_safetensors(tensors)
    # The header may have any length. Old programs do not pad it, and then the data is not aligned.
    length = int.from_bytes(content[:8], "little")
    content = raw_safetensors(content[8 : 8 + length].rstrip(b" "), content[8 + length :], padding=padding)
    found = parse_tensors(np.frombuffer(content, np.uint8), tensors, "test")
    theirs = dict(deserialize(content))  # type: ignore[no-untyped-call]
    assert found.keys() == tensors.keys() == theirs.keys()
    for name, tensor in found.items():
        as_uint = tensors[name].dtype.name in ("bfloat16", "bool")
        expected = tensors[name].view(np.uint16 if tensors[name].dtype.itemsize == 2 else np.uint8) if as_uint else tensors[name]
        assert tensor.array.shape == tensors[name].shape
        np.testing.assert_array_equal(tensor.array, expected)
        assert tensor.array.tobytes() == bytes(theirs[name]["data"])
        assert (tensor.dtype, list(tensor.array.shape)) == (theirs[name]["dtype"], theirs[name]["shape"])
        assert tensor.array.flags.aligned and tensor.array.flags.c_contiguous and not tensor.array.flags.writeable


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", range(9))
def test_misaligned_files(dtype: str, padding: int, tmp_path: Path) -> None:
    parts = random_parts(4, 6, dtype, weights=True, mapping=True)
    files = model_bytes(new_tokenizer(*WORDS), parts, {"normalize": True})
    length = int.from_bytes(files.model[:8], "little")
    shifted = files._replace(model=raw_safetensors(files.model[8 : 8 + length], files.model[8 + length :], padding=padding))
    folder = write_model(tmp_path, shifted)
    expected = StaticModel.from_bytes(*files).encode(TEXTS)
    np.testing.assert_array_equal(StaticModel.from_pretrained(folder).encode(TEXTS), expected)
    np.testing.assert_array_equal(StaticModel.from_bytes(*shifted).encode(TEXTS), expected)


def test_metadata_and_other_tensors_are_passed_over(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt", "embeddings": "a name in the metadata"},
        "odd": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [96, 98]},
        "embeddings": {"dtype": "F32", "shape": [4, 6], "data_offsets": [0, 96]},
    }
    content = raw_safetensors(header, matrix_of(1).tobytes() + b"\1\2")
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    for found in (read_tensors(path, ["embeddings"]), parse_tensors(np.frombuffer(content, np.uint8), ["embeddings"], "test")):
        assert list(found) == ["embeddings"]
        assert found["embeddings"].dtype == "F32"
        np.testing.assert_array_equal(found["embeddings"].array, matrix_of(1))
    with pytest.raises(ModelFormatError, match="F8_E4M3"):
        read_tensors(path, ["odd"])


# Memory


def bases(array: NDArray[Any]) -> list[Any]:
    """Return the array, its base, the base of that, and so on. The last object owns the memory."""
    chain: list[Any] = [array]
    while (base := chain[-1].base if isinstance(chain[-1], np.ndarray) else getattr(chain[-1], "obj", None)) is not None:
        chain.append(base)
    return chain


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_matrix_begins_at_a_cache_line(dtype: str, tmp_path: Path) -> None:
    """It is in memory of its own, which cannot be written to through NumPy."""
    parts = random_parts(4, 6, dtype, weights=True, mapping=True)
    model = StaticModel.from_pretrained(write_model(tmp_path, model_bytes(new_tokenizer(*WORDS), parts)))
    assert model.embedding.ctypes.data % 64 == 0
    assert not any(isinstance(base, mmap.mmap) for base in bases(model.embedding))
    assert not model.embedding.flags.writeable


@pytest.mark.parametrize("dtype", DTYPES)
def test_from_bytes_does_not_copy_the_matrix(dtype: str) -> None:
    files = model_bytes(new_tokenizer(*WORDS), random_parts(4, 6, dtype, weights=False, mapping=False))
    model = StaticModel.from_bytes(*files)
    assert np.shares_memory(model.embedding, np.frombuffer(files.model, np.uint8))
    assert bases(model.embedding)[-1] is files.model


@pytest.mark.parametrize("dtype", DTYPES)
def test_init_does_not_copy_the_matrix(dtype: str) -> None:
    matrix = random_matrix(4, 6, dtype)
    model = StaticModel(matrix, new_tokenizer(*WORDS))
    assert np.shares_memory(model.embedding, matrix)
    # An array that the kernels cannot read in place is copied.
    strided = np.asfortranarray(matrix)
    model = StaticModel(strided, new_tokenizer(*WORDS))
    assert model.embedding.flags.c_contiguous
    assert_close(model.encode(TEXTS), Reference(new_tokenizer(*WORDS), {"embeddings": matrix}).encode(TEXTS, normalize=False))


def test_a_model_outlives_its_file(tmp_path: Path) -> None:
    """Package managers and downloads delete or replace files."""
    folder = write_model(tmp_path / "model", contents())
    model = StaticModel.from_pretrained(folder)
    expected = model.encode(TEXTS)
    shutil.rmtree(folder)
    write_model(folder, contents(seed=2))
    np.testing.assert_array_equal(model.encode(TEXTS), expected)
    assert not np.array_equal(StaticModel.from_pretrained(folder).encode(TEXTS), expected)


MEASURE = """
    import gc, json, resource, sys
    import psutil
    from model2vec_numba import StaticModel

    def resident():
        gc.collect()
        return psutil.Process().memory_info().rss

    def peak():
        if sys.platform == "linux":  # there ru_maxrss begins with the value of the parent process
            [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
            return int(line.split()[1]) * 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def load(folder, how):
        if how == "folder":
            return StaticModel.from_pretrained(folder)
        return StaticModel.from_bytes(*(open(f"{folder}/{name}", "rb").read() for name in ("tokenizer.json", "model.safetensors", "config.json")))

    small, large, how = sys.argv[1:]
    texts = [" ".join(f"w{i}" for i in range(first, first + 100)) for first in range(0, 20_000, 100)]
    kept, measured = [], {}
    # First compiled code and texts take memory, then one more model with this tokenizer, and then the large matrix.
    for name, folder in (("warm", small), ("small", small), ("large", large)):
        kept.append(load(folder, how))
        measured[name + " loaded"] = resident()
        vectors = kept[-1].encode(texts)
        assert vectors.any(axis=1).all()
        measured[name], measured[name + " peak"] = resident(), peak()
    print(json.dumps(measured))
"""


@pytest.mark.skipif(os.name == "nt", reason="the resource module is POSIX")
@pytest.mark.parametrize("how", ["folder", pytest.param("bytes", marks=pytest.mark.exhaustive)])
def test_memory_of_an_int8_matrix(how: str, tmp_path: Path) -> None:
    """51 MB of int8 take 51 MB. A copy in float32 would take 205 MB."""
    tokens, rows, dim = 20_001, 200_010, 256
    tokenizer = new_tokenizer(*(f"w{i}" for i in range(tokens - 1)))
    # Every tenth row is read, which is more than one in each page of the file.
    mapping = (np.arange(tokens) * 10).astype(np.int32)
    values = np.resize(random_matrix(1000, dim, "int8"), (rows, dim))
    large = write_model(tmp_path / "large", model_bytes(tokenizer, {"embeddings": values, "mapping": mapping}))
    small = write_model(tmp_path / "small", model_bytes(tokenizer, {"embeddings": random_matrix(4, dim, "int8"), "mapping": mapping % 4}))
    command = [sys.executable, "-c", textwrap.dedent(MEASURE), str(small), str(large), how]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    size = rows * dim
    beside = measured["small"] - measured["warm"]
    assert 0.7 * size < measured["large"] - measured["small"] - beside < 1.15 * size, measured
    assert measured["large peak"] - measured["small peak"] - beside < 1.15 * size, measured


def test_what_was_parsed_is_let_go(make_model: Callable[..., StaticModel]) -> None:
    """A loaded model keeps the text of its tokenizer, and parses it again when it is needed."""
    model = make_model()
    vocabulary = model.tokenizer.get_vocab(with_added_tokens=True)
    for _ in range(2):
        assert {"_parsed", "_canonical", "config", "vocabulary", "plain_vocabulary", "mapped_vocabulary"}.isdisjoint(vars(model._spec))
        assert model.tokens == tuple(sorted(vocabulary, key=vocabulary.__getitem__))
    copy = pickle.loads(pickle.dumps(model))
    assert "_parsed" not in vars(copy._spec) and copy.tokens == model.tokens


def test_vocabulary_that_lists_a_token_twice(tmp_path: Path) -> None:
    """A row for each distinct token is enough, as for model2vec, and row `i` belongs to the token with id `i`. So the last ids have no row."""
    vocabulary = [["<unk>", 0.0], ["a", -1.0], ["b", -1.5], ["a", -2.0], ["c", -2.5]]
    text = json.dumps({"version": "1.0", "added_tokens": [], "model": {"type": "Unigram", "unk_id": 0, "vocab": vocabulary}})
    matrix = random_matrix(4, 3, "float32")
    model = write_model(tmp_path / "model", model_bytes(Tokenizer.from_str(text), {"embeddings": matrix}))
    ours, theirs = StaticModel.from_pretrained(str(model)), model2vec.StaticModel.from_pretrained(str(model))
    texts = ["b", "ab", "aab", "xa", ""]
    np.testing.assert_allclose(ours.encode(texts, normalize=False), theirs.encode(texts, normalize=False), atol=2e-6)
    assert ours.tokens == tuple(theirs.tokens) and ours.tokenize(["acb"]) == [[3, 4, 2]]
    for call in (ours.encode, ours.encode_as_sequence):
        for sentences in ("ac", ["b", "c"]):
            with pytest.raises(ModelFormatError, match=r"token 4 has no vector: .* vectors for 4 tokens, but ids up to 4, .*twice"):
                call(sentences)
        with pytest.raises(IndexError):
            theirs.encode(["c"])
    with pytest.raises(ModelFormatError, match="3 rows, expected at least 4"):
        StaticModel(matrix[:3], Tokenizer.from_str(text))
    # With a row for each line of the vocabulary, all tokens have a row.
    whole = StaticModel(random_matrix(5, 3, "float32"), Tokenizer.from_str(text))
    np.testing.assert_array_equal(whole.encode("c"), whole.embedding[4])
