#!/usr/bin/env bash
# NumPy 2.4.6: numpy.average of float16 rows is right without weights. With weights of 1, the average of 10,000 rows of ones is 0.2048.
#
# Without weights, average calls mean, which adds float16 in float32. With float16 weights, it adds the rows in float16, one after the other. There
# 2,048 + 1 is 2,048, so the sum of the rows stops growing. The weights are one array, which NumPy adds in pairs. So their sum is right, and the
# average is too small. There is no warning. einsum adds in float16 too. The documentation of sum says that results are less exact along the first
# axis, not that they are a fifth of what they should be. For random rows, average loses a digit long before: of 512 rows, its error is ten times that
# of the product weights @ rows. If the weights are float32, the sums are float32 too, and right.
#
# Polars 2.1.0 has the same trap: arr.sum of 4,096 ones in float16 is 2,048, arr.mean is 1, and sum of a column of the same ones is 4,096.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 polars==2.1.0
cat >"$folder/finding.py" <<'PYTHON'
import warnings

import numpy as np
import polars as pl

warnings.simplefilter("error")
print("NumPy", np.__version__, "Polars", pl.__version__)
rows = np.ones((10_000, 3), np.float16)
weights = np.ones(10_000, np.float16)
answers = {
    "no weights": np.average(rows, axis=0),
    "float16 weights": np.average(rows, axis=0, weights=weights),
    "float32 weights": np.average(rows, axis=0, weights=weights.astype(np.float32)),
    "einsum / sum": np.einsum("i,ij->j", weights, rows) / weights.sum(),
    "weights @ rows / sum": weights @ rows / weights.sum(),
}
for name, answer in answers.items():
    print(f"{name}: {answer[0]:.4f}")

rng = np.random.default_rng(0)
rows, weights = rng.normal(size=(512, 256)).astype(np.float16), rng.random(512).astype(np.float16)
right = np.average(rows.astype(float), axis=0, weights=weights.astype(float))
errors = [np.abs(answer - right).max() for answer in (np.average(rows, axis=0, weights=weights), weights @ rows / weights.sum())]
print(f"512 random rows: the error of average is {errors[0]:.1e}, that of weights @ rows is {errors[1]:.1e}")

ones = pl.Series(np.ones((1, 4096), np.float16))
sums = ones.arr.sum()[0], ones.arr.mean()[0], ones.arr.explode().sum()
print("Polars: arr.sum, arr.mean and sum:", *sums)

assert {name: round(float(answer[0]), 4) for name, answer in answers.items()} == {
    "no weights": 1.0,
    "float16 weights": 0.2048,
    "float32 weights": 1.0,
    "einsum / sum": 0.2048,
    "weights @ rows / sum": 1.0,
}
assert errors[0] > 5 * errors[1]
assert sums == (2048, 1, 4096)
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# NumPy 2.4.6 Polars 2.1.0
# no weights: 1.0000
# float16 weights: 0.2048
# float32 weights: 1.0000
# einsum / sum: 0.2048
# weights @ rows / sum: 1.0000
# 512 random rows: the error of average is 8.7e-04, that of weights @ rows is 6.1e-05
# Polars: arr.sum, arr.mean and sum: 2048.0 1.0 4096.0
