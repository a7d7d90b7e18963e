#!/usr/bin/env bash
# model2vec 0.10.0: quantize_to="int8" goes through float16, so a matrix of small numbers becomes zeros, and one of large numbers becomes 127 and
# -127.
#
# The scale is the largest number divided by 127, so the result should not depend on the unit of the matrix. But the matrix is first converted to
# float16, where numbers below 3e-8 are zero and numbers above 65,504 are infinite. In between, below 6e-5, the integers are inexact. All vectors of
# the model are then zeros, or keep only their signs, without an error.
#
# This needs Python 3.11 or newer. It installs model2vec in a temporary folder, prints what it does, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet model2vec==0.10.0 tokenizers==0.23.3 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import warnings
from importlib.metadata import version

import numpy as np
from model2vec import StaticModel, quantize_model
from tokenizers import Tokenizer, models

tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"))
matrix = np.array([[0, 0], [3, 4], [1, -2]], np.float32)
warnings.simplefilter("ignore", RuntimeWarning)


def quantized(unit):
    return quantize_model(StaticModel(matrix * np.float32(unit), tokenizer), quantize_to="int8").embedding[1:].tolist()


print("model2vec", version("model2vec"), "NumPy", np.__version__)
answers = {unit: quantized(unit) for unit in (1, 1e-8, 1e-9, 1e5)}
for unit, rows in answers.items():
    print(f"[[3, 4], [1, -2]] times {unit:g}: {rows}")
assert answers == {1: [[95, 127], [32, -64]], 1e-8: [[127, 127], [0, 0]], 1e-9: [[0, 0], [0, 0]], 1e5: [[127, 127], [127, -127]]}
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# model2vec 0.10.0 NumPy 2.4.6
# [[3, 4], [1, -2]] times 1: [[95, 127], [32, -64]]
# [[3, 4], [1, -2]] times 1e-08: [[127, 127], [0, 0]]
# [[3, 4], [1, -2]] times 1e-09: [[0, 0], [0, 0]]
# [[3, 4], [1, -2]] times 100000: [[127, 127], [127, -127]]
