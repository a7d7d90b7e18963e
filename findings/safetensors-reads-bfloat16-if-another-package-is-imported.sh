#!/usr/bin/env bash
# safetensors 0.8.0: whether NumPy gets a bfloat16 tensor depends on whether some other package has imported ml_dtypes. float8 is never read.
#
# load_file of safetensors.numpy asks NumPy for a type named 'bfloat16'. NumPy has none, so the file is refused with a TypeError. If any package of
# the process has imported ml_dtypes, as JAX and TensorFlow do, NumPy knows the name, and the same call works. So a program works or fails with the
# order of its imports. For float8, the function looks for a member of the module numpy. ml_dtypes defines these types too, but it puts none there,
# so that fails with an AttributeError in both cases. The error does not name the tensor or its type as the file has it.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6 ml_dtypes==0.5.4
cat >"$folder/finding.py" <<'PYTHON'
import json
import struct
import sys

import numpy as np
import safetensors
from safetensors.numpy import load_file


def write(dtype, data):
    """Write a file with the numbers 1 and 2."""
    path = f"{sys.argv[1]}/{dtype}.safetensors"
    header = json.dumps({"x": {"dtype": dtype, "shape": [2], "data_offsets": [0, len(data)]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + data)
    return path


paths = [write("BF16", b"\x80\x3f\x00\x40"), write("F8_E4M3", b"\x38\x40")]


def read():
    answers = []
    for path in paths:
        try:
            answers.append(load_file(path)["x"].astype(float).tolist())
        except (AttributeError, TypeError) as error:
            answers.append(f"{type(error).__name__}: {error}")
    return answers


print("safetensors", safetensors.__version__, "NumPy", np.__version__)
before = read()
import ml_dtypes  # noqa: E402, F401

after = read()
print("before the import of ml_dtypes:", before)
print("after the import of ml_dtypes: ", after)
refused = "AttributeError: module 'numpy' has no attribute 'float8_e4m3fn'"
assert before == ["TypeError: data type 'bfloat16' not understood", refused]
assert after == [[1.0, 2.0], refused]
PYTHON
"$folder/venv/bin/python" "$folder/finding.py" "$folder"
# Output seen:
# safetensors 0.8.0 NumPy 2.4.6
# before the import of ml_dtypes: ["TypeError: data type 'bfloat16' not understood", "AttributeError: module 'numpy' has no attribute
# 'float8_e4m3fn'"]
# after the import of ml_dtypes:  [[1.0, 2.0], "AttributeError: module 'numpy' has no attribute 'float8_e4m3fn'"]
