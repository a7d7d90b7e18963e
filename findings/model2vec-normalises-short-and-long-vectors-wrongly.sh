#!/usr/bin/env bash
# model2vec 0.10.0: with normalize=True, a vector of length 5e-25 gets the length 50,000,000, and one of length 5e19 gets the length 0.
#
# The vectors are converted to float32, their squares are added up, and 1e-32 is added to the length. The square of a number below 1e-23 is zero in
# float32, so the vector is divided by 1e-32 alone. The square of one above 1.8e19 is infinite, so the vector is divided by infinity. In between,
# below 1e-19, lengths are inexact. A matrix in float64 has room for such numbers and has the same results. The setting says that vectors have the
# length 1, and searches by inner product rely on it: one such vector is nearer to every query than all others.
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
from model2vec import StaticModel
from tokenizers import Tokenizer, models

tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
warnings.simplefilter("ignore", RuntimeWarning)


def length(size, dtype):
    matrix = np.array([[0, 0], [3 * size, 4 * size]], dtype)
    return float(np.linalg.norm(StaticModel(matrix, tokenizer, normalize=True).encode("a").astype(np.float64)))


print("model2vec", version("model2vec"), "NumPy", np.__version__)
lengths = {}
for dtype in (np.float32, np.float64):
    lengths[dtype] = [length(size, dtype) for size in (1e-25, 1e-23, 1, 1e19)]
    print(f"{dtype.__name__}: lengths of 5e-25, 5e-23, 5 and 5e19 become {[f'{number:.6g}' for number in lengths[dtype]]}")
for tiny, small, usual, huge in lengths.values():
    assert 4e7 < tiny < 6e7 and 0.9 < small < 0.99 and abs(usual - 1) < 1e-6 and huge == 0
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# model2vec 0.10.0 NumPy 2.4.6
# float32: lengths of 5e-25, 5e-23, 5 and 5e19 become ['5e+07', '0.944473', '1', '0']
# float64: lengths of 5e-25, 5e-23, 5 and 5e19 become ['5e+07', '0.944473', '1', '0']
