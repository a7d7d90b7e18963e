"""Numbers of a `tokenizer.json` are read as the library reads them."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from model2vec_numba.tokenization.spec.numbers import find_decimals, library_numbers
from model2vec_numba.tokenization.spec.spec import parse_tokenizer
from tokenization.configs import config_of, unigram_model


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
    found = library_numbers(literals, np.array([float(literal) for literal in literals]))
    assert found is not None
    np.testing.assert_array_equal(found, expected)
    scores = parse_tokenizer(text, "test").unigram_scores
    assert scores is not None
    np.testing.assert_array_equal(scores, expected)
    # Some of them differ from Python's.
    assert (expected != [float(literal) for literal in literals]).any()


def test_no_numbers() -> None:
    found = library_numbers([], np.zeros(0))
    assert found is not None and len(found) == 0


@pytest.mark.parametrize("indent", [None, 1])
def test_decimals_are_found_in_json(indent: int | None) -> None:
    draw = random.Random(3)
    strings = ["", "0.5", 'a"1.5', "\\", '\\"-0', "é-0.25\n", "1e5,"]

    def value(depth: int) -> Any:
        if depth == 0 or draw.random() < 0.4:
            return draw.choice([draw.choice(strings), draw.uniform(-9, 9), draw.randint(-99, 99), -0.0, 1e-30, 1e300, True, None])
        inner = [value(depth - 1) for _ in range(draw.randint(0, 4))]
        return inner if draw.random() < 0.5 else dict(zip(strings, inner, strict=False))

    for _ in range(200):
        text = json.dumps(value(4), ensure_ascii=draw.random() < 0.5, indent=indent).replace("-0.0", "-0")
        literals: list[str] = []
        json.loads(text, parse_float=literals.append, parse_int=literals.append)
        expected = [literal for literal in literals if literal == "-0" or not set(literal).isdisjoint(".eE")]
        assert find_decimals(np.frombuffer(text.encode() + b"\0\0", np.uint8)) == expected
