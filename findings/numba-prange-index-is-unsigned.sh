#!/usr/bin/env bash
# numba 0.68.1: with parallel=True, the index of a prange loop is an unsigned integer.
#
# The same function gives different numbers when it is compiled without and with parallel=True:
# - `out[i] = -i` stores -1, -2, ... in a float64 array without parallel=True, and 1.8446744073709552e19 with it.
# - `out[i] = max(i - 3, 0)` is the same with both, because a subtraction of a signed literal is signed again.
# Also, a function that is called with the index is compiled a second time, for uint64.
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


def negate(out):
    for i in numba.prange(len(out)):
        out[i] = -i


def subtract(out):
    for i in numba.prange(len(out)):
        out[i] = max(i - 3, 0)


@numba.njit
def identity(number):
    return number


@numba.njit
def call_in_range(out):
    for i in range(len(out)):
        out[i] = identity(i)


@numba.njit(parallel=True)
def call_in_prange(out):
    for i in numba.prange(len(out)):
        out[i] = identity(i)


def run(function, **options):
    out = np.zeros(4)
    numba.njit(**options)(function)(out)
    return out.tolist()


print("numba", numba.__version__)
print("-i without parallel=True:", run(negate))
print("-i with parallel=True:   ", run(negate, parallel=True))
print("max(i - 3, 0):           ", run(subtract), run(subtract, parallel=True))
call_in_range(np.zeros(4))
call_in_prange(np.zeros(4))
print("signatures of a function that gets the index:", identity.signatures)

assert run(negate) == [0, -1, -2, -3]
assert run(negate, parallel=True) == [0, 2.0**64, 2.0**64, 2.0**64]
assert run(subtract) == run(subtract, parallel=True) == [0, 0, 0, 0]
assert [str(signature[0]) for signature in identity.signatures] == ["int64", "uint64"]
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# numba 0.68.1
# -i without parallel=True: [0.0, -1.0, -2.0, -3.0]
# -i with parallel=True:    [0.0, 1.8446744073709552e+19, 1.8446744073709552e+19, 1.8446744073709552e+19]
# max(i - 3, 0):            [0.0, 0.0, 0.0, 0.0] [0.0, 0.0, 0.0, 0.0]
# signatures of a function that gets the index: [(int64,), (uint64,)]
