"""The form of a case, and the arithmetic that turns its ids into vectors. Only Python's standard library is used."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Case", "Other", "Tensor", "Text", "diagonal", "mean", "normalized"]

_FORMATS = {"F64": "d", "F32": "f", "F16": "e", "I64": "q", "I32": "i", "I8": "b", "U8": "B"}
# The float8 numbers that cases use: a sign, four bits of exponent, three bits of mantissa.
_FLOAT8 = {0.0: 0x00, 1.0: 0x38, 2.0: 0x40, 3.0: 0x44, 4.0: 0x48}


@dataclass(frozen=True)
class Tensor:
    """A tensor of `model.safetensors`: its type as the format names it, and its numbers, as a list or a list of rows."""

    dtype: str
    values: Sequence[Any]

    @property
    def shape(self) -> list[int]:
        return [len(self.values), len(self.values[0])] if isinstance(self.values[0], (list, tuple)) else [len(self.values)]

    def _flat(self) -> list[Any]:
        return [number for row in self.values for number in row] if len(self.shape) == 2 else list(self.values)

    def to_bytes(self) -> bytes:
        """Return the bytes of the tensor. Bits of a float32 that bfloat16 does not have must be zero."""
        flat = self._flat()
        if self.dtype == "F8_E4M3":
            return bytes(_FLOAT8[number] for number in flat)
        if self.dtype == "BF16":
            floats = [struct.pack("<f", number) for number in flat]
            assert all(bits[:2] == b"\0\0" for bits in floats), "a number that bfloat16 does not have"
            return b"".join(bits[2:] for bits in floats)
        return struct.pack(f"<{len(flat)}{_FORMATS[self.dtype]}", *flat)

    def stored(self) -> list[Any]:
        """Return the numbers as the file has them, rounded to the type, with the shape of `values`."""
        flat = list(struct.unpack(f"<{len(self._flat())}{_FORMATS[self.dtype]}", self.to_bytes())) if self.dtype in _FORMATS else self._flat()
        if len(self.shape) == 1:
            return flat
        columns = self.shape[1]
        return [flat[start : start + columns] for start in range(0, len(flat), columns)]


@dataclass(frozen=True)
class Text:
    """A text, and the ids that are averaged for it, worked out by hand.

    Attributes:
        text: the text.
        ids: the ids after unknown ones are dropped and after the cut to `max_length`.
        why: how the ids come about, where that is not plain.
    """

    text: str
    ids: tuple[int, ...]
    why: str = ""


@dataclass(frozen=True)
class Other:
    """Another answer that a reader could give, so that the runner can name it.

    Attributes:
        name: what such a reader does, such as "averages the unknown token in".
        ids: for each text, the ids that it averages. ``None``: those of the case.
        matrix, weights, mapping: what it uses instead of the tensors of the case. ``False``: nothing.
        means: its vectors before normalisation. ``None``: they follow from the rest.
        vectors: its vectors, if they are not the means, normalised like those of the case.
    """

    name: str
    ids: Sequence[Sequence[int]] | None = None
    matrix: Sequence[Sequence[float]] | None = None
    weights: Sequence[float] | bool | None = None
    mapping: Sequence[int] | bool | None = None
    means: Sequence[Sequence[float]] | None = None
    vectors: Sequence[Sequence[float]] | None = None


@dataclass(frozen=True)
class Case:
    """A model, texts and answers.

    Attributes:
        name: the name of its folder.
        question: a question about the format.
        answer: what the specification of this package says.
        reason: why a user would meet it.
        texts: the texts with their ids.
        tokenizer: the content of `tokenizer.json`.
        tensors: the tensors of `model.safetensors`, in the order of the file. The first one that is a matrix is used.
        config: the content of `config.json`, or ``None`` if there is no such file.
        files: other JSON files, by their path in the model's folder.
        inside: the folder of `tokenizer.json` and `model.safetensors` in the model's folder.
        opened: the folder in the model's folder that a reader is given.
        normalize: whether the vectors are normalised.
        refused: whether the model is refused. Then the vectors of `others` are only names for what other readers do.
        others: other answers.
    """

    name: str
    question: str
    answer: str
    reason: str
    texts: Sequence[Text]
    tokenizer: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] | None = None
    files: Mapping[str, Any] = field(default_factory=dict)
    inside: str = ""
    opened: str = ""
    normalize: bool = False
    refused: bool = False
    others: Sequence[Other] = ()

    def matrix(self) -> list[list[float]]:
        """Return the embedding matrix as stored."""
        names = [name for name in ("embeddings", "0", "embedding.weight") if name in self.tensors]
        return self.tensors[names[0]].stored()

    def means(self, other: Other | None = None) -> list[list[float]]:
        """Return the vector of each text before it is normalised, for the case or for another answer."""
        other = other or Other("")
        if other.means is not None:
            return [list(row) for row in other.means]
        matrix = self.matrix() if other.matrix is None else other.matrix
        weights, mapping = (
            (self.tensors[name].stored() if name in self.tensors else False) if chosen is None else chosen
            for name, chosen in (("weights", other.weights), ("mapping", other.mapping))
        )
        ids = [text.ids for text in self.texts] if other.ids is None else other.ids
        return [mean(row, matrix, weights, mapping) for row in ids]


def mean(ids: Sequence[int], matrix: Sequence[Sequence[float]], weights: Any = False, mapping: Any = False) -> list[float]:
    """Return the mean of ``weights[id] * matrix[mapping[id]]``, in float64 and summed exactly. No ids: zeros."""
    columns = range(len(matrix[0]))
    if not ids:
        return [0.0 for _ in columns]
    rows = [matrix[mapping[i] if mapping else i] for i in ids]
    factors = [weights[i] if weights else 1.0 for i in ids]
    return [math.fsum(factor * row[column] for factor, row in zip(factors, rows, strict=True)) / len(ids) for column in columns]


def normalized(vector: Sequence[float]) -> list[float]:
    """Return a vector divided by its length. Zeros stay zeros."""
    # `hypot` scales the numbers first, so that their squares neither overflow nor vanish.
    length = math.hypot(*vector)
    return [number / length for number in vector] if length > 0 else list(vector)


def diagonal(rows: int, first: float = 1.0) -> list[list[float]]:
    """Return a square matrix with ``row + first`` on the diagonal. So a vector shows which rows were averaged, and with which weights."""
    return [[row + first if row == column else 0.0 for column in range(rows)] for row in range(rows)]
