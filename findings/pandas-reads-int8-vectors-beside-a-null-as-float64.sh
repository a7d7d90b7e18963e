#!/usr/bin/env bash
# pandas 3.1.1 with pyarrow 26.0.1: one null row turns all int8 vectors of a column into float64, and the file that is written again is in float64.
#
# A column of fixed-size lists of int8 becomes a column of NumPy arrays. Without a null, the arrays are int8. With one null anywhere in the column,
# all of them are float64, eight times as large, and to_parquet writes lists of doubles. A column of lists of variable size keeps int8 with a null,
# so the same vectors are of one type or another according to the type of the list. float32 and float16 stay as they are.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import os
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

os.chdir(sys.argv[1])


def after_pandas(rows, kind):
    """Return the type of the arrays in pandas, and the type of the column that pandas writes."""
    pq.write_table(pa.table({"v": pa.array(rows, kind)}), "file.parquet")
    frame = pd.read_parquet("file.parquet")
    frame.to_parquet("again.parquet")
    return str(frame["v"][0].dtype), str(pq.read_table("again.parquet").schema.field("v").type)


half = np.float16(1)
answers = {
    "fixed size, int8": after_pandas([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)),
    "fixed size, int8, a null": after_pandas([[1, 2], None], pa.list_(pa.int8(), 2)),
    "variable size, int8, a null": after_pandas([[1, 2], None], pa.list_(pa.int8())),
    "fixed size, float32, a null": after_pandas([[1.0, 2.0], None], pa.list_(pa.float32(), 2)),
    "fixed size, float16, a null": after_pandas([[half, half], None], pa.list_(pa.float16(), 2)),
}
print("pandas", pd.__version__, "pyarrow", pa.__version__)
for name, answer in answers.items():
    print(f"{name}: {answer[0]} arrays, written as {answer[1]}")

assert answers["fixed size, int8"] == ("int8", "list<element: int8>")
assert answers["fixed size, int8, a null"] == ("float64", "list<element: double>")
assert answers["variable size, int8, a null"] == ("int8", "list<element: int8>")
assert answers["fixed size, float32, a null"] == ("float32", "list<element: float>")
assert answers["fixed size, float16, a null"] == ("float16", "list<element: halffloat>")
PYTHON
"$folder/venv/bin/python" "$folder/finding.py" "$folder"
# Output seen:
# pandas 3.1.1 pyarrow 26.0.1
# fixed size, int8: int8 arrays, written as list<element: int8>
# fixed size, int8, a null: float64 arrays, written as list<element: double>
# variable size, int8, a null: int8 arrays, written as list<element: int8>
# fixed size, float32, a null: float32 arrays, written as list<element: float>
# fixed size, float16, a null: float16 arrays, written as list<element: halffloat>
