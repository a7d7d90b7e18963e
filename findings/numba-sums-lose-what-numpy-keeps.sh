#!/usr/bin/env bash
# numba 0.68.1: the mean of 33,554,432 float32 ones is 0.5, because numba's sum adds one number after the other. NumPy's mean is 1.
#
# numba supports sum and mean of NumPy arrays, but it computes them in another way. NumPy adds float32 numbers in blocks, then the sums of the blocks
# in pairs, so the error hardly grows. numba keeps one float32 sum. There 16,777,216 + 1 is 16,777,216, so the sum stops growing. Of 10,000,000 random
# numbers, only four digits of the mean are right, of NumPy's mean seven. fastmath=True, which is said to be less exact, is more exact here, since the
# compiler then keeps several sums side by side. A loop with a float64 sum is right too.
#
# This needs Python 3.11 or newer. It installs numba in a temporary folder, prints what it does, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import numba
import numpy as np

print("numba", numba.__version__, "NumPy", np.__version__)


def mean(numbers):
    return np.mean(numbers)


def mean_of_float64_sum(numbers):
    total = 0.0
    for number in numbers:
        total += number
    return total / len(numbers)


ways = {
    "NumPy": mean,
    "numba": numba.njit(mean),
    "numba with fastmath": numba.njit(fastmath=True)(mean),
    "numba with a float64 sum": numba.njit(mean_of_float64_sum),
}
ones = np.ones(2**25, np.float32)
numbers = np.random.default_rng(0).random(10_000_000, np.float32)
right = numbers.mean(dtype=float)
answers = {name: (float(way(ones)), abs(float(way(numbers)) / right - 1)) for name, way in ways.items()}
for name, (answer, error) in answers.items():
    print(f"{name}: mean of ones {answer}, relative error of the mean of 10,000,000 random numbers {error:.0e}")
assert answers["numba"][0] == 0.5 and answers["numba"][1] > 5e-6
assert answers["NumPy"][0] == 1 and answers["NumPy"][1] < 5e-7
assert answers["numba with a float64 sum"][0] == 1 and answers["numba with a float64 sum"][1] < 5e-7
assert answers["numba with fastmath"][0] > 0.5
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# numba 0.68.1 NumPy 2.4.6
# NumPy: mean of ones 1.0, relative error of the mean of 10,000,000 random numbers 4e-08
# numba: mean of ones 0.5, relative error of the mean of 10,000,000 random numbers 2e-05
# numba with fastmath: mean of ones 1.0, relative error of the mean of 10,000,000 random numbers 8e-08
# numba with a float64 sum: mean of ones 1.0, relative error of the mean of 10,000,000 random numbers 0e+00
