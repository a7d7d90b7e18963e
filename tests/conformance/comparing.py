"""Compare a reader's vectors with those of a case, and say in words how they differ. Only Python's standard library is used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from definitions.form import normalized

__all__ = ["TOLERANCE", "compare"]

TOLERANCE = 2e-6
"""The largest error, relative to the largest number of a vector. Rounding to float32 alone is a thirtieth of it."""

# With a larger error than this, a vector is another answer.
_ROUGH = 1e-4

Vector = Sequence[float]


def compare(case: Mapping[str, Any], answer: Any) -> str:
    """Return how an answer differs from a case.

    Args:
        case: the content of `case.json`.
        answer: a list of vectors, or the message of an error. ``None`` in a vector is NaN.

    Returns:
        ``"agrees"``, or text that begins with ``"agrees: "``, ``"differs: "`` or ``"refuses: "``.
    """
    if isinstance(answer, str):
        return f"agrees: refuses: {answer}" if case["refused"] else f"refuses: {answer}"
    vectors = [[math.nan if number is None else number for number in vector] for vector in answer]
    named = _named_answers(case)
    if case["refused"]:
        for name, other in named:
            if len(other) == len(vectors) and all(map(_equal, vectors, other)):
                return f"differs: {name}"
        return "differs: gives vectors"
    return _compare_vectors([_numbers(text["vector"]) for text in case["texts"]], vectors, named)


def _compare_vectors(expected: list[list[float]], vectors: list[list[float]], named: list[tuple[str, list[list[float]]]]) -> str:
    if len(vectors) != len(expected):
        return f"differs: gives {len(vectors)} vectors for {len(expected)} texts"
    if len(vectors[0]) != len(expected[0]):
        return f"differs: has {len(vectors[0])} dimensions instead of {len(expected[0])}"
    if all(map(_equal, vectors, expected)):
        return "agrees"
    error = _error(vectors, expected)
    largest = max(abs(number) for row in expected for number in row if not math.isnan(number))
    # Another answer, to within the tolerance. Then a small error of the right answer, and then another answer with a small error.
    for tolerance in (TOLERANCE, _ROUGH):
        # An answer that some texts have, and the expected one for the others, comes after one that all texts have.
        for mixed in (False, True):
            for name, other in named:
                pairs = zip(vectors, expected, other, strict=True)
                if all(_equal(found, wrong, tolerance) or (mixed and _equal(found, right, tolerance)) for found, right, wrong in pairs):
                    return f"differs: {name}"
        if error < _ROUGH * largest:
            return f"differs: off by up to {error:.1e}"
    if math.isnan(error):
        return "differs: gives NaN"
    return "differs: gives infinity" if math.isinf(error) else f"differs: off by up to {error:.3g}"


def _error(vectors: list[list[float]], expected: list[list[float]]) -> float:
    """Return the largest difference. NaN if a number is NaN and should not be, or the other way round."""
    differences = [
        0.0 if math.isnan(found) and math.isnan(right) else abs(found - right)
        for vector, row in zip(vectors, expected, strict=True)
        for found, right in zip(vector, row, strict=True)
    ]
    return math.nan if any(map(math.isnan, differences)) else max(differences)


def _named_answers(case: Mapping[str, Any]) -> list[tuple[str, list[list[float]]]]:
    """Return the other answers that have names, in the order in which they are tried."""
    final = [(other["answer"], [_numbers(row) for row in other["vectors"]]) for other in case["others"] if "vectors" in other]
    others = [(other["answer"], [_numbers(row) for row in other["means"]]) for other in case["others"] if "means" in other]
    means = [] if case["refused"] else [_numbers(text["mean"]) for text in case["texts"]]
    if case["normalize"]:
        answers = [(name, [normalized(row) for row in rows]) for name, rows in others]
        return [*answers, *final, ("is not normalised", means), *((f"{name}, and is not normalised", rows) for name, rows in others)]
    unit = [("is normalised", [normalized(row) for row in means])] if means else []
    return [*others, *final, *unit, *((f"{name}, and is normalised", [normalized(row) for row in rows]) for name, rows in others)]


def _numbers(row: Sequence[float | None]) -> list[float]:
    return [math.nan if number is None else float(number) for number in row]


def _equal(found: Vector, expected: Vector, tolerance: float = TOLERANCE) -> bool:
    """Return whether two vectors are equal to within a tolerance. NaN is equal to NaN."""
    if len(found) != len(expected):
        return False
    largest = max((abs(number) for number in expected if not math.isnan(number)), default=0.0)
    return all(
        math.isnan(a) if math.isnan(b) else abs(a - b) <= tolerance * largest  # zeros must be zeros
        for a, b in zip(found, expected, strict=True)
    )
