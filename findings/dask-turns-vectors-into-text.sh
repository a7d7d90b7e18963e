#!/usr/bin/env bash
# Dask 2026.8.0: from_pandas turns a column of NumPy vectors into text, and of a long vector only the first and the last numbers are left.
#
# Dask takes any column of Python objects for a column of strings and writes each vector as NumPy prints it. A vector of two numbers becomes '[1.
# 0.]'. Of a vector of 1,500 numbers, the text has six and '...', so the others are lost. A column that comes from read_parquet keeps its arrays,
# but cannot be written: to_parquet fails. The setting dataframe.convert-string=False keeps the arrays of from_pandas, and a schema lets to_parquet
# write them.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "dask[dataframe]==2026.8.0" pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import os
import sys

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

os.chdir(sys.argv[1])
dask.config.set(scheduler="synchronous")
print("Dask", dask.__version__, "pandas", pd.__version__)
frame = pd.DataFrame({"v": [np.arange(1500, dtype=np.float32)]})
text = dd.from_pandas(frame, npartitions=1).compute()["v"][0]
print(f"from_pandas: {type(text).__name__} {text!r}")
with dask.config.set({"dataframe.convert-string": False}):
    kept = dd.from_pandas(frame, npartitions=1).compute()["v"][0]
print("from_pandas without convert-string:", type(kept).__name__, kept.shape)

schema = pa.schema({"v": pa.list_(pa.float32(), 2)})
pq.write_table(pa.table({"v": [[1.0, 0.0], None]}, schema=schema), "file.parquet")
read = dd.read_parquet("file.parquet")
print("read_parquet:", read.compute()["v"].tolist())
try:
    read.to_parquet("again")
    answer = "written"
except pa.ArrowInvalid as error:
    answer = f"ArrowInvalid: {error}"
print("to_parquet:", answer)
read.to_parquet("schema", schema=schema)
print("to_parquet with a schema:", pq.read_table("schema")["v"].to_pylist())

assert isinstance(text, str) and text.count(".") == 6 + 3 and "..." in text
assert isinstance(kept, np.ndarray) and kept.shape == (1500,)
assert answer.startswith("ArrowInvalid: Could not convert <object object at")
assert pq.read_table("schema")["v"].to_pylist() == [[1.0, 0.0], None]
PYTHON
"$folder/venv/bin/python" "$folder/finding.py" "$folder"
# Output seen:
# Dask 2026.8.0 pandas 3.1.1
# from_pandas: str '[0.000e+00 1.000e+00 2.000e+00 ... 1.497e+03 1.498e+03 1.499e+03]'
# from_pandas without convert-string: ndarray (1500,)
# read_parquet: [array([1., 0.], dtype=float32), None]
# to_parquet: ArrowInvalid: Could not convert <object object at 0x7f4625b30920> with type object: did not recognize Python value type when inferring
# an Arrow data type
# to_parquet with a schema: [[1.0, 0.0], None]
