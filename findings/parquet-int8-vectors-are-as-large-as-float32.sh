#!/usr/bin/env bash
# pyarrow 26.0.1: a column of int8 vectors takes as much space in a Parquet file as the same column in float32, if it is written like one.
#
# Vectors of float32 are best written without a dictionary and without compression, because neither makes them smaller. Parquet has no integers of
# eight bits, so pyarrow stores each int8 as 32 bits then. With the default, a dictionary, an int8 takes one byte. uint8 is the same. float16 does not
# have this problem: it is stored in two bytes.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import os
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

os.chdir(sys.argv[1])
print("pyarrow", pa.__version__)
rows, dim = 4000, 64
values = np.random.default_rng(1).integers(-128, 128, rows * dim)


def bytes_of_a_number(dtype, **options):
    """Return the size of a Parquet file with a column of vectors, for each number in it."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.astype(dtype)), dim)
    pq.write_table(pa.table({"vector": vectors}), "file.parquet", compression="none", write_statistics=False, **options)
    return round(os.path.getsize("file.parquet") / (rows * dim), 1)


kinds = (("float32", False), ("float16", False), ("int8", False), ("int8", True))
found = {(dtype, dictionary): bytes_of_a_number(dtype, use_dictionary=dictionary) for dtype, dictionary in kinds}
for (dtype, dictionary), size in found.items():
    print(f"{dtype}, {'with' if dictionary else 'without'} a dictionary: {size} bytes for each number")
assert found["float32", False] == found["int8", False], found
assert 4 <= found["int8", False] < 4.2 and 2 <= found["float16", False] < 2.2, found
assert 1 <= found["int8", True] < 1.2, found
PYTHON
"$folder/venv/bin/python" "$folder/finding.py" "$folder"
