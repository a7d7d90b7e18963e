#!/usr/bin/env bash
# numba 0.68.1: `matrix[i] = row` compiles the text of an error message, and a loop over the elements does not.
#
# When an array is assigned to a part of another one, the compiled code can raise an error that shows both shapes. numba compiles the functions that
# write a shape as text for it: the text of an integer, of a tuple, the joining of strings. So:
# - the optimised code of the function is several times as large as that of the same function with a loop;
# - it holds functions of numba's strings, although neither function has a string.
# Here the first function takes several seconds to compile, and the second a fraction of one. A kernel that is compiled for ten types links the text
# ten times. Nothing in the documentation says so: slices look like the cheap way, as they are in NumPy.
#
# This needs Python 3.11 or newer. It installs numba in a temporary folder, prints what it does, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import time

import numba
import numpy as np


@numba.njit
def assign_row(matrix, row):
    for i in range(len(matrix)):
        matrix[i] = row


@numba.njit
def assign_elements(matrix, row):
    for i in range(len(matrix)):
        for k in range(len(row)):
            matrix[i, k] = row[k]


# The compiler itself is loaded before anything is timed.
numba.njit(lambda a: a[0, 0])(np.zeros((1, 1)))
results = {}
for function in (assign_elements, assign_row):
    matrix, row = np.zeros((3, 4)), np.arange(4.0)
    begin = time.process_time()
    function(matrix, row)
    seconds = time.process_time() - begin
    assert (matrix == row).all()
    (code,) = function.inspect_llvm().values()
    results[function] = len(code), code.count("unicode")
    print(f"{function.__name__}: {seconds:.1f} s, {len(code):,} bytes of LLVM's code, 'unicode' in it {code.count('unicode')} times")

size, mentions = results[assign_row]
other_size, other_mentions = results[assign_elements]
assert size > 3 * other_size
assert mentions > 0 and other_mentions == 0
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
