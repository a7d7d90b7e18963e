"""Headers of safetensors files with errors: what the library refuses, this package refuses too."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from helpers import raw_safetensors
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize

from model2vec_numba.errors import ModelFormatError
from model2vec_numba.files.tensors import parse_tensors

HEADER: dict[str, Any] = {
    "__metadata__": {"format": "pt"},
    "embeddings": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]},
    "weights": {"dtype": "F16", "shape": [3], "data_offsets": [24, 30]},
    "mapping": {"dtype": "I32", "shape": [2], "data_offsets": [30, 38]},
}
NAMES = tuple(HEADER)[1:]
SIZE = 38
NUMBERS = st.sampled_from([0, 1, 2, 3, 6, 8, 23, 24, 25, 30, 38, 39, -1, 1.0, 2**31, 2**63, 2**64, True, None, "2"])
VALUES = st.one_of(NUMBERS, st.lists(NUMBERS, max_size=3), st.sampled_from(["F32", "I8", "f32", "F8_E4M3", "", {}, {"a": "b"}, {"a": 1}, []]))


def is_refused_by_the_library(content: bytes) -> bool:
    try:
        deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError:
        return True
    return False


def is_refused(content: bytes) -> bool:
    try:
        parse_tensors(np.frombuffer(content, np.uint8), NAMES, "test")
    except ModelFormatError:
        return True
    return False


@given(st.data())
def test_what_the_library_refuses_is_refused(data: st.DataObject) -> None:
    header = copy.deepcopy(HEADER)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from([*HEADER]))
        entry = header.get(name)
        match data.draw(st.integers(0, 5)):
            case 0:
                header.pop(name, None)
            case 1:
                header[name] = data.draw(VALUES)
            case 2 if isinstance(entry, dict):
                entry.pop(data.draw(st.sampled_from(["dtype", "shape", "data_offsets"])), None)
            case 3 if isinstance(entry, dict):
                entry[data.draw(st.sampled_from(["dtype", "shape", "data_offsets", "format"]))] = data.draw(VALUES)
            case 4 if isinstance(entry, dict):
                shape, offsets = (
                    data.draw(st.lists(st.integers(0, 4), max_size=3)),
                    sorted(data.draw(st.lists(NUMBERS.filter(is_small), min_size=2, max_size=2))),
                )
                entry |= {"shape": shape, "data_offsets": offsets}
            case _:
                header = dict(sorted(header.items()))
    content = raw_safetensors(header, bytes(data.draw(st.sampled_from([SIZE, SIZE, SIZE - 1, SIZE + 1, 0, 30, 24]))))
    assert is_refused(content) or not is_refused_by_the_library(content)


def is_small(number: Any) -> bool:
    return type(number) is int and 0 <= number <= SIZE + 1


@example(json.dumps(HEADER)[:-1])
@example(json.dumps(HEADER) + "}")
@example("[" + json.dumps(HEADER) + "]")
@given(st.text(max_size=20))
def test_headers_that_are_no_objects(text: str) -> None:
    content = raw_safetensors(text.encode(), bytes(SIZE))
    assert is_refused(content) or not is_refused_by_the_library(content)


def test_the_header_itself() -> None:
    """The mutations begin with a header that both accept."""
    content = raw_safetensors(HEADER, bytes(SIZE))
    assert not is_refused(content) and not is_refused_by_the_library(content)


@pytest.mark.parametrize(
    "entry",
    [
        7,
        {"dtype": "F" * 5000, "shape": [3, 2], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [10**4000], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [1] * 2000, "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 10**4000]},
        {"dtype": "F32", "shape": [3, 2], "data_offsets": [1, 25]},
    ],
    ids=range(6),
)
@pytest.mark.parametrize("name", ["embeddings", "x" * 5000])
def test_messages_are_short(name: str, entry: Any) -> None:
    content = raw_safetensors({**HEADER, name: entry}, bytes(SIZE))
    with pytest.raises(ModelFormatError) as raised:
        parse_tensors(np.frombuffer(content, np.uint8), NAMES, "test")
    assert len(str(raised.value)) < 600
