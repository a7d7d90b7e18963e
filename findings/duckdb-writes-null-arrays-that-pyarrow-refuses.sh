#!/usr/bin/env bash
# DuckDB 2.0.1 writes a NULL of type FLOAT[2] to Parquet so that pyarrow 26.0.1 cannot read the file. The same NULL of type FLOAT[] is no problem.
#
# ARRAY, the type with a fixed size, is the one that DuckDB's functions for vectors ask for, so a table of vectors has it. Parquet has no such type,
# and DuckDB writes both types as lists. With a NULL of the ARRAY type, the lists of the file have more numbers than the file holds. pyarrow notices
# this and refuses the whole column, and so does pandas, which reads files with pyarrow. DuckDB and Polars read the file. Cast the column to FLOAT[]
# before it is written: then every reader agrees.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 pyarrow==26.0.1 polars==2.1.0
cat >"$folder/finding.py" <<'PYTHON'
import os
import sys

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet

os.chdir(sys.argv[1])
print("DuckDB", duckdb.__version__, "pyarrow", pa.__version__, "Polars", pl.__version__)


def try_pyarrow(path):
    try:
        return pyarrow.parquet.read_table(path)["v"].to_pylist()
    except pa.ArrowInvalid as error:
        return f"ArrowInvalid: {error}"


answers = {}
for kind in ("FLOAT[]", "FLOAT[2]"):
    duckdb.sql(f"COPY (SELECT v::{kind} AS v FROM (VALUES ([1, 2]), (NULL), ([3, 4])) AS t(v)) TO 'file.parquet' (FORMAT parquet)")
    again = [row[0] for row in duckdb.sql("SELECT v FROM 'file.parquet'").fetchall()]
    answers[kind] = try_pyarrow("file.parquet"), again, pl.read_parquet("file.parquet")["v"].to_list()
    print(f"{kind}:\n  pyarrow: {answers[kind][0]}\n  DuckDB:  {answers[kind][1]}\n  Polars:  {answers[kind][2]}")

rows = [[1.0, 2.0], None, [3.0, 4.0]]
assert answers["FLOAT[]"] == (rows, rows, rows)
assert answers["FLOAT[2]"][0].startswith("ArrowInvalid: Length spanned by list offsets")
assert answers["FLOAT[2]"][1:] == (rows, rows)
PYTHON
"$folder/venv/bin/python" "$folder/finding.py" "$folder"
# Output seen:
# DuckDB 2.0.1 pyarrow 26.0.1 Polars 2.1.0
# FLOAT[]:
#   pyarrow: [[1.0, 2.0], None, [3.0, 4.0]]
#   DuckDB:  [[1.0, 2.0], None, [3.0, 4.0]]
#   Polars:  [[1.0, 2.0], None, [3.0, 4.0]]
# FLOAT[2]:
#   pyarrow: ArrowInvalid: Length spanned by list offsets (5) larger than values array (length 4)
#   DuckDB:  [[1.0, 2.0], None, [3.0, 4.0]]
#   Polars:  [[1.0, 2.0], None, [3.0, 4.0]]
