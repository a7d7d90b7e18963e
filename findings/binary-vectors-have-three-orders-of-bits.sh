#!/usr/bin/env bash
# NumPy 2.4.6, faiss 1.15.1 and sqlite-vec 0.1.9 make three different binary vectors of the same numbers, so their Hamming distances mean nothing.
#
# A binary vector has one bit for each dimension: whether the number is positive. It looks like a format, but it has two open questions:
# - Is dimension 0 the highest or the lowest bit of the first byte? The highest in numpy.packbits, with which sentence-transformers quantises to
#   "ubinary", the lowest in faiss and in vec_quantize_binary of sqlite-vec.
# - Is the bit of a zero set? In faiss yes, in the others no. So a text without a known token, whose vector is zeros, has all bits set or none.
# If the stored vectors come from one and the query from the other, the search works and its results are random: two halves of a byte are compared
# that have nothing to do with each other. The same vector is then as far away as any other. Make all binary vectors with the same function.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 faiss-cpu==1.15.1 sqlite-vec==0.1.9 apsw==3.54.1.0
cat >"$folder/finding.py" <<'PYTHON'
from importlib.metadata import version

import apsw
import faiss
import numpy as np
import sqlite_vec

print(*(f"{name} {version(name)}" for name in ("numpy", "faiss-cpu", "sqlite-vec")))
database = apsw.Connection(":memory:")
database.enable_load_extension(True)
database.load_extension(sqlite_vec.loadable_path())


def by_numpy(vectors):
    return np.packbits(vectors > 0, axis=1)


def by_faiss(vectors):
    bits = np.empty((len(vectors), vectors.shape[1] // 8), np.uint8)
    faiss.fvecs2bitvecs(faiss.swig_ptr(vectors), faiss.swig_ptr(bits), vectors.shape[1], len(vectors))
    return bits


def by_sqlite_vec(vectors):
    rows = [database.execute("SELECT vec_quantize_binary(?)", [vector.tobytes()]).fetchone()[0] for vector in vectors]
    return np.array([np.frombuffer(row, np.uint8) for row in rows])


makers = {"NumPy": by_numpy, "faiss": by_faiss, "sqlite-vec": by_sqlite_vec}
small = np.array([[1, -1, -1, -1, -1, -1, -1, 0]], np.float32)
answers = {name: int(maker(small)[0, 0]) for name, maker in makers.items()}
print("one positive number, six negative ones, a zero:", ", ".join(f"{name} {byte:08b}" for name, byte in answers.items()))

vectors = np.random.default_rng(0).normal(size=(1000, 256)).astype(np.float32)
index = faiss.IndexBinaryFlat(256)
index.add(by_sqlite_vec(vectors))
found = {}
for name, maker in makers.items():
    distances, neighbours = index.search(maker(vectors), 1)
    found[name] = float(np.mean(neighbours[:, 0] == np.arange(1000)))
    print(f"stored by sqlite-vec, asked by {name}: {found[name]:.1%} of the vectors find themselves, mean distance {distances.mean():.0f} of 256")

assert answers == {"NumPy": 0b10000000, "faiss": 0b10000001, "sqlite-vec": 0b00000001}
assert found["sqlite-vec"] == found["faiss"] == 1 and found["NumPy"] < 0.02
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# numpy 2.4.6 faiss-cpu 1.15.1 sqlite-vec 0.1.9
# one positive number, six negative ones, a zero: NumPy 10000000, faiss 10000001, sqlite-vec 00000001
# stored by sqlite-vec, asked by NumPy: 0.8% of the vectors find themselves, mean distance 102 of 256
# stored by sqlite-vec, asked by faiss: 100.0% of the vectors find themselves, mean distance 0 of 256
# stored by sqlite-vec, asked by sqlite-vec: 100.0% of the vectors find themselves, mean distance 0 of 256
