#!/usr/bin/env bash
# usearch 2.26.6: an index without dtype rounds float32 vectors to 16 bits, so distances are wrong in the third digit, also in an exact search.
#
# One expects that an index for float32 vectors keeps them, as faiss and hnswlib do. The index is smaller, but scores cannot be compared with those of
# other programs, and a vector is not at distance 0 from itself. With dtype="f32" the distances are right.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet usearch==2.26.6 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import numpy as np
import usearch
from usearch.index import Index

print("usearch", usearch.__version__)
rng = np.random.default_rng(1)
vectors = rng.normal(size=(1000, 64)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)


def largest_error(**options):
    """Return the largest error of the distances of exact searches."""
    index = Index(ndim=64, metric="ip", **options)
    index.add(np.arange(1000), vectors)
    found = index.search(vectors[:50], 10, exact=True)
    right = 1 - np.einsum("ijk,ik->ij", vectors[found.keys], vectors[:50])
    print(f"{options}: the index stores {index.dtype}, errors up to {np.abs(found.distances - right).max():.0e}")
    return np.abs(found.distances - right).max()


assert largest_error() > 1e-4
assert largest_error(dtype="f32") < 1e-6
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
