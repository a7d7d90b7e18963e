"""The folder that a model was loaded from. A pickled model refers to it instead of holding the contents of its files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model2vec_numba.errors import ModelError, ModelFormatError
from model2vec_numba.files.layouts import DEFAULT_MODEL, require_layout
from model2vec_numba.files.reading import ModelFiles, read_folder
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.quantization.tables import quantize_table
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

__all__ = ["Provenance", "digest_of"]

_SAMPLED_ROWS = 64


@dataclass
class Provenance:
    """The folder of a model, and the changes to its matrix after reading.

    Attributes:
        folder: the absolute path of the folder. ``None``: the model that comes with this package, whose path can differ between machines.
        quantize_to, dimensionality: the arguments of `quantize_table` for the matrix.
        digest: the value of `digest_of` when the model was pickled. Empty if it was not pickled.
        stamp: the sizes and modification times of the files when they were read.
    """

    folder: Path | None
    quantize_to: str | None
    dimensionality: int | None
    digest: str = ""
    stamp: tuple[tuple[int, int], ...] = ()

    @property
    def path(self) -> Path:
        """The folder on this machine."""
        return DEFAULT_MODEL if self.folder is None else self.folder

    def read(self) -> ModelFiles:
        """Read the model.

        Raises:
            ModelError: there is no model, or its files are not valid, or it is not the model that was pickled.
        """
        try:
            stamp = _stamp(self.path)
            files = read_folder(self.path)
        except ModelError as error:
            if self.digest:
                error.args = (f"{error} (a pickled model refers to the files that it was loaded from)",)
            raise
        files = files._replace(table=quantize_table(files.table, self.quantize_to, self.dimensionality))
        if self.digest and self.digest != digest_of(files.tokenizer, files.table):
            raise ModelFormatError(f"{self.path}: not the model that was pickled (a pickled model refers to the files that it was loaded from)")
        self.stamp = stamp
        return files

    def is_unchanged(self) -> bool:
        """Return whether the files still have the sizes and times that they had when they were read."""
        try:
            return _stamp(self.path) == self.stamp
        except OSError:
            return False


def _stamp(folder: Path) -> tuple[tuple[int, int], ...]:
    """Return the size in bytes and the modification time in nanoseconds of each file of a model."""
    layout = require_layout(folder)
    stats = [(folder / name).stat() for name in (layout.config, layout.tokenizer, layout.tensors)]
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)


def digest_of(tokenizer: TokenizerSpec, table: EmbeddingTable) -> str:
    """Return a digest of a model: its tokenizer, its weights, its mapping, and the type, shape, scale and some rows of its matrix."""
    matrix = table.matrix
    rows = np.linspace(0, len(matrix) - 1, _SAMPLED_ROWS).astype(np.int64) if len(matrix) else np.empty(0, np.int64)
    digest = hashlib.sha256(f"{table.dtype} {matrix.shape} {table.scale} ".encode())
    digest.update(tokenizer.text.encode("utf-8"))
    for array in (matrix[rows], table.weights, table.mapping):
        digest.update(array.tobytes())
    return digest.hexdigest()
