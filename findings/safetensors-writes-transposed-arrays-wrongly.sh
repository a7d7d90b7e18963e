#!/usr/bin/env bash
# safetensors 0.8.0: save_file of a transposed or a sliced NumPy array writes other numbers, without an error.
#
# The function writes the memory of the array from its first number on, with the shape of the view. So a matrix that was transposed comes back with
# its numbers in other places, and every second column of a matrix comes back as its first columns. This is easily met: the result of a principal
# component analysis is often a transposed array, and a cut of dimensions, matrix[:, :64], is a slice. 0.6.2 writes the same arrays rightly. Use
# numpy.ascontiguousarray before saving.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/finding.py" <<'PYTHON'
import json
import sys

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

path = f"{sys.argv[1]}/file.safetensors"
matrix = np.array([[0, 1, 2], [3, 4, 5]], np.float32)
views = {"transposed": matrix.T, "sliced": matrix[:, :2], "copied": np.ascontiguousarray(matrix.T)}
answers = {}
for name, view in views.items():
    save_file({"matrix": view}, path)
    answers[name] = load_file(path)["matrix"].astype(int).tolist()
    print(f"safetensors {safetensors.__version__}, {name}: saved {view.astype(int).tolist()}, loaded {answers[name]}")
assert answers == json.loads(sys.argv[2]), answers
PYTHON
check() {
    python3 -m venv "$folder/venv-$1"
    "$folder/venv-$1/bin/pip" install --quiet "safetensors==$1" numpy==2.4.6
    "$folder/venv-$1/bin/python" "$folder/finding.py" "$folder" "$2"
}
check 0.8.0 '{"transposed": [[0, 1], [2, 3], [4, 5]], "sliced": [[0, 1], [2, 3]], "copied": [[0, 3], [1, 4], [2, 5]]}'
check 0.6.2 '{"transposed": [[0, 3], [1, 4], [2, 5]], "sliced": [[0, 1], [3, 4]], "copied": [[0, 3], [1, 4], [2, 5]]}'
# Output seen:
# safetensors 0.8.0, transposed: saved [[0, 3], [1, 4], [2, 5]], loaded [[0, 1], [2, 3], [4, 5]]
# safetensors 0.8.0, sliced: saved [[0, 1], [3, 4]], loaded [[0, 1], [2, 3]]
# safetensors 0.8.0, copied: saved [[0, 3], [1, 4], [2, 5]], loaded [[0, 3], [1, 4], [2, 5]]
# safetensors 0.6.2, transposed: saved [[0, 3], [1, 4], [2, 5]], loaded [[0, 3], [1, 4], [2, 5]]
# safetensors 0.6.2, sliced: saved [[0, 1], [3, 4]], loaded [[0, 1], [3, 4]]
# safetensors 0.6.2, copied: saved [[0, 3], [1, 4], [2, 5]], loaded [[0, 3], [1, 4], [2, 5]]
