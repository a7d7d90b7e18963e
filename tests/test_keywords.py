"""The keywords of `encode`: those of other libraries are honoured or refused by name, and none is swallowed."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import model2vec
import numpy as np
import pytest
from helpers import ModelBytes, new_tokenizer, random_matrix

from model2vec_numba import StaticModel

TEXTS = ["It is cold today.", "He plays the violin.", "", "a"]

HARMLESS: dict[str, tuple[Any, ...]] = {
    "use_multiprocessing": (True, False),
    "multiprocessing_threshold": (10_000, None),
    "device": (None, "cpu", "cuda:0", ["cpu", "cpu"]),
    "pool": (None, {"input": 1}),
    "chunk_size": (None, 100),
    "convert_to_numpy": (True, None),
    "convert_to_tensor": (False, None),
    "prompt": (None, ""),
    "prompt_name": (None,),
    "output_value": ("sentence_embedding",),
    "precision": ("float32",),
    "normalize_embeddings": (False, None, True),
    "truncate_dim": (None, 256),
    "show_progress_bar": (None, False),
    "normalize": (None, np.True_),
}

REFUSED: dict[str, tuple[Any, ...]] = {
    "convert_to_numpy": (False, 1, "yes"),
    "convert_to_tensor": (True, 0),
    "prompt": ("query: ", 7, ["query: "]),
    "prompt_name": ("query", ""),
    "output_value": ("token_embeddings", None),
    "normalize_embeddings": ("yes", 1, 0),
    "normalize": ("yes", "false", 1, 0, np.array([True])),
    "bath_size": (32,),
    "normalise": (True,),
    "task": ("query",),
    "inputs": (["a"],),
    "_normalize": (True,),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_keywords_that_change_nothing(name: str, default_model: StaticModel) -> None:
    for value in HARMLESS[name]:
        for sentences in (TEXTS, TEXTS[0], iter(TEXTS)):
            expected = default_model.encode(TEXTS[0] if isinstance(sentences, str) else TEXTS)
            np.testing.assert_array_equal(default_model.encode(sentences, **{name: value}), expected)


@pytest.mark.parametrize("name", REFUSED)
def test_keywords_that_are_refused(name: str, default_model: StaticModel) -> None:
    for value in REFUSED[name]:
        for sentences in (TEXTS, TEXTS[0], []):
            with pytest.raises(TypeError, match=rf"\b{name}\b"):
                default_model.encode(sentences, **{name: value})


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("bath_size", "batch_size"),
        ("normalise", "normalize"),
        ("normalize_embedding", "normalize_embeddings"),
        ("maxlength", "max_length"),
        ("progress_bar", "show_progress_bar"),
        ("threads", "num_threads"),
    ],
)
def test_misspelt_keywords(name: str, nearest: str, default_model: StaticModel) -> None:
    with pytest.raises(TypeError, match=rf"encode\(\) got an unexpected keyword argument '{name}'. Did you mean '{nearest}'\?"):
        default_model.encode(TEXTS, **{name: 1})


def test_keywords_of_sequences(default_model: StaticModel) -> None:
    assert len(default_model.encode_as_sequence(TEXTS, use_multiprocessing=False, multiprocessing_threshold=1)) == 4
    for name in ("normalize", "bath_size", "convert_to_tensor", "truncate_dim"):
        for sentences in (TEXTS, TEXTS[0]):
            with pytest.raises(TypeError, match=rf"encode_as_sequence\(\) got an unexpected keyword argument '{name}'"):
                default_model.encode_as_sequence(sentences, **{name: None})


@pytest.mark.parametrize("method", ["encode", "encode_as_sequence"])
def test_every_keyword_of_model2vec_is_accepted(method: str, default_model: StaticModel) -> None:
    parameters = inspect.signature(getattr(model2vec.StaticModel, method)).parameters.values()
    given = {p.name: p.default for p in parameters if p.default is not p.empty and "Unset" not in type(p.default).__name__}
    assert {"use_multiprocessing", "multiprocessing_threshold", "show_progress_bar", "batch_size"} <= set(given)
    getattr(default_model, method)(TEXTS, **given)


@pytest.mark.parametrize("normalize", [None, True, False])
@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("dim", [1, 8, 100, np.int64(256)])
def test_truncate_dim(dim: int, again: bool, normalize: bool | None, default_model: StaticModel) -> None:
    """The model normalises first, if it does; `normalize_embeddings` comes after the cut."""
    arguments: dict[str, Any] = {"truncate_dim": dim, "normalize": normalize, "normalize_embeddings": again}
    if again and normalize is False:
        with pytest.raises(TypeError, match="contradict"):
            default_model.encode(TEXTS, **arguments)
        return
    found = default_model.encode(TEXTS, **arguments)
    assert (found.shape, found.dtype, found.flags.c_contiguous) == ((4, dim), np.float32, True)
    if again or normalize is False:
        np.testing.assert_array_equal(found, default_model.encode(TEXTS, dimensionality=dim, normalize=again))
    else:
        np.testing.assert_array_equal(found, default_model.encode(TEXTS, normalize=normalize)[:, :dim])
    # A vector does not depend on the other texts of the call.
    for text, vector in zip(TEXTS, found, strict=True):
        np.testing.assert_array_equal(default_model.encode(text, **arguments), vector)
    bits = default_model.encode(TEXTS, precision="ubinary", **arguments)
    np.testing.assert_array_equal(bits, np.packbits(found > 0, axis=1))
    with pytest.raises(TypeError, match="dimensionality and truncate_dim mean the same"):
        default_model.encode(TEXTS, dimensionality=dim, **arguments)


@pytest.mark.parametrize("dim", [0, -1, 257, 1.5, "8", True, [8]], ids=repr)
def test_truncate_dim_out_of_range(dim: Any, default_model: StaticModel) -> None:
    with pytest.raises(ValueError, match="truncate_dim must be None or an integer from 1 to 256"):
        default_model.encode(TEXTS, truncate_dim=dim)


@pytest.mark.parametrize("value", ["yes", "no", 1, 0, [True]], ids=repr)
def test_normalize_is_a_boolean(value: Any, default_model: StaticModel, tiny: ModelBytes, tiny_folder: Path) -> None:
    calls: list[Any] = [
        lambda: default_model.encode(TEXTS, normalize=value),
        lambda: default_model.encode(TEXTS[0], normalize=value),
        lambda: StaticModel.from_pretrained(tiny_folder, normalize=value),
        lambda: StaticModel.from_bytes(*tiny, normalize=value),
        lambda: StaticModel(random_matrix(2, 3, "int8"), new_tokenizer("a"), normalize=value),
        lambda: StaticModel(random_matrix(2, 3, "int8"), new_tokenizer("a"), config={"normalize": value}),
        lambda: setattr(StaticModel.from_bytes(*tiny), "normalize", value),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"normalize.* must be True, False or None"):
            call()


def test_normalize_of_numpy(tiny: ModelBytes) -> None:
    model = StaticModel.from_bytes(*tiny, normalize=True)
    model.normalize = np.False_  # type: ignore[assignment]
    assert model.normalize is False
