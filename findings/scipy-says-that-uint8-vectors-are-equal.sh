#!/usr/bin/env bash
# SciPy 1.17.1: cosine of two uint8 vectors is nearly always 0, whatever they are, because it multiplies in uint8. cdist gives the right distances.
#
# sentence-transformers and many databases quantise vectors to uint8 or int8. cosine, euclidean and cityblock of scipy.spatial.distance compute in the
# type of the vectors, so sums of products and differences wrap around:
# - cosine clips its result to 0 if it is negative, and wrapped sums nearly always make it negative for uint8. An int8 vector is at the distance 0 or
#   2 from itself, or cosine raises "math domain error".
# - euclidean and cityblock are wrong where int8 numbers differ by more than 127, and where a larger uint8 is taken from a smaller one. sqeuclidean is
#   right.
# cdist takes the same vectors and the same names, and converts to float64. cosine gives a RuntimeWarning, the others give none.
#
# vicinity 0.4.6 has the same mistake in its default backend with the metric "euclidean", so it returns the wrong neighbours of int8 vectors.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 vicinity==0.4.6 hnswlib==0.8.0 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import warnings
from collections import Counter
from importlib.metadata import version

import numpy as np
from scipy.spatial.distance import cdist, cityblock, cosine, euclidean, sqeuclidean
from vicinity import Vicinity

print(*(f"{name} {version(name)}" for name in ("scipy", "vicinity", "hnswlib")))
rng = np.random.default_rng(0)
vectors = rng.integers(0, 256, (1000, 256)).astype(np.uint8)
with np.errstate(all="ignore"):
    found = np.array([cosine(first, second) for first, second in zip(vectors[:500], vectors[500:])])
right = np.diagonal(cdist(vectors[:500], vectors[500:], "cosine"))
print(f"500 pairs of uint8: cosine is 0 for {np.sum(found == 0)}, cdist is between {right.min():.2f} and {right.max():.2f}")


def ask_cosine(first, second):
    try:
        with np.errstate(all="ignore"):
            return float(cosine(first, second))
    except ValueError as error:
        return str(error)


def compare(name, first, second):
    """Print and return what each function says, and cdist beside it."""
    answers = {}
    for function in (cosine, euclidean, cityblock, sqeuclidean):
        with warnings.catch_warnings(action="error"):
            answer = ask_cosine(first, second) if function is cosine else float(function(first, second))
        answers[function.__name__] = answer, float(cdist([first], [second], function.__name__)[0, 0])
    print(f"{name}: {', '.join(f'{key} {one} (cdist {other:g})' for key, (one, other) in answers.items())}")
    return answers


right_angle = compare("right angle, uint8", np.array([255, 0], np.uint8), np.array([0, 255], np.uint8))
opposite = compare("opposite, int8", np.array([127, 0], np.int8), np.array([-127, 0], np.int8))
selves = Counter(ask_cosine(vector, vector) for vector in np.array([[number, 0] for number in (11, 12, 13)], np.int8))
print("int8, cosine of a vector with itself:", *selves)

stored = np.array([[-127, 0], [120, 0], [100, 60]], np.int8)
neighbours = {}
for backend in ("basic", "hnsw"):
    index = Vicinity.from_vectors_and_items(stored, ["opposite", "near", "less near"], backend_type=backend, metric="euclidean")
    neighbours[backend] = [name for name, _ in index.query(np.array([127, 0], np.int8), k=3)[0]]
    print(f"vicinity, {backend}: {', '.join(neighbours[backend])}")

assert np.sum(found == 0) > 450 and right.min() > 0.1
assert right_angle["euclidean"][0] < 256 and right_angle["euclidean"][1] > 360
assert right_angle["cityblock"] == (256, 510)
assert opposite["euclidean"] == opposite["cityblock"] == (2, 254)
assert opposite["sqeuclidean"] == (254**2, 254**2)
assert set(selves) == {0.0, 2.0, "math domain error"}
assert neighbours == {"basic": ["less near", "opposite", "near"], "hnsw": ["near", "less near", "opposite"]}
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# scipy 1.17.1 vicinity 0.4.6 hnswlib 0.8.0
# 500 pairs of uint8: cosine is 0 for 482, cdist is between 0.20 and 0.32
# right angle, uint8: cosine 1.0 (cdist 1), euclidean 255.0019607767752 (cdist 360.624), cityblock 256.0 (cdist 510), sqeuclidean 130050.0 (cdist
# 130050)
# opposite, int8: cosine 2.0 (cdist 2), euclidean 2.0 (cdist 254), cityblock 2.0 (cdist 254), sqeuclidean 64516.0 (cdist 64516)
# int8, cosine of a vector with itself: 0.0 2.0 math domain error
# vicinity, basic: less near, opposite, near
# vicinity, hnsw: near, less near, opposite
