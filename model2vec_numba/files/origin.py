"""Where a model was loaded from, so that a pickled model can refer to its files instead of holding their contents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model2vec_numba.errors import ModelError, ModelFormatError
from model2vec_numba.files.layouts import require_layout
from model2vec_numba.files.reading import ModelFiles, read_folder
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.quantization import quantize_table
from model2vec_numba.tokenization.spec import TokenizerSpec

__all__ = ["DEFAULT_MODEL", "Origin", "digest_of"]

DEFAULT_MODEL = Path(__file__).parents[1] / "default_model"

_SAMPLED_ROWS = 64


@dataclass
class Origin:
    """A model's folder, and what was done to the matrix after it had been read.

    Attributes:
        folder: the folder, absolute; ``None`` for the model that comes with this package, wherever that is.
        quantize_to, dimensionality: see `quantize_table`.
        digest: see `digest_of`; empty unless the model was pickled.
        stamp: the files' sizes and times when they were read.
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
            ModelError: it is not there, or not in order, or not the one that was pickled.
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
            raise ModelFormatError(f"{self.path}: not the model that was pickled, which refers to the files that it was loaded from")
        self.stamp = stamp
        return files

    def is_unchanged(self) -> bool:
        """Whether the files are there as they were when they were read."""
        try:
            return _stamp(self.path) == self.stamp
        except OSError:
            return False


def _stamp(folder: Path) -> tuple[tuple[int, int], ...]:
    """The sizes and times of a model's files."""
    layout = require_layout(folder)
    stats = [(folder / name).stat() for name in (layout.config, layout.tokenizer, layout.tensors)]
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)


def digest_of(tokenizer: TokenizerSpec, table: EmbeddingTable) -> str:
    """A digest of the tokenizer, of the matrix's shape, type, scale and some of its rows, and of weights and mapping."""
    matrix = table.matrix
    rows = np.linspace(0, len(matrix) - 1, _SAMPLED_ROWS).astype(np.int64) if len(matrix) else np.empty(0, np.int64)
    digest = hashlib.sha256(f"{table.dtype} {matrix.shape} {table.scale} ".encode())
    digest.update(tokenizer.text.encode("utf-8"))
    for array in (matrix[rows], table.weights, table.mapping):
        digest.update(array.tobytes())
    return digest.hexdigest()
