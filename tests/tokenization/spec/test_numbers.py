"""Numbers of a `tokenizer.json` are read as the library reads them."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.tokenization.spec import numbers
from model2vec_numba.tokenization.spec.numbers import library_numbers
from model2vec_numba.tokenization.spec.spec import parse_tokenizer
from tokenization.configs import config_of, unigram_model


def read(literals: list[str]) -> NDArray[np.float64] | None:
    """Return the values of numbers as `library_numbers` does."""
    return library_numbers(np.frombuffer("".join(f"{literal}," for literal in literals).encode(), np.uint8), len(literals))


def test_numbers() -> None:
    """For decimals of many digits, the library's float64 is not the nearest one."""
    draw = random.Random(5)
    literals = [repr(-draw.uniform(3, 15)) for _ in range(2000)] + [repr(draw.uniform(-1, 1) * 10 ** draw.randint(-30, 30)) for _ in range(500)]
    literals += [f"-{draw.uniform(0, 20):.30f}" for _ in range(500)]
    literals += ["0.0", "-0.0", "-0", "12", "-7", "1E5", "1.5e+3", "2e-300", "5e-324", "1e-400"]
    literals += ["123456789012345678901234567890", "-98765432109876543210987.5e-10", "0.000000000000000000000000000000123456789"]
    vocabulary = ",".join(f'["{i}",{literal}]' for i, literal in enumerate(literals))
    text = json.dumps(config_of(unigram_model([]))).replace('"vocab": []', f'"vocab": [{vocabulary}]')
    expected = np.array([score for _, score in json.loads(Tokenizer.from_str(text).to_str())["model"]["vocab"]])
    found = read(literals)
    assert found is not None
    np.testing.assert_array_equal(found, expected)
    arrays = parse_tokenizer(text, "test").arrays
    assert arrays is not None
    np.testing.assert_array_equal(arrays.scores(), expected)
    # Some of them differ from Python's.
    assert (expected != [float(literal) for literal in literals]).any()


def test_no_numbers() -> None:
    found = read([])
    assert found is not None and len(found) == 0


def test_numbers_that_the_library_reads_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of the library may read the nearest float64, or something else."""
    draw = random.Random(6)
    literals = [repr(-draw.uniform(3, 15)) for _ in range(9000)]
    nearest = list(map(float, literals))
    monkeypatch.setattr(numbers, "_read_by_library", lambda probes: np.array([float(probe) for probe in probes]))
    found = read(literals)
    assert found is not None and found.tolist() == nearest
    monkeypatch.setattr(numbers, "_read_by_library", lambda probes: np.array([float(probe) + 1 for probe in probes]))
    assert read(literals) is None


def test_few_numbers_with_many_digits() -> None:
    """Most numbers are the same in both readings. The others are found, wherever they are."""
    literals = ["-1.5"] * 9000
    for i in (1, 8999):
        literals[i] = "-10.000584473460375"
        found = read(literals)
        assert found is not None and found[i] == -10.000584473460377


def test_telling_numbers() -> None:
    """On each of them the library differs from Python."""
    assert not set(numbers._read_by_library(numbers._TELLING)) & set(map(float, numbers._TELLING))


def test_infinite_numbers() -> None:
    assert read(["-1.5", "1e999"]) is None
