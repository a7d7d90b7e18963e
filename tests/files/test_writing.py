"""Files of tensors, which are written without a copy, against the safetensors library."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import TensorSpec, serialize

from model2vec_numba.dtypes import STORAGE_DTYPES
from model2vec_numba.files.writing import write_folder
from model2vec_numba.pooling.table import EmbeddingTable, make_table


def expected(table: EmbeddingTable) -> bytes:
    """Return the bytes that the library makes of a table."""
    tensors = {"mapping": ("int32", table.mapping), "embeddings": (table.dtype, table.matrix)}
    if not len(table.mapping):
        del tensors["mapping"]
    weights = table.all_weights
    if weights is None and table.dtype == "int8":
        weights = np.ones(table.size, np.float32)
    if weights is not None:
        tensors["weights"] = (weights.dtype.name, np.ascontiguousarray(weights))
    specs = {
        name: TensorSpec(dtype=dtype, shape=list(array.shape), data_ptr=array.ctypes.data, data_len=array.nbytes)
        for name, (dtype, array) in tensors.items()
    }
    return bytes(serialize(specs))


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
@pytest.mark.parametrize("weights", [None, "float16", "float32", "float64"])
@pytest.mark.parametrize("with_mapping", [False, True])
def test_the_bytes_are_those_of_the_library(dtype: str, weights: str | None, with_mapping: bool, tmp_path: Path) -> None:
    """With numbers of all lengths in the header, so that its padding has all lengths."""
    rng = np.random.default_rng(9)
    for rows, dim in ((1, 1), (9, 3), (10, 3), (11, 7), (100, 7), (99, 25), (1001, 25), (1234, 111)):
        # All storage types but bfloat16 are NumPy's.
        matrix: NDArray[np.generic] = rng.integers(0, 100, (rows, dim)).astype("uint16" if dtype == "bfloat16" else dtype)
        mapping = rng.integers(0, rows, 2 * rows) if with_mapping else None
        size = rows if mapping is None else len(mapping)
        factors = None if weights is None else rng.random(size).astype(weights)[::-1]
        table = make_table(matrix, dtype, factors, mapping, size=size, source="test")
        write_folder(tmp_path, "{}", table, {}, "")
        assert (tmp_path / "model.safetensors").read_bytes() == expected(table)


def test_a_table_without_rows(tmp_path: Path) -> None:
    table = make_table(np.empty((0, 4), np.int8), "int8", None, None, size=0, source="test")
    write_folder(tmp_path, "{}", table, {}, "")
    assert (tmp_path / "model.safetensors").read_bytes() == expected(table)


SAVE = """
    import sys
    from pathlib import Path
    import numpy as np
    from model2vec_numba.files.writing import write_folder
    from model2vec_numba.pooling.table import make_table

    def peak():
        [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    def save(rows):
        table = make_table(np.ones((rows, 256), np.float32), "float32", None, None, size=rows, source="test")
        before = peak()
        write_folder(Path(sys.argv[1]), "{}", table, {}, "")
        return peak() - before

    save(10)
    print(save(30_000))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory(tmp_path: Path) -> None:
    """A matrix of 30 MB is saved without a copy."""
    grown = int(subprocess.run([sys.executable, "-c", textwrap.dedent(SAVE), str(tmp_path)], check=True, capture_output=True, text=True).stdout)
    assert grown < 10e6
